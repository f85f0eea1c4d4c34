"""Files that belong together and change together: all are replaced, or none, also when the process is killed.

    with FileSet(folder) as files:
        files.path("verified.jsonl").write_text(...)
        files.path("rejected.jsonl").write_text(...)

The new files are written in a hidden folder beside the old ones. When the block ends, a list of them is written there,
and that decides: killed before, the old files stand as they were; killed after, whoever opens the folder next finishes
the renaming (`recover`). A hidden folder whose process is gone is removed then too.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from toolace.errors import InputError

_PREFIX = ".new."
_LOCK, _DECIDED = ".lock", ".decided"
_YOUNG = 60.0  # seconds


class FileSet:
    """New versions of files of a folder, put in place when the block ends without an error.

    Args:
        folder: made when it is not there.

    Raises:
        InputError: the folder cannot be written, or one of the names is a folder in it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._removed: list[str] = []

    def __enter__(self) -> FileSet:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            recover(self.folder)
            self._new = Path(tempfile.mkdtemp(dir=self.folder, prefix=_PREFIX))
            self._lock = FileLock(self._new / _LOCK)
            self._lock.acquire()
        except OSError as error:
            raise self.refused(error) from None
        return self

    def path(self, name: str) -> Path:
        """Where the new version of a file is written; `name` may lie in a folder: "trl/train.parquet"."""
        path = self._new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def remove(self, name: str) -> None:
        """A file that shall be gone, if it is there."""
        self._removed.append(name)

    def refused(self, error: OSError) -> InputError:
        """What to tell when writing fails."""
        fix = "Choose a folder you may write to, with space left."
        return InputError(f"cannot be written ({error.strerror})", where=self.folder, fix=fix)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._decide()
                _place(self._new, self.folder)
        except OSError as problem:
            raise self.refused(problem) from None
        finally:
            self._lock.release()
            shutil.rmtree(self._new, ignore_errors=True)

    def _decide(self) -> None:
        names = sorted(str(path.relative_to(self._new)) for path in self._new.rglob("*") if path.is_file())
        names = [name for name in names if name != _LOCK]
        for name in (*names, *self._removed):
            if (self.folder / name).is_dir():
                raise IsADirectoryError(0, f"{name} is a folder")
        for name in names:
            _flush(self._new / name)
        decided = self._new / f"{_DECIDED}.part"
        decided.write_text(json.dumps({"replace": names, "remove": self._removed}), encoding="utf-8")
        _flush(decided)
        decided.replace(self._new / _DECIDED)


def recover(folder: str | Path) -> None:
    """Finishes what a killed process had decided in a folder, and removes what it had not; others are left to work."""
    for found in sorted(Path(folder).glob(f"{_PREFIX}*")):
        with contextlib.suppress(Timeout, OSError):
            if not (found / _LOCK).exists() and time.time() - found.stat().st_mtime < _YOUNG:
                continue  # its process has made it just now, and not locked it yet
            with FileLock(found / _LOCK).acquire(blocking=False):
                if (found / _DECIDED).is_file():
                    _place(found, Path(folder))
            shutil.rmtree(found, ignore_errors=True)


def _place(new: Path, folder: Path) -> None:
    decided: dict[str, Sequence[str]] = json.loads((new / _DECIDED).read_text(encoding="utf-8"))
    for name in decided["replace"]:
        if (new / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).replace(folder / name)
    for name in decided["remove"]:
        (folder / name).unlink(missing_ok=True)


def _flush(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
