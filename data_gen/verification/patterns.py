"""Regular expressions from tool definitions: hostile text, so matched within a time limit."""

from __future__ import annotations

from functools import lru_cache

import regex

PATTERN_SECONDS = 0.1
PATTERN_LENGTH = 1_000


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> regex.Pattern[str] | None:
    """The compiled pattern, or None when Python cannot read it or it is longer than 1,000 characters."""
    if len(pattern) > PATTERN_LENGTH:
        return None
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError, ValueError):
        return None


def matches(pattern: str, text: str) -> bool | None:
    """Whether the pattern is found in the text; None when it cannot be decided in a tenth of a second."""
    expression = compiled(pattern)
    try:
        return None if expression is None else expression.search(text, timeout=PATTERN_SECONDS) is not None
    except TimeoutError:
        return None
