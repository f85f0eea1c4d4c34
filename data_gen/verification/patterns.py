"""Regular expressions from tool definitions: hostile text, so matched within a time limit."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from functools import lru_cache

import regex

PATTERN_SECONDS = 0.1
# For all patterns of one row together: what is over it counts as undecided, and so do the matches after it.
ROW_SECONDS = 0.5
PATTERN_LENGTH = 1_000
_left = [math.inf]


@contextlib.contextmanager
def one_row() -> Iterator[None]:
    """Within it all matches together have `ROW_SECONDS`."""
    _left[0] = ROW_SECONDS
    try:
        yield
    finally:
        _left[0] = math.inf


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
    """Whether the pattern is found in the text; None when that cannot be decided in the time that is left."""
    expression = compiled(pattern)
    if expression is None or _left[0] <= 0:
        return None
    start = time.perf_counter()
    try:
        return expression.search(text, timeout=min(_left[0], PATTERN_SECONDS)) is not None
    except TimeoutError:
        return None
    finally:
        _left[0] -= time.perf_counter() - start
