"""Argument values for the offline players: what is passed, and how a person would write it in a sentence.

A value is drawn from the parameter's own schema (enum, bounds, format), or from a list that a seed document names.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()


@dataclass(frozen=True)
class Value:
    """One drawn value: `argument` is what the call passes, `text` how the request says it."""

    argument: Any
    text: str


@cache
def _book() -> Mapping[str, Any]:
    raw = yaml.safe_load((Path(__file__).parent / "values.yaml").read_text(encoding="utf-8"))
    lists = {kind: [item.strip() for item in text.split(", ")] for kind, text in raw["lists"].items()}
    return {"lists": lists, "joined": raw["joined"], "chit_chat": raw["chit_chat"]}


def chit_chat() -> list[tuple[str, str]]:
    """Pairs (what the user says, what the assistant answers) that need no tool."""
    return [tuple(pair) for pair in _book()["chit_chat"]]


def draw(spec: Mapping[str, Any], rng: random.Random, name: str = "") -> Value:
    """Draws a value that fits `spec`, a parameter's JSON Schema with the optional hints `kind` and `values`.

    Objects are drawn member by member elsewhere, since their members are said one by one.
    """
    if "enum" in spec:
        return _enum(rng.choice(spec["enum"]))
    if "const" in spec:
        return _enum(spec["const"])
    if spec.get("values"):
        return _listed(rng.choice(spec["values"]))
    kind = spec.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "string")
    if kind == "boolean":
        answer = rng.random() < 0.5
        return Value(answer, "yes" if answer else "no")
    if kind == "integer":
        return _integer(spec, rng)
    if kind == "number":
        return _number(spec, rng)
    if kind == "array":
        return _array(spec, rng, name)
    return _string(spec, rng, name)


def _enum(choice: Any) -> Value:
    return Value(choice, choice.replace("_", " ") if isinstance(choice, str) else str(choice))


def _listed(choice: Any) -> Value:
    # YAML reads 2024-05-01 and 18:30 as other types; a seed's listed values are what the file shows.
    if isinstance(choice, (bool, int, float)):
        return Value(choice, str(choice))
    return Value(str(choice), str(choice))


def _integer(spec: Mapping[str, Any], rng: random.Random) -> Value:
    step = int(spec.get("multipleOf", 1))
    low = int(spec.get("minimum", spec.get("exclusiveMinimum", 0) + 1))
    high = int(spec.get("maximum", spec.get("exclusiveMaximum", low + 60) - 0))
    number = low + step * rng.randrange(max(1, (high - low) // step + 1))
    # People say round numbers: a budget is 25,000, hardly ever 24,837.
    for size, every in ((100_000, 5_000), (10_000, 500), (1_000, 50)):
        if high - low >= size and number >= size and rng.random() < 0.7:
            number = min(high, max(low, round(number / every) * every))
            break
    text = str(number)
    if 2 <= number <= 12 and rng.random() < 0.12:
        text = NUMBER_WORDS[number]
    elif number >= 10_000 and rng.random() < 0.3:
        text = f"{number:,}"
    return Value(number, text)


def _number(spec: Mapping[str, Any], rng: random.Random) -> Value:
    low = float(spec.get("minimum", spec.get("exclusiveMinimum", 0)))
    high = float(spec.get("maximum", spec.get("exclusiveMaximum", low + 100)))
    step = spec.get("multipleOf")
    if step:
        number = low + step * rng.randrange(int((high - low) / step) + 1)
    else:
        digits = 0 if high - low > 5_000 else rng.choice((0, 1, 1, 2)) if high - low > 5 else 2
        number = rng.uniform(low, high)
        number = min(high, max(low, round(number, digits)))
    number = round(number, 6)
    argument = int(number) if number == int(number) else number
    return Value(argument, str(argument))


def _array(spec: Mapping[str, Any], rng: random.Random, name: str) -> Value:
    low = int(spec.get("minItems", spec.get("min_items", 2)))
    high = int(spec.get("maxItems", spec.get("max_items", max(low, 3))))
    wanted = rng.randint(low, max(low, min(high, low + 3)))
    items: list[Value] = []
    for _ in range(wanted * 4):
        value = draw(spec.get("items") or {"type": "string"}, rng, name.rstrip("s"))
        if len(items) < wanted and (value.argument not in [i.argument for i in items] or _numeric(value.argument)):
            items.append(value)
    # "5, ten and 3" is not how anyone writes a list.
    texts = [str(i.argument) if _numeric(i.argument) else i.text for i in items]
    return Value([i.argument for i in items], and_list(texts))


def _numeric(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def and_list(texts: list[str]) -> str:
    """Joins as English does: "a", "a and b", "a, b and c"."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _string(spec: Mapping[str, Any], rng: random.Random, name: str) -> Value:
    kind = spec.get("kind") or _kind_of(name, spec)
    if kind == "date" or spec.get("format") == "date":
        return _date(rng)
    text = _by_kind(kind, rng)
    return Value(text, text)


