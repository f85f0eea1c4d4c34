"""Files of rows as they come from anywhere: JSON Lines, one JSON list, Parquet; read about a megabyte at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolace import InputError
from toolace.rows import read_json

Numbered = tuple[int, Any]  # line number and raw line, or item number and item

CHUNK_BYTES = 1 << 20
CHUNK_ITEMS = 256
# our choice: below four megabytes starting other processes costs more than it saves.
_PARALLEL_BYTES = 4 << 20
_PARQUET, _GZIP = b"PAR1", b"\x1f\x8b"


def jobs_for(path: Path) -> int:
    """How many processes reading a file is worth: one a core when it is large."""
    if not path.is_file() or path.stat().st_size < _PARALLEL_BYTES:
        return 1
    return cores()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def chunks(path: Path) -> Iterator[list[Numbered]]:
    """The rows of a JSON Lines file (numbered lines, bytes), of a JSON list or a Parquet file (numbered items).

    Raises:
        InputError: the file cannot be read, is packed, or its list is no JSON.
    """
    if path.is_dir():
        raise InputError("is a folder, a file is needed", where=path, fix="Name a file in it.")
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
        if head == _PARQUET:
            yield from _parquet(path)
            return
        if head.startswith(_GZIP):
            raise InputError("is packed with gzip", where=path, fix=f"Unpack it: gunzip {path.name}")
        if _starts_list(path):
            items = list(enumerate(read_json(path), 1))
            yield from (items[i : i + CHUNK_ITEMS] for i in range(0, len(items), CHUNK_ITEMS))
            return
        number = 1
        with path.open("rb") as stream:
            while lines := stream.readlines(CHUNK_BYTES):
                yield [(number + i, raw) for i, raw in enumerate(lines) if raw.strip()]
                number += len(lines)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, fix="Check the path.") from None


def _parquet(path: Path) -> Iterator[list[Numbered]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 1
    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(CHUNK_ITEMS):
                items = batch.to_pylist()
                yield list(enumerate(items, number))
                number += len(items)
    except pa.ArrowException as error:
        problem = " ".join(str(error).split())[:200]
        raise InputError(f"is no Parquet file that can be read ({problem})", where=path, fix="Get it again.") from None


def _starts_list(path: Path) -> bool:
    """Whether the file is one JSON list; a file whose first line is a whole list is JSON Lines all the same."""
    with path.open("rb") as stream:
        first = next((line for line in stream if line.strip()), b"").strip()
        rest = next((line for line in stream if line.strip()), b"")
    if not first.startswith(b"["):
        return False
    try:
        return not rest or not isinstance(json.loads(first), list)
    except (ValueError, RecursionError):
        return True
