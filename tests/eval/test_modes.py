"""How a model was asked decides what a text with calls is: an answer in prompting mode, talk in native mode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bfcl_answers import ABSTENTION, DATA, right_answers, write_results

from eval.bfcl.bridge import decode_ast
from eval.bfcl.scoring import score_results
from eval.score import app
from toolace.errors import InputError
from toolace.rows import Row

NAME = "parallel"


def as_native(text: str) -> list[dict[str, str]]:
    return [{k.replace(".", "_"): json.dumps(v)} for call in decode_ast(text) for k, v in call.items()]


def right(verdicts: list[Row], name: str = NAME) -> int:
    return sum(verdict["valid"] for verdict in verdicts if verdict["category"] == name)


def test_calls_in_text_are_answers_in_prompting_mode_and_none_in_native_mode(tmp_path: Path) -> None:
    write_results(tmp_path, "m", NAME, right_answers(NAME))
    prompting, native = (score_results(tmp_path, DATA, mode=mode) for mode in ("prompting", "native"))
    assert (right(prompting), right(native)) == (200, 0)
    assert {verdict["error_type"] for verdict in native} == {"ast_decoder:decoder_failed"}
    assert all(verdict["calls_in_text"] for verdict in native)
    assert not any("calls_in_text" in verdict for verdict in prompting)


def test_text_without_a_native_call_is_an_abstention_in_native_mode_and_no_strict_one(tmp_path: Path) -> None:
    functions = DATA.questions("irrelevance")[0]["function"]
    answers = dict.fromkeys((row["id"] for row in DATA.questions("irrelevance")), ABSTENTION)
    answers["irrelevance_0"] = f"[{functions[0]['name']}(x=1)]"
    write_results(tmp_path, "m", "irrelevance", answers)
    first = score_results(tmp_path, DATA, mode="native")[0]
    assert (first["valid"], first["strict"]) == (True, False)
    assert not score_results(tmp_path, DATA)[0]["valid"]


def test_one_native_call_in_any_file_tells_how_the_model_was_asked(tmp_path: Path) -> None:
    answers: dict[str, Any] = {id_: as_native(text) for id_, text in right_answers(NAME).items()}
    answers[f"{NAME}_7"] = right_answers(NAME)[f"{NAME}_7"]
    write_results(tmp_path, "tools", NAME, answers)
    write_results(tmp_path, "tools", "multiple", right_answers("multiple"))
    write_results(tmp_path, "text", NAME, right_answers(NAME))
    verdicts = score_results(tmp_path, DATA)
    tools = [verdict for verdict in verdicts if verdict["model"] == "tools"]
    assert right(tools) == 199 and right(tools, "multiple") == 0
    assert right([verdict for verdict in verdicts if verdict["model"] == "text"]) == 200


@pytest.mark.parametrize(("noted", "expected"), [("native", 0), ("prompting", 200), ("odd", 200)])
def test_the_note_of_our_own_evaluation_tells_it_too(tmp_path: Path, noted: str, expected: int) -> None:
    write_results(tmp_path, "m", NAME, right_answers(NAME))
    (tmp_path / "m" / "generation.json").write_text(json.dumps({"mode": noted}), encoding="utf-8")
    assert right(score_results(tmp_path, DATA)) == expected
    assert right(score_results(tmp_path, DATA, mode="prompting")) == 200, "what the user says comes first"


def test_native_calls_in_prompting_mode_are_an_error_that_names_file_and_answer(tmp_path: Path) -> None:
    answers: dict[str, Any] = dict(right_answers(NAME))
    answers[f"{NAME}_3"] = as_native(answers[f"{NAME}_3"])
    path = write_results(tmp_path, "m", NAME, answers)
    with pytest.raises(InputError, match=f"{NAME}_3 holds native calls.*--mode native") as caught:
        app(["bfcl", "--results", str(tmp_path), "--mode", "prompting"])
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("empty", [[], [None]])
def test_an_empty_list_makes_no_native_model(tmp_path: Path, empty: list[Any]) -> None:
    answers: dict[str, Any] = {**right_answers(NAME), f"{NAME}_3": empty}
    write_results(tmp_path, "m", NAME, answers)
    assert right(score_results(tmp_path, DATA)) == 199


def test_the_table_counts_calls_in_text_and_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers: dict[str, Any] = {id_: as_native(text) for id_, text in right_answers(NAME).items()}
    answers[f"{NAME}_0"] = "[f(a=1)]"
    write_results(tmp_path / "result", "tools", NAME, answers)
    refused = {**right_answers(NAME), f"{NAME}_1": "[f(a=open('x')*2)]", f"{NAME}_2": "[f(a=9**9**9)]"}
    write_results(tmp_path / "result", "text", NAME, refused)
    app(["bfcl", "--results", str(tmp_path)])
    shown = capsys.readouterr().out.split("model ")
    assert "calls_in_text: 1 answers" in shown[2] and "guard:refused" not in shown[2]
    assert "guard:refused: 2 answers" in shown[1] and "calls_in_text" not in shown[1]
    stored = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert stored["notable"] == {"tools": {"calls_in_text": 1}, "text": {"guard:refused": 2}}
