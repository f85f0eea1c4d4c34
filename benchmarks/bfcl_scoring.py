"""Scoring BFCL result files: `toolace score` and the official command line on the same answers, in one run.

    python benchmarks/bfcl_scoring.py [--repeats 3]

Answers to all 4,441 questions of the single-turn and multi-turn categories are made from gold, about a third of them
spoilt, and scored by both, each in a fresh process. CPU seconds are user and system time of the process and its
children, interpreter start included; the best of the repeats counts, since other work on a machine only adds to it.
Exits with 1 unless both find the same number of right answers, ours in less than 3 s and a fifth of the official time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "eval")]
MODEL = "Team-ACE/ToolACE-2-8B"
MOST_SECONDS, LEAST_TIMES = 3.0, 5.0


def cpu_of(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """CPU seconds, wall seconds and stdout of a command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return cpu, time.monotonic() - start, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    from bfcl_answers import write_corrupted

    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        answers = write_corrupted(project / "result", MODEL, seed=0)
        ours = [sys.executable, "-m", "toolace", "score", "bfcl", "--results", str(project / "result"), "--json"]
        theirs = [sys.executable, "-m", "bfcl_eval", "evaluate", "--model", MODEL]
        theirs += ["--test-category", "single_turn,multi_turn"]
        python_path = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        pairs = []
        for _ in range(repeats):
            mine = cpu_of(ours, python_path)
            official = cpu_of(theirs, {"BFCL_PROJECT_ROOT": folder, "OMP_NUM_THREADS": "1"})
            pairs.append((mine, official))
        correct = sum(row["correct"] for row in json.loads(pairs[0][0][2])["rows"])
        wrong = sum(len(path.read_text().splitlines()) - 1 for path in (project / "score").rglob("*_score.json"))
    mine_cpu, their_cpu = min(mine[0] for mine, _ in pairs), min(official[0] for _, official in pairs)
    mine_wall, their_wall = min(mine[1] for mine, _ in pairs), min(official[1] for _, official in pairs)
    print(f"{answers:,} answers, {correct:,} right by ours, {answers - wrong:,} by the official command")
    print(f"{'':<32}{'CPU s':>8}{'wall s':>8}")
    print(f"{'toolace score bfcl':<32}{mine_cpu:>8.2f}{mine_wall:>8.2f}")
    print(f"{'python -m bfcl_eval evaluate':<32}{their_cpu:>8.2f}{their_wall:>8.2f}")
    print(f"{their_cpu / mine_cpu:.1f} times less CPU time")
    misses = missed(mine_cpu, their_cpu, correct, answers - wrong)
    print("".join(f"missed: {miss}\n" for miss in misses), end="")
    return 1 if misses else 0


def missed(mine: float, theirs: float, right: int, officially_right: int) -> list[str]:
    """What of the three demands is not met, in words."""
    found = []
    if right != officially_right:
        found.append(f"equal counts ({right} and {officially_right})")
    if mine >= MOST_SECONDS:
        found.append(f"less than {MOST_SECONDS:g} s ({mine:.2f} s)")
    if theirs / mine < LEAST_TIMES:
        found.append(f"{LEAST_TIMES:g} times less ({theirs / mine:.1f} times)")
    return found


if __name__ == "__main__":
    sys.exit(main())
