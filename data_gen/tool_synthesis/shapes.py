"""Short ways to write the JSON Schemas of parameters that the generic actions take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_gen.tool_synthesis.kinds import WORDS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
DAY: Schema = WORDS["date"]
MOMENT: Schema = WORDS["date-time"]


def sentence(text: str) -> str:
    """The text with a capital letter at its beginning and a full stop at its end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def described(schema: Mapping[str, Any], about: str) -> Schema:
    """A schema with a description, written as a sentence."""
    return {**schema, "description": sentence(about)}


def text(about: str, most: int | None = None) -> Schema:
    """A text of at most `most` characters."""
    return described(TEXT if most is None else {**TEXT, "maxLength": most}, about)


def integer(about: str, low: int, high: int) -> Schema:
    """A whole number between two bounds, both included."""
    return described({**INTEGER, "minimum": low, "maximum": high}, about)


def number(about: str, low: float, high: float) -> Schema:
    """A number between two bounds, both included."""
    return described({**NUMBER, "minimum": low, "maximum": high}, about)


def choice(about: str, options: Sequence[str]) -> Schema:
    """One of several words."""
    return described({**TEXT, "enum": list(options)}, about)


def flag(about: str) -> Schema:
    """True or false."""
    return described(FLAG, about)


def many(items: Schema, about: str, low: int = 1, high: int | None = None, *, unique: bool = False) -> Schema:
    """A list of `low` to `high` items."""
    schema: Schema = {"type": "array", "items": dict(items), "minItems": low}
    if high is not None:
        schema["maxItems"] = high
    return described({**schema, "uniqueItems": True} if unique else schema, about)


def some_of(options: Sequence[str], about: str) -> Schema:
    """One or several of some words, none twice."""
    return many({**TEXT, "enum": list(options)}, about, unique=True)


def emails(about: str, most: int = 20) -> Schema:
    """A list of e-mail addresses."""
    return many(WORDS["email"], about, 1, most)


def record(properties: Mapping[str, Schema], about: str, required: Sequence[str] = ()) -> Schema:
    """A nested object."""
    schema: Schema = {"type": "object", "properties": dict(properties)}
    return described({**schema, "required": list(required)} if required else schema, about)


def rows(**properties: Schema) -> Schema:
    """A list of objects, as results have it."""
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def bare(schema: Schema) -> Schema:
    """A schema without descriptions and bounds at every depth: what a result looks like."""
    kept: Schema = {key: schema[key] for key in ("type", "enum", "format") if key in schema}
    if isinstance(schema.get("items"), dict):
        kept["items"] = bare(schema["items"])
    if isinstance(schema.get("properties"), dict):
        kept["properties"] = {name: bare(inner) for name, inner in schema["properties"].items()}
    return kept


def depth(schema: Schema) -> int:
    """Objects within objects, the schema itself counted."""
    inner = [*(schema.get("properties") or {}).values(), *filter(None, [schema.get("items")])]
    return (schema.get("type") == "object") + max(map(depth, inner), default=0)
