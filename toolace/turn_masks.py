"""Assistant turns that are not to be trained on.

A Dialog says so in `meta.masked`, the indices of such messages. Other data sets put a flag on the turn: OpenAI
`"weight": 0`, others `"train": false` or `"loss": false`. Ordinals below count assistant turns from 0: those are the
same in every row format, while indices of messages are not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from toolace.dialogs import Dialog
from toolace.errors import InputError
from toolace.turns import SPEAKERS, decoded

FLAGS = ("weight", "train", "loss")
_ASSISTANT = {speaker for speaker, role in SPEAKERS.items() if role in ("assistant", "function_call")}


def masked_ordinals(dialog: Dialog) -> tuple[int, ...]:
    """Which assistant turns `meta.masked` names.

    Raises:
        InputError: it is no list of indices of assistant messages.
    """
    masked = dialog.meta.get("masked")
    if not masked:
        return ()
    said = [i for i, message in enumerate(dialog.messages) if message.role == "assistant"]
    if not isinstance(masked, Sequence) or isinstance(masked, str) or not all(i in said for i in masked):
        what = f"meta.masked is {masked!r}, but the assistant's messages are {said}"
        raise InputError(what, where=dialog.id, fix="Give indices of assistant messages, counted from 0.")
    return tuple(sorted({said.index(i) for i in masked}))


def flagged_ordinals(row: Mapping[str, Any]) -> tuple[int, ...]:
    """Which assistant turns of a row in any format are flagged as not trained on."""
    turns = row.get("messages") or row.get("conversations")
    if isinstance(turns, str):  # JSON text: only worth parsing when a flag can be in it
        turns = decoded(turns, "messages") if any(f'"{flag}"' in turns for flag in FLAGS) else None
    if not isinstance(turns, list):
        return ()
    said = [turn for turn in turns if isinstance(turn, Mapping) and turn.get("from", turn.get("role")) in _ASSISTANT]
    return tuple(i for i, turn in enumerate(said) if any(_is_off(turn.get(flag)) for flag in FLAGS))


def _is_off(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) and value == 0


def with_flags(dialog: Dialog, row: Mapping[str, Any]) -> Dialog:
    """The dialog read from the row, with the row's flags in `meta.masked`."""
    flagged = flagged_ordinals(row)
    if not flagged:
        return dialog
    said = [i for i, message in enumerate(dialog.messages) if message.role == "assistant"]
    known = {said[number] for number in (*flagged, *masked_ordinals(dialog)) if number < len(said)}
    return dataclasses.replace(dialog, meta={**dialog.meta, "masked": sorted(known)})
