"""Grounding: every value of a call was said before it, or follows from what was said by a rule that is written here.

The paper leaves this to the hallucination expert ("argument values not in user query or system prompt"); what can be
decided without a model is decided here. Said is: user turns, results, the system text without the tool list, and what
the assistant proposed when the user's next words agree to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from data_gen.verification.aliases import alias_said
from data_gen.verification.asked import spoken_of
from data_gen.verification.claims import Claim
from data_gen.verification.derivations import follows
from data_gen.verification.heard import Heard, normalised, rounded, spoken, stem
from data_gen.verification.identity import remembered_last
from data_gen.verification.registry import CONSISTENCY, EXECUTABILITY, Finding, rule
from data_gen.verification.schemas import properties_of, required_of
from data_gen.verification.verdict import quoted
from toolace.calls import Call
from toolace.dialogs import Dialog, Message

Schema = Mapping[str, Any]

_ASSENT = re.compile(
    r"\W*(?:yes|yeah|yep|sure|ok|okay|please do|go ahead|sounds good|that works|perfect|great|exactly|correct|right|"
    r"do it|do that|that one|the (?:first|second|third|last) one)\b",
    re.IGNORECASE,
)


class Said(NamedTuple):
    """A text and the role that said it."""

    role: str
    heard: Heard


@rule("grounding.value", EXECUTABILITY)
def grounded_values(dialog: Dialog) -> Iterator[Finding]:
    """Every scalar argument was said before the call, or follows from it by case, spelling, number words, dates,
    the schema's default, or an enum value whose words were said. Booleans and nulls need not be said."""
    schemas = {tool.name: tool.parameters for tool in dialog.tools}
    for place, call, said in calls_with_context(dialog):
        texts = [s.heard for s in said]
        for path, claim in _claims_of(call.arguments, schemas.get(call.name, {})):
            if not is_supported(claim, texts):
                yield f"{quoted(claim.value)} was never said", place + path


@rule("grounding.dependent", CONSISTENCY)
def dependent_values(dialog: Dialog) -> Iterator[Finding]:
    """In a dialog of type dependent, some later call takes a value from a result that the user had not said."""
    if dialog.type != "dependent":
        return
    schemas = {tool.name: tool.parameters for tool in dialog.tools}
    for _, call, said in calls_with_context(dialog):
        results = [s.heard for s in said if s.role == "tool"]
        others = [s.heard for s in said if s.role != "tool"]
        for _, claim in _claims_of(call.arguments, schemas.get(call.name, {})) if results else ():
            if is_grounded(claim.value, {}, results) and not is_grounded(claim.value, claim.schema, others):
                return
    yield "no later call uses a value that only a result gave", ""


@remembered_last
def calls_with_context(dialog: Dialog) -> tuple[tuple[str, Call, tuple[Said, ...]], ...]:
    """Every call with its place and what was said before it."""
    found: list[tuple[str, Call, tuple[Said, ...]]] = []
    said: list[Said] = []
    proposal: Message | None = None
    last = max((i for i, message in enumerate(dialog.messages) if message.calls), default=-1)
    for i, message in enumerate(dialog.messages[: last + 1]):
        if message.role == "user" and proposal is not None and _ASSENT.match(message.content):
            said.append(Said("assistant", Heard(proposal.content)))
        before = tuple(said) if message.calls else ()
        for j, call in enumerate(message.calls):
            found.append((f"messages[{i}].calls[{j}]", call, before))
        proposal = message if message.role == "assistant" else None
        if message.role != "assistant":
            said.append(Said(message.role, Heard(_unescaped(message.content))))
    return tuple(found)


def _unescaped(text: str) -> str:
    """A result with its JSON escapes undone, so that "S\\u00e3o" can be found, and a request with its line ends."""
    if "\\" not in text:
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False).replace("\\n", " ").replace('\\"', '"')
    except (ValueError, RecursionError):
        return re.sub(r"\\n(?=[a-z])", "\n", text)


