"""What a call's arguments let its result say: bounds of numbers and days, choices, how many items, in which order.

A tool that was asked for films from 1990 on, at most three, the longest first, does not answer with one of 1975.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from data_gen.dialog_generation.phrases import words
from toolace import Call, Tool

_LOW_WORDS = "min minimum least from after since start earliest lowest over above"
_HIGH_WORDS = "max maximum most to until before end latest highest under below"
_LOW, _HIGH = frozenset(_LOW_WORDS.split()), frozenset(_HIGH_WORDS.split())
_MOST = frozenset(("count", "limit", "top", "max results", "page size", "per page", "top n", "number of results"))
_TOTAL = frozenset(("total", "total count", "total results", "result count", "number of results"))
# What a tool that takes a list says of it: all went well.
_DONE_WORDS = "sent accepted processed updated deleted notified shared saved written added removed created succeeded"
_DONE = frozenset(_DONE_WORDS.split())
_WENT_WELL_WORDS = "done success successful ok confirmed delivered acknowledged completed cancelled stored published"
_WENT_WELL = frozenset(_WENT_WELL_WORDS.split())
_RATINGS = frozenset(("stars", "rating", "score", "score given", "points", "points given", "grade"))
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NEAR = frozenset(("distance km", "distance m", "distance"))
_BEST = frozenset(("match", "similarity"))


class Filters:
    """The arguments of one call, read as what they ask of the result."""

    def __init__(self, tool: Tool | None = None, call: Call | None = None) -> None:
        """Without a call nothing is asked of the result."""
        self.low: dict[str, Any] = {}
        self.high: dict[str, Any] = {}
        self.choices: dict[str, Sequence[Any]] = {}
        self.most = 0
        self.given = 0  # items of the list that the call is about
        self.ranks, self.best_last, self.rated = False, False, 0.0
        self.by = ""
        if tool is None or call is None:
            return
        given = [spec for name, spec in tool.properties.items() if words(name) in _RATINGS and name in call.arguments]
        self.rated = max((spec.get("maximum", 5) for spec in given), default=0.0)
        self.ranks, self.best_last = _direction(tool, call)
        self.by = words(tool.name.rpartition(".")[2]).partition(" by ")[2].split(" and ")[0].removesuffix(" to file")
        for name, value, schema in _leaves(tool.parameters, call.arguments):
            self._read(words(name), value, schema)

    def _read(self, name: str, value: Any, schema: Mapping[str, Any]) -> None:
        if (name in _MOST or name.startswith(("number of ", "how many"))) and type(value) is int and value > 0:
            self.most = value
        elif isinstance(value, list):
            self.given = max(self.given, len(value))
            if (schema.get("items") or {}).get("enum") and value:
                self.choices[name.removesuffix(" any of").removesuffix("s")] = value
        elif isinstance(value, bool) or (isinstance(value, str) and "enum" in schema):
            self.choices[name] = [value]
        elif isinstance(value, (int, float)) or (isinstance(value, str) and _DAY.fullmatch(value)):
            self._bound(name.split(), value)

    def _bound(self, said: list[str], value: Any) -> None:
        for at in (0, -1):
            side = self.low if said[at] in _LOW else self.high if said[at] in _HIGH else None
            if side is not None:
                rest = [word for word in (said[1:] if at == 0 else said[:-1]) if word != "range"]
                side[" ".join(rest) or "date"] = value
                return

    def chosen(self, name: str, rng: random.Random) -> Any:
        """The value that every item has under a name because it was asked for; None when nothing was."""
        found = self.choices.get(words(name))
        return rng.choice(found) if found else None

    def narrowed(self, name: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """A number's schema with the bounds that were asked for, and those of a rating where stars were given."""
        key = words(name)
        low, high = _of(self.low, key), _of(self.high, key)
        if self.rated and key in ("average", "average rating", "average stars"):
            low, high = 1, self.rated
        lowest, highest = schema.get("minimum"), schema.get("maximum")
        low = lowest if not _is_number(low) else low if lowest is None else max(low, lowest)
        high = highest if not _is_number(high) else high if highest is None else min(high, highest)
        if low is not None and high is not None and low > high:
            return schema
        bounds = {"minimum": low, "maximum": high}
        return {**schema, **{name: bound for name, bound in bounds.items() if bound is not None}}

    def day(self, name: str, rng: random.Random) -> str:
        """A day between those that were asked for; "" when the member is not about them."""
        key = words(name)
        low, high = _of(self.low, key) or self.low.get("date"), _of(self.high, key) or self.high.get("date")
        try:
            first = date.fromisoformat(low) if isinstance(low, str) else None
            last = date.fromisoformat(high) if isinstance(high, str) else None
        except ValueError:
            return ""
        if first is None and last is None:
            return ""
        first = first or (last or date.max) - timedelta(days=90)
        span = ((last or first + timedelta(days=90)) - first).days
        return (first + timedelta(days=rng.randint(0, span))).isoformat() if span >= 0 else ""

    def ordered(self, items: list[Any]) -> list[Any]:
        """The items of a ranking in its order: by what the tool's name says, the best match or the nearest first."""
        first: Mapping[str, Any] = next((item for item in items if isinstance(item, Mapping)), {})
        numbers = [key for key, value in first.items() if _is_number(value)]
        for key in first:
            said = words(key)
            ranked = bool(self.by) and (said == self.by or self.by.startswith(f"{said} "))
            ranked = ranked or (self.ranks and numbers == [key])
            if ranked or said in _BEST or said in _NEAR:
                values = [item.get(key) for item in items if isinstance(item, Mapping)]
                if len(values) == len(items) and all(map(_is_number, values)):
                    up = said in _NEAR or (ranked and self.best_last)
                    return sorted(items, key=lambda item: item[key], reverse=not up)
        return items

    def counted(self, value: dict[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
        """An object whose counts agree with its one list and with the list that the call was about, and which says that
        what was asked is done."""
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        for name, number in value.items():
            said = words(name)
            if isinstance(number, bool) and (said in _DONE or said in _WENT_WELL):
                value[name] = True  # what fails answers with an error
            if type(number) is not int:
                continue
            wanted = None
            if said in _TOTAL and len(lists) == 1:
                wanted = len(lists[0])
            elif self.given and said in _DONE:
                wanted = self.given
            elif said in ("failed", "failures", "errors"):
                wanted = 0
            spec = properties.get(name) or {}
            if wanted is not None and spec.get("minimum", 0) <= wanted <= spec.get("maximum", wanted):
                value[name] = wanted
        return value


_DIRECTIONS = frozenset(("order", "direction", "sort order", "sort direction", "ranking"))
_UP = frozenset(("lowest", "asc", "ascending", "smallest", "least", "fewest", "oldest", "shortest", "cheapest"))


def _direction(tool: Tool, call: Call) -> tuple[bool, bool]:
    """(whether the call asks for a ranking, whether it begins with the lowest)."""
    name = words(tool.name)
    for key, spec in tool.properties.items():
        if words(key) in _DIRECTIONS:
            return True, call.arguments.get(key, spec.get("default")) in _UP
    return "rank" in name or "highest" in name, "lowest" in name and "highest" not in name


def _of(side: Mapping[str, Any], key: str) -> Any:
    """The bound of a member: of its own name, or of the end of it ("price" of "shelf price")."""
    return next((bound for name, bound in side.items() if name == key or key.endswith(f" {name}")), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _leaves(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """(name, value, schema) of every argument; members of objects have their parents' names before their own."""
    properties = schema.get("properties") or {}
    for name, value in arguments.items():
        spec = properties.get(name) or {}
        if isinstance(value, dict):
            is_range = words(name).endswith(" range")
            for inner, leaf, leaf_spec in _leaves(spec, value):
                yield (f"{name} {inner}" if is_range else inner), leaf, leaf_spec
        else:
            yield name, value, spec
