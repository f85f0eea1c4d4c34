"""The sharegpt form as LLaMA-Factory reads it: human, gpt, function_call and observation turns, tools as JSON text.

Its turns alternate strictly, so the results of parallel calls are one observation. A function_call turn holds only the
calls; text beside them is kept in `meta.sharegpt.contents` (turn number to text), and is not trained on there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from toolace.calls import Call
from toolace.dialogs import Dialog, Message, read_call
from toolace.errors import InputError
from toolace.turns import (
    Row,
    ToolTurn,
    build,
    decoded,
    grouped,
    read_meta,
    read_results,
    read_tools_column,
    read_turns,
    write_results,
)

_SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}


def to_row(dialog: Dialog) -> Row:
    """`{"conversations", "system", "tools", "id", "type", "meta"}`."""
    messages, system = dialog.messages, ""
    if messages and messages[0].role == "system":
        system, messages = messages[0].content, messages[1:]
    turns: list[dict[str, str]] = []
    contents: dict[str, str] = {}
    for item in grouped(messages):
        if isinstance(item, ToolTurn):
            turns.append({"from": "observation", "value": _write_observation(item)})
        elif item.calls:
            if item.content:
                contents[str(len(turns))] = item.content
            turns.append({"from": "function_call", "value": _write_calls(item.calls)})
        elif item.role != "system" or item.content:
            turns.append({"from": _SPEAKERS[item.role], "value": item.content})
    meta = dict(dialog.meta)
    if contents:
        meta["sharegpt"] = {"contents": contents}
    tools = json.dumps([tool.to_function() for tool in dialog.tools], ensure_ascii=False) if dialog.tools else ""
    beside = {"id": dialog.id, "type": dialog.type, "meta": meta}
    return {"conversations": turns, "system": system, "tools": tools, **beside}


def _write_calls(calls: tuple[Call, ...]) -> str:
    items = [call.to_json() for call in calls]
    return json.dumps(items[0] if len(items) == 1 else items, ensure_ascii=False)


def _write_observation(turn: ToolTurn) -> str:
    """One result stands as it is when reading gives it its name back; else a JSON list of {"name", "results"}."""
    only = turn.messages[0]
    plain = read_results(only.content) == (Message("tool", only.content),)
    if len(turn.messages) == 1 and only.name == turn.expected and plain:
        return only.content
    return write_results(turn.messages)


def from_row(row: Mapping[str, Any]) -> Dialog:
    """Reads sharegpt rows; a leading system turn counts as the column `system`."""
    system = row.get("system") or ""
    if not isinstance(system, str):
        raise InputError(f"system is a {type(system).__name__}", fix="Write text.")
    meta = read_meta(row)
    contents = _pop_contents(meta)
    messages = [Message("system", system)] if system else []
    for number, (speaker, value) in enumerate(read_turns(row)):
        if speaker == "tool":
            messages.extend(read_results(value))
        elif speaker == "function_call":
            messages.append(Message("assistant", contents.get(str(number)) or "", read_calls(value, number + 1)))
        else:
            messages.append(Message(speaker, value))
    return build(row, messages, read_tools_column(row), meta)


def _pop_contents(meta: Row) -> Mapping[str, Any]:
    kept = meta.pop("sharegpt", None)
    contents = kept.get("contents") if isinstance(kept, Mapping) else None
    return contents if isinstance(contents, Mapping) else {}


def read_calls(text: str, number: int) -> tuple[Call, ...]:
    """The calls of a function_call turn: one JSON object, or a list of them.

    Raises:
        InputError: the text is not that; names the turn.
    """
    try:
        value = decoded(text, f"conversations, turn {number},")
        items = value if isinstance(value, list) else [value]
        if not items:
            raise InputError("there is no call in it")
        return tuple(read_call(item) for item in items)
    except InputError as error:
        fix = error.fix or 'Write {"name", "arguments"} or a list of them.'
        raise InputError(f"turn {number} is a function_call, but {error.what}", fix=fix) from None
