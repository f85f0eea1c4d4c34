"""Where a text breaks off: answers, requests and results that were cut, told by how they end.

A text that was cut between two sentences, or inside a word list, looks whole; only a model could tell.
"""

from __future__ import annotations

import json
import re

# What no answer ends with: an opening bracket, a comma, a colon, a dash, a currency sign before its number.
_OPEN_ENDED = frozenset(",:;(\\[{<&=+-/\u2014\u2013\u2026$€£¥#@\u00a1\u00bf") - frozenset("\u2026")
# Words that need another behind them, whoever says them; "with", "to" and the like may end a question.
_NEEDY = "the a an and or of my your our because whose than if although"
_NEEDY_END = re.compile(rf"(?:\A|\s)(?:{_NEEDY.replace(' ', '|')})\Z", re.IGNORECASE)
_SENTENCE_END = frozenset(".!?…。！？؟।")
_SENTENCES = re.compile(r"[.!?…][\"')\]”’*_]*\s+(?=[\"'(\[“‘*_]*[A-Z0-9])")
_CLOSERS = "\"')]}”’»*`|>"
_ITEM = re.compile(r"\s*(?:[-*•#|>–]|\d+[.)]|[A-Za-z][.)] )")
_FIELD = re.compile(r"[\w ()/'-]{1,40}: \S")
_LINK = re.compile(r"://|@|=|\\|\A/|\Awww\.")
# our choice: fewer words than three may be an answer as they stand ("Forty-two", "Yes, please"), and names of any
# length ("Johann Sebastian Bach"), unless they begin as only a sentence does.
_SENTENCE_WORDS = 3
_OPENING_WORDS = (
    "the this these that here i i'm i'll i've it its it's your you there we to for in on based according could would "
    "please none my"
)
_OPENERS = frozenset(_OPENING_WORDS.split())


def answer_breaks_off(text: str) -> bool:
    """Whether an answer in Latin letters lacks its end: sentences end with a full stop or the like, but list items,
    links, fields and a word or two alone need none."""
    text = text.rstrip()
    last = text[-1:]
    if last in _SENTENCE_END:
        return _quotes_open(text)
    if not last or _open_end(text):
        return bool(last)
    if last in _CLOSERS or not ((last.isascii() and last.isalnum()) or last in "_%°"):
        return _quotes_open(text)
    at = text.rfind("\n")
    line = text[at + 1 :]
    words = line.split()
    if _ITEM.match(line) or _LINK.search(words[-1]):
        return False
    if at >= 0 and (_FIELD.match(line) or len(words) < _SENTENCE_WORDS):
        return False
    if (len(words) >= _SENTENCE_WORDS and not all(word[0].isupper() for word in words)) or _SENTENCES.search(line):
        return True
    return (len(words) > 1 and words[0].lower() in _OPENERS) or (len(text) > 1 and text.lower() in _OPENERS)


def request_breaks_off(text: str) -> bool:
    """Whether a request lacks its end; people leave out full stops, so only what no request ends with counts."""
    text = text.rstrip()
    if not text or text[-1] in _SENTENCE_END:
        return _quotes_open(text)
    opened = text[-1] in ",([{&" and len(text) > 1 and text[-2] not in ":;-="
    return opened or _NEEDY_END.search(text[-12:]) is not None or _quotes_open(text)


def result_breaks_off(text: str) -> bool:
    """Whether a result that begins as JSON does was cut before its brackets closed."""
    first = text[:1]
    if first not in ("{", "["):
        return False
    if text.rstrip()[-1] not in "}]":
        return True
    if text.count("{") == text.count("}") and text.count("[") == text.count("]"):
        return False
    try:
        json.loads(text)
    except RecursionError:
        return False
    except ValueError:
        return text.count("{") > text.count("}") or text.count("[") > text.count("]")
    return False


def _open_end(text: str) -> bool:
    if text[-1] in _OPEN_ENDED:
        # A table's rule and a signature's dash are whole lines of signs.
        line = text[text.rfind("\n") + 1 :]
        return any(map(str.isalnum, line)) and not _LINK.search(text[-12:].split()[-1][:-1])
    return _NEEDY_END.search(text[-12:]) is not None


# The last quotation mark, when it opens something.
_OPENING = re.compile(r'(?:\A|[\s(:=\[])"[^"]*\Z')
_INCHES = re.compile(r"\d\"")


def _quotes_open(text: str) -> bool:
    """Whether a quotation or a bracket that was opened is not closed; 5'11" is no quotation."""
    if '"' in text and text.count('"') % 2 and not _INCHES.search(text) and _OPENING.search(text):
        return True
    if "(" in text and text.count("(") > text.count(")"):
        at = text.rfind("(")
        return text[at - 1 : at] not in (":", ";", "-") and "\\(" not in text and text.count("(") == text.count(")") + 1
    return False
