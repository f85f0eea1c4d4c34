"""Lists of candidate tools: every tool is first in one before any is first twice, near misses beside it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_gen.dialog_generation.phrases import phrases_of, words
from toolace import InputError, Tool

ATTEMPTS = 40
Link = tuple[Tool, Tool, str, str]
# (domain, words of what is given)
Key = tuple[str, str]

_GENERAL_WORDS = "name id date time day text type code number status place label note"
_GENERAL = frozenset(_GENERAL_WORDS.split())


class ToolLists:
    """Draws candidates from a pool. Nothing changes after it is made, so that any process draws the same lists."""

    def __init__(self, tools: Sequence[Tool], near_share: float, seed: int) -> None:
        """`near_share` of the other candidates come from the domain of the first.

        Raises:
            InputError: the pool is empty.
        """
        if not tools:
            raise InputError("the pool of tools is empty", where="generate", fix="Run `toolace tools` first.")
        self.near_share = near_share
        self.groups = {True: [t for t in tools if is_everyday(t)], False: [t for t in tools if not is_everyday(t)]}
        # A pool of one kind alone has one order, whatever kind a plan wants.
        self.is_mixed = all(self.groups.values())
        for everyday in (True, False):
            self.groups[everyday] = self.groups[everyday] or list(tools)
            random.Random(f"{seed}/order").shuffle(self.groups[everyday])
        self.by_domain: dict[str, list[Tool]] = defaultdict(list)
        for tool in tools:
            self.by_domain[tool.domain].append(tool)
        self.strangers = [tool for tool in tools if tool.id.startswith(("everyday:", "evolved:"))]
        self._takers, self._givers = _index(tools)
        # (domain, type, words of the name) -> schema of the first parameter that is called so; domain "" for any, of
        # the first that shows what its values look like.
        self.specs: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        for tool in tools:
            for name, spec in tool.properties.items():
                self.specs.setdefault((tool.domain, str(spec.get("type")), words(name)), spec)
                if _shows(name, spec):
                    self.specs.setdefault(("", str(spec.get("type")), words(name)), spec)

    def draw(self, rng: random.Random, wanted: int, place: int | None, everyday: bool) -> list[Tool]:
        """`wanted` candidates in seeded order.

        Args:
            place: of the list among the lists of its kind, which decides the first tool; None: any tool.
        """
        group = self.groups[everyday]
        first = rng.choice(group) if place is None else group[place % len(group)]
        return self._filled(rng, [first], wanted, everyday)

    def draw_linked(self, rng: random.Random, wanted: int, everyday: bool) -> list[Tool]:
        """Candidates of which one can take an argument from another's result; any candidates when there are none."""
        takers = self._takers[everyday] or self._takers[not everyday]
        for _ in range(ATTEMPTS if takers else 0):
            taker, key = takers[rng.randrange(len(takers))]
            givers = self._givers.get(key, ())
            giver = givers[rng.randrange(len(givers))] if givers else taker
            if giver.name != taker.name and linked(giver, taker):
                return self._filled(rng, [giver, taker], max(wanted, 2), everyday)
        return self.draw(rng, wanted, None, everyday)

    def stranger(self, rng: random.Random, tools: Sequence[Tool]) -> Tool | None:
        """A tool that is about none of the candidates' topics; None when the pool has none.

        An operation of a cloud service can be near any other service's, so only everyday and evolved tools are taken.
        """
        domains, topics = {tool.domain for tool in tools}, {tool.path[:1] for tool in tools}
        for _ in range(ATTEMPTS if self.strangers else 0):
            other = self.strangers[rng.randrange(len(self.strangers))]
            if other.domain not in domains and other.path[:1] not in topics:
                return other
        return next((tool for tool in self.strangers if tool.domain not in domains), None)

    def _filled(self, rng: random.Random, chosen: list[Tool], wanted: int, everyday: bool) -> list[Tool]:
        names = {tool.name for tool in chosen}
        for _ in range(ATTEMPTS):
            if len(chosen) >= wanted:
                break
            others = self.by_domain[chosen[0].domain] if rng.random() < self.near_share else self.groups[everyday]
            other = others[rng.randrange(len(others))]
            if other.name not in names:
                chosen.append(other)
                names.add(other.name)
        rng.shuffle(chosen)
        return chosen

    def more(self, rng: random.Random, tools: Sequence[Tool], count: int) -> list[Tool]:
        """The candidates and up to `count` more near misses, for a harder dialog."""
        return self._filled(rng, list(tools), len(tools) + count, is_everyday(tools[0]))


