"""Seeded faults: one injector a kind of fault, each turning a clean dialog into one that is surely wrong.

They measure the verifier (`recall.py`): what share of each kind it catches. An injector works on the row (the JSON of a
Dialog), knows nothing of the rules, and gives None when the dialog has no place for its fault.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Injector = Callable[[Row, random.Random], bool]

STRUCTURAL, GROUNDING, PARTIAL = "structural", "grounding", "partly decidable"
FAULTS: dict[str, Fault] = {}


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        id: what is wrong, in two or three words.
        group: `structural` (wrong whatever was said), `grounding` (wrong because of what was said) or
            `partly decidable` (a question of meaning, of which rules see a part).
        inject: changes the row in place; False when it has no place for the fault.
    """

    id: str
    group: str
    inject: Injector

    def into(self, row: Row, rng: random.Random) -> Row | None:
        """A copy of the row with the fault, or None."""
        changed = copy.deepcopy(row)
        return changed if self.inject(changed, rng) else None


def fault(group: str) -> Callable[[Injector], Injector]:
    """Registers the decorated function under its name."""

    def register(inject: Injector) -> Injector:
        id_ = inject.__name__
        FAULTS[id_] = Fault(id_, group, inject)
        return inject

    return register


@dataclass
class Slot:
    """A value inside the arguments of a call: its holder, key, schema, and whether it must be given."""

    holder: Any
    key: Any
    schema: Row
    required: bool
    depth: int

    @property
    def value(self) -> Any:
        """What stands there."""
        return self.holder[self.key]

    def put(self, value: Any) -> bool:
        """Puts something else there."""
        self.holder[self.key] = value
        return True


def functions(row: Row) -> list[Row]:
    """The function objects of all calls."""
    return [call["function"] for message in row["messages"] for call in message.get("tool_calls") or ()]


def parameters(row: Row, name: str) -> Row:
    """The parameter schema of a tool."""
    return next((tool["parameters"] for tool in row["tools"] if tool["name"] == name), {})


def slots(row: Row) -> list[Slot]:
    """Every value with a definition in the arguments of every call."""
    return [slot for f in functions(row) for slot in _slots(f["arguments"], parameters(row, f["name"]), 0)]


def _slots(value: Any, schema: Row, depth: int) -> Iterator[Slot]:
    if isinstance(value, dict):
        for key, inner in value.items():
            definition = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if isinstance(definition, dict):
                yield Slot(value, key, definition, key in schema.get("required", ()), depth)
                yield from _slots(inner, definition, depth + 1)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for i, inner in enumerate(value):
            yield Slot(value, i, schema["items"], True, depth)
            yield from _slots(inner, schema["items"], depth + 1)


def choose(rng: random.Random, items: list[Any]) -> Any:
    """One of the items, or None when there are none."""
    return rng.choice(items) if items else None


def turns(row: Row, role: str, *, calling: bool | None = None) -> list[int]:
    """Indices of the turns of a role; of the assistant's, those that call or those that do not."""
    found = []
    for i, message in enumerate(row["messages"]):
        if message["role"] == role and calling in (None, bool(message.get("tool_calls"))):
            found.append(i)
    return found


_OTHER_TYPE: dict[str, tuple[Any, ...]] = {
    "string": (17, True, ["a"], None),
    "integer": ("many", 2.5, [3], True),
    "number": ("a lot", [1.5], False),
    "boolean": ("yes", 1),
    "array": ("one, two", 5),
    "object": ("all of it", [1]),
}


def _typed(row: Row, nested: bool) -> list[Slot]:
    return [s for s in slots(row) if s.schema.get("type") in _OTHER_TYPE and (s.depth > 0) == nested]


def _mistype(row: Row, rng: random.Random, nested: bool) -> bool:
    slot = choose(rng, _typed(row, nested))
    return slot is not None and slot.put(rng.choice(_OTHER_TYPE[slot.schema["type"]]))


@fault(STRUCTURAL)
def wrong_type(row: Row, rng: random.Random) -> bool:
    """An argument of another type."""
    return _mistype(row, rng, nested=False)


@fault(STRUCTURAL)
def wrong_nested_type(row: Row, rng: random.Random) -> bool:
    """A member or a list item of another type."""
    return _mistype(row, rng, nested=True)


