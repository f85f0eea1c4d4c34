"""Argument values for the offline players: what is passed, and how a person would write it in a sentence.

A value is drawn from the parameter's own schema (enum, bounds, format), or from a list that a seed document names.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from data_gen.dialog_generation.examples import examples, letters_varied, varied
from data_gen.dialog_generation.kinds import by_kind, described_kind, kind_of
from data_gen.dialog_generation.sentences import and_list
from data_gen.verification.formats import FORMAT_CHECKER
from data_gen.verification.patterns import matches


class NoValue(Exception):
    """Nothing drawn fits the parameter's schema; the caller leaves the parameter, or the tool, out."""


@dataclass(frozen=True)
class Value:
    """One drawn value: `argument` is what the call passes, `text` how the request says it."""

    argument: Any
    text: str


def draw(spec: Mapping[str, Any], rng: random.Random, name: str = "") -> Value:
    """Draws a value that fits `spec`, a parameter's JSON Schema with the optional hints `kind`, `values` and
    `unnamed` (the kind of a text of which nothing is known).

    Objects are drawn member by member elsewhere, since their members are said one by one.

    Raises:
        NoValue: no value that this player knows of fits, or `spec` is an object.
    """
    if "enum" in spec:
        if not spec["enum"]:
            raise NoValue(name)
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
        return _integer(spec, rng, name)
    if kind == "number":
        return _number(spec, rng, name)
    if kind == "array":
        return _array(spec, rng, name)
    if kind == "object" or "properties" in spec:
        raise NoValue(name)
    return _string(spec, rng, name)


def _enum(choice: Any) -> Value:
    # "journal_article" is said as words, "MARKUP_SYNTAX_CHAT" copied.
    plain = isinstance(choice, str) and not (choice.isupper() and "_" in choice)
    return Value(choice, choice.replace("_", " ") if plain else str(choice))


def _listed(choice: Any) -> Value:
    # YAML reads 2024-05-01 and 18:30 as other types; a seed's listed values are what the file shows.
    if isinstance(choice, (bool, int, float)):
        return Value(choice, str(choice))
    return Value(str(choice), str(choice))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _bounds(spec: Mapping[str, Any], span: float, lowest: float) -> tuple[float, float]:
    """Inclusive bounds; one that is not given lies `span` away from the other, or begins at `lowest`."""
    lows = [spec[key] for key in ("minimum", "exclusiveMinimum") if _is_number(spec.get(key))]
    highs = [spec[key] for key in ("maximum", "exclusiveMaximum") if _is_number(spec.get(key))]
    high = min(highs) if highs else max([lowest, *lows]) + span
    below = lowest < high or (lowest == high and spec.get("exclusiveMaximum") != high)
    low = max(lows) if lows else lowest if below else high - span
    return low, high


def _allowed(number: float, spec: Mapping[str, Any]) -> bool:
    """Whether a number keeps within bounds, exclusive ones included, and on the step."""
    above, below = spec.get("exclusiveMinimum"), spec.get("exclusiveMaximum")
    if (_is_number(above) and number <= above) or (_is_number(below) and number >= below):  # type: ignore[operator]
        return False
    if not spec.get("minimum", number) <= number <= spec.get("maximum", number):
        return False
    step = spec.get("multipleOf")
    return not step or Fraction(str(number)) % Fraction(str(step)) == 0


def _integer(spec: Mapping[str, Any], rng: random.Random, name: str) -> Value:
    step = Fraction(str(spec.get("multipleOf", 1)))
    step = step if step.denominator == 1 else Fraction(step.numerator)
    low, high = _bounds(spec, 60 * int(step), 1)
    first, last = math.ceil(Fraction(low) / step), math.floor(Fraction(high) / step)
    if last - first > 10_000_000:  # a limit of the machine, not of people
        last = first + 1_000
    if last < first:
        raise NoValue(name)
    for _ in range(24):
        number = int(rng.randint(first, last) * step)
        # People say round numbers: a budget is 25,000, hardly ever 24,837.
        for size, every in ((1_000_000, 50_000), (100_000, 5_000), (10_000, 500), (1_000, 50)):
            if high - low >= size and number >= size and rng.random() < 0.7:
                near = round(number / every) * every
                number = near if _allowed(near, spec) else number
                break
        if _allowed(number, spec):
            return Value(number, f"{number:,}" if number >= 10_000 and rng.random() < 0.3 else str(number))
    raise NoValue(name)


