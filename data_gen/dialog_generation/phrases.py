"""How a person asks for a tool: openers, and for each parameter a clause that says its value.

Seeds bring their own phrases. For a real document they are made from its description and parameter names.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from data_gen.dialog_generation.leads import openers
from data_gen.dialog_generation.tasks import imperative, tasks, words
from data_gen.documents import everyday
from data_gen.verification.identity import remembered
from toolace import Tool

__all__ = [
    "CLOUD", "QUESTION_STYLES", "SLOT", "STYLES", "Phrases", "at_level", "gerund", "imperative", "phrases_of", "slots",
    "words",
]  # fmt: skip

# Documents of cloud services.
CLOUD = ("aws:", "google:", "openapi:")
SLOT = re.compile(r"\{(=?)(\w+)\}")


@dataclass(frozen=True)
class Phrases:
    """What the offline user agent knows of one tool.

    Attributes:
        asks: openers; `{p}` stands for the clause (or value) of parameter p, `{=p}` for its bare value.
        specs: parameter name to its schema with hints (kind, values, say, ...).
        many: an opener that reads well with a list of values in the slot `many_slot`, or "".
        vague, close: openers that only hint at the tool, and that say its own words.
    """

    asks: tuple[str, ...]
    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    many: str = ""
    many_slot: str = ""
    vague: tuple[str, ...] = ()
    close: tuple[str, ...] = ()


@remembered
def phrases_of(tool: Tool) -> Phrases:
    """The phrases of a tool: its seed's, or made from the document's own words."""
    seed = everyday.seeds().get(tool.id)
    if seed is None:
        return _from_schema(tool)
    _, _, close = openers(tasks(tool.name, tool.description), tool.name)
    many, slot = seed.get("many", ""), seed.get("many_slot", "")
    return Phrases(tuple(seed["ask"]), seed["parameters"], many, slot, close=close)


# our choice: share of requests, by level of self-guidance, that only hint at what is wanted.
_VAGUE = {0: 0.12, 1: 0.6, 2: 1.0}
_CLOSE = 0.6


def at_level(phrases: Phrases, level: int, rng: random.Random) -> Phrases:
    """The openers for one request: at level 0 mostly plain ones, above it vague ones, below it the tool's own words."""
    if level < 0:
        return replace(phrases, asks=phrases.close) if phrases.close and rng.random() < _CLOSE else phrases
    if phrases.vague and rng.random() < _VAGUE[min(level, 2)]:
        return replace(phrases, asks=phrases.vague)
    return phrases


def slots(template: str) -> set[str]:
    """Names of the parameters a template speaks of."""
    return {match[1] for match in SLOT.findall(template)}


def _from_schema(tool: Tool) -> Phrases:
    orders = tasks(tool.name, tool.description)
    subject = _subject(tool, orders)
    plain, vague, close = openers(orders, tool.name)
    if subject:  # "share museum MUS-12345" beside "share a museum", which can leave open which
        noun, parameter = subject
        named = re.compile(rf"\b{_ARTICLE} {re.escape(noun)}\b")
        plain += openers(tuple(named.sub(f"{noun} {{={parameter}}}", o, count=1) for o in orders), tool.name)[0]
    # What cloud services name unknown things ("blue-bucket") is odd anywhere else.
    unnamed = "name" if tool.id.startswith(CLOUD) else "proper"
    specs = {name: _with_say(name, spec, unnamed) for name, spec in tool.properties.items()}
    return Phrases(plain, specs, vague=vague, close=close)


_ARTICLE = "(?:an existing|a given|a single|a specific|an?)"


def _subject(tool: Tool, orders: Sequence[str]) -> tuple[str, str] | None:
    """The thing that a tool works on and the parameter that names it: (museum, museum_id) of "share a museum"."""
    for parameter in tool.required:
        said = words(parameter)
        noun = said.removesuffix(" id")
        if noun == said or tool.properties.get(parameter, {}).get("type") != "string":
            continue
        if all(re.search(rf"\b{_ARTICLE} {re.escape(noun)}\b", order) for order in orders):
            return noun, parameter
    return None


_DOUBLED_WORDS = "get set plan put run cut swap trim map log ship tag stop drop"
_DOUBLED = frozenset(_DOUBLED_WORDS.split())


def gerund(verb: str) -> str:
    """ "measures" -> "measuring"."""
    order = imperative(verb)
    if order.endswith("ie"):
        return f"{order[:-2]}ying"
    if order.endswith("e") and not order.endswith("ee"):
        return f"{order[:-1]}ing"
    return f"{order}{order[-1]}ing" if order in _DOUBLED else f"{order}ing"


