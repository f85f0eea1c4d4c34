from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from bfcl_answers import ABSTENTION, DATA, any_call, right_answers, write_gold, write_results

from eval.bfcl.categories import CATEGORIES, DEFAULT_CATEGORIES
from eval.bfcl.data import Data
from eval.bfcl.judging import Item, attempts_call, judge
from eval.bfcl.protocols import V4
from eval.bfcl.scoring import find_results, score_answers, score_results
from eval.bfcl.worker import Worker
from toolace.errors import InputError

SINGLE_TURN = ("ast", "irrelevance", "relevance")
PYTHON = [name for name, kind in CATEGORIES.items() if kind.language == "python" and kind.kind in SINGLE_TURN]


@pytest.mark.parametrize("name", PYTHON)
def test_gold_is_right_in_every_python_category(name: str) -> None:
    verdicts = score_answers(name, right_answers(name), DATA)
    assert {verdict["id"] for verdict in verdicts if not verdict["valid"]} == V4.unpassable & {
        v["id"] for v in verdicts
    }
    assert all(verdict.get("unpassable", False) == (verdict["id"] in V4.unpassable) for verdict in verdicts)
    assert len(verdicts) == len(DATA.questions(name))


@pytest.mark.parametrize("name", DEFAULT_CATEGORIES)
def test_a_wrong_answer_is_wrong_in_every_category(name: str) -> None:
    spoil = (lambda text: "[f(a=1)]") if name == "irrelevance" else (lambda text: text.replace("(", "_x(", 1))
    verdicts = score_answers(name, {id_: spoil(text) for id_, text in right_answers(name).items()}, DATA)
    assert not any(verdict["valid"] for verdict in verdicts)
    assert all(verdict["error_type"] and verdict["error"] for verdict in verdicts)
    json.dumps(verdicts, allow_nan=False)


def test_java_and_javascript_go_through_the_same_code() -> None:
    answers = {
        "simple_java_0": "[GeometryPresentation.createPresentation(controller=mapController, parent=mapArea)]",
        "simple_java_1": "no call",
    }
    first, second = score_answers("simple_java", answers, DATA)
    assert first["valid"], first
    assert (second["valid"], second["error_type"]) == (False, "ast_decoder:decoder_wrong_output_format")


@pytest.mark.timeout(60)
def test_a_javascript_answer_that_hangs_the_official_parser_is_refused_and_the_next_is_judged() -> None:
    question = next(q for q in DATA.questions("simple_javascript") if "array" in json.dumps(q["function"]))
    properties = question["function"][0]["parameters"]["properties"]
    name = next(key for key, value in properties.items() if value["type"] == "array")
    gold = DATA.gold("simple_javascript")[question["id"]]
    others = ", ".join(f"{key}='x'" for key in properties if key != name)
    hostile = f"[{question['function'][0]['name']}({name}='[[" + "], [ " * 700 + f"', {others})]"
    with closing(Worker()) as worker:
        items = [Item("v4", "simple_javascript", question, gold, text) for text in (hostile, "no call")]
        refused, after = worker.judge_all(items)
    assert refused["error_type"] == "guard:refused" and "2 s of CPU" in refused["error"][0]
    assert after["error_type"].startswith("ast_decoder:")


@pytest.mark.parametrize(
    ("text", "valid", "strict"),
    [
        (ABSTENTION, True, True),
        ("", True, True),
        ("[]", True, True),
        ("The function get_area() does not help here.", True, True),
        ("[get_area(side=2)]", False, False),
        ("Sure: [get_area(side=2)]", True, False),
        ("[get_area(side=2", True, False),
        ("[other(side=2), other(side=", True, False),
        ('{"name": "get_area", "arguments": {"side": 2}}', True, False),
        ("[get_area(side=side_length*2)]", True, False),
        ("[get_area(side=9**9**9)]", False, False),
        ("[get_area(side=len('ab')*2)]", False, False),
    ],
)
def test_strict_irrelevance_takes_an_attempted_call_for_a_call(text: str, valid: bool, strict: bool) -> None:
    verdict = judge(Item("v4", "irrelevance", {"function": [{"name": "get_area"}]}, None, text))
    assert (verdict["valid"], verdict["strict"]) == (valid, strict)


def test_relevance_wants_any_call() -> None:
    functions = [{"name": "f"}]
    called, declined = (
        judge(Item("v4", "live_relevance", {"function": functions}, None, text))
        for text in (any_call(functions), ABSTENTION)
    )
    assert called["valid"]
    assert declined["error_type"] == "relevance_error:decoder_failed"


