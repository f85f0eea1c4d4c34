"""Values with members: objects, lists of objects, and pairs of parameters of which one must not pass the other."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from data_gen.dialog_generation.phrases import words
from data_gen.dialog_generation.sentences import and_list, join_clauses
from data_gen.dialog_generation.values import NoValue, Value, draw, drawable

# (member's schema, its value) -> how a request says it
Clause = Callable[[Mapping[str, Any], Value], str]


def draw_any(spec: Mapping[str, Any], name: str, rng: random.Random, optional: float, clause: Clause) -> Value:
    """Draws a value for a parameter of any type; `optional` is the share of optional members that are given.

    Raises:
        NoValue: nothing fits; see `values.draw`.
    """
    if _is_object(spec):
        return _object(spec, name, rng, optional, clause)
    items = spec.get("items") or {}
    if spec.get("type") == "array" and _is_object(items):
        low = max(1, int(spec.get("minItems", spec.get("min_items", 1))))
        high = max(low, int(spec.get("maxItems", spec.get("max_items", low + 1))))
        count = rng.randint(low, min(high, low + 1))
        members = [_object(items, name, rng, optional, clause) for _ in range(count)]
        if len({str(m.argument) for m in members}) < count:
            members = members[:1] if low == 1 else members
        texts = [members[0].text] if len(members) == 1 else [f"({m.text})" for m in members]
        return Value([m.argument for m in members], and_list(texts))
    return draw(spec, rng, name)


def _is_object(spec: Mapping[str, Any]) -> bool:
    return spec.get("type") == "object" or "properties" in spec


def _object(spec: Mapping[str, Any], name: str, rng: random.Random, optional: float, clause: Clause) -> Value:
    properties: Mapping[str, Any] = spec.get("properties") or {}
    given = _members(spec, rng, optional)
    if not given:
        raise NoValue(name)
    drawn = {member: draw_any(properties[member], member, rng, optional, clause) for member in given}
    drawn = in_order(drawn, properties)
    said = [clause(properties[member], value) for member, value in drawn.items()]
    # The first clause opens the object, whatever it would say after others.
    said = [said[0].removeprefix("and "), *said[1:]] if len(said) > 1 else said
    return Value({member: value.argument for member, value in drawn.items()}, join_clauses(said))


def _members(spec: Mapping[str, Any], rng: random.Random, optional: float) -> list[str]:
    """Which members are given: the required ones, a share of the others, within the schema's counts."""
    properties = spec.get("properties") or {}
    required = [member for member in spec.get("required") or () if member in properties]
    others = [member for member in properties if member not in required and drawable(properties[member])]
    share = max(optional, 0.4) if not required else optional
    chosen = [member for member in others if rng.random() <= share]
    least = max(int(spec.get("minProperties", 0)), 1) - len(required)
    if len(chosen) < least:
        chosen = others[:least]
    most = int(spec.get("maxProperties", len(properties))) - len(required)
    kept = {*required, *chosen[: max(most, 0)]}
    return [member for member in properties if member in kept]


# Word in a name -> the word in the name of its partner that must not come before it.
_PAIRS = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("start", "end"),
    ("starts", "ends"),
    ("begin", "end"),
    ("begins", "ends"),
    ("first", "last"),
    ("from", "to"),
    ("from", "until"),
    ("lower", "upper"),
    ("low", "high"),
    ("earliest", "latest"),
    ("since", "until"),
    ("arrive", "leave"),
    ("open", "close"),
)
_SAME = ("type", "kind", "format", "minimum", "maximum", "multipleOf", "values", "enum")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:]+Z)?|\d\d:\d\d|\d{4}")


def in_order(
    drawn: Mapping[str, Value], specs: Mapping[str, Mapping[str, Any]], fixed: Collection[str] = ()
) -> dict[str, Value]:
    """Swaps what came out backwards: a minimum above the maximum, an end before the start."""
    ordered = dict(drawn)
    for first in drawn:
        for second in drawn:
            if first == second or first in fixed or second in fixed or not _is_pair(first, second):
                continue
            if any(specs[first].get(key) != specs[second].get(key) for key in _SAME):
                continue
            one, two = ordered[first].argument, ordered[second].argument
            if _comparable(one) and _comparable(two) and type(one) is type(two) and one > two:
                ordered[first], ordered[second] = ordered[second], ordered[first]
    return ordered


def swapped(values: Mapping[str, Any], specs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`in_order` for bare values."""
    ordered = in_order({name: Value(value, "") for name, value in values.items()}, specs)
    return {name: value.argument for name, value in ordered.items()}


def _is_pair(first: str, second: str) -> bool:
    ones, twos = words(first).split(), words(second).split()
    changed = [(a, b) for a, b in zip(ones, twos, strict=False) if a != b]
    return len(ones) == len(twos) and len(changed) == 1 and changed[0] in _PAIRS


def _comparable(value: Any) -> bool:
    if isinstance(value, str):
        return _MOMENT.fullmatch(value) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)
