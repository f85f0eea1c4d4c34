"""JSON answers of the players: what is demanded of the server for one dialog, and what is checked here.

A schema is compiled once a kind of answer (6 ms, most of it the check against the meta-schema); what differs from one
dialog to the next (function names, their parameters, what a tool returns) goes to the server in `response_format` and
is judged here by the compiled schemas of the tools.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from data_gen.verification.identity import remembered
from data_gen.verification.schemas import compile_once
from toolace import Tool
from toolace.rows import dumps
from toolace.structured import AnswerSchema

# A schema beyond this is not sent: servers that turn it into a grammar would take longer than the answer.
_SCHEMA_CHARACTERS = 12_000
_KEPT = ("type", "enum", "const", "required", "minItems", "maxItems", "minimum", "maximum")
_DEPTH = 12


class Narrowed(AnswerSchema):
    """An answer schema whose server is told more than is checked in general.

    Args:
        base: what every answer of the kind must be.
        schema: the same, narrowed to one list of tools: what the server is sent.
    """

    def __init__(self, base: AnswerSchema, schema: Mapping[str, Any]) -> None:
        self.name, self.schema, self.check = base.name, dict(schema), None
        self.__dict__["validator"] = _Quick(base)  # in the place where AnswerSchema keeps what it compiles

    def judged_by(self, check: Callable[[Any], str]) -> Narrowed:
        """The same with a check of what the narrowing adds, which returns what is wrong, or ""."""
        _ = self.sent, self.canonical  # computed once for all that are judged differently
        judged = copy.copy(self)
        judged.check = check
        return judged


class _Quick:
    """A validator that looks closely only at values which do not surely fit: most answers do."""

    def __init__(self, base: AnswerSchema) -> None:
        self.base, self.surely_fits = base, compile_once(base.schema).surely_fits

    def iter_errors(self, value: Any) -> Iterator[Any]:
        """Errors of the base's own validator."""
        return iter(()) if self.surely_fits(value) else self.base.validator.iter_errors(value)


def object_of(members: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object with these members, all of them and no others: the form that strict servers want."""
    return {"type": "object", "properties": dict(members), "required": list(members), "additionalProperties": False}


def sendable(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """What of a tool's schema every server understands: types, members, choices, bounds; no more than the type
    when that is too large."""
    small = _plain(schema, 0)
    if len(dumps(small)) <= _SCHEMA_CHARACTERS:
        return small
    return {"type": small["type"]} if "type" in small else {}


def _plain(schema: Any, depth: int) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or depth > _DEPTH:
        return {}
    plain = {key: schema[key] for key in _KEPT if key in schema}
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        plain["properties"] = {str(name): _plain(inner, depth + 1) for name, inner in properties.items()}
        plain["additionalProperties"] = False
    if isinstance(schema.get("items"), Mapping):
        plain["items"] = _plain(schema["items"], depth + 1)
    return plain


def misfit(value: Any, schema: Mapping[str, Any] | None) -> str:
    """Why a value does not fit a tool's own schema, in words for the model; "" when it does."""
    if schema is None:
        return ""
    errors = compile_once(schema).errors(value)
    if not errors:
        return ""
    path, _, evidence = errors[0]
    place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
    return f"{place}: {evidence}" if place else evidence


@remembered
def defined(tools: tuple[Tool, ...]) -> str:
    """Definitions as a prompt shows them, one a line."""
    return "\n".join(dumps(tool.to_function()) for tool in tools) or "(none)"
