"""Kinds: the short way the taxonomy writes what a parameter takes, `integer 1..24`, and the JSON Schema it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from toolace import InputError

Schema = dict[str, Any]

# What the plain words mean. A pattern stands where the field has one way to write such a value.
WORDS: Mapping[str, Schema] = {
    "text": {"type": "string"},
    "city": {"type": "string"},
    "place": {"type": "string"},
    "address": {"type": "string"},
    "person": {"type": "string"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$"},
    "email": {"type": "string", "format": "email"},
    "url": {"type": "string", "format": "uri"},
    "phone": {"type": "string", "pattern": r"^\+[1-9]\d{6,14}$"},
    "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "language": {"type": "string", "pattern": "^[a-z]{2}$"},
    "latitude": {"type": "number", "minimum": -90, "maximum": 90},
    "longitude": {"type": "number", "minimum": -180, "maximum": 180},
}
# How a value of the kind is written, said in the description since a request never shows it.
WRITTEN: Mapping[str, str] = {
    "date": "in YYYY-MM-DD format",
    "date-time": "as an RFC 3339 timestamp",
    "time": "in 24-hour HH:MM format",
    "phone": "in international format with a leading +",
    "country": "as a two-letter ISO 3166-1 code",
    "currency": "as a three-letter ISO 4217 code",
    "language": "as a two-letter ISO 639-1 code",
}

_NUMBER = r"-?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"(integer|number)(?: ({_NUMBER})?\.\.({_NUMBER})?)?(?: step ({_NUMBER}))?")
_LIST = re.compile(r"list of (.+?)(?: (\d+)\.\.(\d+)?)?")
_PATTERN = re.compile(r"/(.+)/")
_CHOICE = re.compile(r"[\w .+/&'-]+", re.UNICODE)


def schema_of(kind: str, entity: Callable[[str], Schema | None]) -> Schema:
    """The JSON Schema of a kind.

    Args:
        kind: `text`, `date`, `integer 1..24`, `number 0..5 step 0.5`, `metric|imperial`, `/^[A-Z]{3}$/`,
            `list of KIND`, `list of KIND 1..10`, `list of list of number`, or the name of an entity, for a nested
            object.
        entity: gives the object schema of an entity, None when there is none of that name.

    Raises:
        InputError: the text is none of these.
    """
    kind = kind.strip()
    if kind in WORDS:
        return dict(WORDS[kind])
    if number := _RANGE.fullmatch(kind):
        return _number(*number.groups())
    if pattern := _PATTERN.fullmatch(kind):
        _compiled(pattern[1])
        return {"type": "string", "pattern": pattern[1]}
    if whole := _LIST.fullmatch(kind):
        return _array(whole, entity)
    if "|" in kind:
        return _choices(kind)
    found = entity(kind)
    if found is None:
        known = ", ".join(WORDS)
        fix = f"Use one of {known}, integer A..B, number A..B, a|b|c, /pattern/, list of KIND, or an entity's name."
        raise InputError(f"unknown kind {kind!r}", fix=fix)
    return found


def _array(match: re.Match[str], entity: Callable[[str], Schema | None]) -> Schema:
    inner, low, high = match.groups()
    # `list of integer 1..5`: the range belongs to the number; `list of integer 1..5 2..3` names both.
    if low is not None and inner in ("integer", "number"):
        return {"type": "array", "items": schema_of(f"{inner} {low}..{high or ''}", entity)}
    schema: Schema = {"type": "array", "items": schema_of(inner, entity)}
    if low is not None:
        schema["minItems"] = int(low)
    if high is not None:
        schema["maxItems"] = int(high)
    return schema


def _number(kind: str, low: str | None, high: str | None, step: str | None) -> Schema:
    schema: Schema = {"type": kind}
    for key, text in (("minimum", low), ("maximum", high), ("multipleOf", step)):
        if text is not None:
            schema[key] = float(text) if "." in text else int(text)
    if low is not None and high is not None and float(low) >= float(high):
        raise InputError(f"the range {low}..{high} is empty", fix="Write the lower bound first.")
    return schema


def _choices(kind: str) -> Schema:
    choices = [choice.strip() for choice in kind.split("|")]
    wrong = [choice for choice in choices if not _CHOICE.fullmatch(choice)]
    if wrong or len(set(choices)) != len(choices) or len(choices) < 2:
        fix = "Write two or more different choices of letters and digits, a|b|c."
        raise InputError(f"the choices {kind!r} hold {(wrong or ['one twice'])[0]!r}", fix=fix)
    return {"type": "string", "enum": choices}


def _compiled(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise InputError(f"the pattern {pattern!r} is not valid ({error})", fix="Write a regular expression.") from None