def _claims_of(arguments: Mapping[str, Any], schema: Any) -> Iterator[tuple[str, Claim]]:
    """(path, claim) of every scalar of an argument object that says something: no nulls, empty texts and required
    booleans, and nothing that equals its schema's default."""
    schema = schema if isinstance(schema, (dict, Mapping)) else {}
    properties, required, other = properties_of(schema), required_of(schema), schema.get("additionalProperties")
    for key, value in arguments.items():
        definition, needed = properties.get(key, other), key in required
        if type(definition) is dict and type(value) in _PLAIN:
            # Most arguments: nothing inside them, and a definition.
            if value != "" and not ("default" in definition and _same(definition["default"], value)):
                yield f".{key}"[:200], Claim(value, definition, str(key), needed)
        else:
            yield from _inner_claims(f".{key}"[:200], value, definition, str(key), needed)


_PLAIN = frozenset((str, int, float))


def _inner_claims(path: str, value: Any, schema: Any, name: str, needed: bool) -> Iterator[tuple[str, Claim]]:
    stack: list[tuple[str, Any, Any, str, bool]] = [(path, value, schema, name, needed)]
    while stack:
        path, node, definition, name, needed = stack.pop()
        definition = definition if isinstance(definition, (dict, Mapping)) else {}
        if "default" in definition and _same(definition["default"], node):
            continue
        if node is None or node == "" or (type(node) is bool and (needed or path[-1:] == "]")):
            continue
        if isinstance(node, (str, int, float)):
            yield path, Claim(node, definition, name, needed)
        elif isinstance(node, (dict, Mapping)):
            properties, required = properties_of(definition), required_of(definition)
            other = definition.get("additionalProperties")
            for key, inner in reversed(list(node.items())):
                member = _described(properties.get(key, other), definition)
                stack.append((f"{path}.{key}"[:200], inner, member, str(key), key in required))
        elif isinstance(node, (list, tuple)):
            items = _described(definition.get("items"), definition)
            stack.extend((f"{path}[{i}]"[:200], node[i], items, name, needed) for i in range(len(node) - 1, -1, -1))


def _described(inner: Any, outer: Schema) -> Any:
    """The schema of an item or a member, which may be described by what holds it alone."""
    if isinstance(inner, (dict, Mapping)) and "description" not in inner and "description" in outer:
        return {**inner, "description": outer["description"]}
    return inner


def _same(a: Any, b: Any) -> bool:
    try:
        return type(a) is type(b) and bool(a == b)
    except RecursionError:
        return False


def is_supported(claim: Claim, said: Sequence[Heard]) -> bool:
    """Whether a scalar was said, or follows from what was said by a rule of `derivations`."""
    if type(claim.value) is bool:
        # What is not switched on needs no word: people say "with" more often than "without".
        return not claim.value or spoken_of(claim, said)
    if type(claim.value) in (int, float) and _is_figure_of_a_date(claim, said):
        said = [heard.counts for heard in said]
    return is_grounded(claim.value, claim.schema, said) or follows(claim, said)


_OF_TIME = re.compile(
    r" (?:years?|months?|days?|dates?|hours?|minutes?|seconds?|time|times|weeks?|nights?|age|since|until|till|start\w*|"
    r"end\w*|begin\w*|before|after|from|to|born|birth|period|decade|century|season|quarter|schedule\w*|when|timestamp|"
    r"deadline|duration|ratio|score|h|min|am|pm|clock|moment|version|section|chapter|verse) "
)


def _is_figure_of_a_date(claim: Claim, said: Sequence[Heard]) -> bool:
    """Whether a number is the year, month or day of a date that was said (the 3 of 2024-05-03), or of a time, and its
    definition speaks of nothing of that kind."""
    if not (0 <= claim.value < 60 or 1900 <= claim.value < 2100):
        return False
    written = str(int(claim.value))
    if any(_stands_alone(written, heard) for heard in said):
        return False
    dated = any(written in heard.text and claim.value in heard.date_figures for heard in said)
    return dated and not _OF_TIME.search(claim.definition)


_MONTHS_AND_HALVES = "jan feb mar apr may jun jul aug sep oct nov dec am pm a.m p.m"
_MONTH_OR_HALF = frozenset(_MONTHS_AND_HALVES.split())


