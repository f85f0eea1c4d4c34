"""JSON Lines on disk: read with the line named in every error, written whole or not at all.

Every stage reads one kind of row and writes one kind of row, so these few functions carry all the data.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from toolace.errors import InputError

Row = dict[str, Any]


def dumps(value: Any) -> str:
    """One line of JSON, unicode kept readable, refusing NaN and infinities (they are not JSON).

    Lone surrogates, which models do emit, are written as escapes: UTF-8 cannot hold them.

    Raises:
        InputError: a number that JSON cannot hold.
    """
    return _dumps(value, None)


def _dumps(value: Any, indent: int | None) -> str:
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
        if not _encodable(text):
            text = json.dumps(value, indent=indent, allow_nan=False)
        return text
    except (ValueError, RecursionError) as error:
        problem = str(error) or type(error).__name__
        raise InputError(f"a value cannot be written as JSON ({problem})", fix="Repair the row.") from None


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_rows(path: str | Path) -> Iterator[tuple[int, Row]]:
    """Yields (line number from 1, object) for each non-empty line.

    Raises:
        InputError: the file is missing, is not UTF-8, or a line is not one JSON object.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError("is a folder, a JSON Lines file is needed", where=path, fix="Name a file in it.")
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(stream, 1):
                if raw.strip():
                    yield number, _parse_line(raw, path, number)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, fix="Check the path.") from None


def _parse_line(raw: bytes, path: Path, number: int) -> Row:
    where = f"{path}:{number}"
    try:
        row = strict_json(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 (byte {error.start})", where=where, fix="Save the file as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        problem = str(error) or type(error).__name__
        raise InputError(f"is not JSON ({problem})", where=where, fix="Put one JSON object on each line.") from None
    if not isinstance(row, dict):
        raise InputError(f"holds a JSON {type(row).__name__}, not an object", where=where, fix="Put one object a line.")
    return row


def strict_json(text: str, *, unique: bool = False) -> Any:
    """Parses JSON; ValueError for what Python accepts beyond it: NaN, infinities, and numbers that overflow to one.

    Args:
        unique: whether a member that an object names twice is an error too; otherwise the last one counts.
    """
    if text.startswith("\ufeff"):
        raise ValueError("begins with a byte order mark")
    return (_UNIQUE if unique else _STRICT).decode(text)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large for a number")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name, count = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the member {name!r} is there {count} times")
    return found


# Made once: `json.loads` makes a decoder at every call that is given options.
_STRICT = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
_UNIQUE = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_once)


def load(path: str | Path, build: Callable[[Row], Any]) -> Iterator[Any]:
    """Applies `build` to each row; an InputError raised by it is told again with `file:line` in front."""
    for number, row in read_rows(path):
        try:
            yield build(row)
        except InputError as error:
            where = f"{path}:{number}" + (f" ({error.where})" if error.where else "")
            raise InputError(error.what, where=where, fix=error.fix) from None


def write_text(path: str | Path, text: str | Iterable[str]) -> Path:
    """Writes the file beside its final place and renames it: a reader sees the old file or the new one, never half.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            for chunk in [text] if isinstance(text, str) else text:
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        _discard(temporary)
        fix = "Choose a folder you may write to, with space left."
        raise InputError(f"cannot be written ({error.strerror})", where=path, fix=fix) from None
    except BaseException:
        _discard(temporary)
        raise
    return path


def _discard(temporary: str) -> None:
    if temporary and Path(temporary).exists():
        Path(temporary).unlink()


def write_rows(path: str | Path, rows: Iterable[Row]) -> int:
    """Writes all rows as JSON Lines, whole or not at all; returns how many."""
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for row in rows:
            count += 1
            yield dumps(row) + "\n"

    write_text(path, lines())
    return count


def write_json(path: str | Path, value: Any) -> Path:
    """Writes one JSON document, indented, whole or not at all."""
    return write_text(path, _dumps(value, 1) + "\n")


def read_json(path: str | Path) -> Any:
    """Reads one JSON document; InputError when it is missing or broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, fix="Check the path.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON ({error})", where=path, fix="Write the file again.") from None


class RowLog:
    """An append-only JSON Lines file that survives kill -9: what is in it is finished, a torn last line is cut off.

    Used where rows come one by one and each costs something (generated answers). `seen` holds the ids in the file.
    """

    def __init__(self, path: str | Path, key: str = "id") -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("a+b")
        except OSError as error:
            fix = "Choose a folder you may write to."
            raise InputError(f"cannot be written ({error.strerror})", where=self.path, fix=fix) from None
        self.rows = self._recover(key)
        self._key = key
        self.seen = {row[key] for row in self.rows}

    def _recover(self, key: str) -> list[Row]:
        """Reads the whole rows and cuts a torn end off; a broken line with rows behind it is not ours to throw away."""
        self._stream.seek(0)
        lines = self._stream.readlines()
        rows: list[Row] = []
        good = 0
        for number, raw in enumerate(lines, 1):
            try:
                if not raw.endswith(b"\n"):
                    break
                row = _parse_line(raw, self.path, number)
                if key not in row:
                    raise InputError(f"has no {key!r}", where=f"{self.path}:{number}", fix="Move the file away.")
            except InputError:
                if number == len(lines):
                    break
                self.close()
                raise
            rows.append(row)
            good += len(raw)
        self._stream.truncate(good)
        return rows

    def append(self, rows: Iterable[Row]) -> None:
        """Adds rows and does not return before the disk has them."""
        rows = list(rows)
        self._stream.write("".join(dumps(row) + "\n" for row in rows).encode("utf-8"))
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self.seen.update(row[self._key] for row in rows)

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, as hexadecimal text."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
