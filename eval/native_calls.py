"""Native tool calls in the text of a local model: what a server's tool-call parser does for a served one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_BLOCK = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_DEEPEST = 100


def read_native_calls(text: str) -> list[dict[str, str]] | None:
    """Calls `{"id", "name", "arguments": JSON text}` in `<tool_call>` blocks, or in a text that is JSON as a whole.

    The JSON is an object, or a list of objects, with `name` and `arguments` (or `parameters`, as Llama 3.1 writes).
    None when there is no such call, or one of them is broken: then the text is all there is.
    """
    blocks = _BLOCK.findall(text) or [text.replace("<|python_tag|>", "").strip()]
    calls = []
    for block in blocks:
        if block.count("[") + block.count("{") > _DEEPEST * 10:
            return None
        try:
            calls += list(_calls(json.loads(block)))
        except (ValueError, TypeError, RecursionError):
            return None
    return [{"id": f"call_{i}", **call} for i, call in enumerate(calls)] or None


def _calls(value: Any) -> Iterator[dict[str, str]]:
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise ValueError("no call")
        arguments = item.get("arguments", item.get("parameters", {}))
        yield {"name": item["name"], "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments)}
