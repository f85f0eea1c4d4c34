"""Plain YAML values to typed dataclasses, by their type hints; a key nobody reads is an error."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from toolace.errors import InputError

T = TypeVar("T")


def unknown_key(key: str, known: Any, where: str) -> InputError:
    """The error for a key nobody reads, with the nearest known one."""
    names = sorted(str(name) for name in known)
    near = difflib.get_close_matches(str(key), names, 1, 0.5)
    fix = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(names)}."
    return InputError(f"unknown key {str(key)!r}", where=where, fix=fix)


def build(cls: type[T], values: Any, where: str) -> T:
    """An instance of a dataclass from plain YAML values, checked and converted by its type hints.

    Raises:
        InputError: unknown key, missing key, or a value of another type, with `where` and the key's name.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"is a {type(values).__name__}", where=where, fix="Write key: value lines.")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    given = {}
    for key, value in values.items():
        if key not in fields:
            raise unknown_key(key, fields, where)
        given[key] = _convert(hints[key], value, f"{where}.{key}")
    for name, field in fields.items():
        missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if missing and name not in given:
            raise InputError(f"the key {name!r} is missing", where=where, fix="Add it.")
    return cls(**given)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is typing.Literal:
        if value not in arguments:
            raise wrong_type(f"one of {', '.join(map(str, arguments))}", value, where)
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, where)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _convert_mapping(arguments, value, where)
    if origin in (tuple, list) or (isinstance(origin, type) and issubclass(origin, Sequence)):
        if not isinstance(value, list | tuple):
            raise wrong_type("a list", value, where)
        return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    return _convert_plain(hint, value, where)


def _convert_union(options: Sequence[Any], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    problem: InputError | None = None
    for option in options:
        if option is type(None):
            continue
        try:
            return _convert(option, value, where)
        except InputError as error:
            problem = error
    raise problem or wrong_type("something else", value, where)


def _convert_mapping(arguments: Sequence[Any], value: Any, where: str) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise wrong_type("key: value lines", value, where)
    return {
        _convert(arguments[0], key, f"{where} (key {key!r})"): _convert(arguments[1], item, f"{where}.{key}")
        for key, item in value.items()
    }


def _convert_plain(hint: Any, value: Any, where: str) -> Any:
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise wrong_type(names.get(hint, str(hint)), value, where)
    return value


def wrong_type(wanted: str, value: Any, where: str) -> InputError:
    """The error for a value of another type."""
    shown = repr(value) if len(repr(value)) < 60 else type(value).__name__
    return InputError(f"is {shown}, not {wanted}", where=where, fix="Correct the value.")
