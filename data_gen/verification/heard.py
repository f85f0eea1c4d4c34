"""Heard: what one text of a conversation says, in forms that an argument value can be looked up in.

Numbers in digits and words, days of the calendar and times of day are read once, when first asked for.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise
from operator import methodcaller

from data_gen.verification.identity import lazy

_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[^\W_]+")
_PLAIN = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}
_MARKS = re.compile("[\u0300-\u036f]")


def normalised(text: str) -> str:
    """Lower case, no accents, words separated by one space, one space at both ends; " " for no word."""
    if text.isascii():
        words = text.translate(_PLAIN).split()
    else:
        words = _WORD.findall(_MARKS.sub("", unicodedata.normalize("NFKD", text)).casefold())
    return f" {' '.join(words)} " if words else " "


@lru_cache(maxsize=65_536)
def spoken(value: str) -> str:
    """`normalised` of a value, which is asked for by several rules and comes in many dialogs."""
    return normalised(value)


_IRREGULAR = {"children": "child", "men": "man", "women": "woman", "people": "person", "feet": "foot", "mice": "mouse"}


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A word without its common English ending, so that "driving", "drives" and "drive" agree."""
    word = _IRREGULAR.get(word, word)
    for ending in ("ings", "ing", "edly", "ed", "es", "ers", "er", "s", "ly", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


_UNIT_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINAL_WORDS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_UNITS = {word: number for number, word in enumerate(_UNIT_WORDS.split())}
_TENS = {word: 10 * number for number, word in enumerate(_TEN_WORDS.split(), 2)}
_ORDINALS = {word: number for number, word in enumerate(_ORDINAL_WORDS.split(), 1)}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000, "dozen": 12}
_OTHER = {
    "once": 1, "single": 1, "solo": 1, "alone": 1, "myself": 1, "twice": 2, "double": 2, "couple": 2, "pair": 2,
    "both": 2, "triple": 3, "thrice": 3, "half": 0.5, "quarter": 0.25, "dozen": 12, "no": 0, "none": 0, "last": -1,
    "hundred": 100, "thousand": 1_000, "million": 1_000_000,
}  # fmt: skip
_NUMBER_WORDS = frozenset((*_UNITS, *_TENS, *_SCALES, *_ORDINALS, *_OTHER))
_ONE = re.compile(
    r" (?:a|an|per|each|every|next|last|this|another) (?:\w+ )?"
    r"(?:hour|day|week|month|year|minute|second|night|decade|person|room|ticket|table|time|dollar|euro) "
)

# 1,234,567.89 and 1 234.5; then k, m, million and the like; a leading minus.
_NUMBER = re.compile(
    r"([-\u2212]?)(\d{1,3}(?:[,\u202f\u00a0 '’]\d{3})+(?!\d)|\d{1,40})(\.\d{1,40})?"
    r"\s?(k|m|bn|b|thousand|million|billion|%|percent)?(?![a-z\d])",
    re.IGNORECASE,
)
_PLAIN_NUMBER = re.compile(r"\d{1,40}(?:\.\d{1,40})?")
_SCIENTIFIC = re.compile(r"(?<![\w.])\d(?:\.\d{1,15})?[eE][-+]?\d{1,2}(?!\w)")
_POWER_OF_TEN = re.compile(r"(?<![\w.])(\d{1,9}(?:\.\d{1,9})?) ?[x×*] ?10 ?\^? ?([-+]?\d{1,2})(?!\d)")
# "5x^2 - 7x": the minus of a term, which stands apart from it and before a letter or an end.
_SPACED_MINUS = re.compile(r"(?<=\w )[-\u2212] (\d{1,15}(?:\.\d{1,15})?)(?=[a-z]|\b)")
_FRACTION = re.compile(r"(?<![\d/])(\d{1,4})/(\d{1,4})(?![\d/])")
_CONTINENTAL = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{3})*),(\d{1,6})(?![\d,])")
_FACTORS = {
    "k": 1e3, "m": 1e6, "b": 1e9, "bn": 1e9, "thousand": 1e3, "million": 1e6, "billion": 1e9, "%": 0.01,
    "percent": 0.01,
}  # fmt: skip
_LESS = re.compile(
    r"\b(?:minus|negative|below|south|west|loss|debt|withdraw\w*|donat\w*|spen[dt]|paid|behind|down|ago|before|last)\b"
    r"|\d ?°? ?[SW]\b",
    re.IGNORECASE,
)


