"""Lossless converters between Dialog and the rows other tools read: toolace, trl, sharegpt and hermes.

    row = FORMATS["sharegpt"].to_row(dialog)
    dialog = from_any(row)

What a form cannot hold, so that `from_row(to_row(dialog))` is not equal:
    * ids of calls are those that `number_calls` gives in order (trl keeps any), and of a tool only what a model is
      shown is kept: name, description, parameters, returns;
    * toolace has no place for id, type and meta other than the prompt and the masked turns; sharegpt, hermes and trl
      have columns for them;
    * assistant content that itself reads as calls, whole or in its last line, comes back as calls;
    * toolace: a system text that holds a list of tools is taken apart at the list; plain instructions ahead of a prompt
      that is not the default become part of it; a prompt without tools becomes plain instructions;
    * an empty system message is left out.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from toolace import hermes, sharegpt
from toolace.calls import parse_calls, render_calls
from toolace.dialogs import Dialog, Message
from toolace.errors import InputError
from toolace.openai_messages import plain_message
from toolace.pair_rows import from_pair, is_pair
from toolace.prompt import DEFAULT_PROMPT, STYLES, is_read_back, locate, read_system, write_system, write_tools
from toolace.rows import read_json, read_rows
from toolace.turn_masks import masked_ordinals, with_flags
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

__all__ = ["DEFAULT_PROMPT", "FORMATS", "STYLES", "Format", "from_any", "read_any", "system_text", "write_tools"]


def system_text(dialog: Dialog) -> str:
    """The system text of a dialog in the toolace form: plain instructions, then the prompt with the tool list."""
    return write_system(_plain(dialog), dialog.tools, dialog.meta.get("prompt"))


def _plain(dialog: Dialog) -> str:
    first = dialog.messages[0] if dialog.messages else None
    return first.content if first is not None and first.role == "system" else ""


def to_toolace(dialog: Dialog) -> Row:
    """`{"system", "conversations"}`, calls as `[name(arg=value)]` text: the published rows of ToolACE (Sec. 3.1).

    Where the system text lists the tools as YAML, XML, Markdown or Python, a column `tools` has them as JSON text too.
    """
    turns: list[Row] = []
    messages = dialog.messages[1:] if _plain(dialog) else dialog.messages
    for item in grouped(messages):
        if isinstance(item, ToolTurn):
            turns.append({"from": "tool", "value": write_results(item.messages)})
        elif item.role != "system" or item.content:
            turns.append({"from": item.role, "value": _assistant_text(item) if item.calls else item.content})
    said = [turn for turn in turns if turn["from"] == "assistant"]
    for number in masked_ordinals(dialog):
        said[number]["train"] = False  # this form has no place for meta
    row: Row = {"system": system_text(dialog), "conversations": turns}
    if dialog.tools and not is_read_back(dialog.meta.get("prompt")):
        # As text: lists of tools have no common columns.
        row["tools"] = json.dumps([tool.to_function() for tool in dialog.tools], ensure_ascii=False)
    return row


def _assistant_text(message: Message) -> str:
    calls = render_calls(message.calls)
    return f"{message.content}\n{calls}" if message.content else calls


def from_toolace(row: Mapping[str, Any]) -> Dialog:
    """Reads a toolace row, ours or the published ones; the list of tools is found inside the system text."""
    system = row.get("system") or ""
    if not isinstance(system, str):
        raise InputError(f"system is a {type(system).__name__}", fix="Write text.")
    turns = read_turns(row)
    if not system and turns and turns[0][0] == "system":
        system, turns = turns[0][1], turns[1:]
    told = read_tools_column(row)
    known = locate(system, told) if told else None
    plain, tools, prompt = ("", told, known) if known else read_system(system)
    messages = [Message("system", plain)] if plain else []
    for speaker, value in turns:
        if speaker == "tool":
            messages.extend(read_results(value))
        elif speaker == "user" or speaker == "system":
            messages.append(Message(speaker, value))
        else:
            messages.append(_read_assistant(value))
    meta = read_meta(row)
    if prompt is not None:
        meta["prompt"] = prompt
    return build(row, messages, tools or told, meta)


def _read_assistant(value: str) -> Message:
    head, newline, last = value.rpartition("\n")
    for content, text in ((head, last), ("", value)) if newline else (("", value),):
        if text.lstrip().startswith("["):
            parsed = parse_calls(text)
            if parsed.ok and parsed.bracketed:
                return Message("assistant", content, parsed.calls)
    return Message("assistant", value)


def to_trl(dialog: Dialog) -> Row:
    """OpenAI `messages` and `tools`, arguments as objects. The tool prompt is no message: a chat template writes it."""
    return {
        "messages": [message.to_json() for message in dialog.messages if message.role != "system" or message.content],
        "tools": [tool.to_openai() for tool in dialog.tools],
        "id": dialog.id,
        "type": dialog.type,
        "meta": dict(dialog.meta),
    }


def from_trl(row: Mapping[str, Any]) -> Dialog:
    """Reads `messages` rows: ours, canonical, OpenAI's of any age with arguments as text, and what `datasets` made of
    them."""
    messages = decoded(row.get("messages"), "messages")
    messages = [plain_message(message) for message in messages] if isinstance(messages, list) else messages
    tools = [tool.to_json() for tool in read_tools_column(row)]
    return Dialog.from_json({**row, "messages": messages, "tools": tools, "meta": read_meta(row)})


@dataclasses.dataclass(frozen=True)
class Format:
    """One row format.

    Attributes:
        to_row, from_row: the two directions; both raise InputError.
        reader: who reads such rows.
    """

    name: str
    to_row: Callable[[Dialog], Row]
    from_row: Callable[[Mapping[str, Any]], Dialog]
    reader: str


def _named(to_row: Callable[[Dialog], Row]) -> Callable[[Dialog], Row]:
    """The same, with the dialog's id in every error."""

    def named(dialog: Dialog) -> Row:
        try:
            return to_row(dialog)
        except InputError as error:
            raise InputError(error.what, where=error.where or dialog.id, fix=error.fix) from None

    return named


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format("toolace", _named(to_toolace), from_toolace, "the form ToolACE was published in, and our trainer's"),
        Format("trl", _named(to_trl), from_trl, "TRL and OpenAI fine-tuning: messages and tools"),
        Format("sharegpt", _named(sharegpt.to_row), sharegpt.from_row, "LLaMA-Factory: function_call, observation"),
        Format("hermes", _named(hermes.to_row), hermes.from_row, "Hermes and Qwen templates: <tool_call> blocks"),
    )
}


