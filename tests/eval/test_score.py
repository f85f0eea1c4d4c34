from __future__ import annotations

import json
from pathlib import Path

import pytest
from bfcl_answers import corrupted_answers, right_answers, write_results

from eval.score import app
from toolace.errors import InputError
from toolace.rows import read_rows


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_results(tmp_path / "result", "base", "parallel", corrupted_answers("parallel", 1))
    write_results(tmp_path / "result", "tuned", "parallel", right_answers("parallel"))
    return tmp_path / "result"


def test_scores_are_written_beside_the_results(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app(["bfcl", "--results", str(results)]) == 0
    verdicts = [row for _, row in read_rows(results.parent / "verdicts.jsonl")]
    stored = json.loads((results.parent / "results.json").read_text(encoding="utf-8"))
    assert len(verdicts) == 400 and {row["model"] for row in stored["rows"]} == {"base", "tuned"}
    shown = capsys.readouterr().out
    assert "parallel                                       200      200    100.00   98.12 to 100.00" in shown
    assert "model tuned, BFCL v4" in shown
    assert "tuned - base, call_mean: +" in shown


def test_json_prints_one_object_and_nothing_else(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app(["bfcl", "--results", str(results), "--protocol", "v4", "--out", str(tmp_path / "o"), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == json.loads((tmp_path / "o" / "results.json").read_text(encoding="utf-8"))
    assert captured.err == ""


def test_partial_scores_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = dict(list(right_answers("multiple").items())[:7])
    write_results(tmp_path / "result", "m", "multiple", answers)
    with pytest.raises(InputError, match="--partial"):
        app(["bfcl", "--results", str(tmp_path)])
    assert app(["bfcl", "--results", str(tmp_path), "--partial", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["n"] == 7


def test_two_runs_write_the_same_bytes(results: Path, tmp_path: Path) -> None:
    for out in ("one", "two"):
        app(["bfcl", "--results", str(results), "--out", str(tmp_path / out)])
    for name in ("verdicts.jsonl", "results.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bfcl"], "--results"),
        ([], "BENCHMARK"),
        (
            ["bfcl", "--results", "docs", "--protocol", "v3-2024", "--data", "docs"],
            "holds no result files of protocol v3-2024",
        ),
        (["bfcl", "--results", "/nowhere/at/all"], "is not a folder"),
        (["bfcl", "--results", ".", "--nonsense"], "unrecognized arguments"),
    ],
)
def test_bad_usage_is_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        app(arguments)
    assert "\n" not in str(caught.value)


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        app(["bfcl", "--help"])
    assert caught.value.code == 0 and "toolace score bfcl --results" in capsys.readouterr().out
