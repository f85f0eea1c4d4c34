"""The offline tool agent: simulated results that fit the API's return schema and the call's arguments (Sec. 2.2)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from data_gen.dialog_generation.kinds import result_kind, result_range
from data_gen.dialog_generation.phrases import words
from data_gen.dialog_generation.values import NoValue, draw, fits
from data_gen.documents import everyday
from toolace import Call, Tool

_ERRORS = (
    "no entry matches these arguments",
    "the service is busy, try again later",
    "the request timed out",
    "this combination of arguments is not supported",
)
# Of a parameter's schema, what a result's member of the same name can have too.
_SHAPES = ("pattern", "minimum", "maximum", "multipleOf", "description", "format", "enum")
Specs = Mapping[tuple[str, str, str], Mapping[str, Any]]
# How the text of an error result begins.
ERROR_START = '{"error":'
_SOURCES = ("kind", "values", "enum", "minimum", "maximum", "multipleOf", "format")


class OfflineTool:
    """Answers calls from the tool's schema, seeded; arguments that come back under the same name are unchanged."""

    def __init__(self, rng: random.Random, error_rate: float = 0.0, specs: Specs | None = None) -> None:
        """A share `error_rate` of the answers are errors.

        Args:
            specs: (domain, type, words of a name) -> a parameter's schema: what the pool's tools of a domain take under
                the name of a result's member says what such values look like.
        """
        self.rng = rng
        self.error_rate = error_rate
        self.specs = specs or {}
        self._items: dict[str, list[Any]] = {}

    def answer(self, tool: Tool, call: Call, forced: Mapping[str, Any] | None = None) -> str:
        """JSON text of the result; with `error_rate` an `{"error": ...}` object.

        Args:
            forced: members of the result that the dialog needs, by property name, wherever they are in the schema.

        Raises:
            NoValue: the return schema asks for something this player cannot make.
        """
        if forced is None and self.rng.random() < self.error_rate:
            return json.dumps({"error": self.rng.choice(_ERRORS)})
        schema = tool.returns or {"type": "object", "properties": {"status": {"const": "ok"}}}
        known = {**call.arguments, **(forced or {})}
        # Asked about three museums, the result tells of these three.
        self._items = {
            words(key).removesuffix("s"): value
            for key, value in call.arguments.items()
            if isinstance(value, list) and value and all(isinstance(item, str | int) for item in value)
        }
        # A result that is one bare value is what the tool's name says.
        name = words(tool.name).split(" ")[-1] if schema.get("type") in ("string", "integer", "number") else ""
        return json.dumps(self._value(schema, name, known, 0, tool), ensure_ascii=False)

    def _value(self, schema: Mapping[str, Any], name: str, known: Mapping[str, Any], depth: int, tool: Tool) -> Any:
        kind = schema.get("type")
        if name in known and _returns(known[name], schema):
            return known[name]
        if kind == "object" or "properties" in schema:
            required = schema.get("required") or ()
            members = list((schema.get("properties") or {}).items())
            shown = members[: 6 if depth else 8] + [m for m in members[6 if depth else 8 :] if m[0] in required]
            return {key: self._value(inner, key, known, depth + 1, tool) for key, inner in shown}
        if kind == "array" and depth < 4:
            return self._list(schema, name, known, depth, tool)
        if "enum" not in schema and "format" not in schema and kind in ("string", "integer", "number"):
            if tool.id.startswith("everyday:"):
                schema = {**_source(tool.domain, name, str(kind)), **schema}
            else:
                alike = self.specs.get((tool.domain, str(kind), words(name)), {})
                schema = {**{key: alike[key] for key in _SHAPES if key in alike}, **schema}
        return draw(schema, self.rng, name).argument

    def _list(self, schema: Mapping[str, Any], name: str, known: Mapping[str, Any], depth: int, tool: Tool) -> Any:
        items = schema.get("items") or {"type": "string"}
        low = max(1, int(schema.get("minItems", 1)))
        few = items.get("type") in ("object", "array")
        named = [(key, self._items[words(key)]) for key in items.get("properties") or {} if words(key) in self._items]
        if named and low <= len(named[0][1]) <= int(schema.get("maxItems", 99)):
            key, values = named[0]
            return [self._value(items, name.rstrip("s"), {key: value}, depth + 1, tool) for value in values]
        count = min(max(low, self.rng.choice((1, 2, 2, 3) if few else (2, 3))), int(schema.get("maxItems", 99)))
        found: list[Any] = []
        for _ in range(count * 4):
            value = self._value(items, name.rstrip("s"), {} if found else known, depth + 1, tool)
            if len(found) < count and (value not in found or not isinstance(value, str)):
                found.append(value)
        if len(found) < low:
            raise NoValue(name)
        return found


_TYPES: Mapping[Any, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def _returns(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether an argument can come back as this member of the result."""
    kind = schema.get("type")
    if kind not in _TYPES or not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return False
    if not isinstance(value, str):
        return bool(value in schema.get("enum", (value,)))
    return value in schema.get("enum", (value,)) and fits(value, schema)


def _source(domain: str, name: str, kind: str) -> Mapping[str, Any]:
    """Where the values of a result's member come from: a parameter of the same name or last word.

    The same name in the tool's own domain first, then what `values.yaml` says of the last word, then the last word in
    this domain, then all domains, and plain words at last.
    """
    whole = words(name)
    last = whole.split(" ")[-1] if whole else ""
    own, everywhere = _index(domain), _index("")
    found = own.get((kind, whole)) or _named(whole, kind) or _named(last, kind) or own.get((kind, last))
    found = found or everywhere.get((kind, whole)) or everywhere.get((kind, last))
    if found is None:
        found = {"kind": "plain"} if kind == "string" else {}
    return found


def _named(word: str, kind: str) -> Mapping[str, Any] | None:
    """What `values.yaml` says of a word."""
    if kind == "string":
        named = result_kind(word)
        return {"kind": named} if named else None
    bounds = result_range(word)
    return {"minimum": bounds[0], "maximum": bounds[1]} if bounds else None


@cache
def _index(domain: str) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """(type, words of a parameter's name or its last word) -> value source, for one domain or with "" for all."""
    index: dict[tuple[str, str], Mapping[str, Any]] = {}
    pairs = [
        pair
        for seed in everyday.seeds().values()
        if domain in ("", seed["domain"])
        for name, spec in seed["parameters"].items()
        for pair in _leaves(name, spec)
    ]
    for whole in (True, False):  # a full name before any last word
        for name, spec in pairs:
            key = words(name) if whole else words(name).split(" ")[-1]
            source = {part: spec[part] for part in _SOURCES if part in spec}
            if spec["type"] == "integer":
                index.setdefault(("number", key), source)
            index.setdefault((spec["type"], key), source)
    return index


def _leaves(name: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if spec["type"] == "object":
        for inner, member in spec["properties"].items():
            yield from _leaves(inner, member)
    elif spec["type"] == "array":
        yield from _leaves(name.rstrip("s"), spec["items"])
    else:
        yield name, spec