def test_a_name_inside_another_name_is_no_attempt() -> None:
    assert not attempts_call("widget_area(2) is not offered", [{"name": "area"}])
    assert attempts_call("area(2) is offered", [{"name": "area"}])


def test_the_folder_may_be_result_its_parent_or_one_model(tmp_path: Path) -> None:
    for model in ("base", "org/tuned_v2"):
        write_results(tmp_path / "result", model, "parallel", right_answers("parallel"))
    both = score_results(tmp_path)
    assert both == score_results(tmp_path / "result")
    assert list(dict.fromkeys(verdict["model"] for verdict in both)) == ["base", "org_tuned_v2"]
    one = score_results(tmp_path / "result" / "base")
    assert one == [verdict for verdict in both if verdict["model"] == "base"] and len(one) == 200
    assert set(one[0]) == {"model", "category", "id", "valid", "error_type", "error"}


@pytest.mark.parametrize("given", ["m/agentic/memory/kv", "m/agentic/memory", "m/agentic", "m", "."])
def test_a_model_is_named_by_its_own_folder_whichever_folder_is_given(tmp_path: Path, given: str) -> None:
    answers = {row["id"]: [["I do not know."]] for row in DATA.questions("memory_kv")}
    write_results(tmp_path, "m", "memory_kv", answers)
    assert [(file.model, file.category.name) for file in find_results(tmp_path / given, V4)] == [("m", "memory_kv")]


@pytest.mark.parametrize("model", ["live", "memory"])
def test_a_model_may_have_the_name_of_a_group(tmp_path: Path, model: str) -> None:
    write_results(tmp_path, model, "multiple", right_answers("multiple"))
    assert find_results(tmp_path / model / "non_live", V4)[0].model == model


def test_files_are_found_in_the_benchmarks_order(tmp_path: Path) -> None:
    write_gold(tmp_path / "result", "m")
    assert [file.category.name for file in find_results(tmp_path, V4)] == list(DEFAULT_CATEGORIES)


def test_missing_answers_are_an_error_unless_partial(tmp_path: Path) -> None:
    answers = dict(list(right_answers("multiple").items())[5:])
    path = write_results(tmp_path, "m", "multiple", answers)
    with pytest.raises(InputError, match=r"5 of 200 answers are missing \(first: multiple_0, .*--partial"):
        score_results(tmp_path)
    assert [verdict["id"] for verdict in score_results(tmp_path, partial=True)] == list(answers)
    path.write_text("")
    with pytest.raises(InputError, match="holds no answers"):
        score_results(tmp_path, partial=True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "multiple_0", "result": "x"', "is not JSON"),
        ('["multiple_0"]', "not an object"),
        ('{"id": "multiple_0", "result": "x"}', "was answered on line 1 already"),
        ('{"id": "multiple_9999", "result": "x"}', "unknown id 'multiple_9999'"),
        ('{"result": "x"}', "unknown id None"),
        ('{"id": "multiple_1"}', "is a NoneType, not text"),
        ('{"id": "multiple_1", "result": {"f": "{}"}}', "is a dict, not text"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = write_results(tmp_path, "m", "multiple", {"multiple_0": "[]"})
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=message) as caught:
        score_results(tmp_path, partial=True)
    assert str(caught.value).startswith(f"{path}:2: ")


def test_unknown_files_and_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        score_results(tmp_path / "none")
    with pytest.raises(InputError, match="holds no result files"):
        score_results(tmp_path)
    path = write_results(tmp_path, "m", "multiple", right_answers("multiple"))
    for name, message in (
        ("BFCL_v4_multipel_result.json", "Did you mean multiple"),
        ("BFCL_v4_format_sensitivity_result.json", "in no score of the leaderboard"),
        ("BFCL_v3_simple_result.json", "Score it with --protocol v3-2024"),
        ("BFCL_v2_simple_result.json", "another benchmark version"),
    ):
        odd = path.with_name(name)
        odd.write_text("{}")
        with pytest.raises(InputError, match=message):
            score_results(tmp_path)
        odd.unlink()


def test_two_models_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    for run in ("one", "two"):
        write_results(tmp_path / run / "result", "base", "multiple", {"multiple_0": "[]"})
    with pytest.raises(InputError, match="a second multiple file of model base"):
        score_results(tmp_path, partial=True)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(InputError, match="unknown protocol 'v5'"):
        Data("v5")


def test_scoring_1240_answers_takes_a_second_of_cpu_with_interpreter_start(tmp_path: Path) -> None:
    write_gold(tmp_path / "result", "m")
    code = "import sys, pathlib\nfrom eval.bfcl.scoring import score_results\n"
    code += "print(len(score_results(pathlib.Path(sys.argv[1]))))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout == "1240\n"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0  # measured: 0.4