def _date(rng: random.Random) -> Value:
    day = date(2024, 1, 1) + timedelta(days=rng.randrange(365 * 3))
    spoken = f"{day:%B} {day.day}, {day.year}"
    return Value(day.isoformat(), spoken if rng.random() < 0.2 else day.isoformat())


def _by_kind(kind: str, rng: random.Random) -> str:
    book = _book()
    if kind in book["lists"]:
        return str(rng.choice(book["lists"][kind]))
    if kind in book["joined"]:
        parts = [rng.choice(book["lists"][p]) if p in book["lists"] else p for p in book["joined"][kind]]
        return "".join(parts)
    return _MADE[kind](rng)


def _email(rng: random.Random) -> str:
    lists = _book()["lists"]
    first, last = rng.choice(lists["first_name"]).lower(), rng.choice(lists["last_name"]).lower().replace("'", "")
    return f"{first}.{last}@{rng.choice(('example.com', 'mail.com', 'northwind.io', 'company.org'))}"


def _id(rng: random.Random) -> str:
    letters = "".join(rng.choice("ABCDEFGHKLMNPQRSTUVWXYZ") for _ in range(rng.choice((1, 2, 3))))
    return f"{letters}-{rng.randrange(100, 99999)}"


_MADE: dict[str, Any] = {
    "time": lambda rng: f"{rng.randrange(6, 23):02d}:{rng.choice((0, 15, 30, 45)):02d}",
    "year": lambda rng: str(rng.randrange(1950, 2027)),
    "email": _email,
    "phone": lambda rng: f"+{rng.choice((1, 33, 44, 49, 351))} 555 {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}",
    "address": lambda rng: f"{rng.randrange(1, 400)} {_by_kind('street_name', rng)}, {_by_kind('city', rng)}",
    "street": lambda rng: _by_kind("street_name", rng),
    "url": lambda rng: f"https://{_by_kind('domain_name', rng)}/{rng.choice(('news', 'items', 'start', 'help'))}",
    "id": _id,
    "postcode": lambda rng: str(rng.randrange(10000, 99999)),
    "coordinates_lat": lambda rng: f"{rng.uniform(-60, 70):.4f}",
    "coordinates_lon": lambda rng: f"{rng.uniform(-170, 170):.4f}",
    "name": lambda rng: f"{rng.choice(_PLAIN)}-{rng.choice(_THINGS)}",
}
_PLAIN = "blue green north prod staging daily main backup test alpha orion delta summer archive public".split()
_THINGS = "server data bucket pipeline report table queue cluster logs gateway project topic".split()

# What a parameter's name says about its values, for documents that give no hint (first match wins).
_NAME_KINDS = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"e_?mail", "email"),
        (r"phone|mobile", "phone"),
        (r"(^|_)(url|uri|endpoint|link)$", "url"),
        (r"date|(^|_)day$", "date"),
        (r"(^|_)time$|start_time|end_time", "time"),
        (r"city|town", "city"),
        (r"country", "country"),
        (r"currency", "currency"),
        (r"language|locale", "language"),
        (r"address", "address"),
        (r"first_?name", "first_name"),
        (r"last_?name|surname", "last_name"),
        (r"user_?name|login", "username"),
        (r"file|path$", "file"),
        (r"(^|_)(id|ids|arn|key|token|number|code)$|identifier", "id"),
        (r"description|comment|message|text|content|reason|title|summary", "sentence"),
    )
)


def _kind_of(name: str, spec: Mapping[str, Any]) -> str:
    if spec.get("format") in ("email", "date", "time"):
        return str(spec["format"])
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for pattern, kind in _NAME_KINDS:
        if pattern.search(snake):
            return kind
    return "name"
