"""What a run leaves behind and shows while it trains: a JSON line a logged step, a progress line, held-out scores."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from toolace.rows import RowLog, read_rows, write_rows
from toolace_train.greedy import answers
from toolace_train.held_out import Score, Turn, endings, score
from toolace_train.run_settings import MonitorSettings
from toolace_train.step_order import StepOrder
from toolace_train.trainer import ToolaceTrainer, give_back_memory

TRIM_EVERY = 8  # optimiser steps; our choice: the pages that come back cost a few tenths of a second a time
LINE_EVERY = 30.0  # seconds between two progress lines where they cannot overwrite each other, as in a log file


class LogFile(TrainerCallback):  # type: ignore[misc]
    """Appends `{"step", "epoch", "loss", "learning_rate", "tokens_per_second", "peak_memory_gib", ...}` to a file.

    A resumed run goes on from its checkpoint, so rows after it are cut off first: no step stands there twice. Every
    checkpoint is logged too: then the mean loss of a row is over the same steps in a resumed run as in a whole one.

    Args:
        path: the file.
        trainer: its meter goes on counting tokens where the checkpoint was.
    """

    def __init__(self, path: Path, trainer: ToolaceTrainer) -> None:
        self.path, self.trainer = path, trainer
        self.log: RowLog | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Opens the file, without the steps that will be done again."""
        before: list[dict[str, Any]] = []
        if self.path.exists() and state.is_world_process_zero:
            RowLog(self.path, key="step").close()  # cuts a torn last line off
            before = [dict(row) for _, row in read_rows(self.path) if row["step"] <= state.global_step]
            write_rows(self.path, before)
        if state.is_world_process_zero:
            self.log = RowLog(self.path, key="step")
        self.trainer.meter.begin(state.global_step, float(before[-1].get("num_tokens", 0)) if before else 0.0)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Now and then hands unused memory back; has every checkpoint and the last step logged."""
        if state.global_step % TRIM_EVERY == 0:
            give_back_memory()
        control.should_log = control.should_log or control.should_save or state.global_step >= state.max_steps

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Has the checkpoint at the end of a pass logged."""
        control.should_log = control.should_log or control.should_save

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes one row for a logged training step."""
        if self.log is not None and logs and "loss" in logs:
            self.log.append([{"step": state.global_step, **{key: float(value) for key, value in logs.items()}}])


class ProgressLine(TrainerCallback):  # type: ignore[misc]
    """One line on the terminal that is written over; in a log file a new line now and then."""

    def __init__(self) -> None:
        self.facts: dict[str, float] = {}
        self.last, self.width = float("-inf"), 0

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Shows the step that is done; the last one is shown when its figures are there."""
        if state.global_step < state.max_steps:
            self._show(state)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Shows the newest figures."""
        if logs and "loss" in logs:
            self.facts.update({key: float(value) for key, value in logs.items()})
            self._show(state)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leaves the line standing."""
        if state.is_world_process_zero and self.width:
            print(file=sys.stderr, flush=True)

    def _show(self, state: TrainerState) -> None:
        if not state.is_world_process_zero or not self.facts:
            return
        line = progress_line(state.global_step, state.max_steps, self.facts)
        if sys.stderr.isatty():
            print(f"\r{line:<{self.width}}", end="", file=sys.stderr, flush=True)
            self.width = len(line)
        elif time.monotonic() - self.last >= LINE_EVERY or state.global_step == state.max_steps:
            print(line, file=sys.stderr, flush=True)
            self.last = time.monotonic()


def progress_line(step: int, steps: int, facts: Mapping[str, float]) -> str:
    """`step 40 of 86, loss 0.412, 493 tokens/s (12.4 % trained), 5.1 GiB, calls right 37.5 %, 12 min left`."""
    parts = [f"step {step:,} of {steps:,}", f"loss {facts['loss']:.4g}"]
    if "tokens_per_second" in facts:
        share = 100 * facts.get("trained_share", 0.0)
        parts.append(f"{facts['tokens_per_second']:,.0f} tokens/s ({share:.1f} % trained)")
    if "memory_gib" in facts:
        parts.append(f"{facts['memory_gib']:.1f} GiB")
    for key, words in (("held_out_call_accuracy", "calls right"), ("held_out_no_call_accuracy", "refusals right")):
        if key in facts:
            parts.append(f"{words} {100 * facts[key]:.1f} %")
    left = facts.get("seconds_left", 0.0)
    if step < steps:
        parts.append(f"{_duration(left)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


class EpochOrder(TrainerCallback):  # type: ignore[misc]
    """Tells the order of sequences which pass begins.

    accelerate does so too, but not through the wrappers that skip a resumed pass's first batches on several devices.
    """

    def __init__(self, trainer: ToolaceTrainer) -> None:
        self.trainer = trainer

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Counts passes as the Trainer does: a resumed one begins within a pass."""
        if isinstance(self.trainer.order, StepOrder):
            self.trainer.order.set_epoch(int(state.epoch or 0))


class HeldOutScore(TrainerCallback):  # type: ignore[misc]
    """Has the model answer the held-out turns every so many steps, and after the last.

    Nothing random happens here, and dropout is off: the training is the same with and without it.
    """

    def __init__(self, trainer: ToolaceTrainer, turns: Sequence[Turn], settings: MonitorSettings, rendering: str):
        self.trainer, self.turns, self.settings, self.rendering = trainer, turns, settings, rendering

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Measures when it is time, and has the step logged."""
        step = state.global_step
        if step % self.settings.every_steps and step != state.max_steps:
            return
        with self.trainer.meter.paused():
            self.trainer.meter.extra.update(self.measure().figures())
        control.should_log = True

    def measure(self) -> Score:
        """Each process answers its share of the turns; what they count is added up."""
        trainer = self.trainer
        accelerator, model = trainer.accelerator, trainer.model_wrapped
        rank, world = accelerator.process_index, accelerator.num_processes
        own, going_on = self.turns[rank::world], None
        asked = list(own)
        if trainer.is_sharded:
            # Every device must call forward as often as the others: those with one turn less answer one for nothing.
            most = -(-len(self.turns) // world)
            asked = [*own, *self.turns[: most - len(own)]]

            def going_on(busy: bool) -> bool:
                flag = torch.tensor(float(busy), device=accelerator.device)
                return bool(accelerator.reduce(flag, reduction="sum").item())
        else:
            model = accelerator.unwrap_model(model)  # DDP's own forward would wait for the other processes
        was_training = model.training
        model.eval()
        try:
            with accelerator.autocast():
                found = answers(
                    model,
                    [turn.prompt for turn in asked],
                    endings(trainer.processing_class, trainer.model),
                    self.settings.max_new_tokens,
                    self.settings.batch_size,
                    accelerator.device,
                    going_on,
                )
        finally:
            model.train(was_training)
        native = self.rendering == "native"
        texts = [trainer.processing_class.decode(ids, skip_special_tokens=not native) for ids in found[: len(own)]]
        counts = trainer.add_up(score(own, texts, self.rendering))
        return Score(*(round(count) for count in counts))
