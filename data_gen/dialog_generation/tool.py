"""The offline tool agent: simulated results that fit the API's return schema and the call's arguments (Sec. 2.2)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from data_gen.dialog_generation.filters import Filters
from data_gen.dialog_generation.kinds import book_source, kind_of, member_source
from data_gen.dialog_generation.phrases import CLOUD, words
from data_gen.dialog_generation.structures import swapped
from data_gen.dialog_generation.values import NoValue, draw, fits
from data_gen.documents import everyday
from toolace import Call, Tool

# Errors that pass by themselves: the same call is worth another try.
PASSING = (
    "the service is busy, try again later", "the request timed out", "service temporarily unavailable",
    "rate limit exceeded, retry in 30 seconds", "internal error, please try again", "the connection was reset",
    "the backend did not answer in time", "down for maintenance for a few minutes", "too many requests at once",
    "the queue is full, try again shortly",
)  # fmt: skip
# Errors that another value helps with: `{name}` is a parameter, `{value}` what it was given.
_BLAMING = (
    "no entry matches {name} {value}", "nothing was found for {name} {value}", "unknown {name}: {value}",
    "{name} {value} does not exist", "{name} {value} is no longer available", "{value} is not a known {name}",
    "no results for {name} {value}", "{name} {value} could not be resolved", "access to {name} {value} is not allowed",
    "the entry with {name} {value} is locked", "{name} {value} was not recognised", "invalid {name}: {value}",
)  # fmt: skip
_PLAIN_ERRORS = (
    "no entry matches these arguments", "this combination of arguments is not supported", "there is nothing to return",
    "the operation is not allowed in the current state", "permission denied", "the quota for today is used up",
)  # fmt: skip
# Of a parameter's schema, what a result's member of the same name can have too.
_SHAPES = ("pattern", "minimum", "maximum", "multipleOf", "description", "format", "enum")
# The parameter that an error is about which passes by itself.
PASSED = "\0passed"
# What a parameter of the same name is about something else: a message that is sent, not one that is returned.
_OF_RESULTS_WORDS = "description message msg info detail details warning difference note status state"
_OF_RESULTS = frozenset(_OF_RESULTS_WORDS.split())
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
        self.blamed = ""
        self._items: dict[str, list[Any]] = {}
        self._rows: list[list[dict[str, Any]]] = []
        self._inner: frozenset[str] = frozenset()
        self._filters = Filters()
        self._said: set[tuple[str, Any]] = set()

    def answer(
        self,
        tool: Tool,
        call: Call,
        forced: Mapping[str, Any] | None = None,
        known: Mapping[str, Any] | None = None,
    ) -> str:
        """JSON text of the result; with `error_rate` an `{"error": ...}` object, after which `blamed` is the parameter
        that it is about: "" for none, PASSED when the same call is worth another try.

        Args:
            forced: members of the result that the dialog needs, by property name, wherever they are in the schema;
                given, even empty, the call does not fail.
            known: facts told before of the thing that the call is about; they are told again.

        Raises:
            NoValue: the return schema asks for something this player cannot make.
        """
        if forced is None and self.rng.random() < self.error_rate:
            return json.dumps({"error": self._error(tool, call)}, ensure_ascii=False)
        schema = tool.returns or {"type": "object", "properties": {"status": {"const": "ok"}}}
        # FriendlyName comes back as friendly_name.
        told, self._inner = _told(call.arguments, known or {})
        told |= {words(key): value for key, value in (forced or {}).items()}
        self._filters = Filters(tool, call)
        self._rows = [
            [{words(key): inner for key, inner in item.items()} for item in value]
            for value in call.arguments.values()
            if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value)
        ]
        # Asked about three museums, the result tells of these three.
        self._items = {
            words(key).removesuffix("s"): value
            for key, value in call.arguments.items()
            if isinstance(value, list) and value and all(isinstance(item, str | int) for item in value)
        }
        # A result that is one bare value is what the tool's name says.
        name = words(tool.name).split(" ")[-1] if schema.get("type") in ("string", "integer", "number") else ""
        return json.dumps(self._value(schema, name, told, 0, tool), ensure_ascii=False)

    def _error(self, tool: Tool, call: Call) -> Any:
        draw = self.rng.random()
        named = [
            name
            for name, value in call.arguments.items()
            if isinstance(value, str) and len(value) < 60 and '"' not in value and name in tool.required
        ]
        if draw < 0.35:
            self.blamed, message = PASSED, self.rng.choice(PASSING)
        elif named:
            self.blamed = self.rng.choice(named)
            message = self.rng.choice(_BLAMING).replace("{name}", words(self.blamed))
            message = message.replace("{value}", call.arguments[self.blamed])
        else:
            self.blamed, message = "", self.rng.choice(_PLAIN_ERRORS)
        if self.rng.random() < 0.7:
            return message
        return {
            "code": self.rng.choice((429, 503, 504) if self.blamed == PASSED else (400, 404, 409, 422)),
            "message": message,
        }

    def _value(self, schema: Mapping[str, Any], name: str, known: Mapping[str, Any], depth: int, tool: Tool) -> Any:
        kind = schema.get("type")
        if (said := words(name)) in known and _returns(known[said], schema):
            return known[said]
        if kind == "object" or "properties" in schema:
            return self._object(schema, known, depth, tool)
        if kind == "array" and depth < 4:
            return self._list(schema, name, known, depth, tool)
        chosen = self._filters.chosen(name, self.rng)
        if chosen is not None and kind in ("string", "boolean") and _returns(chosen, schema):
            return chosen
        if "enum" not in schema and "format" not in schema and kind in ("string", "integer", "number"):
            schema = self._like(schema, name, str(kind), tool)
        if kind in ("integer", "number"):
            return draw(self._filters.narrowed(name, schema), self.rng, name).argument
        if schema.get("format") == "date" and (day := self._filters.day(name, self.rng)):
            return day
        return self._new(schema, name, tool)

    def _object(self, schema: Mapping[str, Any], known: Mapping[str, Any], depth: int, tool: Tool) -> dict[str, Any]:
        properties, required = schema.get("properties") or {}, schema.get("required") or ()
        most = 6 if depth else 8
        shown = [pair for i, pair in enumerate(properties.items()) if i < most or pair[0] in required]
        value = {key: self._value(inner, key, known, depth + 1, tool) for key, inner in shown}
        return self._filters.counted(swapped(value, properties), properties)

    def _like(self, schema: Mapping[str, Any], name: str, kind: str, tool: Tool) -> Mapping[str, Any]:
        """The schema with what says how such values look: in the everyday documents, in the parameters of the domain's
        tools and then of all, in the book of values."""
        if tool.id.startswith("everyday:"):
            return {**_source(tool.domain, name, kind), **schema}
        said = words(name)
        alike = self.specs.get((tool.domain, kind, said)) or self.specs.get(("", kind, said), {})
        shapes = {key: alike[key] for key in _SHAPES if key in alike}
        if shapes and said not in _OF_RESULTS:
            return {**shapes, **schema}
        is_cloud = tool.id.startswith(CLOUD)
        found = None if said.endswith(" id") and not is_cloud else member_source(said, kind)
        if found is None and kind == "string" and not is_cloud:
            found = _unknown(said, name)
        return {**(found or {}), **schema}

    def _new(self, schema: Mapping[str, Any], name: str, tool: Tool) -> Any:
        """A text that this dialog has not heard under this name, while there are any."""
        if not tool.id.startswith(CLOUD):
            schema = {"unnamed": "proper", **schema}
        value = None
        for attempt in range(4):
            source = schema if attempt < 3 else {**(member_source(words(name), "string") or {}), **schema}
            value = draw(source, self.rng, name).argument
            if not isinstance(value, str) or (name, value) not in self._said:
                break
            if attempt == 2 and ("enum" in schema or "pattern" in schema):
                break
            if attempt == 2:  # what the description shows is used up
                schema = {key: part for key, part in schema.items() if key != "description"}
        if isinstance(value, str):
            self._said.add((name, value))
        return value

    def _list(self, schema: Mapping[str, Any], name: str, known: Mapping[str, Any], depth: int, tool: Tool) -> Any:
        items = schema.get("items") or {"type": "string"}
        low = max(1, int(schema.get("minItems", 1)))
        few = items.get("type") in ("object", "array")
        named = [(key, self._items[words(key)]) for key in items.get("properties") or {} if words(key) in self._items]
        if named and low <= len(named[0][1]) <= int(schema.get("maxItems", 99)):
            key, values = named[0]
            shared = {said: value for said, value in known.items() if said not in self._items}
            each = [{**shared, words(key): value} for value in values]
            return [self._value(items, name.rstrip("s"), one, depth + 1, tool) for one in each]
        members = {words(key) for key in items.get("properties") or {}}
        for rows in self._rows:
            if members & {key for row in rows for key in row} and low <= len(rows) <= int(schema.get("maxItems", 99)):
                return [self._value(items, name.rstrip("s"), {**known, **row}, depth + 1, tool) for row in rows]
        if "similarity" in members:
            known = {}  # what is like a thing is not the thing itself
        # What stands inside an argument describes one thing that is made or changed, or a place that is searched.
        known = {said: value for said, value in known.items() if said not in self._inner}
        count = min(max(low, self.rng.choice((1, 2, 2, 3) if few else (2, 3))), int(schema.get("maxItems", 99)))
        count = max(low, min(count, self._filters.most or count))
        found: list[Any] = []
        for _ in range(count * 4):
            value = self._value(items, name.rstrip("s"), {} if found else known, depth + 1, tool)
            if len(found) < count and (value not in found or not isinstance(value, str)):
                found.append(value)
        if len(found) < low:
            raise NoValue(name)
        return self._filters.ordered(found)


def _told(arguments: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """What a call says of its thing, by words of the name, and which of it stands inside objects.

    A name that is given inside an object counts too, and `new_title` is the title from now on, whatever it was.
    """
    inner: dict[str, Any] = {}
    stack = [value for value in arguments.values() if isinstance(value, Mapping)]
    while stack:
        for key, value in stack.pop().items():
            if isinstance(value, Mapping):
                stack.append(value)
            else:
                inner.setdefault(words(key), value)
    outer = {words(key): value for key, value in arguments.items()}
    said = {**{words(key): value for key, value in known.items()}, **inner, **outer}
    for key, value in (*inner.items(), *outer.items()):
        if key.startswith("new "):
            said[key.removeprefix("new ")] = value
    return said, frozenset(inner) - frozenset(outer)


def _unknown(said: str, name: str) -> Mapping[str, Any]:
    """How a text looks of which nothing but the name is known."""
    if said.endswith(" id"):  # "DIS-40123" for a disruption, in every result alike
        return {"pattern": f"^{said.replace(' ', '')[:3].upper()}-[0-9]{{5}}$"}
    if said == "name" or said.endswith((" name", " title")):
        return {"kind": "proper"}
    if said.endswith(("wright", "ist", "ian", "eer", "maker")):
        return {"kind": "person"}
    if said.endswith("region"):
        return {"kind": "state"}
    return {"kind": "plain"} if kind_of(name) == "name" else {}


_TYPES: Mapping[Any, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def _returns(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether an argument can come back as this member of the result."""
    kind = schema.get("type")
    if kind == "array" and isinstance(value, list):
        items = schema.get("items") or {}
        few = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return bool(value) and few and all(_returns(item, items) for item in value)
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
    found = own.get((kind, whole)) or book_source(whole, kind) or book_source(last, kind) or own.get((kind, last))
    found = found or everywhere.get((kind, whole)) or everywhere.get((kind, last))
    if found is None:
        found = {"kind": "plain"} if kind == "string" else {}
    return found


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
