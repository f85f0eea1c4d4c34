"""What the rules ask of a text: its scripts, stuck phrases, and the strings inside a JSON value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from operator import eq
from typing import Any, NamedTuple

from data_gen.verification.identity import remembered_last
from toolace.dialogs import Dialog

# Runs of letters in scripts that are not Latin. Greek counts from three letters on, since single ones are symbols.
_RANGES = {
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Cyrillic": "\u0400-\u052f",
    "Armenian": "\u0530-\u058f",
    "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f",
    "Indic": "\u0900-\u0dff",
    "Thai": "\u0e00-\u0eff",
    "Georgian": "\u10a0-\u10ff",
    "Korean": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "CJK": "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff",
}
_ONE_OF = re.compile("|".join(f"(?P<{name}>[{ranges}]+)" for name, ranges in _RANGES.items()))
_QUOTES = "\"'“”‘’«»「」『』`*_()"


@lru_cache(maxsize=1024)
def foreign_words(text: str) -> dict[str, bool]:
    """Runs of letters outside the Latin script, each with whether quotation marks or brackets stand around it."""
    if text.isascii():
        return {}
    found = {}
    for match in _ONE_OF.finditer(text):
        if match.lastgroup == "Greek" and len(match.group()) < 3:
            continue
        before, after = text[: match.start()].rstrip()[-1:], text[match.end() :].lstrip(" .,!?。！？")[:1]
        found[match.group()] = before in _QUOTES and after in _QUOTES and bool(before and after)
    return found


def scripts(text: str) -> set[str]:
    """Names of the scripts other than Latin that a text has letters of; Chinese and Japanese are one."""
    return set() if text.isascii() else {match.lastgroup or "" for match in _ONE_OF.finditer(text)}


def is_latin(texts: Sequence[str]) -> bool:
    """Whether at least half of the letters are Latin (or there are none)."""
    foreign = letters = 0
    for text in texts:
        if not text.isascii():
            foreign += sum(len(match.group()) for match in _ONE_OF.finditer(text))
            letters += sum(map(str.isalpha, text))
        else:
            letters += len(text)
    return foreign * 2 <= letters


# our choice: a phrase of up to 16 words, said four times in a row, is a stuck decoder.
_PERIODS = 16
_TIMES = 4


# Four words of a letter, and the blanks between them.
_STUCK_CHARACTERS = 7


def repeated(text: str) -> str:
    """The phrase of up to 16 words that stands four times in a row, or a sentence that is said again; else ""."""
    if len(text) < _STUCK_CHARACTERS:
        return ""
    words = text.split()
    again = len(words) - len(set(words))
    if again < _TIMES - 1:
        return ""
    return _repeated_phrase(words, again) or (_repeated_sentence(text) if again >= _FOLLOWING_WORDS else "")


def _repeated_phrase(words: list[str], again: int) -> str:
    # A phrase said four times says each of its words four times: three words more than there are different ones.
    if again < _TIMES - 1:
        return ""
    pairs = list(pairwise(words))
    # Of the pairs of neighbours in a phrase of n words said four times, at least 3 n - 1 were seen before.
    seen_before = len(pairs) - len(set(pairs))
    for period in range(1, min(_PERIODS, (seen_before + 1) // (_TIMES - 1)) + 1):
        if sum(map(eq, words, words[period:])) < period * (_TIMES - 1):
            continue
        run = 0
        for at, (word, later) in enumerate(zip(words, words[period:], strict=False)):
            run = run + 1 if word == later else 0
            if run >= period * (_TIMES - 1):
                phrase = " ".join(words[at - period + 1 : at + 1])
                if any(map(str.isalpha, phrase)):
                    return phrase
    return ""


_SENTENCE_GAP = re.compile(r"(?<=[.!?\u2026])[\"')\]]?\s+|\n+")
# our choice: a sentence of three words or more ("That is all.") that stands three times in a text, or a longer one that
# follows itself, is a stuck decoder.
_SENTENCE_WORDS, _FOLLOWING_WORDS, _SENTENCE_TIMES = 3, 5, 3


def _repeated_sentence(text: str) -> str:
    """The sentence that follows itself, or stands three times in the text, or a whole text said twice; else ""."""
    times: dict[str, int] = {}
    before = ""
    sentences = [sentence for sentence in map(str.strip, _SENTENCE_GAP.split(text)) if sentence]
    if len(set(sentences)) == len(sentences):
        return ""
    for sentence in sentences:
        times[sentence] = times.get(sentence, 0) + 1
        if sentence == before or times[sentence] >= _SENTENCE_TIMES:
            least = _SENTENCE_WORDS if times[sentence] >= _SENTENCE_TIMES else _FOLLOWING_WORDS
            if len(sentence.split()) >= least:
                return sentence
        before = sentence
    half = len(sentences) // 2
    if half > 1 and len(sentences) % 2 == 0 and sentences[:half] == sentences[half:]:
        return " ".join(sentences[:half])
    return ""


def repeated_letter(text: str) -> str:
    """A letter that stands eight times in a row; else ""."""
    # Of eight in a row one stands at a place that 8 divides, beside another.
    every_eighth = text[7::8]
    pairs = {a for a, b in zip(every_eighth, text[6::8], strict=False) if a == b}
    pairs |= {a for a, b in zip(every_eighth, text[8::8], strict=False) if a == b}
    return next((letter for letter in sorted(pairs) if letter * 8 in text and letter.isalpha()), "")


def string_leaves(value: Any) -> Iterator[tuple[str, str]]:
    """(path, text) of every string inside a JSON value, in order; paths look like `.city` and `.stops[0]`."""
    for path, leaf in leaves(value):
        if isinstance(leaf, str):
            yield path, leaf


def leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """(path, value) of every scalar inside a JSON value, in order; without recursion, for values of any depth."""
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, (str, int, float, bool)) or node is None:
            yield path, node
        elif isinstance(node, Mapping):
            stack.extend((f"{path}.{key}"[:200], inner) for key, inner in reversed(list(node.items())))
        elif isinstance(node, (list, tuple)):
            stack.extend((f"{path}[{i}]"[:200], node[i]) for i in range(len(node) - 1, -1, -1))
        else:
            yield path, node


class Part(NamedTuple):
    """One text of a dialog: where it stands, what it says, and whose turn it is part of."""

    place: str
    text: str
    role: str


@remembered_last
def parts(dialog: Dialog) -> tuple[Part, ...]:
    """Every text of the dialog but the system's: turns, and the strings in arguments."""
    return tuple(_parts(dialog))


def _parts(dialog: Dialog) -> Iterator[Part]:
    for i, message in enumerate(dialog.messages):
        place = f"messages[{i}]"
        if message.content and message.role != "system":
            yield Part(place, message.content, message.role)
        for j, call in enumerate(message.calls):
            for key, value in call.arguments.items():
                if type(value) is str:
                    yield Part(f"{place}.calls[{j}].{key}"[:300], value, message.role)
                elif isinstance(value, (Mapping, list, tuple)):
                    for path, text in string_leaves(value):
                        yield Part(f"{place}.calls[{j}].{key}{path}"[:300], text, message.role)


@remembered_last
def all_text(dialog: Dialog) -> str:
    """All of them in one, a line each: what is nowhere in it need not be looked for in each."""
    return "\n".join(part.text for part in parts(dialog))
