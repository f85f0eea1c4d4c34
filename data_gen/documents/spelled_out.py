"""Descriptions where a document gives none: what the names themselves say, and nothing more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from data_gen.documents.naming import singular, snake

# our choice, as the gate of the pool: fewer characters hardly say anything.
SHORT = 20
LEAST = 3  # of a parameter's

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


# "Last name" and "ZIP code" are one thing: no name of the last, no code of the ZIP.
_WHOLE_WORDS = (
    "first last middle full family given nick user display short long zip postal post area dial promo discount voucher "
    "coupon error status access security serial version build model part page line phone mobile fax telephone tracking "
    "reference vat tax primary foreign api public private secret external internal unique base callback redirect host "
    "legal trade common scientific"
)
_WHOLE = frozenset(_WHOLE_WORDS.split())


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
        if owner and owner[-1] not in _WHOLE:
            return f"{_IDENTIFIES[words[-1]]} of the {_spoken(owner)}{_such_as(example)}."
    text = _spoken(words)
    return f"{text[0].upper()}{text[1:]}{_such_as(example)}."


def described_inside(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A parameter object whose nested members are all described, as far as their names say anything.

    `courier` in a list `shipments` -> "Courier of the shipment.". Parameters at the top are left to their reader, which
    knows more of them: their path, an example.

    Returns:
        The schema, a new one where something was added, and the places that were described: `shipments[].courier`.
    """
    added: list[str] = []
    properties = {
        name: _inside(schema, name, name, added) for name, schema in (parameters.get("properties") or {}).items()
    }
    return ({**parameters, "properties": properties}, added) if added else (dict(parameters), added)


_ADJECTIVE = re.compile(
    r"(?:ed|able|ible|ive|ic|al|ory|den|ible|ent)$|^(?:default|private|visible|main|open|new|free|paid)$"
)


def _inside(schema: Any, owner: str, place: str, added: list[str]) -> Any:
    """A schema with its members described; `owner` is the name of what they are members of."""
    if not isinstance(schema, Mapping):
        return schema
    result = dict(schema)
    for name, member in (schema.get("properties") or {}).items():
        where = f"{place}.{name}"
        inner = _inside(member, name, where, added)
        if isinstance(inner, dict) and len(str(inner.get("description") or "").strip()) < LEAST:
            said = _member_text(name, inner, owner)
            if said:
                inner = {**inner, "description": said}
                added.append(where)
        result["properties"] = {**result["properties"], name: inner}
    for key, part in _parts(schema):
        result[key] = part(lambda inner: _inside(inner, owner, f"{place}[]", added))
    return result


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(keyword, function that applies a change to the schemas under it) of everything but properties."""
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield key, lambda change, key=key: change(schema[key])
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list):
            yield key, lambda change, key=key: [change(inner) for inner in schema[key]]


def _member_text(name: str, schema: Mapping[str, Any], owner: str) -> str:
    """What a member's name says, with what it is a member of; "" when it says nothing."""
    text = parameter_text(name, schema, f"{owner}/{{{name}}}")
    thing = _spoken([word for word in re.sub(r"[^a-z_]", "_", singular(snake(owner))).split("_") if word])
    if not text or not thing or " of the " in text or text.startswith("Whether") or thing in text.lower():
        return text
    if schema.get("type") == "boolean":
        said = text[0].lower() + text[1:].rstrip(".")
        return f"Whether the {thing} {'is' if _ADJECTIVE.search(said) else 'has'} {said}."
    return f"{text.rstrip('.')} of the {thing}."


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
