"""The Hermes form: `<tool_call>` and `<tool_response>` blocks of JSON, the tools in `<tools>` in the system turn."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from toolace.dialogs import Dialog, Message, read_call
from toolace.errors import InputError
from toolace.prompt import read_value
from toolace.tools import Tool
from toolace.turns import (
    Row,
    ToolTurn,
    build,
    grouped,
    pack_result,
    read_meta,
    read_tools_column,
    read_turns,
    unpack_result,
)

BEFORE = "You can call the functions whose signatures stand between the <tools> tags, one JSON object a line:\n"
AFTER = (
    "\nTo call a function, answer with a JSON object that names it and its arguments, between <tool_call> tags, "
    "one block for each call:\n"
    '<tool_call>\n{"name": <function name>, "arguments": {<parameter>: <value>}}\n</tool_call>\n'
    "The results come between <tool_response> tags. When no function fits, answer in plain words."
)
_SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}
_SPACE = re.compile(r"\s*")


def is_marked(turn: Mapping[str, Any]) -> bool:
    """Whether a turn that is not the user's holds one of the form's tags."""
    text = turn.get("value", turn.get("content"))
    tags = ("<tools>", "<tool_call>", "<tool_response>")
    spoken = turn.get("from", turn.get("role")) in ("human", "user")
    return isinstance(text, str) and not spoken and any(tag in text for tag in tags)


def to_row(dialog: Dialog) -> Row:
    """`{"conversations", "id", "type", "meta"}`."""
    meta = dict(dialog.meta)
    wording = meta.pop("hermes", None)
    messages, plain = dialog.messages, ""
    if messages and messages[0].role == "system":
        plain, messages = messages[0].content, messages[1:]
    system = _write_system(plain, dialog.tools, wording)
    turns = [{"from": "system", "value": system}] if system else []
    for item in grouped(messages):
        if isinstance(item, ToolTurn):
            blocks = [{"name": m.name, "content": pack_result(m.content)} for m in item.messages]
            turns.append({"from": "tool", "value": _write_blocks("tool_response", blocks)})
        elif item.calls:
            calls = _write_blocks("tool_call", [call.to_json() for call in item.calls])
            turns.append({"from": "gpt", "value": f"{item.content}\n{calls}" if item.content else calls})
        elif item.role != "system" or item.content:
            turns.append({"from": _SPEAKERS[item.role], "value": item.content})
    return {"conversations": turns, "id": dialog.id, "type": dialog.type, "meta": meta}


def _write_system(plain: str, tools: tuple[Tool, ...], wording: Any) -> str:
    if not tools:
        return plain
    lines = "\n".join(json.dumps(tool.to_openai(), ensure_ascii=False) for tool in tools)
    own = {"before": f"{plain}\n\n{BEFORE}" if plain else BEFORE, "after": AFTER}
    words = wording if isinstance(wording, Mapping) and not plain else own
    return f"{words.get('before', BEFORE)}<tools>\n{lines}\n</tools>{words.get('after', AFTER)}"


def _write_blocks(tag: str, values: list[dict[str, Any]]) -> str:
    return "\n".join(f"<{tag}>\n{json.dumps(value, ensure_ascii=False)}\n</{tag}>" for value in values)


def from_row(row: Mapping[str, Any]) -> Dialog:
    """Reads Hermes rows. Wording of a system turn that is not ours is kept in `meta.hermes` for the way back."""
    meta = read_meta(row)
    turns = read_turns(row)
    messages: list[Message] = []
    tools: tuple[Tool, ...] = ()
    if turns and turns[0][0] == "system":
        plain, tools, wording = _read_system(turns[0][1])
        messages = [Message("system", plain)] if plain else []
        meta |= {"hermes": wording} if wording else {}
        turns = turns[1:]
    for speaker, value in turns:
        if speaker == "tool":
            messages.extend(_read_responses(value))
        elif speaker in ("assistant", "function_call"):
            messages.append(_read_assistant(value))
        else:
            messages.append(Message(speaker, value))
    return build(row, messages, tools or read_tools_column(row), meta)


def _read_system(text: str) -> tuple[str, tuple[Tool, ...], dict[str, str] | None]:
    """(plain instructions, tools, wording that is not ours); a text without tools is plain."""
    for match in list(re.finditer("<tools>", text))[:32]:
        tools, end = _read_tools(text, match.end())
        if tools:
            before, after = text[: match.start()], text[end:]
            if before == BEFORE and after == AFTER:
                return "", tools, None
            if before.endswith("\n\n" + BEFORE) and after == AFTER:
                return before[: -len(BEFORE) - 2], tools, None
            return "", tools, {"before": before, "after": after}
    return text, (), None


def _read_tools(text: str, start: int) -> tuple[tuple[Tool, ...], int]:
    """The tools from `start` to `</tools>`: one JSON list, or one object after the other."""
    items: list[Any] = []
    start = _skip(text, start)
    while text[start : start + 1] in ("{", "["):
        value, end = read_value(text, start)
        if end == start:
            return (), start
        items.extend(value if isinstance(value, list) else [value])
        start = _skip(text, end)
        start = _skip(text, start + 1) if text.startswith(",", start) else start
    if not items or not text.startswith("</tools>", start):
        return (), start
    try:
        return tuple(Tool.from_json(item) for item in items), start + len("</tools>")
    except InputError:
        return (), start


def _skip(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return match.end() if match else start


def _read_assistant(text: str) -> Message:
    start, values = _trailing_blocks(text, "tool_call")
    try:
        calls = tuple(read_call(value) for value in values)
    except InputError:
        calls = ()
    if not calls:
        return Message("assistant", text)
    return Message("assistant", text[:start].removesuffix("\n"), calls)


def _read_responses(text: str) -> tuple[Message, ...]:
    start, values = _trailing_blocks(text, "tool_response")
    if values and not text[:start].strip() and all(map(_is_response, values)):
        return tuple(Message("tool", unpack_result(value["content"]), name=value["name"]) for value in values)
    return (Message("tool", text),)


def _is_response(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"name", "content"} and isinstance(value["name"], str | None)


def _trailing_blocks(text: str, tag: str) -> tuple[int, list[Any]]:
    """The blocks of JSON that end the text and where the first one starts; none when other text follows them.

    One pass from left to right: a block that other text follows starts the search anew behind it.
    """
    opening, closing = f"<{tag}>", f"</{tag}>"
    start = at = text.find(opening)
    values: list[Any] = []
    while at >= 0:
        inner = _skip(text, at + len(opening))
        value, end = read_value(text, inner)
        end = _skip(text, end)
        if end > inner and text.startswith(closing, end):
            values.append(value)
            at = _skip(text, end + len(closing))
            if at == len(text):
                return start, values
            if text.startswith(opening, at):
                continue
        else:
            at = inner
        values = []
        start = at = text.find(opening, at)
    return len(text), []
