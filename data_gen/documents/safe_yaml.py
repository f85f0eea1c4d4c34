"""YAML of strangers: read from parser events, so that no nesting, alias or merge can exhaust the stack or the memory.

PyYAML's own composer calls itself for every level (100,000 opening brackets end the process) and reads `on`, `no`,
`12:30` and dates as something else than the text that API documents mean. Here a stack takes the place of the calls,
and plain values follow the core schema of YAML 1.2: null, true, false, integers, floats; the rest is text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

# our choice: API documents nest below 60; libyaml's time grows with the square of flow nesting.
DEPTH = 200
# our choice: values after all aliases are written out; the largest public API description holds 3 million.
EXPANDED = 8_000_000

_INTEGER = re.compile(r"[-+]?\d{1,300}")
_FLOAT = re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d{1,5})?")
_CONSTANTS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_STARTS = frozenset("+-.0123456789")
_MERGE = "<<"


class YamlProblem(ValueError):
    """What is wrong with a YAML text, with its line."""


class _Open:
    """A mapping or sequence that is being read."""

    __slots__ = ("anchor", "key", "merged", "size", "value", "waiting")

    def __init__(self, value: Any, anchor: str | None) -> None:
        self.value, self.anchor = value, anchor
        self.size = 1  # values in it, aliases written out
        self.waiting = True  # a mapping waits for a key
        self.key: Any = None
        self.merged: list[Any] = []


def load(text: str) -> Any:
    """The first document of a YAML text as plain Python values; None when there is none.

    Raises:
        YamlProblem: no YAML, nested deeper than 200, aliases that stand for more than 8 million values or for
            themselves.
    """
    try:
        return _Reader().read(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise YamlProblem(f"line {mark.line + 1}: {problem}" if mark else str(problem)) from None


class _Reader:
    """One document on its way from events to values."""

    def __init__(self) -> None:
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.result: Any = None
        # Aliases do not cost memory here; whoever walks through the values would pay for them.
        self.expanded = 0

    def read(self, events: Iterator[Any]) -> Any:
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                value = _scalar(event)
                if event.anchor:
                    self.anchors[event.anchor] = (value, 1)
                self._put(value, 1, event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._begin({} if kind is yaml.MappingStartEvent else [], event)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end(event)
            elif kind is yaml.AliasEvent:
                if event.anchor not in self.anchors:
                    raise YamlProblem(f"{_line(event)}: the alias *{event.anchor} stands for nothing before it")
                self._put(*self.anchors[event.anchor], event)
            elif kind is yaml.DocumentEndEvent:
                break
        return self.result

    def _begin(self, value: Any, event: Any) -> None:
        if len(self.open) >= DEPTH:
            raise YamlProblem(f"{_line(event)}: nested deeper than {DEPTH} levels")
        if event.anchor:
            self.anchors.pop(event.anchor, None)
        self.open.append(_Open(value, event.anchor))

    def _end(self, event: Any) -> None:
        done = self.open.pop()
        for merged in done.merged:
            for source in merged if isinstance(merged, list) else [merged]:
                if isinstance(source, dict):
                    for key, value in source.items():
                        done.value.setdefault(key, value)
        if done.anchor:
            self.anchors[done.anchor] = (done.value, done.size)
        self._put(done.value, done.size, event)

    def _put(self, value: Any, size: int, event: Any) -> None:
        if not self.open:
            self.result = value
            return
        top = self.open[-1]
        top.size += size
        if top.size > EXPANDED:
            raise YamlProblem(f"{_line(event)}: its aliases stand for more than {EXPANDED:,} values")
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.waiting:
            top.key, top.waiting = _key(value, event), False
        else:
            top.waiting = True
            if top.key == _MERGE and isinstance(value, (dict, list)):
                top.merged.append(value)
            else:
                top.value[top.key] = value


def _key(value: Any, event: Any) -> str:
    """Keys are text, as in JSON: the response code 200 and "200" are the same."""
    if isinstance(value, (dict, list)):
        raise YamlProblem(f"{_line(event)}: a {'mapping' if isinstance(value, dict) else 'list'} stands as a key")
    if isinstance(value, str):
        return value
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _scalar(event: Any) -> Any:
    text: str = event.value
    if not event.implicit[0] or (event.tag and event.tag != "!"):
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _STARTS:
        return text
    if _INTEGER.fullmatch(text):
        # 007 is a code, not a number.
        digits = text.lstrip("+-")
        return text if len(digits) > 1 and digits[0] == "0" else int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _line(event: Any) -> str:
    return f"line {event.start_mark.line + 1}"
