"""Rules on what a text must not be: cut off, said over and over, or a template whose slots were never filled
(paper, Table 4: the response is complete; Section 2.3: repetitions and meaningless tokens are removed)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_gen.verification.endings import answer_breaks_off, request_breaks_off, result_breaks_off
from data_gen.verification.registry import CORRECTNESS, Finding, rule
from data_gen.verification.text import Part, all_text, parts, repeated, repeated_letter
from toolace.dialogs import Dialog

_HTML = (
    "a abbr article b blockquote body br button canvas center code dd del details div dl dt em fieldset footer form "
    "h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label legend li link main mark meta nav ol "
    "option p pre q s samp script section select small source span strong style sub summary sup svg table tbody td "
    "textarea tfoot th thead time title tr u ul var video path audio root item think tool_call tool_response"
)
# What a slot begins with; texts without any of these are passed over.
_SUSPECT = re.compile(r"[{<\[]\{?\s?[A-Za-z_]")
_SLOT = re.compile(
    r"(?<![\w<])<(?!(?:" + "|".join(_HTML.split()) + r")\b)[A-Za-z][A-Za-z0-9]*(?:[_ -][A-Za-z0-9]+){0,5}>"
    r"|(?<![\w/}$^])\{\{?\s?[A-Za-z_][A-Za-z0-9_]{0,40}\s?\}?\}"
    r"|(?<![$\w])\{\{\s?[A-Za-z_][\w.|\[\] ]{0,60}\}\}"
    r"|\[(?:[Yy]our|YOUR|[Ii]nsert|[Ee]nter|[Ss]pecify)\b[^\]\n]{0,40}\]"
    r"|\b[Ll]orem [Ii]psum\b"
)
# What people leave to be filled in; [ERROR] and [AAPL] are none.
_NOUNS = (
    "name|city|date|time|location|place|address|email|e-mail|phone|number|country|state|user|username|company|value|"
    "amount|product|item|title|text|street|price|id|age|code|url|link|topic|subject|message|password|key|age|day|"
    "month|year|destination|origin|person|customer|recipient|sender|placeholder"
)
_BRACKETED = re.compile(
    r"(?<![\w\])(\"'])\[(?:[A-Z]{2,20}(?:[_ ][A-Z]{2,20}){1,3}|(?:[A-Za-z]{2,16}[ _]){0,2}"
    rf"(?i:{_NOUNS}))\](?!\()"
)
_MARKS = [
    "TODO",
    "FIXME",
    "TBD",
    "YOUR_",
    "XXX",
    "xxx",
    "INSERT_",
    "CHANGEME",
    "PLACEHOLDER",
    "REPLACE_",
    "ENTER_",
    "FILL_",
    "__",
    "here]",
    "here)",
    "here>",
]
_UNFINISHED = re.compile(
    r"\b(?:TODO|FIXME|TBD)\b(?!['’]?s?\s+(?:list|item|app|task|entr|card|board))"
    r"|\b(?:YOUR|INSERT|REPLACE|ENTER|FILL)_[A-Z_]{2,40}\b|\bCHANGEME\b|\bPLACEHOLDER\b"
    r"|(?<!Bowl )(?<!Part )(?<!Chapter )(?<!film )(?<!movie )\b(?:X{3,}|x{3,})\b(?![.\d])|_{4,}|\b__[A-Z]{2,20}__\b"
    r"|\b(?:insert|enter|add|your) (?:\w+ ){1,2}here\b(?=[\])}>.\"']|\Z)"
)
_FORMATTED = re.compile(r"(?<![\w%])%(?:\([A-Za-z_]\w{0,30}\))?[sd](?![\w%/:.-])")
_CODE = re.compile(r"printf|strf|format|\bSQL\b|[Pp]ython|%[A-Zijmy]|[{}]")
# Arguments that stand where a value should be.
_NO_VALUE = frozenset(["n/a", "xxx", "...", "???", "tbd", "todo", "placeholder", "<>", "-", "--", "?", "fixme", "tba"])
_SHORT = 1 + max(map(len, _NO_VALUE))


@rule("dialog.placeholders", CORRECTNESS)
def placeholders(dialog: Dialog) -> Iterator[Finding]:
    """No slot that was never filled: <city>, {slot}, {{user.name}}, [CITY], [your name], %s, XXX, lorem ipsum, TODO."""
    everything = all_text(dialog)
    slots = "orem" in everything or _SUSPECT.search(everything) is not None
    marks = "%" in everything or any(mark in everything for mark in _MARKS)
    for part in parts(dialog):
        if slots or marks:
            found = _SLOT.search(part.text) if slots else None
            if found is None and part.role != "tool":
                found = _mark(part, slots=slots, marks=marks)
            if found:
                yield f"the placeholder {found.group()!r}", part.place
                continue
        if len(part.text) < _SHORT and part.text.strip().lower() in _NO_VALUE and _is_unsaid_argument(part, dialog):
            yield f"the placeholder {part.text!r}", part.place


def _mark(part: Part, *, slots: bool, marks: bool) -> re.Match[str] | None:
    """A mark of something unfinished in what people and the assistant say; results may hold codes of their own."""
    found = _BRACKETED.search(part.text) if slots and "[" in part.text else None
    if found is None and marks:
        found = _UNFINISHED.search(part.text)
        if found is None and "%" in part.text and not _CODE.search(part.text):
            found = _FORMATTED.search(part.text)
    return found


def _is_unsaid_argument(part: Part, dialog: Dialog) -> bool:
    """Whether a text is an argument, and not what the user said, as an operator is said."""
    said = any(message.role == "user" and f" {part.text} " in f" {message.content} " for message in dialog.messages)
    return "]." in part.place and not said


# our choice: short turns ("Yes, please.", "Make it compact.") are said twice in good dialogs, and the assistant's
# refusals and thanks are alike.
_SAME_TEXT = {"user": 40, "assistant": 40}


@rule("dialog.repetition", CORRECTNESS)
def repetition(dialog: Dialog) -> Iterator[Finding]:
    """No stuck loops in a turn, no sentence said again and again, no long turn said twice, no request made and
    answered twice."""
    seen: dict[tuple[str, str], int] = {}
    stuck = repeated_letter("\n".join(m.content for m in dialog.messages if m.role in ("user", "assistant")))
    for i, message in enumerate(dialog.messages):
        if message.role not in _SAME_TEXT:
            continue
        text = message.content.strip()
        letter = repeated_letter(text) if stuck else ""
        if letter:
            yield f"the letter {letter!r} over and over", f"messages[{i}]"
        phrase = repeated(text)
        if phrase:
            yield f"{phrase!r} over and over", f"messages[{i}]"
        first = seen.setdefault((message.role, text), i)
        if first != i and (len(text) >= _SAME_TEXT[message.role] or _same_answer(dialog, first, i)):
            yield f"the same text as messages[{first}]", f"messages[{i}]"


def _same_answer(dialog: Dialog, first: int, second: int) -> bool:
    """Whether two requests in the same words get the same calls."""
    if dialog.messages[first].role != "user" or second + 1 >= len(dialog.messages):
        return False
    calls = dialog.messages[second + 1].calls
    return bool(calls) and dialog.messages[first + 1].calls == calls


@rule("dialog.complete", CORRECTNESS)
def complete(dialog: Dialog) -> Iterator[Finding]:
    """Nothing breaks off: an answer ends as a sentence does, a request not in the middle of a phrase or a quotation, a
    result with its brackets closed, and no code fence is left open."""
    for i, message in enumerate(dialog.messages):
        text, role = message.content, message.role
        if not text:
            continue
        if role == "assistant" and text.count("```") % 2:
            yield "a code fence is not closed", f"messages[{i}]"
        elif role in _BREAKS_OFF and _BREAKS_OFF[role](text):
            yield f"the {_CALLED[role]} breaks off at {text.rstrip()[-20:]!r}", f"messages[{i}]"


_BREAKS_OFF = {"assistant": answer_breaks_off, "user": request_breaks_off, "tool": result_breaks_off}
_CALLED = {"assistant": "answer", "user": "request", "tool": "result"}
