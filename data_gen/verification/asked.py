"""Whether anybody spoke of an optional switch or choice that a call sets: the rule-based half of "invented options".

A required choice may be made in other words ("get rid of" for `delete`), since something has to be chosen. An optional
one that is set to other than its default wants at least a word about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from data_gen.verification.aliases import alias_said
from data_gen.verification.claims import Claim
from data_gen.verification.heard import Heard, normalised, stem

# Words of definitions that say nothing about what is switched or chosen.
_GENERAL = (
    "a about according add against all also always an and any apply are as at available be been both but by can choose "
    "considered default do does done each either enable enabled false flag for from get give given has have how if in "
    "include included includes including indicate indicates into is it its kind made may mode more must need needed no "
    "not of off on only option optional options or other parameter part per perform possible provide put result "
    "results return returned run set setting should show so specified specify than that the their them then there "
    "these they this to true type use used user using value want wanted when where whether which while who will with "
    "would yes you your result list item items number name"
)
_GENERAL_STEMS = frozenset(stem(word) for word in _GENERAL.split()) | frozenset(_GENERAL.split())
# What every request tells without a word about it: the language it is in, and roughly where it comes from.
_TOLD_BY_ALL = frozenset(stem(word) for word in ("language", "locale", "timezone", "zone"))


@lru_cache(maxsize=16_384)
def subjects(definition: str) -> frozenset[str]:
    """Stems of the words of a definition (normalised) that say what it is about."""
    return frozenset(s for word in definition.split() if len(word) > 2 and (s := stem(word)) not in _GENERAL_STEMS)


def spoken_of(claim: Claim, said: Sequence[Heard]) -> bool:
    """Whether a word of the parameter's name, description or value was said, in any form, or another name of it.

    A definition that has no word of its own asks for nothing.
    """
    wanted = subjects(claim.definition)
    value = subjects(normalised(claim.value)) if isinstance(claim.value, str) else frozenset()
    if not wanted or not _TOLD_BY_ALL.isdisjoint(wanted):
        return True
    beginnings = _beginnings(wanted | value)
    if any(beginning in heard.words for heard in said for beginning in beginnings):
        return True
    return any(alias_said(word, said) for word in wanted)


@lru_cache(maxsize=16_384)
def _beginnings(stems: frozenset[str]) -> tuple[str, ...]:
    """What a word of each stem begins with, as it stands in normalised words: " insur" for "insured", "insurance"."""
    return tuple(sorted(f" {word[:5]}" for word in stems))