def _stands_alone(written: str, heard: Heard) -> bool:
    """Whether a figure stands between spaces, and beside neither a month nor a half of the day."""
    before, found, after = heard.text.partition(f" {written} ")
    if not found:
        return False
    beside = {after[:3].strip(" .,").lower(), *(word[:3].lower() for word in before[-12:].split()[-1:])}
    return _MONTH_OR_HALF.isdisjoint(beside)


def is_grounded(value: Any, schema: Schema, said: Sequence[Heard]) -> bool:
    """Whether a scalar was said in any of the texts, by the rules of this module."""
    if "const" in schema or (isinstance(schema.get("enum"), list) and len(schema["enum"]) == 1):
        return True
    if isinstance(value, (int, float)):
        return _number_said(value, said) or _is_described_default(quoted(value), schema)
    if not isinstance(value, str) or _is_switch(value, schema):
        return True
    words = spoken(value) if len(value) < 80 else normalised(value)
    if words == " ":
        return any(value.strip() in heard.text for heard in said)
    if any(words in heard.words for heard in said):
        return True
    if "-" in value and _ISO_DAY.match(value):
        digits = re.sub(r"\D", "", value[:10])
        return (
            _moment_said(value, said) or any(digits in h.joined for h in said) or _is_described_default(value, schema)
        )
    return (
        _written_otherwise(value, words, said)
        or _is_described_default(value, schema)
        or _words_said(words, said, is_enum="enum" in schema or _is_described_option(value, schema))
    )


def _number_said(value: float, said: Sequence[Heard]) -> bool:
    plain = _plain_number(value)
    if plain and any(plain in heard.text and plain in heard.tokens for heard in said):
        return True
    try:
        wanted = rounded(float(value))
    except OverflowError:
        return False
    return any(wanted in heard.numbers for heard in said)


def _plain_number(value: float) -> str:
    """A number as most people write it; "" for giants."""
    if not -1e15 < value < 1e15:
        return ""
    return str(int(value)) if value == int(value) else repr(value)


_SWITCH = frozenset(
    ["true", "false", "yes", "no", "on", "off", "any", "all", "none", "dontcare", "not_sure", "unknown"]
)


def _is_switch(value: str, schema: Schema) -> bool:
    """Whether the parameter is a boolean written as text; those need not be said either."""
    options = schema.get("enum")
    return isinstance(options, list) and value.lower() in _SWITCH and all(str(o).lower() in _SWITCH for o in options)


# "San Francisco, CA": the code of a region after a place that was said.
_REGION = re.compile(r"(.{2,60}), ?[A-Z]{2,3}")
_NUMERAL = re.compile(r"[-+]?[$€£¥₹]?\d{1,15}(?:\.\d{1,9})?\s?(?:%|st|nd|rd|th)?")


def _written_otherwise(value: str, words: str, said: Sequence[Heard]) -> bool:
    """The same value in another spelling: numeral, date, time, code, several words as one."""
    if _NUMERAL.fullmatch(value) and _number_said(float(re.sub(r"[^\d.-]", "", value) or 0), said):
        return True
    if _moment_said(value, said):
        return True
    if alias_said(words.strip(), said):
        return True
    region = _REGION.fullmatch(value)
    if region and any(normalised(region[1]) in heard.words for heard in said):
        return True
    apart = normalised(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", value))
    if apart != words and any(apart in heard.words for heard in said):
        return True
    joined = words.replace(" ", "")
    if len(joined) >= 6 and any(joined in heard.joined for heard in said):
        return True
    return any(joined in heard.runs or f" {joined} " in heard.words for heard in said)


_ISO = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d))?(?:[T ](\d\d):(\d\d)(?::\d\d(?:\.\d+)?)?\s?(?:Z|[+-]\d\d:?\d\d)?)?")
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?\s?(?:Z|[+-]\d\d:?\d\d)?)?\Z")
_HOURS = re.compile(r"(\d{1,2})(?:[:.](\d\d))?(?::\d\d)?\s?(?:Z|[AaPp]\.?[Mm]\.?)?")


