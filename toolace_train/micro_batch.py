"""The largest micro-batch of a run, which decides its memory: counted from the rows, or assumed without them."""

from __future__ import annotations

from dataclasses import dataclass

from toolace_train.data import TrainingSet
from toolace_train.layouts import Layout
from toolace_train.memory import Memory, Numerics, estimate_memory
from toolace_train.parameters import Parameters
from toolace_train.rendering import IGNORED
from toolace_train.schedule import Schedule
from toolace_train.sequences import Tree
from toolace_train.settings import DataSettings

TRAINED = 0.25  # our choice: share of trained tokens where the rows are not there to be counted


@dataclass(frozen=True)
class Micro:
    """The largest micro-batch: tokens, trained ones among them, and whether it was counted or assumed.

    `pairs` counts pairs of a query and a key whose attention weights stay in memory: those of `data.share_prefix`.
    """

    tokens: int
    trained: int
    counted: bool
    pairs: int = 0

    def memory(self, parameters: Parameters, numbers: Numerics, layout: Layout, share: float = 1.0) -> Memory:
        """Memory of this micro-batch, or of one that is `share` as long."""
        tokens, trained, pairs = (int(value * share) for value in (self.tokens, self.trained, self.pairs))
        return estimate_memory(parameters, numbers, tokens, trained, layout, pairs)


def micro_of(rows: TrainingSet | None, data: DataSettings, timing: Schedule) -> Micro:
    """The longest sequences together, and the most trained tokens together: no real micro-batch is larger."""
    if rows is None:
        tokens = data.max_length * timing.per_device
        return Micro(tokens, int(tokens * TRAINED), counted=False)
    sizes = sorted((len(tree.input_ids) for tree in rows.trees), reverse=True)
    trained = sorted((sum(label != IGNORED for label in tree.labels) for tree in rows.trees), reverse=True)
    pairs = sorted((_pairs(tree) for tree in rows.trees), reverse=True) if data.share_prefix else []
    n = timing.per_device
    return Micro(sum(sizes[:n]), sum(trained[:n]), True, sum(pairs[:n]))


def _pairs(tree: Tree) -> int:
    """Pairs that attention.py scores: the prefix with itself, each branch with the prefix and itself."""
    return tree.prefix**2 + sum(length * (tree.prefix + length) for length in tree.branches)
