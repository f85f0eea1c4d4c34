"""Builds dialogs of the paper's four types from agents: single, parallel, dependent and non-tool use (Sec. 2.2)."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_gen.dialog_generation.assistant import OfflineAssistant
from data_gen.dialog_generation.kinds import chit_chat
from data_gen.dialog_generation.phrases import phrases_of, words
from data_gen.dialog_generation.tool import OfflineTool
from data_gen.dialog_generation.user import OfflineUser
from data_gen.dialog_generation.values import NoValue
from toolace import Call, Dialog, Message, Tool
from toolace.dialogs import number_calls


@dataclass(frozen=True)
class Mix:
    """What share of dialogs is what. Shares of one mapping are weights; they need not sum to 1.

    Attributes:
        parallel_same: share of parallel turns that call one tool several times; the rest call different tools.
        non_tool_use: kind -> weight: irrelevant (no candidate fits), missing (a required value is not given), chat.
        results: share of dialogs that go on with tool results and a summary; the rest end with the call.
        turns: number of user turns -> weight.
        answered: share of single-call turns whose request lacks a required value that the user gives when asked.
        errors: share of tool results that are errors.
        optional: share of optional parameters that a request gives.
    """

    parallel_same: float
    non_tool_use: Mapping[str, float]
    results: float
    turns: Mapping[int, float]
    answered: float
    errors: float
    optional: float


class Unfit(Exception):
    """The drawn tools do not allow the wanted dialog; the caller draws again. Never leaves this package."""


class DialogBuilder:
    """Makes one dialog after another from a list of candidate tools, seeded."""

    def __init__(self, rng: random.Random, mix: Mix, pool: Sequence[Tool]) -> None:
        """`pool` holds the tools that requests beside the candidates are about."""
        self.rng, self.mix, self.pool = rng, mix, pool
        self.user = OfflineUser(rng, mix.optional)
        self.assistant = OfflineAssistant(rng)
        self.tool = OfflineTool(rng, mix.errors)
        self._makers: dict[str, Callable[[Sequence[Tool]], list[Message]]] = {
            "single": self._single,
            "parallel": self._parallel,
            "dependent": self._dependent,
            "non_tool_use": self._non_tool_use,
        }

    def build(self, id_: str, tools: Sequence[Tool], kind: str, meta: Mapping[str, Any]) -> Dialog | None:
        """One dialog of type `kind` over the candidates `tools`; None when they allow no such dialog."""
        try:
            messages = self._makers[kind](tools)
            if kind in ("single", "parallel"):
                for _ in range(pick(self.rng, self.mix.turns) - 1):
                    messages = self._closed(messages, tools) + self._makers[kind](tools)
        except (Unfit, NoValue):
            return None
        if _says_twice(messages):
            return None
        return Dialog(id_, kind, tuple(tools), number_calls(messages), meta)

    def _closed(self, messages: list[Message], tools: Sequence[Tool]) -> list[Message]:
        """A turn that ends with calls gets their results and a summary, so that another turn can follow."""
        return messages + self._results(messages[-1], tools) if messages[-1].calls else messages

    def _turn(self, text: str, calls: Sequence[Call], tools: Sequence[Tool]) -> list[Message]:
        messages = [Message("user", text), Message("assistant", calls=tuple(calls))]
        if self.rng.random() < self.mix.results:
            messages = self._closed(messages, tools)
        return messages

    def _results(self, asking: Message, tools: Sequence[Tool]) -> list[Message]:
        by_name = {tool.name: tool for tool in tools}
        pairs = [(call.name, self.tool.answer(by_name[call.name], call)) for call in asking.calls]
        answers = [Message("tool", content, name=name) for name, content in pairs]
        return [*answers, Message("assistant", self.assistant.summarise(pairs))]

    def _single(self, tools: Sequence[Tool]) -> list[Message]:
        if self.rng.random() < self.mix.answered and any(self.user.droppable(tool) for tool in tools):
            return self._asked_and_answered(tools)
        request = self.user.ask_one(self.rng.choice(tools))
        return self._turn(request.text, request.calls, tools)

    def _parallel(self, tools: Sequence[Tool]) -> list[Message]:
        if len(tools) == 1 or self.rng.random() < self.mix.parallel_same:
            chosen = self.rng.choice([tool for tool in tools if tool.properties] or [None])
            if chosen is None:
                raise Unfit
            request = self.user.ask_same(chosen, self.rng.choice((2, 2, 2, 3, 3, 4)))
        else:
            count = min(len(tools), self.rng.choice((2, 2, 3)))
            chosen_tools = self.rng.sample(list(tools), count)
            # Two jobs for one of the tools and one for another is as common as one each.
            if self.rng.random() < 0.25:
                chosen_tools.append(self.rng.choice(chosen_tools))
            request = self.user.ask_several(chosen_tools)
        if len(request.calls) < 2 or any(c in request.calls[:i] for i, c in enumerate(request.calls)):
            raise Unfit
        return self._turn(request.text, request.calls, tools)

    def _dependent(self, tools: Sequence[Tool]) -> list[Message]:
        links = [link for a in tools for b in tools if a.domain == b.domain for link in linked(a, b)]
        if not links:
            raise Unfit
        first, second, returned, parameter = self.rng.choice(links)
        text, one, others = self.user.ask_then(first, second, parameter, _noun(parameter))
        value = self.user.value(phrases_of(second).specs[parameter], parameter).argument
        # A value made of words of the request ("x = y" after "where x is 2 and y is 3") would not be the result's.
        if all(word in text.lower() for word in re.findall(r"\w{3,}", str(value).lower())):
            raise Unfit
        result = self.tool.answer(first, one, {returned: value})
        if json.dumps(value, ensure_ascii=False) not in result:
            raise Unfit
        arguments = {name: value if name == parameter else others.get(name) for name in second.properties}
        two = Call(second.name, {n: v for n, v in arguments.items() if n == parameter or n in others})
        asking = Message("assistant", calls=(two,))
        answer = Message("tool", result, name=first.name)
        messages = [Message("user", text), Message("assistant", calls=(one,)), answer, asking]
        return self._closed(messages, tools) if self.rng.random() < self.mix.results else messages

    def _non_tool_use(self, tools: Sequence[Tool]) -> list[Message]:
        kind = pick(self.rng, self.mix.non_tool_use)
        if kind == "chat":
            said, answered = self.rng.choice(chit_chat())
            return [Message("user", said), Message("assistant", answered)]
        if kind == "missing":
            return self._missing(tools)
        domains = {tool.domain for tool in tools}
        # A cloud service's operation can be near any other service's, so only everyday tools are surely off topic.
        strangers = [t for t in self.pool if t.domain not in domains and t.id.startswith("everyday:")]
        if not strangers:
            raise Unfit
        request = self.user.ask_one(self.rng.choice(strangers))
        return [Message("user", request.text), Message("assistant", self.assistant.decline(tools))]

    def _asked_and_answered(self, tools: Sequence[Tool]) -> list[Message]:
        tool, parameter = self._droppable(tools)
        text, reply, call = self.user.ask_without(tool, parameter)
        asking = Message("assistant", self.assistant.ask_for(tool, [parameter]))
        return [Message("user", text), asking, *self._turn(reply, (call,), tools)]

    def _droppable(self, tools: Sequence[Tool]) -> tuple[Tool, str]:
        options = [(tool, name) for tool in tools for name in self.user.droppable(tool)]
        if not options:
            raise Unfit
        return self.rng.choice(options)

    def _missing(self, tools: Sequence[Tool]) -> list[Message]:
        tool, parameter = self._droppable(tools)
        text, _, _ = self.user.ask_without(tool, parameter)
        return [Message("user", text), Message("assistant", self.assistant.ask_for(tool, [parameter]))]


def _noun(parameter: str) -> str:
    """What a person calls a parameter's value: "book title" is a book, "borrowed title" a title."""
    name = words(parameter)
    rest = name.removesuffix(" title")
    return name if rest == name else "title" if rest.endswith("ed") else rest


