"""Descriptions where a document gives none: what the names themselves say, and nothing more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from data_gen.documents.naming import singular, snake

# our choice, as the gate of the pool: fewer characters hardly say anything.
SHORT = 20

_CAPITALS = (
    "ID IDs URL URLs URI API IP UUID GUID HTTP HTTPS JSON XML CSV HTML SQL SSL TLS DNS VAT SKU ISBN ISO IBAN BIC SMS "
    "PDF SVG PNG UTC GPS VIN SSH SSO OTP PIN TTL CPU GPU RAM VM ASN MAC EAN GTIN IMEI IMDB"
)
_ACRONYMS = {word.lower(): word for word in _CAPITALS.split()}
_ASKS = {
    "is": "Whether it is", "has": "Whether it has", "can": "Whether it can", "include": "Whether to include",
    "show": "Whether to show", "enable": "Whether to enable", "allow": "Whether to allow", "use": "Whether to use",
    "exclude": "Whether to exclude", "hide": "Whether to hide", "force": "Whether to force", "skip": "Whether to skip",
    "with": "Whether with", "only": "Whether only", "should": "Whether it should", "disable": "Whether to disable",
}  # fmt: skip
_IDENTIFIES = {"id": "ID", "uuid": "UUID", "guid": "GUID", "name": "Name", "slug": "Slug", "key": "Key", "code": "Code",
               "number": "Number", "url": "URL"}  # fmt: skip


def parameter_text(name: str, schema: Mapping[str, Any], path: str, example: Any = None) -> str:
    """What a parameter's name says, in words; "" when it says nothing, as `q` does.

    `petId` -> "ID of the pet.", `id` in `/pets/{id}` -> "ID of the pet.", `is_open` -> "Whether it is open.",
    `start_date` with an example -> "Start date, such as 2024-05-01.".
    """
    example = None if "enum" in schema else example
    words = [word for word in re.sub(r"[^a-z_]", "_", snake(name)).split("_") if word]
    if not words or max(map(len, words)) < 2 or len(words) > 8:
        return ""
    if schema.get("type") == "boolean":
        start = _ASKS.get(words[0])
        if start and len(words) > 1:
            return f"{start} {_spoken(words[1:])}."
    elif words[-1] in _IDENTIFIES:
        owner = words[:-1] or _owner(name, path)
        if owner:
            return f"{_IDENTIFIES[words[-1]]} of the {_spoken(owner)}{_such_as(example)}."
    text = _spoken(words)
    return f"{text[0].upper()}{text[1:]}{_such_as(example)}."


def lengthened(text: str, name: str, title: str) -> str:
    """A description that is short or says no more than the name, with the API's title: "List items (Warehouse)."."""
    said = set(re.findall(r"[a-z0-9]+", text.lower()))
    if not text or (len(text) > SHORT and not said <= set(name.split("_"))) or title.lower() in text.lower():
        return text
    return f"{text.rstrip('.')} ({title})."


def _spoken(words: list[str]) -> str:
    return " ".join(_ACRONYMS.get(word, word) for word in words)


def _owner(name: str, path: str) -> list[str]:
    """The thing that a path parameter identifies: the segment before it."""
    found = re.search(r"([^/{}]+)/\{" + re.escape(name) + r"\}", path)
    return singular(snake(found[1])).split("_") if found else []


def _such_as(example: Any) -> str:
    if isinstance(example, bool) or not isinstance(example, (str, int, float)):
        return ""
    text = " ".join(str(example).split())
    return f", such as {text}" if 0 < len(text) <= 30 else ""
