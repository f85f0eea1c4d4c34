"""Executable answers: executed where no network is needed, compared with gold's calls elsewhere, never summed up."""

from __future__ import annotations

from typing import Any

import pytest
from bfcl_answers import DATA

from eval.bfcl import bridge, executable
from eval.bfcl.aggregation import groups
from eval.bfcl.execution_guard import inspect_formula
from eval.bfcl.judging import Item, judge
from eval.bfcl.protocols import V4
from eval.bfcl.scoring import score_answers
from eval.results import build_results

NAMES = groups(V4)["executable"]
installed = pytest.mark.skipif(not executable.package_installed(), reason=f"needs {executable.PACKAGE}")


def gold_texts(name: str) -> dict[str, str]:
    """Gold's calls as an answer, positional arguments under their names: the decoder drops them otherwise."""
    texts = {}
    for row in DATA.questions(name):
        calls = [
            executable.with_names(call, bridge.decode_ast(call)[0], row["function"])
            for call in DATA.gold(name)[row["id"]]
        ]
        texts[row["id"]] = f"[{', '.join(bridge.call_texts(calls))}]"
    return texts


def test_134_of_240_questions_need_no_network() -> None:
    offline = {name: sum(map(executable.runs_offline, DATA.gold(name).values())) for name in NAMES}
    assert offline == {
        "exec_simple": 62, "exec_multiple": 31, "exec_parallel": 31, "exec_parallel_multiple": 10, "rest": 0
    }  # fmt: skip


@installed
def test_all_134_golds_pass_the_official_checker() -> None:
    for name in NAMES[:4]:
        verdicts = [v for v in score_answers(name, gold_texts(name), DATA) if v["method"] == "executed"]
        assert verdicts and all(verdict["valid"] for verdict in verdicts), name


@installed
def test_another_result_is_wrong_and_an_equal_one_is_right_whatever_the_arguments() -> None:
    answers = {
        "exec_simple_0": "[calc_binomial_probability(n=20, k=5, p=0.6)]",
        "exec_simple_1": "[calc_binomial_probability(n=20, k=6, p=0.61)]",
    }
    first, second = score_answers("exec_simple", answers, DATA)
    assert first["valid"] and not second["valid"]
    assert second["error_type"] == "executable_checker:wrong_result"


@pytest.mark.parametrize("name", NAMES)
def test_gold_is_right_by_proxy_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executable, "package_installed", lambda: False)
    verdicts = score_answers(name, gold_texts(name), DATA)
    assert all(verdict["method"] == "gold_call" and verdict["valid"] for verdict in verdicts)


def test_the_proxy_compares_every_argument_and_the_number_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executable, "package_installed", lambda: False)
    row = DATA.questions("exec_simple")[0]
    gold = DATA.gold("exec_simple")[row["id"]]

    def verdict(result: Any, native: bool = False) -> bool:
        return bool(judge(Item("v4", "exec_simple", row, gold, result, native))["valid"])

    assert verdict("[calc_binomial_probability(p=0.6, k=5, n=20)]")
    assert verdict([{"calc_binomial_probability": '{"n": 20, "k": 5, "p": 0.6}'}], native=True)
    assert not verdict("[calc_binomial_probability(n=20, k=5, p=0.5)]")
    assert not verdict("[calc_binomial_probability(n=20, k=5, p=0.6), calc_binomial_probability(n=20, k=5, p=0.6)]")
    assert not verdict("I would call calc_binomial_probability.")
    assert not verdict("[]")


def test_proxy_and_executed_verdicts_are_separate_rows_and_the_aggregate_says_so() -> None:
    def rows(category: str, method: str, n: int) -> list[dict[str, Any]]:
        found = [{"model": "m", "category": category, "id": f"{category}{method}{i}"} for i in range(n)]
        return [{**row, "valid": method == "executed", "error_type": None, "method": method} for row in found]

    verdicts = rows("exec_simple", "executed", 3) + rows("exec_simple", "gold_call", 1) + rows("rest", "gold_call", 2)
    for name in ("exec_multiple", "exec_parallel", "exec_parallel_multiple"):
        verdicts += rows(name, "executed", 2)
    results = build_results(verdicts, "v3-2024")
    assert {row["category"]: row["accuracy"] for row in results["rows"]} == {
        "exec_simple": 100, "exec_simple_proxy": 0, "exec_multiple": 100, "exec_parallel": 100,
        "exec_parallel_multiple": 100, "rest_proxy": 0,
    }  # fmt: skip
    values = {row["name"]: row["value"] for row in results["aggregates"]}
    assert set(values) == {"non_live_exec_proxy", "exec_offline"}
    assert values["exec_offline"] == 100 and values["non_live_exec_proxy"] == pytest.approx(75 + 12.5 * 0.75)


@pytest.mark.parametrize("text", ["lambda x: 3*x**2 + 2*x - 1", "lambda x : -x/4", "lambda t: t**0.5"])
def test_formulas_like_those_of_gold_are_evaluated(text: str) -> None:
    assert inspect_formula(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "lambda x: __import__('os')", "lambda x: x.__class__", "lambda x: 9**9**9",
        "lambda x: open('f', 'w')", "lambda x: [x for x in y]", "x", "lambda x: y", "lambda", "lambda x: 'a'*10**9",
    ],
)  # fmt: skip
def test_formulas_that_are_code_are_refused(text: str) -> None:
    assert inspect_formula(text)
