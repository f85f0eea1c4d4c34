"""Rules on the shape of a dialog, its length and its letters (paper, Table 4: dialog correctness, role order)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from data_gen.verification.identity import remembered
from data_gen.verification.registry import CONSISTENCY, CORRECTNESS, Finding, rule
from data_gen.verification.text import (
    all_text,
    foreign_words,
    is_latin,
    parts,
    scripts,
    string_leaves,
)
from toolace.dialogs import Dialog
from toolace.tools import Tool

# our choice: Table 4 says "not too long"; 4,000 characters are about 1,000 tokens, twice the longest answer that the
# released rows show, and a whole dialog of 60,000 fills the 16k context of the models that are trained.
ANSWER_CHARACTERS = 4_000
ARGUMENT_CHARACTERS = 8_000
DIALOG_CHARACTERS = 60_000
MESSAGES = 100


@rule("dialog.fields", CORRECTNESS)
def fields(dialog: Dialog) -> Iterator[Finding]:
    """There is a user turn and an assistant turn, and no turn is empty."""
    roles = {message.role for message in dialog.messages}
    for role in ("user", "assistant"):
        if role not in roles:
            yield f"no {role} turn", "messages"
    for i, message in enumerate(dialog.messages):
        if not message.content.strip() and not message.calls:
            yield f"the {message.role} turn is empty", f"messages[{i}]"


# What may stand before a turn; "calls" is an assistant turn that calls, "start" the beginning of the dialog.
_BEFORE = {
    "system": ("start",),
    "user": ("start", "system", "assistant"),
    "assistant": ("user", "tool"),
    "calls": ("user", "tool"),
    "tool": ("calls", "tool"),
}


@rule("dialog.role_order", CONSISTENCY)
def role_order(dialog: Dialog) -> Iterator[Finding]:
    """System at most first, the user speaks first, results follow calls and calls have results, assistant last."""
    before = "start"
    for i, message in enumerate(dialog.messages):
        turn = "calls" if message.role == "assistant" and message.calls else message.role
        if message.calls and message.role != "assistant":
            yield f"the {message.role} turn holds calls", f"messages[{i}]"
        if before not in _BEFORE[turn]:
            yield f"{_SPOKEN.get(turn, turn)} after {_SPOKEN.get(before, before)}", f"messages[{i}]"
        before = turn
    if dialog.messages and dialog.messages[-1].role != "assistant":
        yield f"the last turn is of the {dialog.messages[-1].role}", f"messages[{len(dialog.messages) - 1}]"


_SPOKEN = {"start": "nothing", "calls": "assistant with calls"}


@rule("dialog.length", CORRECTNESS)
def length(dialog: Dialog) -> Iterator[Finding]:
    """No answer over 4,000 characters, no arguments over 8,000, no dialog over 60,000 or over 100 turns."""
    if len(dialog.messages) > MESSAGES:
        yield f"{len(dialog.messages)} turns, more than {MESSAGES}", "messages"
    total = 0
    for i, message in enumerate(dialog.messages):
        total += len(message.content)
        if message.role == "assistant" and len(message.content) > ANSWER_CHARACTERS:
            yield f"{len(message.content)} characters, more than {ANSWER_CHARACTERS}", f"messages[{i}]"
        arguments = sum(_length(call.arguments) for call in message.calls)
        if arguments > ARGUMENT_CHARACTERS:
            yield f"{arguments} characters of arguments, more than {ARGUMENT_CHARACTERS}", f"messages[{i}].calls"
        total += arguments
    if total > DIALOG_CHARACTERS:
        yield f"{total} characters, more than {DIALOG_CHARACTERS}", "messages"


def _length(value: Any) -> int:
    """About how many characters a value takes as JSON; Python's own text of it is as long, and quickly made."""
    try:
        return len(str(value))
    except (ValueError, RecursionError):  # an integer of too many digits, or too many levels
        return _size(value)


def _size(value: Any) -> int:
    """The same without recursion, for values of any depth."""
    size, stack = 0, [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            size += len(node) + 2
        elif isinstance(node, (dict, Mapping)):
            size += 2 + sum(len(str(key)) + 4 for key in node)
            stack.extend(node.values())
        elif isinstance(node, (list, tuple)):
            size += 2 + 2 * len(node)
            stack.extend(node)
        elif isinstance(node, int) and not isinstance(node, bool):
            size += node.bit_length() // 3 + 1
        else:
            size += 5
    return size


# Control characters other than tab and line ends, noncharacters, the replacement character, lone surrogates, and
# byte-order marks: what broken decoding leaves behind.
_BROKEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ufffe\uffff\ufeff\ud800-\udfff]")
_ANSWER_LETTERS = 40


@rule("dialog.characters", CORRECTNESS)
def characters(dialog: Dialog) -> Iterator[Finding]:
    """No control, replacement or surrogate characters, and no answer or call in a script that the request has not."""
    everything = all_text(dialog)
    if everything.isascii() and everything.replace("\n", "").replace("\t", "").replace("\r", "").isprintable():
        return
    for part in parts(dialog):
        broken = None if part.text.isascii() and part.text.isprintable() else _BROKEN.search(part.text)
        if broken:
            yield f"the character U+{ord(broken.group()):04X}", part.place
    asked = [m.content for m in dialog.messages if m.role == "user"]
    if is_latin(asked):
        yield from _foreign(dialog)
    else:
        wanted = set().union(*(scripts(text) for text in asked))
        for i, message in enumerate(dialog.messages):
            # An answer all in Latin letters to a question without any; short ones may be names or figures.
            letters = sum(c.isalpha() for c in message.content) if message.role == "assistant" else 0
            if letters > _ANSWER_LETTERS and wanted and not scripts(message.content) & wanted:
                yield "the answer is in another script than the request", f"messages[{i}]"


# our choice: people mix languages; one or two words of another script have slipped in, three are meant.
_OWN_WORDS = 3


def _foreign(dialog: Dialog) -> Iterator[Finding]:
    """Words in other scripts in a dialog whose requests are in Latin letters.

    The assistant may use those that were given to it. The user may give those that the assistant then uses, or quote
    them, or say three and more of their own; anything else has slipped in.
    """
    given: set[str] = set()
    spoken = {word for part in parts(dialog) if part.role == "assistant" for word in foreign_words(part.text)}
    definitions = {word for tool in dialog.tools for word in _defined_words(tool)}
    for message in dialog.messages[:1]:
        given.update(foreign_words(message.content) if message.role == "system" else ())
    for part in parts(dialog):
        for word, quoted in foreign_words(part.text).items():
            if part.role == "user" and not quoted and word not in spoken and len(foreign_words(part.text)) < _OWN_WORDS:
                yield f"the word {word!r} in another script", part.place
            if part.role == "assistant" and word not in given and word not in definitions:
                yield f"the word {word!r} in another script than the request", part.place
        if part.role != "assistant":
            given.update(foreign_words(part.text))


@remembered
def _defined_words(tool: Tool) -> frozenset[str]:
    """Words in other scripts that a definition holds, in descriptions and options alike."""
    texts = [tool.description, *(text for _, text in string_leaves(tool.parameters))]
    return frozenset(word for text in texts for word in foreign_words(text))
