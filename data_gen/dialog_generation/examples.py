"""Values that a parameter's own description gives: "Identifier of the recipe, e.g. REC-30985." and others like them.

Publishers show by example what a pattern or a name leaves open. An identifier is varied: its digits are drawn anew, and
so are its letters where the parameter's pattern lets them.
"""

from __future__ import annotations

import random
import re
from functools import lru_cache

_INTRODUCED = re.compile(r"(?:\be\.g\.,?|\bsuch as|\b[Ff]or example[:,]?|\b[Ee]xamples?:)\s+")
# Where the examples of a sentence end.
_END = re.compile(r"[.;)](?:\s|$)|\s\(|\betc\b")
_QUOTED = re.compile(r"[\"'`“‘]([^\"'`“”’]{1,60})[\"'`”’]")
# A word that shows how a value is written (YYYY-MM-DD) or stands for one is no value.
_STAND_IN = re.compile(r"[{}<>*\\]|\b(?:YYYY|MM|DD|[xX]{3,}|UUID|foo|bar|example)\b|EXAMPLE")
# Real documents go on after an example ("BOS for Boston, which ..."): only what looks like a value is taken.
_LONGEST_WORDS = 8
_EXPLAINED = re.compile(r"^([A-Z0-9-]{2,8}) for .*")
_LISTED = frozenset(("or", "and"))


@lru_cache(maxsize=65536)
def examples(description: str) -> tuple[str, ...]:
    """The example values of a description, in its order; empty when it gives none."""
    start = _INTRODUCED.search(description)
    if start is None:
        return ()
    said = description[start.end() :]
    quoted = _QUOTED.match(said)
    if quoted:
        # `"USD", "EUR"`: everything up to the end of the sentence that is in quotes.
        found = [match[1] for match in _QUOTED.finditer(said.split(". ")[0])]
    else:
        end = _END.search(said)
        last = end is None or not said[end.end() :].strip()
        # The bracket that ends "=SUM(B2:B13)" is a part of it.
        closes = (
            end is not None
            and end[0].startswith(")")
            and said[: end.start()].count("(") > said[: end.start()].count(")")
        )
        said = said[: end.start() + closes] if end else said
        found = [part for half in re.split(r"\s+or\s+", said.rstrip(".")) for part in _listed(half)]
        # In the middle of a text only single words are surely values: "for example in UIs which allow ..." is prose.
        found = [value for value in found if last or " " not in value.strip()]
    # "BOS for Boston": the code is the value.
    found = [_EXPLAINED.sub(r"\1", value.strip()) for value in found]
    return tuple(dict.fromkeys(value for value in found if _is_value(value)))


def _listed(text: str) -> list[str]:
    """`a, b, c` as three when each is one word; a comma inside of longer text belongs to it."""
    parts = [part.strip() for part in text.split(",")]
    return [part for part in parts if part] if all(len(part.split()) == 1 for part in parts) else [text.strip(" ,")]


def _is_value(text: str) -> bool:
    words = text.split()
    if not words or len(words) > _LONGEST_WORDS or _STAND_IN.search(text):
        return False
    return words[0] not in _LISTED and text.isprintable() and not text.startswith(("a ", "an ", "the "))


_VARIED = re.compile(r"(?=[^\s]*\d)[A-Za-z0-9_./:-]{3,}")


_YEAR = re.compile(r"(?:19[5-9]|20[0-4])\d")


def varied(example: str, rng: random.Random) -> str:
    """Another value of the same build: every digit drawn anew, the first of a number never 0; text stays as it is."""
    if not _VARIED.fullmatch(example):
        return example

    shift = rng.randrange(-4, 3)

    def number(match: re.Match[str]) -> str:
        digits = match[0]
        # Years move together: "2024-2025" becomes "2021-2022".
        if _YEAR.fullmatch(digits):
            return str(int(digits) + shift)
        # Small numbers mean something ("1d20+3"); a zero in front says how many digits there are.
        if len(digits) < 3:
            return digits
        low = 0 if digits[0] == "0" else 10 ** (len(digits) - 1)
        return str(rng.randrange(low, 10 ** len(digits))).zfill(len(digits))

    return re.sub(r"\d+", number, example)


def letters_varied(example: str, rng: random.Random) -> str:
    """An identifier of other letters too, in their case: for what is one string of letters and digits."""

    def letter(match: re.Match[str]) -> str:
        alphabet = "ABCDEFGHJKLMNPRSTUVWXYZ" if match[0].isupper() else "abcdefghjkmnpqrstuvwxyz"
        return rng.choice(alphabet)

    return re.sub(r"[A-Za-z]", letter, varied(example, rng))
