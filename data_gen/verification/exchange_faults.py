"""Seeded faults of values that look as if they had been said: exchanged arguments, dates and options turned around."""

from __future__ import annotations

import datetime
import random
import re

from data_gen.verification.faults import GROUNDING, PARTIAL, Row, Slot, choose, fault, functions, parameters, slots

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _texts(function: Row) -> list[str]:
    return [key for key, value in function["arguments"].items() if isinstance(value, str)]


@fault(PARTIAL)
def arguments_exchanged_in_a_call(row: Row, rng: random.Random) -> bool:
    """Two texts of a call that changed places; which belongs where is a question of meaning when both fit."""
    places = []
    for function in functions(row):
        given = function["arguments"]
        keys = _texts(function)
        places += [(given, a, b) for a in keys for b in keys if a < b and given[a] != given[b]]
    place = choose(rng, places)
    if place is None:
        return False
    given, a, b = place
    given[a], given[b] = given[b], given[a]
    return True


@fault(PARTIAL)
def arguments_exchanged_between_calls(row: Row, rng: random.Random) -> bool:
    """The texts of one parameter in two calls of a turn changed places; others of their arguments differ, too."""
    places = []
    for message in row["messages"]:
        calls = [call["function"] for call in message.get("tool_calls") or ()]
        for i, one in enumerate(calls):
            for other in calls[:i]:
                if one["name"] != other["name"]:
                    continue
                differ = [k for k, v in one["arguments"].items() if other["arguments"].get(k, v) != v]
                places += [(one, other, k) for k in differ if len(differ) > 1 and isinstance(one["arguments"][k], str)]
    place = choose(rng, places)
    if place is None:
        return False
    one, other, key = place
    one["arguments"][key], other["arguments"][key] = other["arguments"][key], one["arguments"][key]
    return True


def _days(row: Row) -> list[Slot]:
    found = [s for s in slots(row) if isinstance(s.value, str) and _DAY.fullmatch(s.value)]
    return [s for s in found if "default" not in s.schema]


@fault(GROUNDING)
def month_and_day_exchanged(row: Row, rng: random.Random) -> bool:
    """2024-03-05 for the third of May."""
    places = []
    said = " ".join(m["content"] for m in row["messages"])
    for slot in _days(row):
        year, month, day = slot.value.split("-")
        turned = f"{year}-{day}-{month}"
        # A date of figures alone may be read both ways.
        if day != month and int(day) <= 12 and turned not in said and f"{int(day)}/{int(month)}" not in said:
            places.append((slot, turned))
    place = choose(rng, places)
    return place is not None and place[0].put(place[1])


@fault(GROUNDING)
def another_year(row: Row, rng: random.Random) -> bool:
    """The day that was said, a year off."""
    said = " ".join(m["content"] for m in row["messages"])
    slot = choose(rng, [s for s in _days(row) if s.value[:4] in said])
    if slot is None:
        return False
    new = f"{int(slot.value[:4]) + rng.choice([-1, 1, 2])}{slot.value[4:]}"
    try:
        datetime.date.fromisoformat(new)
    except ValueError:
        return False
    return new[:4] not in said and slot.put(new)


_TIMED = re.compile(r"year|month|day|date|hour|minute|time|week|night|age|since|until|from|to\b|before|after")


@fault(GROUNDING)
def number_of_a_date(row: Row, rng: random.Random) -> bool:
    """A count that was said only as the day or the month of a date."""
    said = " ".join(m["content"] for m in row["messages"] if m["role"] != "assistant")
    dates = [part for day in _DAY.findall(said) for part in (int(day[5:7]), int(day[8:]))]
    rest = _DAY.sub(" ", said)
    unsaid = [n for n in dates if n > 12 and not re.search(rf"(?<!\d){n}(?!\d)", rest)]
    places = []
    for slot in slots(row):
        schema = slot.schema
        about = f"{slot.key} {schema.get('description', '')}".lower()
        timed = re.search(
            r"year|month|day|date|hour|minute|time|week|night|age|since|until|from|to\b|before|after", about
        )
        if type(slot.value) is int and "default" not in schema and "enum" not in schema and not timed:
            low, high = schema.get("minimum", 0), schema.get("maximum", 99)
            places += [(slot, n) for n in unsaid if low <= n <= high and n != slot.value and "multipleOf" not in schema]
    place = choose(rng, places)
    return place is not None and place[0].put(place[1])


def _unused(row: Row, kinds: tuple[str, ...]) -> list[tuple[Row, str, Row]]:
    """(arguments, name, schema) of optional parameters that a call does not set."""
    found = []
    for function in functions(row):
        schema = parameters(row, function["name"])
        for name, definition in schema.get("properties", {}).items():
            is_free = name not in function["arguments"] and name not in schema.get("required", ())
            if is_free and (definition.get("type") in kinds or ("enum" in kinds and definition.get("enum"))):
                found.append((function["arguments"], name, definition))
    return found


def _is_spoken_of(row: Row, *texts: str) -> bool:
    said = " ".join(m["content"] for m in row["messages"] if m["role"] in ("user", "tool")).lower()
    words = {word for text in texts for word in re.findall(r"[a-z]{4,}", text.lower().replace("_", " "))}
    return any(word[:5] in said for word in words)


@fault(PARTIAL)
def switch_nobody_asked_for(row: Row, rng: random.Random) -> bool:
    """An optional boolean that is switched on, although no word of it was said."""
    places = [p for p in _unused(row, ("boolean",)) if p[2].get("default") is not True]
    place = choose(rng, [p for p in places if not _is_spoken_of(row, p[1])])
    if place is None:
        return False
    place[0][place[1]] = True
    return True


@fault(GROUNDING)
def option_nobody_asked_for(row: Row, rng: random.Random) -> bool:
    """An optional choice that is made, although no word of the parameter or the option was said."""
    places = []
    for given, name, definition in _unused(row, ("enum",)):
        for option in definition["enum"]:
            if isinstance(option, str) and option != definition.get("default"):
                about = (name, option, str(definition.get("description", "")))
                places += [] if _is_spoken_of(row, *about) else [(given, name, option)]
    place = choose(rng, places)
    if place is None:
        return False
    place[0][place[1]] = place[2]
    return True
