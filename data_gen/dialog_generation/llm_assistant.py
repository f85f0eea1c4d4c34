"""The assistant agent played by a language model: structured thinking, four actions, and a vote on every decision.

Each decision is drawn several times and kept where the samples agree on the action, the functions and their arguments
(paper, Sec. 2.2); what is below the wanted share is for the caller to drop or to mask.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from data_gen.dialog_generation.agents import Aim, Decision, Scene, Wish, transcript
from data_gen.dialog_generation.answers import Narrowed, defined, misfit, object_of, sendable
from data_gen.verification.identity import remembered
from toolace import Call, Message, Tool
from toolace.chat import ChatModel, ChatRequest, Sampling
from toolace.structured import AnswerSchema

ACTIONS = ("call", "ask", "summarise", "answer")
_ORDERS = ("none", "one", "parallel", "dependent")
_NAMES = {"type": "array", "items": {"type": "string"}}


def _decision(calls: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a decision: the thinking first, since a model thinks in the order in which it writes."""
    thinking = object_of(
        {
            "tool_needed": {"type": "boolean"},
            "tools": _NAMES,
            "required_missing": _NAMES,
            "optional_given": _NAMES,
            "order": {"enum": list(_ORDERS)},
        }
    )
    actions = {"enum": list(ACTIONS)}
    return object_of({"thinking": thinking, "action": actions, "calls": dict(calls), "reply": {"type": "string"}})


_ANY_CALL = {"type": "array", "items": object_of({"name": {"type": "string"}, "arguments": {"type": "object"}})}
DECISION = AnswerSchema("assistant_decision", _decision(_ANY_CALL))

_SYSTEM = """\
You are an assistant that helps a user by calling functions. You decide one step at a time. The functions:
{tools}

First think: is a function needed (tool_needed), which (tools), which required parameters have no value yet \
(required_missing), which optional ones does the user give (optional_given), and do the calls stand alone, several at \
once, or does one need another's result (order: none, one, parallel, dependent)? Then choose one action:
- call: make the calls that can be made now; calls that do not need each other's results go together. A call that \
needs a result waits for it. "reply" is empty.
- ask: a required value was not said: ask for it in one short question. Never make a value up. "calls" is empty.
- summarise: the results are there: tell the user in plain words what they say. "calls" is empty.
- answer: no function is needed, or none fits: answer, or say in one sentence that no function fits and what those \
there are for. "calls" is empty.
Arguments hold only what the user or a result said, in the types of the definitions. Optional parameters that nobody \
spoke of are left out. After an error call again only when that can help; otherwise tell the user what went wrong."""


class LlmAssistantPlayer:
    """Decides with a model, `samples` times a decision."""

    def __init__(self, model: ChatModel, samples: int) -> None:
        self.model, self.samples = model, samples

    async def decide(self, scene: Scene, aim: Aim, wish: Wish, messages: Sequence[Message]) -> Decision:
        """The decision most samples make, with their share of all that were wanted; see `AssistantAgent.decide`."""
        prompt = [
            {"role": "system", "content": _SYSTEM.format(tools=defined(scene.tools))},
            {"role": "user", "content": f"The conversation so far:\n{transcript(messages)}\n\nDecide the next step."},
        ]
        sampling = Sampling(n=self.samples)
        request = ChatRequest(
            prompt, _schema(scene.tools, messages), sampling, stage="assistant", label=scene.key, draw=scene.draw
        )
        reply = await self.model.chat(request)
        return vote([_read(choice.parsed) for choice in reply.choices], self.samples)


def vote(decisions: Sequence[Decision], samples: int) -> Decision:
    """The most frequent decision, as its first maker words it; samples that gave no usable answer agree with nobody."""
    keys = [_what(decision) for decision in decisions]
    key, count = Counter(keys).most_common(1)[0]
    chosen = decisions[keys.index(key)]
    return Decision(chosen.action, chosen.calls, chosen.text, count / samples)


def _what(decision: Decision) -> str:
    """What samples must agree on: the action and, in any order, the calls. The words of a reply may differ."""
    calls = sorted(json.dumps([call.name, _canonical(call.arguments)], sort_keys=True) for call in decision.calls)
    return json.dumps([decision.action, calls])


def _canonical(value: Any) -> Any:
    """Equal values look equal: 5 and 5.0, and text without the spaces around it."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.strip() if isinstance(value, str) else value


def _read(parsed: Mapping[str, Any]) -> Decision:
    action = parsed["action"]
    if action != "call":
        return Decision(action, text=parsed["reply"].strip())
    return Decision(action, tuple(Call(call["name"], dict(call["arguments"])) for call in parsed["calls"]))


def _schema(tools: tuple[Tool, ...], messages: Sequence[Message]) -> AnswerSchema:
    return _narrowed(tools).judged_by(lambda value: _unfit(value, tools, messages))


@remembered
def _narrowed(tools: tuple[Tool, ...]) -> Narrowed:
    one_of = [object_of({"name": {"const": tool.name}, "arguments": sendable(tool.parameters)}) for tool in tools]
    calls = {"type": "array", "items": {"anyOf": one_of}} if tools else {"type": "array", "maxItems": 0}
    return Narrowed(DECISION, _decision(calls))


def _unfit(value: Mapping[str, Any], tools: Sequence[Tool], messages: Sequence[Message]) -> str:
    """Why a decision cannot be carried out, in words that help to repair it; "" when it can."""
    action, calls = value["action"], value["calls"]
    if action != "call":
        if calls:
            return f'the action is {action!r}, but "calls" is not empty'
        if not value["reply"].strip():
            return f'the action is {action!r}, but "reply" is empty'
        if action == "summarise" and messages[-1].role != "tool":
            return "there is no result to summarise"
        return ""
    if not calls:
        return 'the action is "call", but "calls" is empty'
    by_name = {tool.name: tool for tool in tools}
    done = _done(messages)
    for i, call in enumerate(calls):
        tool = by_name.get(call["name"])
        if tool is None:
            return f"there is no function {call['name']!r}; there are: {', '.join(by_name) or 'none'}"
        unknown = [name for name in call["arguments"] if tool.properties and name not in tool.properties]
        if unknown:
            return f"{tool.name} has no parameter {unknown[0]!r}"
        problem = misfit(call["arguments"], tool.parameters)
        if problem:
            return f"arguments of {tool.name}: {problem}"
        if call in calls[:i]:
            return f"the same call of {tool.name} twice"
        if _what(Decision("call", (Call(call["name"], call["arguments"]),))) in done:
            return f"this call of {tool.name} was made before, and its result is there"
    return ""


def _done(messages: Sequence[Message]) -> set[str]:
    """Calls of this conversation that got a result other than an error, since the last request."""
    done: set[str] = set()
    for i, message in enumerate(messages):
        if message.role == "user":
            done.clear()
        for j, call in enumerate(message.calls):
            result = messages[i + 1 + j].content if i + 1 + j < len(messages) else ""
            if not result.startswith('{"error":'):
                done.add(_what(Decision("call", (call,))))
    return done
