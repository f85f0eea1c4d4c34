"""Rows of other people's data sets that are no conversation in columns: xLAM / APIGen pairs, and Glaive's chats.

xLAM: `{"query", "answers", "tools"}`, the last two as JSON text, types as Python writes them ("List[int], optional");
an empty list of answers says that no tool fits.
Glaive: `{"system", "chat"}`, one text with USER:, ASSISTANT: and FUNCTION RESPONSE: in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from toolace.calls import Call
from toolace.dialogs import Dialog, Message, number_calls, read_call
from toolace.errors import InputError
from toolace.literals import LiteralReader, Unreadable
from toolace.prompt import read_json_text
from toolace.tools import Tool
from toolace.turns import decoded

# Rows whose gold is "no call" give no words for it; a dialog needs some.
NO_CALL = "None of the functions fits this request."
_PAIR = ("query", "answers", "tools")


def is_pair(row: Any) -> bool:
    """Whether a row is of xLAM's or Glaive's form."""
    if not isinstance(row, Mapping) or "messages" in row or "conversations" in row:
        return False
    return all(key in row for key in _PAIR) or (isinstance(row.get("chat"), str) and "system" in row)


def from_pair(row: Mapping[str, Any]) -> Dialog:
    """The row as a dialog.

    Raises:
        InputError: a column is of the wrong type, or holds no JSON where JSON should be.
    """
    id_ = "" if row.get("id") is None else str(row["id"])
    return _from_glaive(row, id_) if "chat" in row else _from_xlam(row, id_)


def _from_xlam(row: Mapping[str, Any], id_: str) -> Dialog:
    # Only an empty list says that no tool fits: anything else that is empty is gold that was lost.
    query, answers, tools = row["query"], decoded(row["answers"], "answers"), decoded(row["tools"], "tools")
    if not isinstance(query, str) or not isinstance(answers, list) or not isinstance(tools, list):
        raise InputError("query, answers and tools are not a text and two lists", fix="Give xLAM rows.")
    calls = tuple(read_call(item) for item in answers)
    answer = Message("assistant", "", calls) if calls else Message("assistant", NO_CALL)
    read = tuple(Tool.from_json(_with_schema_types(tool)) for tool in tools)
    meta = {"source": "xlam"} if calls else {"source": "xlam", "answer": "stands for an empty list of calls"}
    return Dialog(id_, "", read, number_calls([Message("user", query), answer]), meta)


def _with_schema_types(tool: Any) -> Any:
    """A tool whose parameters name Python types, with JSON Schema in their place."""
    parameters = tool.get("parameters") if isinstance(tool, Mapping) else None
    if not isinstance(parameters, Mapping) or "properties" in parameters or isinstance(parameters.get("type"), str):
        return tool
    return {**tool, "parameters": {name: _parameter(value) for name, value in parameters.items()}}


def _parameter(value: Any) -> Any:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if not isinstance(kind, str):
        return value
    plain = kind.removesuffix(", optional").strip()
    schema = python_type(plain)
    if set(schema) == {"type"}:
        return {**value, "type": schema["type"] + (", optional" if kind != plain else "")}
    rest = {key: inner for key, inner in value.items() if key != "type"}
    # Tool reads the optional mark from the type; a parameter with a default is optional too.
    return {**rest, **schema} if "default" in value or kind == plain else {**rest, **schema, "default": None}


_NAMES = {
    "str": "string", "string": "string", "int": "integer", "integer": "integer", "float": "number", "number": "number",
    "bool": "boolean", "boolean": "boolean", "list": "array", "array": "array", "tuple": "array", "set": "array",
    "dict": "object", "object": "object", "none": "null",
}  # fmt: skip
_TYPE = re.compile(r"(?:typing\.)?([A-Za-z]+)\[(.{1,200})\]")


def python_type(text: str, depth: int = 0) -> dict[str, Any]:
    """JSON Schema of a Python type as text: `List[int]`, `Optional[str]`, `Dict[str, Any]`, `Union[int, float]`.

    What is not known (Callable, a class) says nothing about values: {}.
    """
    match = _TYPE.fullmatch(text.strip())
    if match is None:
        name = _NAMES.get(text.strip().lower())
        return {"type": name} if name else {}
    outer, inner = match.group(1).lower(), list(_split(match.group(2)))
    if depth > 8:
        return {}
    if outer in ("list", "set", "sequence", "iterable", "tuple"):
        items = python_type(inner[0], depth + 1) if len({*inner} - {"..."}) == 1 else {}
        return {"type": "array", "items": items} if items else {"type": "array"}
    if outer in ("dict", "mapping"):
        return {"type": "object"}
    if outer in ("union", "optional"):
        options = [python_type(part, depth + 1) for part in inner]
        options += [{"type": "null"}] if outer == "optional" else []
        return {"anyOf": options} if all(options) else {}
    return {}


def _split(text: str) -> Iterator[str]:
    """The parts between commas that stand in no bracket."""
    depth, start = 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if letter == "," and not depth:
            yield text[start:at].strip()
            start = at + 1
    yield text[start:].strip()


_SPEAKER = re.compile(r"(?:\A|\n)\s*(USER|ASSISTANT|FUNCTION RESPONSE):\s?")
_CALL = re.compile(r"<functioncall>\s*")
_END = "<|endoftext|>"


def _from_glaive(row: Mapping[str, Any], id_: str) -> Dialog:
    system, chat = row["system"], row["chat"]
    if not isinstance(system, str):
        raise InputError(f"system is a {type(system).__name__}", fix="Write text.")
    pieces = _SPEAKER.split(chat)
    if len(pieces) < 3 or pieces[0].strip():
        raise InputError("the chat has no USER: and ASSISTANT: turns", fix="Give Glaive rows.")
    messages = [_glaive_turn(who, text) for who, text in zip(pieces[1::2], pieces[2::2], strict=True)]
    return Dialog(id_, "", tuple(_glaive_tools(system)), number_calls(messages), {"source": "glaive"})


def _glaive_tools(system: str) -> Iterator[Tool]:
    """The objects in the system text, one after the other."""
    at = system.find("{")
    decoder = json.JSONDecoder()
    while at >= 0:
        try:
            value, at = decoder.raw_decode(system, at)
        except (ValueError, RecursionError):
            raise InputError("the functions in system are no JSON", fix="Repair the row.") from None
        yield Tool.from_json(value)
        at = system.find("{", at)


def _glaive_turn(who: str, text: str) -> Message:
    text = text.replace(_END, "").strip()
    if who == "USER":
        return Message("user", text)
    if who == "FUNCTION RESPONSE":
        return Message("tool", text)
    said, *made = _CALL.split(text)
    return Message("assistant", said.strip(), tuple(_glaive_call(part) for part in made))


def _glaive_call(text: str) -> Call:
    """`{"name": "f", "arguments": '{"a": 1}'}`: the arguments are JSON in single quotes."""
    try:
        value: Any = read_json_text(text)
    except ValueError:
        value = _quoted_arguments(text)
    return read_call(value)


_ARGUMENTS = re.compile(r'\{\s*"name":\s*"([^"]{1,200})",\s*"arguments":\s*\'(.*)\'\s*\}\s*\Z', re.DOTALL)


def _quoted_arguments(text: str) -> dict[str, Any]:
    match = _ARGUMENTS.match(text)
    if match:
        return {"name": match.group(1), "arguments": match.group(2)}
    try:
        value, _ = LiteralReader(text).value(0)
    except Unreadable:
        value = None
    if not isinstance(value, dict):
        raise InputError("a <functioncall> is no JSON", fix="Repair the row.")
    return value
