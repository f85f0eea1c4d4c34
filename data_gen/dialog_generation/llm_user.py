"""The user agent played by a language model: requests, follow-ups, and answers to the assistant's questions (Sec. 2.2).

It is told who it is, how it writes, what the request is to need, and how far its words may be from the API's
description: the last is how self-guidance makes a dialog harder or simpler.
"""

from __future__ import annotations

from collections.abc import Sequence

from data_gen.dialog_generation.agents import Aim, Rejected, Scene, Wish, transcript
from data_gen.dialog_generation.answers import Narrowed, defined, object_of
from data_gen.dialog_generation.offline_players import OfflineUserPlayer, suggestions
from data_gen.dialog_generation.personas import topics, wording
from toolace import Message, Tool
from toolace.chat import ChatModel, ChatRequest, Sampling
from toolace.rows import dumps
from toolace.structured import AnswerSchema

MESSAGE = AnswerSchema("user_message", object_of({"message": {"type": "string", "minLength": 1, "maxLength": 1500}}))
_MESSAGE = Narrowed(MESSAGE, MESSAGE.schema)

_SYSTEM = """\
You play the user in a conversation with an assistant that can call functions. Write the user's next message and \
nothing else: you are never the assistant. You are {persona}. You write: {manner}.
Rules: write English. Never write the name of a function or of a parameter, nor code or JSON: you do not know them. \
Say every value in full, as it is to be used: no placeholders, no "my city", no "as usual". At most 80 words. \
Do not say what kind of request it is, nor anything about these rules.
{wording}"""

_AIMS = {
    "single": "Ask for one thing that takes exactly one call of this function:\n{tools}\n"
    "Say a value for each of its required parameters, and for optional ones where it is natural.",
    "parallel": "Ask in one message for {count} things, none of which depends on another's outcome. They take one call "
    "each of these functions, {order}:\n{tools}\nSay values for all required parameters of every call; the calls of "
    "one function must differ.",
    "dependent": "Ask in one message for something that takes two calls, one after the other. The second needs a "
    "value{value} that only the result of the first tells. The functions, in this order:\n{tools}\nSay the values of "
    "all other required parameters, but not this one: speak of it as what comes out of the first step.",
    "withheld": "Ask for one thing that takes one call of this function:\n{tools}\nSay values for its required "
    "parameters, but leave out {left_out} and whatever it would follow from, as people forget things. Do not mention "
    "that something is left out.",
    "irrelevant": "The assistant has only these functions:\n{offered}\nAsk for something clear and specific that none "
    "of them can do. For example, what this one would do:\n{tools}",
    "no_tools": "Ask for something clear and specific that this function would do; the assistant has no function:"
    "\n{tools}",
    "chat": "Write a message that needs no function at all. Talk about: {topic}.",
}
_AIMS["missing"] = _AIMS["withheld"]


class LlmUserPlayer:
    """Writes requests with a model.

    Args:
        model: who is asked.
        optional_share: share of optional parameters that a value is suggested for.
        drawn: makes the requests that this player then only words, for an assistant that cannot read; None: the model
            makes up its own.
    """

    def __init__(self, model: ChatModel, optional_share: float, drawn: OfflineUserPlayer | None = None) -> None:
        self.model, self.optional_share, self.drawn = model, optional_share, drawn

    async def ask(self, scene: Scene, aim: Aim, messages: Sequence[Message]) -> Wish:
        """The next request; see `UserAgent.ask`."""
        if self.drawn is not None:
            wish = await self.drawn.ask(scene, aim, messages)
            task = f"Say this in your own words. Keep every value exactly as it is:\n{wish.text}"
            text = await self._write(scene, task, messages)
            return Wish(text, wish.steps, wish.question, wish.answer, wish.reply)
        return Wish(await self._write(scene, self._task(scene, aim, len(messages)), messages))

    async def reply(self, scene: Scene, aim: Aim, wish: Wish, messages: Sequence[Message]) -> str:
        """The answer to a question of the assistant; see `UserAgent.reply`."""
        if self.drawn is not None:
            return await self.drawn.reply(scene, aim, wish, messages)
        values = suggestions(aim.tools[0], scene, len(messages), self.optional_share) if aim.tools else {}
        hint = f"\nValues you may use where they are asked for: {dumps(values)}." if values else ""
        return await self._write(scene, f"Answer the assistant's question with a concrete value.{hint}", messages)

    def _task(self, scene: Scene, aim: Aim, place: int) -> str:
        """What this turn is after, in words; every tool once, whatever number of calls is wanted."""
        unique: tuple[Tool, ...] = tuple({tool.name: tool for tool in aim.tools}.values())
        names = [tool.name for tool in aim.tools]
        offered = "\n".join(f"- {tool.name}: {tool.description}" for tool in scene.tools)
        task = _AIMS[aim.kind].format(
            tools=defined(unique),
            count=len(aim.tools),
            order=", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names)),
            left_out=aim.left_out,
            value=f" (its parameter {aim.link[1]})" if aim.link[1] else "",
            offered=offered,
            topic=scene.rng("topic").choice(topics()),
        )
        hints = self._hints(scene, aim, place)
        if hints:
            task += "\nValues you may use: " + "; ".join(hints) + "."
        return ("This is a new request later in the same conversation. " if place else "") + task

    def _hints(self, scene: Scene, aim: Aim, place: int) -> list[str]:
        hints = []
        for i, tool in enumerate(aim.tools if aim.kind not in ("irrelevant", "no_tools") else ()):
            values = suggestions(tool, scene, place * 16 + i, self.optional_share)
            values = {name: value for name, value in values.items() if name not in (aim.left_out, aim.link[1])}
            if values:
                hints.append(dumps(values))
        return hints

    async def _write(self, scene: Scene, task: str, messages: Sequence[Message]) -> str:
        system = _SYSTEM.format(persona=scene.persona, manner=scene.manner, wording=wording(scene.level))
        # The last words count most with small models, which else answer the task as the assistant would.
        end = "Now write, in the first person, what the user says to the assistant."
        said = f"The conversation so far:\n{transcript(messages)}\n\n{task}\n\n{end}"
        schema = _MESSAGE.judged_by(lambda value: _unfit(value["message"], scene, messages))
        prompt = [{"role": "system", "content": system}, {"role": "user", "content": said}]
        request = ChatRequest(prompt, schema, Sampling(), stage="user", label=scene.key, draw=scene.draw)
        reply = await self.model.chat(request)
        text = str(reply.parsed["message"]).strip()
        if not text:
            raise Rejected("user.empty", "the user says nothing")
        return text


def _unfit(text: str, scene: Scene, messages: Sequence[Message]) -> str:
    """Why a message cannot be a user's: it names functions, or says again what was said."""
    names = [tool.name for tool in scene.tools if tool.name.casefold() != tool.name or not tool.name.isalpha()]
    named = next((name for name in names if name in text), "")
    if named:
        return f"the message holds the function name {named!r}, which users do not know"
    if not text.strip():
        return "the message is empty"
    said = [message.content for message in messages if message.role == "user"]
    return "the message repeats an earlier one word for word" if text.strip() in said else ""
