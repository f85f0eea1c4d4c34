"""Call, and the text form of calls that models write: `[name(arg="text", n=1), other.name()]`.

Nothing is ever evaluated: `parse_calls` is a bracket-aware recursive descent parser, linear in the text, that reads
what it can and names the rest as Problems. `render_calls` writes what both `parse_calls` and Python's `ast` read back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from toolace.errors import InputError
from toolace.literals import PROBLEM_LIMIT, LiteralReader, Problem, Unreadable
from toolace.render_literals import render_literal

__all__ = ["Call", "ParsedCalls", "Problem", "parse_calls", "render_calls"]

NAME_LIMIT = 200
# Places in a text where a call list may start that are tried before giving up; together they read a few times the text.
ATTEMPTS = 64


@dataclass(frozen=True)
class Call:
    """One function call: the API's name and its arguments, JSON values by keyword. Equal when both are equal."""

    name: str
    arguments: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """`{"name", "arguments"}`."""
        return {"name": self.name, "arguments": dict(self.arguments)}


@dataclass(frozen=True)
class ParsedCalls:
    """What was found in a text.

    Attributes:
        calls: the calls in order, with every argument that has a JSON value.
        before, after: the text around the call list, verbatim; all of the text is in `before` when there are no calls.
        problems: what is wrong, in order of reading.
        bracketed: whether the calls stand in `[...]`.
    """

    calls: tuple[Call, ...]
    before: str = ""
    after: str = ""
    problems: tuple[Problem, ...] = ()
    bracketed: bool = False

    @property
    def ok(self) -> bool:
        """At least one call, no problem, and nothing but white space around."""
        return bool(self.calls) and not self.problems and not self.before.strip() and not self.after.strip()


# A name may hold parentheses ("Get Stock (US)") and apostrophes. Parentheses belong to the name when what they hold
# could not be arguments (no "=", no quotes) and more of the name, then "(", follows.
_NAME_CHAR = r"[^()\[\]{}\"=,;\n]"
_INNER = r"(?:[^()\[\]{}\"'=,;\n]|(?<=\w)'(?=\w))"
_NAME = rf"[\w/$@#.](?:{_NAME_CHAR}|\((?:{_INNER}|\({_INNER}*\))+\)){{0,{NAME_LIMIT - 1}}}"
_HEAD = re.compile(rf"({_NAME})\(")
_LIST = re.compile(rf"\[\s*(?={_NAME}\()")
_KEYWORD = re.compile(r"([\w$@#][\w$@#.:/-]{0,199}(?:\[[\w.-]{0,99}\]){0,9})\s*=(?!=)")
_PLAIN_KEYWORD = re.compile(r"[^\W\d]\w{0,199}")
_PLAIN_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_FENCE = re.compile(r"\s*```(?:[\w+-]*[ \t]*\n)?")

# How sure it is that a call is meant: a keyword argument; `f()` or `f("x")`; only bare words, as in "[item(s)]".
_KEYWORDS, _LITERALS, _WORDS = 2, 1, 0


