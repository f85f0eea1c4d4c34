"""How a person asks for a tool: openers, and for each parameter a clause that says its value.

Seeds bring their own phrases. For a real document they are made from its description and parameter names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_gen.documents import everyday
from toolace import Tool

SLOT = re.compile(r"\{(=?)(\w+)\}")


@dataclass(frozen=True)
class Phrases:
    """What the offline user agent knows of one tool.

    Attributes:
        asks: openers; `{p}` stands for the clause (or value) of parameter p, `{=p}` for its bare value.
        specs: parameter name to its schema with hints (kind, values, say, ...).
        many: an opener that reads well with a list of values in the slot `many_slot`, or "".
    """

    asks: tuple[str, ...]
    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    many: str = ""
    many_slot: str = ""


def phrases_of(tool: Tool) -> Phrases:
    """The phrases of a tool: its seed's, or made from the document's own words."""
    seed = everyday.seeds().get(tool.id)
    if seed is None:
        return _from_schema(tool)
    many, slot = seed.get("many", ""), seed.get("many_slot", "")
    return Phrases(tuple(seed["ask"]), seed["parameters"], many, slot)


def slots(template: str) -> set[str]:
    """Names of the parameters a template speaks of."""
    return {match[1] for match in SLOT.findall(template)}


def _from_schema(tool: Tool) -> Phrases:
    task = _task(tool)
    asks = (
        f"{task[0].upper()}{task[1:]}",
        f"I need to {task}",
        f"Can you {task}",
        f"Could you {task} for me",
        f"I'd like you to {task}",
        f"Help me {task}",
        f"We have to {task} today",
        f"Please {task}",
        f"I'm trying to {task}",
        f"Would you {task}",
    )
    return Phrases(asks, {name: _with_say(name, spec) for name, spec in tool.properties.items()})


def words(name: str) -> str:
    """`maxResults`, `max_results`, `max-results` -> "max results"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[\W_]+", " ", spaced).strip().lower()


def _task(tool: Tool) -> str:
    """The document's first sentence as an order ("Lists the tags of a bucket." -> "list the tags of a bucket")."""
    first = re.split(r"(?<=[a-z)])[.;:!](?:\s|$)", tool.description.strip())[0].strip(" .").split(", which ")[0]
    verb, _, rest = first.partition(" ")
    order = imperative(verb.lower())
    last = words(tool.name.split(".")[-1])
    if len(first.split()) > 16 or not rest or order not in last.split():
        return last
    return f"{order} {rest}"


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


def imperative(verb: str) -> str:
    """ "measures" -> "measure"."""
    if verb.endswith("ies"):
        return verb[:-3] + "y"
    if re.search(r"(ss|sh|ch|x|zz|o)es$", verb):
        return verb[:-2]
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb


def _with_say(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    plain = words(name)
    hinted = dict(spec)
    if spec.get("type") == "boolean":
        plain = re.sub(r"^(?:is|enable|use) | enabled$", "", plain)
        hinted["say_true"] = [f"with {plain} on", f"{plain} enabled", f"set {plain} to true"]
        hinted["say_false"] = [f"with {plain} off", f"{plain} disabled", f"set {plain} to false"]
    elif spec.get("type") == "object" or "properties" in spec:
        inner = spec.get("properties") or {}
        hinted["properties"] = {key: _with_say(key, value) for key, value in inner.items()}
    elif (spec.get("items") or {}).get("properties"):
        hinted["items"] = _with_say(name, spec["items"])
        hinted["say"] = [f"with these {plain}: {{}}", f"the {plain} being {{}}"]
    else:
        hinted["say"] = [
            f"with {plain} {{}}",
            f"using {{}} as the {plain}",
            f"the {plain} should be {{}}",
            f"the {plain} is {{}}",
            f"for the {plain} {{}}",
        ]
    return hinted
