"""The tool agent played by a language model: results that fit the definition, the call, and what was answered before.

Which calls fail is drawn here and not left to the model, so that errors come at the declared rate and recovery is
taught.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_gen.dialog_generation.agents import Scene, transcript
from data_gen.dialog_generation.answers import Narrowed, defined, misfit, object_of, sendable
from data_gen.dialog_generation.facts import earlier_facts
from data_gen.dialog_generation.phrases import words
from data_gen.verification.identity import remembered
from toolace import Call, Message, Tool
from toolace.chat import ChatModel, ChatRequest, Sampling
from toolace.rows import dumps
from toolace.structured import AnswerSchema

RESULTS = AnswerSchema("tool_results", {"type": "object", "minProperties": 1})
_ERROR = object_of({"error": {"type": "string", "minLength": 1, "maxLength": 300}})
# Longest result that is kept, in characters: a dialog must stay within the rule layer's lengths.
_RESULT_CHARACTERS = 4_000

_SYSTEM = """\
You pretend to be the servers behind these functions:
{tools}

You are given calls and answer each with what the function would return: JSON that fits its "returns", realistic \
values, short lists (at most three items), no placeholders. What the arguments name comes back unchanged. Stay \
consistent with everything returned before: what was created exists with the same ids and values, what was deleted \
does not."""


class LlmToolPlayer:
    """Answers calls with a model: one request for all calls of a turn."""

    def __init__(self, model: ChatModel) -> None:
        self.model = model

    async def answer(self, scene: Scene, messages: Sequence[Message], calls: Sequence[Call]) -> list[str]:
        """One result a call; see `ToolAgent.answer`."""
        by_name = {tool.name: tool for tool in scene.tools}
        tools = tuple(by_name[name] for name in dict.fromkeys(call.name for call in calls))
        fails = [scene.rng("fails", len(messages), i).random() < scene.errors for i in range(len(calls))]
        tasks = [_task(i, call, fails[i]) for i, call in enumerate(calls)]
        said = f"The conversation so far:\n{transcript(messages)}\n\nThe calls to answer:\n" + "\n".join(tasks)
        prompt = [
            {"role": "system", "content": _SYSTEM.format(tools=defined(tools))},
            {"role": "user", "content": said},
        ]
        asked = [
            _Asked(by_name[call.name], call, fails[i], earlier_facts(messages, call)) for i, call in enumerate(calls)
        ]
        request = ChatRequest(prompt, _schema(asked), Sampling(), stage="tool", label=scene.key, draw=scene.draw)
        reply = await self.model.chat(request)
        return [dumps(reply.parsed[_key(i)]) for i in range(len(calls))]


def _key(i: int) -> str:
    return f"result_{i + 1}"


def _task(i: int, call: Call, fails: bool) -> str:
    order = ' This call fails: answer {"error": "..."} with what such a server would say of it.' if fails else ""
    return f"{_key(i)}: {dumps(call.to_json())}{order}"


@dataclass(frozen=True)
class _Asked:
    """A call to be answered: its tool, whether it is to fail, and what earlier results said of the thing it names."""

    tool: Tool
    call: Call
    fails: bool
    facts: Mapping[str, Any]


def _schema(asked: Sequence[_Asked]) -> AnswerSchema:
    members = {_key(i): _ERROR if one.fails else _returns(one.tool) for i, one in enumerate(asked)}
    return Narrowed(RESULTS, object_of(members)).judged_by(lambda value: _unfit(value, asked))


@remembered
def _returns(tool: Tool) -> dict[str, Any]:
    return sendable(tool.returns) or {"type": "object"}


def _unfit(value: Mapping[str, Any], asked: Sequence[_Asked]) -> str:
    """Why results cannot stand, in words that help to repair them; "" when they can."""
    keys = [_key(i) for i in range(len(asked))]
    if set(value) != set(keys):
        return f"the answer must have the members {', '.join(keys)}"
    for i, one in enumerate(asked):
        problem = _wrong(value[_key(i)], one)
        if problem:
            return f"{_key(i)}: {problem}"
    return ""


def _wrong(result: Any, asked: _Asked) -> str:
    is_error = isinstance(result, Mapping) and "error" in result
    if asked.fails:
        told = isinstance(result, Mapping) and list(result) == ["error"] and isinstance(result["error"], str)
        return "" if told and result["error"].strip() else 'this call fails: answer {"error": "..."}'
    if is_error and "error" not in (asked.tool.returns or {}).get("properties", {}):
        return "this call does not fail: answer what it returns"
    if result in (None, "", [], {}):
        return "the result is empty"
    if len(dumps(result)) > _RESULT_CHARACTERS:
        return f"the result is longer than {_RESULT_CHARACTERS} characters"
    return misfit(result, asked.tool.returns) or _other_thing(result, asked)


_IDS = frozenset(("id", "number", "code", "reference"))
# What a thing is known by: it does not change unless a call changes it. A status or a price may.
_LASTING = _IDS | {"name", "title", "email"}


def _other_thing(result: Any, asked: _Asked) -> str:
    """A result about another thing than the call names: what names it comes back as it was given, or as it was told
    before."""
    if not isinstance(result, Mapping):
        return ""
    given = {name: value for name, value in asked.call.arguments.items() if _last_word(name) in _IDS}
    known = {name: value for name, value in asked.facts.items() if _last_word(name) in _LASTING}
    for name, value in {**known, **given}.items():
        if name in result and isinstance(value, (str, int)) and str(result[name]) != str(value):
            source = "the call is about" if name in given else "an earlier result said"
            return f"{name} is {result[name]!r}, but {source} {value!r}"
    return ""


def _last_word(name: str) -> str:
    return words(name).split(" ")[-1]
