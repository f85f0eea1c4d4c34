"""Whether two lists of calls say the same: names and arguments, in any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toolace.calls import Call


def same_calls(wanted: Sequence[Call], found: Sequence[Call]) -> bool:
    """Whether both hold the same calls, each as often; calls made together have no order."""
    if len(wanted) != len(found):
        return False
    left = list(found)
    for call in wanted:
        at = next((i for i, other in enumerate(left) if same_call(call, other)), None)
        if at is None:
            return False
        del left[at]
    return True


def same_call(one: Call, other: Call) -> bool:
    """Whether names and arguments are equal; see `same_value`."""
    return one.name == other.name and same_value(one.arguments, other.arguments)


def same_value(one: Any, other: Any) -> bool:
    """Equality of JSON values: 5 is 5.0, as in JSON, but true is not 1, as it is in Python."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_value(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same_value, one, other))
    return bool(one == other)
