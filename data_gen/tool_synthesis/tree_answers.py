"""What a language model proposes for the tree: the answer's JSON Schema, and which single proposals can be accepted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from data_gen.documents.naming import singular
from data_gen.tool_synthesis.similarity import words_of
from data_gen.tool_synthesis.speciation import tokens
from data_gen.tool_synthesis.taxonomy import SubDomain
from data_gen.verification.verdict import KEPT, Verdict
from toolace.structured import AnswerSchema

# our choice: what a passage of 3,500 tokens can be asked for in one answer of 1,024.
FUNCTIONALITIES = 20
NAME_WORDS = 8
NAME_CHARACTERS = 60

_DOMAIN = re.compile(r"[A-Za-z][A-Za-z0-9 &',/()-]{2,39}")
_FUNCTIONALITY = re.compile(r"[A-Za-z][A-Za-z0-9 '/&,-]*")
_VAGUE_WORDS = (
    "api apis service services system systems platform platforms tool tools other others misc miscellaneous general "
    "various data information management manager operations functions features web online application applications "
    "software integration solution solutions resource resources new unknown none null "
    "manage use process handle perform analyze analyse provide support access work"
)
_VAGUE = frozenset(_VAGUE_WORDS.split())
# What every service has and no API of a pool is about.
_NOISE = re.compile(
    r"\b(?:authenticat\w*|authori[sz]\w*|oauth\w*|api[ _-]?keys?|access tokens?|paginat\w*|rate[ -]limit\w*|webhook "
    r"signatures?|(?:un)?tag resources?|error (?:handling|codes?)|sdks?|install\w*|versioning|getting started"
    r"|changelogs?)\b",
    re.IGNORECASE,
)
# Verbs that mean the same in names of APIs: the first of each line stands for all.
_VERBS = {
    verb: line.split()[0]
    for line in (
        "get retrieve fetch view show read access obtain return", "search find query look lookup browse discover",
        "create add new insert make register", "delete remove erase drop", "update edit modify change patch",
        "list enumerate", "send deliver transmit", "cancel revoke abort", "enable activate", "disable deactivate",
        "start begin launch run", "stop end terminate halt", "upload import", "download export",
    )
    for verb in line.split()
}  # fmt: skip
_SMALL_WORDS = "a an the of for and or in on to by with from at up its their as"
_SMALL = frozenset(_SMALL_WORDS.split())


def answer_schema(subs: Sequence[SubDomain]) -> AnswerSchema:
    """The JSON that a passage is answered with: one domain, and all functionalities."""
    text = {"type": "string", "minLength": 1}
    functionality = {
        "type": "object",
        "properties": {"name": text, "description": text},
        "required": ["name", "description"],
        "additionalProperties": False,
    }
    properties: dict[str, Any] = {
        "primary": {"enum": list(dict.fromkeys(sub.primary for sub in subs))},
        "sub_domain": text,
        "reason": {"type": "string"},
        "functionalities": {"type": "array", "items": functionality, "minItems": 1, "maxItems": FUNCTIONALITIES},
    }
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return AnswerSchema("speciation", schema)


def plain(text: str, most: int = 300) -> str:
    """A model's text on one line, without what cannot be printed, cut to `most` characters."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * most])
    return " ".join(printable.encode("utf-8", "ignore").decode().split())[:most].strip()


def domain_name(answer: Mapping[str, Any]) -> str:
    """The sub-domain's name alone: models like to write "Travel > Flights"."""
    return plain(re.split(r"\s*(?:>|→|::)\s*", answer["sub_domain"])[-1], 80).strip(" \"'.*`")


def judge_domain(name: str, primary: str, reason: str) -> Verdict:
    """Whether a sub-domain that the tree does not have may be added, by its name alone."""
    if not _DOMAIN.fullmatch(name):
        return Verdict.reject("domain.name", f"{name!r} is no name of 3 to 40 letters", "sub_domain")
    if set(words_of(name)) <= _VAGUE | _SMALL:
        return Verdict.reject("domain.vague", f"{name!r} names no topic", "sub_domain")
    if set(words_of(name)) <= set(words_of(primary)):
        return Verdict.reject("domain.primary", f"{name!r} is no part of {primary!r} but the same", "sub_domain")
    if len(words_of(reason)) < 3:
        return Verdict.reject("domain.no_reason", f"{name!r} is new and {reason!r} gives no reason", "reason")
    return KEPT


def judge_place(sub: SubDomain, text: str) -> Verdict:
    """Whether a document speaks of a sub-domain at all; small models put speech synthesis among toys."""
    if set(tokens(text)) & set(tokens(" ".join((sub.name, *sub.words)))):
        return KEPT
    return Verdict.reject("domain.ungrounded", f"the document has no word of {sub.name!r}", "sub_domain")


def judge_functionality(name: str, about: str, known: frozenset[str]) -> Verdict:
    """Whether a functionality says what is done, and is one that the passage speaks of.

    Args:
        name: as `plain` leaves it.
        about: its description.
        known: the passage's words, see `vocabulary_of`.
    """
    words = words_of(name)
    telling = [word for word in words if word not in _VAGUE | _SMALL and word not in _VERBS]
    if not 2 <= len(words) <= NAME_WORDS or len(name) > NAME_CHARACTERS or not _FUNCTIONALITY.fullmatch(name):
        return Verdict.reject("functionality.name", f"{name!r} is no name of 2 to {NAME_WORDS} words", "name")
    if not telling:
        return Verdict.reject("functionality.vague", f"{name!r} does not say on what", "name")
    if _NOISE.search(name):
        return Verdict.reject("functionality.noise", f"{name!r} is part of every service", "name")
    if len(words_of(about)) < 3:
        return Verdict.reject("functionality.description", f"{about!r} says too little", "description")
    if not any(singular(word) in known for word in telling):
        return Verdict.reject("functionality.ungrounded", f"the passage has none of {', '.join(telling)}", "name")
    return KEPT


def vocabulary_of(text: str) -> frozenset[str]:
    """The words of a passage in singular form."""
    return frozenset(singular(word) for word in words_of(text))


def canonical(name: str) -> tuple[str, frozenset[str]]:
    """(verb, all words) of a functionality in one form: "Retrieve the user's orders" is "get user orders".

    Names with equal words mean the same. Verbs that are both known and differ never do, however near their meaning:
    what is created is not deleted.
    """
    words = [singular(word) for word in words_of(name) if word not in _SMALL and len(word) > 1]
    words = [_VERBS.get(word, word) for word in words]
    verb = words[0] if words and words[0] in _VERBS else ""
    return verb, frozenset(words)


def telling(text: str) -> frozenset[str]:
    """The words of a text that say what it is about: no verbs that any API may have, in singular form."""
    return canonical(text)[1] - frozenset(_VERBS.values())
