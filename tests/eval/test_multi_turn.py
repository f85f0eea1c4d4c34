"""Multi-turn answers: official verdicts on the official simulated APIs, fresh for every answer."""

from __future__ import annotations

import copy
import inspect
from contextlib import closing
from typing import Any

import pytest
from bfcl_answers import DATA, right_turns

from eval.bfcl import bridge, simulation
from eval.bfcl.aggregation import groups
from eval.bfcl.judging import Item, judge
from eval.bfcl.protocols import V4
from eval.bfcl.scoring import score_answers
from eval.bfcl.worker import Worker

NAMES = groups(V4)["multi_turn"]


def question(name: str, number: int = 0) -> tuple[dict[str, Any], list[list[str]]]:
    row = DATA.questions(name)[number]
    return row, DATA.gold(name)[row["id"]]


@pytest.mark.parametrize("metric", ["state_and_response", "state"])
@pytest.mark.parametrize("name", NAMES)
def test_gold_calls_are_right_in_all_200_questions(name: str, metric: str) -> None:
    gold = DATA.gold(name)
    verdicts = [
        simulation.check_turns(row, gold[row["id"]], [[turn] if turn else [] for turn in gold[row["id"]]], metric)
        for row in DATA.questions(name)
    ]
    assert len(verdicts) == 200 and all(verdict["valid"] for verdict in verdicts)
    assert not any(verdict.get("stale") for verdict in verdicts)
    assert all(verdict.get("abstained", True) for verdict in verdicts)


def test_scoring_again_in_the_same_process_gives_the_same_verdicts() -> None:
    utils, _ = bridge.simulated_apis()
    before = set(vars(utils))
    answers = right_turns("multi_turn_base")
    dropped = {id_: [["Done."], *turns[1:]] for id_, turns in answers.items()}
    with closing(Worker()) as worker:
        first = score_answers("multi_turn_base", answers, DATA, worker=worker)
        spoilt = score_answers("multi_turn_base", dropped, DATA, worker=worker)
        again = score_answers("multi_turn_base", answers, DATA, worker=worker)
    assert first == again
    # The decoder drops the positional arguments that gold of 24 questions has.
    assert sum(verdict["valid"] for verdict in first) == 176
    assert not any(verdict["valid"] for verdict in spoilt)
    row, gold = question("multi_turn_base")
    assert simulation.check_turns(row, gold, [[turn] for turn in gold], "state_and_response")["valid"]
    assert set(vars(utils)) == before, "no instance is left behind"


def test_the_state_alone_forgives_a_call_that_only_looks() -> None:
    row, gold = question("multi_turn_base", 1)
    looking = next(
        i for i, turn in enumerate(gold) if turn and all(call.startswith(("ls", "cat", "grep")) for call in turn)
    )
    turns = [[turn] for turn in gold]
    turns[looking] = [["pwd()"]]
    assert simulation.check_turns(row, gold, turns, "state")["valid"]
    today = simulation.check_turns(row, gold, turns, "state_and_response")
    assert today["error_type"] == "multi_turn:execution_response_mismatch" and "Missing" in today["error"][0]


def test_in_2024_calls_of_a_turn_that_wants_none_are_not_executed_and_told_beside_the_verdict() -> None:
    row, gold = question("multi_turn_miss_param", 1)
    empty = gold.index([])
    turns = [[turn] if turn else [["mkdir(dir_name='too_early')"]] for turn in gold]
    verdict = simulation.check_turns(row, gold, turns, "state")
    assert (verdict["valid"], verdict["abstained"]) == (True, False)
    today = simulation.check_turns(row, gold, turns, "state_and_response")
    assert not today["valid"], f"turn {empty} makes a folder that gold does not make"


@pytest.mark.parametrize(
    ("result", "error_type"),
    [
        ("Error during inference: timeout", "multi_turn:inference_error"),
        ([["[cd(folder='document')]"]], "multi_turn:force_terminated"),
        ([[], [], [], []], "multi_turn:empty_turn_model_response"),
        ([["I see."], ["I see."], ["I see."], ["I see."]], "multi_turn:empty_turn_model_response"),
        ([["[pwd()]"], ["[pwd()]"], ["[pwd()]"], ["[pwd()]"]], "multi_turn:instance_state_mismatch"),
    ],
)
def test_what_is_wrong_with_an_answer_is_named_as_upstream_names_it(result: Any, error_type: str) -> None:
    row, gold = question("multi_turn_base", 0)
    assert len(gold) == 4
    verdict = judge(Item("v4", "multi_turn_base", row, gold, result))
    assert verdict["error_type"] == error_type and verdict["error"]


def test_native_calls_act_as_calls_in_text_do() -> None:
    row, gold = question("multi_turn_base", 2)
    texts = [[f"[{', '.join(turn)}]"] for turn in gold]
    native = [[[next(iter(_as_native(text))) for text in turn]] for turn in gold]
    first, second = (
        judge(Item("v4", "multi_turn_base", row, gold, result, native=is_native))
        for result, is_native in ((texts, False), (native, True))
    )
    assert first == second and first["valid"]


def _as_native(text: str) -> list[dict[str, str]]:
    import json

    return [{name: json.dumps(arguments)} for call in bridge.decode_ast(text) for name, arguments in call.items()]


def test_calls_are_executed_after_those_before_them_and_leave_nothing_behind() -> None:
    row, _ = question("multi_turn_base", 0)
    entry = {key: row[key] for key in ("id", "initial_config", "involved_classes")}
    assert simulation.run_calls(entry, [["cd(folder='document')"]], ["pwd()"])[0].endswith('/document"}')
    assert not simulation.run_calls(entry, [], ["pwd()"])[0].endswith('/document"}')
    failed, refused = simulation.run_calls(entry, [], ["no_such_call(a=1)", "open(file='/etc/passwd')"])
    assert failed == "Error during execution: name 'no_such_call' is not defined"
    assert refused.startswith("Error during execution: a call of open")


def test_the_faster_standard_functions_are_equal_to_the_ones_they_stand_for() -> None:
    utils, _ = bridge.simulated_apis()
    for name, module in utils.CLASS_FILE_PATH_MAPPING.items():
        if name.startswith(("WebSearch", "Memory")):
            continue
        instance = getattr(__import__(module, fromlist=[name]), name)()
        official = [method for method, _ in inspect.getmembers(instance, predicate=inspect.ismethod)]
        assert [method for method, _ in simulation._members(instance, inspect.ismethod)] == official, name
    for row in DATA.questions("multi_turn_long_context")[:50]:
        copied = simulation._copy_json(row["initial_config"])
        assert copied == copy.deepcopy(row["initial_config"]) and copied is not row["initial_config"]
