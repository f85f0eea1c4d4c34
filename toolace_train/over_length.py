"""Rows that are too long: distractor tools go first, since most of a function-calling row is its tool list."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from toolace.dialogs import Dialog
from toolace_train.mentions import mentions


def distractors(dialog: Dialog) -> list[int]:
    """Numbers of the tools that the dialog neither calls nor mentions, in the order they are removed: last first.

    One tool always stays: a dialog in which nothing fits teaches to decline only while something is on offer.
    """
    called = {call.name for message in dialog.messages for call in message.calls}
    called |= {message.name for message in dialog.messages if message.name}
    text = "\n".join(message.content for message in dialog.messages)
    unused = [i for i, tool in enumerate(dialog.tools) if tool.name not in called and not mentions(text, tool.name)]
    spare = unused if len(unused) < len(dialog.tools) else unused[1:]
    return spare[::-1]


def without_distractors(dialog: Dialog, fits: Callable[[Dialog], bool]) -> tuple[Dialog | None, int]:
    """The dialog with as few tools removed as make it fit, and how many; (None, how many could go) when none do.

    Args:
        dialog: one that does not fit.
        fits: whether a dialog is short enough; asked about log2(tools) times.
    """
    order = distractors(dialog)
    if not order or not fits(_without(dialog, order)):
        return None, len(order)
    low, high = 0, len(order)  # removing `low` is too few, removing `high` is enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(_without(dialog, order[:middle])) else (middle, high)
    return _without(dialog, order[:high]), high


def _without(dialog: Dialog, numbers: list[int]) -> Dialog:
    removed = set(numbers)
    return dataclasses.replace(dialog, tools=tuple(tool for i, tool in enumerate(dialog.tools) if i not in removed))