def _number(spec: Mapping[str, Any], rng: random.Random, name: str) -> Value:
    if str(spec.get("kind")).startswith("coordinates_"):
        degrees = float(by_kind(spec["kind"], rng))
        if _allowed(degrees, spec):
            return Value(degrees, str(degrees))
    step = spec.get("multipleOf")
    low, high = _bounds(spec, 100 * max(step or 1, 1), 0)
    if high < low:
        raise NoValue(name)
    span = high - low
    for attempt in range(24):
        if step:
            exact = Fraction(str(step))
            first, last = math.ceil(Fraction(str(low)) / exact), math.floor(Fraction(str(high)) / exact)
            if last < first:
                break
            number = float(rng.randint(first, min(last, first + 10_000_000)) * exact)
        else:
            fine = 2 if span == 0 else max(2, 2 - math.floor(math.log10(span)))
            digits = 0 if span > 5_000 else rng.choice((0, 1, 1, 2)) if span > 5 else fine
            number = rng.uniform(low, high)
            number = round(number, digits) if attempt < 12 else number
        argument, text = _said(number)
        if _allowed(argument, spec):
            return Value(argument, text)
    raise NoValue(name)


def _said(number: float) -> tuple[float, str]:
    """A number as a call passes it and as a request says it: 3, not 3.0, and never 1e-05."""
    argument = int(number) if number == int(number) else number
    text = str(argument)
    return argument, text if "e" not in text else f"{number:.20f}".rstrip("0")


def _array(spec: Mapping[str, Any], rng: random.Random, name: str) -> Value:
    low = max(int(spec.get("minItems", 0)), int(spec.get("min_items", spec.get("minItems", 2))))
    high = int(spec.get("maxItems", spec.get("max_items", max(low, 3))))
    low = min(max(low, 1), high)
    wanted = rng.randint(low, min(high, low + 3))
    repeats = not spec.get("uniqueItems")
    items: list[Value] = []
    inner = spec.get("items") or {"type": "string"}
    if "description" not in inner and "description" in spec:  # the list alone says what its items are
        inner = {**inner, "description": spec["description"]}
    for _ in range(wanted * 4):
        value = draw(inner, rng, name.rstrip("s"))
        known = value.argument in [i.argument for i in items]
        if len(items) < wanted and (not known or (repeats and _is_number(value.argument))):
            items.append(value)
    if len(items) < max(int(spec.get("minItems", 0)), 1):
        raise NoValue(name)
    # "5, 10,000 and 3" is not how anyone writes a list.
    texts = [str(i.argument) if _is_number(i.argument) else i.text for i in items]
    return Value([i.argument for i in items], and_list(texts))


_FORMATS = {
    "date": "date",
    "time": "time",
    "date-time": "moment",
    "email": "email",
    "uri": "url",
    "url": "url",
    "ipv4": "ipv4",
    "uuid": "uuid",
}


def _string(spec: Mapping[str, Any], rng: random.Random, name: str) -> Value:
    kind = _FORMATS.get(str(spec.get("format")), "") or spec.get("kind")
    if not kind:
        description = str(spec.get("description", ""))
        kind = described_kind(name, description)
        shown = _shown(description, spec, rng)
        # People and places are many, and the two of a description are soon worn out.
        if shown and (not kind or rng.random() < 0.3):
            return Value(shown, quoted_text(shown))
        kind = kind or kind_of(name)
        kind = str(spec.get("unnamed", kind)) if kind == "name" else kind
    for _ in range(3 if "pattern" in spec else 12):
        text = by_kind(kind, rng)
        if fits(text, spec):
            return Value(text, _spoken_date(text) if kind == "date" and rng.random() < 0.2 else quoted_text(text))
    # A name that may hold anything is a name all the same, not letters drawn from its pattern.
    for text in (
        by_kind("stem", rng),
        by_kind("name", rng),
        _spelled(str(spec.get("pattern", "")), rng),
        *(by_kind(other, rng) for other in _ANY),
    ):
        if text and fits(text, spec):
            return Value(text, text)
    raise NoValue(name)


# our choice: longer texts are sentences, which would run into the request around them.
_LONGEST_BARE = 4


def quoted_text(text: str) -> str:
    """A text as a request says it: a sentence, or what ends like one, in quotes."""
    if '"' in text or (len(text.split()) <= _LONGEST_BARE and not text.endswith(("?", "!", "."))):
        return text
    return f'"{text}"'


# "monthly_overview" is made of words, "AB12-X" is not; "EUR/USD" is neither, and stays.
_LABEL = re.compile(r"[a-z]+(?:[_-][a-z]+)+")
_CODE = re.compile(r"(?=.*\d)\S+")


