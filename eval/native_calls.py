"""Native tool calls in the text of a local model, in the form a server answers them in."""

from __future__ import annotations

import json

from toolace import native_calls


def read_native_calls(text: str) -> list[dict[str, str]] | None:
    """The calls of a text as `{"id", "name", "arguments": JSON text}`.

    None when there is no call, or one of them is broken: then the text is all there is.
    """
    calls = native_calls.read_native_calls(text)
    return [
        {"id": f"call_{i}", "name": call.name, "arguments": json.dumps(call.arguments)} for i, call in enumerate(calls)
    ] or None
