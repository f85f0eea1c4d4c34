"""String formats a parameter may demand, as people and APIs write them.

JSON Schema takes RFC 3339 to the letter; here a time may leave out seconds and zone ("18:30") and a date-time its zone,
since that is what API documents mean by these words.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from jsonschema import FormatChecker

from data_gen.verification.patterns import compiled

FORMAT_CHECKER = FormatChecker(formats=())

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(?:[Zz]|[+-](\d\d):?(\d\d))?", re.ASCII)


def is_date(text: str) -> bool:
    """A day of the calendar, `2026-03-14`."""
    match = _DATE.fullmatch(text)
    try:
        return match is not None and bool(date(*map(int, match.groups())))
    except ValueError:
        return False


def is_time(text: str) -> bool:
    """A time of day, `18:30`, `18:30:05Z`, `18:30:05.25+01:00`; a leap second is allowed."""
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    hour, minute, second, zone_hour, zone_minute = (int(part or 0) for part in match.groups())
    return hour < 24 and minute < 60 and second <= 60 and zone_hour < 24 and zone_minute < 60


def is_date_time(text: str) -> bool:
    """Date and time joined by `T` or a space."""
    return len(text) > 11 and text[10] in "Tt " and is_date(text[:10]) and is_time(text[11:])


def is_email(text: str) -> bool:
    """`name@domain.tld`, without the rarities of RFC 5322 (quotes, comments)."""
    name, at, domain = text.partition("@")
    if not (name and at) or any(c.isspace() or c in '@<>,;"' for c in name + domain):
        return False
    labels = domain.split(".")
    return len(labels) > 1 and all(labels) and all(c.isalnum() or c in "-_" for label in labels for c in label)


def is_uri(text: str) -> bool:
    """An absolute URI: a scheme, then something."""
    if any(c.isspace() or c in '<>"' for c in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    needs_host = parts.scheme in ("http", "https", "ftp", "ws", "wss")
    return bool(parts.scheme) and bool(parts.hostname if needs_host else parts.netloc or parts.path)


def is_uuid(text: str) -> bool:
    """Thirty-two hexadecimal digits in five groups."""
    try:
        return len(text) == 36 and str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def is_ipv4(text: str) -> bool:
    """Four numbers from 0 to 255."""
    try:
        return bool(ipaddress.IPv4Address(text))
    except ValueError:
        return False


def is_ipv6(text: str) -> bool:
    """An IPv6 address without a zone."""
    try:
        return "%" not in text and ipaddress.IPv6Address(text) is not None
    except ValueError:
        return False


def is_regex(text: str) -> bool:
    """A pattern that Python reads."""
    return compiled(text) is not None


_CHECKS = {
    "date": is_date,
    "time": is_time,
    "date-time": is_date_time,
    "email": is_email,
    "uri": is_uri,
    "url": is_uri,
    "uuid": is_uuid,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "regex": is_regex,
}
for _name in _CHECKS:
    FORMAT_CHECKER.checks(_name)(lambda value, name=_name: not isinstance(value, str) or holds(name, value))


def holds(name: Any, text: str) -> bool:
    """Whether a text has a format; a format that is not known asks for nothing."""
    check = _CHECKS.get(name) if isinstance(name, str) else None
    return check is None or check(text)
