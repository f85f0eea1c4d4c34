"""Prompts as they were trained: the tokens of a training row up to where the loss begins to count.

The tokens are those that the run kept when it prepared its rows (`train_rows.npz`): mixed, shortened, masked and held
out as the training saw them. Where they are not kept, the rows are prepared once more in the same way.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.turn_masks import masked_ordinals
from toolace_train.data import PREPARED, MadeRow, RowMaker, TrainingSet, load_training_set, read_items
from toolace_train.held_out import hold_out
from toolace_train.prepared import read_prepared
from toolace_train.rendering import IGNORED, DialogRenderer, Rendered, Renderer
from toolace_train.run_settings import MonitorSettings
from toolace_train.sequences import Tree, make_trees
from toolace_train.settings import DataSettings

_AROUND = 6  # tokens that are told on each side of a difference


@dataclass(frozen=True)
class TrainedPrompt:
    """What a server must show the model for the last trained turn of a training row.

    Attributes:
        source: the row.
        messages, tools: what a client sends.
        ids: tokens that stood before the turn in training, [length].
        text: the same as text.
        answer: the trained answer, with the token that ends it.
    """

    source: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    ids: list[int]
    text: str
    answer: str


@dataclass(frozen=True)
class TrainedRows:
    """The sequences of a training.

    Attributes:
        rows: with their labels; rows that were held out, too long or refused are not among them.
        kept: whether these are the very tokens that the run kept; else they were rendered once more.
    """

    rows: Sequence[Rendered]
    kept: bool


def trained_rows(
    data: DataSettings, renderer: Renderer, facts: Mapping[str, Any], run: Path | None, counts: Mapping[str, Any]
) -> TrainedRows:
    """The rows that were trained on.

    Args:
        data: the section `data` of the training.
        renderer: tokenizer and chat template as trained.
        facts: what decided the weights: `seed` and `held_out` count here.
        run: the run folder; None when only the export is here.
        counts: what the training counted; kept tokens of another start of the run are told by them.

    Raises:
        InputError: the rows are not kept, and cannot be read again.
    """
    known = kept_rows(data, renderer, facts, run, counts)
    if known:
        return TrainedRows(known, True)
    made = load_training_set(data, renderer, seed=_seed(facts))
    return TrainedRows(_left(made, data, renderer, facts), False)


def kept_rows(
    data: DataSettings, renderer: Renderer, facts: Mapping[str, Any], run: Path | None, counts: Mapping[str, Any]
) -> list[Rendered] | None:
    """The rows that were trained on as the run kept them; None when it did not. See `trained_rows`."""
    kept = _kept(run / PREPARED, data) if run else None
    if kept is None:
        return None
    rows = _left(kept, data, renderer, facts)
    tokens = sum(len(row.input_ids) for row in rows)
    trained = sum(label != IGNORED for row in rows for label in row.labels)
    return rows if (tokens, trained) == (counts.get("tokens"), counts.get("trained")) else None


def example_text(
    data: DataSettings, renderer: Renderer, facts: Mapping[str, Any], run: Path, counts: Mapping[str, Any]
) -> str | None:
    """The prompt of the first row that was trained on, as text; None when no row can be had."""
    rows: Iterator[Rendered] | Sequence[Rendered] | None
    try:
        rows = kept_rows(data, renderer, facts, run, counts)
        if not rows:
            maker = RowMaker(DialogRenderer(data, renderer))
            rows = (row for item in read_items(data) for row in maker.make(item).rendered)
        first = next(iter(rows), None)
    except InputError:
        return None
    return None if first is None else str(renderer.tokenizer.decode(first.input_ids[: last_trained(first.labels)[0]]))


def _left(training: TrainingSet, data: DataSettings, renderer: Renderer, facts: Mapping[str, Any]) -> list[Rendered]:
    """The rows that are left when some are held out as in the training."""
    held_out = MonitorSettings(held_out=facts.get("held_out", 0))
    left = hold_out(training, held_out, data, renderer, _seed(facts)).training
    return [row for tree in left.trees for row in _rows(tree)]


def _seed(facts: Mapping[str, Any]) -> int:
    return int(facts.get("seed", 42))


def _kept(path: Path, data: DataSettings) -> TrainingSet | None:
    """The rows a run kept, before some are held out; None when there are none."""
    rows = read_prepared(path, _key(path))
    if rows is None:
        return None
    return TrainingSet(
        trees=make_trees(rows.rendered, data.max_length, data.share_prefix),
        rows=rows.kept + len(rows.rejected),
        kept=rows.kept,
        dropped=[],
        tokens=sum(len(row.input_ids) for row in rows.rendered),
        computed=0,
        trained=sum(label != IGNORED for row in rows.rendered for label in row.labels),
        cut=rows.cut,
    )


def _key(path: Path) -> str:
    """The key under which rows were kept: whatever code made them, they are what was trained on."""
    import numpy as np

    try:
        with np.load(path) as file:
            return str(json.loads(file["facts"].tobytes())["key"])
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error):
        return ""


def _rows(tree: Tree) -> Iterator[Rendered]:
    """The rows of a tree, each with the prompt they share."""
    if not tree.branches:
        yield Rendered(tree.input_ids, tree.labels, tree.sources[0], "")
        return
    start = tree.prefix
    for source, length in zip(tree.sources, tree.branches, strict=True):
        own = slice(start, start + length)
        ids, labels = (tokens[: tree.prefix] + tokens[own] for tokens in (tree.input_ids, tree.labels))
        yield Rendered(ids, labels, source, "")
        start += length


def prompts_of(rows: Sequence[Rendered], data: DataSettings, renderer: Renderer) -> list[TrainedPrompt]:
    """The prompts of some trained rows, with what a client sends for them; in the rows' order.

    Args:
        rows: trained sequences.
        data: the section `data` of the training.
        renderer: tokenizer and chat template that a server is given; it alone must render what was trained.

    Raises:
        InputError: a row is not in the files any more, or is not rendered to the tokens that were trained.
    """
    # Variables of the template are not given to servers, so that they must be in the template. No kept row is too long.
    alone = dataclasses.replace(data, chat_template_kwargs={}, over_length=_shortening(data))
    maker, wanted = RowMaker(DialogRenderer(alone, renderer)), defaultdict(list)
    for number, row in enumerate(rows):
        wanted[row.source].append(number)
    found: dict[int, TrainedPrompt] = {}
    apart: dict[int, str] = {}
    for item in read_items(data):
        try:
            dialog = item.dialog()
        except InputError:
            continue  # no row that was trained
        numbers = [number for number in wanted.get(f"{item.file} ({dialog.id})", ()) if number not in found]
        if not numbers:
            continue
        made = maker.make_dialog(item, dialog)
        for number in numbers:
            place = next((i for i, one in enumerate(made.rendered) if _same(one, rows[number])), None)
            if place is None:
                apart[number] = _difference(rows[number], made, renderer)
            else:
                found[number] = _prompt(rows[number], made, place, maker.dialogs)
        if len(found) == len(rows):
            break
    for number, row in enumerate(rows):
        if number not in found:
            fix = "Name the rows that were trained on with --rows, or export again when the chat template has changed."
            what = apart.get(number, "the row is not in the training files any more")
            raise InputError(what, where=row.source, fix=fix)
    return [found[number] for number in range(len(rows))]


def _shortening(data: DataSettings) -> Any:
    return "truncate_tools" if data.over_length == "truncate_tools" else "drop"


def _same(one: Rendered, other: Rendered) -> bool:
    return one.input_ids == other.input_ids and one.labels == other.labels


def _prompt(row: Rendered, made: MadeRow, place: int, dialogs: DialogRenderer) -> TrainedPrompt:
    """The prompt of the last turn that is trained in a row's sequence.

    Args:
        row: the sequence.
        made: all that its dialog becomes: one sequence, or one for each trained turn.
        place: which of them it is.
        dialogs: what renders dialogs.
    """
    messages, tools = dialogs.shown(made.dialog)
    said = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    masked = masked_ordinals(made.dialog)
    turns = [number for ordinal, number in enumerate(said) if ordinal not in masked]
    turn = turns[-1] if len(made.rendered) == 1 else turns[place]
    start, end = last_trained(row.labels)
    decode = dialogs.renderer.tokenizer.decode
    return TrainedPrompt(
        row.source,
        messages[:turn],
        tools,
        row.input_ids[:start],
        decode(row.input_ids[:start]),
        decode(row.input_ids[start:end]),
    )


def _difference(row: Rendered, made: MadeRow, renderer: Renderer) -> str:
    """Why a dialog is not the sequence that was trained."""
    if made.verdict:
        return f"the row cannot be rendered as it was trained: {made.verdict['evidence']}"
    served = min((one.input_ids for one in made.rendered), key=lambda ids: abs(len(ids) - len(row.input_ids)))
    if served == row.input_ids:
        return "other turns of the row are trained than when it was trained on"
    return f"the chat template does not write what was trained: {difference(row.input_ids, served, renderer.tokenizer)}"


def difference(trained: Sequence[int], served: Sequence[int], tokenizer: Any) -> str:
    """Where two lists of tokens part, with the text around it."""
    place = next(
        (i for i, pair in enumerate(zip(trained, served, strict=False)) if pair[0] != pair[1]),
        min(len(trained), len(served)),
    )
    first, last = max(0, place - _AROUND), place + _AROUND
    shown = [
        f"{len(ids)} tokens, [{place}] in {tokenizer.decode(list(ids[first:last]))!r}" for ids in (trained, served)
    ]
    return f"token {place} differs: trained {shown[0]}; served {shown[1]}"


def last_trained(labels: Sequence[int]) -> tuple[int, int]:
    """Where the last run of trained tokens begins and ends."""
    end = len(labels)
    while labels[end - 1] == IGNORED:
        end -= 1
    start = end
    while start and labels[start - 1] != IGNORED:
        start -= 1
    return start, end


def spread(rows: Sequence[Rendered], count: int) -> list[Rendered]:
    """`count` rows at even distances, the first included."""
    if len(rows) <= count:
        return list(rows)
    return [rows[i * len(rows) // count] for i in range(count)]
