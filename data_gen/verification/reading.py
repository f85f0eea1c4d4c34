"""Reading rows as dialogs, for data sets in which a few thousand tools stand in every row again.

`read_dialog` gives what `toolace.formats.from_any` gives, faster on rows of messages and tools: a tool that was
read before is the same Tool object, so what was found out about it need not be found out again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from data_gen.verification.bfcl_rows import from_bfcl, is_bfcl
from toolace import Dialog, InputError, Message, Tool
from toolace.dialogs import number_calls
from toolace.formats import from_any
from toolace.openai_messages import plain_message
from toolace.turn_masks import with_flags

_MOST = 32_768


def read_dialog(row: Any) -> Dialog:
    """A row as a dialog: every form `toolace.formats` reads, BFCL questions with their answers.

    Raises:
        InputError: the row is none of them, or is broken.
        RecursionError: it is nested too deep.
    """
    if is_bfcl(row):
        return from_bfcl(row)
    if not isinstance(row, Mapping):
        return from_any(row)
    if isinstance(row.get("functions"), list) and not row.get("tools") and "messages" in row:
        row = {**row, "tools": row["functions"]}  # as OpenAI called them before there were tools
    if isinstance(row.get("messages"), list) and isinstance(row.get("tools"), list):
        return _from_messages(row, row["messages"], row["tools"])
    return from_any(row)


def _from_messages(row: Mapping[str, Any], messages: list[Any], tools: list[Any]) -> Dialog:
    meta = row.get("meta")
    if isinstance(meta, str) or not all(isinstance(tool, Mapping) for tool in tools):
        return from_any(row)  # what went through `datasets` has columns of JSON text
    id_ = "" if row.get("id") is None else str(row["id"])
    try:
        built = number_calls([Message.from_json(plain_message(message)) for message in messages])
        if meta is not None and not isinstance(meta, Mapping):
            raise InputError("meta is not an object", fix="Write an object or leave it out.")
        known = tuple(_tool(tool) for tool in tools)
    except InputError as error:
        raise InputError(error.what, where=error.where or id_ or "row without id", fix=error.fix) from None
    return with_flags(Dialog(id_, str(row.get("type") or ""), known, built, dict(meta or {})), row)


def _tool(row: Mapping[str, Any]) -> Tool:
    """The tool of a row; the same object for the same JSON."""
    return _read_tool(json.dumps(row))


@lru_cache(maxsize=_MOST)
def _read_tool(text: str) -> Tool:
    return Tool.from_json(json.loads(text))
