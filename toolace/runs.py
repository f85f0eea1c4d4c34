"""Run: one folder for everything an experiment makes, with a manifest that says what is finished.

A stage that was finished with the same settings and the same input files is not run again: that is what makes a
killed run go on where it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from toolace.errors import InputError
from toolace.rows import read_json, sha256, write_json

PACKAGES = ("toolace", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "bfcl-eval")


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Installed versions of the packages that can change a result."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def command_line(argv: Sequence[str]) -> str:
    """The command as a user types it: what runs a recipe is accelerate, and `python -m toolace` is toolace."""
    program, *words = argv
    if program.endswith((".yaml", ".yml")):
        return shlex.join(["accelerate", "launch", *argv])
    return shlex.join(["toolace" if program.endswith("__main__.py") else Path(program).name, *words])


def code_digest(package: str) -> str:
    """A fingerprint of a package's source files: a stage made by other code is made again."""
    digest = hashlib.sha256()
    for place in import_module(package).__path__:
        root = Path(place)
        for path in sorted(p for p in root.rglob("*") if p.suffix in (".py", ".yaml", ".jinja")):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Run:
    """A run folder and its `manifest.json`: `{"stages": {name: {fingerprint, outputs, counts, seconds, versions}}}`."""

    def __init__(self, folder: str | Path) -> None:
        """Makes the folder when it is not there; InputError when that cannot be done."""
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fix = "Choose a folder you may write to with --out."
            raise InputError(f"cannot be made ({error.strerror})", where=self.folder, fix=fix) from None

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Holds the folder for this process; another one that works in it is waited for.

        A killed `make` leaves its child at work: without this, the next `make` would write into the same files.
        """
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"toolace: waiting for another process that works in {self.folder}", file=sys.stderr, flush=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it is on disk now; empty for a new run."""
        path = self.folder / "manifest.json"
        if not path.exists():
            return {"stages": {}}
        manifest = read_json(path)
        if not isinstance(manifest, dict) or not isinstance(manifest.get("stages"), dict):
            raise InputError("is no manifest of a run", where=path, fix="Delete it; the stages are then done again.")
        return manifest

    def stage(
        self,
        name: str,
        work: Callable[[], Mapping[str, Any]],
        *,
        settings: Mapping[str, Any],
        inputs: Sequence[Path] = (),
        outputs: Sequence[str],
    ) -> dict[str, Any]:
        """Does `work` unless it is done already, and records it.

        Args:
            work: makes the output files, whole, and returns counts for the manifest (`{"kept": 10, ...}`).
            settings: everything that decides the result; changed settings mean new work.
            inputs: files it reads; changed content means new work.
            outputs: file names inside the run folder; a missing or altered one means new work.

        Returns:
            The stage's record; `"reused": True` in it (not on disk) when nothing had to be done.
        """
        known = self.finished(name, settings=settings, inputs=inputs, outputs=outputs)
        if known:
            return {**known, "reused": True}
        start = time.monotonic()
        counts = dict(work())
        seconds = time.monotonic() - start
        return self.record(name, counts, seconds, settings=settings, inputs=inputs, outputs=outputs)

    def finished(
        self, name: str, *, settings: Mapping[str, Any], inputs: Sequence[Path] = (), outputs: Sequence[str]
    ) -> dict[str, Any] | None:
        """The record of a stage that was done with the same settings and inputs and whose outputs are untouched."""
        known: dict[str, Any] | None = self.manifest["stages"].get(name)
        if known and known.get("fingerprint") == self.fingerprint(settings, inputs):
            return known if self._intact(known.get("outputs") or {}, outputs) else None
        return None

    def record(
        self,
        name: str,
        counts: Mapping[str, Any],
        seconds: float,
        *,
        settings: Mapping[str, Any],
        inputs: Sequence[Path] = (),
        outputs: Sequence[str],
    ) -> dict[str, Any]:
        """Writes that a stage is finished into the manifest."""
        record = {
            "fingerprint": self.fingerprint(settings, inputs),
            "outputs": {output: sha256(self.folder / output) for output in outputs},
            "counts": dict(counts),
            "seconds": round(seconds, 2),
            "command": command_line(sys.argv),
            # a recipe may hold what JSON does not know, such as a date
            "settings": json.loads(json.dumps(dict(settings), default=str)),
            "versions": versions(),
        }
        manifest = self.manifest
        manifest["stages"][name] = record
        write_json(self.folder / "manifest.json", manifest)
        return record

    def fingerprint(self, settings: Mapping[str, Any], inputs: Sequence[Path] = ()) -> str:
        """SHA-256 over settings, the content of the input files and the toolkit's version."""
        facts = [dict(settings), [sha256(path) for path in inputs], versions(("toolace",))]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()

    def _intact(self, recorded: Mapping[str, str], outputs: Sequence[str]) -> bool:
        if set(recorded) != set(outputs):
            return False
        return all((self.folder / o).exists() and sha256(self.folder / o) == recorded[o] for o in outputs)
