"""Questions where none is due: the assistant asks for a required value that the request holds.

Decided is only what has a form of its own: days, times, addresses and options. Whether a name or a number was meant for
the parameter, and whether a function fits after all, are questions of meaning: the consistency expert's. A rule for the
second was tried; it found 4 % of wrong refusals, and held 0.7 % of BFCL's right ones for wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from data_gen.verification.heard import Heard, normalised
from data_gen.verification.identity import remembered
from data_gen.verification.registry import CONSISTENCY, Finding, rule
from data_gen.verification.schemas import properties_of, required_of
from toolace.dialogs import Dialog
from toolace.tools import Tool


@rule("refusal.needed", CONSISTENCY)
def refusal_needed(dialog: Dialog) -> Iterator[Finding]:
    """No question for a required day, time, address or option that the request holds already."""
    asked = ""
    for i, message in enumerate(dialog.messages):
        if message.role == "user":
            asked = message.content
        if message.role != "assistant" or message.calls or not asked or dialog.messages[i - 1].role != "user":
            continue
        for tool in dialog.tools:
            if tool.name not in message.content:
                continue
            needs = _needs(tool)
            name = _questioned(needs, message.content)
            if name and _is_given(needs[name], needs, Heard(asked)):
                yield f"asks for {name!r}, which was said", f"messages[{i}]"


class Need(NamedTuple):
    """A required parameter: its name as spoken, the kind of its value, and the normalised options of an enum."""

    spoken: str
    kind: str
    options: tuple[str, ...]


Needs = dict[str, Need]


@remembered
def _needs(tool: Tool) -> Needs:
    """The required parameters of a tool by name, those whose values have a form of their own."""
    properties = properties_of(tool.parameters)
    needs = {name: _need(name, properties[name]) for name in required_of(tool.parameters) if name in properties}
    return {"": Need(tool.name, "", ()), **{name: need for name, need in needs.items() if need.kind}}


def _spoken(name: str) -> str:
    return normalised(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_.]", " ", name))


def _need(name: str, schema: Any) -> Need:
    schema = schema if isinstance(schema, Mapping) else {}
    options = schema.get("enum")
    described = str(schema.get("description") or "")
    if isinstance(options, list):
        return Need(_spoken(name), "option", tuple(normalised(str(option)) for option in options))
    if schema.get("format") in ("date", "date-time") or "YYYY" in described:
        return Need(_spoken(name), "day", ())
    if schema.get("format") == "time" or "HH:MM" in described:
        return Need(_spoken(name), "time", ())
    if schema.get("format") == "email":
        return Need(_spoken(name), "mail", ())
    return Need(_spoken(name), "", ())


def _questioned(needs: Needs, text: str) -> str:
    """The required parameter that a question about this tool asks for; "" when it is none, or more than one."""
    words = normalised(text.replace(needs[""].spoken, " "))
    named = [name for name, need in needs.items() if name and need.spoken in words]
    return named[0] if len(named) == 1 else ""


def _is_given(need: Need, needs: Needs, request: Heard) -> bool:
    """Whether the request holds a value of the kind for each parameter of that kind that is required."""
    alike = sum(other.kind == need.kind for other in needs.values())
    if need.kind == "option":
        said = [option for option in need.options if len(option) > 5 and option in request.words]
        return len(said) == 1 and alike == 1
    if need.kind == "day":
        return len({day[1:] for day in request.days}) >= alike
    if need.kind == "time":
        return len({minutes % 720 for minutes in request.times}) >= alike
    return need.kind == "mail" and "@" in request.text
