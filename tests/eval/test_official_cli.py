"""Our verdicts are those of the official command line, item by item, on answers of which half are spoilt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bfcl_answers import corrupted_answers, write_results

from eval.bfcl.categories import CATEGORIES
from eval.bfcl.scoring import score_results

MODEL = "Team-ACE/ToolACE-2-8B"  # the official command only scores models of its registry
NAMES = tuple(CATEGORIES)


def official_failures(project: Path) -> tuple[dict[str, float], dict[str, set[str]]]:
    command = [sys.executable, "-m", "bfcl_eval", "evaluate", "--model", MODEL, "--test-category", "single_turn"]
    environment = {**os.environ, "BFCL_PROJECT_ROOT": str(project)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    accuracy, failures = {}, {}
    for path in (project / "score").rglob("BFCL_v4_*_score.json"):
        name = path.name.removeprefix("BFCL_v4_").removesuffix("_score.json")
        head, *rest = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        accuracy[name], failures[name] = head["accuracy"], {row["id"] for row in rest}
    return accuracy, failures


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_verdicts_equal_those_of_the_official_command(tmp_path: Path) -> None:
    for seed, name in enumerate(NAMES):
        write_results(tmp_path / "result", MODEL, name, corrupted_answers(name, seed))
    accuracy, failures = official_failures(tmp_path)
    verdicts = score_results(tmp_path / "result")

    assert set(accuracy) == set(NAMES)
    for name in NAMES:
        mine = [verdict for verdict in verdicts if verdict["category"] == name]
        assert {verdict["id"] for verdict in mine if not verdict["valid"]} == failures[name], name
        assert sum(verdict["valid"] for verdict in mine) / len(mine) == pytest.approx(accuracy[name]), name
        assert 0 < len(failures[name]) < len(mine), f"{name}: the comparison needs right and wrong answers"
