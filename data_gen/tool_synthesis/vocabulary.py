"""Draft: an API in the making, and the wording that all drafts of a sub-domain share."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from data_gen.dialog_generation.sentences import and_list
from data_gen.tool_synthesis.actions import choices, days, numbers
from data_gen.tool_synthesis.kinds import WRITTEN
from data_gen.tool_synthesis.shapes import TEXT, Schema, bare, sentence
from data_gen.tool_synthesis.taxonomy import Entity, SubDomain


@dataclass
class Draft:
    """An API on its way from the vocabulary to a tool.

    Attributes:
        words: the words of its name, verb first.
        group: what it belongs to, for dotted names: an entity's plural or the sub-domain.
        about: one sentence.
        properties, required: its parameters.
        returns: members of its result.
        nodes: the functionalities of the tree it covers.
        action: the generic action it was made from, "" for a function of the taxonomy.
        entity: the entity it works on, "" when none.
        subject: the fields that it is about, where the same action on another field is another API.
        indicators: what evolution did to it (paper Sec. 2.1).
    """

    words: tuple[str, ...]
    group: str
    about: str
    properties: dict[str, Schema]
    required: list[str]
    returns: dict[str, Schema]
    nodes: list[str]
    action: str = ""
    entity: str = ""
    subject: tuple[str, ...] = ()
    indicators: list[str] = field(default_factory=list)

    @property
    def optional(self) -> list[str]:
        """Parameters that may be left out."""
        return [name for name in self.properties if name not in self.required]


class Vocabulary:
    """A sub-domain's terms as parameters, and its things as words, drawn with one random source."""

    def __init__(self, sub: SubDomain, rng: random.Random) -> None:
        self.sub, self.rng = sub, rng
        self.promised: list[str] = []

    def parameter(self, name: str, about: str = "") -> Schema:
        """A term as a parameter: its schema and a sentence on what it is and how it is written."""
        schema = dict(self.sub.schema(name))
        term = self.sub.terms.get(name)
        text = about or self.sub.about(name)
        if term is not None and term.kind in WRITTEN and not _says_how(text):
            text += f", {WRITTEN[term.kind]}"
        if term is not None and term.examples and "enum" not in schema:
            shown = self.rng.sample(term.examples, min(len(term.examples), self.rng.choice((1, 1, 2))))
            text += f", e.g. {' or '.join(shown)}"
        elif term is None:
            text += f", e.g. {schema['pattern'][1:].partition('-')[0]}-{self.rng.randrange(10_000, 99_999)}"
        return {**schema, "description": sentence(text)}

    def parameters(self, names: Iterable[str]) -> dict[str, Schema]:
        """Several terms as parameters."""
        return {name: self.parameter(name) for name in names}

    def identifier(self, entity: Entity, about: str = "") -> dict[str, Schema]:
        """The parameter that identifies a thing, under its name."""
        name = f"{entity.name}_id"
        return {name: self.parameter(name, about or f"identifier of the {said(entity.name)}")}

    def results(self, names: Iterable[str]) -> dict[str, Schema]:
        """Terms as members of a result: their shape alone."""
        return {name: bare(self.sub.schema(name)) for name in names}

    def listed(self, entity: Entity, names: Sequence[str], **more: Schema) -> Schema:
        """A list of things, each with its identifier, some fields and what the action adds."""
        members = {f"{entity.name}_id": TEXT, **self.results(names), **more}
        return {"type": "array", "items": {"type": "object", "properties": members}}

    def fields(self, entity: Entity) -> dict[str, Schema]:
        """Field name to schema, the fields that hold one value."""
        schemas = {name: self.sub.schema(name) for name in entity.has}
        return {name: schema for name, schema in schemas.items() if schema.get("type") not in ("array", "object")}

    def numbers(self, entity: Entity) -> list[str]:
        """Its number fields."""
        return numbers(self.fields(entity))

    def amounts(self, entity: Entity) -> list[str]:
        """Number fields that are more or less of something: not the number of a screen; all when there are no such."""
        found = self.numbers(entity)
        return [name for name in found if not _NUMBERING.search(name)] or found

    def moving(self, entity: Entity) -> list[str]:
        """Number fields that change by themselves: those that the service computes, or all when it computes none."""
        found = self.amounts(entity)
        return [name for name in found if name in entity.computed] or found

    def choices(self, entity: Entity) -> list[str]:
        """Its fields with a list of allowed values."""
        return choices(self.fields(entity))

    def days(self, entity: Entity) -> list[str]:
        """Its fields that hold a day or a moment."""
        return days(self.fields(entity))

    def settable(self, entity: Entity) -> list[str]:
        """Fields that a user gives, the one it is called by first."""
        return [name for name in entity.has if name not in entity.computed]

    def some(self, names: Sequence[str], low: int, high: int) -> list[str]:
        """Between `low` and `high` of the names, in their order; all of them if there are fewer."""
        count = min(len(names), self.rng.randint(low, max(low, high)))
        chosen = set(self.rng.sample(range(len(names)), count))
        return [name for i, name in enumerate(names) if i in chosen]

    def its(self, entity: Entity, low: int = 1, high: int = 2, but: str = "") -> str:
        """Some fields of a thing as a phrase, "its title and servings"; the result then has to hold them.

        What it is called by comes first: a message that names nothing but a poll's anonymity is none. `but` is a field
        that the sentence names already.
        """
        names = [name for name in self.fields(entity) if name != but] or list(self.fields(entity))
        fields = names[:1] + self.some(names[1:], max(low - 1, 0), high - 1 if low < high else low)
        self.promised += fields
        return f"its {say_all(fields, entity)}"

    def one(self, *texts: str) -> str:
        """One of several wordings."""
        return self.rng.choice(texts)

    def maybe(self, share: float) -> bool:
        """True in this share of cases."""
        return self.rng.random() < share


