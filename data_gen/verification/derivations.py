"""How a value that was not said word for word may still follow from what was said: one stated rule a function.

Tried only when `grounding` has not found the value itself. Each rule says what it accepts; together they are what the
gold answers of BFCL take for granted, and little more. What needs more knowledge of the world is left to the
hallucination expert.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from data_gen.verification import derived_numbers as numbers
from data_gen.verification.aliases import alias_said
from data_gen.verification.asked import spoken_of
from data_gen.verification.claims import Claim
from data_gen.verification.heard import Heard, normalised, stem
from data_gen.verification.text import is_latin
from data_gen.verification.verdict import quoted


def one_choice_of_several(claim: Claim, said: Sequence[Heard]) -> bool:
    """One of a few options may be chosen in other words (`delete` for "get rid of"), as long as no other option was
    said; figures among options are said by accident too often to count against one. Of an optional parameter somebody
    must have spoken."""
    options = claim.schema.get("enum")
    if not isinstance(options, list) or not isinstance(claim.value, str) or claim.value not in options:
        return False
    others = {normalised(str(option)) for option in options if option != claim.value and not isinstance(option, bool)}
    others = {words for words in others if any(map(str.isalpha, words))}
    if any(words in heard.words for words in others for heard in said):
        return False
    return claim.required or spoken_of(claim, said)


_PLACE = re.compile(r" (?:city|cities|state|country|location|place|address|region|destination|origin|town|area|where) ")
_COMPLETED = re.compile(r"(.{2,60}?), ?([A-Z][\w. ]{1,30}(?:, ?[A-Z][\w. ]{1,30})?)")


def completed_place(claim: Claim, said: Sequence[Heard]) -> bool:
    """ "Hyderabad, India" for Hyderabad: a place that was said, completed by where it lies, for a parameter whose
    definition speaks of places."""
    match = _COMPLETED.fullmatch(claim.value) if isinstance(claim.value, str) else None
    if match is None or not _PLACE.search(claim.definition):
        return False
    place = normalised(match[1])
    return any(place in heard.words for heard in said) or alias_said(place.strip(), said) or _all_near(place, said)


_ZONE = re.compile(r"[A-Z][A-Za-z]+/(?:[A-Z][A-Za-z_]+/)?([A-Z][A-Za-z_]+)")


def time_zone(claim: Claim, said: Sequence[Heard]) -> bool:
    """ "Europe/London" for London."""
    match = _ZONE.fullmatch(claim.value) if isinstance(claim.value, str) else None
    return match is not None and any(normalised(match[1].replace("_", " ")) in heard.words for heard in said)


_NOT_LABELS = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "for",
        "to",
        "is",
        "in",
        "or",
        "and",
        "if",
        "with",
        "id",
        "means",
        "value",
        "default",
        "service",
        "number",
    ]
)


_SIGN_AFTER = re.compile(r"['\")]*\s*(?:[:=(-]|->|is\b|for\b|means\b|represents\b|stands for\b|corresponds to\b|to\b)")
_SIGN_BEFORE = re.compile(r"(?:[:=(-]|->|\bis|\bas)\s*['\"]?\Z")
_LABEL_CHARACTERS, _DESCRIPTION_CHARACTERS = 48, 4_000


def documented_code(claim: Claim, said: Sequence[Heard]) -> bool:
    """2 for "ironing", when the parameter's description says `2 = ironing` (or `ironing: 2`): a code that was looked
    up. The label, up to three words on the other side of a sign, must share a word with what was said."""
    code = quoted(claim.value).strip("'")
    text = str(claim.schema.get("description") or "")[:_DESCRIPTION_CHARACTERS]
    if len(code) > 20 or code not in text:
        return False
    for match in re.finditer(rf"(?<![\w.]){re.escape(code)}(?![\w.]\w)", text):
        labels = _labels(text[: match.start()][-_LABEL_CHARACTERS:], text[match.end() :][:_LABEL_CHARACTERS])
        if any(stem(word) in heard.vocabulary for word in labels for heard in said):
            return True
    # The label of a request in another script cannot be compared.
    return not is_latin([heard.text for heard in said])


def _labels(before: str, after: str) -> list[str]:
    """The words that a sign ties to a code: three behind it, or three ahead of it."""
    words: list[str] = []
    sign = _SIGN_AFTER.match(after)
    if sign:
        words += normalised(after[sign.end() :]).split()[:3]
    if _SIGN_BEFORE.search(before):
        words += normalised(_SIGN_BEFORE.sub("", before)).split()[-3:]
    return [word for word in words if word not in _NOT_LABELS and word.isalpha()]


# Parameters whose values a caller composes: the words are the user's, the syntax is not.
_COMPOSED = re.compile(
    r" (?:command|code|query|sql|script|expression|function|url|uri|regex|pattern|formula|equation|selector|path|class|"
    r"object|instance) "
)
_SYNTAX = re.compile(r"\w\(|[={};<>\\]|\blambda\b|://|::|\w\.class\b|[a-z]\.[A-Z]{2,}|[a-z][A-Z]")
# our choice: two fifths; in `taskkill /F /IM firefox.exe` two of the five words are the user's.
_COMPOSED_SHARE = 0.4


def composed_text(claim: Claim, said: Sequence[Heard]) -> bool:
    """A command, a query, an address or an expression: two fifths of its words were said or stand in the definition."""
    if not isinstance(claim.value, str) or "enum" in claim.schema or len(claim.value) > 2_000:
        return False
    if not _SYNTAX.search(claim.value) and not (" " in claim.value and _COMPOSED.search(claim.definition)):
        return False
    words = normalised(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", claim.value)).split()
    known = [w for w in words if f" {w} " in claim.definition or any(w in heard.vocabulary for heard in said)]
    said_at_all = any(w in heard.vocabulary for w in words for heard in said)
    return said_at_all and len(known) >= _COMPOSED_SHARE * len(words)


def other_script(claim: Claim, said: Sequence[Heard]) -> bool:
    """A name in Latin letters for a request in another script (a transliteration), or text inside one that is written
    without spaces."""
    if not isinstance(claim.value, str):
        return False
    value = claim.value.strip()
    if not value.isascii():
        return any(value in heard.text for heard in said)
    return not is_latin([heard.text for heard in said])


def misspelt(claim: Claim, said: Sequence[Heard]) -> bool:
    """Words of six letters or more that were said with one letter wrong, missing, doubled or exchanged."""
    if not isinstance(claim.value, str) or len(claim.value) > 60 or not any(map(str.isalpha, claim.value)):
        return False
    return _all_near(normalised(claim.value), said)


def _all_near(words: str, said: Sequence[Heard]) -> bool:
    return bool(words.split()) and all(any(_near(word, heard) for heard in said) for word in words.split())


def _near(word: str, heard: Heard) -> bool:
    if word in heard.vocabulary:
        return True
    if len(word) < 6 or not word.isalpha():
        return False
    return any(
        other[:1] == word[:1] and abs(len(other) - len(word)) <= 1 and _one_slip(word, other)
        for other in heard.vocabulary
    )


def _one_slip(a: str, b: str) -> bool:
    """Whether two words differ by one letter, or by two neighbours that changed places."""
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    rest_a, rest_b = a[start:], b[start:]
    if rest_a[1:] == rest_b[1:] or rest_a[1:] == rest_b or rest_a == rest_b[1:]:
        return True
    return rest_a[:2] == rest_b[:2][::-1] and rest_a[2:] == rest_b[2:]


_UNDECIDED = frozenset(["any", "all", "dontcare", "none", "anything", "unspecified", "n a", "not specified", "default"])


def no_claim(claim: Claim, said: Sequence[Heard]) -> bool:
    """ "any", "dontcare": a value that declines to choose claims nothing."""
    return isinstance(claim.value, str) and normalised(claim.value).strip() in _UNDECIDED


_ENGLISH = frozenset(["the", "is", "are", "of", "and", "to", "in", "for", "what", "my", "me", "it", "this", "with"])


def own_language(claim: Claim, said: Sequence[Heard]) -> bool:
    """English, for a parameter that is a language, when the request is in English."""
    if not isinstance(claim.value, str) or claim.value.lower() not in ("english", "en", "en-us"):
        return False
    return " language " in claim.definition and any(len(_ENGLISH & heard.vocabulary) >= 2 for heard in said)


def glued_unit(claim: Claim, said: Sequence[Heard]) -> bool:
    """ "cm" for "5cm"."""
    if not isinstance(claim.value, str) or not re.fullmatch(r"[A-Za-z]{1,4}", claim.value):
        return False
    return any(re.search(rf"\d{claim.value.lower()}\b", heard.lower) for heard in said)


DERIVATIONS: tuple[Callable[[Claim, Sequence[Heard]], bool], ...] = (
    no_claim,
    one_choice_of_several,
    completed_place,
    time_zone,
    documented_code,
    glued_unit,
    own_language,
    composed_text,
    other_script,
    misspelt,
    numbers.documented_bound,
    numbers.one_of_them,
    numbers.next_to_a_limit,
    numbers.well_known,
    numbers.other_unit,
    numbers.hour_of_the_day,
    numbers.hour_after_a_while,
    numbers.day_after_a_while,
    numbers.between_two_dates,
    numbers.between_two_times,
    numbers.with_oneself,
    numbers.month_of_the_year,
    numbers.beginning,
    numbers.position_from_zero,
    numbers.times_a_year,
    numbers.year_counted,
    numbers.short_year,
)


def follows(claim: Claim, said: Sequence[Heard]) -> bool:
    """Whether any of the rules leads from what was said to the value."""
    return any(rule(claim, said) for rule in DERIVATIONS)
