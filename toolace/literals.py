"""Values as models write them, read without evaluating anything: Python and JSON literals, side by side.

Model text is hostile, so the reader is a recursive descent parser of its own with a depth limit and linear time. It
gives JSON values only; whatever is none (arithmetic, calls, sets, NaN, bytes) becomes a Problem, never a crash.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

DEPTH_LIMIT = 64
# Python refuses to turn more digits than this into an int or back (CVE-2020-10735), JSON writers with it.
DIGIT_LIMIT = 4300
PROBLEM_LIMIT = 1000


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a call list.

    Attributes:
        kind: positional_argument, repeated_argument (also a dict key given twice), bare_word, expression (arithmetic,
            f-strings, indexing, odd dict keys), nested_call, unterminated, too_deep, bad_number, set_literal,
            not_json_value (NaN, infinity, bytes), syntax, missing_comma, text_around or given_up (too many problems).
        detail: one sentence part for a reader.
        at: character offset in the text that was parsed.
    """

    kind: str
    detail: str
    at: int


class Unreadable(Exception):
    """A value that cannot be kept; carries the Problem."""

    def __init__(self, kind: str, detail: str, at: int) -> None:
        super().__init__(detail)
        self.problem = Problem(kind, detail, at)


_SPACE = re.compile(r"\s*")
# The closing quote is optional in each pattern, so a match never fails and never backtracks: linear on any text.
_STRINGS = {
    '"""': re.compile(r'"""([^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*)(""")?', re.DOTALL),
    "'''": re.compile(r"'''([^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*)(''')?", re.DOTALL),
    '"': re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)(")?', re.DOTALL),
    "'": re.compile(r"'([^'\\]*(?:\\.[^'\\]*)*)(')?", re.DOTALL),
}
# What matters when a broken argument is passed over. A quote after two letters ("driver's") is an apostrophe.
_SKIP = re.compile(
    "[,()\\[\\]{}]|" + "|".join(("(?<!\\w\\w)" if q == "'" else "") + p.pattern for q, p in _STRINGS.items()), re.DOTALL
)
_DIGITS = r"[0-9](?:_?[0-9])*"
_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0(?:_?0)*|[1-9](?:_?[0-9])*)(?![\w.])"
)
_FLOAT = re.compile(
    rf"[+-]?(?:(?:{_DIGITS}\.(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?|{_DIGITS}[eE][+-]?{_DIGITS})(?![\w.])"
)
_WORD = re.compile(r"[^\W\d]\w*")
_BARE = re.compile(r"[^\W\d][\w.-]*(?:[ \t]+\w[\w.-]*)*")
_CONSTANTS = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}
_NOT_FINITE = {"nan", "inf", "infinity"}
_PREFIXES = {"r", "u", "b", "f", "rb", "br", "rf", "fr"}
_OPERATORS = frozenset("+-*/%|&^<>=!.[(~@?:")
_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})"
    r"|U([0-9a-fA-F]{8})|([0-7]{1,3})|N\{([^{}]{1,100})\}|(\r\n|.))",
    re.DOTALL,
)
_SIMPLE = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "/": "/", "\n": "", "\r\n": "",
}  # fmt: skip


def _unescape(match: re.Match[str]) -> str:
    high, low, byte, short, long, octal, name, other = match.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    code = byte or short or long
    if code:
        number = int(code, 16)
        return chr(number) if number <= 0x10FFFF else match.group()
    if octal:
        return chr(int(octal, 8))
    if name:
        try:
            return unicodedata.lookup(name)
        except KeyError:
            return match.group()
    return _SIMPLE.get(other, match.group())


