"""Seeded faults of values: arguments that nobody said, chains that do not hold; see `faults`."""

from __future__ import annotations

import datetime
import json
import random
import re
from typing import Any

from data_gen.verification.faults import GROUNDING, Row, Slot, choose, fault, functions, parameters, slots, turns

_NAMES = (
    "Zermatt", "Quillabamba", "Ferdinand Oyelaran", "Brackenridge", "Valparaiso", "Kaplan Industries", "Ouagadougou",
    "Xanthippe Moreau", "Thistlewood", "Marrakesh", "Ingrid Solberg", "Wolverhampton", "Petrovna", "Guadalajara",
)  # fmt: skip


def _said(row: Row) -> str:
    return " ".join(m["content"] for m in row["messages"]).lower() + " " + json.dumps(row["tools"]).lower()


def _free(row: Row, kind: type, *, nested: bool | None = None) -> list[Slot]:
    """Values of a type that a caller is free to choose: no enum, no default, and the value is one that was said."""
    found = []
    for slot in slots(row):
        value = slot.value
        wrong = type(value) is not kind or "enum" in slot.schema or "default" in slot.schema or "const" in slot.schema
        if not wrong and nested in (None, slot.depth > 0):
            found.append(slot)
    return found


def _unsaid_name(row: Row, rng: random.Random) -> str:
    said = _said(row)
    return rng.choice([name for name in _NAMES if not any(part.lower() in said for part in name.split())])


def _rename(row: Row, rng: random.Random, nested: bool) -> bool:
    plain = [s for s in _free(row, str, nested=nested) if not s.schema.get("pattern") and not s.schema.get("format")]
    slot = choose(rng, [s for s in plain if re.fullmatch(r"[A-Z][A-Za-z' -]{2,40}", s.value)])
    return slot is not None and slot.put(_unsaid_name(row, rng))


@fault(GROUNDING)
def name_nobody_said(row: Row, rng: random.Random) -> bool:
    """A name of a place, a person or a thing that is not in the conversation."""
    return _rename(row, rng, nested=False)


@fault(GROUNDING)
def nested_name_nobody_said(row: Row, rng: random.Random) -> bool:
    """The same inside an object or a list."""
    return _rename(row, rng, nested=True)


def _fits(schema: Row, number: float) -> bool:
    low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    above, below = schema.get("exclusiveMinimum", float("-inf")), schema.get("exclusiveMaximum", float("inf"))
    return bool(low <= number <= high and above < number < below and "multipleOf" not in schema)


def _renumber(row: Row, rng: random.Random, change: Any, kinds: tuple[type, ...] = (int, float)) -> bool:
    places = []
    said = _said(row)
    for slot in [s for kind in kinds for s in _free(row, kind)]:
        new = change(slot.value)
        text = f"{new:g}" if isinstance(new, float) else str(new)
        if (
            new != slot.value
            and _fits(slot.schema, new)
            and not re.search(rf"(?<!\d){re.escape(text.lstrip('-'))}(?!\d)", said)
        ):
            places.append((slot, new))
    place = choose(rng, places)
    return place is not None and place[0].put(place[1])


@fault(GROUNDING)
def number_nobody_said(row: Row, rng: random.Random) -> bool:
    """Another number."""
    return _renumber(row, rng, lambda value: type(value)(value * rng.choice([3, 7]) + rng.randrange(13, 97)))


@fault(GROUNDING)
def number_off_by_one(row: Row, rng: random.Random) -> bool:
    """A whole number that is one too large."""
    return _renumber(row, rng, lambda value: value + 1, (int,))


@fault(GROUNDING)
def digits_exchanged(row: Row, rng: random.Random) -> bool:
    """72 for 27."""

    def exchanged(value: int) -> int:
        digits = str(abs(value))
        return int(digits[:-2] + digits[-1] + digits[-2]) if len(digits) > 1 and digits[-1] != "0" else value

    return _renumber(row, rng, exchanged, (int,))


@fault(GROUNDING)
def another_day(row: Row, rng: random.Random) -> bool:
    """A date some days off."""
    places = [s for s in _free(row, str) if re.fullmatch(r"\d{4}-\d\d-\d\d", s.value)]
    slot = choose(rng, places)
    if slot is None:
        return False
    new = datetime.date.fromisoformat(slot.value) + datetime.timedelta(days=rng.choice([-40, -3, 2, 11, 45]))
    return new.isoformat() not in _said(row) and slot.put(new.isoformat())


