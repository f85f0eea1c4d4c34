"""From files of rows to sequences of token ids, with every row accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from toolace.errors import InputError
from toolace.formats import read_any, to_toolace
from toolace.rows import Row
from toolace_train.rendering import IGNORED, Rendered, Renderer
from toolace_train.sequences import Tree, make_trees
from toolace_train.settings import DataSettings


@dataclass(frozen=True)
class TrainingSet:
    """Sequences and what became of the rows.

    Attributes:
        trees: sequences in file order.
        rows: rows read; kept: rows in the sequences; dropped: rows over `max_length`.
        tokens: tokens of the kept rows, each counted alone; computed: tokens of the sequences (shared prompts once).
        trained: tokens the loss counts; cut: tokens of the dropped rows.
    """

    trees: list[Tree]
    rows: int
    kept: int
    dropped: list[str]
    tokens: int
    computed: int
    trained: int
    cut: int


def read_rows_of(files: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Yields (file and row id, ToolACE row) of every file.

    Raises:
        InputError: a missing, empty or broken file, named with its line.
    """
    for file in files:
        count = 0
        for dialog in read_any(file):
            count += 1
            yield f"{file} ({dialog.id})", to_toolace(dialog)
        if not count:
            raise InputError("holds no rows", where=file, fix="Run `toolace generate` for it, or name another file.")


def load_training_set(settings: DataSettings, renderer: Renderer) -> TrainingSet:
    """Reads, renders and groups all rows.

    Raises:
        InputError: see `read_rows_of` and `Renderer.render`; a row over `max_length` with `over_length: error`; nothing
            left to train on.
    """
    missing = [file for file in settings.files if not Path(file).exists()]
    if missing or not settings.files:
        where = missing[0] if missing else "data.files"
        fix = "Make it with `toolace generate RECIPE`, or name another in data.files."
        raise InputError("no such file of training rows", where=where, fix=fix)
    rendered: list[Rendered] = []
    dropped: list[str] = []
    cut = 0
    for source, row in tqdm(read_rows_of(settings.files), desc="rows", unit="row", leave=False):
        one = renderer.render(row, source)
        if len(one.input_ids) <= settings.max_length:
            rendered.append(one)
            continue
        if settings.over_length == "error":
            what = f"has {len(one.input_ids)} tokens, over data.max_length {settings.max_length}"
            raise InputError(what, where=source, fix="Raise max_length, or set data.over_length: drop.")
        dropped.append(source)
        cut += len(one.input_ids)
    if not rendered:
        fix = f"All {len(dropped)} rows are over data.max_length {settings.max_length}; raise it."
        raise InputError("nothing is left to train on", where=", ".join(settings.files), fix=fix)
    trees = make_trees(rendered, settings.max_length, settings.share_prefix)
    return TrainingSet(
        trees=trees,
        rows=len(rendered) + len(dropped),
        kept=len(rendered),
        dropped=dropped,
        tokens=sum(len(row.input_ids) for row in rendered),
        computed=sum(len(tree.input_ids) for tree in trees),
        trained=sum(label != IGNORED for row in rendered for label in row.labels),
        cut=cut,
    )


def to_dataset(trees: Sequence[Tree]) -> Any:
    """A `datasets.Dataset` with columns input_ids, labels, prefix, branches."""
    from datasets import Dataset

    columns = ("input_ids", "labels", "prefix", "branches")
    return Dataset.from_list([{name: getattr(tree, name) for name in columns} for tree in trees])
