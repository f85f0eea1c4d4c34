"""What a run is doing: accuracy on trained tokens, tokens a second, trained share, memory, time left.

Counts are kept on each device and added up over all of them only when a step is logged, so that measuring costs no
waiting for each other in between.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

GIB = 2**30


class RunMeter:
    """Counts of one process since the last logged step."""

    def __init__(self) -> None:
        self.hits: Any = 0
        self.trained = self.tokens = 0
        self.seen = 0.0  # tokens of all devices since the run began, also before it was resumed
        self.extra: dict[str, float] = {}
        self._mark = self._began = time.monotonic()
        self._first_step = 0
        self._away = 0.0

    def begin(self, step: int, seen: float) -> None:
        """A run begins, or goes on after `step` steps and `seen` tokens."""
        self._first_step, self.seen = step, seen
        self._mark = self._began = time.monotonic()
        self.hits, self.trained, self.tokens, self._away = 0, 0, 0, 0.0

    def note(self, tokens: int, trained: int, hits: torch.Tensor) -> None:
        """One micro-batch: computed tokens, trained tokens, and how many of those were the model's first choice."""
        self.tokens += tokens
        self.trained += trained
        self.hits = self.hits + hits.detach()  # stays on its device

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Time that is not training: it does not count in tokens a second."""
        start = time.monotonic()
        yield
        self._away += time.monotonic() - start

    def figures(self, step: int, steps: int, add_up: Callable[[list[float]], list[float]]) -> dict[str, float]:
        """What is logged for a step; counts begin anew.

        Args:
            step: optimiser steps done; steps: those of the whole run.
            add_up: sums numbers over the devices.
        """
        hits, trained, tokens = add_up([float(self.hits), float(self.trained), float(self.tokens)])
        now = time.monotonic()
        seconds = max(now - self._mark - self._away, 1e-9)
        done = max(step - self._first_step, 1)
        self.seen += tokens
        found = {
            "mean_token_accuracy": hits / max(trained, 1.0),
            "num_tokens": self.seen,
            "tokens_per_second": round(tokens / seconds, 1),
            "trained_share": round(trained / max(tokens, 1.0), 4),
            "memory_gib": round(memory_in_use(), 3),
            "peak_memory_gib": round(peak_memory(), 3),
            "seconds_left": round((now - self._began) / done * (steps - step), 1),
            **self.extra,
        }
        self._mark, self._away, self.extra = now, 0.0, {}
        self.hits, self.trained, self.tokens = 0, 0, 0
        return found


def memory_in_use() -> float:
    """GiB that this process holds: allocated on its GPU, resident without one."""
    if torch.cuda.is_available():
        return float(torch.cuda.memory_allocated()) / GIB
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / GIB
    except OSError:  # no Linux
        return peak_memory()


def peak_memory() -> float:
    """The most GiB this process has held: allocated on its GPU, resident without one."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
