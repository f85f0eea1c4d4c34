"""Our verdicts are those of the official command line, item by item, on more than 20,000 spoilt answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from bfcl_answers import corrupted_answers, corrupted_turns, write_corrupted, write_results

from eval.bfcl import bridge
from eval.bfcl.aggregation import groups
from eval.bfcl.categories import category
from eval.bfcl.protocols import V4
from eval.bfcl.scoring import score_results
from eval.results import build_results

# The official command only scores models of its registry; these decode text in the default way.
MODELS = (
    "Team-ACE/ToolACE-2-8B",
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.1-70B-Instruct",
    "google/gemma-3-12b-it",
    "google/gemma-3-4b-it",
)
NAMES = tuple(groups(V4)["all"])
AGENTIC = tuple(name for name, kind in V4.categories.items() if kind.kind == "agentic")


def run_official(project: Path, models: Sequence[str] = MODELS) -> None:
    """Scores everything in the folder `result` of a project with `python -m bfcl_eval evaluate`."""
    command = [sys.executable, "-m", "bfcl_eval", "evaluate", "--model", ",".join(models)]
    command += ["--test-category", "single_turn,multi_turn,agentic"]
    environment = {**os.environ, "BFCL_PROJECT_ROOT": str(project), "OPENAI_API_KEY": "none"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def official_scores(project: Path) -> dict[tuple[str, str], tuple[float, set[str]]]:
    """Accuracy and ids of wrong answers by model and category, from the official score files."""
    scores = {}
    for path in (project / "score").rglob("BFCL_v4_*_score.json"):
        name = path.name.removeprefix("BFCL_v4_").removesuffix("_score.json")
        head, *rest = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        model = path.relative_to(project / "score").parts[0]
        scores[model, name] = head["accuracy"], {row["id"] for row in rest}
    return scores


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_verdicts_equal_those_of_the_official_command(tmp_path: Path) -> None:
    written = sum(
        write_corrupted(tmp_path / "result", model, seed, NAMES + AGENTIC) for seed, model in enumerate(MODELS)
    )
    assert written > 20_000
    run_official(tmp_path)
    scores = official_scores(tmp_path)
    verdicts = score_results(tmp_path / "result")
    assert len(verdicts) == written and len(scores) == len(MODELS) * len(NAMES + AGENTIC)
    # What the official decoder executes and ours refuses: here arithmetic on texts and lists, wrong for both.
    refused = [verdict["error"][0] for verdict in verdicts if verdict["error_type"] == "guard:refused"]
    assert all(evidence.startswith("arithmetic") for evidence in refused)
    for (model, name), (accuracy, wrong) in scores.items():
        mine = [verdict for verdict in verdicts if (verdict["model"], verdict["category"]) == (model, name)]
        assert {verdict["id"] for verdict in mine if not verdict["valid"]} == wrong, (model, name)
        assert sum(verdict["valid"] for verdict in mine) / len(mine) == pytest.approx(accuracy), (model, name)
        assert 0 < len(wrong) < len(mine), f"{model} {name}: the comparison needs right and wrong answers"
    _compare_columns(tmp_path, build_results(verdicts))


NATIVE = "gpt-4o-2024-11-20-FC"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_verdicts_on_native_calls_equal_those_of_the_official_command(tmp_path: Path) -> None:
    for name in NAMES:
        if category(name).language == "python":
            write_results(tmp_path / "result", NATIVE, name, native_answers(name, seed=3))
    run_official(tmp_path, [NATIVE])
    verdicts = score_results(tmp_path / "result")
    scores = official_scores(tmp_path)
    assert len(scores) == len(NAMES) - 2
    for (_, name), (_, wrong) in scores.items():
        mine = [verdict for verdict in verdicts if verdict["category"] == name]
        assert {verdict["id"] for verdict in mine if not verdict["valid"]} == wrong, name
        assert 0 < len(wrong) < len(mine), name


def native_answers(name: str, seed: int) -> dict[str, object]:
    """Spoilt answers as native calls, dots in names replaced; what holds no calls stays text."""
    if category(name).kind != "multi_turn":
        return {id_: as_native(str(text)) for id_, text in corrupted_answers(name, seed).items()}
    answers = {}
    for id_, turns in corrupted_turns(name, seed).items():
        answers[id_] = [[as_native(step) for step in turn] for turn in turns] if isinstance(turns, list) else turns
    return answers


def as_native(text: str) -> object:
    try:
        decoded = bridge.decode_ast(text)
        calls = [{key.replace(".", "_"): json.dumps(given)} for call in decoded for key, given in call.items()]
    except (bridge.Undecodable, TypeError):
        return text
    return calls or text


def _compare_columns(project: Path, results: dict[str, object]) -> None:
    """The official table's Non-Live, Live and Multi-Turn scores, printed with two decimals, are our aggregates."""
    mine = {(row["model"], row["name"]): row["value"] for row in results["aggregates"]}  # type: ignore[index]
    for file, column, name in (
        ("data_non_live.csv", "Non-Live Overall Acc", "non_live"),
        ("data_live.csv", "Live Overall Acc", "live"),
        ("data_multi_turn.csv", "Multi Turn Overall Acc", "multi_turn"),
        ("data_agentic.csv", "Agentic Overall Acc", "agentic"),
        ("data_overall.csv", "Overall Acc", "overall"),
    ):
        head, *rows = [line.split(",") for line in (project / "score" / file).read_text().splitlines()]
        official = sorted(row[head.index(column)] for row in rows)
        own = sorted(f"{mine[model.replace('/', '_'), name]:.2f}%" for model in MODELS)
        assert own == official, file