def rounded(number: float) -> float:
    """A number to nine digits, so that sums of floats compare equal."""
    return float(f"{number:.9g}")


_MONTH_NAMES = "january february march april may june july august september october november december"
_MONTHS = _MONTH_NAMES.split()
_MONTH = {name[:n]: i for i, name in enumerate(_MONTHS, 1) for n in (3, len(name))} | {"sept": 9}
_MONTH_WORD = "|".join(sorted(_MONTH, key=len, reverse=True))
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_MONTH_FIRST = rf"\b({_MONTH_WORD})\.? ?(?:the )?(\d{{1,2}})(?:st|nd|rd|th)?(?:(?:,? (?:of )?|, ?)(\d{{4}}))?(?![\d:])"
_DAY_FIRST = rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?:this |next )?({_MONTH_WORD})\b\.?(?:,? (\d{{4}}))?"
_DATES = (
    (re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)"), "ymd"),
    (re.compile(r"(?<!\d)(\d{4})(\d\d)(\d\d)(?!\d)"), "ymd"),
    (re.compile(r"(?<![\d/.-])(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d\d)(?!\d)"), "dmy"),
    (re.compile(r"(?<![\d/.-])(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d\d)(?!\d)"), "mdy"),
    (re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})(?![\d/])"), "md"),
    (re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})(?![\d/])"), "dm"),
    (re.compile(_MONTH_FIRST), "mdy"),
    (re.compile(_DAY_FIRST), "dmy"),
)
# Dates that can be nothing else, and times of day: "may 3" and 3/4 are too often something else.
_CERTAIN_MONTH = "|".join(word for word in sorted(_MONTH, key=len, reverse=True) if word not in ("may", "mar", "march"))
_DAY_NUMBER = r"\d{1,2}(?:st|nd|rd|th)?"
_DATED = (
    re.compile(r"(?<!\d)\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?(?!\d)"),
    re.compile(r"(?<![\d/.-])\d{1,2}[-/.]\d{1,2}[-/.]\d{4}(?!\d)"),
    re.compile(rf"\b(?:{_CERTAIN_MONTH})\.? ?(?:the )?{_DAY_NUMBER}(?:,? (?:of )?\d{{4}})?(?![\d:])", re.IGNORECASE),
    re.compile(rf"(?<!\d){_DAY_NUMBER} (?:of )?(?:{_CERTAIN_MONTH})\b\.?(?:,? \d{{4}})?", re.IGNORECASE),
    re.compile(rf"\b(?:{_MONTH_WORD})\.? ?(?:the )?{_DAY_NUMBER},? (?:of )?\d{{4}}(?![\d:])", re.IGNORECASE),
    re.compile(rf"(?<!\d){_DAY_NUMBER} (?:of )?(?:{_MONTH_WORD})\b\.?,? \d{{4}}", re.IGNORECASE),
    re.compile(r"(?<![\d:.])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:\s?[ap]\.?m\b)?(?![\d:])", re.IGNORECASE),
)  # fmt: skip
_NUMERIC, _NAMED = _DATES[:-2], _DATES[-2:]
_PARTED = re.compile(r"\d[-/.]\d|\d{8}")
_MONTH_STARTS = tuple(f" {name[:3]}" for name in _MONTHS)
_MONTH_YEAR = re.compile(rf"\b({_MONTH_WORD})\.?(?:,? (?:of )?)(\d{{4}})\b")
_RELATIVE = {"today": 0, "tonight": 0, "now": 0, "tomorrow": 1, "yesterday": -1}
_NEIGHBOURS = {" day before yesterday ": -2, " day after tomorrow ": 2}
_IN_DAYS = re.compile(r"\b(?:in|for|next|over|coming|past|last)? ?(\d{1,3}|\w+) (day|week)s?( ago| earlier)?\b")

Day = tuple[int | None, int, int]

_CLOCK = re.compile(
    r"(?<![\d:.])(\d{1,2})(?:[:.h](\d\d))?(?::\d\d)?\s?(a\.?m\b|p\.?m\b|o['’]clock)?(?![\d:])", re.IGNORECASE
)
_NAMED_TIMES = {"noon": 720, "midday": 720, "midnight": 0}
_PAST = re.compile(r"\b(half|quarter) (past|to) (\w+)")


_BARE = methodcaller("strip", ".,;:!?()[]{}\"'")


