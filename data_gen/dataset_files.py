"""The files of a data set: JSON Lines in ToolACE's form, and Parquet in each training format, written row by row."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from toolace import Dialog
from toolace.file_sets import FileSet
from toolace.formats import FORMATS
from toolace.rows import dumps

ROW_GROUP = 1_000


@dataclass(frozen=True)
class Extra:
    """What some row of a data set has in ToolACE's form, so that every row has a place for it.

    Readers of JSON Lines take the columns from the first rows: one that came later would be an error.

    Attributes:
        masked: turns that are not to be trained on.
        listed: tools listed in a way that is not read back.
    """

    masked: bool = False
    listed: bool = False


def columns(format_name: str, dialog: Dialog, extra: Extra) -> dict[str, Any]:
    """A dialog as a row of strings and lists of strings, which every reader of Parquet types the same way.

    Arguments, tools and meta are objects of any shape; Arrow would give every row the members of all the others. They
    are JSON text here, as OpenAI's arguments are; `toolace convert` reads them either way.
    """
    row = toolace_row(dialog, extra) if format_name == "toolace" else FORMATS[format_name].to_row(dialog)
    for key in ("tools", "meta"):
        if key in row and not isinstance(row[key], str):
            row[key] = dumps(row[key])
    if "messages" in row:
        row["messages"] = [_message(message) for message in row["messages"]]
    return row


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    calls = [
        {"id": call["id"], "type": "function", "function": _with_text(call["function"])}
        for call in message.get("tool_calls") or ()
    ]
    plain = {key: message.get(key) for key in ("role", "content", "tool_call_id", "name")}
    return {**plain, "tool_calls": calls}


def _with_text(function: Mapping[str, Any]) -> dict[str, str]:
    return {"name": function["name"], "arguments": dumps(function["arguments"])}


def _schema(format_name: str, extra: Extra) -> Any:
    import pyarrow as pa

    text = pa.string()
    beside = [("id", text), ("type", text), ("meta", text)]
    turns = pa.list_(pa.struct([("from", text), ("value", text)]))
    if format_name == "trl":
        function = pa.struct([("name", text), ("arguments", text)])
        call = pa.struct([("id", text), ("type", text), ("function", function)])
        parts = [
            ("role", text),
            ("content", text),
            ("tool_call_id", text),
            ("name", text),
            ("tool_calls", pa.list_(call)),
        ]
        return pa.schema([("messages", pa.list_(pa.struct(parts))), ("tools", text), *beside])
    if format_name == "toolace":
        if extra.masked:  # the other formats say it in meta
            turns = pa.list_(pa.struct([("from", text), ("value", text), ("train", pa.bool_())]))
        return pa.schema([("system", text), ("conversations", turns), *([("tools", text)] if extra.listed else [])])
    own = [("system", text), ("tools", text)] if format_name == "sharegpt" else []
    return pa.schema([("conversations", turns), *own, *beside])


def toolace_row(dialog: Dialog, extra: Extra) -> dict[str, Any]:
    """A dialog in ToolACE's form, with the extra columns: `train` at every assistant turn, `tools` as JSON text."""
    row = FORMATS["toolace"].to_row(dialog)
    for turn in row["conversations"] if extra.masked else ():
        if turn["from"] == "assistant":
            turn.setdefault("train", True)
    if extra.listed:
        row.setdefault("tools", "[]")
    return row


def packed(format_name: str, rows: Sequence[Mapping[str, Any]], extra: Extra) -> bytes:
    """Rows of `columns` as an Arrow stream, to be sent between processes."""
    import pyarrow as pa

    schema = _schema(format_name, extra)
    plain = [{name: _encodable(row.get(name)) for name in schema.names} for row in rows]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(pa.Table.from_pylist(plain, schema=schema))
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


class SplitWriter:
    """Writes dialogs to their split's files; they appear in the folder when all are whole.

    Args:
        folder: of the data set; folders of formats that are not written any more are removed.
        splits: names of the splits.
        formats: names of the Parquet formats.
        extra: what some of the rows have.
    """

    def __init__(self, folder: Path, splits: Sequence[str], formats: Sequence[str], extra: Extra) -> None:
        self.folder, self.splits, self.formats, self.extra = folder, splits, formats, extra

    def __enter__(self) -> SplitWriter:
        import pyarrow.parquet as pq

        self._files = FileSet(self.folder).__enter__()
        self._lines = {s: self._files.path(f"{s}.jsonl").open("w", encoding="utf-8") for s in self.splits}
        self._tables: dict[tuple[str, str], Any] = {}
        self._waiting: dict[tuple[str, str], list[Any]] = {}
        for name in self.formats:
            for split in self.splits:
                path = self._files.path(f"{name}/{split}.parquet")
                self._tables[(name, split)] = pq.ParquetWriter(path, _schema(name, self.extra), compression="zstd")
                self._waiting[(name, split)] = []
        return self

    def add(self, lines: Mapping[str, Sequence[str]], tables: Mapping[tuple[str, str], bytes]) -> None:
        """Adds rows: JSON lines by split, and tables that `packed` made by (format, split)."""
        import pyarrow as pa

        for split, found in lines.items():
            self._lines[split].writelines(found)
        for key, table in tables.items():
            waiting = self._waiting[key]
            waiting.append(pa.ipc.open_stream(table).read_all())
            if sum(part.num_rows for part in waiting) >= ROW_GROUP:
                self._flush(*key)

    def _flush(self, name: str, split: str) -> None:
        import pyarrow as pa

        waiting = self._waiting[(name, split)]
        if waiting:
            table = pa.concat_tables(waiting).combine_chunks()
            self._tables[(name, split)].write_table(table, row_group_size=max(table.num_rows, 1))
            waiting.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._lines.values():
            stream.close()
        try:
            if kind is None:
                for name, split in self._tables:
                    self._flush(name, split)
            for table in self._tables.values():
                with contextlib.suppress(OSError):
                    table.close()
            if kind is None:
                self._remove_old()
        except BaseException as problem:
            self._files.__exit__(type(problem), problem, None)
            raise
        self._files.__exit__(kind, error, trace)
        for name in FORMATS:
            if name not in self.formats:
                with contextlib.suppress(OSError):  # only where nothing is left in it
                    (self.folder / name).rmdir()

    def _remove_old(self) -> None:
        """Files of ours that an earlier data set had and this one has not; a folder's other files may be somebody's."""
        for split in ("train", "validation", "test"):
            if split not in self.splits:
                self._files.remove(f"{split}.jsonl")
            for name in FORMATS:
                if name not in self.formats or split not in self.splits:
                    self._files.remove(f"{name}/{split}.parquet")


def _encodable(value: Any) -> Any:
    """The value with lone surrogates, which UTF-8 cannot hold, as the replacement character."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {key: _encodable(item) for key, item in value.items()}
    return value


def dataset_files(folder: Path) -> list[Path]:
    """What is published of a data set's folder: the card, JSON Lines of the splits, Parquet, reports the card names."""
    card = folder / "README.md"
    found = [card, *(folder / f"{split}.jsonl" for split in ("train", "validation", "test"))]
    found += [path for name in FORMATS for path in sorted((folder / name).glob("*.parquet"))]
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    # A folder may hold the ledger of other rows; the card names the one of these.
    found += [folder / name for name in ("ledger.md", "ledger.svg", "decontamination.md") if f"({name})" in text]
    return [path for path in found if path.is_file()]
