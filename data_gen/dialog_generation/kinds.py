"""Text by kind: cities, people, dates, identifiers; what a parameter's name says about its kind; the book of values."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml


@cache
def _book() -> Mapping[str, Any]:
    raw = yaml.safe_load((Path(__file__).parent / "values.yaml").read_text(encoding="utf-8"))
    lists = {kind: [item.strip() for item in text.split(", ")] for kind, text in raw["lists"].items()}
    results = {word: kind for kind, listed in raw["results"].items() for word in listed}
    plain = {part: raw[part] for part in ("ranges", "joined", "chit_chat", "small_talk")}
    return {"lists": lists, "results": results, **plain}


def result_kind(word: str) -> str:
    """The kind of text that a result's member of this name holds, "" when the book says nothing."""
    return str(_book()["results"].get(word, ""))


def result_range(word: str) -> tuple[float, float] | None:
    """The usual bounds of a number in a result, None when the book says nothing."""
    low_high = _book()["ranges"].get(word)
    return (low_high[0], low_high[1]) if low_high else None


def book_source(word: str, kind: str) -> Mapping[str, Any] | None:
    """What the book says of a result's member of this name, as part of a schema; None when it says nothing."""
    if kind == "string":
        named = result_kind(word)
        return {"kind": named} if named else None
    bounds = result_range(word)
    return {"minimum": bounds[0], "maximum": bounds[1]} if bounds else None


def member_source(said: str, kind: str) -> Mapping[str, Any] | None:
    """The same for the words of a name: all of them, the thing before "name" or "per", the last, in this order."""
    counted = said.split(" per ")[0]
    things = [said, counted]
    if kind == "string":
        if said.endswith((" at", " time")):
            return {"kind": "moment"}
        for ending in (" name", " title"):
            things += [said.removesuffix(ending).split(" ")[-1]] if said.endswith(ending) else []
        lists = _book()["lists"]
        named = next((thing for thing in things[2:] if thing in lists), "")
        if named:
            return {"kind": named}
    things.append(counted.split(" ")[-1] if said else "")
    return next((found for thing in things if (found := book_source(thing, kind))), None)


def chit_chat() -> list[tuple[str, str]]:
    """Pairs (what the user says, what the assistant answers) that need no tool."""
    return [tuple(pair) for pair in _book()["chit_chat"]]


_CHAT_SLOT = re.compile(r"\{(\w+)\}")


def chat(rng: random.Random) -> tuple[str, str]:
    """One exchange that needs no tool, its blanks ("I just came back from {city}.") filled alike on both sides."""
    said, answered = rng.choice([*chit_chat(), *_book()["small_talk"]])
    filled: dict[str, str] = {}
    for slot in _CHAT_SLOT.findall(said):
        filled.setdefault(slot, by_kind(slot, rng))
    return said.format(**filled), answered.format(**filled)


def day(rng: random.Random) -> date:
    """A day of 2024 to 2026."""
    return date(2024, 1, 1) + timedelta(days=rng.randrange(365 * 3))


def by_kind(kind: str, rng: random.Random) -> str:
    """A text of a kind: one of a list, several joined, or made."""
    book = _book()
    if kind in book["lists"]:
        return str(rng.choice(book["lists"][kind]))
    if kind in book["joined"]:
        return "".join(rng.choice(book["lists"][p]) if p in book["lists"] else p for p in book["joined"][kind])
    made: str = _MADE[kind](rng)
    return made


def _email(rng: random.Random) -> str:
    lists = _book()["lists"]
    first, last = rng.choice(lists["first_name"]).lower(), rng.choice(lists["last_name"]).lower().replace("'", "")
    return f"{first}.{last}@{rng.choice(('example.com', 'mail.com', 'northwind.io', 'company.org'))}"


# They read as a blank to be filled in, or worse.
_NO_PREFIX = frozenset(("TBD", "TBA", "TBC", "XXX", "NAN", "NA", "ASS", "SEX", "FUK"))