def _shows(name: str, spec: Mapping[str, Any]) -> bool:
    """Whether a schema says how a value looks in every domain: a "name" or a "type" is another thing in each."""
    if spec.get("type") in ("integer", "number"):
        return "minimum" in spec and "maximum" in spec
    return " " in words(name) and ("pattern" in spec or "enum" in spec)


def is_everyday(tool: Tool) -> bool:
    """Whether a tool is one of this project's own everyday documents."""
    return tool.id.startswith("everyday:")


def linked(first: Tool, second: Tool) -> list[Link]:
    """Ways in which a call of `second` can take an argument from the result of `first`.

    A link is (first, second, property of first's result, required string parameter of second) that mean the same: equal
    names, or a parameter named after the property ("title" and "movie title"). Words as general as "name" do not count.
    """
    if first.name == second.name or not first.returns:
        return []
    specs = phrases_of(second).specs
    found: list[Link] = []
    for parameter in second.required:
        schema = second.properties.get(parameter, {})
        if schema.get("type") != "string" or "enum" in schema or parameter not in specs:
            continue
        found += [
            (first, second, returned, parameter)
            for returned in _leaves(first.returns)
            if _same_thing(words(returned), words(parameter)) and not _told(first, returned)
        ]
    return found


def _told(tool: Tool, name: str) -> bool:
    """Whether a call says itself, alone or in a list, what the result tells under a name."""
    said = words(name)
    return any(words(parameter) in (said, f"{said}s") for parameter in tool.properties)


def _same_thing(given: str, wanted: str) -> bool:
    if given in ("name", "id"):
        return False
    return given == wanted or (wanted.endswith(f" {given}") and given not in _GENERAL)


def _leaves(schema: Mapping[str, Any]) -> list[str]:
    """Names of the string members of a result, wherever they are."""
    names = []
    for name, inner in (schema.get("properties") or {}).items():
        if inner.get("type") == "string" and "enum" not in inner:
            names.append(name)
        names += _leaves(inner)
    if isinstance(schema.get("items"), Mapping):
        names += _leaves(schema["items"])
    return names


def _index(tools: Sequence[Tool]) -> tuple[dict[bool, list[tuple[Tool, Key]]], dict[Key, list[Tool]]]:
    """Tools that take something, by kind of tool, and what is given -> tools: a pool has too many pairs."""
    givers: dict[Key, list[Tool]] = defaultdict(list)
    for tool in tools:
        for name in dict.fromkeys(_leaves(tool.returns or {})):
            if not _told(tool, name):
                givers[tool.domain, words(name)].append(tool)
    takers: dict[bool, list[tuple[Tool, Key]]] = {True: [], False: []}
    for tool in tools:
        for key in _wanted(tool):
            others = givers.get(key, ())
            if any(other.name != tool.name for other in others):
                takers[is_everyday(tool)].append((tool, key))
    return takers, dict(givers)


def _wanted(tool: Tool) -> Iterator[Key]:
    """(domain, words) of results that a required parameter of the tool could take."""
    for parameter in tool.required:
        schema = tool.properties.get(parameter, {})
        if schema.get("type") != "string" or "enum" in schema:
            continue
        whole = words(parameter)
        for start in range(len(whole.split())):
            given = " ".join(whole.split()[start:])
            if _same_thing(given, whole):
                yield tool.domain, given
