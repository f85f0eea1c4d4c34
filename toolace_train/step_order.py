"""Which sequences each optimiser step sees, in which order, and which device computes which of them.

The order comes from the seed and the pass alone, not from the state of a random generator, and a step sees the same
sequences on any number of devices. So a resumed run goes on with the very rows the undisturbed one would have seen, and
two processes follow the loss curve of one.

Within a step, sequences are dealt out by length: micro-batches of several sequences hold about the same number of
tokens, and devices that wait for each other compute sequences of about the same length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler

from toolace_train.rendering import IGNORED
from toolace_train.sequences import TreeCollator

FILLER_TOKENS = 2  # the shortest sequence a model takes without special cases


class Sequences(Dataset):  # type: ignore[misc]
    """The training sequences by number, each with its number as `row`; the number after the last is a filler.

    A filler has no trained token: it stands where a step has fewer sequences than the devices can take at once.
    """

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> dict[str, Any]:
        if number == len(self.rows):
            filler = {"input_ids": [0] * FILLER_TOKENS, "labels": [IGNORED] * FILLER_TOKENS}
            return {**filler, "prefix": FILLER_TOKENS, "branches": [], "row": -1}
        return {**self.rows[number], "row": number}


class StepOrder(Sampler):  # type: ignore[misc]
    """Yields the numbers of sequences, `per_device` of them a micro-batch, micro-batches dealt to devices in turn.

    Args:
        lengths: tokens of each sequence.
        per_device: sequences in a micro-batch.
        accumulation: micro-batches of a step on one device.
        processes: devices.
        seed: of the recipe.
    """

    def __init__(self, lengths: Sequence[int], per_device: int, accumulation: int, processes: int, seed: int) -> None:
        self.lengths, self.per_device, self.processes = lengths, per_device, processes
        self.global_batch = per_device * accumulation * processes
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Passes are shuffled differently; accelerate and `EpochOrder` say which one begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        together = self.per_device * self.processes
        return math.ceil(len(self.lengths) / together) * together

    def __iter__(self) -> Iterator[int]:
        for step in self.steps():
            yield from self._dealt(step)

    def steps(self) -> Iterator[list[int]]:
        """The sequences of each optimiser step of the pass."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        for start in range(0, len(order), self.global_batch):
            yield order[start : start + self.global_batch]

    def _dealt(self, members: list[int]) -> list[int]:
        """One step's sequences in micro-batches, largest first, filled up with the filler's number."""
        count = math.ceil(len(members) / (self.per_device * self.processes)) * self.processes
        batches: list[list[int]] = [[] for _ in range(count)]
        # There and back again, so that who got the longest of one round gets the shortest of the next.
        turns = [*range(count), *reversed(range(count))]
        for place, member in enumerate(sorted(members, key=lambda number: (-self.lengths[number], number))):
            batches[turns[place % len(turns)]].append(member)
        batches.sort(key=lambda batch: -sum(self.lengths[number] for number in batch))
        filler = len(self.lengths)
        return [number for batch in batches for number in (batch + [filler] * self.per_device)[: self.per_device]]


class RowCollator(TreeCollator):
    """`TreeCollator` that also says which sequences a micro-batch holds.

    Args:
        always_trees: whether `trees` is given for rows without branches too, for attention that goes by it.
    """

    def __init__(self, always_trees: bool) -> None:
        self.always_trees = always_trees

    def __call__(self, features: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Adds `rows` [sequences], fillers left out, and perhaps `trees`; see `TreeCollator`."""
        batch = super().__call__(features)
        if self.always_trees and "trees" not in batch:
            starts = [0]
            for feature in features:
                starts.append(starts[-1] + len(feature["input_ids"]))
            batch["trees"] = [(start, len(f["input_ids"]), []) for start, f in zip(starts, features, strict=False)]
        batch["rows"] = torch.tensor([feature["row"] for feature in features if feature["row"] >= 0])
        return batch