def _moment_said(value: str, said: Sequence[Heard]) -> bool:
    """Whether a date, month, time or date-time was said in another spelling, or relative to a date that was said."""
    iso = _ISO.fullmatch(value)
    if iso:
        year, month, day = int(iso[1]), int(iso[2]), int(iso[3] or 0)
        if not day:
            return any((year, month) in heard.months for heard in said)
        clock = iso[4] is None or (iso[4], iso[5]) == ("00", "00")
        clock = clock or any(int(iso[4]) * 60 + int(iso[5]) in heard.times for heard in said)
        return clock and _day_said(year, month, day, said)
    if _HOURS.fullmatch(value):
        return any(Heard(value).times & heard.times for heard in said)
    own = [day for day in Heard(value).days if day[0]] if any(map(str.isdigit, value)) and len(value) < 40 else []
    return any(_day_said(year, month, day, said) for year, month, day in own if year)


def _day_said(year: int, month: int, day: int, said: Sequence[Heard]) -> bool:
    if any((year, month, day) in heard.days or (None, month, day) in heard.days for heard in said):
        return True
    try:
        wanted = date(year, month, day)
    except ValueError:
        return False
    anchors = {d for heard in said for d in heard.days if d[0]}
    return any(wanted in heard.relative_days(anchor) for anchor in _calendar(anchors) for heard in said)


def _calendar(days: set[Any]) -> Iterator[date]:
    for day in sorted(days)[:16]:
        try:
            yield date(*day)
        except ValueError:
            continue


_UNLESS_SAID = re.compile(r"default|(?:not|n['’]t|un) ?(?:specif|provid)|omitted")


def _is_described_default(value: str, schema: Schema) -> bool:
    """Whether the parameter's description names the value as its default, or for when nothing is specified."""
    text = str(schema.get("description") or "").casefold()
    found = _UNLESS_SAID.search(text)
    return found is not None and normalised(value) in normalised(text[found.start() : found.start() + 80])


_OPTIONS = re.compile(
    r"\b(?:can be|one of|either|options?|choose|choices|possible values|allowed|must be)\b", re.IGNORECASE
)


def _is_described_option(value: str, schema: Schema) -> bool:
    """Whether the description lists the value, in quotation marks, among the options there are."""
    text = schema.get("description")
    if not isinstance(text, str) or f"'{value}'" not in text:
        return False
    options = _OPTIONS.search(text)
    return options is not None and f"'{value}'" in text[options.start() :]


_EMPTY = "a an and at by for from in into is it of on or the to with no s"
_EMPTY_WORDS = frozenset(_EMPTY.split(" "))
# our choice: up to eight words a value is a name or a phrase, and all of it must have been said; a longer one is a text
# that the assistant wrote (a message, a query), three quarters of whose words must come from the conversation.
_PHRASE_WORDS = 8
_TEXT_SHARE = 0.75


def _words_said(words: str, said: Sequence[Heard], *, is_enum: bool) -> bool:
    """Whether the words of a value were said in any order, or as another form of the word."""
    wanted = [word for word in words.split() if word not in _EMPTY_WORDS] or words.split()
    found = sum(_word_said(word, said) or (is_enum and _root_said(word, said)) for word in wanted)
    if is_enum or len(wanted) <= _PHRASE_WORDS:
        return found == len(wanted)
    return found >= _TEXT_SHARE * len(wanted)


def _word_said(word: str, said: Sequence[Heard]) -> bool:
    if any(f" {word} " in heard.words for heard in said):
        return True
    if any(word in heard.vocabulary or stem(word) in heard.vocabulary for heard in said):
        return True
    if word.isdecimal() and len(word) < 16:
        return _number_said(int(word), said)
    return alias_said(word, said)


def _root_said(word: str, said: Sequence[Heard]) -> bool:
    """Whether a word of the same root was said: "drama" for "dramatic", "counselor" for "counseling".

    Only for enum values, which are one choice among few; for free text five common letters prove nothing.
    """
    root = word[: max(5, round(0.6 * len(word)))]
    return len(word) >= 5 and any(other.startswith(root) for heard in said for other in heard.vocabulary)
