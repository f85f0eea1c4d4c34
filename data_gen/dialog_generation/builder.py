"""Builds dialogs of the paper's four types from agents: single, parallel, dependent and non-tool use (Sec. 2.2)."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_gen.dialog_generation.assistant import OfflineAssistant
from data_gen.dialog_generation.facts import earlier_facts
from data_gen.dialog_generation.kinds import chat
from data_gen.dialog_generation.phrases import phrases_of
from data_gen.dialog_generation.tool import ERROR_START, PASSED, OfflineTool
from data_gen.dialog_generation.tool_lists import ToolLists, linked
from data_gen.dialog_generation.user import OfflineUser, noun_of
from data_gen.dialog_generation.values import NoValue
from toolace import Call, Dialog, Message, Tool
from toolace.dialogs import number_calls

# our choice: share of failed single calls after which the user gives another value and the call is made again.
RECOVERED = 0.6


@dataclass(frozen=True)
class Mix:
    """What share of dialogs is what. Shares of one mapping are weights; they need not sum to 1.

    Attributes:
        parallel_same: share of parallel turns that call one tool several times; the rest call different tools.
        non_tool_use: kind -> weight: irrelevant (no candidate fits), no_tools (none is on offer), missing (a required
            value is not given), chat.
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
    """Makes one dialog from a plan and a list of candidate tools, seeded."""

    def __init__(self, rng: random.Random, mix: Mix, lists: ToolLists, level: int = 0) -> None:
        """`lists` gives the tools that requests beside the candidates are about; `level` is self-guidance's."""
        self.rng, self.mix, self.lists, self.level = rng, mix, lists, level
        self.user = OfflineUser(rng, mix.optional, level)
        self.assistant = OfflineAssistant(rng, level)
        self.tool = OfflineTool(rng, mix.errors, lists.specs)
        self._makers: dict[str, Callable[[Sequence[Tool]], list[Message]]] = {
            "single": self._single,
            "parallel": self._parallel,
            "dependent": self._dependent,
            "irrelevant": self._irrelevant,
            "missing": self._missing,
            "no_tools": self._no_tools,
            "chat": self._chat,
        }

    def build(
        self, id_: str, tools: Sequence[Tool], kind: str, meta: Mapping[str, Any], need: str, turns: int, results: bool
    ) -> Dialog | None:
        """One dialog over the candidates `tools`; None when they allow no such dialog.

        Args:
            kind: the dialog type.
            need: what the first turn is after: the type, or one of `Mix.non_tool_use`.
            turns: requests of the user.
            results: whether the last calls get results and a summary; earlier ones always do.
        """
        try:
            messages = self._makers[need](tools)
            for _ in range(turns - 1):
                messages = self._closed(messages, tools) + self._makers[self._next(need)](tools)
            if results:
                messages = self._closed(messages, tools)
        except (Unfit, NoValue):
            return None
        if _says_twice(messages):
            return None
        shown = () if need == "no_tools" else tuple(tools)
        return Dialog(id_, kind, shown, number_calls(messages), meta)

    def _next(self, need: str) -> str:
        """What a later turn is after: parallel and dependent dialogs go on with simple requests too."""
        return "single" if need == "dependent" or (need == "parallel" and self.rng.random() < 0.5) else need

    def _closed(self, messages: list[Message], tools: Sequence[Tool]) -> list[Message]:
        """A turn that ends with calls gets their results and a summary, so that another turn can follow.

        When the only call fails, the user may give another value and the assistant calls again: recovery is taught.
        """
        calls = messages[-1].calls
        if not calls:
            return messages
        messages = messages + self._results(messages, tools)
        if len(calls) == 1 and messages[-2].content.startswith(ERROR_START) and self.rng.random() < RECOVERED:
            tool = next(tool for tool in tools if tool.name == calls[0].name)
            if self.tool.blamed == PASSED:
                corrected: tuple[str, Call] | None = (self.user.insist(), calls[0])
            else:
                corrected = self.user.correct(tool, calls[0], self.tool.blamed)
            if corrected:
                again = Message("assistant", calls=(corrected[1],))
                messages = [*messages, Message("user", corrected[0]), again]
                messages += self._results(messages, tools, fails=False)
        return messages

    def _results(self, messages: Sequence[Message], tools: Sequence[Tool], fails: bool | None = None) -> list[Message]:
        """The results of the last message's calls, and a summary of them."""
        by_name = {tool.name: tool for tool in tools}
        forced: dict[str, Any] | None = {} if fails is False else None
        pairs = []
        for call in messages[-1].calls:
            known = earlier_facts(messages, call)
            pairs.append((call.name, self.tool.answer(by_name[call.name], call, forced, known)))
        answers = [Message("tool", content, name=name) for name, content in pairs]
        return [*answers, Message("assistant", self.assistant.summarise(pairs))]

    def _single(self, tools: Sequence[Tool]) -> list[Message]:
        if self.rng.random() < self.mix.answered and any(self.user.droppable(tool) for tool in tools):
            return self._asked_and_answered(tools)
        request = self.user.ask_one(self.rng.choice(tools))
        return [Message("user", request.text), Message("assistant", calls=request.calls)]

    def _parallel(self, tools: Sequence[Tool]) -> list[Message]:
        more = max(self.level, 0)
        if len(tools) == 1 or self.rng.random() < self.mix.parallel_same:
            chosen = self.rng.choice([tool for tool in tools if tool.properties] or [None])
            if chosen is None:
                raise Unfit
            request = self.user.ask_same(chosen, self.rng.choice((2, 2, 2, 3, 3, 4)) + more if self.level >= 0 else 2)
        else:
            count = min(len(tools), (self.rng.choice((2, 2, 3)) if self.level >= 0 else 2) + more)
            chosen_tools = self.rng.sample(list(tools), count)
            # Two jobs for one of the tools and one for another is as common as one each.
            if self.rng.random() < 0.25:
                chosen_tools.append(self.rng.choice(chosen_tools))
            request = self.user.ask_several(chosen_tools)
        if len(request.calls) < 2 or any(c in request.calls[:i] for i, c in enumerate(request.calls)):
            raise Unfit
        return [Message("user", request.text), Message("assistant", calls=request.calls)]

    def _dependent(self, tools: Sequence[Tool]) -> list[Message]:
        links = [link for a in tools for b in tools if a.domain == b.domain for link in linked(a, b)]
        if not links:
            raise Unfit
        first, second, returned, parameter = self.rng.choice(links)
        text, one, others = self.user.ask_then(first, second, parameter, noun_of(parameter))
        value = self.user.value(phrases_of(second).specs[parameter], parameter).argument
        # A value made of words of the request ("x = y" after "where x is 2 and y is 3") would not be the result's.
        if all(word in text.lower() for word in re.findall(r"\w{3,}", str(value).lower())):
            raise Unfit
        result = self.tool.answer(first, one, {returned: value})
        if json.dumps(value, ensure_ascii=False) not in result:
            raise Unfit
        arguments = {name: value if name == parameter else others.get(name) for name in second.properties}
        two = Call(second.name, {n: v for n, v in arguments.items() if n == parameter or n in others})
        answer = Message("tool", result, name=first.name)
        messages = [Message("user", text), Message("assistant", calls=(one,)), answer]
        return [*messages, Message("assistant", calls=(two,))]

    def _irrelevant(self, tools: Sequence[Tool]) -> list[Message]:
        stranger = self.lists.stranger(self.rng, tools)
        if stranger is None:
            raise Unfit
        request = self.user.ask_one(stranger)
        return [Message("user", request.text), Message("assistant", self.assistant.decline(tools, request.text))]

    def _no_tools(self, tools: Sequence[Tool]) -> list[Message]:
        request = self.user.ask_one(self.rng.choice(tools))
        return [Message("user", request.text), Message("assistant", self.assistant.decline(()))]

    def _chat(self, tools: Sequence[Tool]) -> list[Message]:
        said, answered = chat(self.rng)
        return [Message("user", said), Message("assistant", answered)]

    def _asked_and_answered(self, tools: Sequence[Tool]) -> list[Message]:
        tool, parameter = self._droppable(tools)
        text, reply, call = self.user.ask_without(tool, parameter)
        asking = Message("assistant", self.assistant.ask_for(tool, [parameter], text))
        return [Message("user", text), asking, Message("user", reply), Message("assistant", calls=(call,))]

    def _droppable(self, tools: Sequence[Tool]) -> tuple[Tool, str]:
        options = [(tool, name) for tool in tools for name in self.user.droppable(tool)]
        if not options:
            raise Unfit
        return self.rng.choice(options)

    def _missing(self, tools: Sequence[Tool]) -> list[Message]:
        tool, parameter = self._droppable(tools)
        text, _, _ = self.user.ask_without(tool, parameter)
        return [Message("user", text), Message("assistant", self.assistant.ask_for(tool, [parameter], text))]


def _says_twice(messages: Sequence[Message]) -> bool:
    """Whether someone repeats himself word for word, which people rarely and models too often do."""
    said = [(message.role, message.content) for message in messages if message.role != "tool" and message.content]
    return len(set(said)) < len(said)


def pick(rng: random.Random, weights: Mapping[Any, float]) -> Any:
    """Draws a key with probability proportional to its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]
