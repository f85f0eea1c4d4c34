"""How a number, a day or an hour that was not said may follow from what was said: one stated rule a function."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from typing import Any

from data_gen.verification.aliases import constants
from data_gen.verification.claims import Claim
from data_gen.verification.heard import Heard, rounded
from data_gen.verification.verdict import quoted

_EXTREME = re.compile(r" (?:max|maximum|min|minimum|most|least|limit|up to|largest|lowest|highest) ")


_BOUNDED = re.compile(_EXTREME.pattern[:-2] + r"|range) ")
_PAGE = re.compile(r" (?:per ?pages?|page size) ")


def _asks_extreme(said: Sequence[Heard]) -> bool:
    return any(_EXTREME.search(heard.words) for heard in said)


def documented_bound(claim: Claim, said: Sequence[Heard]) -> bool:
    """The largest or smallest value that the definition allows, when that was asked for; of a page, without asking."""
    if isinstance(claim.value, str) or not (_PAGE.search(claim.definition) or _asks_extreme(said)):
        return False
    if claim.value in (claim.schema.get("maximum"), claim.schema.get("minimum")):
        return True
    number = f"{claim.value:g}" if isinstance(claim.value, float) else quoted(claim.value)[:30]
    return f" {number} " in claim.definition and _BOUNDED.search(claim.definition) is not None


_SINGLE = re.compile(r" (?:a|an|one|i|the \w{2,20}est) ")
_COUNT = re.compile(
    r" (?:quantit(?:y|ies)|number|count|amount|how many|top n|n|tickets|seats|guests|portion|copies|people) "
)


def one_of_them(claim: Claim, said: Sequence[Heard]) -> bool:
    """1 for "a pizza", for a parameter whose definition speaks of a number of things."""
    return (
        claim.value in (1, "1")
        and _COUNT.search(claim.definition) is not None
        and any(_SINGLE.search(heard.words) for heard in said)
    )


# Unit words and what a number of them is in smaller (or larger) units.
_UNITS: dict[str, tuple[float, ...]] = {
    "minute": (60, 1 / 60, 60_000), "hour": (60, 3600, 3_600_000), "day": (24, 1440, 86_400, 1 / 7),
    "week": (7, 168, 604_800), "fortnight": (14, 2), "month": (30, 31, 4, 1 / 12), "quarter": (3, 90),
    "year": (12, 365, 52), "decade": (10, 120), "century": (100,), "second": (1_000, 1 / 60),
    "kilometer": (1_000,), "kilometre": (1_000,), "km": (1_000,), "meter": (100, 1_000, 0.001), "metre": (100, 0.001),
    "cm": (0.01, 10), "kg": (1_000,), "gram": (0.001,), "foot": (12,), "feet": (12,), "ft": (12,),
    "gb": (1024, 1000), "mb": (1024, 1000), "dollar": (100,), "euro": (100,), "dozen": (12,),
    "mh": (0.001,), "ms": (0.001,), "ma": (0.001,), "uf": (1e-6,),
    "μf": (1e-6,), "nf": (1e-9,), "khz": (1_000,), "mhz": (1e6,),
}  # fmt: skip
_COUNTED = (
    r"\d{1,9}(?: \d{1,6})?|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|half|"
    r"next|last|past|this|upcoming|coming|following|previous|per|every|each"
)
_MEASURE = re.compile(rf"(?<= )({_COUNTED}) (?:\w+ )?(" + "|".join(_UNITS) + r")s?(?= )")
_FEET = re.compile(r"(\d{1,2})\s*(?:feet|foot|ft|['’])\.?\s*(?:and\s*)?(\d{1,2})?")
_PRICE = re.compile(r"[$€£₹]\s?(\d{1,9}(?:\.\d\d?)?)")
_CENTS = re.compile(r" (?:cents?|paise|pence|smallest|minor) ")


def other_unit(claim: Claim, said: Sequence[Heard]) -> bool:
    """120 for "two minutes", 7 for "the next week", 74 for "6 feet 2": a measure that was said, in another unit."""
    number = _number(claim.value)
    return number is not None and any(number in _converted(heard, claim) for heard in said)


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        value = float(value) if re.fullmatch(r"-?\d{1,12}(?:\.\d{1,6})?", value) else None
    return rounded(abs(float(value))) if isinstance(value, (int, float)) and abs(value) < 1e15 else None


def _converted(heard: Heard, claim: Claim) -> set[float]:
    found: set[float] = set()
    words = re.sub(r"(?<=\d)(?=[a-zμ])", " ", heard.words[:20_000])
    for count, unit in _MEASURE.findall(words):
        numbers = Heard(count.replace(" ", ".")).numbers or {1.0}
        found |= {rounded(abs(number * factor)) for number in numbers for factor in _UNITS[unit]}
    for feet, inches in _FEET.findall(heard.text[:20_000]):
        found.add(float(int(feet) * 12 + int(inches or 0)))
    if _CENTS.search(claim.definition):
        found |= {rounded(float(price) * 100) for price in _PRICE.findall(heard.text[:20_000])}
    return found


_HOUR = re.compile(r" (?:at |by |around )?(\d{1,2}|\w{3,6})(?: \d\d)? (?:o clock )?in the (morning|afternoon|evening) ")
_AT = re.compile(r" (?:at|by|around|from) (\d{1,2}) (?!\d)")
_TIME = re.compile(r"(?:\d{4}-\d\d-\d\d[T ])?(\d\d):00(?::00)?Z?")


def hour_of_the_day(claim: Claim, said: Sequence[Heard]) -> bool:
    """ "17:00" for "5 in the afternoon", "10:00" for "at 10"."""
    match = _TIME.fullmatch(claim.value) if isinstance(claim.value, str) else None
    if match is None or len(claim.value) > 10:
        return False
    for heard in said:
        for word, part in _HOUR.findall(heard.words):
            hours = {int(n) % 12 + (12 if part != "morning" else 0) for n in Heard(word).numbers if 0 < n < 13}
            if int(match[1]) in hours:
                return True
        if any(int(match[1]) % 12 == int(hour) % 12 for hour in _AT.findall(heard.words)):
            return True
    return False


_CLOCK_TIME = re.compile(r"(?:\d{4}-\d\d-\d\d[T ])?(\d\d):(\d\d)(?::\d\d)?Z?")
_LASTING = re.compile(r" (\w+) (hour|minute)s? ")


def hour_after_a_while(claim: Claim, said: Sequence[Heard]) -> bool:
    """The end of "at 9:00 for 3 hours": a time of day that was said, later by a span that was said."""
    match = _CLOCK_TIME.fullmatch(claim.value) if isinstance(claim.value, str) else None
    if match is None:
        return False
    if len(claim.value) > 10 and not any(d[1:] == _month_day(claim.value) for heard in said for d in heard.days):
        return False
    spans = {
        int(n * (60 if unit == "hour" else 1))
        for heard in said
        for word, unit in _LASTING.findall(heard.words)
        for n in Heard(word).numbers
        if 0 < n < 1_000
    }
    end = int(match[1]) * 60 + int(match[2])
    return any((end - span) % 1440 in heard.times for span in spans for heard in said)


def _month_day(text: str) -> tuple[int, int]:
    return int(text[5:7]), int(text[8:10])


def between_two_dates(claim: Claim, said: Sequence[Heard]) -> bool:
    """2 for "from August 15th to August 17th", of days or nights."""
    if isinstance(claim.value, str) or not re.search(r" (?:days?|nights?|length|duration) ", claim.definition):
        return False
    days = sorted({(month, day) for heard in said for _, month, day in heard.days})[:20]
    try:
        known = [date(2001, month, day) for month, day in days]
    except ValueError:
        return False
    return any((b - a).days in (claim.value, claim.value - 1) for a in known for b in known if a < b)


def between_two_times(claim: Claim, said: Sequence[Heard]) -> bool:
    """10,800 for "from midday to 3pm", of a duration in seconds, minutes or hours."""
    if type(claim.value) not in (int, float) or not re.search(r" (?:duration|length|timespan) ", claim.definition):
        return False
    times = sorted({time for heard in said for time in heard.times})[:20]
    spans = {later - sooner for sooner in times for later in times if sooner < later}
    return any(claim.value in (span * 60, span, span / 60) for span in spans)


_AND_I = re.compile(r" (?:myself|me|i) and (?:my )?(\w+) (?:others?|more|\w+) ")


def with_oneself(claim: Claim, said: Sequence[Heard]) -> bool:
    """2 for "myself and one other adult", of a number of people."""
    if type(claim.value) is not int or not _COUNT.search(claim.definition):
        return False
    return any(
        claim.value - 1 in Heard(word).numbers for heard in said for word in _AND_I.findall(heard.words) if word != "i"
    )


def month_of_the_year(claim: Claim, said: Sequence[Heard]) -> bool:
    """2 for "February 2022"."""
    return " month " in claim.definition and any(claim.value == month for heard in said for _, month in heard.months)


def beginning(claim: Claim, said: Sequence[Heard]) -> bool:
    """0 as the offset, 1 as the page: where lists begin; and 0 of something that was not spoken of."""
    first = re.search(r" (?:offset|skip|start index|starting index|starting point) ", claim.definition)
    count = _COUNT.search(claim.definition)
    return (claim.value == 0 and bool(first or count)) or (claim.value == 1 and " page number " in claim.definition)


_BEYOND = re.compile(
    r" (?:more|greater|larger|older|over|above|less|fewer|smaller|under|below|younger)(?: than)? (\w+) "
)


def next_to_a_limit(claim: Claim, said: Sequence[Heard]) -> bool:
    """4 for "fewer than 5", 6 for "more than 5"."""
    if not isinstance(claim.value, int) or abs(claim.value) > 1e9:
        return False
    limits = {n for heard in said for word in _BEYOND.findall(heard.words) for n in Heard(word).numbers}
    return float(claim.value - 1) in limits or float(claim.value + 1) in limits


def well_known(claim: Claim, said: Sequence[Heard]) -> bool:
    """52 for a deck of cards, 9.81 for a fall: numbers that a word stands for (the table is aliases.yaml)."""
    number = _signed(claim.value)
    return number is not None and any(
        number in numbers for word, numbers in _constants().items() for heard in said if f" {word} " in heard.words
    )


@cache
def _constants() -> dict[str, frozenset[float]]:
    return {word: frozenset(rounded(float(n)) for n in numbers) for word, numbers in constants().items()}


def _signed(value: Any) -> float | None:
    return rounded(float(value)) if isinstance(value, (int, float)) and abs(value) < 1e15 else None


_YEARS_AGO = re.compile(r" (\w+) years (?:ago|earlier|before|later|after|from) ")


def year_counted(claim: Claim, said: Sequence[Heard]) -> bool:
    """2016 for "seven years ago", said in 2023."""
    year = _number(claim.value)
    if year is None or not 1000 <= year <= 3000:
        return False
    spans = {n for heard in said for word in _YEARS_AGO.findall(heard.words) for n in Heard(word).numbers}
    return any(rounded(year + sign * span) in heard.numbers for span in spans for sign in (1, -1) for heard in said)


_DATE_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](?:00:00|23:59)(?::[05][09])?Z?)?")
_NIGHTS = re.compile(r" (\w+) (?:night|day)s? ")


def day_after_a_while(claim: Claim, said: Sequence[Heard]) -> bool:
    """The last day of "3 nights from 1 June"; a day of a month that was named apart from it; the end of a day."""
    match = _DATE_TIME.fullmatch(claim.value) if isinstance(claim.value, str) else None
    try:
        wanted = date(*map(int, match.groups())) if match else None
    except ValueError:
        return False
    if wanted is None:
        return False
    if any(
        known in heard.days
        for known in ((wanted.year, wanted.month, wanted.day), (None, wanted.month, wanted.day))
        for heard in said
    ):
        return True
    if any((wanted.year, wanted.month) in heard.months and wanted.day in heard.numbers for heard in said):
        return True
    spans = {
        int(n) for heard in said for word in _NIGHTS.findall(heard.words) for n in Heard(word).numbers if 0 < n < 60
    }
    starts = {wanted - timedelta(days=span) for span in spans}
    return any((d.year, d.month, d.day) in heard.days for d in starts for heard in said)


def position_from_zero(claim: Claim, said: Sequence[Heard]) -> bool:
    """1 for "the second item", for a parameter that is an index or an offset."""
    if isinstance(claim.value, str) or not re.search(r" (?:index|offset|position|skip) ", claim.definition):
        return False
    return abs(claim.value) < 1e15 and any(rounded(float(claim.value) + 1) in heard.numbers for heard in said)


_OFTEN = {
    "daily": 365, "weekly": 52, "biweekly": 26, "monthly": 12, "quarterly": 4, "semiannually": 2, "biannually": 2,
    "annually": 1, "yearly": 1,
}  # fmt: skip


def times_a_year(claim: Claim, said: Sequence[Heard]) -> bool:
    """4 for "compounded quarterly"."""
    return any(f" {word} " in h.words for word, times in _OFTEN.items() if claim.value == times for h in said)


_SHORT_YEAR = re.compile(r"['’](\d\d)\b")


def short_year(claim: Claim, said: Sequence[Heard]) -> bool:
    """2019 for "'19"."""
    years = {
        str(century + int(digits)) for h in said for digits in _SHORT_YEAR.findall(h.text) for century in (1900, 2000)
    }
    return quoted(claim.value).strip("'") in years