def _shown(description: str, spec: Mapping[str, Any], rng: random.Random) -> str:
    """A value like those that the description shows, as new as the parameter's schema lets it be; "" for none."""
    known = examples(description)
    if not known:
        return ""
    chosen = rng.choice(known)
    texts = [varied(chosen, rng)]
    if "pattern" in spec and _LABEL.fullmatch(chosen):
        texts.append(by_kind("stem", rng))
        rng.shuffle(texts)
    elif "pattern" in spec and _CODE.fullmatch(chosen):
        texts.append(letters_varied(chosen, rng))
        rng.shuffle(texts)
    for text in (*texts, chosen):
        if fits(text, spec):
            return text
    return ""


# Pieces of the patterns that publishers write identifiers with: classes with a count, choices, plain letters.
_PIECE = re.compile(
    r"(?P<path>\[\^/\]\+)|(?P<kind>\[(?:0-9|A-Z|a-z|A-Z0-9|a-z0-9|0-9a-f|a-f0-9|0-9a-fA-F|A-Fa-f0-9|A-Za-z0-9)\]|\\d)"
    r"(?:\{(?P<low>\d{1,2})(?:,(?P<high>\d{1,2}))?\})?(?P<plus>\+?)|\((?:\?:)?(?P<choice>[\w -]+(?:\|[\w -]+)+)\)"
    r"|(?P<plain>[\w#:/@ -]|\\[./_-])"
)
_DIGITS, _UPPER, _LOWER = "0123456789", "ABCDEFGHJKLMNPRSTUVWXYZ", "abcdefghjkmnpqrstuvwxyz"


def _spelled(pattern: str, rng: random.Random) -> str:
    """A text by a pattern of those pieces alone, such as `^projects/[^/]+/locations/[^/]+$`; "" for any other."""
    left, made = pattern.removeprefix("^").removesuffix("$"), []
    while left:
        piece = _PIECE.match(left)
        if piece is None:
            return ""
        made.append(_spelled_piece(piece, rng))
        left = left[piece.end() :]
    return "".join(made)


def _spelled_piece(piece: re.Match[str], rng: random.Random) -> str:
    if piece["path"]:
        return by_kind("name", rng)
    if piece["choice"]:
        return str(rng.choice(piece["choice"].split("|")))
    if piece["plain"]:
        return str(piece["plain"][-1])
    inside = piece["kind"]
    letters = (_DIGITS if "0-9" in inside or "d" in inside else "") + (
        "abcdef" if "a-f" in inside or "A-F" in inside else _LOWER if "a-z" in inside else ""
    )
    letters += _UPPER if "A-Z" in inside else ""
    low = int(piece["low"] or 1)
    high = min(int(piece["high"] or low), low + 6) if not piece["plus"] else 8
    return "".join(rng.choice(letters) for _ in range(rng.randint(low, max(low, high))))


def _spoken_date(text: str) -> str:
    """`2026-03-14` as "March 14, 2026"; other text as it is."""
    try:
        on = date.fromisoformat(text)
    except ValueError:
        return text
    return f"{on:%B} {on.day}, {on.year}"


_ANY = (
    "name", "id", "word", "postcode", "url", "email", "uuid", "account", "lower", "ipv4", "moment", "time", "digits8",
    "country_code", "language_code", "currency", "dial", "letters", "compact_id", "hex", "date", "long_text",
    "resource", "arn",
)  # fmt: skip


def fits(text: str, spec: Mapping[str, Any]) -> bool:
    """Whether a text has the length, format and pattern that a schema asks for."""
    if not spec.get("minLength", 0) <= len(text) <= spec.get("maxLength", len(text)):
        return False
    if spec.get("format") in _FORMATS and not FORMAT_CHECKER.conforms(text, spec["format"]):
        return False
    return "pattern" not in spec or bool(matches(spec["pattern"], text))


def drawable(spec: Mapping[str, Any]) -> bool:
    """Whether `draw` finds a value for this parameter and for everything inside it that must be given."""
    if spec.get("type") == "object" or "properties" in spec:
        members = spec.get("properties") or {}
        needed = [members.get(name, {}) for name in spec.get("required") or ()]
        # An object without known members can only be passed empty, which nobody asks for.
        return all(map(drawable, needed)) and any(map(drawable, members.values()))
    items = spec.get("items") or {}
    if spec.get("type") == "array" and (items.get("type") == "object" or "properties" in items):
        return drawable(items)
    try:
        draw(spec, random.Random(0))
    except NoValue:
        return False
    return True
