"""Evolution, the offline player: new APIs from a subtree of the taxonomy and an example of the pool (paper Sec. 2.1).

A new API starts from one functionality of a sub-domain. The example, drawn from the buffer of APIs accepted so far,
says how its author would write it: dotted or plain names, snake or camel case. Diversity indicators then change it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

from data_gen.tool_synthesis.adaptation import EVOLVED
from data_gen.tool_synthesis.composition import of_action, of_function
from data_gen.tool_synthesis.indicators import INDICATORS
from data_gen.tool_synthesis.shapes import Schema
from data_gen.tool_synthesis.taxonomy import SubDomain
from data_gen.tool_synthesis.vocabulary import Draft, Vocabulary
from toolace import Tool

LICENCE = "Apache-2.0"
# our choice: how many indicators are tried on an API; those that do not fit it are passed over.
_CHANGES = (1, 2, 2, 3, 3)
# our choice: the indicator that nests parameters is drawn six times as often, since documents have few such (20 %).
_DRAWN = sorted([*INDICATORS, *(["type_nested_object"] * 5)])
# our choice: those that only add to another API, a file, a message, a list of requests, are passed over in most
# cases: a pool of the same functions once more with a tail would be no diverse one.
_TAILS = {"add_functionality": 0.14, "type_list_of_objects": 0.25}
# Rounds over a sub-domain's functionalities before it is held to be exhausted.
ROUNDS = 24
BUFFER = 64

_CAMEL = re.compile(r"[a-z][A-Z]")


@dataclass(frozen=True)
class Style:
    """How names are written.

    Attributes:
        dotted: `recipes.search_recipes` rather than `search_recipes`.
        camel: `searchRecipes(prepMinutes=...)` rather than snake case.
    """

    dotted: bool
    camel: bool


def style_of(tool: Tool) -> Style:
    """The style a tool is written in."""
    names = [tool.name, *tool.properties]
    return Style("." in tool.name, any(_CAMEL.search(name) for name in names))


class ExampleBuffer:
    """Accepted APIs of a sub-domain that evolution takes as examples; rare styles are drawn more often."""

    def __init__(self) -> None:
        self._examples: list[tuple[str, Style]] = []
        self._styles: Counter[Style] = Counter()

    def add(self, tool: Tool) -> None:
        """Takes an accepted tool; the oldest one leaves when the buffer is full."""
        if len(self._examples) == BUFFER:
            _, style = self._examples.pop(0)
            self._styles[style] -= 1
        style = style_of(tool)
        self._examples.append((tool.id or tool.name, style))
        self._styles[style] += 1

    def sample(self, rng: random.Random) -> tuple[str, Style]:
        """(id, style) of an example; a style of no example when there is none yet."""
        if not self._examples:
            return "", Style(rng.random() < 0.4, rng.random() < 0.15)
        weights = [1 / self._styles[style] ** 0.5 for _, style in self._examples]
        return rng.choices(self._examples, weights)[0]


class OfflineEvolution:
    """Proposes APIs for one sub-domain, the plainest first; the pool says which ones it accepts.

    Args:
        sub: the sub-domain.
        seed: of the recipe; together with the sub-domain's name it decides everything.
        examples: real APIs of the sub-domain, to begin the buffer with.
    """

    def __init__(self, sub: SubDomain, seed: int, examples: Sequence[Tool] = ()) -> None:
        self.sub = sub
        self.rng = random.Random(f"{seed}/evolution/{sub.name}")
        self.vocabulary = Vocabulary(sub, self.rng)
        self.buffer = ExampleBuffer()
        self._made: set[tuple[object, ...]] = set()
        for tool in examples[-BUFFER:]:
            self.buffer.add(tool)

    def propose(self) -> Iterator[Tool]:
        """Yields new APIs; accepted ones should be given to `buffer.add` before the next one is asked for."""
        version_ = version("toolace")
        for _ in range(ROUNDS):
            bases = self._bases()
            self.rng.shuffle(bases)
            for base in bases:
                draft = base()
                self._change(draft)
                use = (draft.entity, draft.action or base.args, draft.subject, _form(draft), tuple(draft.nodes))
                # The same use in other words would be a paraphrase, not another API.
                if use not in self._made:
                    self._made.add(use)
                    yield self._tool(draft, version_)

    def _bases(self) -> list[partial[Draft]]:
        """Everything that one functionality makes, each redrawn at every call."""
        v = self.vocabulary
        functions = [partial(of_function, v, function) for function in self.sub.functions]
        actions = [partial(of_action, v, entity, action.name, verb) for entity, action, verb in self.sub.actions]
        return [*functions, *actions]

    def _change(self, draft: Draft) -> None:
        """Applies some indicators."""
        count = self.rng.choice(_CHANGES)
        for name in dict.fromkeys(self.rng.sample(_DRAWN, count)):
            if self.rng.random() >= _TAILS.get(name, 1):
                continue
            if INDICATORS[name](self.vocabulary, draft):
                draft.indicators.append(name)

    def _tool(self, draft: Draft, version_: str) -> Tool:
        example, style = self.buffer.sample(self.rng)
        source = {
            "package": "toolace",
            "version": version_,
            "file": f"data_gen/tool_synthesis/taxonomy, {self.sub.name}",
            "operation": " + ".join(draft.nodes),
            "example": example,
            "indicators": ", ".join(draft.indicators),
        }
        return _styled_tool(self.sub, draft, style, source)


def _form(draft: Draft) -> tuple[str, ...]:
    """The indicators that make a tool another one: several things at once, a list of requests."""
    return tuple(name for name in draft.indicators if name.startswith("type_list"))


def _styled_tool(sub: SubDomain, draft: Draft, style: Style, source: dict[str, Any]) -> Tool:
    write = camel if style.camel else "_".join
    name = write(draft.words)
    if style.dotted:
        name = f"{write(tuple(draft.group.split('_')))}.{name}"
    parameters: Schema = {"type": "object", "properties": draft.properties}
    if draft.required:
        parameters["required"] = [n for n in draft.properties if n in draft.required]
    returns: Schema = {"type": "object", "properties": draft.returns}
    if style.camel:
        fields = frozenset(field for entity in sub.entities.values() for field in entity.has)
        parameters, returns = _camel_schema(parameters, fields), _camel_schema(returns, fields)
    return Tool(
        name=name,
        description=draft.about,
        parameters=parameters,
        returns=returns,
        id=f"evolved:{sub.name.lower().replace(' ', '_')}:{name}",
        domain=sub.name,
        path=(sub.primary, sub.name, draft.nodes[0]),
        origin=EVOLVED,
        source=source,
        licence=LICENCE,
    )


def camel(words: Sequence[str]) -> str:
    """Words in camel case: `("prep", "minutes")` -> `prepMinutes`."""
    return words[0] + "".join(word.capitalize() for word in words[1:])


def _camel_schema(schema: Any, fields: frozenset[str]) -> Any:
    """A schema whose members are named in camel case, at every depth; so are the names of fields to choose from.

    Args:
        schema: any JSON Schema.
        fields: names of the topic's fields, in snake case. Other choices are values and stay as they are.
    """
    if not isinstance(schema, dict):
        return schema
    result = dict(schema)
    if isinstance(schema.get("properties"), dict):
        result["properties"] = {_camel_name(n): _camel_schema(s, fields) for n, s in schema["properties"].items()}
    if isinstance(schema.get("required"), list):
        result["required"] = [_camel_name(name) for name in schema["required"]]
    if "items" in schema:
        result["items"] = _camel_schema(schema["items"], fields)
    if schema.get("enum") and fields.issuperset(schema["enum"]):
        result["enum"] = [_camel_name(name) for name in schema["enum"]]
    return result


def _camel_name(name: str) -> str:
    return camel(name.split("_"))
