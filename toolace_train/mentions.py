"""Whether a text speaks of something by its name: `rain` is in "call rain now", not in "trained"."""

from __future__ import annotations


def mentions(text: str, name: str) -> bool:
    """Whether the name stands in the text with no letter, digit or underscore right before or after it."""
    at = text.find(name)
    while at >= 0:
        end = at + len(name)
        before, after = text[at - 1 : at] if at else "", text[end : end + 1]
        if not (_joins(before) or _joins(after)):
            return True
        at = text.find(name, at + 1)
    return False


def _joins(letter: str) -> bool:
    return letter.isalnum() or letter == "_"
