"""Rows that are never trained on, and what the model makes of them: the assistant turns to be answered.

A turn is asked exactly as it would have been trained: its prompt is the row's own tokens up to where the loss begins to
count. It is judged by the calls it holds, as the evaluation judges them, not by its words.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from toolace.calls import Call, parse_calls
from toolace.comparison import same_calls
from toolace.errors import InputError
from toolace.native_calls import read_native_calls
from toolace_train.data import TrainingSet, load_training_set
from toolace_train.rendering import IGNORED, Renderer
from toolace_train.run_settings import MonitorSettings
from toolace_train.sequences import Tree
from toolace_train.settings import DataSettings


@dataclass(frozen=True)
class Turn:
    """One assistant turn of a held-out row.

    Attributes:
        source: the row.
        prompt: token ids before the turn.
        calls: what was called there; none for an answer in words.
    """

    source: str
    prompt: list[int]
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class HeldOut:
    """The turns to be answered, and the training set without their rows."""

    turns: list[Turn]
    rows: int
    training: TrainingSet


def hold_out(
    training: TrainingSet, settings: MonitorSettings, data: DataSettings, renderer: Renderer, seed: int
) -> HeldOut:
    """Reads or sets aside the held-out rows; rows of the training set that say the same are not trained on either.

    Raises:
        InputError: the file cannot be read, too few rows are there, or nothing is left to train on.
    """
    if not settings.held_out:
        return HeldOut([], 0, training)
    if isinstance(settings.held_out, str):
        # Rows that do not fit are no reason to stop a training.
        own = dataclasses.replace(data, files=[settings.held_out], share_prefix=False, over_length="drop")
        chosen = list(_parts(load_training_set(own, renderer, seed=seed).trees))
    else:
        chosen = _drawn(training, settings.held_out, seed)
    kept = without_rows(training, {tuple(part.ids) for part in chosen})
    turns = [turn for part in chosen for turn in _turns(part.source, part.ids, part.labels, renderer, data.rendering)]
    return HeldOut(turns, len({part.row for part in chosen}), kept)


@dataclass(frozen=True)
class _Part:
    """A sequence of a row, the shared prompt included; most rows are one."""

    row: int
    source: str
    ids: list[int]
    labels: list[int]


def _drawn(training: TrainingSet, count: int, seed: int) -> list[_Part]:
    """All sequences of `count` rows."""
    parts = list(_parts(training.trees))
    rows = list(dict.fromkeys(part.row for part in parts))
    if count >= len(rows):
        what = f"{count} rows cannot be set aside from {len(rows)}"
        raise InputError(what, where="monitor.held_out", fix="Give a smaller number, or a file of other rows.")
    places = random.Random(f"held out {seed}").sample(range(len(rows)), count)
    taken = {rows[place] for place in places}
    return [part for part in parts if part.row in taken]


def without_rows(training: TrainingSet, taken: set[tuple[int, ...]]) -> TrainingSet:
    """The training set without the rows of these token ids.

    A row of several sequences goes as a whole: the later ones hold the answers of the earlier ones.

    Raises:
        InputError: nothing is left.
    """
    parts = list(_parts(training.trees))
    rows = {part.row for part in parts if tuple(part.ids) in taken}
    trees = [tree for tree in (_pruned(tree, rows) for tree in training.trees) if tree]
    if not trees:
        what = "every training row is held out"
        raise InputError(what, where="monitor.held_out", fix="Name other rows, or fewer.")
    gone = [part for part in parts if part.row in rows]
    return dataclasses.replace(
        training,
        trees=trees,
        kept=training.kept - len(rows),
        tokens=training.tokens - sum(len(part.ids) for part in gone),
        computed=sum(len(tree.input_ids) for tree in trees),
        trained=training.trained - sum(label != IGNORED for part in gone for label in part.labels),
    )


def _pruned(tree: Tree, taken: set[int]) -> Tree | None:
    """The tree without the branches of these rows; None when nothing is left."""
    left = [i for i, row in enumerate(tree.rows) if row not in taken]
    if len(left) == len(tree.rows):
        return tree
    if not left:
        return None
    parts = list(_parts([tree]))
    if len(left) == 1:
        part = parts[left[0]]
        return Tree(part.ids, part.labels, len(part.ids), [], [part.source], [part.row])
    own = [(parts[i].ids[tree.prefix :], parts[i].labels[tree.prefix :]) for i in left]
    return Tree(
        [*tree.input_ids[: tree.prefix], *(token for ids, _ in own for token in ids)],
        [*tree.labels[: tree.prefix], *(label for _, labels in own for label in labels)],
        tree.prefix,
        [tree.branches[i] for i in left],
        [tree.sources[i] for i in left],
        [tree.rows[i] for i in left],
    )


def _parts(trees: Sequence[Tree]) -> Iterator[_Part]:
    """Every sequence of every tree, in order."""
    for tree in trees:
        if not tree.branches:
            yield _Part(tree.rows[0], tree.sources[0], tree.input_ids, tree.labels)
            continue
        start = tree.prefix
        for row, source, length in zip(tree.rows, tree.sources, tree.branches, strict=True):
            own = slice(start, start + length)
            ids = tree.input_ids[: tree.prefix] + tree.input_ids[own]
            yield _Part(row, source, ids, tree.labels[: tree.prefix] + tree.labels[own])
            start += length


def _turns(
    source: str, ids: Sequence[int], labels: Sequence[int], renderer: Renderer, rendering: str
) -> Iterator[Turn]:
    """Every trained turn of a row."""
    start = None
    for place, label in enumerate([*labels, IGNORED]):
        if label != IGNORED and start is None:
            start = place
        elif label == IGNORED and start is not None:
            said = renderer.tokenizer.decode(ids[start:place], skip_special_tokens=rendering == "toolace")
            yield Turn(source, list(ids[:start]), calls_in(said, rendering))
            start = None


def calls_in(text: str, rendering: str) -> tuple[Call, ...]:
    """The calls of an answer; broken ones are none."""
    if rendering == "native":
        return read_native_calls(_without_ending(text))
    parsed = parse_calls(text)
    return parsed.calls if parsed.ok else ()


def _without_ending(text: str) -> str:
    """Native answers are decoded with special tokens, some of which mark the calls; the one that ends it is cut."""
    for ending in ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>", "</s>"):
        text = text.rstrip().removesuffix(ending)
    return text


@dataclass(frozen=True)
class Score:
    """Answers of all devices: how many turns of each kind there are and how many were right."""

    calls: int
    calls_right: int
    words: int
    words_right: int

    def figures(self) -> dict[str, float]:
        """As shares; a kind of turn that is not there has none."""
        found = {}
        if self.calls:
            found["held_out_call_accuracy"] = round(self.calls_right / self.calls, 4)
        if self.words:
            found["held_out_no_call_accuracy"] = round(self.words_right / self.words, 4)
        return found


def score(turns: Sequence[Turn], answers: Sequence[str], rendering: str) -> list[float]:
    """[turns with calls, right ones, turns without, right ones]: numbers that can be added up over devices."""
    counts = [0.0] * 4
    for turn, answer in zip(turns, answers, strict=True):
        right = same_calls(turn.calls, calls_in(answer, rendering))
        kind = 0 if turn.calls else 2
        counts[kind] += 1
        counts[kind + 1] += right
    return counts


def endings(tokenizer: Any, model: Any) -> set[int]:
    """Tokens that end an answer."""
    named = model.generation_config.eos_token_id
    ends = {*named} if isinstance(named, list) else {named}
    return {end for end in {*ends, tokenizer.eos_token_id} if end is not None}
