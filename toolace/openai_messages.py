"""OpenAI's messages as data sets hold them, brought to the one form that Message reads.

Content may be a list of parts, a call may stand in the older `function_call`, and two roles have had other names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolace.errors import InputError

_ROLES = {"function": "tool", "developer": "system"}


def plain_message(message: Any) -> Any:
    """The message with text as content, calls in `tool_calls` and a role of today; what is no object stays as it is.

    Raises:
        InputError: a part of the content is no text.
    """
    if not isinstance(message, Mapping):
        return message
    role, content, old = message.get("role"), message.get("content"), message.get("function_call")
    usual = not isinstance(content, list) and not (isinstance(role, str) and role in _ROLES) and not old
    if usual:
        return message
    changed = dict(message)
    if isinstance(role, str):
        changed["role"] = _ROLES.get(role, role)
    if isinstance(content, list):
        changed["content"] = "\n".join(_text(part) for part in content)
    if isinstance(old, Mapping) and not message.get("tool_calls"):
        changed["tool_calls"] = [{"type": "function", "function": old}]
    return changed


def _text(part: Any) -> str:
    """The words of one part. Parts are joined by line breaks, as servers do for templates that take text only."""
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    text = part.get(kind) if isinstance(part, Mapping) and kind in ("text", "refusal") else None
    if not isinstance(text, str):
        raise InputError(f"a message holds a part of type {kind!r}", fix="Only text can be trained on; drop the row.")
    return text
