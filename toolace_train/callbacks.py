"""What a run leaves behind while it trains: one JSON line a logged step."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from toolace.rows import RowLog, read_rows, write_rows
from toolace_train.trainer import give_back_memory

TRIM_EVERY = 8  # optimiser steps; our choice: the pages that come back cost a few tenths of a second a time


class LogFile(TrainerCallback):  # type: ignore[misc]
    """Appends `{"step", "epoch", "loss", "learning_rate", "tokens_per_second", "peak_memory_gib", ...}` to a file.

    A resumed run goes on from its checkpoint, so rows after it are cut off first: no step stands there twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = 0.0
        self.tokens = 0.0
        self.log: RowLog | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Opens the file, without the steps that will be done again."""
        if not state.is_world_process_zero:
            return
        if self.path.exists():
            RowLog(self.path, key="step").close()  # cuts a torn last line off
            write_rows(self.path, [row for _, row in read_rows(self.path) if row["step"] <= state.global_step])
        self.log = RowLog(self.path, key="step")
        self.started, self.tokens = time.monotonic(), 0.0

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Now and then hands unused memory back."""
        if state.global_step % TRIM_EVERY == 0:
            give_back_memory()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes one row for a logged training step."""
        if self.log is None or not logs or "loss" not in logs:
            return
        now, tokens = time.monotonic(), float(logs.get("num_tokens", 0.0))
        row = {
            "step": state.global_step,
            **{key: float(value) for key, value in logs.items() if key != "num_tokens"},
            "num_tokens": tokens,
            "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        }
        if self.tokens and tokens > self.tokens:
            row["tokens_per_second"] = round((tokens - self.tokens) / (now - self.started), 1)
        self.started, self.tokens = now, tokens
        self.log.append([row])
