"""The offline players behind the agents' protocols: values and words from schemas and seeds, no model, no network.

Each draws from a generator of its scene and place, so that it says the same when a dialog is played again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_gen.dialog_generation.agents import Aim, Decision, Rejected, Scene, Wish
from data_gen.dialog_generation.assistant import OfflineAssistant
from data_gen.dialog_generation.facts import earlier_facts, objects, parsed
from data_gen.dialog_generation.kinds import chat
from data_gen.dialog_generation.phrases import phrases_of
from data_gen.dialog_generation.tool import OfflineTool
from data_gen.dialog_generation.user import OfflineUser, noun_of
from data_gen.dialog_generation.values import NoValue
from toolace import Call, Message, Tool

# Stands for a value that only an earlier result gives.
FROM_RESULT = "\0result"
_SUGGESTED = 6


class OfflineUserPlayer:
    """Draws requests from schemas and seeds."""

    def __init__(self, optional_share: float) -> None:
        """Optional parameters are given with the probability `optional_share`."""
        self.optional_share = optional_share

    async def ask(self, scene: Scene, aim: Aim, messages: Sequence[Message]) -> Wish:
        """The next request; Rejected when values or words for it cannot be drawn."""
        try:
            return self._wish(scene, aim, len(messages))
        except (NoValue, IndexError) as error:
            names = ", ".join(tool.name for tool in aim.tools)
            raise Rejected("offline.no_value", f"the offline user cannot ask for {names} ({error})") from None

    async def reply(self, scene: Scene, aim: Aim, wish: Wish, messages: Sequence[Message]) -> str:
        """What was left out; Rejected when nothing was."""
        if not wish.reply:
            raise Rejected("offline.no_reply", f"asked {messages[-1].content[:80]!r}, and everything was said")
        return wish.reply

    def _wish(self, scene: Scene, aim: Aim, place: int) -> Wish:
        rng = scene.rng("user", place)
        user = OfflineUser(rng, self.optional_share, scene.level)
        if aim.kind == "chat":
            said, answered = chat(rng)
            return Wish(said, answer=answered)
        if aim.kind in ("withheld", "missing"):
            text, reply, call = user.ask_without(aim.tools[0], aim.left_out)
            steps = ((call,),) if aim.kind == "withheld" else ()
            return Wish(text, steps, aim.left_out, reply=reply if steps else "")
        if aim.kind == "dependent":
            return self._dependent(user, aim)
        one_tool = len({tool.name for tool in aim.tools}) == 1
        if len(aim.tools) > 1:
            request = user.ask_same(aim.tools[0], len(aim.tools)) if one_tool else user.ask_several(aim.tools)
        else:
            request = user.ask_one(aim.tools[0])
        return Wish(request.text, (request.calls,) if aim.kind in ("single", "parallel") else ())

    @staticmethod
    def _dependent(user: OfflineUser, aim: Aim) -> Wish:
        first, second = aim.tools[:2]
        member, parameter = aim.link
        if not member or parameter not in phrases_of(second).specs:
            raise NoValue(parameter)
        text, one, others = user.ask_then(first, second, parameter, noun_of(parameter))
        names = [name for name in second.properties if name == parameter or name in others]
        two = Call(second.name, {name: FROM_RESULT + member if name == parameter else others[name] for name in names})
        return Wish(text, ((one,), (two,)))


class OfflineAssistantPlayer:
    """Makes the calls that the user has in mind; it cannot read, so the wish must say them."""

    async def decide(self, scene: Scene, aim: Aim, wish: Wish, messages: Sequence[Message]) -> Decision:
        """The next of the wish's steps, or the words of the other three actions."""
        agent = OfflineAssistant(scene.rng("assistant", len(messages)))
        turn = _turn(messages)
        made = [message for message in turn if message.calls]
        if len(made) < len(wish.steps):
            asked_back = any(message.role == "assistant" and not message.calls for message in turn)
            if wish.question and not asked_back:
                return Decision("ask", text=agent.ask_for(aim.tools[0], [wish.question]))
            return Decision("call", tuple(_filled(call, turn) for call in wish.steps[len(made)]))
        if made:
            results = [(message.name or "", message.content) for message in turn if message.role == "tool"]
            return Decision("summarise", text=agent.summarise(results[-len(made[-1].calls) :]))
        if wish.question:
            return Decision("ask", text=agent.ask_for(aim.tools[0], [wish.question]))
        return Decision("answer", text=wish.answer or agent.decline(scene.tools))


class OfflineToolPlayer:
    """Draws results from return schemas; what an earlier result said of the same thing is said again."""

    async def answer(self, scene: Scene, messages: Sequence[Message], calls: Sequence[Call]) -> list[str]:
        """One result a call; Rejected for a return schema that nothing can be drawn for."""
        by_name = {tool.name: tool for tool in scene.tools}
        texts = []
        for i, call in enumerate(calls):
            tool = OfflineTool(scene.rng("tool", len(messages), i), scene.errors)
            known = earlier_facts(messages, call)
            try:
                texts.append(tool.answer(by_name[call.name], call, known=known))
            except NoValue as error:
                evidence = f"the offline tool cannot answer {call.name} ({error})"
                raise Rejected("offline.no_value", evidence) from None
        return texts


def suggestions(tool: Tool, scene: Scene, place: int, optional_share: float) -> dict[str, Any]:
    """Values that a model may use in a request: models left alone ask for the same few cities again and again."""
    rng = scene.rng("values", tool.name, place)
    user = OfflineUser(rng, optional_share)
    # Only the everyday documents say more of their values than the schema does.
    specs = {**tool.properties, **(phrases_of(tool).specs if tool.id.startswith("everyday:") else {})}
    optional = [name for name in tool.properties if name not in tool.required and rng.random() < optional_share]
    drawn: dict[str, Any] = {}
    for name in [*tool.required, *optional][:_SUGGESTED]:
        try:
            drawn[name] = user.value(specs.get(name, {}), name).argument
        except NoValue:
            continue
    return drawn


def _turn(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages since the last request: an answer to a question of the assistant's is no new request."""
    start = 0
    for i, message in enumerate(messages):
        if message.role == "user" and (i == 0 or not _asked(messages, i)):
            start = i
    return messages[start:]


def _asked(messages: Sequence[Message], at: int) -> bool:
    """Whether the user turn at `at` answers a question: words of the assistant that follow no result."""
    return messages[at - 1].role == "assistant" and at >= 2 and messages[at - 2].role == "user"


def _filled(call: Call, turn: Sequence[Message]) -> Call:
    """The call with values out of the results of its turn."""
    arguments = {name: _from_results(value, turn) for name, value in call.arguments.items()}
    return Call(call.name, arguments)


def _from_results(value: Any, turn: Sequence[Message]) -> Any:
    if not (isinstance(value, str) and value.startswith(FROM_RESULT)):
        return value
    member = value.removeprefix(FROM_RESULT)
    for message in reversed(turn):
        for thing in objects(parsed(message.content)) if message.role == "tool" else ():
            if isinstance(thing.get(member), (str, int)):
                return thing[member]
    raise Rejected("offline.no_value", f"no result says {member!r}")
