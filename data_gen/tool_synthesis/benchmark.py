"""What the installed BFCL benchmark holds, so that neither its functions nor its questions get into training data.

The data files are read directly: importing the package makes folders beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from data_gen.tool_synthesis.similarity import SimilarityIndex, bigrams, grams, words_of
from toolace import InputError, Tool

GRAM = 8
SIMILAR = 0.5
PARAMETER_SHARE = 0.5


def data_folder() -> Path:
    """The folder `data` of the installed bfcl_eval.

    Raises:
        InputError: bfcl-eval is not installed.
    """
    spec = find_spec("bfcl_eval")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        folder = Path(place) / "data"
        if folder.is_dir():
            return folder
    fix = "It comes with toolace; install it again: pip install bfcl-eval."
    raise InputError("bfcl-eval is not installed, and overlap with BFCL cannot be checked without it", fix=fix)


def _rows(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Every object in every data file, questions and function documents, but not the answers."""
    for path in sorted(folder.rglob("*.json")):
        if "possible_answer" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        try:
            whole = json.loads(text)
            rows = whole if isinstance(whole, list) else [whole]
        except ValueError:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        yield from (row for row in rows if isinstance(row, Mapping))


def _functions(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    listed = row.get("function")
    for function in listed if isinstance(listed, list) else [listed or row]:
        if isinstance(function, Mapping) and isinstance(function.get("name"), str) and "parameters" in function:
            yield function


def _requests(value: Any) -> Iterator[str]:
    """User turns of a question field, however deep they are nested."""
    if isinstance(value, list):
        for item in value:
            yield from _requests(item)
    elif isinstance(value, Mapping):
        if value.get("role") == "user" and isinstance(value.get("content"), str):
            yield value["content"]
    elif isinstance(value, str):
        yield value


def names_of(name: str) -> set[str]:
    """The whole name and its last dotted segment, letters and digits only."""
    return {"".join(words_of(name)), "".join(words_of(name.rpartition(".")[2]))} - {""}


class BenchmarkFunctions:
    """The benchmark's functions, and whether a tool is one of them in other words."""

    def __init__(self, functions: Iterator[Mapping[str, Any]]) -> None:
        distinct: dict[str, Tool] = {}
        for function in functions:
            tool = Tool.from_json(function)
            distinct.setdefault(json.dumps([tool.name, tool.description, tool.parameters], sort_keys=True), tool)
        self.tools = tuple(distinct.values())
        self._by_name: dict[str, list[Tool]] = {}
        self._grams: dict[str, str] = {}
        sets = [bigrams(tool) for tool in self.tools]
        self._index = SimilarityIndex(SIMILAR, sets)
        for tool, set_ in zip(self.tools, sets, strict=True):
            for name in names_of(tool.name):
                self._by_name.setdefault(name, []).append(tool)
            for gram in grams(tool.description, GRAM):
                self._grams.setdefault(gram, tool.name)
            self._index.add(tool.name, set_)

    def overlap(self, tool: Tool) -> str | None:
        """Evidence of overlap: same name and half of the parameters, eight words of a description, similar text."""
        own = {"".join(words_of(name)) for name in tool.properties}
        for name in sorted(names_of(tool.name)):
            for known in self._by_name.get(name, ()):
                theirs = {"".join(words_of(parameter)) for parameter in known.properties}
                if len(own & theirs) >= PARAMETER_SHARE * len(theirs) and bool(own) == bool(theirs):
                    return f"same name as BFCL's {known.name} and {len(own & theirs)} of its {len(theirs)} parameters"
        for gram in sorted(grams(tool.description, GRAM)):
            if gram in self._grams:
                return f"shares the words {gram!r} with BFCL's {self._grams[gram]}"
        found = self._index.find(bigrams(tool))
        return f"{found[1]:.2f} similar to BFCL's {found[0]}" if found else None


class BenchmarkRequests:
    """The benchmark's user turns, and whether a text repeats one."""

    def __init__(self, requests: Iterator[str]) -> None:
        self._grams: dict[str, str] = {}
        self._whole: dict[str, str] = {}
        self.count = 0
        for request in requests:
            self.count += 1
            # A short request has no run of eight words; then the whole must be the same.
            if len(words_of(request)) < GRAM:
                self._whole.setdefault(" ".join(words_of(request)), request)
            for gram in grams(request, GRAM):
                self._grams.setdefault(gram, request)

    def overlaps(self, text: str) -> str | None:
        """Evidence when the text shares eight words in a row with a request, or is a short one; else None."""
        whole = " ".join(words_of(text))
        if whole and whole in self._whole:
            return f"the same as BFCL's {self._whole[whole]!r}"
        for gram in sorted(grams(text, GRAM)):
            if gram in self._grams:
                return f"shares the words {gram!r} with BFCL's {self._grams[gram][:120]!r}"
        return None


@cache
def benchmark_functions() -> BenchmarkFunctions:
    """All functions of the installed BFCL, read once.

    Raises:
        InputError: bfcl-eval is not installed.
    """
    return BenchmarkFunctions(function for row in _rows(data_folder()) for function in _functions(row))


@cache
def benchmark_requests() -> BenchmarkRequests:
    """All user questions of the installed BFCL, read once.

    Raises:
        InputError: bfcl-eval is not installed.
    """
    return BenchmarkRequests(text for row in _rows(data_folder()) for text in _requests(row.get("question")))