class Heard:
    """One text of a conversation.

    Attributes:
        text: as it was said.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @lazy
    def words(self) -> str:
        """The text in normalised words."""
        return normalised(self.text)

    @lazy
    def lower(self) -> str:
        """The text in lower case."""
        return self.text.casefold()

    @lazy
    def undated(self) -> str:
        """The text without the dates and the times of day in it, whose figures count nothing."""
        if not _DIGIT.search(self.text):
            return self.text
        text = self.text
        for pattern in _DATED:
            text = pattern.sub(" ", text)
        return text

    @lazy
    def date_figures(self) -> frozenset[int]:
        """The figures of the dates and times of day in the text: years, months, days, hours and minutes."""
        figures = {figure for day in self.days for figure in day if figure is not None}
        return frozenset(figures | {part for minutes in self.times for part in divmod(minutes, 60)})

    @lazy
    def counts(self) -> Heard:
        """What is heard of the text when dates and times are left out of it."""
        return self if self.undated == self.text else Heard(self.undated)

    @lazy
    def tokens(self) -> frozenset[str]:
        """What stands between white space, without the punctuation around it."""
        return frozenset(map(_BARE, self.text.split()))

    @lazy
    def vocabulary(self) -> frozenset[str]:
        """The words, and their stems."""
        words = self.words.split()
        return frozenset(words) | frozenset(map(stem, words))

    @lazy
    def joined(self) -> str:
        """The words without spaces between them."""
        return self.words.replace(" ", "")

    @lazy
    def runs(self) -> frozenset[str]:
        """Two and three neighbouring words written as one."""
        words = self.words.split()
        two = {a + b for a, b in pairwise(words)}
        return frozenset(two | {a + b + c for a, b, c in zip(words, words[1:], words[2:], strict=False)})

    @lazy
    def numbers(self) -> frozenset[float]:
        """Every number the text may mean, in digits or words, with scales and percentages."""
        found: set[float] = set()
        for match in _NUMBER.finditer(self.text):
            sign, whole, part, scale = match.groups()
            number = float(re.sub(r"\D", "", whole) + (part or ""))
            found |= {number, -number} if sign else {number}
            if scale:
                found.add(number * _FACTORS[scale.lower()])
        for match in _PLAIN_NUMBER.finditer(self.text):
            found.add(float(match.group()))
            found.add(float(match.group().partition(".")[0])) if self._is_dotted(match.end()) else None
        for match in _SCIENTIFIC.finditer(self.text):
            found.add(float(match.group()))
        for match in _POWER_OF_TEN.finditer(self.text):
            found.add(float(f"{match.group(1)}e{match.group(2)}"))
        for match in _SPACED_MINUS.finditer(self.text):
            found.add(-float(match.group(1)))
        for match in _FRACTION.finditer(self.text):
            if int(match.group(2)):
                found.add(int(match.group(1)) / int(match.group(2)))
        for match in _CONTINENTAL.finditer(self.text):
            found.add(float(match.group(1).replace(".", "") + "." + match.group(2)))
        if not _NUMBER_WORDS.isdisjoint(self.vocabulary):
            found |= _spelled(self.words.split())
        if _ONE.search(self.words):
            found.add(1)
        if " rest " in self.words or " dropped " in self.words or " free fall " in self.words:
            found.add(0)
        found.update(
            {minutes // 60 for minutes in self.times} | {m for _, m, _ in self.days} | {d for _, _, d in self.days}
        )
        if _LESS.search(self.text):
            found |= {-number for number in found}
        return frozenset(map(rounded, found))

    def _is_dotted(self, end: int) -> bool:
        """Whether a number goes on after a second dot, as 14.3.2026 and versions do."""
        return self.text[end : end + 1] == "." and self.text[end + 1 : end + 2].isdigit()

    @lazy
    def days(self) -> frozenset[Day]:
        """Days of the calendar as (year or None, month, day), both readings of 3/4/2026."""
        found = set()
        for pattern, order in (*(_NUMERIC if _PARTED.search(self.text) else ()), *self._named_dates()):
            for match in pattern.finditer(self.lower):
                day = _day(dict(zip(order, match.groups(), strict=False)))
                if day:
                    found.add(day)
        return frozenset(found)

    def _named_dates(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        """The patterns of dates with the name of a month, when there is one beside a figure."""
        words = self.words
        return _NAMED if any(name in words for name in _MONTH_STARTS) and _DIGIT.search(words) else ()

    @lazy
    def months(self) -> frozenset[tuple[int, int]]:
        """Months named with a year, as (year, month)."""
        named = {(int(m.group(2)), _MONTH[m.group(1)]) for m in _MONTH_YEAR.finditer(self.lower)}
        return frozenset(named | {(year, month) for year, month, _ in self.days if year})

    @lazy
    def times(self) -> frozenset[int]:
        """Times of day in minutes; both halves of the day when the text does not say which."""
        found = set()
        for match in _CLOCK.finditer(self.text):
            hour, minute = int(match.group(1)), int(match.group(2) or 0)
            half = (match.group(3) or "").lower()
            if hour > 24 or minute > 59 or not (half or match.group(2)):
                continue
            if half[:1] in ("a", "p"):
                found.add((hour % 12 + (12 if half[0] == "p" else 0)) * 60 + minute)
            else:
                found |= {hour % 24 * 60 + minute} | ({hour % 12 * 60 + minute + 720} if hour <= 12 else set())
        found |= {minutes for word, minutes in _NAMED_TIMES.items() if f" {word} " in self.words}
        halves = " half " in self.words or " quarter " in self.words
        for part, way, word in _PAST.findall(self.words) if halves else ():
            hour = _UNITS.get(word, int(word) if word.isdecimal() and len(word) < 3 else -1)
            if hour >= 0:
                shift = (30 if part == "half" else 15) * (1 if way == "past" else -1)
                found |= {(hour % 12 * 60 + shift) % 1440, (hour % 12 * 60 + 720 + shift) % 1440}
        return frozenset(found)

    def relative_days(self, anchor: date) -> set[date]:
        """Days the text may mean by "tomorrow", "next Friday" or "in 3 days", when today is `anchor`."""
        shifts = {shift for word, shift in _RELATIVE.items() if f" {word} " in self.words}
        for count, unit, ago in _IN_DAYS.findall(self.words):
            number = int(count) if count.isdecimal() else _UNITS.get(count, 1 if count in ("a", "next") else -1)
            if number >= 0:
                shifts |= {number * (7 if unit == "week" else 1) * (-1 if ago else 1)}
        shifts |= {shift for words, shift in _NEIGHBOURS.items() if words in self.words}
        wanted = {i for i, name in enumerate(_WEEKDAYS) if f" {name}" in self.words}
        shifts |= {s for s in range(-7, 15) if (anchor.weekday() + s) % 7 in wanted}
        if " weekend " in self.words:
            shifts |= {s for s in range(0, 15) if (anchor.weekday() + s) % 7 in (4, 5, 6)}
        try:
            return {anchor + timedelta(days=shift) for shift in shifts}
        except OverflowError:
            return set()


def _day(parts: dict[str, str | None]) -> Day | None:
    month_text, day_text, year_text = parts["m"] or "", parts["d"] or "", parts.get("y")
    month = _MONTH.get(month_text) or (int(month_text) if month_text.isdecimal() else 0)
    year = int(year_text) if year_text else None
    if year is not None and year < 100:
        year += 2000 if year < 70 else 1900
    day = int(day_text)
    return (year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _spelled(words: list[str]) -> set[float]:
    """Numbers written out: "two hundred and fifty", "twenty five", "six and a half", "third"."""
    found: set[float] = set()
    total, current, running = 0.0, 0.0, False
    for i, word in enumerate([*words, ""]):
        if word in _UNITS or word in _TENS:
            if running and current % 100 and not (current % 100 >= 20 and not current % 10 and word in _UNITS):
                found.add(total + current)
                total = current = 0.0
            current, running = current + _UNITS.get(word, _TENS.get(word, 0)), True
            found.add(float(_UNITS.get(word, _TENS.get(word, 0))))
        elif word in _SCALES and running:
            if word in ("hundred", "dozen"):
                current = max(current, 1) * _SCALES[word]
            else:
                total, current = total + max(current, 1) * _SCALES[word], 0.0
        elif word in _SCALES and i and words[i - 1] in ("a", "an", "one"):
            current, running = float(_SCALES[word]), True
        elif word == "and" and running and words[i + 1 : i + 3] == ["a", "half"]:
            found.add(total + current + 0.5)
        elif not (word == "and" and running and i + 1 < len(words) and words[i + 1] in _UNITS | _TENS):
            if running:
                found.add(total + current)
            total, current, running = 0.0, 0.0, False
            if word in _ORDINALS or word in _OTHER:
                found.add(float(_ORDINALS.get(word, _OTHER.get(word, 0))))
    return found
