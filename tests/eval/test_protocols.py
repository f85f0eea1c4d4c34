"""The formulas of the leaderboard give the numbers that were printed, from the numbers they were made of."""

from __future__ import annotations

import pytest

from eval.bfcl.aggregation import categories_of, column_values, columns, groups, official_categories, weights
from eval.bfcl.protocols import PROTOCOLS, V1_2024, V3_2024, V4, find_protocol
from eval.published.tables import published_rows
from toolace.errors import InputError

SIZES_V3 = {
    "simple": 400, "java": 100, "javascript": 50, "multiple": 200, "parallel": 200, "parallel_multiple": 200,
    "irrelevance": 240, "exec_simple": 100, "rest": 70, "exec_multiple": 50, "exec_parallel": 50,
    "exec_parallel_multiple": 40, "live_simple": 258, "live_multiple": 1037, "live_parallel": 16,
    "live_parallel_multiple": 24, "live_irrelevance": 875, "live_relevance": 41, "multi_turn_base": 200,
    "multi_turn_miss_func": 200, "multi_turn_miss_param": 200, "multi_turn_long_context": 200,
}  # fmt: skip
# The authors' row of pull request 653, and the two numbers that it leaves open and that its sums allow alone.
TOOLACE_8B = {
    "simple": 80.58, "java": 80.58, "javascript": 80.58, "multiple": 95.00, "parallel": 91.00,
    "parallel_multiple": 90.50, "irrelevance": 100 * 224 / 240, "exec_simple": 98.29, "rest": 98.29,
    "exec_multiple": 94.00, "exec_parallel": 88.00, "exec_parallel_multiple": 80.00, "live_simple": 100 * 162 / 258,
    "live_multiple": 100 * 770 / 1037, "live_parallel": 81.25, "live_parallel_multiple": 75.00,
    "live_irrelevance": 100 * 650 / 875, "live_relevance": 100 * 35 / 41, "multi_turn_base": 21.50,
    "multi_turn_miss_func": 6.50, "multi_turn_miss_param": 17.50, "multi_turn_long_context": 12.00,
}  # fmt: skip


def test_the_authors_row_gives_the_papers_table_2() -> None:
    values = column_values("v3-2024", TOOLACE_8B, SIZES_V3)
    (printed,) = [
        row["scores"]
        for row in published_rows("v3-2024")
        if row["model"] == "ToolACE-8B (FC)" and row["source"].endswith("Table 2")
    ]
    assert printed["overall"] == 59.22 and len(printed) == 7
    for name, value in printed.items():
        assert values[name] == pytest.approx(value, abs=0.0051), name  # 14.375 is printed as 14.37


def test_the_papers_v1_score_is_1554_of_1700_questions() -> None:
    sizes = dict.fromkeys(official_categories(V1_2024), 0) | {
        "simple": 400, "java": 100, "javascript": 50, "multiple_function": 200, "parallel_function": 200,
        "parallel_multiple_function": 200, "executable_simple": 100, "rest": 70, "executable_multiple_function": 50,
        "executable_parallel_function": 50, "executable_parallel_multiple_function": 40, "relevance": 240,
    }  # fmt: skip
    assert sum(sizes.values()) == 1_700
    shares = weights(columns("v1-2024")["overall"], sizes)
    assert shares == pytest.approx({name: size / 1_700 for name, size in sizes.items()})
    correct = dict(sizes, simple=254)  # 146 wrong answers, wherever they are
    values = column_values("v1-2024", {name: 100 * correct[name] / sizes[name] for name in sizes}, sizes)
    assert values["overall"] == pytest.approx(100 * 1554 / 1700) and round(values["overall"], 2) == 91.41


def test_v1_weighs_the_three_languages_by_their_questions_and_today_does_not() -> None:
    simple = {"simple": 400, "java": 100, "javascript": 50}
    rest = {"multiple_function": 200, "parallel_function": 200, "parallel_multiple_function": 200}
    shares = weights(columns("v1-2024")["ast"], simple | rest)
    assert shares["simple"] == pytest.approx(0.25 * 400 / 550) and shares["multiple_function"] == 0.25
    today = weights(columns("v4")["non_live"], dict.fromkeys(categories_of(columns("v4")["non_live"]), 10))
    assert today["simple_java"] == pytest.approx(1 / 12) and today["parallel"] == 0.25


def test_todays_overall_score_is_two_fifths_agentic_and_three_tenths_multi_turn() -> None:
    sizes = dict.fromkeys(official_categories(V4), 100)
    kinds: dict[str, float] = {}
    for name, share in weights(columns("v4")["overall"], sizes).items():
        kinds[V4.categories[name].group] = kinds.get(V4.categories[name].group, 0) + share
    assert kinds == pytest.approx({"agentic": 0.4, "multi_turn": 0.3, "live": 0.15, "non_live": 0.15})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_weights_of_every_column_sum_to_one(protocol: str) -> None:
    for node in columns(protocol).values():
        sizes = {name: 10 + i for i, name in enumerate(categories_of(node))}
        assert sum(weights(node, sizes).values()) == pytest.approx(1)


def test_a_category_scored_by_proxy_shares_its_weight_with_what_was_executed() -> None:
    sizes = {"exec_simple": 62, "exec_simple_proxy": 38, "rest_proxy": 70}
    sizes |= {f"exec_{name}": 10 for name in ("multiple", "parallel", "parallel_multiple")}
    shares = weights(columns("v3-2024")["non_live_exec"], sizes)
    assert shares["exec_simple"] == pytest.approx(0.125 * 0.62) and shares["rest_proxy"] == pytest.approx(0.125)
    with pytest.raises(KeyError, match="irrelevance"):
        weights(columns("v3-2024")["irrelevance_mean"], sizes)


def test_groups_name_categories_of_their_protocol() -> None:
    assert len(groups(V4)["single_turn"]) == 13 and len(groups(V4)["multi_turn"]) == 4
    assert len(groups(V3_2024)["all"]) == 22 and len(groups(V1_2024)["all"]) == 12
    assert "exec_simple" not in groups(V4)["all"] and "exec_simple" in groups(V4)["executable"]


def test_published_scores_have_a_source_and_a_date_and_known_columns() -> None:
    for protocol in PROTOCOLS:
        rows = published_rows(protocol)
        assert rows
        for row in rows:
            assert row["source"] and row["date"] and row["scores"]
            assert all(0 <= value <= 100 for value in row["scores"].values())
            assert set(row["scores"]) <= {*columns(protocol), "relevance"}


def test_an_unknown_protocol_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown protocol 'v2'.*v4, v3-2024, v1-2024"):
        find_protocol("v2")
