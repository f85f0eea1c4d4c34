"""How fast and how much is asked: a window that adapts to the server, a pace per minute, a budget, waiting times.

All of it lives in one event loop; nothing here is safe to share between threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections import deque
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime

from toolace.chat import BudgetSpent, Usage

# Waiting before a repeat: full jitter below a bound that doubles from 0.25 s to 30 s. Our choice: the first repeat
# comes soon enough not to hold a dialog up, and eight of them outlast a server's restart.
BACKOFF_SECONDS = 0.25
BACKOFF_CAP = 30.0
# Longest Retry-After that is believed, in seconds.
RETRY_AFTER_CAP = 600.0


def backoff(repeat: int) -> float:
    """Seconds to wait before repeat number `repeat` (from 0): uniform below a bound that doubles ("full jitter")."""
    return random.uniform(0.0, min(BACKOFF_CAP, BACKOFF_SECONDS * 2 ** min(repeat, 30)))


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds that a Retry-After header asks to wait: it is a number, or an HTTP date. None when it is neither.

    Args:
        value: the header, None when there is none.
        now: Unix time, for dates; None for the clock's.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
            date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
            seconds = date.timestamp() - (time.time() if now is None else now)
        except (TypeError, ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), RETRY_AFTER_CAP)


class Window:
    """How many calls may be in flight: halved when the server says it is too much, and grown by one a window's worth of
    successes (additive increase, multiplicative decrease, as TCP does it).

    Args:
        most: the upper bound, and the size to begin with.
    """

    def __init__(self, most: int) -> None:
        self.most, self.size, self.running = most, float(most), 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed_until = 0.0
        self._shrunk_at = -math.inf
        self._alarm: asyncio.TimerHandle | None = None

    async def enter(self, *, again: bool = False) -> float:
        """Waits for a place; returns the loop's time then. Repeats (`again`) go before calls never made."""
        loop = asyncio.get_running_loop()
        if not self._waiting and self.running < int(self.size) and loop.time() >= self._closed_until:
            self.running += 1
            return loop.time()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting.appendleft(place) if again else self._waiting.append(place)
        self._admit()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # admitted and cancelled in the same moment
                self.leave()
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(place)
            raise
        return loop.time()

    def leave(self) -> None:
        """Gives the place to the next."""
        self.running -= 1
        self._admit()

    def succeeded(self) -> None:
        """The server answered: one more place once a whole window of calls did."""
        self.size = min(float(self.most), self.size + 1.0 / self.size)

    def throttled(self, entered: float, pause: float) -> None:
        """The server said 429 or 503.

        Args:
            entered: when that call was sent. Calls sent before the last halving say nothing new and halve no more.
            pause: seconds in which nothing is sent.
        """
        now = asyncio.get_running_loop().time()
        self._closed_until = max(self._closed_until, now + pause)
        if entered >= self._shrunk_at:
            self.size = max(1.0, min(self.size, self.running + 1) / 2)
            self._shrunk_at = now

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._closed_until:
            if self._waiting and self._alarm is None:
                self._alarm = loop.call_at(self._closed_until, self._reopen)
            return
        while self._waiting and self.running < int(self.size):
            place = self._waiting.popleft()
            if not place.done():
                self.running += 1
                place.set_result(None)

    def _reopen(self) -> None:
        self._alarm = None
        self._admit()


class Pace:
    """At most so much a minute: a bucket of tokens that fills evenly.

    The bucket holds one second's worth, so that no minute sees more than its limit by over a sixtieth. A cost larger
    than the bucket is let through when the bucket is full and paid off afterwards.

    Args:
        per_minute: the limit; None for none.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._per_second = per_minute / 60 if per_minute else math.inf
        self._full_at = -math.inf  # when the bucket is full again, if nothing more is taken

    async def take(self, cost: float) -> None:
        """Waits until `cost` may be spent; who comes first goes first."""
        if math.isinf(self._per_second):
            return
        now, seconds = asyncio.get_running_loop().time(), cost / self._per_second
        start = max(now, self._full_at - 1.0 + min(seconds, 1.0))
        self._full_at = max(self._full_at, start) + seconds
        if start > now:
            await asyncio.sleep(start - now)

    def settle(self, taken: float, spent: float) -> None:
        """Corrects an estimate once the true cost is known."""
        if not math.isinf(self._per_second):
            self._full_at += (spent - taken) / self._per_second


@dataclass
class Meter:
    """What this process has asked and spent, and the limits on it. Answers out of the journal cost nothing.

    Attributes:
        calls: answers that came from the server.
        reused: answers that came from the journal.
        failures: attempts that came to nothing and were made again.
        throttles: attempts that the server answered with 429 or 503.
        repeats: answers that could not be used and were asked for again.
        bad: requests without a usable answer.
        usage: tokens of `calls`.
        price_in, price_out: money for a million tokens read and written.
        max_calls, max_tokens, max_cost: the budget; None for no limit.
    """

    price_in: float = 0.0
    price_out: float = 0.0
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    calls: int = 0
    reused: int = 0
    failures: int = 0
    throttles: int = 0
    repeats: int = 0
    bad: int = 0
    usage: Usage = Usage()  # noqa: RUF009  # frozen
    in_flight: int = 0

    @property
    def cost(self) -> float:
        """Money spent, in the currency of the prices."""
        spent = self.usage.prompt_tokens * self.price_in + self.usage.completion_tokens * self.price_out
        return spent / 1_000_000

    def admit(self) -> None:
        """Counts a call as in flight.

        The number of calls is never exceeded; tokens and money are known only afterwards, so those limits may be
        passed by what is in flight.

        Raises:
            BudgetSpent: a limit is reached.
        """
        spent = ""
        if self.max_calls is not None and self.calls + self.in_flight >= self.max_calls:
            spent = f"{self.max_calls} calls are made (max_calls)"
        elif self.max_tokens is not None and self.usage.tokens >= self.max_tokens:
            spent = f"{self.usage.tokens} tokens are spent (max_tokens_total {self.max_tokens})"
        elif self.max_cost is not None and self.cost >= self.max_cost:
            spent = f"{self.cost:.4g} is spent (max_cost {self.max_cost:g})"
        if spent:
            raise BudgetSpent(f"budget: {spent}; run the same command again to go on with a new budget")
        self.in_flight += 1

    def answered(self, usage: Usage) -> None:
        """A call came back."""
        self.in_flight -= 1
        self.calls += 1
        self.usage += usage

    def failed(self) -> None:
        """A call came to nothing."""
        self.in_flight -= 1
