"""JSON values as the Python literals that call lists are written with; `literals` reads them back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from toolace.errors import InputError
from toolace.literals import DEPTH_LIMIT, DIGIT_LIMIT, shorten


def render_string(text: str) -> str:
    """A double-quoted literal that Python and `parse_calls` read alike; unicode stays readable.

    A low surrogate is written with eight digits: JSON readers (and ours) join `\\ud83d\\ude00` into one character,
    which a string holding the two apart must not become.
    """
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    code = ord(char)
    if short:
        return short
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF and not 0xDC00 <= code <= 0xDFFF else f"\\U{code:08x}"


def render_literal(value: Any, depth: int = 0) -> str:
    """A JSON value as a Python literal.

    Raises:
        InputError: not a JSON value (NaN, a set, an object key that is no text), or nested too deep to be read back.
    """
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return render_string(value)
    if isinstance(value, int):
        try:
            return str(int(value))
        except ValueError:
            raise InputError(f"an integer of more than {DIGIT_LIMIT} digits cannot be written") from None
    if isinstance(value, float) and math.isfinite(value):
        return repr(float(value))
    if isinstance(value, list | Mapping) and depth >= DEPTH_LIMIT:
        raise InputError(f"an argument is nested more than {DEPTH_LIMIT} levels", fix="Flatten it.")
    if isinstance(value, list):
        return "[" + ", ".join(render_literal(item, depth + 1) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_render_key(k)}: {render_literal(v, depth + 1)}" for k, v in value.items()) + "}"
    raise InputError(f"{shorten(repr(value))} ({type(value).__name__}) is no JSON value", fix="Use JSON values.")


def _render_key(key: Any) -> str:
    if not isinstance(key, str):
        raise InputError(f"the object key {shorten(repr(key))} is no text", fix="JSON keys are strings.")
    return render_string(key)