def detect(row: Any) -> Format:
    """The format of a row.

    Raises:
        InputError: it is none of them; names the columns seen.
    """
    if isinstance(row, Mapping) and "messages" in row:
        return FORMATS["trl"]
    if not isinstance(row, Mapping) or "conversations" not in row:
        seen = f"the columns {', '.join(map(str, row)) or 'none'}" if isinstance(row, Mapping) else type(row).__name__
        fix = (
            "Give rows with messages, conversations (toolace, trl, sharegpt, hermes), or query, answers, tools (xLAM)."
        )
        raise InputError(f"a row with {seen} is no dialog", fix=fix)
    turns = decoded(row["conversations"], "conversations")
    turns = [turn for turn in turns if isinstance(turn, Mapping)] if isinstance(turns, list) else []
    speakers = {turn.get("from", turn.get("role")) for turn in turns}
    if row.get("system") is None and any(hermes.is_marked(turn) for turn in turns):
        return FORMATS["hermes"]
    return FORMATS["toolace" if speakers <= {"system", "user", "assistant", "tool"} else "sharegpt"]


def from_any(row: Any) -> Dialog:
    """Reads a row of any of the formats, a canonical Dialog, or a row of xLAM / APIGen or Glaive.

    Raises:
        InputError: the row is none of them, or is broken.
    """
    if is_pair(row):
        return from_pair(row)
    return with_flags(detect(row).from_row(row), row)


def read_any(path: str | Path) -> Iterator[Dialog]:
    """Yields the dialogs of a JSON Lines file, or of a JSON file with one list, in any format.

    Dialogs without an id are given "<stem>-<line>" (in a JSON list: the number of the item, from 1).

    Raises:
        InputError: with the file and line (or item) of a row that cannot be read.
    """
    path = Path(path)
    for where, number, row in _items(path) if _holds_list(path) else _lines(path):
        try:
            dialog = from_any(row)
        except InputError as error:
            inner = f" ({error.where})" if error.where else ""
            raise InputError(error.what, where=where + inner, fix=error.fix) from None
        yield dialog if dialog.id else dataclasses.replace(dialog, id=f"{path.stem}-{number}")


def _holds_list(path: Path) -> bool:
    if not path.is_file():
        return False  # `read_rows` says what is wrong with it
    with path.open("rb") as stream:
        first = next((line for line in stream if line.strip()), b"")
    return first.lstrip().startswith(b"[")


def _lines(path: Path) -> Iterator[tuple[str, int, Row]]:
    for number, row in read_rows(path):
        yield f"{path}:{number}", number, row


def _items(path: Path) -> Iterator[tuple[str, int, Any]]:
    for number, row in enumerate(read_json(path), 1):
        yield f"{path}: item {number}", number, row
