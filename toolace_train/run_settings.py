"""Section `monitor` of a recipe: what is measured while the model trains."""

from __future__ import annotations

from dataclasses import dataclass

from toolace.errors import InputError


@dataclass(frozen=True)
class MonitorSettings:
    """Call accuracy on rows that are never trained on.

    Attributes:
        held_out: a file of rows in any format that `toolace convert` reads, or how many rows of `data.files` are set
            aside for it; 0 measures nothing.
        every_steps: optimiser steps between two measurements; one more is made after the last step.
        max_new_tokens: most tokens the model may answer with; an answer that is cut off is judged as it is.
        batch_size: answers generated at once on each device.
    """

    held_out: int | str = 0
    every_steps: int = 50
    max_new_tokens: int = 128
    batch_size: int = 16

    def check(self, where: str) -> None:
        """Raises InputError for a number out of range."""
        if isinstance(self.held_out, int) and self.held_out < 0:
            raise InputError(f"held_out is {self.held_out}", where=where, fix="Give a file, or a number of rows.")
        for key in ("every_steps", "max_new_tokens", "batch_size"):
            if getattr(self, key) < 1:
                raise InputError(f"{key} is {getattr(self, key)}", where=where, fix="Give a number of at least 1.")
