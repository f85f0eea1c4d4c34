"""Plays one dialog: user, assistant and tool in turn until the target number of requests is reached (paper, Sec. 2.2).

What comes out has passed the rule layer and is what its scene asked for, or it is Rejected with the reason.
"""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from dataclasses import dataclass

from data_gen.dialog_generation.agents import CALLING, Aim, Cast, Decision, Rejected, Scene, Wish
from data_gen.dialog_generation.player_settings import AgentSettings
from data_gen.verification.rules import check
from toolace import Dialog, Message
from toolace.chat import BadAnswer, ChatModel, ChatReply, ChatRequest, Usage
from toolace.dialogs import number_calls

# our choice: an assistant that has not come to an end after as many steps, or questions, does not come to one.
MOST_STEPS = 8
MOST_QUESTIONS = 2


@dataclass
class Cost:
    """What a dialog's model calls came to, whether they were made now or found in the journal."""

    calls: int = 0
    tokens: int = 0


_cost: contextvars.ContextVar[Cost | None] = contextvars.ContextVar("cost", default=None)


class Counted:
    """A ChatModel that adds what each reply cost to the dialog in whose task it is asked.

    Args:
        model: who answers.
        repeats: how often it asks again before a bad answer is an error.
    """

    def __init__(self, model: ChatModel, repeats: int) -> None:
        self.model, self.repeats = model, repeats

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Answers as the model does."""
        try:
            reply = await self.model.chat(request)
        except BadAnswer as error:
            _add(1 + self.repeats, error.usage)
            raise
        _add(1 + reply.repeats, reply.usage)
        return reply


def _add(calls: int, usage: Usage) -> None:
    cost = _cost.get()
    if cost is not None:
        cost.calls += calls
        cost.tokens += usage.tokens


class _Dropped(Exception):
    """The samples of a decision did not agree and the turn is not to be kept."""


class Conversation:
    """One dialog in the making.

    Args:
        scene: what it is to be.
        cast: who plays.
        settings: what becomes of decisions that the samples do not agree on.

    Attributes:
        messages: what was said so far; what there is when the dialog is rejected.
        turns: requests that were answered.
    """

    def __init__(self, scene: Scene, cast: Cast, settings: AgentSettings) -> None:
        self.scene, self.cast, self.settings = scene, cast, settings
        self.messages: list[Message] = []
        self.masked: list[int] = []
        self.shares: list[float] = []
        self.turns = 0
        self.cost = Cost()

    async def play(self) -> Dialog:
        """The finished dialog.

        Raises:
            Rejected: it is not what the scene asks for, or broke a rule.
            ChatError: a model did not answer; ChatStopped when no later call can succeed either.
        """
        _cost.set(self.cost)
        for number, aim in enumerate(self.scene.aims):
            start = len(self.messages), len(self.shares), len(self.masked)
            try:
                await self._turn(aim, is_last=number == len(self.scene.aims) - 1)
            except _Dropped as dropped:
                if not start[0]:
                    raise Rejected("votes.disagree", str(dropped), f"messages[{len(self.messages)}]") from None
                self._cut(*start)
                break
            self.turns += 1
        dialog = self.dialog()
        verdict = check(dialog)
        if not verdict.kept:
            raise Rejected(verdict.rule, verdict.evidence, verdict.where)
        return dialog

    def dialog(self) -> Dialog:
        """What there is so far, as a row."""
        scene = self.scene
        meta = {**scene.meta, "cost": {"calls": self.cost.calls, "tokens": self.cost.tokens}}
        if self.settings.assistant == "llm":
            meta["votes"] = [round(share, 3) for share in self.shares]
        if self.masked:
            meta["masked"] = list(self.masked)
        if scene.level:
            meta["level"] = scene.level
        return Dialog(scene.id, scene.type, scene.tools, number_calls(self.messages), meta)

    def _cut(self, messages: int, shares: int, masked: int) -> None:
        """Takes back a turn. What is before it ends with words of the assistant, so it can stand alone."""
        del self.messages[messages:], self.shares[shares:], self.masked[masked:]

    async def _turn(self, aim: Aim, is_last: bool) -> None:
        """One request and everything until it is answered."""
        scene, cast, messages = self.scene, self.cast, self.messages
        wish = await cast.user.ask(scene, aim, messages)
        messages.append(Message("user", wish.text))
        start, questions = len(messages), 0
        for _ in range(MOST_STEPS):
            decision = self._voted(await cast.assistant.decide(scene, aim, wish, messages))
            self._expected(aim, decision, messages[start:])
            if decision.calls:
                messages.append(Message("assistant", calls=decision.calls))
                if is_last and not scene.results and self._is_answered(aim, messages[start:]):
                    return
                results = await cast.tool.answer(scene, messages[:-1], decision.calls)
                pairs = zip(decision.calls, results, strict=True)
                messages.extend(Message("tool", content, name=call.name) for call, content in pairs)
                continue
            messages.append(Message("assistant", decision.text))
            if not await self._asked_back(aim, wish, decision, questions):
                return
            questions += 1
        raise Rejected("dialog.endless", f"no answer after {MOST_STEPS} steps", f"messages[{start - 1}]")

    async def _asked_back(self, aim: Aim, wish: Wish, decision: Decision, questions: int) -> bool:
        """Whether the assistant asked and the user answered; a missing value stays missing."""
        if decision.action != "ask" or aim.kind == "missing":
            return False
        if questions == MOST_QUESTIONS:
            raise Rejected("dialog.endless", f"the assistant asks more than {MOST_QUESTIONS} times")
        self.messages.append(Message("user", await self.cast.user.reply(self.scene, aim, wish, self.messages)))
        return True

    def _voted(self, decision: Decision) -> Decision:
        """Below the wanted agreement the turn is dropped, or its message masked."""
        if decision.share < self.settings.agreement - 1e-9:
            if self.settings.disagreement == "drop":
                wanted = f"{self.settings.agreement:.0%} of {self.settings.samples}"
                raise _Dropped(f"{decision.share:.0%} of the samples agree on {decision.action}, wanted {wanted}")
            self.masked.append(len(self.messages))
        self.shares.append(decision.share)
        return decision

    def _expected(self, aim: Aim, decision: Decision, turn: Sequence[Message]) -> None:
        """Rejects at once what can no longer become the dialog that is wanted: every further call costs."""
        where = f"messages[{len(self.messages)}]"
        if decision.calls and aim.kind not in CALLING:
            names = ", ".join(call.name for call in decision.calls)
            raise Rejected("aim.called", f"a request of kind {aim.kind} was answered by calling {names}", where)
        if decision.action == "answer" and aim.kind in CALLING and not any(message.calls for message in turn):
            raise Rejected("aim.no_call", f"a request of kind {aim.kind} was answered without a call", where)
        if decision.action == "ask" and aim.kind in ("irrelevant", "no_tools", "chat"):
            raise Rejected("aim.asked", f"a request of kind {aim.kind} was answered by a question", where)

    @staticmethod
    def _is_answered(aim: Aim, turn: Sequence[Message]) -> bool:
        """Whether the calls of a turn are all there."""
        return sum(bool(message.calls) for message in turn) >= (2 if aim.kind == "dependent" else 1)
