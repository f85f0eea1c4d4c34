"""Ask, Answer, Dialog: how a benchmark talks to any model, and how many dialogs are led at once.

A dialog is a generator: it yields what is asked, is sent the answer, and returns the row that the result file gets. So
the same dialogs are led by a model that answers in batches and by a server that answers hundreds at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar

Message = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Ask:
    """One question to a model.

    Attributes:
        messages: the conversation so far.
        tools: OpenAI `tools` for native calls; None in prompting mode, where functions are in the messages.
    """

    messages: Sequence[Message]
    tools: Sequence[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes:
        index: place of the question in the list that was asked.
        text: the answer without the token that ends the turn.
        input_tokens, output_tokens: lengths in tokens; the end-of-turn token counts as output.
        seconds: time of the answer; in batches the batch's time divided by its size.
        complete: False when the limit of new tokens cut the answer off.
        calls: native calls, `{"id", "name", "arguments": JSON text}`; None when there are none.
    """

    index: int
    text: str
    input_tokens: int
    output_tokens: int
    seconds: float
    complete: bool
    calls: Sequence[dict[str, str]] | None = None


Dialog = Generator[Ask, Answer, T]


class AnswerModel(Protocol):
    """Anything that can lead dialogs; greedy, or nearly so."""

    def lead(self, dialogs: Iterable[Dialog[T]], max_new_tokens: int, at_once: int | None = None) -> Iterator[list[T]]:
        """Leads dialogs to their ends and yields what they return, as they are done, in any order.

        Args:
            dialogs: generators that have not been started.
            max_new_tokens: longest single answer.
            at_once: most dialogs that are open at a time; None: as many as the model likes.
        """
        ...


def lead_in_rounds(
    answer: Callable[[Sequence[Ask]], Iterable[list[Answer]]], dialogs: Iterable[Dialog[T]], at_once: int | None
) -> Iterator[list[T]]:
    """Leads dialogs with a model that answers lists: in each round every open dialog is asked once.

    A dialog that ends makes room for the next, so that few are lost when the run is killed and rounds stay full.
    """
    waiting = iter(dialogs)
    open_: list[tuple[Dialog[T], Ask]] = []
    while True:
        room = None if at_once is None else at_once - len(open_)
        open_ += [(dialog, next(dialog)) for dialog in islice(waiting, room)]
        if not open_:
            return
        going = []
        for batch in answer([ask for _, ask in open_]):
            ended = []
            for reply in batch:
                dialog = open_[reply.index][0]
                try:
                    going.append((dialog, dialog.send(reply)))
                except StopIteration as stop:
                    ended.append(stop.value)
            if ended:
                yield ended
        open_ = going
