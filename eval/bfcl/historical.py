"""Questions and gold of 2024: read from a local folder, or downloaded at a pinned commit and checked by SHA-256."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from toolace.errors import InputError

HERE = Path(__file__).parent
VARIABLE = "TOOLACE_BFCL_DATA"
SECONDS = 60.0  # for one file; the largest has 3.8 MB
SHORTEST_PROMPT = 50  # characters: shorter constants of the publisher's source are no prompts


@cache
def downloads() -> dict[str, Any]:
    """What is downloaded for each protocol: commit, addresses, and the SHA-256 and size of every file."""
    content: dict[str, Any] = json.loads((HERE / "downloads.json").read_text(encoding="utf-8"))
    return content


def data_folder(protocol: str, given: str | Path | None = None) -> Path:
    """The folder with the questions of a protocol of 2024.

    Args:
        protocol: `v3-2024` or `v1-2024`.
        given: a folder with the files, or one above it; without it the environment variable TOOLACE_BFCL_DATA, and
            without that the user's cache, which is filled by a download.

    Raises:
        InputError: a folder is given and the files are not in it, or they cannot be downloaded.
    """
    spec = downloads()[protocol]
    first = next(iter(spec["files"]))
    given = given or os.environ.get(VARIABLE)
    if given:
        for folder in (Path(given), Path(given) / str(spec["folder"])):
            if (folder / first).exists():
                return folder
        fix = f"It should hold {first} and the other files of {spec['data']}."
        raise InputError(f"holds no questions of protocol {protocol}", where=given, fix=fix)
    folder = cache_folder() / str(spec["folder"])
    if not (folder / "prompts.json").exists():  # written last: when it is there, so is everything else
        download(spec, folder)
    return folder


def cache_folder() -> Path:
    """Where downloads are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toolace" / "bfcl"


def read_checked(folder: Path, name: str, protocol: str) -> list[dict[str, Any]]:
    """Rows of a file, once its bytes are those of the pinned commit.

    Raises:
        InputError: the file is missing or is another one.
    """
    expected = downloads()[protocol]["files"][name]
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        fix = "Give the whole folder, or none, and it is downloaded."
        raise InputError(f"cannot be read ({error.strerror})", where=folder / name, fix=fix) from None
    _check(content, expected, folder / name)
    return [json.loads(line) for line in content.splitlines() if line.strip()]


def read_prompts(folder: Path, protocol: str) -> dict[str, str]:
    """The prompt texts of a protocol by name: `system_prompt` and what else it has.

    Raises:
        InputError: prompts.json is missing, broken, or holds other texts than those of the pinned commit.
    """
    path = folder / "prompts.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fix = "Give a folder with prompts.json, or none, and it is made from the download."
        raise InputError(f"cannot be read ({error})", where=path, fix=fix) from None
    texts = {}
    for name, expected in downloads()[protocol]["prompt_texts"].items():
        text = content.get(name) if isinstance(content, dict) else None
        if not isinstance(text, str) or _sha(text.encode()) != expected["sha256"]:
            raise InputError(f"has another {name} than the publisher", where=path, fix="Remove the file.")
        texts[name] = text
    return texts


def download(spec: Mapping[str, Any], folder: Path) -> None:
    """Fetches what is missing of a protocol's files, each checked before it is kept; prompts.json is written last.

    Raises:
        InputError: an address cannot be read, or gives other bytes than those of the pinned commit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, expected in spec["files"].items():
        target = folder / name
        if target.exists() and _sha(target.read_bytes()) == expected["sha256"]:
            continue
        content = _fetch(spec["data"] + name)
        _check(content, expected, spec["data"] + name)
        _write(target, content)
    texts = find_prompts(_fetch(spec["prompts"]).decode("utf-8"), spec["prompt_texts"], spec["prompts"])
    note = {"source": spec["prompts"], "licence": spec["licence"], **texts}
    _write(folder / "prompts.json", (json.dumps(note, indent=1, ensure_ascii=False) + "\n").encode())


def find_prompts(source: str, wanted: Mapping[str, Mapping[str, str]], where: str) -> dict[str, str]:
    """Prompt texts among the string constants of a Python source, which is parsed and never run; known by SHA-256.

    Raises:
        InputError: one is not there.
    """
    known: dict[str, str] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = _constant_text(node.value, known)
            if text is not None:
                known[node.targets[0].id] = text
    by_hash = {_sha(text.encode()): text for text in known.values() if len(text) >= SHORTEST_PROMPT}
    found = {}
    for name, expected in wanted.items():
        if expected["sha256"] not in by_hash:
            fix = "Give a folder with prompts.json instead."
            raise InputError(f"holds no {name} with the expected SHA-256", where=where, fix=fix)
        found[name] = by_hash[expected["sha256"]]
    return found


def _constant_text(node: ast.AST, known: Mapping[str, str]) -> str | None:
    """The text of a constant, a name assigned before, or a sum of them."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _constant_text(node.left, known), _constant_text(node.right, known)
        return None if left is None or right is None else left + right
    return None


def _fetch(address: str) -> bytes:
    if not address.startswith(("https://", "http://127.0.0.1:")):
        raise InputError("is not an https address", where=address, fix="Mend downloads.json.")
    try:
        with urlopen(address, timeout=SECONDS) as reply:
            content: bytes = reply.read()
    except (URLError, OSError) as error:
        fix = f"Connect to the network, or give a folder with the files: --data DIR or {VARIABLE}."
        raise InputError(f"cannot be downloaded ({error})", where=address, fix=fix) from None
    return content


def _check(content: bytes, expected: Mapping[str, Any], where: str | Path) -> None:
    if len(content) != expected["bytes"] or _sha(content) != expected["sha256"]:
        fix = "Remove the file; it is downloaded again when no folder is given."
        raise InputError("is not the file of the pinned commit (another SHA-256)", where=where, fix=fix)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
