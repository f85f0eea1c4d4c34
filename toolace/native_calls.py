"""Native tool calls in a model's text: what a server's tool-call parser does for a served model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from toolace.calls import Call
from toolace.rows import strict_json

_BLOCK = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
# Deeper texts are no calls, and Python's own parser would run out of stack on them.
_MOST_BRACKETS = 1000


def read_native_calls(text: str) -> tuple[Call, ...]:
    """Calls in `<tool_call>` blocks, or in a text that is JSON as a whole; none when one of them is broken.

    The JSON is an object, or a list of objects, with `name` and `arguments` (or `parameters`, as Llama 3.1 writes).
    """
    blocks = _BLOCK.findall(text) or [text.replace("<|python_tag|>", "").strip()]
    calls: list[Call] = []
    for block in blocks:
        if block.count("[") + block.count("{") > _MOST_BRACKETS:
            return ()
        try:
            calls += _calls(strict_json(block))
        except (ValueError, RecursionError):
            return ()
    return tuple(calls)


def _calls(value: Any) -> Iterator[Call]:
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise ValueError("no call")
        arguments = item.get("arguments", item.get("parameters", {}))
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
        if not isinstance(arguments, dict):
            raise ValueError("arguments are no object")
        yield Call(item["name"], arguments)
