"""Rules on what the system text asks for (paper, Table 4: no format conflict with the system prompt's requirements).

Only what can be decided without a model: calls without words around them, one call at a time, answers in JSON, a limit
of words or sentences, a language with a script of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from data_gen.verification.heard import Heard
from data_gen.verification.registry import CONSISTENCY, Finding, rule
from data_gen.verification.text import scripts
from toolace.dialogs import Dialog, Message

Broken = Callable[[Message, re.Match[str]], str]

_CALLS_ALONE = re.compile(
    r"(?:only|just) (?:with |return |output |write )?(?:the |a )?(?:function |tool |api )?calls?\b.{0,160}"
    r"\b(?:nothing else|no (?:other|extra) text|not (?:include|add|write) any (?:other|extra|additional) text)"
    r"|should not include any other text in (?:the|your) response",
    re.IGNORECASE | re.DOTALL,
)
_ONE_CALL = re.compile(
    r"\b(?:only one|(?:at most|no more than|a maximum of|exactly) one|a single) (?:function|tool|api)?(?: call)?"
    r" (?:at a time|per (?:turn|message|response|reply)|in (?:a|each) (?:turn|message|response|reply))\b"
    r"|\b(?:do not|don['’]t|never) (?:call|use|invoke) (?:several|multiple|more than one) (?:functions?|tools|apis)",
    re.IGNORECASE,
)
_IN_JSON = re.compile(
    r"\b(?:answer|respond|reply)(?: to the user)? (?:only |strictly )?(?:in|with|as) (?:valid |pure )?json\b",
    re.IGNORECASE,
)
_AT_MOST = re.compile(
    r"\b(?:answers?|responses?|repl(?:y|ies)|keep)\b[^.\n]{0,60}\b(?:at most|no more than|under|fewer than|less than"
    r"|within|a maximum of|maximum of|max) (\w+) (words?|sentences?|characters?)\b",
    re.IGNORECASE,
)
_SCRIPTS = {
    "chinese": "CJK", "japanese": "CJK", "korean": "Korean", "russian": "Cyrillic", "ukrainian": "Cyrillic",
    "bulgarian": "Cyrillic", "arabic": "Arabic", "persian": "Arabic", "urdu": "Arabic", "hebrew": "Hebrew",
    "greek": "Greek", "hindi": "Indic", "bengali": "Indic", "tamil": "Indic", "thai": "Thai", "georgian": "Georgian",
    "armenian": "Armenian", "english": "",
}  # fmt: skip
_IN_LANGUAGE = re.compile(
    r"\b(?:always |only )?(?:answer|respond|reply|speak|write)(?: to the user)? (?:only |always )?in ("
    + "|".join(_SCRIPTS)
    + r")\b",
    re.IGNORECASE,
)


def _words_beside_calls(message: Message, asked: re.Match[str]) -> str:
    return f"calls with text beside them: {message.content[:60]!r}" if message.calls and message.content.strip() else ""


def _several_calls(message: Message, asked: re.Match[str]) -> str:
    return f"{len(message.calls)} calls in one turn" if len(message.calls) > 1 else ""


def _no_json(message: Message, asked: re.Match[str]) -> str:
    if message.calls or not message.content.strip():
        return ""
    try:
        json.loads(message.content)
    except (ValueError, RecursionError):
        return f"an answer that is no JSON: {message.content[:60]!r}"
    return ""


def _too_much(message: Message, asked: re.Match[str]) -> str:
    limits = sorted(n for n in Heard(asked[1]).numbers if n >= 1)
    if message.calls or not limits:
        return ""
    unit = asked[2].lower().rstrip("s")
    counts = {"word": len(message.content.split()), "character": len(message.content)}
    count = counts.get(unit, len(re.findall(r"[.!?]+(?:\s|\Z)", message.content)))
    return f"{count} {unit}s, more than {limits[-1]:g}" if count > limits[-1] else ""


def _other_language(message: Message, asked: re.Match[str]) -> str:
    letters = sum(map(str.isalpha, message.content))
    if message.calls or letters < 12:
        return ""
    wanted = _SCRIPTS[asked[1].lower()]
    found = scripts(message.content)
    if wanted and wanted not in found:
        return f"an answer without {asked[1]} letters: {message.content[:60]!r}"
    if not wanted and found and sum(c.isascii() and c.isalpha() for c in message.content) * 2 < letters:
        return f"an answer in another script: {message.content[:60]!r}"
    return ""


_REQUIREMENTS: tuple[tuple[re.Pattern[str], Broken], ...] = (
    (_CALLS_ALONE, _words_beside_calls),
    (_ONE_CALL, _several_calls),
    (_IN_JSON, _no_json),
    (_AT_MOST, _too_much),
    (_IN_LANGUAGE, _other_language),
)
_SYSTEM_CHARACTERS = 20_000


@rule("dialog.prompt_kept", CONSISTENCY)
def prompt_kept(dialog: Dialog) -> Iterator[Finding]:
    """Answers keep to the form that the system text asks for: calls without text, one call at a time, JSON, a length,
    a language."""
    for broken, asked in _requirements(_asked(dialog)):
        for i, message in enumerate(dialog.messages):
            evidence = broken(message, asked) if message.role == "assistant" else ""
            if evidence:
                yield evidence, f"messages[{i}]"


@lru_cache(maxsize=512)
def _requirements(text: str) -> tuple[tuple[Broken, re.Match[str]], ...]:
    """What a system text asks for; most dialogs of a data set share a few texts."""
    found = ((broken, pattern.search(text)) for pattern, broken in _REQUIREMENTS)
    return tuple((broken, asked) for broken, asked in found if asked)


def _asked(dialog: Dialog) -> str:
    """The system text without the tool list: plain instructions and the prompt around the list."""
    parts = [message.content for message in dialog.messages if message.role == "system"]
    prompt = dialog.meta.get("prompt")
    if isinstance(prompt, dict):
        parts += [prompt[key] for key in ("before", "after") if isinstance(prompt.get(key), str)]
    return "\n".join(parts)[:_SYSTEM_CHARACTERS]