# Numbers that only tell one thing from another, or say where it is.
_NUMBERING = re.compile(
    r"(?:^|_)(?:number|no|x|y|lat|latitude|longitude|row|platform|gate|channel|port|page|chapter|episode|season|year)$"
)
# Names that are no noun by themselves.
_SPOKEN = {"night_of": "night"}
# Units at the end of a field's name; a sentence is clearer without: "by prep and cook time", not "by prep minutes".
_UNIT = re.compile(
    r"_(?:g_cm3|g_km|mj_kg|min_km|minutes?|mins?|years|months|weeks|seconds?|secs?|ms|s|gib|gb|mib|mb|kb|kbps|km|kmh|kph|kg|g|mg"
    r"|grams|lb|kda|cm|mm|m|m2|m3|mm3|m3s|ul|sqm|ha|hectares|ly|px|inches|usd|musd|mio|eur|gbp|percent|pct|celsius|c|deg"
    r"|kcal|kj|kwh|kw|mw|mwh|mv|watts|hp|db|lufs|hz|mhz|bpm|spm|fps|hpa|mpa|(?<=modulus_)gpa|mag|ibu|umol|mt|teu|litres|liters|l|ml)$"
)
# What a unit measures, where nothing but a word such as "max" stands before it: "the lowest temperature".
_MEASURED = {"c": "temperature", "celsius": "temperature", "percent": "share", "km": "distance", "kg": "weight"}
_LONE = frozenset(
    (
        "min",
        "max",
        "mean",
        "high",
        "low",
        "day",
        "night",
        "wet",
        "run",
        "kerb",
        "race",
        "end",
        "air",
        "oven",
        "current",
        "target",
    )
)
# "starts_at" is a start time.
_BEGINNING = {
    "begins": "start",
    "starts": "start",
    "ends": "end",
    "opens": "opening",
    "closes": "closing",
    "leaves": "departure",
}
# "price per kWh" is no price per; the unit stays.
_OF_UNIT = {"kwh": "kilowatt-hour", "second": "second", "kg": "kilogram", "km": "kilometre", "m2": "square metre"}


def said(name: str) -> str:
    """A name in a sentence: `meal_plan` -> "meal plan"."""
    return name.replace("_", " ")


def field_of(name: str, entity: Entity) -> str:
    """A field in a sentence on its entity: `recipe_title` -> "title", `prep_minutes` -> "prep time"."""
    plain = name.removeprefix(f"{entity.name}_") or name
    plain = _SPOKEN.get(plain, plain)
    plain = re.sub(r"^(?:is|has)_(?=\w)", "", plain).removesuffix("_id") or plain
    if re.search(r"\w_(?:on|at)$", plain):
        head, _, last = plain.rpartition("_")
        return f"{_BEGINNING.get(head, said(head))} {'date' if last == 'on' else 'time'}"
    if re.search(r"_(?:minutes|mins|hours|days|seconds)$", plain):
        head = plain.rpartition("_")[0]
        return said(head) if head.endswith(("duration", "time", "delay", "length")) else f"{said(head)} time"
    bare_name = _UNIT.sub("", plain)
    unit = plain.removeprefix(f"{bare_name}_")
    if bare_name.endswith("_per"):
        return f"{said(bare_name)} {_OF_UNIT.get(unit, unit)}"
    if bare_name in _LONE and unit in _MEASURED:
        return f"{bare_name} {_MEASURED[unit]}"
    # "used" alone is no noun: a share or amount keeps its unit.
    return said(plain if bare_name.endswith("ed") and "_" not in bare_name else bare_name or plain)


def say_all(names: Sequence[str], entity: Entity) -> str:
    """Fields in a sentence: "title, cuisine and servings"."""
    return and_list(list(dict.fromkeys(field_of(name, entity) for name in names)))


def article(noun: str) -> str:
    """The noun with its indefinite article; by its letters, which is right for nearly all names of things."""
    an = re.match(
        r"[aeio]|u(?!ni|se|ti|sa)|hour|honour|(?:nfl|nhl|nba|mri|mvp|mp3|rss|sms|html|sql|ngo|llm|ssh|ftp)\b", noun
    ) and not noun.startswith(("eu", "one"))
    return f"{'an' if an else 'a'} {noun}"


def third(verb: str) -> str:
    """A verb's third person, capitalised: "book" -> "Books", "set_up" -> "Sets up"."""
    first, _, rest = said(verb).partition(" ")
    if re.search(r"(?:s|x|z|ch|sh|o)$", first):
        first += "es"
    elif re.search(r"[^aeiou]y$", first):
        first = first[:-1] + "ies"
    else:
        first += "s"
    return f"{first} {rest}".strip().capitalize()


def _says_how(text: str) -> bool:
    return bool(re.search(r"\b(?:format|code|HH:MM|YYYY|ISO)\b", text))
