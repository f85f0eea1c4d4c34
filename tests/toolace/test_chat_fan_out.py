from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from toolace.chat import BudgetSpent, Usage
from toolace.chat_limits import Meter
from toolace.errors import InputError
from toolace.fan_out import Outcome, Outcomes, Progress, run_all


async def double_of(number: int) -> int:
    await asyncio.sleep(0.001 * (number % 7))
    return 2 * number


def collect(outcomes: Outcomes[Any, Any]) -> list[Outcome[Any, Any]]:
    async def run() -> list[Outcome[Any, Any]]:
        return [outcome async for outcome in outcomes]

    return asyncio.run(asyncio.wait_for(run(), 30))


def test_every_item_has_its_outcome_in_the_order_of_the_items() -> None:
    outcomes = run_all(range(300), double_of, 40)
    done = collect(outcomes)
    assert done == [Outcome(i, i, 2 * i) for i in range(300)] and outcomes.stopped == ""


def test_outcomes_come_as_they_are_done_when_the_order_does_not_matter() -> None:
    async def work(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    done = collect(run_all([0.2, 0.0, 0.1], work, 3, ordered=False))
    assert [outcome.index for outcome in done] == [1, 2, 0]


def test_no_more_are_in_work_than_allowed_and_items_are_taken_only_then() -> None:
    taken = in_work = most = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(200):
            taken += 1
            yield number

    async def work(number: int) -> None:
        nonlocal in_work, most
        in_work += 1
        most = max(most, in_work)
        assert taken <= number + 8
        await asyncio.sleep(0.001)
        in_work -= 1

    assert all(outcome.error is None for outcome in collect(run_all(items(), work, 8)))
    assert most == 8


def test_a_failing_item_takes_no_other_down() -> None:
    async def work(number: int) -> int:
        if number % 3 == 0:
            raise ValueError(f"item {number}")
        if number % 3 == 1:
            raise asyncio.CancelledError
        return number

    outcomes = run_all(range(30), work, 4)
    done = collect(outcomes)
    assert [type(o.error) for o in done] == [ValueError, RuntimeError, type(None)] * 10
    assert [o.value for o in done if o.error is None] == list(range(2, 30, 3)) and outcomes.stopped == ""


def test_a_spent_budget_ends_the_taking_and_finishes_what_is_in_work() -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0.001)
        if number == 10:
            raise BudgetSpent("budget: 10 calls are made")
        await asyncio.sleep(0.01)
        return number

    outcomes = run_all(range(10_000), work, 4)
    done = collect(outcomes)
    assert outcomes.stopped == "budget: 10 calls are made"
    assert 11 <= len(done) <= 20
    assert [o.index for o in done] == list(range(len(done))), "every item that was taken has an outcome"
    assert [type(o.error) for o in done if o.error] == [BudgetSpent]


def test_a_broken_input_is_told_after_what_was_taken_is_finished() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise InputError("is not JSON", where="rows.jsonl:6", fix="Repair it.")

    done: list[Any] = []

    async def run() -> None:
        async for outcome in run_all(items(), double_of, 3):
            done.append(outcome.value)  # noqa: PERF401  # what came before the error is looked at

    with pytest.raises(InputError, match=r"rows\.jsonl:6"):
        asyncio.run(run())
    assert done == [0, 2, 4, 6, 8]


def test_a_slow_reader_slows_the_work_down() -> None:
    started = 0

    async def work(number: int) -> int:
        nonlocal started
        started += 1
        return number

    async def run() -> int:
        read = 0
        async for _ in run_all(range(10_000), work, 5):
            read += 1
            await asyncio.sleep(0.001)
            if read == 50:
                return started
        return 0

    assert asyncio.run(run()) <= 50 + 5 * 20 + 5


def test_a_reader_that_leaves_ends_the_work() -> None:
    cancelled = 0

    async def work(number: int) -> int:
        nonlocal cancelled
        try:
            await asyncio.sleep(0 if number == 0 else 30)
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return number

    async def run() -> None:
        iteration = run_all(range(100), work, 5).__aiter__()
        assert (await iteration.__anext__()).value == 0
        await asyncio.sleep(0.01)
        await iteration.aclose()  # type: ignore[attr-defined]

    start = time.monotonic()
    asyncio.run(run())
    assert cancelled == 5 and time.monotonic() - start < 5


CHILD = """
import asyncio, sys
from toolace.fan_out import Progress, run_all

async def work(number):
    print("started", number, flush=True)
    await asyncio.sleep(0.5 if len(sys.argv) == 1 else 60)
    return number

async def main():
    outcomes = run_all(range(1000), work, 4, Progress("items", 1000))
    async for outcome in outcomes:
        print("finished", outcome.value, flush=True)
    print("stopped", outcomes.stopped, flush=True)

asyncio.run(main())
"""


def interrupted(*arguments: str, times: int) -> tuple[int, list[str], str]:
    command = [sys.executable, "-c", CHILD, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stderr is not None
        lines = [child.stdout.readline().strip() for _ in range(4)]
        for _ in range(times):
            os.kill(child.pid, signal.SIGINT)
            time.sleep(0.1)
        rest, errors = child.communicate(timeout=20)
        return child.returncode, lines + rest.splitlines(), errors


def test_ctrl_c_finishes_what_is_in_work_and_takes_nothing_new() -> None:
    code, lines, errors = interrupted(times=1)
    assert code == 0 and lines[-1] == "stopped interrupted"
    assert sorted(lines[:4]) == [f"started {i}" for i in range(4)]
    assert lines[4:-1] == [f"finished {i}" for i in range(4)]
    assert "finishing what is in work" in errors and "Traceback" not in errors


def test_ctrl_c_twice_ends_at_once() -> None:
    start = time.monotonic()
    code, lines, errors = interrupted("slow", times=2)
    assert code != 0 and time.monotonic() - start < 20
    assert not any(line.startswith(("finished", "stopped")) for line in lines) and "KeyboardInterrupt" in errors


def test_the_bar_says_what_was_done_and_what_it_cost() -> None:
    meter = Meter(price_in=1.0, price_out=2.0, calls=1_200, reused=40, usage=Usage(1_000_000, 500_000))
    progress = Progress("dialogs", 4, meter, accepted=lambda value: value > 2)
    assert progress.summary() == "1,200 calls, 40 reused, 1.50 M tokens, cost 2.00"
    collect(run_all(range(4), double_of, 2, progress))
    assert (progress.done, progress.accepted) == (4, 2)
    assert progress.summary() == "accepted 50 %, 1,200 calls, 40 reused, 1.50 M tokens, cost 2.00"


def test_errors_are_not_accepted() -> None:
    async def work(number: int) -> int:
        raise ValueError

    progress = Progress("dialogs", None)
    collect(run_all(range(3), work, 2, progress))
    assert progress.summary() == "accepted 0 %"
