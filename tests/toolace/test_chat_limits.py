from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate

import pytest

from toolace import chat_limits
from toolace.chat import BudgetSpent, Usage
from toolace.chat_limits import Meter, Pace, Window, backoff, retry_after


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("2", 2.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("1e12", chat_limits.RETRY_AFTER_CAP),
        ("inf", chat_limits.RETRY_AFTER_CAP),
        ("nan", None),
        ("soon", None),
        ("Wed, 99 Foo 2026", None),
        (formatdate(1_000_030, usegmt=True), 30.0),
        (formatdate(999_000, usegmt=True), 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=1_000_000) == seconds


def test_waiting_grows_to_its_cap_and_is_spread_over_all_of_it() -> None:
    for repeat, bound in ((0, 0.25), (3, 2.0), (7, 30.0), (10_000, 30.0)):
        drawn = [backoff(repeat) for _ in range(300)]
        assert 0 <= min(drawn) < bound / 5 and bound * 4 / 5 < max(drawn) <= bound


def test_no_more_are_in_flight_than_the_window_allows() -> None:
    async def work() -> None:
        window, most = Window(5), 0

        async def call() -> None:
            nonlocal most
            await window.enter()
            most = max(most, window.running)
            await asyncio.sleep(0.001)
            window.leave()

        await asyncio.gather(*(call() for _ in range(60)))
        assert most == 5 and window.running == 0

    run(work)


def test_a_throttled_window_halves_once_a_round_and_grows_by_one_a_round() -> None:
    async def work() -> None:
        window = Window(64)
        entered = [await window.enter() for _ in range(64)]
        for moment in entered:  # all 64 calls of one round are throttled
            window.leave()
            window.throttled(moment, 0.0)
        assert window.size == 32
        window.running = 32
        window.throttled(asyncio.get_running_loop().time(), 0.0)  # one call of the next round
        assert window.size == 16
        for _ in range(16):
            window.succeeded()
        assert 16.8 < window.size < 17.1
        for _ in range(10_000):
            window.succeeded()
        assert window.size == 64

    run(work)


def test_the_window_never_closes_for_good() -> None:
    async def work() -> None:
        window = Window(3)
        for _ in range(20):
            moment = await window.enter()
            window.throttled(moment, 0.001)
            window.leave()
        assert window.size == 1

    run(work)


def test_nothing_starts_before_retry_after_has_passed_and_repeats_go_first() -> None:
    async def work() -> None:
        window, order = Window(1), []
        loop = asyncio.get_running_loop()
        moment = await window.enter()

        async def call(name: str, again: bool) -> None:
            await window.enter(again=again)
            order.append((name, loop.time()))
            window.leave()

        calls = [asyncio.create_task(call(name, name == "repeat")) for name in ("new", "repeat")]
        await asyncio.sleep(0)
        start = loop.time()
        window.throttled(moment, 0.1)
        window.leave()
        await asyncio.gather(*calls)
        assert [name for name, _ in order] == ["repeat", "new"]
        assert all(at - start >= 0.099 for _, at in order)

    run(work)


def test_a_place_is_not_lost_when_its_taker_is_cancelled() -> None:
    async def work() -> None:
        window = Window(1)
        await window.enter()
        waiting = asyncio.create_task(window.enter())
        admitted = asyncio.create_task(window.enter())
        await asyncio.sleep(0)
        waiting.cancel()  # while it waits
        await asyncio.sleep(0)
        window.leave()
        admitted.cancel()  # after it was let in, before it could run
        await asyncio.gather(waiting, admitted, return_exceptions=True)
        await window.enter()
        assert window.running == 1

    run(work)


def test_beyond_a_second_s_worth_the_limit_a_minute_is_kept() -> None:
    async def work() -> None:
        pace = Pace(60 * 100)  # a hundred a second
        start = time.monotonic()
        await asyncio.gather(*(pace.take(1) for _ in range(130)))
        seconds = time.monotonic() - start
        assert 0.28 <= seconds < 0.6  # the first hundred fill a second's bucket, the others wait for theirs

    run(work)


def test_a_cost_above_the_bucket_passes_and_is_paid_off() -> None:
    async def work() -> None:
        pace = Pace(60 * 1_000)
        start = time.monotonic()
        await pace.take(1_200)
        assert time.monotonic() - start < 0.1
        await pace.take(100)
        assert 0.28 <= time.monotonic() - start < 0.6

    run(work)


def test_tokens_that_were_not_used_are_given_back() -> None:
    async def work() -> None:
        pace = Pace(60 * 1_000)
        start = time.monotonic()
        await pace.take(5_000)
        pace.settle(5_000, 100)
        await pace.take(500)
        assert time.monotonic() - start < 0.1

    run(work)


def test_no_limit_means_no_waiting() -> None:
    async def work() -> None:
        start = time.monotonic()
        await Pace(None).take(1e12)
        assert time.monotonic() - start < 0.1

    run(work)


def test_the_budget_of_calls_is_never_exceeded() -> None:
    meter = Meter(max_calls=3)
    for _ in range(3):
        meter.admit()
    with pytest.raises(BudgetSpent, match="3 calls"):
        meter.admit()
    meter.failed()
    meter.admit()
    for _ in range(3):
        meter.answered(Usage(10, 5))
    with pytest.raises(BudgetSpent, match="max_calls"):
        meter.admit()
    assert (meter.calls, meter.usage, meter.in_flight) == (3, Usage(30, 15), 0)


def test_the_budget_of_tokens_and_of_money() -> None:
    by_tokens = Meter(max_tokens=20)
    by_money = Meter(max_cost=0.0105, price_in=100, price_out=1_000)
    for meter in (by_tokens, by_money):
        meter.admit()
        meter.answered(Usage(10, 9))
        if meter is by_tokens:
            meter.admit()  # 19 of 20: one more
            meter.answered(Usage(50, 50))
        assert meter.in_flight == 0
    assert by_money.cost == pytest.approx(10 * 100e-6 + 9 * 1_000e-6)
    with pytest.raises(BudgetSpent, match="119 tokens"):
        by_tokens.admit()
    by_money.admit()
    by_money.answered(Usage(0, 1))
    with pytest.raises(BudgetSpent, match="max_cost"):
        by_money.admit()
