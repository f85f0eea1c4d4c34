"""Schemas of API descriptions as JSON Schema 2020-12: short enough to be read in a prompt, whatever they were."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from data_gen.documents.limits import PAGING, Limits, trimmed
from data_gen.documents.naming import identifier, snake
from data_gen.documents.openapi_scalars import BINARY, contradiction, counted_bounds, mixed, scalar
from data_gen.documents.plain_text import PARAMETER_CHARACTERS, opening
from data_gen.documents.references import References
from data_gen.documents.schema_parts import Composer, Parts, Raw

Schema = dict[str, Any]

# Levels of lists in lists in maps; objects are counted by the limits.
LEVELS = 12
# our choice: schemas visited for one operation. A definition that a prompt has room for has about 100.
VISITS = 1_500
# A description is read up to here: the first two sentences of one are hardly longer.
TEXT_CHARACTERS = 2_000

_TYPES = {
    "string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "array": "array",
    "object": "object", "int": "integer", "long": "integer", "int32": "integer", "int64": "integer",
    "float": "number", "double": "number", "decimal": "number", "bool": "boolean", "str": "string", "text": "string",
    "date": "string", "datetime": "string", "date-time": "string", "uuid": "string", "file": "string",
    "list": "array", "dict": "object", "map": "object",
}  # fmt: skip
_SCALAR_TYPES = ("string", "integer", "number", "boolean")
_TABLE = re.compile(r"^[ \t]*\|.*$|(?<=[.:])\s+\|.*$", re.MULTILINE)
# Google's `kind` is transport, everybody else's says what a thing is.
_TRANSPORT = PAGING - {"kind"}
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


_SET_BY_SERVER = re.compile(r"\bread-?only\b|\boutput[- ]only\b|\bdeprecated\b|no longer (?:available|supported)", re.I)


# "Required." under a parameter says nothing of what it is.
_SAYS_NOTHING = re.compile(
    r"\W*(?:(?:required|optional|mandatory|none|n/?a|tbd|todo|null|string|text|integer|number|boolean|object|array|"
    r"no description(?: (?:available|provided))?|description|not (?:used|documented)|parameter|value)\W*){1,2}", re.I
)  # fmt: skip


class TooLarge(Exception):
    """A schema needs more visits than one operation is given."""


class SchemaReader:
    """Turns the schemas of one document into JSON Schema, counting what it visits.

    Attributes:
        visits: schemas that may still be visited before TooLarge is raised; set by the caller for each operation.
        contradictions: bounds that no value meets, of all schemas so far; they were left out.
    """

    def __init__(self, references: References) -> None:
        self.composer = Composer(references)
        self.visits = VISITS
        self.contradictions: list[str] = []
        # By the identity of Parts, which live as long as the composer.
        self._scalars: dict[tuple[int, bool], Schema] = {}

    def parts(self, raw: Raw) -> Parts:
        """The schema taken together, not yet converted."""
        return self.composer.parts(raw)

    def schema(self, raw: Raw, limits: Limits, above: frozenset[str] = frozenset(), depth: int = 0) -> Schema:
        """JSON Schema of a schema as written.

        Args:
            raw: the schema, and the document it is in.
            limits: what is kept of it.
            above: keys of the references it is part of, where a cycle is cut.
            depth: objects it is part of.

        Raises:
            InputError: an unresolved reference, or a keyword of the wrong type.
            TooLarge: more visits than `visits`.
        """
        return self._schema(self.parts(raw), limits, above, depth, 0)

    def schema_of(self, parts: Parts, limits: Limits, above: frozenset[str], depth: int) -> Schema:
        """`schema` for one that is taken together already."""
        return self._schema(parts, limits, above, depth, 0)

    def _schema(self, parts: Parts, limits: Limits, above: frozenset[str], depth: int, level: int) -> Schema:
        self.visits -= 1
        if self.visits < 0:
            raise TooLarge
        # Scalars are the same wherever they stand, and most of them stand in many operations.
        key = (id(parts), limits.described)
        if key in self._scalars:
            return dict(self._scalars[key])
        schema = self._bare(parts, limits, above, depth, level)
        if limits.described:
            said = described(parts)
            if said:
                schema["description"] = said
        if parts.kind in _SCALAR_TYPES and not parts.keys & above:
            self._scalars[key] = dict(schema)
        return schema

    def _bare(self, parts: Parts, limits: Limits, above: frozenset[str], depth: int, level: int) -> Schema:
        kind = parts.kind
        if isinstance(kind, list):
            return mixed(parts, kind, limits)
        kind = _TYPES.get(kind, "")
        if parts.keys & above or level > LEVELS:
            return {"type": kind} if kind else {}
        inside = above | parts.keys
        if kind == "object":
            return self._object(parts, limits, inside, depth, level)
        if kind == "array":
            items = self._inner(parts.items, limits, inside, depth, level) if parts.items else {}
            bounds = counted_bounds(parts.keywords, "minItems", "maxItems") if limits.described else {}
            return {"type": "array", "items": items, **bounds}
        if limits.described and (problem := contradiction(parts.keywords)) and problem not in self.contradictions:
            self.contradictions.append(problem)
        return scalar(parts, kind, limits) if kind else {}

    def _inner(self, raw: Raw, limits: Limits, above: frozenset[str], depth: int, level: int) -> Schema:
        schema = self._schema(self.parts(raw), limits, above, depth, level + 1)
        schema.pop("description", None)
        return schema

    def _object(self, parts: Parts, limits: Limits, above: frozenset[str], depth: int, level: int) -> Schema:
        if depth >= limits.depth:
            return {"type": "object"}
        if not parts.properties:
            inner = self._inner(parts.additional, limits, above, depth + 1, level) if parts.additional else {}
            return {"type": "object", "additionalProperties": inner} if inner else {"type": "object"}
        members, required = self.members(parts, limits, above, depth)
        properties = {
            name: self._schema(member, limits, above, depth + 1, level + 1) for name, member in members.items()
        }
        if not properties:
            return {"type": "object"}
        schema: Schema = {"type": "object", "properties": properties}
        return {**schema, "required": required} if required and limits.described else schema

    def members(
        self, parts: Parts, limits: Limits, above: frozenset[str], depth: int
    ) -> tuple[dict[str, Parts], list[str]]:
        """The members of an object that are kept, under their own names here, and which of them are required."""
        flat = {name: self.parts(raw) for name, raw in parts.properties.items()}
        required = [name for name in parts.required if name in flat]
        wanted = []
        for name, member in flat.items():
            given = limits.described and name in required and not member.keywords.get("readOnly")
            given = given and not name.startswith("@odata")
            if given or not self._left_out(name, member, limits, above, depth):
                wanted.append(name)
        kept: dict[str, Parts] = {}
        own_names: dict[str, str] = {}
        for name in trimmed(wanted, required, limits.properties):
            own = parameter_name(name, kept)
            kept[own], own_names[name] = flat[name], own
        return kept, [own_names[name] for name in required if name in own_names]

    def _left_out(self, name: str, member: Parts, limits: Limits, above: frozenset[str], depth: int) -> bool:
        """Members that are deprecated, transport, set by the other side, raw bytes, recursive or too deep."""
        words = member.keywords
        if name.startswith(("_", "@", "$")) or snake(name) in _TRANSPORT or words.get("deprecated") is True:
            return True
        if words.get("readOnly" if limits.described else "writeOnly") is True:
            return True
        if limits.described and _SET_BY_SERVER.search(str(words.get("description") or "")[:200]):
            return True
        target, inside = member, above
        for _ in range(LEVELS):
            if target.keys & inside:
                return True
            inner = target.items or (None if target.properties else target.additional)
            if inner is None:
                break
            inside = inside | target.keys
            target = self.parts(inner)
        holds = target.kind == "object" and bool(target.properties)
        return target.word("format") in BINARY or (holds and depth + 1 >= limits.depth)


def described(parts: Parts) -> str:
    """The first sentences of what is said of a schema; its title when nothing is."""
    for word in ("description", "title"):
        text = parts.keywords.get(word)
        if isinstance(text, str) and text.strip():
            said = first_sentences(text, PARAMETER_CHARACTERS)
            if said:
                return said
    return ""


def first_sentences(text: str, limit: int, count: int = 2) -> str:
    """The opening of a text of any length, without the rows of Markdown tables."""
    text = text[:TEXT_CHARACTERS]
    said = opening(_TABLE.sub("", text) if "|" in text else text, limit, count)
    return "" if _SAYS_NOTHING.fullmatch(said) else said


def parameter_name(name: str, taken: Iterable[str]) -> str:
    """The publisher's own name if a call can be written with it, else an identifier; numbered when it is taken.

    `petId` -> `petId`, `filter[x]` -> `filter_x`, `from` -> `from_value`.
    """
    own = _own_name(name)
    if own not in taken:
        return own
    number = 2
    while f"{own}_{number}" in taken:
        number += 1
    return f"{own}_{number}"


@lru_cache(maxsize=65_536)
def _own_name(name: str) -> str:
    if _NAME.fullmatch(name) and len(name) <= 64:
        return f"{name}_value" if keyword.iskeyword(name) else name
    ascii_name = unicodedata.normalize("NFKD", name[:200]).encode("ascii", "ignore").decode()
    return identifier(ascii_name)[:64].rstrip("_") or "value"
