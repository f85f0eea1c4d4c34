"""Rules on calls against the tools on offer (paper, Table 4: function-calling executability)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from data_gen.verification.identity import remembered_last
from data_gen.verification.patterns import matches
from data_gen.verification.registry import EXECUTABILITY, Finding, rule
from data_gen.verification.schemas import compile_once, properties_of, required_of
from toolace.calls import Call, parse_calls
from toolace.dialogs import Dialog
from toolace.tools import Tool

_DEPTH = 64


@remembered_last
def placed_calls(dialog: Dialog) -> tuple[tuple[str, Call], ...]:
    """Every call with its place, `messages[2].calls[0]`."""
    return tuple(
        (f"messages[{i}].calls[{j}]", call)
        for i, message in enumerate(dialog.messages)
        for j, call in enumerate(message.calls)
    )


@remembered_last
def _matched(dialog: Dialog) -> tuple[tuple[str, Call, Tool], ...]:
    """Calls of tools that are on offer, each with its tool."""
    by_name = {tool.name: tool for tool in dialog.tools}
    return tuple((place, call, by_name[call.name]) for place, call in placed_calls(dialog) if call.name in by_name)


@rule("call.readable", EXECUTABILITY)
def readable(dialog: Dialog) -> Iterator[Finding]:
    """No answer holds calls as text: a call list, a call in the tags of a chat template, or a JSON object that names a
    tool and its arguments."""
    names = {tool.name for tool in dialog.tools}
    for i, message in enumerate(dialog.messages):
        if message.role != "assistant":
            continue
        tagged = _tagged_call(message.content, names)
        if tagged:
            yield f"a call written as text: {tagged[:80]!r}", f"messages[{i}].content"
        if "(" not in message.content:
            continue
        parsed = parse_calls(message.content)
        alone = not parsed.before.strip() and not parsed.after.strip()
        if parsed.calls and (alone or any(call.name in names for call in parsed.calls)):
            problem = parsed.problems[0].detail if parsed.problems else "a call written as text"
            yield f"{problem}: {message.content[:80]!r}", f"messages[{i}].content"


# What chat templates put around calls, and what agents of the ReAct kind write.
_TAGS = re.compile(
    r"</?(?:tool_call|functioncall|function_call|function_calls|tool_use|invoke|tool_calls)\b[^>\n]{0,80}>|<function="
    r"|<\|(?:python_tag|tool_call|tool_calls_begin|function_call)\|>|\[TOOL_CALLS?\]|^Action Input:",
    re.MULTILINE,
)
_NAMED = re.compile(r"[\"'](?:name|function|tool|tool_name|api|action)[\"']\s*:\s*[\"']([^\"'\n]{1,200})[\"']")
_GIVEN = re.compile(r"[\"'](?:arguments|parameters|args|params|action_input|input)[\"']\s*:\s*[{\"']")


def _tagged_call(text: str, names: set[str]) -> str:
    """A call between tags, or an object that names one of the tools; "" when there is none."""
    if "<" in text or "[TOOL" in text or "Action" in text:
        tag = _TAGS.search(text)
        if tag:
            return text[tag.start() :]
    if "{" in text and _GIVEN.search(text):
        named = next((match for match in _NAMED.finditer(text) if match[1] in names), None)
        return text[named.start() :] if named else ""
    return ""


@rule("call.name_in_list", EXECUTABILITY)
def name_in_list(dialog: Dialog) -> Iterator[Finding]:
    """The API that is called is in the tool list."""
    names = {tool.name for tool in dialog.tools}
    for place, call in placed_calls(dialog):
        if call.name not in names:
            yield f"{call.name!r} is none of {', '.join(sorted(names)) or 'no tools'}", place


@rule("call.required_given", EXECUTABILITY)
def required_given(dialog: Dialog) -> Iterator[Finding]:
    """All required parameters are given, and none as an empty text that the definition does not provide for."""
    for place, call, tool in _matched(dialog):
        for name in required_of(tool.parameters):
            if name not in call.arguments:
                yield f"{call.name} needs {name!r}", place
            elif _is_blank(call.arguments[name]) and not _may_be_blank(properties_of(tool.parameters).get(name)):
                yield f"{call.name} needs {name!r}, which is an empty text", f"{place}.{name}"


def _is_blank(value: Any) -> bool:
    return type(value) is str and (not value or value.isspace())


def _may_be_blank(schema: Any) -> bool:
    """Whether a definition provides for an empty text: as an option, as the default, or in its description."""
    if not isinstance(schema, Mapping):
        return False
    options = schema.get("enum")
    if schema.get("default") == "" or (isinstance(options, list) and "" in options):
        return True
    described = str(schema.get("description") or "").lower()
    return any(word in described for word in ("empty", "blank", "omit", "leave out", "optional"))


@rule("call.no_unknown_parameter", EXECUTABILITY)
def no_unknown_parameter(dialog: Dialog) -> Iterator[Finding]:
    """Every argument, and every member of an object argument, is in the definition."""
    for place, call, tool in _matched(dialog):
        if call.arguments.keys() <= properties_of(tool.parameters).keys() and not _holds_containers(call.arguments):
            continue
        for path, name in _unknown(call.arguments, tool.parameters, 0):
            known = ", ".join(properties_of(tool.parameters)) if not path else "other members"
            yield f"{call.name} has no {name!r} (it has {known or 'no parameters'})", f"{place}{path}.{name}"


def _holds_containers(arguments: Mapping[str, Any]) -> bool:
    return any(isinstance(value, (dict, list, tuple, Mapping)) for value in arguments.values())


def _unknown(value: Any, schema: Any, depth: int) -> Iterator[tuple[str, str]]:
    """(path, key) of members that an object schema does not name and does not leave open."""
    if not isinstance(schema, Mapping) or depth > _DEPTH or not isinstance(value, (Mapping, list, tuple)):
        return
    if isinstance(value, Mapping):
        properties = properties_of(schema)
        is_open = _is_open(schema, properties, depth)
        for key, inner in value.items():
            if key in properties:
                for path, name in _unknown(inner, properties[key], depth + 1):
                    yield f".{key}{path}", name
            elif not is_open and not _is_matched(str(key), schema):
                yield "", str(key)
    else:
        for i, inner in enumerate(value):
            for path, name in _unknown(inner, schema.get("items"), depth + 1):
                yield f"[{i}]{path}", name


def _is_matched(key: str, schema: Mapping[str, Any]) -> bool:
    patterns = schema.get("patternProperties")
    return isinstance(patterns, Mapping) and any(matches(str(pattern), key) for pattern in patterns)


_COMBINED = ("$ref", "anyOf", "oneOf", "allOf", "if")


def _is_open(schema: Mapping[str, Any], properties: Mapping[str, Any], depth: int) -> bool:
    """Whether other members are allowed: said so, left to a combination of schemas, or an inner object without any."""
    if any(word in schema for word in _COMBINED):
        return True
    if "additionalProperties" in schema:
        return schema["additionalProperties"] is not False
    return depth > 0 and not properties


@rule("call.repeated", EXECUTABILITY)
def repeated(dialog: Dialog) -> Iterator[Finding]:
    """No two calls of a turn are the same."""
    for i, message in enumerate(dialog.messages):
        if len(message.calls) < 2:
            continue
        seen: dict[str, int] = {}
        for j, call in enumerate(message.calls):
            first = seen.setdefault(_identity(call), j)
            if first != j:
                yield f"the same call of {call.name} as calls[{first}]", f"messages[{i}].calls[{j}]"


def _identity(call: Call) -> str:
    try:
        return json.dumps([call.name, call.arguments], sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return f"{call.name} {id(call)}"


@rule("call.schema", EXECUTABILITY)
def argument_schema(dialog: Dialog) -> Iterator[Finding]:
    """Every argument fits its parameter's schema: type, enum, bounds, format, pattern, items, members.

    JSON Schema decides: True is no integer, and 5.0 is one.
    """
    for place, call, tool in _matched(dialog):
        compiled = compile_once(tool.parameters)
        if compiled.surely_fits(call.arguments):
            continue
        try:
            json.dumps(call.arguments, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            yield f"arguments of {call.name} are no JSON ({error})", place
            continue
        for path, keyword, evidence in compiled.errors(call.arguments):
            # Missing and unknown parameters have rules of their own.
            if path or keyword not in ("required", "additionalProperties"):
                yield evidence, place + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
