"""Dialogs played by a language model, against a server of 50 ms a call: `python benchmarks/dialogs_llm.py`.

Two shapes of work. Few: 30 dialogs of 12 calls each, where the ideal is one chain of calls x latency, since all chains
can run side by side; a rival that makes one call at a time needs 21 s for the same. Many: 2,000 dialogs at 100 in
flight, where the ideal is calls x latency / 100. The server is the tests' double, in a process of its own, with a brain
that plays all three agents. Beside the time stands the processor time of this process: it says whether Python binds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(Path(__file__).parents[1]), str(TESTS), str(TESTS / "data_gen" / "dialog_generation")]

from llm_double import LlmDouble  # noqa: E402
from scripted_brain import TOOLS, brain  # noqa: E402

from data_gen.dialog_generation.generation import DialogSettings  # noqa: E402
from data_gen.dialog_generation.llm_generation import make_llm_dialogs  # noqa: E402
from data_gen.dialog_generation.player_settings import AgentSettings  # noqa: E402
from toolace.journal import Journal  # noqa: E402
from toolace.llm_settings import LlmSettings  # noqa: E402

# toolsynth 0.1 with 30 dialogs and 359 calls of 50 ms on a 2-core machine.
RIVAL_SECONDS = 21.0


@contextlib.contextmanager
def server(latency: float) -> Iterator[str]:
    command = [sys.executable, __file__, "--serve", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def run(url: str, settings: DialogSettings, at_once: int, in_flight: int, seed: int) -> dict[str, float]:
    llm = LlmSettings(base_url=url, model="double", seed=seed, concurrency=in_flight)
    settings = replace(settings, llm=llm, agents=AgentSettings(concurrency=at_once))
    with tempfile.TemporaryDirectory() as folder:
        start, used = time.perf_counter(), time.process_time()
        counts = make_llm_dialogs(Path(folder), TOOLS, settings, seed, "benchmark")
        seconds, used = time.perf_counter() - start, time.process_time() - used
        with Journal(Path(folder) / "journal.sqlite") as journal:
            calls = sum(stage["calls"] for stage in journal.totals().values())
        start = time.perf_counter()
        make_llm_dialogs(Path(folder), TOOLS, settings, seed, "the same, played again from the journal")
        again = time.perf_counter() - start
    return {"made": counts["made"], "calls": calls, "seconds": seconds, "cpu": used, "again": again}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    parser.add_argument("--many", type=int, default=2000, help="dialogs of the second shape; 0 to leave it out")
    parser.add_argument("--rounds", type=int, default=3, help="of the first shape; the best counts")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        LlmDouble(brain, latency=given.serve).serve_forever(0)
        return
    few = DialogSettings(
        count=30, players="llm", llm=LlmSettings("http://127.0.0.1:1", "double"), types={"single": 1}, turns={3: 1},
        results=1.0, answered=0.0, errors=0.0,
    )  # fmt: skip
    many = replace(few, count=given.many, types={"single": 5, "parallel": 3, "dependent": 1, "non_tool_use": 2})
    with server(given.latency) as url:
        rounds = [run(url, few, 200, 200, seed) for seed in range(given.rounds)]
        best = min(rounds, key=lambda r: r["seconds"])
        ideal = 12 * given.latency
        print(
            f"few: {best['made']} dialogs, {best['calls']} calls: {best['seconds']:.2f} s, "
            f"{best['seconds'] / ideal:.2f}"
            f" x ideal ({ideal:.2f} s), {RIVAL_SECONDS / best['seconds']:.0f} x faster than {RIVAL_SECONDS:g} s;"
            f" processor {best['cpu']:.2f} s; again from the journal {best['again']:.2f} s"
        )
        if given.many:
            result = run(url, replace(many, turns={1: 6, 2: 3, 3: 1}), 200, 100, 99)
            ideal = result["calls"] * given.latency / 100
            print(
                f"many: {result['made']} dialogs, {result['calls']} calls, 100 in flight: {result['seconds']:.1f} s,"
                f" {100 * ideal / result['seconds']:.0f} % of calls x latency / 100 ({ideal:.1f} s); processor"
                f" {result['cpu']:.1f} s, {1e3 * result['cpu'] / result['calls']:.2f} ms a call;"
                f" again from the journal {result['again']:.1f} s"
            )
    print(json.dumps({"few": rounds, **({"many": result} if given.many else {})}))


if __name__ == "__main__":
    main()