def _id(rng: random.Random) -> str:
    letters = "".join(rng.choice("ABCDEFGHKLMNPQRSTUVWXYZ") for _ in range(rng.choice((1, 2, 3))))
    if letters in _NO_PREFIX:
        letters = letters[0]
    return f"{letters}-{rng.randrange(100, 99999)}"


_PLAIN_WORDS = "blue green north prod staging daily main backup test alpha orion delta summer archive public"
_PLAIN = _PLAIN_WORDS.split()
_THINGS_WORDS = "server data bucket pipeline report table queue cluster logs gateway project topic"
_THINGS = _THINGS_WORDS.split()
_STEMS = ("summer", "team", "sales", "budget", "trip", "weekly", "family", "spring", "client", "open", "march", "final")
_STEM_ENDS = ("list", "notes", "overview", "2025", "report", "plan", "summary", "export", "v2", "copy", "results")
_SERVICES = ("ec2", "lambda", "rds", "sns", "sqs", "ecs", "glue", "batch")
_REGIONS = ("eu-west-1", "us-east-1", "us-west-2", "ap-south-1", "eu-central-1", "sa-east-1")
_MADE: dict[str, Any] = {
    "date": lambda rng: day(rng).isoformat(),
    "time": lambda rng: f"{rng.randrange(6, 23):02d}:{rng.choice((0, 15, 30, 45)):02d}",
    "year": lambda rng: str(rng.randrange(1950, 2027)),
    "email": _email,
    "dial": lambda rng: f"+{rng.choice((1, 33, 44, 49))}{rng.randrange(10**8, 10**9)}",
    "digits8": lambda rng: str(rng.randrange(10**7, 10**8)),
    "letters": lambda rng: "".join(rng.choice("ABCDEFGHJKLMNPRSTUVW") for _ in range(rng.choice((3, 4, 5)))),
    "compact_id": lambda rng: _id(rng).replace("-", "") + str(rng.randrange(10**6, 10**7)),
    "hex": lambda rng: f"{rng.getrandbits(128):032x}",
    "long_text": lambda rng: f"{by_kind('message', rng)}. {by_kind('sentence', rng)}",
    "resource": lambda rng: f"{rng.choice(_THINGS)}s/{rng.choice(_PLAIN)}-{rng.randrange(10, 100)}",
    "phone": lambda rng: f"+{rng.choice((1, 33, 44, 49))} 555 {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}",
    "moment": lambda rng: f"{day(rng)}T{rng.randrange(24):02d}:{rng.choice((0, 15, 30, 45)):02d}:00Z",
    "ipv4": lambda rng: ".".join(str(rng.randrange(1, 255)) for _ in range(4)),
    "arn": lambda rng: (
        f"arn:aws:{rng.choice(_SERVICES)}:{rng.choice(_REGIONS)}:{rng.randrange(10**11, 10**12)}:"
        f"{rng.choice(_THINGS)}/{rng.choice(_PLAIN)}-{rng.randrange(10, 100)}"
    ),
    "cell": lambda rng: f"{rng.choice('ABCDEFGH')}{rng.randrange(2, 60)}",
    "stem": lambda rng: f"{rng.choice(_STEMS)}_{rng.choice(_STEM_ENDS)}",
    "region": lambda rng: rng.choice(_REGIONS),
    "uuid": lambda rng: str(UUID(int=rng.getrandbits(128), version=4)),
    "address": lambda rng: f"{rng.randrange(1, 400)} {by_kind('street_name', rng)}, {by_kind('city', rng)}",
    "street": lambda rng: by_kind("street_name", rng),
    "url": lambda rng: f"https://{by_kind('domain_name', rng)}/{rng.choice(('news', 'items', 'start', 'help'))}",
    "id": _id,
    "postcode": lambda rng: str(rng.randrange(10000, 99999)),
    "account": lambda rng: str(rng.randrange(10**11, 10**12)),
    "lower": lambda rng: rng.choice(_PLAIN),
    "coordinates_lat": lambda rng: f"{rng.uniform(-60, 70):.4f}",
    "coordinates_lon": lambda rng: f"{rng.uniform(-170, 170):.4f}",
    "word": lambda rng: rng.choice(_PLAIN) + str(rng.randrange(10, 100)),
    "name": lambda rng: f"{rng.choice(_PLAIN)}-{rng.choice(_THINGS)}",
}

