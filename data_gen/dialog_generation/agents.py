"""The three agents of a dialog behind one protocol each (paper, Sec. 2.2), and what they know of the dialog they play.

Every agent has two players: `llm_user`, `llm_assistant` and `llm_tool` ask a language model, `offline_players` draws
from schemas. A player keeps nothing between two turns: what it says follows from the scene and the messages so far, so
that a dialog that was interrupted is played again word for word from the journal.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from toolace import Call, Message, Tool
from toolace.rows import dumps

# What a user turn is after. The first four lead to calls.
CALLING = ("single", "parallel", "dependent", "withheld")


@dataclass(frozen=True)
class Aim:
    """What one user turn is after.

    Attributes:
        kind: single, parallel, dependent; withheld (a required value is given when asked for) and, without calls,
            missing (it is never given), irrelevant (no candidate fits), no_tools, chat.
        tools: the tools of the calls wanted, in order: a tool twice means two calls of it. For irrelevant and no_tools
            the tool that is not on offer.
        left_out: the required parameter of `tools[0]` that the request leaves out.
        link: for dependent, (member of the first tool's result, parameter of the second that takes it); may be empty.
    """

    kind: str
    tools: tuple[Tool, ...] = ()
    left_out: str = ""
    link: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Scene:
    """What a dialog is to be, drawn before anyone speaks. Players are told parts of it; rows hold nothing of it.

    Attributes:
        number: place in the run, from 0.
        tools: candidates, in the order in which the assistant is shown them.
        aims: one for each user turn.
        persona, manner: who the user is and how they write.
        results: whether the last calls get results and a summary; otherwise the dialog ends with the calls.
        errors: share of tool results that are errors.
        level: 0; above: harder, below: simpler, as self-guidance asks.
        spare: tools near the candidates that harder levels add.
        attempt: how often it was tried before.
        meta: goes into the row.
    """

    number: int
    id: str
    type: str
    tools: tuple[Tool, ...]
    aims: tuple[Aim, ...]
    persona: str = ""
    manner: str = ""
    results: bool = True
    errors: float = 0.0
    level: int = 0
    spare: tuple[Tool, ...] = ()
    attempt: int = 0
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Tells the scenes of a run apart, levels included."""
        return self.id if not self.level else f"{self.id}@{self.level:+d}"

    @property
    def draw(self) -> int:
        """Number of the draw for a model's requests: two dialogs, or two attempts, are never given one answer."""
        return self.number * 64 + self.attempt

    def rng(self, *parts: object) -> random.Random:
        """A generator for one decision of a player: the same whenever it is asked for."""
        return random.Random(f"{self.meta.get('seed')}/{self.key}/{self.attempt}/{'/'.join(map(str, parts))}")


@dataclass(frozen=True)
class Wish:
    """A user turn, and what its writer has in mind. Offline assistants read it; others see the text only.

    Attributes:
        text: what the user says.
        steps: the calls that answer it, one assistant turn after another; empty when they are not known.
        question: the required parameter that must be asked for first; "" for none.
        answer: for chat, what there is to say.
        reply: what the user will say when asked for the parameter.
    """

    text: str
    steps: tuple[tuple[Call, ...], ...] = ()
    question: str = ""
    answer: str = ""
    reply: str = ""


@dataclass(frozen=True)
class Decision:
    """An assistant turn.

    Attributes:
        action: call, ask, summarise or answer (the paper's four).
        calls: for call.
        text: for the others.
        share: of the samples that made this decision, 0 to 1.
    """

    action: str
    calls: tuple[Call, ...] = ()
    text: str = ""
    share: float = 1.0


class UserAgent(Protocol):
    """Asks, goes on asking, and answers questions."""

    async def ask(self, scene: Scene, aim: Aim, messages: Sequence[Message]) -> Wish:
        """The next request; `messages` is empty for the first.

        Raises:
            Rejected: this player cannot ask for it.
            ChatError: its model has no answer.
        """
        ...

    async def reply(self, scene: Scene, aim: Aim, wish: Wish, messages: Sequence[Message]) -> str:
        """The answer to the assistant's question, the last message. Raises as `ask` does."""
        ...


class AssistantAgent(Protocol):
    """Decides and speaks."""

    async def decide(self, scene: Scene, aim: Aim, wish: Wish, messages: Sequence[Message]) -> Decision:
        """What to do after the last message, a user's or a tool's. Raises as `UserAgent.ask` does."""
        ...


class ToolAgent(Protocol):
    """Pretends to execute."""

    async def answer(self, scene: Scene, messages: Sequence[Message], calls: Sequence[Call]) -> list[str]:
        """Results of the calls, in order, as JSON text; `messages` ends before the calls. Raises as `ask` does."""
        ...


@dataclass(frozen=True)
class Cast:
    """Who plays."""

    user: UserAgent
    assistant: AssistantAgent
    tool: ToolAgent


class Rejected(Exception):
    """A dialog that cannot be kept; the caller writes it down with its reason. Never leaves this package.

    Attributes:
        rule: what it fell to, such as `votes.disagree` or a rule of verification.
        evidence: what was found.
        where: the place in the dialog.
    """

    def __init__(self, rule: str, evidence: str, where: str = "") -> None:
        super().__init__(f"{rule}: {evidence}")
        self.rule, self.evidence, self.where = rule, evidence, where


def transcript(messages: Sequence[Message]) -> str:
    """A dialog as text, a message a line, for prompts."""
    return "\n".join(map(_line, messages)) or "(nothing was said yet)"


def _line(message: Message) -> str:
    if message.calls:
        return f"ASSISTANT CALLS: {dumps([call.to_json() for call in message.calls])}"
    name = f" {message.name}" if message.role == "tool" else ""
    return f"{message.role.upper()}{name}: {message.content}"
