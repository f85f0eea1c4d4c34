from __future__ import annotations

from typing import Any

import pytest
from bfcl_answers import DATA

from eval.bfcl.categories import CATEGORIES
from eval.bfcl.protocols import find_protocol
from eval.results import build_results
from eval.score import render_table
from eval.statistics import mcnemar, wilson


def verdicts(model: str, category: str, outcomes: str, **extra: Any) -> list[dict[str, Any]]:
    """One verdict for each character, `1` for valid."""
    return [
        {
            "model": model,
            "category": category,
            "id": f"{category}_{i}",
            "valid": mark == "1",
            "error_type": None,
            **extra,
        }
        for i, mark in enumerate(outcomes)
    ]


def only(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    (row,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return row


def test_rows_are_those_of_the_contract() -> None:
    results = build_results(verdicts("m", "parallel", "1101"))
    assert {"rows", "aggregates", "comparisons", "versions"} <= set(results)
    low, high = wilson(3, 4)
    assert results["rows"] == [
        {
            "model": "m",
            "benchmark": "bfcl",
            "protocol": "v4",
            "category": "parallel",
            "n": 4,
            "correct": 3,
            "accuracy": 75.0,
            "low": low,
            "high": high,
        }
    ]
    assert {"toolace", "python", "bfcl-eval"} <= set(results["versions"])


def test_call_mean_is_the_unweighted_mean_of_the_call_categories_that_were_run() -> None:
    rows = verdicts("m", "simple_python", "1111") + verdicts("m", "parallel", "10") + verdicts("m", "irrelevance", "00")
    mean = only(build_results(rows)["aggregates"], name="call_mean")
    assert mean["value"] == pytest.approx(75.0) and mean["low"] <= 75.0 <= mean["high"]
    assert mean["categories"] == ["simple_python", "parallel"]


def test_non_live_is_the_official_mean_of_means_and_needs_all_its_categories() -> None:
    shares = {
        "simple_python": "1111",
        "simple_java": "10",
        "simple_javascript": "00",
        "multiple": "10",
        "parallel": "10",
    }
    rows = [row for name, marks in shares.items() for row in verdicts("m", name, marks)]
    assert "non_live" not in {row["name"] for row in build_results(rows)["aggregates"]}
    rows += verdicts("m", "parallel_multiple", "01")
    assert only(build_results(rows)["aggregates"], name="non_live")["value"] == pytest.approx((50 + 50 + 50 + 50) / 4)


def test_live_is_weighted_by_questions() -> None:
    shares = {"live_simple": "111111", "live_multiple": "00", "live_parallel": "0", "live_parallel_multiple": "0"}
    rows = [row for name, marks in shares.items() for row in verdicts("m", name, marks)]
    assert only(build_results(rows)["aggregates"], name="live")["value"] == pytest.approx(60.0)


def test_a_sample_of_a_category_weighs_as_much_as_all_of_it() -> None:
    marks = {"live_simple": "0" * 20, "live_multiple": "1" * 20, "live_parallel": "0", "live_parallel_multiple": "0"}
    rows = [row for name, shown in marks.items() for row in verdicts("m", name, shown)]
    sizes = {name: len(DATA.questions(name)) for name in marks}
    expected = 100 * sizes["live_multiple"] / sum(sizes.values())
    assert only(build_results(rows, data=DATA)["aggregates"], name="live")["value"] == pytest.approx(expected)


def test_call_mean_of_some_categories_says_that_it_is_not_of_all() -> None:
    row = only(build_results(verdicts("m", "multiple", "1" * 200), data=DATA)["aggregates"], name="call_mean")
    called = find_protocol("v4").call_categories
    assert (row["n"], row["of"]) == (200, sum(len(DATA.questions(name)) for name in called))


def test_strict_irrelevance_stands_beside_the_official_one() -> None:
    rows = verdicts("m", "irrelevance", "11", strict=True) + verdicts("m", "irrelevance", "0011", strict=False)[2:]
    results = build_results(rows)
    assert only(results["rows"], category="irrelevance")["accuracy"] == 100.0
    assert only(results["aggregates"], name="irrelevance_strict")["value"] == 50.0


def test_comparisons_pair_only_what_both_models_answered() -> None:
    rows = verdicts("base", "multiple", "0000011111") + verdicts("tuned", "multiple", "11111111")
    row = only(build_results(rows)["comparisons"], category="multiple")
    assert (row["a"], row["b"], row["n"], row["a_only"], row["b_only"]) == ("base", "tuned", 8, 0, 5)
    assert row["p_value"] == mcnemar(0, 5) and row["difference"] == pytest.approx(62.5)


def test_categories_are_corrected_for_their_number_and_call_mean_stands_alone() -> None:
    rows = []
    for name, (left, right) in {"simple_python": ("0" * 9, "1" * 9), "parallel": ("01" * 4, "10" * 4)}.items():
        rows += verdicts("base", name, left) + verdicts("tuned", name, right)
    comparisons = build_results(rows)["comparisons"]
    assert [row["category"] for row in comparisons] == ["call_mean", "simple_python", "parallel"]
    assert only(comparisons, category="simple_python")["p_holm"] == pytest.approx(2 * mcnemar(0, 9))
    assert "p_holm" not in comparisons[0] and "permutation" in comparisons[0]["test"]


def test_every_pair_of_models_is_compared_in_the_order_given() -> None:
    rows = [row for model in "abc" for row in verdicts(model, "parallel", "10")]
    pairs = [(row["a"], row["b"]) for row in build_results(rows)["comparisons"] if row["category"] == "parallel"]
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")]


def test_holm_counts_the_categories_of_all_pairs_and_the_means_of_all_pairs() -> None:
    rows = verdicts("a", "parallel", "0" * 9) + verdicts("b", "parallel", "1" * 9) + verdicts("c", "parallel", "0" * 9)
    comparisons = build_results(rows)["comparisons"]
    for category in ("parallel", "call_mean"):
        corrected = {(row["a"], row["b"]): row["p_holm"] for row in comparisons if row["category"] == category}
        assert corrected == pytest.approx({("a", "b"): 3 * 2**-8, ("a", "c"): 1.0, ("b", "c"): 3 * 2**-8})


def test_rows_follow_the_benchmarks_order() -> None:
    rows = [row for name in reversed(CATEGORIES) for row in verdicts("m", name, "1")]
    assert [row["category"] for row in build_results(rows)["rows"]] == list(CATEGORIES)


def test_models_without_common_questions_are_not_compared() -> None:
    rows = verdicts("a", "parallel", "10") + verdicts("b", "multiple", "10")
    assert build_results(rows)["comparisons"] == []


def test_what_was_not_run_is_named_and_counts_nowhere() -> None:
    results = build_results(verdicts("m", "parallel", "11") + verdicts("m", "irrelevance", "11"))
    (missing,) = results["not_run"]
    assert "memory_kv" in missing["categories"] and "parallel" not in missing["categories"]
    assert "exec_simple" not in missing["categories"], "retired: no official score counts it"
    assert missing["aggregates"][-1] == "overall"
    assert not {row["name"] for row in results["aggregates"]} & set(missing["aggregates"])


def test_a_column_of_one_category_has_the_interval_of_the_category() -> None:
    results = build_results(verdicts("m", "live_relevance", "11111"))
    column = only(results["aggregates"], name="relevance")
    assert (column["low"], column["high"]) == wilson(5, 5)


def test_official_columns_are_compared_by_permutation_and_corrected_for_their_number() -> None:
    names = [name for name in CATEGORIES if name.startswith("multi_turn")] + ["live_relevance"]
    rows = [row for name in names for row in verdicts("a", name, "0" * 8) + verdicts("b", name, "1" * 8)]
    comparisons = build_results(rows)["comparisons"]
    column = only(comparisons, category="multi_turn")
    assert column["p_value"] < column["p_holm"] < 1e-8 and "permutation" in column["test"]
    assert "minimum_detectable" not in column
    assert only(comparisons, category="multi_turn_base")["minimum_detectable"] >= 75


def test_marks_of_questions_are_counted_in_their_row() -> None:
    rows = verdicts("m", "multi_turn_base", "01", stale=True) + verdicts("m", "live_simple", "01", unpassable=True)
    results = build_results(rows)
    assert only(results["rows"], category="multi_turn_base")["stale"] == 2
    assert only(results["rows"], category="live_simple")["unpassable"] == 2


def test_marks_are_counted_in_aggregates_too_and_printed() -> None:
    names = [name for name in CATEGORIES if name.startswith("multi_turn")]
    rows = [row for name in names for row in verdicts("m", name, "01", stale=True)]
    results = build_results(rows)
    assert only(results["aggregates"], name="multi_turn")["stale"] == 8
    (line,) = [line for line in render_table(results).splitlines() if line.startswith("multi_turn  ")]
    assert line.endswith("(8 whose simulated APIs have changed since)")


def complete(category: str) -> list[dict[str, Any]]:
    """A right verdict for every question of a category."""
    return [{**row, "id": q["id"]} for q in DATA.questions(category) for row in verdicts("m", category, "1")]


def test_a_part_of_a_category_is_called_so_and_stands_beside_no_published_score() -> None:
    part = [row for name in ("live_relevance", "irrelevance", "live_irrelevance") for row in complete(name)[:2]]
    results = build_results(part, data=DATA)
    assert only(results["rows"], category="live_relevance")["of"] == 16
    mean = only(results["aggregates"], name="irrelevance_mean")
    assert (mean["n"], mean["of"]) == (4, 240 + len(DATA.questions("live_irrelevance")))
    shown = render_table(results)
    assert f"(partial: 4 of {mean['of']})" in shown and "(partial: 2 of 16)" in shown
    assert "ToolACE-2-8B" not in shown and "not comparable with partial ones" in shown


def test_a_whole_category_stands_beside_published_scores() -> None:
    shown = render_table(build_results(complete("live_relevance"), data=DATA))
    assert "partial" not in shown and "ToolACE-2-8B" in shown and "75.00" in shown


def test_scores_on_later_data_are_printed_apart_with_their_note() -> None:
    shown = render_table(build_results(verdicts("m", "live_relevance", "1"), "v3-2024"))
    assert "(other data: data were changed in October 2024)" in shown and "(ablation" not in shown
    assert shown.index("Table 2") < shown.index("other data")


def test_p_values_are_printed_with_holms_correction() -> None:
    rows = verdicts("a", "parallel", "0" * 9) + verdicts("b", "parallel", "1" * 9)
    rows += verdicts("a", "multiple", "01") + verdicts("b", "multiple", "10")
    shown = render_table(build_results(rows))
    assert "p = 0.0039, Holm 0.0078 (McNemar, exact)" in shown
    assert "Holm: over all pairs of models" in shown


def test_executable_answers_that_were_only_compared_are_counted_with_the_command_that_helps() -> None:
    rows = [{**row, "method": "gold_call"} for row in complete("exec_simple")]
    results = build_results(rows, data=DATA)
    assert results["not_executed"] == [{"model": "m", "executed": 0, "offline": 62}]
    assert only(results["rows"], category="exec_simple_proxy")["of"] == 100
    assert "exec: 0 of 62 executed, the others compared; pip install --no-deps nvidia-bfcl==" in render_table(results)
    offline = [{**row, "method": "executed"} for row in rows]
    assert build_results(offline, data=DATA)["not_executed"] == []


def test_a_category_in_two_parts_is_whole_when_no_question_is_missing() -> None:
    rows = complete("exec_simple")
    rows = [{**row, "method": "executed" if i < 62 else "gold_call"} for i, row in enumerate(rows)]
    for part, missing in ((rows, 0), (rows[:-10], 10)):
        for row in build_results(part, data=DATA)["rows"]:
            assert row["of"] - row["n"] == missing, row["category"]
