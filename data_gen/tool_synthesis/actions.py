"""What can be done with an entity of the taxonomy: one Action a verb, with what its fields must offer for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]
Fields = Mapping[str, Schema]


def numbers(fields: Fields) -> list[str]:
    """Fields that hold one number."""
    return [name for name, schema in fields.items() if schema.get("type") in ("integer", "number")]


def choices(fields: Fields) -> list[str]:
    """Fields with a list of allowed values."""
    return [name for name, schema in fields.items() if "enum" in schema]


def days(fields: Fields) -> list[str]:
    """Fields that hold a day or a moment."""
    return [name for name, schema in fields.items() if schema.get("format") in ("date", "date-time")]


def _needs(fields: Callable[[Fields], list[str]], what: str, count: int = 1) -> Callable[[Fields], str]:
    return lambda found: "" if len(fields(found)) >= count else f"has no {what}"


def _nothing(_: Fields) -> str:
    return ""


def _grouped(fields: Fields) -> str:
    return "" if numbers(fields) and choices(fields) else "has no number field and field of choices"


@dataclass(frozen=True)
class Action:
    """One thing that can be done.

    Attributes:
        name: how the taxonomy calls it.
        verb: what it is called in tools unless the taxonomy gives another verb.
        problem: what the entity's fields lack for it, "" when nothing.
    """

    name: str
    verb: str
    problem: Callable[[Fields], str] = _nothing


_ALL = (
    Action("search", "search", lambda fields: "" if len(fields) >= 3 else "has fewer than three fields"),
    Action("view", "get"),
    Action("create", "create"),
    Action("update", "update"),
    Action("cancel", "cancel"),
    Action("batch", "import"),
    Action("compare", "compare", _needs(numbers, "number field")),
    Action("rank", "rank", _needs(numbers, "number field")),
    Action("recommend", "recommend", _needs(choices, "field of choices")),
    Action("match", "find"),
    Action("nearby", "find"),
    Action("availability", "check"),
    Action("schedule", "schedule"),
    Action("track", "track"),
    Action("history", "get", _needs(numbers, "number field")),
    Action("statistics", "summarize", _grouped),
    Action("alert", "watch", _needs(numbers, "number field")),
    Action("forecast", "forecast", _needs(numbers, "number field")),
    Action("estimate", "estimate", _needs(numbers, "number field")),
    Action("rate", "rate"),
    Action("share", "share"),
    Action("export", "export"),
    Action("assign", "assign"),
    Action("tag", "label"),
    Action("remind", "set"),
)  # fmt: skip
ACTIONS: Mapping[str, Action] = {action.name: action for action in _ALL}
