"""The parts that row formats made of `conversations` turns share: checking turns, tool turns, columns beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolace.dialogs import Dialog, Message, number_calls
from toolace.errors import InputError
from toolace.prompt import read_json_text
from toolace.tools import Tool

Row = dict[str, Any]
Turn = tuple[str, str]

# What data sets call the speakers, in the roles of a Message. `function_call` is an assistant turn of calls only.
SPEAKERS = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "function_call": "function_call",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
    "function_response": "tool",
    "ipython": "tool",
}


def read_turns(row: Mapping[str, Any]) -> list[Turn]:
    """The (speaker, text) pairs of a row, speakers as in the values of `SPEAKERS`.

    Raises:
        InputError: there are no turns, or a turn has no text or a speaker that is not known.
    """
    turns = decoded(row.get("conversations"), "conversations")
    if not isinstance(turns, list):
        raise InputError("conversations is not a list", fix='Write a list of {"from", "value"}.')
    return [_read_turn(turn, number) for number, turn in enumerate(turns, 1)]


def _read_turn(turn: Any, number: int) -> Turn:
    if not isinstance(turn, Mapping):
        raise InputError(f"turn {number} is a {type(turn).__name__}", fix='Write {"from", "value"}.')
    speaker, value = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    if not isinstance(speaker, str) or speaker not in SPEAKERS:
        raise InputError(f"turn {number} is from {speaker!r}", fix=f"Use one of {', '.join(SPEAKERS)}.")
    if not isinstance(value, str):
        raise InputError(f"turn {number} holds a {type(value).__name__}, not text", fix="Write text as its value.")
    return SPEAKERS[speaker], value


def decoded(value: Any, column: str) -> Any:
    """A column's value, parsed when it is JSON text (as columns of mixed types often are); None when empty.

    Raises:
        InputError: it is text and not JSON.
    """
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return read_json_text(value)
    except ValueError as error:
        raise InputError(f"the column {column} is text but not JSON ({error})", fix="Repair the row.") from None


def read_tools_column(row: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The tools of the column `tools`: a list, JSON text of one, or nothing."""
    value = decoded(row.get("tools"), "tools")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InputError(f"the column tools holds a {type(value).__name__}", fix="Write a list of tools.")
    return tuple(Tool.from_json(decoded(item, "tools")) for item in value)


def read_meta(row: Mapping[str, Any]) -> dict[str, Any]:
    """The column `meta` as an object."""
    value = decoded(row.get("meta"), "meta")
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError("meta is not an object", fix="Write an object or leave it out.")
    return dict(value)


def build(row: Mapping[str, Any], messages: Iterable[Message], tools: Sequence[Tool], meta: Row) -> Dialog:
    """The Dialog of a row: ids of calls filled in order, `id` and `type` from their columns when there are any."""
    name, kind = row.get("id"), row.get("type")
    numbered = number_calls(messages)
    return Dialog("" if name is None else str(name), str(kind or ""), tuple(tools), numbered, meta)


@dataclass(frozen=True)
class ToolTurn:
    """Consecutive tool messages, one turn in these formats.

    Attributes:
        messages: the tool messages.
        expected: the name a single message without one would be given: that of the first call still unanswered.
    """

    messages: tuple[Message, ...]
    expected: str | None


def grouped(messages: Iterable[Message]) -> Iterator[Message | ToolTurn]:
    """The messages in order, consecutive tool messages together."""
    waiting: list[Message] = []
    open_names: list[str] = []
    expected: str | None = None
    for message in messages:
        if message.role == "tool":
            if not waiting:
                expected = open_names[0] if open_names else None
            waiting.append(message)
            if message.name in open_names:
                open_names.remove(message.name)
            continue
        if waiting:
            yield ToolTurn(tuple(waiting), expected)
            waiting = []
        if message.calls:
            open_names = [call.name for call in message.calls]
        yield message
    if waiting:
        yield ToolTurn(tuple(waiting), expected)


def pack_result(content: str) -> Any:
    """A tool message's content as the JSON value it is the text of, or else as text; `unpack_result` undoes it."""
    try:
        value = read_json_text(content)
    except ValueError:
        return content
    return value if not isinstance(value, str) and _dump(value) == content else content


def unpack_result(value: Any) -> str:
    """The content of a tool message."""
    return value if isinstance(value, str) else _dump(value)


def write_results(messages: Iterable[Message]) -> str:
    """Tool messages as one JSON list of {"name", "results"}."""
    return _dump([{"name": message.name, "results": pack_result(message.content)} for message in messages])


def read_results(text: str) -> tuple[Message, ...]:
    """The tool messages of a tool turn; a text of any other shape is one message, as it is, without a name."""
    try:
        items = read_json_text(text)
    except ValueError:
        items = None
    if isinstance(items, list) and items and all(map(_is_result, items)):
        return tuple(Message("tool", unpack_result(item["results"]), name=item["name"]) for item in items)
    return (Message("tool", text),)


def _is_result(item: Any) -> bool:
    return isinstance(item, dict) and set(item) == {"name", "results"} and isinstance(item["name"], str | None)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
