"""What a dialog's results have said so far: a thing that was told of keeps its facts (paper, Sec. 2.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_gen.dialog_generation.phrases import words
from toolace import Call, Message

_IDENTIFYING_WORDS = "id identifier no number ref reference code key ticket sku isbn uuid arn"
_IDENTIFYING = frozenset(_IDENTIFYING_WORDS.split())


def earlier_facts(messages: Sequence[Message], call: Call) -> dict[str, Any]:
    """What earlier results say of the thing that a call names: the members beside an equal value of an argument.

    An order that was created in one turn is then the same order in a later one.
    """
    facts: dict[str, Any] = {}
    for message in messages:
        for thing in objects(parsed(message.content)) if message.role == "tool" else ():
            if _is_named(thing, call.arguments):
                facts |= {name: value for name, value in thing.items() if isinstance(value, (str, int, float))}
    return {name: value for name, value in facts.items() if name not in call.arguments}


def _is_named(thing: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """Whether an argument names the thing: `order_id` of the call is its `order_id` or its `id`.

    Only identifiers name one thing: a second game of the same title is another game.
    """
    for member, value in thing.items():
        if (
            words(member).split(" ")[-1] not in _IDENTIFYING
            or isinstance(value, bool)
            or not isinstance(value, (str, int))
        ):
            continue
        for name, given in arguments.items():
            if given == value and (words(name) == words(member) or words(name).endswith(f" {words(member)}")):
                return True
    return False


def parsed(content: str) -> Any:
    """A result's JSON; None when it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in a JSON value, outer ones first."""
    stack = [value]
    while stack:
        node = stack.pop(0)
        if isinstance(node, Mapping):
            yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
