"""Stopping before a broken step: a loss or gradient that is no number never reaches the weights or a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from toolace.rows import write_json

NAMED = 8  # rows named in the message; stopped.json has all


class NotFinite(Exception):
    """A step whose loss or gradient is no number; the message is one line with the rows."""


class NanStop(TrainerCallback):  # type: ignore[misc]
    """Looks at each step's losses and gradients before the optimiser does.

    Args:
        trainer: a ToolaceTrainer; it notes losses and rows of micro-batches in `step_losses` and `step_rows`.
        sources: the rows of each sequence.
        path: file for the rows of a broken step.
    """

    def __init__(self, trainer: Any, sources: Sequence[Sequence[str]], path: Path) -> None:
        self.trainer, self.sources, self.path = trainer, sources, path

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Raises NotFinite on every process when one of them has no number; gradients are as the optimiser gets them.

        With fp16 only losses count: there, steps whose gradients overflow are skipped by design. DeepSpeed's engine
        has done its step by now, within backward, and reports the norm of broken gradients as 1: so the weights are
        looked at, which such a step leaves without numbers. No checkpoint of them is ever written.
        """
        losses, rows = self.trainer.step_losses, self.trainer.step_rows
        values = torch.stack(losses)
        if self.trainer.is_deepspeed_enabled:
            gradient = _weights_norm(self.trainer.model, values)
        else:
            gradient = values.new_zeros(()) if args.fp16 else _gradient_norm(self.trainer.model, values)
        sane = torch.isfinite(values).all() & torch.isfinite(gradient)
        everywhere = self.trainer.accelerator.reduce((~sane).float(), reduction="sum")
        if everywhere.item():
            own = [
                {"loss": str(value), "rows": self._names(part)}
                for part, value in zip(rows, values.tolist(), strict=True)
                if not math.isfinite(value)
            ]
            self._stop(state.global_step + 1, gather_object(own), gather_object(self._names(torch.cat(rows))), args)
        losses.clear()
        rows.clear()

    def _names(self, numbers: torch.Tensor) -> list[str]:
        return [name for number in numbers.tolist() for name in self.sources[number]]

    def _stop(self, step: int, found: list[dict[str, Any]], everyone: list[str], args: TrainingArguments) -> None:
        names = [name for entry in found for name in entry["rows"]] or everyone
        what = f"the loss is {found[0]['loss']}" if found else "the gradient is no number"
        if args.process_index == 0:
            write_json(self.path, {"step": step, "what": what, "rows": names, "rows_of_the_step": everyone})
        more = f" and {len(names) - NAMED} more (see {self.path})" if len(names) > NAMED else ""
        raise NotFinite(
            f"step {step}: {what}, rows: {', '.join(names[:NAMED])}{more}. Nothing of this step was kept. "
            "Look at these rows, or lower train.learning_rate; without either the run stops here again."
        )


def _weights_norm(model: torch.nn.Module, like: torch.Tensor) -> torch.Tensor:
    """Of the trained weights on this device; ZeRO 3 keeps a device's part of each in `ds_tensor`."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    own = [getattr(weight, "ds_tensor", weight).detach() for weight in trained]
    if not own:
        return like.new_zeros(())
    # The largest number of each: a sum of squares could overflow where every weight is sane.
    return torch.nn.utils.get_total_norm(own, norm_type=float("inf")).to(like.device)


def _gradient_norm(model: torch.nn.Module, like: torch.Tensor) -> torch.Tensor:
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    if not gradients:
        return like.new_zeros(())
    norm = torch.nn.utils.get_total_norm(gradients)
    whole = getattr(norm, "full_tensor", None)  # FSDP2 keeps parts of each gradient on each device
    return (whole() if whole else norm).to(like.device)
