"""Calls to a language model, ours against AsyncOpenAI, in one run: `python benchmarks/chat_client.py`.

The server is the tests' double in a process of its own, so that both clients have a core to themselves: 500 calls of
50 ms, 100 in flight. The ideal is calls x latency / in flight. Rounds alternate; the best of each is compared.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from openai import AsyncOpenAI

from toolace.chat import ChatRequest
from toolace.fan_out import run_all
from toolace.journal import Journal
from toolace.llm import Llm
from toolace.llm_settings import LlmSettings

DOUBLE = Path(__file__).parents[1] / "tests" / "llm_double.py"


@contextlib.contextmanager
def server(latency: float) -> Iterator[str]:
    command = [sys.executable, str(DOUBLE), "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def messages(round_: int, call: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Round {round_}, question {call}: " + "what is the weather like? " * 40}]


async def ours(url: str, journal: Journal | None, round_: int, calls: int, at_once: int) -> float:
    async with Llm(LlmSettings(base_url=url, model="double", concurrency=at_once), journal) as model:

        async def ask(call: int) -> str:
            return (await model.chat(ChatRequest(messages(round_, call)))).text

        start = time.perf_counter()
        done = [outcome async for outcome in run_all(range(calls), ask, at_once)]
        seconds = time.perf_counter() - start
    assert all(outcome.value for outcome in done)
    return seconds


async def theirs(url: str, round_: int, calls: int, at_once: int) -> float:
    gate = asyncio.Semaphore(at_once)
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:

        async def ask(call: int) -> str | None:
            async with gate:
                reply = await client.chat.completions.create(model="double", messages=messages(round_, call))
                return reply.choices[0].message.content

        start = time.perf_counter()
        texts = await asyncio.gather(*(ask(call) for call in range(calls)))
        seconds = time.perf_counter() - start
    assert all(texts)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    parser.add_argument("--at_once", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    size = given.calls, given.at_once
    times: dict[str, list[float]] = {"toolace": [], "toolace, journal": [], "toolace, rerun": [], "AsyncOpenAI": []}
    with server(given.latency) as url, tempfile.TemporaryDirectory() as folder:
        for round_ in range(given.rounds):
            times["toolace"].append(asyncio.run(ours(url, None, round_, *size)))
            with Journal(Path(folder) / f"{round_}.sqlite") as journal:
                times["toolace, journal"].append(asyncio.run(ours(url, journal, round_, *size)))
                times["toolace, rerun"].append(asyncio.run(ours(url, journal, round_, *size)))
            times["AsyncOpenAI"].append(asyncio.run(theirs(url, round_, *size)))
    ideal = given.calls * given.latency / given.at_once
    print(f"{given.calls} calls of {given.latency * 1000:g} ms, {given.at_once} in flight; ideal {ideal:.2f} s")
    for name, seconds in times.items():
        best = min(seconds)
        against = f"{best / ideal:.2f} x ideal" if ideal else f"{given.calls / best:,.0f} calls/s"
        print(f"{name:18} best {best:.3f} s, worst {max(seconds):.3f} s; {against}")
    print(f"AsyncOpenAI / toolace with journal: {min(times['AsyncOpenAI']) / min(times['toolace, journal']):.1f}")


if __name__ == "__main__":
    main()
