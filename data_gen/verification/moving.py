"""Moving rows that a later judge rejects from `verified.jsonl` to `rejected.jsonl`, together with the ledger.

    with Moving(folder) as moving:
        moving.keep(line)
        moving.reject(line, (type, source, rule))

Everything that can fail is done beside the files: the new rows are written and the new ledger is computed first, and
the files change places last, all or none. A ledger that is not of these rows is one clear error, and no file changes.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from data_gen.verification.ledger import Key, Ledger
from toolace import InputError
from toolace.file_sets import FileSet


class Moving:
    """New versions of a folder's files, put in place when the block ends without an error.

    Args:
        folder: where verification wrote.

    Attributes:
        moved: how many rows were rejected, by (type, source, rule).
        cost: what they had cost, by (rule, unit); added to the ledger's.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.moved: Counter[Key] = Counter()
        self.cost: Counter[tuple[str, str]] = Counter()
        self._streams: dict[str, IO[str]] = {}
        self._files = FileSet(folder)

    def __enter__(self) -> Moving:
        self._files.__enter__()
        try:
            if (self.folder / "rejected.jsonl").exists():
                shutil.copyfile(self.folder / "rejected.jsonl", self._files.path("rejected.jsonl"))
        except OSError as error:
            self._files.__exit__(type(error), error, None)
            raise self._files.refused(error) from None
        return self

    def keep(self, line: str) -> None:
        """Writes a row to the new `verified.jsonl`."""
        self.write("verified.jsonl", line)

    def reject(self, line: str, key: Key) -> None:
        """Writes a row to the new `rejected.jsonl`, and counts it as moved."""
        self.write("rejected.jsonl", line)
        self.moved[key] += 1

    def write(self, name: str, text: str) -> None:
        """Adds a text to a file; to rows that were rejected before, when it is `rejected.jsonl`."""
        try:
            if name not in self._streams:
                self._streams[name] = self._files.path(name).open("a", encoding="utf-8")
            self._streams[name].write(text)
        except OSError as error:
            raise self._files.refused(error) from None

    def begin(self, name: str) -> None:
        """Makes a file that is there even when nothing is written to it."""
        self.write(name, "")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.begin("verified.jsonl")
                self._close()
                self._write_ledger()
        except BaseException as problem:
            with contextlib.suppress(OSError):
                self._close()
            self._files.__exit__(type(problem), problem, None)
            raise self._files.refused(problem) if isinstance(problem, OSError) else problem from None
        with contextlib.suppress(OSError):
            self._close()
        self._files.__exit__(kind, error, trace)

    def _close(self) -> None:
        for stream in self._streams.values():
            stream.close()

    def _write_ledger(self) -> None:
        """The new ledger, beside the new files; nothing when the folder has none."""
        if not (self.folder / "ledger.json").exists():
            return
        ledger = Ledger.read(self.folder)
        try:
            for (type_, source, rule), count in sorted(self.moved.items()):
                ledger = ledger.moved({(type_, source): count}, rule)
        except InputError as error:
            raise InputError(error.what, where=self.folder / "ledger.json", fix=error.fix) from None
        cost: Mapping[tuple[str, str], float] = Counter(ledger.cost) + self.cost
        Ledger(ledger.tally, cost).write(self._files.path("ledger.json").parent)
