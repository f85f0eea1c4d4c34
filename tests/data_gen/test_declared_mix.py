"""What a recipe declares is met, or told: the mix, the number of candidates, the number of turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pools import mixed_pool

from data_gen.dialog_generation.generation import DialogSettings, write_offline
from toolace import InputError


def made(folder: Path, tools: int = 10**6, **settings: Any) -> dict[str, Any]:
    return write_offline(
        folder / "d.jsonl", list(mixed_pool())[:tools], DialogSettings(**{"count": 120, **settings}), 3, 1
    )


def test_a_mix_that_is_met_is_no_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = made(tmp_path, count=300)
    assert found["unmet"] == {} and "warning" not in capsys.readouterr().err
    assert found["counted"]["types"] == 300
    assert found["counted"]["turns"] + found["counted"]["non_tool_use"] == 300  # turns are those of dialogs with calls


def test_a_few_dialogs_cannot_have_every_share_and_are_no_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made(tmp_path, count=7)["unmet"] == {} and "warning" not in capsys.readouterr().err


def test_chains_take_their_second_tool_and_that_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = made(tmp_path, candidates={1: 9, 2: 1}, types={"dependent": 1})
    assert found["unmet"] == {
        "candidates 1": "90 % declared, 0 % made",
        "candidates 2": "10 % declared, 100 % made",
    }
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(lines) == 1 and "the declared mix is not met (candidates 1: 90 % declared, 0 % made" in lines[0]


def test_a_pool_too_small_for_some_numbers_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = made(tmp_path, tools=12, candidates={2: 1, 30: 1}, types={"single": 1}, turns={1: 1})
    assert found["unmet"]["candidates 30"] == "50 % declared, 0 % made"
    assert "candidates 30: 50 % declared" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"turns": {40: 1}}, r"dialogs\.turns: has the number 40 of user turns\. Give numbers from 1 to 20"),
        ({"turns": {1: 1, 1000: 0}}, "the number 1000 of user turns"),
        ({"turns": {0: 1}}, "the number 0 of user turns"),
        ({"candidates": {100000: 1}}, "the number 100000 of candidates"),
        ({"candidates": {1: 1}, "types": {"dependent": 1}}, "dependent dialogs need two tools"),
        ({"candidates": {1: 1, 2: 0}, "types": {"single": 9, "dependent": 1}}, "dependent dialogs need two tools"),
    ],
)
def test_numbers_that_cannot_be_had_are_refused_before_anything_is_made(
    tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told) as error:
        made(tmp_path, **settings)
    assert "\n" not in str(error.value) and not (tmp_path / "d.jsonl").exists()


def test_more_candidates_than_tools_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="asks for 200 candidates; the pool has 12 tools"):
        made(tmp_path, tools=12, candidates={200: 1})


def test_the_longest_dialogs_that_may_be_asked_for_are_made(tmp_path: Path) -> None:
    assert made(tmp_path, count=12, turns={20: 1})["made"] == 12
