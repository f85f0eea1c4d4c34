"""Arguments that were said, but changed places: between two calls of a turn, or between two parameters of a call.

Each value alone is grounded then; what tells is the order in which the request names things, and the words around them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any, NamedTuple

from data_gen.verification.asked import subjects
from data_gen.verification.grounding import calls_with_context
from data_gen.verification.heard import Heard, normalised, spoken, stem
from data_gen.verification.identity import remembered
from data_gen.verification.registry import CONSISTENCY, Finding, rule
from data_gen.verification.schemas import properties_of
from data_gen.verification.text import leaves
from toolace.calls import Call
from toolace.dialogs import Dialog
from toolace.tools import Tool

# our choice: turns of more calls, and calls of more arguments, are compared by their first ones only.
_MOST = 8


@rule("grounding.exchanged", CONSISTENCY)
def exchanged(dialog: Dialog) -> Iterator[Finding]:
    """Values stand in the call and in the parameter that they were said for: calls of one turn take what was said
    together, and "from", "to" and the form of a value are not turned around."""
    tools = {tool.name: _pairs(tool) for tool in dialog.tools}
    before = start = 0
    for place, call, said in calls_with_context(dialog):
        # What was asked since the last call belongs together: a question, and the answer to one asked back.
        if len(said) != before:
            start, before = before, len(said)
        is_first = place.endswith(".calls[0]")
        pairs = tools.get(call.name, ()) if len(call.arguments) > 1 else ()
        if not pairs and not is_first:
            continue
        requests = [s.heard for s in said[start:] if s.role == "user"]
        for pair in pairs if requests else ():
            a, b = call.arguments.get(pair.first), call.arguments.get(pair.second)
            if a is None or b is None or a == b or type(a) is not type(b):
                continue
            if _turned_around(pair, a, b, requests):
                yield f"{a!r} and {b!r} changed places", f"{place}.{pair.first}"
        if is_first and requests:
            yield from _between_calls(place, dialog, requests)


class Place(NamedTuple):
    """A value of a call that the request names once: its path, what it is, and where it begins."""

    path: str
    value: Any
    at: int


def _places(call: Call, words: str) -> list[Place]:
    found: list[Place] = []
    for key, argument in call.arguments.items():
        plain = type(argument) in (str, int, float)
        for path, value in (("", argument),) if plain else leaves(argument):
            if type(value) not in (str, int, float):
                continue
            said = spoken(value if type(value) is str else str(value))
            at = words.find(said) if len(said) > 3 else -1
            if at >= 0 and words.find(said, at + 1) < 0:
                found.append(Place(f"{key}{path}", value, at))
                if len(found) == _MOST:
                    return found
    return found


def _between_calls(place: str, dialog: Dialog, requests: Sequence[Heard]) -> Iterator[Finding]:
    """The first pair of calls of a turn whose arguments, as the request names them, cross and would not after one of
    each changed places."""
    calls = dialog.messages[int(place[9 : place.index("]")])].calls
    if not 1 < len(calls) <= _MOST or max(len(call.arguments) for call in calls) < 2:
        return
    words = requests[0].words if len(requests) == 1 else "".join(heard.words for heard in requests)
    places = [_places(call, words) for call in calls]
    used = Counter(named.at for found in places for named in found)
    own = [[named for named in found if used[named.at] == 1] for found in places]
    for j, k in combinations(range(len(calls)), 2):
        ours, theirs = own[j], own[k]
        if min(len(ours), len(theirs)) < 2 or _are_apart(ours, theirs):
            continue
        for a in ours:
            for b in theirs:
                is_like = a.path == b.path or (calls[j].name != calls[k].name and isinstance(a.value, str))
                if not is_like or type(a.value) is not type(b.value):
                    continue
                ours_then = [b if named is a else named for named in ours]
                theirs_then = [a if named is b else named for named in theirs]
                if _are_apart(ours_then, theirs_then):
                    yield f"{a.value!r} and {b.value!r} of {calls[k].name} changed places", f"{place[:-2]}{j}]"
                    return


def _are_apart(ours: list[Place], theirs: list[Place]) -> bool:
    a, b = [place.at for place in ours], [place.at for place in theirs]
    return max(a) < min(b) or max(b) < min(a)


class Pair(NamedTuple):
    """Two parameters of a tool whose values could change places without a schema noticing.

    Attributes:
        first, second: names.
        words: stems that only one of the names has, of each.
        forms: the form of the examples in each description (`form_of`), "" without one.
        ends: whether the first is a beginning and the second an end (1), the other way round (-1), or neither (0).
        kind: JSON type of both.
    """

    first: str
    second: str
    words: tuple[frozenset[str], frozenset[str]]
    forms: tuple[str, str]
    ends: int
    kind: str


_BEGINS = re.compile(
    r" (?:from|origin|start|starting|starts|source|departure|depart|leaving|since|earliest|min|minimum|lowest|lower) "
)
_ENDS = re.compile(
    r" (?:to|destination|end|ending|ends|target|arrival|until|till|latest|max|maximum|highest|upper|into) "
)
_EXAMPLE = re.compile(r"(?:e\.g\.|such as|for example|example:)\s*['\"]?([^'\",;)]{2,40})")


@remembered
def _pairs(tool: Tool) -> tuple[Pair, ...]:
    """The pairs of parameters of the same free kind, of a tool."""
    free = [(name, schema) for name, schema in properties_of(tool.parameters).items() if _is_free(schema)]
    return tuple(
        pair
        for (a, one), (b, other) in combinations(free[:_MOST], 2)
        if one.get("type") == other.get("type") and (pair := _pair(a, one, b, other)) is not None
    )


def _is_free(schema: Any) -> bool:
    if not isinstance(schema, Mapping) or "enum" in schema or "const" in schema or "pattern" in schema:
        return False
    return schema.get("type") in ("string", "integer", "number")


def _pair(a: str, one: Mapping[str, Any], b: str, other: Mapping[str, Any]) -> Pair | None:
    names = [normalised(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", name)) for name in (a, b)]
    ends = _direction(names, _BEGINS, _ENDS)
    kind = str(one.get("type"))
    if kind != "string" and not ends:
        return None
    words = subjects(names[0]), subjects(names[1])
    forms = _form_wanted(a, one), _form_wanted(b, other)
    own = words[0] - words[1], words[1] - words[0]
    return Pair(a, b, own, forms, ends, kind)


def _direction(names: list[str], one: re.Pattern[str], other: re.Pattern[str]) -> int:
    if one.search(names[0]) and other.search(names[1]):
        return 1
    return -1 if other.search(names[0]) and one.search(names[1]) else 0


_MAIL = re.compile(r"e-?mail address|^email|_email\b", re.IGNORECASE)


def _form_wanted(name: str, schema: Mapping[str, Any]) -> str:
    """The form that a definition asks for: that of its example, or a date, a time or an address that it speaks of."""
    described = str(schema.get("description") or "")
    if "YYYY" in described or "HH:MM" in described or schema.get("format") in ("date", "time", "date-time"):
        return "number"
    match = _EXAMPLE.search(described)
    if match:
        return form_of(match[1].strip(" ."))
    return "mail" if schema.get("format") == "email" or _MAIL.search(name) or _MAIL.search(described) else ""


@lru_cache(maxsize=65_536)
def form_of(value: str) -> str:
    """The form of a value: `code` with digits and capitals, `number` of figures and signs, `mail`, `name`, `words`."""
    if "@" in value:
        return "mail"
    if any(map(str.isdigit, value)):
        return "code" if any(map(str.isalpha, value)) else "number"
    return "name" if value[:1].isupper() else "words"


_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _turned_around(pair: Pair, a: Any, b: Any, requests: Sequence[Heard]) -> bool:
    """Whether the words before both values, or the forms of both, say that they belong the other way round."""
    if pair.ends and (pair.kind != "string" or (_DAY.match(str(a)) and _DAY.match(str(b)))):
        return bool((a > b) if pair.ends > 0 else (b > a)) and _speaks_of_a_range(pair)
    if pair.kind != "string":
        return False
    # How much more speaks for the other place than for its own, of each value; both must be out of place.
    doubts = [0, 0]
    if any(pair.forms) and pair.forms[0] != pair.forms[1]:
        forms = form_of(a), form_of(b)
        strict = [i for i in (0, 1) if pair.forms[i] in _STRICT]
        if strict and forms[0] != forms[1] and all(forms[i] != pair.forms[i] == forms[1 - i] for i in strict):
            return True
        if forms[0] != forms[1]:
            doubts = [(forms[i] == pair.forms[1 - i]) - (forms[i] == pair.forms[i]) for i in (0, 1)]
    if min(doubts) < 0 and not pair.ends:
        return False
    words = requests[0].words if len(requests) == 1 else "".join(heard.words for heard in requests)
    at = _only_place(a, words), _only_place(b, words)
    if min(at) < 0 or _DAY.match(a) or _DAY.match(b):
        return False
    before = [words[:place].rsplit(None, 3)[-3:] for place in at]
    for i in (0, 1):
        stems = frozenset(map(stem, before[i]))
        doubts[i] += (not pair.words[1 - i].isdisjoint(stems)) - (not pair.words[i].isdisjoint(stems))
    return min(doubts) > 0 or (pair.ends != 0 and form_of(a) == form_of(b) and _cues_turned(pair, before))


# Forms that few values have by accident.
_STRICT = ("mail", "number", "code")
_FROM = frozenset(["from", "starts", "starting", "start", "leaving", "departing", "between"])
_TO = frozenset(["to", "until", "till", "into", "finishes", "finishing", "ends", "ending", "reaching", "towards"])


def _cues_turned(pair: Pair, before: list[list[str]]) -> bool:
    """Whether the words before two ends turn them around: "to Jakarta" for the origin, "from Dubai" for the other."""
    names = [set(normalised(name.replace("_", " ")).split()) for name in (pair.first, pair.second)]
    if not names[0] & names[1] and max(map(len, names)) > 1:
        return False
    begin, end = (before[0][-2:], before[1][-2:]) if pair.ends > 0 else (before[1][-2:], before[0][-2:])
    if not _TO.isdisjoint(begin) and _TO.isdisjoint(end):
        return True
    return not _FROM.isdisjoint(end) and _FROM.isdisjoint(begin)


def _only_place(value: str, words: str) -> int:
    said = spoken(value)
    at = words.find(said) if len(said) > 3 else -1
    return at if at >= 0 and words.find(said, at + 1) < 0 else -1


_RANGE = re.compile(r"min|max|start|end|from|to|since|until|lower|upper|lowest|highest|earliest|latest|after|before")


def _speaks_of_a_range(pair: Pair) -> bool:
    """Whether the names are two ends of one range: the same but for the words that say which end."""
    plain = [_RANGE.sub("", name.lower().replace("_", "")) for name in (pair.first, pair.second)]
    return plain[0] == plain[1] or not all(plain)