@fault(GROUNDING)
def another_option(row: Row, rng: random.Random) -> bool:
    """Another option of an enum than the one that was said."""
    said = " ".join(m["content"] for m in row["messages"]).lower()
    places = []
    for slot in slots(row):
        if isinstance(slot.value, str) and slot.schema.get("default") != slot.value and slot.value.lower() in said:
            options = [o for o in slot.schema.get("enum", ()) if isinstance(o, str) and o.lower() not in said]
            options = [o for o in options if o != slot.schema.get("default")]
            places += [(slot, option) for option in options]
    place = choose(rng, places)
    return place is not None and place[0].put(place[1])


@fault(GROUNDING)
def invented_optional_value(row: Row, rng: random.Random) -> bool:
    """An optional argument that nobody asked for, with a value of its own."""
    places = []
    for function in functions(row):
        schema = parameters(row, function["name"])
        for name, definition in schema.get("properties", {}).items():
            plain = not {"enum", "pattern", "format", "default", "minLength"} & set(definition)
            if name not in function["arguments"] and name not in schema.get("required", ()) and plain:
                places.append((function, name, definition))
    place = choose(rng, [p for p in places if p[2].get("type") in ("string", "integer", "number")])
    if place is None:
        return False
    function, name, definition = place
    number = next(n for n in range(37, 90) if not re.search(rf"(?<!\d){n}(?!\d)", _said(row)))
    if definition["type"] != "string" and not _fits(definition, number):
        return False
    function["arguments"][name] = _unsaid_name(row, rng) if definition["type"] == "string" else number
    return True


@fault(GROUNDING)
def request_without_the_value(row: Row, rng: random.Random) -> bool:
    """The words that said a value are taken out of the request."""
    places = []
    for slot in _free(row, str):
        if len(slot.value) >= 4 and slot.value.isascii() and slot.value[0].isupper():
            spoken = [m for m in row["messages"] if slot.value.lower() in m["content"].lower()]
            if spoken and all(m["role"] == "user" for m in spoken):
                places.append((slot.value, spoken))
    place = choose(rng, places)
    if place is None:
        return False
    for message in place[1]:
        message["content"] = re.sub(re.escape(place[0]), "that", message["content"], flags=re.IGNORECASE)
    return not any(word in _said(row) for word in re.findall(r"[a-z]{4,}", place[0].lower()))


def _links(row: Row) -> list[tuple[Slot, int]]:
    """Arguments that a result gave, each with the turn of the result."""
    found = []
    messages = row["messages"]
    for at in turns(row, "tool"):
        later = {**row, "messages": messages[at:]}
        asked = " ".join(m["content"] for m in messages[:at] if m["role"] != "tool").lower()
        for slot in slots(later):
            value = slot.value
            if (
                isinstance(value, str)
                and len(value) > 3
                and value in messages[at]["content"]
                and value.lower() not in asked
            ):
                found.append((slot, at))
    return found


@fault(GROUNDING)
def chain_with_another_value(row: Row, rng: random.Random) -> bool:
    """A later argument is not what the earlier result gave."""
    link = choose(rng, [(s, at) for s, at in _links(row) if not s.schema.get("pattern") and not s.schema.get("format")])
    return link is not None and row["type"] == "dependent" and link[0].put(_unsaid_name(row, rng))


@fault(GROUNDING)
def chain_with_another_result(row: Row, rng: random.Random) -> bool:
    """The earlier result does not hold what the later call takes from it."""
    link = choose(rng, _links(row))
    if link is None or row["type"] != "dependent":
        return False
    value, at = link[0].value, link[1]
    for message in row["messages"][at:]:
        if message["role"] == "tool":
            message["content"] = message["content"].replace(value, "Zermatt QX")
    return not any(value in m["content"] for m in row["messages"] if m["role"] in ("user", "tool"))


@fault(GROUNDING)
def chain_said_before(row: Row, rng: random.Random) -> bool:
    """A dependent dialog in which the user had said everything already: nothing depends on the result."""
    links = _links(row)
    if not links or row["type"] != "dependent":
        return False
    first = turns(row, "user")[0]
    row["messages"][first]["content"] += " " + " ".join(f"It is {slot.value}." for slot, _ in links)
    return True
