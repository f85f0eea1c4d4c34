"""Requests that leave a required value open: it is not mentioned, or only spoken of ("from that city")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from data_gen.dialog_generation.phrases import Phrases, slots, words
from data_gen.dialog_generation.sentences import mood_of

# Kind of a parameter's values -> the noun that a vague speaker uses for one of them; else the kind's own name.
_NOUNS = {
    "address": "place",
    "city_country": "place",
    "date": "day",
    "disease": "illness",
    "domain_name": "website",
    "drug": "medicine",
    "email": "address",
    "first_name": "person",
    "food": "dish",
    "id": "number",
    "job": "profession",
    "movie": "film",
    "phone": "number",
    "sentence": "text",
    "stock_name": "company",
    "ticker": "company",
    "url": "page",
    "username": "user",
    "weekday": "day",
}
_BEFORE_WORDS = (
    "about along among around at behind beside between by for from in inside into near of on onto over than through to "
    "towards under until with without and before after during since against"
)
_BEFORE = frozenset(_BEFORE_WORDS.split())
_AFTER_WORDS = (
    "about after and are around as at before by during for from has in into is near of on or over right so than that "
    "through to tonight today tomorrow under until was when while who will with without now please again yet there"
)
_AFTER = frozenset(_AFTER_WORDS.split())


def leave_open(phrases: Phrases, name: str, spec: Mapping[str, Any]) -> tuple[Phrases, str] | None:
    """The openers that can do without the value of a parameter, and the words for it ("" when it is not mentioned).

    None when every opener would turn into something nobody says.
    """
    silent = tuple(ask for ask in phrases.asks if name not in slots(ask))
    if silent:
        return replace(phrases, asks=silent), ""
    noun = _noun(name, spec)
    specs = dict(phrases.specs)
    if spec.get("say"):
        says = [say for say in spec["say"] if stands(say, "{}", specs)]
        specs[name] = {**spec, "say": says}
        asks = [ask for ask in phrases.asks if says and f"{{{name}}}" in ask]
    else:
        asks = [ask for ask in phrases.asks if stands(ask, f"{{{name}}}", specs)]
    return (replace(phrases, asks=tuple(asks), specs=specs), f"that {noun}") if noun and asks else None


def _noun(name: str, spec: Mapping[str, Any]) -> str:
    """The noun for a parameter's value; "" for numbers and words of a list, which nobody means by "that"."""
    if spec.get("type") != "string" or "enum" in spec:
        return ""
    if "kind" in spec and not spec.get("values"):
        kind = str(spec["kind"])
        return _NOUNS.get(kind, "" if "_" in kind else kind)
    noun = words(name)
    return noun if spec.get("values") and noun.isalpha() and noun not in _BEFORE | _AFTER else ""


def stands(text: str, slot: str, specs: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the slot of a template is a whole noun phrase, which "that city" can take the place of."""
    before, found, after = text.partition(slot)
    if not found or slot in after or '"' in text or "'{" in text:
        return False
    last, following = before.split(" ")[-2:-1], after[1:].split(" ")[0] if after.startswith(" ") else ""
    if before and before[-1] != " ":
        return False
    ordered = before.count(" ") == 1 and mood_of(before.strip()) == "order"
    if before and not ordered and (not last or last[0].lower() not in _BEFORE):
        return False
    if following.startswith("{"):
        inner = specs.get(following.strip("{=},"), {})
        return bool(inner.get("say") or inner.get("say_true")) and "=" not in following
    return not after or after[0] in ",;:" or following.rstrip(",;:") in _AFTER