class LiteralReader:
    """Reads values at a position of one text; every method returns the value and the position after it.

    Problems that leave a value worth keeping (a bare word is taken as a string) are added to `problems`; the others
    raise Unreadable.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[Problem] = []

    def report(self, kind: str, detail: str, at: int) -> None:
        """Notes a problem and goes on; past a thousand nobody reads them."""
        if len(self.problems) < PROBLEM_LIMIT:
            self.problems.append(Problem(kind, detail, at))

    def space(self, at: int) -> int:
        """The position of the next character that is no white space."""
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def value(self, at: int, depth: int = 0) -> tuple[Any, int]:
        """One value. `at` must not be at white space.

        Raises:
            Unreadable: there is none, or it is no JSON value.
        """
        first = self.text[at : at + 1]
        if first in ('"', "'"):
            return self.strings(at)
        if first and first in "0123456789+-.":
            return self._number(at)
        if first and first in "[({":
            if depth >= DEPTH_LIMIT:
                raise Unreadable("too_deep", f"nested more than {DEPTH_LIMIT} levels", at)
            return self._mapping(at, depth + 1) if first == "{" else self._sequence(at, depth + 1)
        if word := _WORD.match(self.text, at):
            return self._word(word)
        if not first:
            raise Unreadable("unterminated", "the text ends where a value is expected", at)
        raise Unreadable("syntax", f"{first!r} where a value is expected", at)

    def expect(self, at: int, stops: str, start: int) -> int:
        """The position of the next character if it is one of `stops` or the end; else the value goes on: no literal."""
        at = self.space(at)
        following = self.text[at : at + 1]
        if following in stops:
            return at
        if following in _OPERATORS:
            raise Unreadable("expression", f"an expression ({self._from(start)})", start)
        raise Unreadable("syntax", f"{following!r} after a value", at)

    def strings(self, at: int) -> tuple[str, int]:
        """A string, with the string literals that directly follow it joined on, as in Python."""
        parts: list[str] = []
        following = at
        while self.text[following : following + 1] in ('"', "'"):
            value, at = self._string(following, raw=False)
            parts.append(value)
            following = self.space(at)
        return "".join(parts), at

    def _string(self, at: int, raw: bool) -> tuple[str, int]:
        quote = self.text[at : at + 3] if self.text[at : at + 3] in ('"""', "'''") else self.text[at]
        match = _STRINGS[quote].match(self.text, at)
        if match is None or match.group(2) is None:
            raise Unreadable("unterminated", "a string that is not closed", at)
        body = match.group(1)
        return (body if raw or "\\" not in body else _ESCAPE.sub(_unescape, body)), match.end()

    def _number(self, at: int) -> tuple[Any, int]:
        if match := _INTEGER.match(self.text, at):
            return self._integer(match.group().replace("_", ""), at), match.end()
        if match := _FLOAT.match(self.text, at):
            number = float(match.group())
            if math.isinf(number):
                raise Unreadable("not_json_value", f"{shorten(match.group())} is too large for a number", at)
            return number, match.end()
        word = _WORD.match(self.text, at + 1)
        if self.text[at] in "+-" and word:
            if word.group().lower() in _NOT_FINITE:
                raise Unreadable("not_json_value", f"{self.text[at]}{word.group()} is no JSON value", at)
            raise Unreadable("expression", f"an expression ({self._from(at)})", at)
        raise Unreadable("bad_number", f"{self._from(at)} is no number", at)

    def _integer(self, token: str, at: int) -> int:
        if len(token) <= DIGIT_LIMIT:
            try:
                number = int(token, 0)
                str(number)
                return number
            except ValueError:
                pass
        raise Unreadable("bad_number", f"an integer of more than {DIGIT_LIMIT} digits", at)

    def _word(self, match: re.Match[str]) -> tuple[Any, int]:
        word, at, end = match.group(), match.start(), match.end()
        following = self.text[end : end + 1]
        if following in ('"', "'") and word.lower() in _PREFIXES:
            return self._prefixed(word.lower(), at, end)
        if word in _CONSTANTS and following not in (".", "-"):
            return _CONSTANTS[word], end
        if word.lower() in _NOT_FINITE:
            raise Unreadable("not_json_value", f"{word} is no JSON value", at)
        bare = _BARE.match(self.text, at)
        text, end = (bare.group(), bare.end()) if bare else (word, end)
        after = self.space(end)
        if self.text[after : after + 1] == "(":
            raise Unreadable("nested_call", f"a call of {shorten(text)} as a value", at)
        self.report("bare_word", f"{shorten(text)} without quotes", at)
        return text, end

    def _prefixed(self, prefix: str, at: int, quote: int) -> tuple[str, int]:
        if "f" in prefix:
            raise Unreadable("expression", "an f-string", at)
        if "b" in prefix:
            raise Unreadable("not_json_value", "bytes are no JSON value", at)
        value, end = self._string(quote, raw=prefix == "r")
        more, end = self.strings(self.space(end))
        return value + more, end

    def _sequence(self, at: int, depth: int) -> tuple[Any, int]:
        """A list, a tuple (read as a list), or a value in parentheses."""
        start, close = at, "]" if self.text[at] == "[" else ")"
        items: list[Any] = []
        comma = close == "]"
        at = self.space(at + 1)
        while self.text[at : at + 1] != close:
            begin = at
            item, at = self.value(at, depth)
            items.append(item)
            at = self.expect(at, "," + close, begin)
            if self.text[at : at + 1] == ",":
                comma = True
                at = self.space(at + 1)
            elif at >= len(self.text):
                raise Unreadable("unterminated", f"a {self.text[start]!r} that is not closed", start)
        return (items if comma or not items else items[0]), at + 1

    def _mapping(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        start = at
        result: dict[str, Any] = {}
        at = self.space(at + 1)
        while self.text[at : at + 1] != "}":
            begin = at
            key, at = self._key(at, depth)
            value, at = self.value(self.space(at + 1), depth)
            if key in result:
                self.report("repeated_argument", f"the key {shorten(key)} twice in one object", begin)
            result[key] = value
            at = self.expect(at, ",}", begin)
            if self.text[at : at + 1] == ",":
                at = self.space(at + 1)
            elif at >= len(self.text):
                raise Unreadable("unterminated", "a '{' that is not closed", start)
        return result, at + 1

    def _key(self, at: int, depth: int) -> tuple[str, int]:
        """A key and the position of its colon: quoted, a bare word, or a number (which JSON can only hold as text)."""
        begin = at
        word = _WORD.match(self.text, at)
        if word and self.text[word.end() : word.end() + 1] not in ('"', "'"):
            key: Any = word.group()
            at = word.end()
        else:
            key, at = self.value(at, depth)
        at = self.space(at)
        following = self.text[at : at + 1]
        if following in (",", "}") and following:
            raise Unreadable("set_literal", "a set", begin)
        if not following:
            raise Unreadable("unterminated", "a '{' that is not closed", begin)
        if following != ":" or not isinstance(key, str | int | float):
            raise Unreadable("expression", f"an object key that is no text ({self._from(begin)})", begin)
        return key if isinstance(key, str) else str(key), at

    def _from(self, at: int) -> str:
        """The start of what stands there, for a problem's detail."""
        return shorten(re.split(r"[,)\]}]", self.text[at : at + 60], maxsplit=1)[0])

    def skip(self, at: int) -> int:
        """The position of the next comma or closing bracket on this level, or the end: where reading can go on."""
        depth = 0
        for match in _SKIP.finditer(self.text, at):
            token = match.group()
            if token in "([{":
                depth += 1
            elif token in ")]}":
                if depth == 0:
                    return match.start()
                depth -= 1
            elif token == "," and depth == 0:
                return match.start()
        return len(self.text)


def shorten(text: str) -> str:
    """A text on one line and of 40 characters at most, for messages."""
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:37] + "..."
