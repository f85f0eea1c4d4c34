"""Quick acceptance of values by common JSON schemas: plain functions, compiled once, that never say yes wrongly.

Nearly every row of a good data set is right, and a full validator spends most of its time on finding that out. A check
made here answers True only when the value surely is JSON and surely fits; on False the validator decides, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from data_gen.verification.formats import holds
from data_gen.verification.patterns import matches

Check = Callable[[Any], bool]

_LARGEST = 10**15  # beyond it, floats and the text of numbers want care
_DEPTH = 30
# Keywords that say nothing about values.
_SILENT = frozenset(
    [
        "type",
        "description",
        "title",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "$comment",
        "$schema",
        "$id",
    ]
)


def never(value: Any) -> bool:
    """The check of a schema that only the validator can judge."""
    return False


def is_json(value: Any, depth: int = 0) -> bool:
    """Whether a value surely is JSON: no NaN, no giant numbers, keys that are text, not too deep."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int or kind is float:
        return bool(-_LARGEST < value < _LARGEST)
    if depth > _DEPTH:
        return False
    if kind is list:
        return all(is_json(item, depth + 1) for item in value)
    if kind is dict:
        return all(type(key) is str and is_json(item, depth + 1) for key, item in value.items())
    return False


def _is_string(value: Any) -> bool:
    return type(value) is str


def _is_boolean(value: Any) -> bool:
    return type(value) is bool


def _is_null(value: Any) -> bool:
    return value is None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and bool(-_LARGEST < value < _LARGEST)


def _is_integer(value: Any) -> bool:
    kind = type(value)
    return (kind is int or (kind is float and value.is_integer())) and bool(-_LARGEST < value < _LARGEST)


_SCALARS = {
    "string": _is_string,
    "boolean": _is_boolean,
    "null": _is_null,
    "number": _is_number,
    "integer": _is_integer,
}


def compile_check(schema: Any, depth: int = 0) -> Check:
    """The quick check of a valid schema; `never` for keywords outside the common ones."""
    if schema is True or schema == {}:
        return is_json
    if not isinstance(schema, Mapping) or depth > _DEPTH:
        return never
    kind = schema.get("type")
    if isinstance(kind, list):
        return _any_of([compile_check({**schema, "type": one}, depth + 1) for one in kind])
    if "anyOf" in schema:
        return _with_any_of(schema, depth)
    words = set(schema) - _SILENT
    if kind == "object":
        return _object_check(schema, words, depth)
    if kind == "array":
        return _array_check(schema, words, depth)
    if isinstance(kind, str):
        return _scalar_check(_SCALARS.get(kind, never), schema, words)
    # Without a type, keywords bind only values of the type they speak of.
    return _member(schema["enum"]) if words == {"enum"} else never if words else is_json


def _any_of(checks: list[Check]) -> Check:
    def check(value: Any) -> bool:
        return any(one(value) for one in checks)

    return check


def _with_any_of(schema: Mapping[str, Any], depth: int) -> Check:
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    outer = compile_check(rest, depth + 1)
    inner = _any_of([compile_check(one, depth + 1) for one in schema["anyOf"]])
    return lambda value: inner(value) and outer(value)


def _member(options: Any) -> Check:
    """Membership of an enum of scalars, types told apart: 1 is not True, and not 1.0 either (the validator decides)."""
    known = {(type(option), option) for option in options if option is None or type(option) in (str, int, bool)}
    return lambda value: (value is None or type(value) in (str, int, bool)) and (type(value), value) in known


def _scalar_check(is_kind: Check, schema: Mapping[str, Any], words: set[str]) -> Check:
    checks = [is_kind]
    for word in sorted(words):
        made = _SCALAR_WORDS.get(word)
        if made is None:
            return never
        checks.append(made(schema[word]))
    if len(checks) == 1:
        return is_kind
    if len(checks) == 2:
        second = checks[1]
        return lambda value: is_kind(value) and second(value)
    return lambda value: all(check(value) for check in checks)


def _multiple_of_step(step: Any) -> Check:
    """Multiples in decimal: both numbers as whole counts of the step's last digit."""
    if type(step) is int:
        return lambda value: type(value) is int and value % step == 0
    digits = len(repr(step).partition(".")[2])
    if type(step) is not float or "e" in repr(step) or digits > 6:
        return never
    scale = 10**digits
    unit = round(step * scale)

    def check(value: Any) -> bool:
        count = round(value * scale)
        return bool(count % unit == 0 and count / scale == value)

    return check


_NUMBERS = (int, float)
# Each is only asked after the type has been checked; a bound on a type it does not bind is asked for nothing.
_SCALAR_WORDS: dict[str, Callable[[Any], Check]] = {
    "enum": _member,
    "minimum": lambda bound: lambda value: type(value) not in _NUMBERS or value >= bound,
    "maximum": lambda bound: lambda value: type(value) not in _NUMBERS or value <= bound,
    "exclusiveMinimum": lambda bound: lambda value: type(value) not in _NUMBERS or value > bound,
    "exclusiveMaximum": lambda bound: lambda value: type(value) not in _NUMBERS or value < bound,
    "minLength": lambda bound: lambda value: type(value) is str and len(value) >= bound,
    "maxLength": lambda bound: lambda value: type(value) is str and len(value) <= bound,
    "pattern": lambda pattern: lambda value: type(value) is str and matches(pattern, value) is True,
    "format": lambda name: lambda value: type(value) is not str or holds(name, value),
    "multipleOf": _multiple_of_step,
}


def _array_check(schema: Mapping[str, Any], words: set[str], depth: int) -> Check:
    if words - {"items", "minItems", "maxItems", "uniqueItems"}:
        return never
    item = compile_check(schema.get("items", True), depth + 1)
    least, most = schema.get("minItems", 0), schema.get("maxItems", float("inf"))
    unique = schema.get("uniqueItems") is True

    def check(value: Any) -> bool:
        if type(value) is not list or not least <= len(value) <= most or not all(map(item, value)):
            return False
        return not unique or (all(type(one) is str for one in value) and len(set(value)) == len(value))

    return check


def _object_check(schema: Mapping[str, Any], words: set[str], depth: int) -> Check:
    if words - {"properties", "required", "additionalProperties"}:
        return never
    known = {name: compile_check(inner, depth + 1) for name, inner in schema.get("properties", {}).items()}
    required = tuple(schema.get("required", ()))
    others = schema.get("additionalProperties", True)
    other = never if others is False else compile_check(others, depth + 1)

    def check(value: Any) -> bool:
        if type(value) is not dict:
            return False
        if not all(name in value for name in required):
            return False
        return all(type(key) is str and known.get(key, other)(inner) for key, inner in value.items())

    return check
