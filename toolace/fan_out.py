"""run_all: much work at once, of which no piece can take another down, and which ends cleanly when it has to.

outcomes = run_all(rows, make_dialog, concurrency=100, progress=Progress("dialogs", len(rows), model.meter))
async for outcome in outcomes:
    ...  # outcome.value, or outcome.error
if outcomes.stopped:
    ...  # "interrupted", or why no call can be made: what is not done is done by the next run
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from toolace.chat import ChatStopped

if TYPE_CHECKING:
    from tqdm import tqdm

    from toolace.chat_limits import Meter

Item = TypeVar("Item")
Value = TypeVar("Value")

# Outcomes that may wait to be taken, for each piece of work at a time: a slow reader, or one slow piece before which
# the others are held back for order, then slows the work down instead of filling the memory.
_HELD = 20


@dataclass(frozen=True)
class Outcome(Generic[Item, Value]):
    """What became of one item: its value, or the error it ended with.

    Attributes:
        index: the item's place in the input, from 0.
    """

    index: int
    item: Item
    value: Value | None = None
    error: Exception | None = None


class Progress:
    """A bar on stderr: items done, calls, tokens, cost, share accepted, time left; silent when stderr is no terminal.

    Args:
        what: what is made, in the plural.
        total: how many; None when it is not known.
        meter: calls, tokens and cost; None to leave them out.
        accepted: says of a value whether it counts as accepted; None: every value does, an error never.
    """

    def __init__(
        self, what: str, total: int | None, meter: Meter | None = None, accepted: Callable[[Any], bool] | None = None
    ) -> None:
        self.what, self.total, self.meter = what, total, meter
        self._accepts = accepted or (lambda value: True)
        self.done = self.accepted = 0
        self._bar: tqdm[Any] | None = None

    def start(self) -> None:
        """Shows the bar."""
        from tqdm import tqdm

        self._bar = tqdm(total=self.total, desc=self.what, unit="", disable=None, file=sys.stderr)

    def add(self, outcome: Outcome[Any, Any]) -> None:
        """Counts one outcome."""
        self.done += 1
        self.accepted += outcome.error is None and self._accepts(outcome.value)
        if self._bar is not None and not self._bar.disable:
            self._bar.set_postfix_str(self.summary(), refresh=False)
            self._bar.update()

    def say(self, text: str) -> None:
        """Writes a line above the bar."""
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def summary(self) -> str:
        """`accepted 93 %, 1,204 calls, 350 reused, 1.2 M tokens, cost 0.84`."""
        parts = [f"accepted {100 * self.accepted / self.done:.0f} %"] if self.done else []
        if self.meter is not None:
            parts.append(f"{self.meter.calls:,} calls")
            if self.meter.reused:
                parts.append(f"{self.meter.reused:,} reused")
            parts.append(f"{self.meter.usage.tokens / 1e6:.2f} M tokens")
            if self.meter.cost:
                parts.append(f"cost {self.meter.cost:.2f}")
        return ", ".join(parts)


class Outcomes(Generic[Item, Value]):
    """What `run_all` returns: iterate over it once, with `async for`.

    Attributes:
        stopped: why not all items were taken: "" (they were), "interrupted", or the text of a ChatStopped.
    """

    def __init__(
        self,
        items: Iterable[Item],
        work: Callable[[Item], Awaitable[Value]],
        concurrency: int,
        progress: Progress | None,
        ordered: bool,
    ) -> None:
        self._items: Iterator[tuple[int, Item]] = enumerate(items)
        self._work, self._concurrency, self._progress, self._ordered = work, concurrency, progress, ordered
        self.stopped = ""
        self._broken: BaseException | None = None
        self._done: asyncio.Queue[Outcome[Item, Value] | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(concurrency * _HELD)

    def stop(self, why: str) -> None:
        """Takes no new items; those in work are finished."""
        self.stopped = self.stopped or why

    def __aiter__(self) -> AsyncIterator[Outcome[Item, Value]]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[Outcome[Item, Value]]:
        workers = [asyncio.ensure_future(self._take_items()) for _ in range(self._concurrency)]
        if self._progress:
            self._progress.start()
        try:
            with self._interrupt_handled():
                async for outcome in self._arranged(len(workers)):
                    self._room.release()
                    yield outcome
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            if self._progress:
                self._progress.close()
        if self._broken is not None:
            raise self._broken

    async def _arranged(self, open_workers: int) -> AsyncIterator[Outcome[Item, Value]]:
        """Outcomes as they come, or in the order of the items."""
        held: dict[int, Outcome[Item, Value]] = {}
        turn = 0
        while open_workers:
            outcome = await self._done.get()
            if outcome is None:
                open_workers -= 1
                continue
            if self._progress:
                self._progress.add(outcome)
            if not self._ordered:
                yield outcome
                continue
            held[outcome.index] = outcome
            while turn in held:
                yield held.pop(turn)
                turn += 1

    async def _take_items(self) -> None:
        """One of the workers: item after item until there are none, or a reason to stop."""
        while not self.stopped:
            await self._room.acquire()
            if self.stopped:
                break
            try:
                index, item = next(self._items)
            except StopIteration:
                break
            except Exception as error:  # the input itself is broken: what is in work is finished, then it is told
                self._broken = self._broken or error
                self.stop("the input is broken")
                break
            self._done.put_nowait(await self._outcome(index, item))
        self._done.put_nowait(None)

    async def _outcome(self, index: int, item: Item) -> Outcome[Item, Value]:
        # A task of its own: a cancellation inside the work is then an outcome of the item and not the worker's end.
        task = asyncio.ensure_future(self._work(item))
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        if task.cancelled():
            return Outcome(index, item, error=RuntimeError("the work on this item was cancelled"))
        error = task.exception()
        if isinstance(error, ChatStopped):
            self.stop(str(error))
        if error is not None and not isinstance(error, Exception):
            raise error
        return Outcome(index, item, None, error) if error is not None else Outcome(index, item, task.result())

    @contextlib.contextmanager
    def _interrupt_handled(self) -> Iterator[None]:
        """Ctrl-C once: no new items. Twice: as usual, KeyboardInterrupt."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def interrupted(number: int, frame: Any) -> None:
            signal.signal(signal.SIGINT, before)
            loop.call_soon_threadsafe(self._interrupt)

        loop = asyncio.get_running_loop()
        signal.signal(signal.SIGINT, interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _interrupt(self) -> None:
        self.stop("interrupted")
        if self._progress:
            self._progress.say("toolace: finishing what is in work; Ctrl-C again ends at once")


def run_all(
    items: Iterable[Item],
    work: Callable[[Item], Awaitable[Value]],
    concurrency: int = 100,
    progress: Progress | None = None,
    *,
    ordered: bool = True,
) -> Outcomes[Item, Value]:
    """Works on many items at once.

    Args:
        items: taken one by one, only when there is room: they may be read from a file as it goes.
        work: makes the value of an item. Its error is the item's outcome; a ChatStopped also stops the taking of items.
        concurrency: most items in work.
        progress: a bar.
        ordered: outcomes in the order of the items; False: as they are done.
    """
    return Outcomes(items, work, concurrency, progress, ordered)
