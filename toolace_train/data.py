"""From rows of files, folders and the hub to sequences of token ids, with every row accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from tqdm import tqdm

from toolace.dialogs import Dialog
from toolace.errors import InputError
from toolace.rows import write_rows
from toolace_train.mixing import amounts, check_amounts, drawn
from toolace_train.ordered_threads import in_order
from toolace_train.over_length import without_distractors
from toolace_train.prepared import PreparedRows, SourceCount, key_of, read_prepared, write_prepared
from toolace_train.rendering import IGNORED, DialogRenderer, Rendered, Renderer, Unrenderable
from toolace_train.sequences import Tree, make_trees
from toolace_train.settings import DataSettings, DataSource
from toolace_train.sources import Files, HubRows, Item, as_source, open_source

REJECTED = "train_rejected.jsonl"
PREPARED = "train_rows.npz"


@dataclass(frozen=True)
class TrainingSet:
    """Sequences and what became of the rows: `rows` = `kept` + the sum of `rejected`.

    Attributes:
        trees: sequences in file order.
        rows: rows drawn; kept: rows in the sequences; dropped: rows over `max_length`.
        tokens: tokens of the kept rows, each counted alone; computed: tokens of the sequences (shared prompts once).
        trained: tokens the loss counts; cut: tokens of the dropped rows.
        rejected: how many rows were left out, by rule; the rows are in `train_rejected.jsonl`.
        shortened: rows that fit because tools were removed; removed: how many tools.
        sources: counts of each entry of `data.files`.
        reused: whether the rows had been tokenised before.
    """

    trees: list[Tree]
    rows: int
    kept: int
    dropped: list[str]
    tokens: int
    computed: int
    trained: int
    cut: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    shortened: int = 0
    removed: int = 0
    sources: Sequence[SourceCount] = ()
    reused: bool = False

    def report(self) -> list[str]:
        """What became of the rows, a line a fact."""
        lines = [
            f"{source.name}: {source.drawn:,} of {source.read:,} rows drawn, {source.kept:,} used"
            for source in self.sources
        ]
        if self.shortened:
            lines.append(f"{self.shortened:,} rows fit after {self.removed:,} unused tools were removed")
        lines += [f"{count:,} rows left out: {rule} (see {REJECTED})" for rule, count in sorted(self.rejected.items())]
        return lines


def load_training_set(
    settings: DataSettings, renderer: Renderer, *, seed: int = 42, folder: str | Path | None = None
) -> TrainingSet:
    """Reads, mixes, renders and groups all rows.

    Args:
        settings: the section `data`.
        renderer: tokenizer and template; `settings.rendering` decides what is done with them.
        seed: which rows are drawn where an entry wants only some.
        folder: the run folder, for `train_rows.npz` (tokenised once, read by the next start and by the other processes
            of a run) and `train_rejected.jsonl`; None writes nothing.

    Raises:
        InputError: a missing, empty or broken file or row; a row over `max_length` with `over_length: error`; nothing
            left to train on.
    """
    sources = [as_source(entry) for entry in settings.files]
    if not sources:
        raise InputError("names no rows", where="data.files", fix="Name files, folders or data sets of the hub.")
    check_amounts(sources)
    opened = [open_source(source) for source in sources]
    dialogs = DialogRenderer(settings, renderer)
    if folder is None:
        rows, reused = _prepare(sources, opened, dialogs, seed), False
    else:
        rows, reused = _prepared_once(Path(folder), sources, opened, dialogs, seed)
    return _training_set(rows, settings, reused)


def _prepared_once(
    folder: Path, sources: Sequence[DataSource], opened: Sequence[Files | HubRows], dialogs: DialogRenderer, seed: int
) -> tuple[PreparedRows, bool]:
    """The rows, and whether they were there: the first process makes them, the others wait and read."""
    folder.mkdir(parents=True, exist_ok=True)
    key = key_of(dialogs, seed, [source.digest() for source in opened])
    with FileLock(folder / ".train_rows.lock"):
        known = read_prepared(folder / PREPARED, key)
        rows = known or _prepare(sources, opened, dialogs, seed)
        if known is None or not (folder / REJECTED).exists():
            write_rows(folder / REJECTED, rows.rejected)
        if known is None:
            write_prepared(folder / PREPARED, rows, key)
    return rows, known is not None


def _prepare(
    sources: Sequence[DataSource], opened: Sequence[Files | HubRows], dialogs: DialogRenderer, seed: int
) -> PreparedRows:
    rows = PreparedRows()
    partly = any(source.weight is not None or source.rows is not None for source in sources)
    available = [sum(1 for _ in source.items()) for source in opened] if partly else [0] * len(sources)
    taken = amounts(sources, available)
    maker = RowMaker(dialogs)
    prefixes: dict[str, str] = {}
    for place, (source, found) in enumerate(zip(sources, opened, strict=True)):
        wanted = drawn(source, place, available[place], taken[place], seed)
        count = SourceCount(source.path)
        rows.sources.append(count)
        bar = tqdm(found.items(), desc=source.path, unit="row", leave=False, disable=None)
        for made in in_order(maker.make, _wanted(bar, wanted, count)):
            if made.verdict:
                rows.rejected.append(made.rejected())
                rows.cut += made.length if made.verdict["rule"] == "over_length" else 0
                continue
            row = rows.rendered[-1].row + 1 if rows.rendered else 0
            count.kept += 1
            rows.shortened += made.removed > 0
            rows.removed += made.removed
            # One text for all rows that share it; none when nothing is shared.
            shared = dialogs.settings.share_prefix
            rows.rendered += [
                replace(one, prefix=prefixes.setdefault(one.prefix, one.prefix) if shared else "", row=row)
                for one in made.rendered
            ]
    rows.kept = sum(source.kept for source in rows.sources)
    return rows


def _wanted(items: Iterable[Item], wanted: set[int] | None, count: SourceCount) -> Iterator[Item]:
    for number, item in enumerate(items):
        count.read += 1
        if wanted is None or number in wanted:
            count.drawn += 1
            yield item


@dataclass(frozen=True)
class MadeRow:
    """What one row becomes: sequences, or a verdict.

    Attributes:
        source: the file and the row's id.
        dialog: the row, without the tools that were removed.
        rendered: its sequences; for a row that is too long those that do not fit.
        length: tokens of the longest sequence, 0 when it was not rendered.
        removed: tools that were removed so that it fits.
        verdict: why it is rejected: rule, evidence, where.
    """

    source: str
    dialog: Dialog
    rendered: Sequence[Rendered] = ()
    length: int = 0
    removed: int = 0
    verdict: Mapping[str, str] | None = None

    def rejected(self) -> dict[str, Any]:
        """The row of `train_rejected.jsonl`."""
        return {**self.dialog.to_json(), "source": self.source, "verdict": dict(self.verdict or {})}


class RowMaker:
    """Renders rows one by one and judges them; training and `toolace audit` both ask it."""

    def __init__(self, dialogs: DialogRenderer) -> None:
        self.dialogs, self.settings = dialogs, dialogs.settings

    def make(self, item: Item) -> MadeRow:
        """Renders one row.

        Raises:
            InputError: it cannot be read; or it is too long and that is an error.
        """
        return self.make_dialog(item, item.dialog())

    def make_dialog(self, item: Item, dialog: Dialog) -> MadeRow:
        """Renders the dialog of an item.

        Raises:
            InputError: it is too long and that is an error.
        """
        source = f"{item.file} ({dialog.id})"
        try:
            rendered = self.dialogs.render(dialog, source)
        except InputError as error:
            rule = error.rule if isinstance(error, Unrenderable) else "row"
            return MadeRow(source, dialog, verdict={"rule": rule, "evidence": error.what, "where": item.where})
        length = _longest(rendered)
        if length <= self.settings.max_length:
            return MadeRow(source, dialog, rendered, length)
        return self._too_long(item, dialog, source, rendered)

    def _too_long(self, item: Item, dialog: Dialog, source: str, rendered: Sequence[Rendered]) -> MadeRow:
        length, limit = _longest(rendered), self.settings.max_length
        what = f"has {length} tokens, over data.max_length {limit}"
        if self.settings.over_length == "error":
            raise InputError(what, where=source, fix="Raise max_length, or set data.over_length: drop.")
        removable = 0
        if self.settings.over_length == "truncate_tools":
            shorter, removable = without_distractors(dialog, lambda it: self._length(it, source) <= limit)
            if shorter:
                fitting = self.dialogs.render(shorter, source)
                return MadeRow(source, shorter, fitting, _longest(fitting), removable)
            what += f", and without its {removable} unused tools still"
        verdict = {"rule": "over_length", "evidence": what, "where": item.where}
        return MadeRow(source, dialog, rendered, length, 0, verdict)

    def _length(self, dialog: Dialog, source: str) -> int:
        return _longest(self.dialogs.render(dialog, source))


def _longest(rendered: Sequence[Rendered]) -> int:
    return max(len(one.input_ids) for one in rendered)


def _training_set(rows: PreparedRows, settings: DataSettings, reused: bool) -> TrainingSet:
    rejected = Counter(row["verdict"]["rule"] for row in rows.rejected)
    count = sum(source.drawn for source in rows.sources)
    if not rows.rendered:
        raise _nothing_left(rows, settings, rejected)
    assert count == rows.kept + len(rows.rejected), "a row got lost"
    trees = make_trees(rows.rendered, settings.max_length, settings.share_prefix)
    return TrainingSet(
        trees=trees,
        rows=count,
        kept=rows.kept,
        dropped=[row["source"] for row in rows.rejected if row["verdict"]["rule"] == "over_length"],
        tokens=sum(len(row.input_ids) for row in rows.rendered),
        computed=sum(len(tree.input_ids) for tree in trees),
        trained=sum(label != IGNORED for row in rows.rendered for label in row.labels),
        cut=rows.cut,
        rejected=dict(rejected),
        shortened=rows.shortened,
        removed=rows.removed,
        sources=rows.sources,
        reused=reused,
    )


def _nothing_left(rows: PreparedRows, settings: DataSettings, rejected: Counter[str]) -> InputError:
    count = len(rows.rejected)
    if set(rejected) == {"over_length"}:
        fix = f"All {count} rows are over data.max_length {settings.max_length}; raise it."
    else:
        rule, often = rejected.most_common(1)[0]
        first = next(row for row in rows.rejected if row["verdict"]["rule"] == rule)
        fix = f"{often} of {count} rows: {rule}, such as {first['source']}: {first['verdict']['evidence']}."
    return InputError("nothing is left to train on", where=", ".join(source.name for source in rows.sources), fix=fix)


def read_items(settings: DataSettings) -> Iterator[Item]:
    """Every row of every entry of `data.files`, whole sources, unread rows with their problem.

    Raises:
        InputError: a missing or empty file.
    """
    for entry in settings.files:
        yield from open_source(as_source(entry)).items()


def to_dataset(trees: Sequence[Tree]) -> Any:
    """A `datasets.Dataset` with columns input_ids, labels, prefix, branches, and length for length grouping."""
    import numpy as np
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [np.array(tree.input_ids, dtype=np.int32) for tree in trees],
            "labels": [np.array(tree.labels, dtype=np.int32) for tree in trees],
            "prefix": [tree.prefix for tree in trees],
            "branches": [np.array(tree.branches, dtype=np.int32) for tree in trees],
            "length": [len(tree.input_ids) for tree in trees],
        }
    )
