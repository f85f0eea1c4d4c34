"""What benchmarks ask and offer: the requests and the functions in their files, whatever the files look like.

Read are the data of the installed BFCL, and folders: BFCL of other versions, API-Bank in any of its forms (dialogues,
test items, descriptions). Answers are not read. A file is walked through; an object that is a user's turn gives a
request, one with a name and parameters gives a function.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from data_gen.tool_synthesis.benchmark import data_folder
from toolace import InputError, Tool
from toolace.rows import strict_json

_PARAMETERS = ("parameters", "input_parameters", "inputSchema")
_TEXTS = ("question", "requirement", "query")
_SKIPPED = ("possible_answer", "init_database", "executable_eval_sanity_check")
_SPOKEN = re.compile(r"^User: (.+)$", re.MULTILINE)
# What API-Bank's instructions show as an example of a turn.
_EXAMPLE = re.compile(r"\[?User'?s? utt?erence\]?", re.IGNORECASE)
_DEPTH = 40


@dataclass(frozen=True)
class Item:
    """A request or a function of a benchmark.

    Attributes:
        benchmark: name of the benchmark, `BFCL v4` or the folder's.
        id: of the row it stands in, else file and line.
        content: the request's text, or the function as a Tool.
    """

    benchmark: str
    id: str
    content: str | Tool


def installed() -> Iterator[Item]:
    """The items of the installed BFCL.

    Raises:
        InputError: bfcl-eval is not installed.
    """
    yield from read_folder(data_folder(), "BFCL v4")


def downloaded() -> tuple[Path, ...]:
    """Folders of BFCL's earlier versions, where `toolace evaluate` keeps what it has downloaded; whole ones only."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toolace" / "bfcl"
    return tuple(sorted(path.parent for path in cache.glob("*/prompts.json")))


def items_of(value: Any, benchmark: str = "", id_: str = "") -> Iterator[Item]:
    """The requests and functions in a JSON value of any shape."""
    return _items(value, benchmark, id_, 0)


def read_folder(folder: str | Path, benchmark: str = "") -> Iterator[Item]:
    """The items of all JSON and JSON Lines files in a folder, named after it.

    Raises:
        InputError: there is no such folder, or nothing in it is a request or a function.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("is no folder", where=folder, fix="Give the folder with the benchmark's files.")
    found = False
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".jsonl")):
        if any(part in _SKIPPED for part in path.relative_to(folder).parts):
            continue
        for id_, value in _values(path):
            for item in items_of(value, benchmark or folder.name, id_):
                found = True
                yield item
    if not found:
        fix = "Give a folder with BFCL or API-Bank files."
        raise InputError("holds no requests and no functions", where=folder, fix=fix)


def _values(path: Path) -> Iterator[tuple[str, Any]]:
    """(id, value) of every row of a file of one JSON document or of one a line; BFCL calls both .json."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", where=path, fix="Check the file.") from None
    try:
        whole = strict_json(text)
        rows = whole if isinstance(whole, list) else [whole]
    except (ValueError, RecursionError):
        try:
            rows = [strict_json(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError) as error:
            raise InputError(f"is not JSON ({error})", where=path, fix="Repair or remove the file.") from None
    for number, row in enumerate(rows, 1):
        named = row.get("id") if isinstance(row, Mapping) and isinstance(row.get("id"), str) else None
        yield named or f"{path.name}:{number}", row


def _items(value: Any, benchmark: str, id_: str, depth: int) -> Iterator[Item]:
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for inner in value:
            yield from _items(inner, benchmark, id_, depth + 1)
    if not isinstance(value, Mapping):
        return
    function = _function(value)
    if function is not None:
        yield Item(benchmark, id_, function)
        return
    for text in _requests(value):
        yield Item(benchmark, id_, text)
    for tool in _described(value.get("instruction")):
        yield Item(benchmark, id_, tool)
    for key, inner in value.items():
        if key not in ("ground_truth", "expected_output", "result", "output", "apis"):
            yield from _items(inner, benchmark, id_, depth + 1)


def _function(value: Mapping[str, Any]) -> Tool | None:
    key = next((key for key in _PARAMETERS if isinstance(value.get(key), Mapping)), None)
    if key is None or not isinstance(value.get("name"), str):
        return None
    return _read_function(json.dumps([value["name"], value.get("description"), value[key]]))


@lru_cache(maxsize=16_384)
def _read_function(text: str) -> Tool | None:
    """The function of `[name, description, parameters]`; benchmarks show the same ones with question after question."""
    name, description, parameters = json.loads(text)
    try:
        return Tool.from_json({"name": name, "description": description, "parameters": parameters})
    except InputError:
        return None


def _requests(value: Mapping[str, Any]) -> Iterator[str]:
    if str(value.get("role")).lower() == "user":
        said = value.get("content", value.get("text"))
        if isinstance(said, str):
            yield said
    for key in _TEXTS:
        if isinstance(value.get(key), str):
            yield value[key]
    for key in ("input", "instruction"):
        if isinstance(value.get(key), str):
            yield from (text for text in _SPOKEN.findall(value[key]) if not _EXAMPLE.fullmatch(text.strip()))


def _described(text: Any) -> Iterator[Tool]:
    """The functions that an API-Bank instruction lists, one JSON object a line."""
    for line in text.splitlines() if isinstance(text, str) else ():
        if line.startswith("{"):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            tool = _function(value) if isinstance(value, Mapping) else None
            if tool is not None:
                yield tool
