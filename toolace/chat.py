"""ChatModel: one small protocol for every role a language model plays, with its request, its reply and its failures.

A role writes a ChatRequest and awaits a ChatReply; who answers (`toolace.llm`, a test, a player without a network) is
not its concern. What goes wrong is a ChatError: the end of one dialog, never of the others. A ChatStopped says that
no later call can succeed either; `toolace.fan_out` then takes no new work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from toolace.structured import AnswerSchema


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn. None: as the settings say.

    Attributes:
        n: how many answers to one prompt are wanted (the votes of one decision).
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    n: int = 1


@dataclass(frozen=True)
class ChatRequest:
    """What is asked of a model.

    Attributes:
        messages: `{"role", "content"}` in order.
        schema: the JSON the answer must be; None for plain text.
        sampling: what differs from the settings.
        model: another model of the same server; "" for the settings' one.
        stage: which part of the work asks ("speciation", "user agent"): the journal sums its costs by it.
        label: what it is asked for, such as a dialog's id. Stage and label do not change what is asked.
        draw: number of the draw. Equal requests with equal draws are one request, asked once.
    """

    messages: Sequence[Mapping[str, str]]
    schema: AnswerSchema | None = None
    sampling: Sampling = field(default_factory=Sampling)
    model: str = ""
    stage: str = ""
    label: str = ""
    draw: int = 0


@dataclass(frozen=True)
class Usage:
    """Tokens of one or several calls, as the server counts them (or a quarter of the characters when it does not)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)


@dataclass(frozen=True)
class Choice:
    """One answer that passed every check.

    Attributes:
        text: the answer as written, without the thought.
        parsed: the JSON value, when a schema was given; None otherwise.
        thought: what a reasoning model wrote before the answer.
        finish_reason: the server's word for why it ends.
    """

    text: str
    parsed: Any = None
    thought: str = ""
    finish_reason: str = "stop"


@dataclass(frozen=True)
class ChatReply:
    """What came back; `text`, `parsed`, `thought` and `finish_reason` are those of the first choice.

    Attributes:
        choices: at least one, at most `sampling.n`: answers that failed the checks are left out.
        usage: tokens of all calls behind this reply, whether made now or in an earlier run.
        seconds: time the server took for them.
        reused: whether every one of them came from the journal.
        repeats: how often a bad answer was asked again.
    """

    choices: tuple[Choice, ...]
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    reused: bool = False
    repeats: int = 0

    @property
    def text(self) -> str:
        """The answer."""
        return self.choices[0].text

    @property
    def parsed(self) -> Any:
        """The answer as a JSON value; None when no schema was given."""
        return self.choices[0].parsed

    @property
    def thought(self) -> str:
        """What was thought before the answer."""
        return self.choices[0].thought

    @property
    def finish_reason(self) -> str:
        """Why the answer ends."""
        return self.choices[0].finish_reason


class ChatModel(Protocol):
    """Whoever answers."""

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Answers.

        Raises:
            BadAnswer: no usable answer, also after asking again.
            CallFailed: the server did not answer.
            ChatStopped: this call and all later ones cannot be made (budget spent, access refused).
        """
        ...


class ChatError(Exception):
    """A request that has no reply."""


class BadAnswer(ChatError):
    """The model answered and the answer cannot be used.

    Args:
        reason: empty, truncated, filtered, not_json, schema, refused_by_check or too_long.
        detail: what is wrong, in one line.
        text: the last answer, as the model wrote it.
        usage: the tokens it cost all the same.
    """

    def __init__(self, reason: str, detail: str, text: str, usage: Usage) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.text, self.usage = reason, detail, text, usage


class CallFailed(ChatError):
    """The server refused this request, or kept failing.

    Args:
        what: what happened and what to do about it, in one line.
        status: HTTP status, 0 when there was no answer at all.
        body: start of what the server said.
        outage: whether the server or the network is at fault and not the request: asked another day, it may be
            answered. What failed so has not ended.
    """

    def __init__(self, what: str, status: int = 0, body: str = "", *, outage: bool = False) -> None:
        super().__init__(" ".join(what.split()))
        self.status, self.body, self.outage = status, body, outage


class ChatStopped(ChatError):
    """No later call can succeed either: whoever hands out work should stop."""


class BudgetSpent(ChatStopped):
    """The recipe's limit of calls, tokens or money is reached; calls in flight are still finished."""
