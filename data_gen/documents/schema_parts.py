"""What an OpenAPI schema says once its references, `allOf` and alternatives are taken together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_gen.documents.references import References
from toolace import InputError

# A schema as written, and the document it is written in.
Raw = tuple[Any, str]

# Keywords that only say how an object is built of others, or how a document shows it.
_STRUCTURE = frozenset(("$ref", "allOf", "oneOf", "anyOf", "properties", "required", "items", "additionalProperties"))
_SCALARS = frozenset(("string", "integer", "number", "boolean"))
# our choice: parts of one allOf, alternatives nested in alternatives.
PARTS = 400
NESTED = 8
# our choice: statements of one member that are taken together.
STATEMENTS = 20
# Keywords that speak of one alternative alone.
_SAID = frozenset(("title", "description", "example", "examples", "default", "discriminator", "xml", "externalDocs"))


@dataclass
class Parts:
    """One schema, flat.

    Attributes:
        keywords: everything that is no structure; the first statement of each counts.
        properties: member names to their schemas as written, in order; one stated by several parts of an `allOf` is an
            `allOf` of them.
        required: names of members.
        keys: the references it was reached and put together through, for finding that a schema holds itself.
    """

    keywords: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Raw] = field(default_factory=dict)
    required: dict[str, None] = field(default_factory=dict)
    items: Raw | None = None
    additional: Raw | None = None
    keys: frozenset[str] = frozenset()

    def word(self, name: str) -> str:
        """A keyword that holds a text, in small letters; "" when it is missing or something else."""
        value = self.keywords.get(name)
        return value.strip().lower() if isinstance(value, str) else ""

    @property
    def kind(self) -> Any:
        """The type: stated, or told by the other keywords; "" when nothing tells. A list when several are meant."""
        stated = self.keywords.get("type")
        if isinstance(stated, list):
            kinds = [kind for kind in dict.fromkeys(map(str, stated)) if kind != "null"]
            if len(kinds) > 1 and set(kinds) <= _SCALARS:
                return kinds
            stated = kinds[0] if kinds else ""
        if isinstance(stated, str) and stated not in ("", "null", "any"):
            return stated.lower()
        if self.properties or self.additional:
            return "object"
        if self.items:
            return "array"
        return _told(self.keywords)


def _told(keywords: Mapping[str, Any]) -> str | list[str]:
    values = [keywords["const"]] if "const" in keywords else keywords.get("enum")
    if isinstance(values, list) and values:
        return type_of_all(values)
    if any(word in keywords for word in ("pattern", "minLength", "maxLength", "format")):
        return "string"
    return "number" if any(word in keywords for word in ("minimum", "maximum", "multipleOf")) else ""


def type_of(value: Any) -> str:
    """The JSON Schema type of a plain value, "" for null."""
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "object" if isinstance(value, dict) else ""


def type_of_all(values: Sequence[Any]) -> str | list[str]:
    """The type of all plain values: one, or a list of several when they are scalars; that of the first otherwise."""
    kinds = [kind for kind in dict.fromkeys(map(type_of, values)) if kind]
    if "number" in kinds and "integer" in kinds:
        kinds.remove("integer")
    if len(kinds) > 1 and set(kinds) <= _SCALARS:
        return kinds
    return kinds[0] if kinds else ""


class Composer:
    """Takes schemas together, each once: a tree of `allOf` with a billion leaves has few distinct parts."""

    def __init__(self, references: References) -> None:
        self.references = references
        # The schema is kept beside its parts: an id is only its own as long as the object lives.
        self._known: dict[int, tuple[Any, Parts]] = {}
        self._open: set[int] = set()

    def parts(self, raw: Raw, nested: int = 0) -> Parts:
        """The flat form of a schema.

        Raises:
            InputError: an unresolved reference, a keyword of the wrong type, or too many parts.
        """
        known = self._known.get(id(raw[0]))
        if known is None:
            if id(raw[0]) in self._open:  # an alternative that is the schema itself adds nothing
                return Parts()
            self._open.add(id(raw[0]))
            try:
                known = (raw[0], self._compose(raw, nested))
            finally:
                self._open.discard(id(raw[0]))
            self._known[id(raw[0])] = known
        return known[1]

    def _compose(self, raw: Raw, nested: int) -> Parts:
        found = Parts()
        keys: set[str] = set()
        seen: set[int] = set()
        stated: dict[str, list[Raw]] = {}
        alternatives: list[list[Raw]] = []
        waiting = [raw]
        while waiting:
            node, base = waiting.pop()
            if isinstance(node, bool) or node is None:
                continue
            if not isinstance(node, dict):
                raise InputError(f"a schema is a {type(node).__name__}, not an object", fix="Write it as an object.")
            if id(node) in seen:
                continue
            seen.add(id(node))
            if len(seen) > PARTS:
                raise InputError(f"a schema is put together of more than {PARTS} parts", fix="Simplify its allOf.")
            self._take(node, base, found, stated)
            if "$ref" in node:
                target, place, key = self.references.follow(node["$ref"], base)
                keys.add(key)
                waiting.append((target, place))
            waiting += reversed([(part, base) for part in _listed(node, "allOf")])
            alternatives += [
                [(branch, base) for branch in _listed(node, word)] for word in ("oneOf", "anyOf") if node.get(word)
            ]
        found.keys = frozenset(keys)
        found.properties = {name: _together("allOf", statements) for name, statements in stated.items()}
        if nested < NESTED:
            for branches in alternatives:
                self._choose(branches, found, nested)
        return found

    def _take(self, node: Mapping[str, Any], base: str, found: Parts, stated: dict[str, list[Raw]]) -> None:
        for word, value in node.items():
            if word not in _STRUCTURE:
                found.keywords.setdefault(word, value)
        properties = node.get("properties")
        if properties is not None and not isinstance(properties, dict):
            raise InputError(f"properties are a {type(properties).__name__}, not an object", fix="Write name: schema.")
        for name, member in (properties or {}).items():
            stated.setdefault(str(name), []).append((member, base))
        required = node.get("required")
        if isinstance(required, list):
            found.required.update(dict.fromkeys(name for name in required if isinstance(name, str)))
        if found.items is None and isinstance(node.get("items"), dict):
            found.items = (node["items"], base)
        if found.additional is None and isinstance(node.get("additionalProperties"), dict):
            found.additional = (node["additionalProperties"], base)

    def _choose(self, branches: list[Raw], found: Parts, nested: int) -> None:
        """Takes alternatives in: scalars together; objects together, too, as what one of them has may be given.

        Required is then only what all of them require. Of other alternatives the first that says something counts.
        """
        useful: list[Parts] = []
        for branch in branches[:40]:
            one = self.parts(branch, nested + 1)
            if one.keywords.get("type") != "null" and (one.kind or one.keywords.get("const") is not None):
                useful.append(one)
        if not useful:
            return
        scalars = [one for one in useful if isinstance(one.kind, list) or one.kind in _SCALARS or _is_const(one)]
        if len(scalars) == len(useful) and len(useful) > 1:
            for word, value in _united(useful).items():
                found.keywords.setdefault(word, value)
            return
        objects = [one for one in useful if one.properties]
        if len(objects) > 1:
            self._merge(objects, [one for one in useful if one.kind == "object"], found)
            return
        best = objects[0] if objects else useful[0]
        for word, value in best.keywords.items():
            found.keywords.setdefault(word, value)
        for name, member in best.properties.items():
            found.properties.setdefault(name, member)
        # An object that may also hold anything else need not hold what this one must.
        if not objects or all(one is best or one.kind != "object" for one in useful):
            found.required.update(best.required)
        found.items = found.items or best.items
        found.additional = found.additional or best.additional
        found.keys |= best.keys

    def _merge(self, objects: Sequence[Parts], all_objects: Sequence[Parts], found: Parts) -> None:
        """Takes several objects in: the members of all, required what each of them requires.

        Args:
            objects: alternatives with members.
            all_objects: these, and those that may hold anything.
            found: takes them in.
        """
        for one in objects:
            for word, value in one.keywords.items():
                # What is said of one of them holds for no other.
                if word not in _SAID:
                    found.keywords.setdefault(word, value)
            found.keys |= one.keys
        for name in dict.fromkeys(name for one in objects for name in one.properties):
            stated = [one.properties[name] for one in objects if name in one.properties]
            either = _together("anyOf", stated)
            if name not in found.properties:
                found.properties[name] = either
            elif len(stated) == len(all_objects):
                found.properties[name] = _together("allOf", [found.properties[name], either])
        common = [name for name in all_objects[0].required if all(name in one.required for one in all_objects)]
        found.required.update(dict.fromkeys(common))


def _together(word: str, statements: Sequence[Raw]) -> Raw:
    """Several statements of one member as one schema; those of another document than the first cannot be told."""
    first, base = statements[0]
    distinct: list[Any] = []
    for node, place in statements:
        same = any(node is one or _target(node) == _target(one) != "" for one in distinct)
        if place == base and isinstance(node, dict) and not same:
            distinct.append(node)
    return ({word: distinct[:STATEMENTS]}, base) if len(distinct) > 1 else (first, base)


def _target(node: Any) -> str:
    """What a schema that is nothing but a reference refers to, else ""."""
    return str(node["$ref"]) if isinstance(node, dict) and list(node) == ["$ref"] else ""


def _is_const(parts: Parts) -> bool:
    return "const" in parts.keywords and type_of(parts.keywords["const"]) in _SCALARS


def _united(scalars: list[Parts]) -> dict[str, Any]:
    """Several scalar alternatives as one schema: all values when each lists its own, else the types."""
    values: list[Any] = []
    for one in scalars:
        own = [one.keywords["const"]] if "const" in one.keywords else one.keywords.get("enum")
        if not isinstance(own, list):
            values = []
            break
        values += own
    if values:
        said = next((one.keywords["description"] for one in scalars if one.keywords.get("description")), "")
        return {"type": type_of_all(values), "enum": values, **({"description": said} if said else {})}
    kinds: dict[str, None] = {}
    for one in scalars:
        kinds.update(dict.fromkeys(one.kind if isinstance(one.kind, list) else [one.kind]))
    if "number" in kinds:
        kinds.pop("integer", None)
    if len(kinds) > 1:
        return {"type": list(kinds)}
    widest = min(scalars, key=lambda one: ("enum" in one.keywords, "pattern" in one.keywords, len(one.keywords)))
    return dict(widest.keywords)


def _listed(node: Mapping[str, Any], word: str) -> list[Any]:
    value = node.get(word)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{word} is a {type(value).__name__}, not a list", fix="Write it as a list of schemas.")
    return value