# What a parameter's name says about its values, for documents that give no hint (first match wins).
_NAME_KINDS = tuple(
    (re.compile(rf"(?:^|_)(?:{pattern})(?:_|$)"), kind)
    for pattern, kind in (
        (r"e_?mails?", "email"),
        (r"ip_?(?:v4_?)?(?:addr|address|addresses)?$", "ipv4"),
        (r"(?:language|lang|locale)_?codes?$|locale$", "language_code"),
        (r"country_?codes?$", "country_code"),
        (r"months?$|period$", "month"),
        (r"years?$", "year"),
        (r"cell$", "cell"),
        (
            r"(?:\w+_by|(?:reader|member|customer|client|patient|student|teacher|guest|host|owner|applicant|candidate|"
            r"employee|driver|tenant|renter|buyer|speaker|invitee|person|organi[sz]er|assignee|borrower)(?:_name)?)$",
            "person",
        ),
        (r"phone|mobile", "phone"),
        (r"(?:ur[li]|endpoint|link)$", "url"),
        (r"dates?|day$", "date"),
        (r"time$|start_time|end_time", "time"),
        (r"city|town", "city"),
        (r"country", "country"),
        (r"currency", "currency"),
        (r"language|locale", "language"),
        (r"address", "address"),
        (r"first_?name", "first_name"),
        (r"last_?name|surname", "last_name"),
        (r"user_?name|login", "username"),
        (r"file_?name|file|path$", "file"),
        (r"arns?$", "arn"),
        (r"region$", "region"),
        (r"(?:ids?|key|token|number|no|code|ref)$|identifier", "id"),
        (r"description|comment|message|text|content|reason|title|summary", "sentence"),
    )
)


# What the words of a description say about the values, for documents that name things in their own way.
_DESCRIBED = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"^E-?mail", "email"),
        (r"^(?:Subject line)", "subject"),
        (r"^A few words", "message"),
        (r"^Why\b", "reason"),
        (r"^What the reviewer", "comment"),
        (r"^What the person should know", "note"),
        (r"^(?:Name of the |Full name of the )?(?:[Pp]erson\b|[A-Z]?[a-z]+ who\b)", "person"),
        (
            r"^Name of the (?:\w+ )?(?:applicant|seller|buyer|host|holder|guest|member|subscriber|author|recipient|"
            r"donor|player|photographer|teacher|learner|voter|architect|designer|presenter|attendee|patient|client|customer|"
            r"employee|student|owner|driver|tenant|visitor|passenger|traveller|participant|invitee|dancer)\b",
            "person",
        ),
        (r"^(?:City|Town)\b", "city"),
        (r"^(?:Home |Street |Mailing )?[Aa]ddress\b", "address"),
        (r"^Country\b(?!.*\b(?:code|ISO)\b)", "country"),
    )
)


def described_kind(name: str, description: str) -> str:
    """The kind that a parameter's description speaks of, "" when it speaks of none."""
    found = next((kind for pattern, kind in _DESCRIBED if pattern.search(description)), "")
    # "Address the alert is sent to" is an e-mail's when the parameter is called email.
    return "email" if found == "address" and kind_of(name) == "email" else found


def kind_of(name: str) -> str:
    """The kind that a parameter's name speaks of; "name" when it speaks of none."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return next((kind for pattern, kind in _NAME_KINDS if pattern.search(snake)), "name")