def _says_twice(messages: Sequence[Message]) -> bool:
    """Whether someone repeats himself word for word, which people rarely and models too often do."""
    said = [(message.role, message.content) for message in messages if message.role != "tool" and message.content]
    return len(set(said)) < len(said)


def linked(first: Tool, second: Tool) -> list[tuple[Tool, Tool, str, str]]:
    """Ways in which a call of `second` can take an argument from the result of `first`.

    A link is (first, second, property of first's result, required string parameter of second) that mean the same: equal
    names, or a parameter named after the property ("title" and "movie title"). Words as general as "name" do not count.
    """
    if first.name == second.name or not first.returns:
        return []
    found = []
    specs = phrases_of(second).specs
    for parameter in second.required:
        schema = second.properties.get(parameter, {})
        if schema.get("type") != "string" or "enum" in schema or parameter not in specs:
            continue
        wanted = words(parameter)
        for returned in _leaves(first.returns):
            given = words(returned)
            same = given == wanted or (wanted.endswith(f" {given}") and given not in _GENERAL)
            if same and given not in ("name", "id") and returned not in first.properties:
                found.append((first, second, returned, parameter))
    return found


_GENERAL_WORDS = "name id date time day text type code number status place label note"
_GENERAL = frozenset(_GENERAL_WORDS.split())


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


def pick(rng: random.Random, weights: Mapping[Any, float]) -> Any:
    """Draws a key with probability proportional to its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]