@fault(STRUCTURAL)
def out_of_range(row: Row, rng: random.Random) -> bool:
    """A number beyond its bounds, a text or list longer or shorter than allowed."""
    places = []
    for slot in slots(row):
        schema = slot.schema
        if type(slot.value) in (int, float):
            places += [(slot, schema["maximum"] + 1 + rng.randrange(9))] if "maximum" in schema else []
            places += [(slot, schema["minimum"] - 1 - rng.randrange(9))] if "minimum" in schema else []
        if isinstance(slot.value, str) and 0 < schema.get("maxLength", 0) < 2_000:
            places.append((slot, slot.value + "x" * schema["maxLength"]))
        if isinstance(slot.value, list) and slot.value and 0 < schema.get("maxItems", 0) < 50:
            places.append((slot, slot.value * (schema["maxItems"] + 1)))
    place = choose(rng, places)
    return place is not None and place[0].put(place[1])


@fault(STRUCTURAL)
def bad_enum(row: Row, rng: random.Random) -> bool:
    """A value that is none of the options."""
    slot = choose(rng, [s for s in slots(row) if s.schema.get("enum")])
    return slot is not None and slot.put(f"{slot.value}_other" if isinstance(slot.value, str) else 987_654)


@fault(STRUCTURAL)
def bad_pattern(row: Row, rng: random.Random) -> bool:
    """A text that its pattern or format does not match."""
    slot = choose(rng, [s for s in slots(row) if isinstance(s.value, str) and _is_formal(s.schema)])
    return slot is not None and slot.put("\u00a7 not like that \u00a7")


def _is_formal(schema: Row) -> bool:
    pattern = schema.get("pattern", "")
    known = ("date", "time", "date-time", "email", "uri", "uuid", "ipv4", "ipv6")
    return schema.get("format") in known or (pattern.startswith("^") and pattern.endswith("$") and "." not in pattern)


@fault(STRUCTURAL)
def missing_required(row: Row, rng: random.Random) -> bool:
    """A required argument left out."""
    return _leave_out(rng, [s for s in slots(row) if s.required and s.depth == 0 and isinstance(s.holder, dict)])


@fault(STRUCTURAL)
def missing_member(row: Row, rng: random.Random) -> bool:
    """A required member of an object argument left out."""
    return _leave_out(rng, [s for s in slots(row) if s.required and s.depth > 0 and isinstance(s.holder, dict)])


def _leave_out(rng: random.Random, places: list[Slot]) -> bool:
    slot = choose(rng, places)
    if slot is None:
        return False
    del slot.holder[slot.key]
    return True


@fault(STRUCTURAL)
def invented_parameter(row: Row, rng: random.Random) -> bool:
    """An argument that the definition does not have."""
    function = choose(rng, functions(row))
    if function is None:
        return False
    function["arguments"][rng.choice(["include_details", "mode2", "verbose_output", "lang_hint"])] = True
    return True


@fault(STRUCTURAL)
def invented_member(row: Row, rng: random.Random) -> bool:
    """A member that an object argument's definition does not have."""
    places = [s for s in slots(row) if isinstance(s.value, dict) and s.schema.get("properties")]
    slot = choose(rng, [s for s in places if s.schema.get("additionalProperties", False) is False])
    if slot is None:
        return False
    slot.value["extra_member"] = "x"
    return True


@fault(STRUCTURAL)
def unknown_api(row: Row, rng: random.Random) -> bool:
    """A call of an API that is not on offer."""
    function = choose(rng, functions(row))
    if function is None:
        return False
    function["name"] = rng.choice([function["name"] + "_v2", "get_" + function["name"], function["name"][:-1] or "x"])
    return True


@fault(STRUCTURAL)
def swapped_names(row: Row, rng: random.Random) -> bool:
    """A call's arguments under the name of another API on offer."""
    function = choose(rng, functions(row))
    others = [tool for tool in row["tools"] if function and tool["name"] != function["name"]]
    given = set(function["arguments"]) if function else set()
    # The other API must not accept them by chance.
    others = [t for t in others if given - set(t["parameters"].get("properties", {})) or _needs_more(t, given)]
    other = choose(rng, others)
    if function is None or other is None:
        return False
    function["name"] = other["name"]
    return True


def _needs_more(tool: Row, given: set[str]) -> bool:
    return bool(set(tool["parameters"].get("required", ())) - given)


@fault(STRUCTURAL)
def repeated_call(row: Row, rng: random.Random) -> bool:
    """The same call twice in a turn."""
    at = choose(rng, [i for i in turns(row, "assistant", calling=True) if not _is_answered(row, i)])
    if at is None:
        return False
    calls = row["messages"][at]["tool_calls"]
    calls.append({**copy.deepcopy(rng.choice(calls)), "id": "again"})
    return True


def _is_answered(row: Row, at: int) -> bool:
    return at + 1 < len(row["messages"]) and row["messages"][at + 1]["role"] == "tool"