# One request keeps to one way of saying its values: "with a 1, with b 2", not "with a 1 and the b is 2".
_STYLES = {
    "with": ("with {plain} {{}}", "with {{}} as the {plain}", "with {{}} for the {plain}", "{plain} {{}}"),
    "using": (
        "using {{}} as the {plain}", "using {{}} for the {plain}", "the {plain} being {{}}", "using {plain} {{}}",
    ),
    "is": ("the {plain} is {{}}", "the {plain} should be {{}}", "the {plain} must be {{}}", "{{}} is the {plain}"),
    "take": (
        "for the {plain} take {{}}", "for the {plain} use {{}}", "take {{}} as the {plain}", "set the {plain} to {{}}",
    ),
    "list": ("{plain}: {{}}", "{plain} {{}}", "{plain} = {{}}"),
}  # fmt: skip
_SAYS = tuple(dict.fromkeys(say for says in _STYLES.values() for say in says))
# "opens at 10:00", "began on 2025-03-01": a name that ends so is no noun.
_SAYS_LINKED = ("{plain} {{}}",)
_LINK_WORDS = "on at by from to in for of with about until as off after before"
_LINKS = frozenset(_LINK_WORDS.split())
STYLES = tuple(_STYLES)
QUESTION_STYLES = ("with", "using", "list")


_SAYS_TRUE = ("with {} on", "{} enabled", "set {} to true", "{}: yes", "{} should be on", "I want {} on")
_SAYS_FALSE = ("with {} off", "{} disabled", "set {} to false", "{}: no", "{} should be off", "I want {} off")
# The same for a list of values.
_STYLES_LIST = {
    "with": ("with {plain} {{}}", "with {{}} as the {plain}", "with {{}} for the {plain}", "with these {plain}: {{}}"),
    "using": ("using {{}} as the {plain}", "using {{}} for the {plain}", "the {plain} being {{}}"),
    "is": ("the {plain} are {{}}", "the {plain} should be {{}}", "the {plain} must be {{}}"),
    "take": ("for the {plain} take {{}}", "for the {plain} use {{}}", "take {{}} as the {plain}"),
    "list": ("{plain}: {{}}", "{plain} {{}}"),
}  # fmt: skip
_SAYS_LIST = tuple(dict.fromkeys(say for says in _STYLES_LIST.values() for say in says))
# "include_price": what the result is to hold as well.
_SAYS_INCLUDE = (
    "include the {}",
    "with the {} included",
    "including the {}",
    "and include the {}",
    "I want the {} included",
)
_SAYS_LEAVE_OUT = ("leave out the {}", "do not include the {}", "without including the {}", "and do not include the {}")
_SAYS_MANY = (
    "with these {plain}: {{}}", "the {plain} being {{}}", "the {plain} are these: {{}}", "{plain}: {{}}",
    "using as {plain} {{}}",
)  # fmt: skip


@lru_cache(maxsize=65536)
def _says(templates: tuple[str, ...], plain: str) -> tuple[str, ...]:
    return tuple(template.format(plain, plain=plain) for template in templates)


def _with_say(name: str, spec: Mapping[str, Any], unnamed: str) -> dict[str, Any]:
    plain = words(name)
    hinted = {**spec, "unnamed": unnamed}
    if spec.get("items"):
        hinted["items"] = {**spec["items"], "unnamed": unnamed}
    if spec.get("type") == "boolean":
        if plain.startswith("include "):
            plain = plain.removeprefix("include ")
            return {**hinted, "say_true": _says(_SAYS_INCLUDE, plain), "say_false": _says(_SAYS_LEAVE_OUT, plain)}
        plain = re.sub(r"^(?:is|enable|use) | enabled$", "", plain)
        # "enabled enabled" is what a switch of that name would become.
        every = slice(2, 4) if plain in ("enabled", "disabled", "on", "off") else slice(None)
        hinted["say_true"] = _says(_SAYS_TRUE[every], plain)
        hinted["say_false"] = _says(_SAYS_FALSE[every], plain)
    elif spec.get("type") == "object" or "properties" in spec:
        inner = spec.get("properties") or {}
        hinted["properties"] = {key: _with_say(key, value, unnamed) for key, value in inner.items()}
    elif (spec.get("items") or {}).get("properties"):
        hinted["items"] = _with_say(name, spec["items"], unnamed)
        hinted["say"] = _says(_SAYS_MANY, plain)
    elif plain.split(" ")[-1] in _LINKS:
        hinted["say"] = _says(_SAYS_LINKED, plain)
    else:
        is_list = spec.get("type") == "array"
        hinted["say"] = _says(_SAYS_LIST if is_list else _SAYS, plain)
        styles = _STYLES_LIST if is_list else _STYLES
        hinted["styles"] = {style: _says(templates, plain) for style, templates in styles.items()}
    return hinted
