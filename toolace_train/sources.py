"""Where training rows come from: files, folders of files, data sets of the hub. Read item by item, none skipped."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolace.dialogs import Dialog
from toolace.errors import InputError
from toolace.formats import from_any
from toolace.rows import read_json, sha256, strict_json
from toolace_train.settings import DataSource

SUFFIXES = (".jsonl", ".json", ".parquet")
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_BATCH = 256


@dataclass(frozen=True)
class Item:
    """One row as it was found.

    Attributes:
        file: the file or data set.
        where: `file:line`, or the number of the row in its file or data set.
        id: the id of a row that has none.
        row: what was read.
        problem: why it could not be read, or None.
    """

    file: str
    where: str
    id: str
    row: Any = None
    problem: InputError | None = None

    def dialog(self) -> Dialog:
        """The row as a Dialog, in whatever format it is.

        Raises:
            InputError: it cannot be read; names the place.
        """
        if self.problem:
            raise self.problem
        try:
            dialog = from_any(self.row)
        except InputError as error:
            inner = f" ({error.where})" if error.where else ""
            raise InputError(error.what, where=self.where + inner, fix=error.fix) from None
        except RecursionError:
            raise InputError("is nested too deep", where=self.where, fix="Repair or drop the row.") from None
        return dialog if dialog.id else replace(dialog, id=self.id)


class Files:
    """The rows of files on this machine, in order."""

    def __init__(self, name: str, files: Sequence[Path]) -> None:
        self.name, self.files = name, files

    def items(self) -> Iterator[Item]:
        """Yields every row; broken ones with their problem.

        Raises:
            InputError: a file cannot be opened, or holds no rows.
        """
        for file in self.files:
            items = _parquet(file) if file.suffix == ".parquet" else _list(file) if _is_list(file) else _lines(file)
            count = 0
            for item in items:
                count += 1
                yield item
            if not count:
                fix = "Run `toolace generate` for it, or name another file."
                raise InputError("holds no rows", where=file, fix=fix)

    def digest(self) -> str:
        """A fingerprint of the content."""
        return " ".join(sha256(file) for file in self.files)


class HubRows:
    """The rows of a data set from the hub."""

    def __init__(self, source: DataSource) -> None:
        self.name = source.path
        self.rows = _from_hub(source)

    def items(self) -> Iterator[Item]:
        """Yields every row."""
        for number, row in enumerate(self.rows, 1):
            yield Item(self.name, f"{self.name}: row {number}", f"{self.name.split('/')[1]}-{number}", row)

    def digest(self) -> str:
        """A fingerprint of the content: the library's own is private."""
        digest = hashlib.sha256()
        for item in self.items():
            digest.update(repr(item.row).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def as_source(entry: str | DataSource) -> DataSource:
    """An entry of `data.files` in its long form."""
    return DataSource(entry) if isinstance(entry, str) else entry


def open_source(source: DataSource) -> Files | HubRows:
    """The rows an entry names.

    Raises:
        InputError: there is no such file, folder or data set.
    """
    path = Path(source.path).expanduser()
    if path.exists():
        return Files(source.path, _files(path))
    if path.suffix in SUFFIXES or not _HUB_ID.fullmatch(source.path):
        fix = "Make it with `toolace generate RECIPE`, or name another in data.files."
        raise InputError("no such file of training rows", where=source.path, fix=fix)
    return HubRows(source)


def local_files(entries: Iterable[str | DataSource]) -> list[Path]:
    """All files on this machine that the entries name; what is missing is left out, for `open_source` to report."""
    paths = [Path(as_source(entry).path).expanduser() for entry in entries]
    return [file for path in paths if path.exists() for file in (_in_folder(path) if path.is_dir() else [path])]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = _in_folder(path)
    if not found:
        raise InputError(f"holds no file that ends with {', '.join(SUFFIXES)}", where=path, fix="Name another folder.")
    return found


def _in_folder(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())


def _is_list(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            first = next((line for line in stream if line.strip()), b"")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, fix="Check the path.") from None
    return first.lstrip().startswith(b"[")


def _list(path: Path) -> Iterator[Item]:
    for number, row in enumerate(read_json(path), 1):
        yield Item(str(path), f"{path}: item {number}", f"{path.stem}-{number}", row)


def _lines(path: Path) -> Iterator[Item]:
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            if raw.strip():
                yield _line(path, number, raw)


def _line(path: Path, number: int, raw: bytes) -> Item:
    where, id_ = f"{path}:{number}", f"{path.stem}-{number}"
    try:
        return Item(str(path), where, id_, strict_json(raw.decode("utf-8-sig" if number == 1 else "utf-8")))
    except UnicodeDecodeError as error:
        problem = InputError(f"is not UTF-8 (byte {error.start})", where=where, fix="Save the file as UTF-8.")
    except (ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        problem = InputError(f"is not JSON ({reason})", where=where, fix="Put one JSON object on each line.")
    return Item(str(path), where, id_, problem=problem)


def _parquet(path: Path) -> Iterator[Item]:
    import pyarrow
    import pyarrow.parquet

    try:
        number = 0
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield Item(str(path), f"{path}: row {number}", f"{path.stem}-{number}", row)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"is no Parquet file ({reason})", where=path, fix="Write the file again.") from None


def _from_hub(source: DataSource) -> Any:
    from datasets import load_dataset

    try:
        return load_dataset(source.path, source.name or None, split=source.split)
    except Exception as error:
        # Offline, gated, misspelt, another split or a script: the library raises a dozen kinds.
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        fix = "Check the id and the split, `hf auth login` for gated ones, or download it and name the folder."
        what = f"is neither a file or folder here nor a data set that the hub gives ({reason})"
        raise InputError(what, where=source.path, fix=fix) from None
