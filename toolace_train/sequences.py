"""Rows with the same system prompt become one sequence in which the prompt is computed once.

A function-calling row is mostly prompt: a tool list of hundreds of tokens before an answer of thirty. Rows that share
the prompt are laid out as a tree, [prefix | branch | branch | ...]: each branch attends to the prefix and to itself and
continues the prefix's positions, so loss and gradients are those of the separate rows (tested), at a fraction of the
tokens. A row that shares nothing is a prefix without branches.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from toolace_train.rendering import IGNORED, Rendered


@dataclass(frozen=True)
class Tree:
    """Rows that share their first tokens.

    Attributes:
        input_ids, labels: prefix, then the rest of each row, [length].
        prefix: number of shared tokens at the start.
        branches: number of own tokens of each row.
        sources: where the rows came from.
        rows: their numbers; a row of which every turn is a sequence of its own is in several places.
    """

    input_ids: list[int]
    labels: list[int]
    prefix: int
    branches: list[int]
    sources: list[str]
    rows: list[int]


def make_trees(rows: Sequence[Rendered], max_length: int, share_prefix: bool) -> list[Tree]:
    """Groups rows into trees of at most `max_length` tokens, in the order in which their prompts first appear."""
    if not share_prefix:
        return [_alone(row) for row in rows]
    families: dict[str, list[Rendered]] = defaultdict(list)
    for i, row in enumerate(rows):
        families[row.prefix or f"alone {i}"].append(row)
    return [tree for family in families.values() for tree in _split(family, max_length)]


def _split(family: Sequence[Rendered], max_length: int) -> list[Tree]:
    shared = _shared(family)
    trees: list[Tree] = []
    members: list[Rendered] = []
    size = shared
    for row in family:
        own = len(row.input_ids) - shared
        if members and size + own > max_length:
            trees.append(_tree(members, shared))
            members, size = [], shared
        members.append(row)
        size += own
    return [*trees, _tree(members, shared)]


def _shared(family: Sequence[Rendered]) -> int:
    """Length of the common token prefix, short of the first trained token's predecessor in every row."""
    first = family[0].input_ids
    length = len(first)
    for row in family:
        # A branch must own the token that predicts its first label, or two rows would share one logit.
        trained = next(i for i, label in enumerate(row.labels) if label != IGNORED)
        length = min(length, trained - 1)
        same = next((i for i, (a, b) in enumerate(zip(first, row.input_ids, strict=False)) if a != b), length)
        length = min(length, same)
    return length


def _tree(members: Sequence[Rendered], shared: int) -> Tree:
    if len(members) == 1:
        return _alone(members[0])
    ids, labels = list(members[0].input_ids[:shared]), [IGNORED] * shared
    for row in members:
        ids += row.input_ids[shared:]
        labels += row.labels[shared:]
    branches = [len(row.input_ids) - shared for row in members]
    return Tree(ids, labels, shared, branches, [row.source for row in members], [row.row for row in members])


def _alone(row: Rendered) -> Tree:
    return Tree(row.input_ids, row.labels, len(row.input_ids), [], [row.source], [row.row])


def digest_of(trees: Sequence[Tree]) -> str:
    """A fingerprint of the sequences themselves: of files and the hub, and of all code that made them."""
    digest = hashlib.sha256()
    for tree in trees:
        for numbers in ([tree.prefix], tree.branches, tree.input_ids, tree.labels):
            digest.update(array("q", [len(numbers), *numbers]).tobytes())
    return digest.hexdigest()


class TreeCollator:
    """Lays the trees of a micro-batch one after another in one row: no padding, whatever their lengths.

    Returns `input_ids`, `labels`, `position_ids`, each [1, total], and, when a tree has branches, `trees`: a list of
    (start, prefix length, branch lengths) for `shared_prefix_attention`.
    """

    def __call__(self, features: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Collates rows of the dataset made from trees."""
        ids = [i for feature in features for i in feature["input_ids"]]
        labels = [label for feature in features for label in feature["labels"]]
        positions = [p for feature in features for p in positions_of(feature["prefix"], feature["branches"])]
        batch: dict[str, Any] = {
            "input_ids": torch.tensor([ids]),
            "labels": torch.tensor([labels]),
            "position_ids": torch.tensor([positions]),
        }
        if any(feature["branches"] for feature in features):
            start, trees = 0, []
            for feature in features:
                trees.append((start, feature["prefix"], list(feature["branches"])))
                start += len(feature["input_ids"])
            batch["trees"] = trees
        return batch


def positions_of(prefix: int, branches: Sequence[int]) -> list[int]:
    """Positions of a tree's tokens: every branch goes on where the prefix ends."""
    return [*range(prefix), *(prefix + i for length in branches for i in range(length))]
