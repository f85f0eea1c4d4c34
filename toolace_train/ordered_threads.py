"""Work on many rows at once, results in the order of the rows. Tokenizers work outside of Python's lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

_AHEAD = 32  # rows in work for each thread: enough to keep all busy, few enough to stream any file
_MOST = 8  # beyond that Python's own part of the work is what takes the time


def threads_here() -> int:
    """Threads this process should use: its part of the machine's cores, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(_MOST, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def in_order(work: Callable[[Given], Made], items: Iterable[Given], threads: int | None = None) -> Iterator[Made]:
    """Yields `work(item)` for every item, in order; what `work` raises is raised at the item's place."""
    threads = threads or threads_here()
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Made]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= _AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
