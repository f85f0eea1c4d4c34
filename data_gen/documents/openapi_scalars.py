"""Strings, numbers and booleans of API descriptions as JSON Schema: only what is valid and says something."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from data_gen.documents.limits import Limits, keep_enum, keep_pattern
from data_gen.documents.schema_parts import Parts, type_of

Schema = dict[str, Any]

_FORMATS = {
    "date-time": "date-time", "datetime": "date-time", "iso8601": "date-time", "iso-8601": "date-time", "date": "date",
    "time": "time", "email": "email", "uri": "uri", "url": "uri", "uuid": "uuid", "guid": "uuid", "ipv4": "ipv4",
    "ipv6": "ipv6", "hostname": "hostname", "duration": "duration",
}  # fmt: skip
# What stands where a value is to be filled in; as a default it would be sent.
_PLACEHOLDER = re.compile(
    r"(?:insert|enter|put|your|my)[ _-].{1,60}|<.{1,60}>|\{\{?.{1,60}\}?\}|example|sample|string|foo|bar|test|todo|"
    r"x{3,}|lorem ipsum.*|placeholder", re.I
)  # fmt: skip
BINARY = frozenset(("byte", "binary", "base64", "base64url", "file"))


def scalar(parts: Parts, kind: str, limits: Limits) -> Schema:
    """A string, number or boolean with its values, bounds, format and default, as far as they are valid."""
    words = parts.keywords
    schema: Schema = {"type": kind}
    if not limits.described:
        return schema
    if kind == "string" and (parts.word("format") in BINARY or parts.word("type") == "file"):
        return {**schema, "contentEncoding": "base64"}
    schema.update(_enum(words, kind))
    if "enum" not in schema:
        if kind == "string":
            schema.update(_format(parts))
            schema.update(counted_bounds(words, "minLength", "maxLength"))
            schema.update(keep_pattern(words.get("pattern")))
        elif kind in ("integer", "number"):
            schema.update(_range(words, kind))
    schema.update(_default(words, schema))
    return schema


def mixed(parts: Parts, kinds: list[str], limits: Limits) -> Schema:
    """A value of several scalar types; with the values that are allowed, of whichever type each is."""
    schema: Schema = {"type": kinds}
    values = parts.keywords.get("enum")
    if not limits.described or not isinstance(values, list) or len(values) > 200:
        return schema
    wide = {*kinds, *(["integer"] if "number" in kinds else [])}
    return {**schema, **keep_enum([value for value in values if type_of(value) in wide and value != ""])}


def contradiction(words: dict[str, Any]) -> str:
    """What two bounds of a schema say that no value meets, "" when they agree."""
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        least: Any = words.get(low)
        most: Any = words.get(high)
        if _is_number(least) and _is_number(most) and least > most:
            return f"{low} {least} is above {high} {most}"
    return ""


def _enum(words: dict[str, Any], kind: str) -> Schema:
    values = [words["const"]] if "const" in words else words.get("enum")
    if not isinstance(values, list):
        return {}
    fits = []
    for value in values[:200]:
        same = type_of(value) == kind or (kind == "number" and type_of(value) == "integer")
        if not same and kind == "string" and type_of(value) in ("integer", "number", "boolean"):
            value = json.dumps(value)  # YAML reads unquoted codes as numbers
            same = True
        if same and value != "" and (not isinstance(value, str) or len(value) <= 200):
            fits.append(value)
    # A part of a list of values would forbid the others.
    return keep_enum(fits) if len(values) <= 200 else {}


def _format(parts: Parts) -> Schema:
    own = _FORMATS.get(parts.word("format") or parts.word("type"))
    return {"format": own} if own else {}


def counted_bounds(words: dict[str, Any], low: str, high: str) -> Schema:
    """Counted bounds; those that any value meets are left out."""
    least, most = words.get(low), words.get(high)
    found: Schema = {}
    if type(least) is int and 0 < least < 2**31:
        found[low] = least
    if type(most) is int and 0 < most < 2**31 - 1 and most >= found.get(low, 0):
        found[high] = most
    return found


def _range(words: dict[str, Any], kind: str) -> Schema:
    """Bounds of a number; `exclusiveMinimum: true` of OpenAPI 3.0 becomes the number it excludes."""
    found: Schema = {}
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        value: Any = words.get(bound)
        strict: Any = words.get(exclusive)
        if _is_number(value) and abs(value) < 2**31 - 1:
            found[exclusive if strict is True else bound] = value
        elif _is_number(strict) and abs(strict) < 2**31 - 1:
            found[exclusive] = strict
    low = found.get("minimum", found.get("exclusiveMinimum"))
    high = found.get("maximum", found.get("exclusiveMaximum"))
    if low is not None and high is not None and low > high:
        return {}
    step: Any = words.get("multipleOf")
    if _is_number(step) and step > 0 and not (kind == "integer" and step == 1):
        found["multipleOf"] = step
    return found


def _default(words: dict[str, Any], schema: Schema) -> Schema:
    value: Any = words.get("default")
    kind = schema["type"]
    fits = type_of(value) == kind or (kind == "number" and type_of(value) == "integer")
    if not fits or value == "" or (isinstance(value, str) and len(value) > 200):
        return {}
    if _is_number(value) and not math.isfinite(value):
        return {}
    if "enum" in schema and value not in schema["enum"]:
        return {}
    if _is_number(value) and not _within(value, words):
        return {}
    if isinstance(value, str) and _PLACEHOLDER.fullmatch(value.strip()):
        return {}
    return {"default": value}


def _within(value: Any, words: dict[str, Any]) -> bool:
    """Whether a number lies within the bounds as stated, contradictory ones too."""
    least, most = words.get("minimum"), words.get("maximum")
    return not (_is_number(least) and value < least) and not (_is_number(most) and value > most)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
