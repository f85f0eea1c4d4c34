"""Message and Dialog: the one canonical row of the toolkit, and reading and writing files of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolace.calls import Call
from toolace.errors import InputError
from toolace.rows import load, strict_json, write_rows
from toolace.tools import Tool

ROLES = ("system", "user", "assistant", "tool")
DIALOG_TYPES = ("single", "parallel", "dependent", "non_tool_use")


@dataclass(frozen=True)
class Message:
    """One turn, in OpenAI's terms.

    Attributes:
        role: system, user, assistant or tool.
        content: the text; empty for an assistant turn that only calls.
        calls: what the assistant calls, in order; the i-th call of the message has the i-th id.
        call_ids: ids of the calls, as many as `calls`.
        name: on a tool message, the API that answers.
        call_id: on a tool message, the id of the call it answers.
    """

    role: str
    content: str = ""
    calls: tuple[Call, ...] = ()
    call_ids: tuple[str, ...] = ()
    name: str | None = None
    call_id: str | None = None

    @classmethod
    def from_json(cls, row: Any) -> Message:
        """Reads an OpenAI message; `arguments` may be an object or JSON text.

        Raises:
            InputError: unknown role, or a call without a name or with arguments that are no object.
        """
        if not isinstance(row, Mapping):
            raise InputError(f"a message is a {type(row).__name__}, not an object", fix="Write role and content.")
        role = row.get("role")
        if role not in ROLES:
            raise InputError(f"a message has the role {role!r}", fix=f"Use one of {', '.join(ROLES)}.")
        content = row.get("content")
        if content is not None and not isinstance(content, str):
            raise InputError(f"a {role} message has a {type(content).__name__} as content", fix="Write text.")
        raw = row.get("tool_calls") or ()
        if not isinstance(raw, list | tuple):
            raise InputError(f"tool_calls is a {type(raw).__name__}", fix="Write a list of calls.")
        calls = tuple(read_call(item) for item in raw)
        ids = tuple(str(item["id"]) if isinstance(item, Mapping) and item.get("id") else "" for item in raw)
        if role != "tool":  # OpenAI lets users have a name; rows that went through `datasets` have null everywhere
            return cls(role, content or "", calls, ids)
        name, call_id = row.get("name"), row.get("tool_call_id")
        for text in (name, call_id):
            if not isinstance(text, str | None):
                raise InputError(f"a tool message has a name or id that is a {type(text).__name__}", fix="Write text.")
        return cls(role, content or "", calls, ids, name, call_id)

    def to_json(self) -> dict[str, Any]:
        """The OpenAI message, `arguments` as an object."""
        row: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.calls:
            row["tool_calls"] = [
                {"id": id_, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
                for id_, call in zip(self.call_ids, self.calls, strict=True)
            ]
        if self.role == "tool":
            row["tool_call_id"], row["name"] = self.call_id, self.name
        return row


def read_call(item: Any) -> Call:
    """Reads one OpenAI tool call, or a bare `{"name", "arguments"}`; arguments may be JSON text or an object."""
    if isinstance(item, Mapping) and isinstance(item.get("function"), Mapping):
        item = item["function"]
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        raise InputError("a tool call has no name", fix='Write {"name": ..., "arguments": {...}}.')
    arguments = item.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = strict_json(arguments, unique=True)
        except (ValueError, RecursionError) as error:
            problem = str(error) or type(error).__name__
            what = f"arguments of the call to {item['name']!r} are not JSON ({problem})"
            raise InputError(what, fix="Repair the row.") from None
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, Mapping):
        kind = type(arguments).__name__
        raise InputError(f"arguments of the call to {item['name']!r} are a {kind}", fix="Write an object.")
    return Call(item["name"], dict(arguments))


@dataclass(frozen=True)
class Dialog:
    """A conversation with the tools that were on offer: the canonical row.

    Attributes:
        id: unique in its file.
        type: single, parallel, dependent or non_tool_use; empty when unknown (other people's data).
        tools: candidate tools in the order shown to the model.
        messages: turns in order; a leading system message holds instructions without the tool list.
        meta: everything else (seed, provenance, and `prompt`, how the tool list is written into the system turn).
    """

    id: str
    type: str
    tools: tuple[Tool, ...]
    messages: tuple[Message, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Dialog:
        """Reads a row of `dialogs.jsonl`; ids of calls and tool messages that are missing are filled in order.

        Raises:
            InputError: with the row's id as `where` when a tool, message or call is broken.
        """
        id_ = "" if row.get("id") is None else str(row["id"])
        where = id_ or "row without id"
        try:
            tools, messages = row.get("tools") or [], row.get("messages")
            if not isinstance(tools, list) or not isinstance(messages, list):
                raise InputError("a dialog needs lists of tools and messages", fix='Add "tools" and "messages".')
            built = number_calls(Message.from_json(item) for item in messages)
            meta = row.get("meta") or {}
            if not isinstance(meta, Mapping):
                raise InputError("meta is not an object", fix="Write an object or leave it out.")
            tools_ = tuple(Tool.from_json(item) for item in tools)
            return cls(id_, str(row.get("type") or ""), tools_, built, dict(meta))
        except InputError as error:
            raise InputError(error.what, where=error.where or where, fix=error.fix) from None

    def to_json(self) -> dict[str, Any]:
        """The row of `dialogs.jsonl`."""
        return {
            "id": self.id,
            "type": self.type,
            "tools": [tool.to_json() if tool.id else tool.to_function() for tool in self.tools],
            "messages": [message.to_json() for message in self.messages],
            "meta": dict(self.meta),
        }


def number_calls(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Gives calls without an id `call_0, call_1, ...` and ties tool messages to calls by id, else by order.

    A tool message without a name takes the name of the call it answers. What cannot be tied stays as it is: that is
    for verification to judge.
    """
    result: list[Message] = []
    open_calls: list[tuple[str, str]] = []
    count = 0
    for message in messages:
        if message.calls:
            given = message.call_ids or ("",) * len(message.calls)
            ids = tuple(id_ or f"call_{count + i}" for i, id_ in enumerate(given))
            count += len(ids)
            open_calls = [(id_, call.name) for id_, call in zip(ids, message.calls, strict=True)]
            message = Message(message.role, message.content, message.calls, ids)
        elif message.role == "tool":
            match = _answered(message, open_calls)
            if match:
                open_calls.remove(match)
                name = match[1] if message.name is None else message.name
                message = Message("tool", message.content, name=name, call_id=match[0])
        result.append(message)
    return tuple(result)


def _answered(message: Message, open_calls: list[tuple[str, str]]) -> tuple[str, str] | None:
    for pair in open_calls:
        if message.call_id is not None and message.call_id == pair[0]:
            return pair
    if message.call_id is not None:
        return None
    for pair in open_calls:
        if message.name in (None, pair[1]):
            return pair
    return None


def read_dialogs(path: str | Path) -> Iterator[Dialog]:
    """Reads `dialogs.jsonl` or `verified.jsonl` row by row; InputError names file, line and row id."""
    yield from load(path, Dialog.from_json)


def write_dialogs(path: str | Path, dialogs: Iterable[Dialog]) -> int:
    """Writes dialogs as JSON Lines, whole or not at all; returns how many."""
    return write_rows(path, (dialog.to_json() for dialog in dialogs))