class _CallReader(LiteralReader):
    """Reads one candidate call list."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.calls: list[Call] = []
        self.certainty = _WORDS
        self.whole = False  # the list was read to its end, whatever its values are like
        self.named_simply = True  # no name holds white space

    def read_list(self, at: int, close: str) -> int:
        """Reads calls up to `close` ("]", or "" for the end of the text); returns the position after it."""
        while True:
            at = self.space(at)
            following = self.text[at : at + 1]
            if following == close and self.calls:
                self.whole = True
                return at + len(close)
            if len(self.problems) >= PROBLEM_LIMIT:
                self.problems.append(Problem("given_up", f"more than {PROBLEM_LIMIT} problems", at))
                return at
            head = _HEAD.match(self.text, at)
            if head is None or len(head.group(1)) > NAME_LIMIT:
                if following:
                    self.report("syntax", f"{self.text[at : at + 20]!r} where a call is expected", at)
                else:
                    self._unterminated("the call list is not closed", at)
                return at
            at = self.space(self._read_call(head))
            following = self.text[at : at + 1]
            if following == ",":
                at += 1
            elif following and following != close:
                self.report("missing_comma", "no comma between two calls", at)
                at += following == ";"

    def _read_call(self, head: re.Match[str]) -> int:
        name = head.group(1).rstrip()
        self.named_simply = self.named_simply and not any(map(str.isspace, head.group(1)))
        arguments: dict[str, Any] = {}
        self.calls.append(Call(name, arguments))
        at = self.space(head.end())
        if self.text[at : at + 1] == ")":
            self.certainty = max(self.certainty, _LITERALS)
        position = 0
        while True:
            following = self.text[at : at + 1]
            if following == ")":
                return at + 1
            if len(self.problems) >= PROBLEM_LIMIT:
                return at
            if not following or following in "]}":
                self._unterminated(f"the arguments of {name} are not closed", at)
                return at
            position += 1
            try:
                end = self._read_argument(at, position, arguments)
            except Unreadable as error:
                self.problems.append(error.problem)
                end = self.skip(at)
            at = self.space(end)
            if self.text[at : at + 1] == ",":
                at = self.space(at + 1)

    def _read_argument(self, at: int, position: int, arguments: dict[str, Any]) -> int:
        """Reads one argument into `arguments`; returns the position of the comma or bracket after it."""
        if self.text.startswith("**{", at):
            values, end = self.value(at + 2)
            end = self.expect(end, ",)]}", at)
            for key, value in values.items():
                self._keep(key, value, at, arguments)
            return end
        keyword = _KEYWORD.match(self.text, at)
        if keyword is None:
            literal = self.text[at] in "\"'[{+-.0123456789"
            self.certainty = max(self.certainty, _LITERALS if literal else _WORDS)
            raise Unreadable("positional_argument", f"argument {position} has no name", at)
        self.certainty = _KEYWORDS
        start = self.space(keyword.end())
        value, end = self.value(start)
        end = self.expect(end, ",)]}", start)
        self._keep(keyword.group(1), value, at, arguments)
        return end

    def _keep(self, key: str, value: Any, at: int, arguments: dict[str, Any]) -> None:
        self.certainty = _KEYWORDS
        if key in arguments:
            self.report("repeated_argument", f"the argument {key} twice", at)
        arguments[key] = value

    def _unterminated(self, detail: str, at: int) -> None:
        if not any(problem.kind == "unterminated" for problem in self.problems):
            self.report("unterminated", detail, at)


def parse_calls(text: str) -> ParsedCalls:
    """Finds the call list in what a model wrote; never evaluates, never raises, linear in the length of the text.

    Rules where the text leaves a choice:
        * The first `[` that starts a call list read to its `]` is taken; text around it is kept and is a problem.
        * With no such list, one that breaks off (`[f(a=1, b="x`) is reported with what could be read of it.
        * Calls without brackets count only when they are the whole text and their names hold no spaces; anything
          looser would find calls in prose.
        * A list whose calls hold only bare words (`[item(s)]`) counts only when it is the whole text.
        * A Markdown fence around the whole text is not text around.
    """
    body, base = _unfenced(text)
    bare = body.strip()
    if not bare or bare == "[]":
        return ParsedCalls((), "" if bare else text, bracketed=bool(bare))
    return _unbracketed(body, base) or _bracketed(body, base) or ParsedCalls((), text)


def _unfenced(text: str) -> tuple[str, int]:
    """The text inside a fence that is all around it, and where it starts."""
    opening, closed = _FENCE.match(text), text.rstrip()
    if opening and closed.endswith("```") and len(closed) - 3 >= opening.end():
        return closed[opening.end() : -3], opening.end()
    return text, 0


def _unbracketed(body: str, base: int) -> ParsedCalls | None:
    reader = _CallReader(body)
    start = reader.space(0)
    head = _HEAD.match(body, start)
    if head is None or any(map(str.isspace, head.group(1))):
        return None
    reader.read_list(start, "")
    broken_off = any(problem.kind == "unterminated" for problem in reader.problems)
    if not reader.named_simply or not (reader.whole or broken_off):
        return None
    if reader.certainty == _WORDS or (broken_off and reader.certainty < _KEYWORDS):
        return None
    return _found(reader, "", "", base, bracketed=False)


def _bracketed(body: str, base: int) -> ParsedCalls | None:
    broken: ParsedCalls | None = None
    budget = 2 * len(body) + 100_000
    for attempt, match in enumerate(_LIST.finditer(body)):
        if attempt >= ATTEMPTS or budget < 0:
            break
        reader = _CallReader(body)
        end = reader.read_list(match.end(), "]")
        budget -= end - match.start()
        before, after = body[: match.start()], body[end:]
        alone = not before.strip() and not after.strip()
        if reader.whole and (reader.certainty > _WORDS or alone):
            return _found(reader, before, after, base, bracketed=True)
        certain = reader.certainty == _KEYWORDS or (reader.certainty == _LITERALS and not before.strip())
        if broken is None and not reader.whole and reader.calls and certain:
            broken = _found(reader, before, after, base, bracketed=True)
    return broken


def _found(reader: _CallReader, before: str, after: str, base: int, *, bracketed: bool) -> ParsedCalls:
    if before.strip() or after.strip():
        at = 0 if before.strip() else len(reader.text) - len(after)
        reader.report("text_around", "text around the calls", at)
    problems = tuple(Problem(p.kind, p.detail, p.at + base) for p in reader.problems)
    return ParsedCalls(tuple(reader.calls), before, after, problems, bracketed)


def render_calls(calls: Iterable[Call]) -> str:
    """Writes calls as `[name(arg="text", n=1, flag=True)]`; argument names that are no identifiers as `**{"a-b": 1}`.

    Raises:
        InputError: a name that could not be read back, or an argument that is no JSON value.
    """
    return "[" + ", ".join(_render_call(call) for call in calls) + "]"


def _render_call(call: Call) -> str:
    if not _readable(call.name):
        raise InputError(f"the name {call.name!r} cannot be written as a call", fix="Rename the API.")
    if not isinstance(call.arguments, Mapping):
        raise InputError(f"arguments of {call.name!r} are a {type(call.arguments).__name__}", fix="Give an object.")
    parts: list[str] = []
    odd: dict[str, Any] = {}
    for key, value in call.arguments.items():
        if isinstance(key, str) and _PLAIN_KEYWORD.fullmatch(key):
            if odd:
                parts.append("**" + render_literal(odd))
                odd = {}
            parts.append(f"{key}={render_literal(value)}")
        else:
            odd[key] = value
    if odd:
        parts.append("**" + render_literal(odd))
    return f"{call.name}({', '.join(parts)})"


@lru_cache(maxsize=4096)
def _readable(name: str) -> bool:
    """Whether the name comes back from the text; the plain ones do, the odd ones are tried."""
    if _PLAIN_NAME.fullmatch(name):
        return len(name) <= NAME_LIMIT
    found = parse_calls(f"[{name}(a=1), {name}()]")
    return found.ok and found.calls == (Call(name, {"a": 1}), Call(name, {}))
