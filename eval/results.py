"""From verdicts to `results.json`: accuracies, aggregates and paired comparisons of every pair of models."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from eval.bfcl.categories import CALL_CATEGORIES, CATEGORIES
from eval.statistics import Stratum, difference_interval, holm, mcnemar, mean_interval, sign_flip, wilson
from toolace import __version__, runs
from toolace.rows import Row

# The official v4 NonLive score: mean(SimpleAST, multiple, parallel, parallel_multiple), where SimpleAST is the mean of
# the three languages. Irrelevance is not in it.
_SIMPLE = ("simple_python", "simple_java", "simple_javascript")
NON_LIVE = {**dict.fromkeys(_SIMPLE, 1 / 12), "multiple": 0.25, "parallel": 0.25, "parallel_multiple": 0.25}
# The official v4 Live score weighs its four categories by their numbers of questions.
LIVE = ("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple")

Table = dict[str, dict[str, dict[str, Row]]]


def build_results(verdicts: Iterable[Mapping[str, Any]], protocol: str = "v4") -> dict[str, Any]:
    """The object of `results.json`: `{"rows", "aggregates", "comparisons", "versions"}`, scores from 0 to 100.

    Args:
        verdicts: rows of `verdicts.jsonl`, of one or several models; models are compared in the order they come in.

    Comparisons are b against a over the questions that both answered. `p_holm` corrects a category's p-value for the
    number of categories compared between the same two models; `call_mean` is the primary comparison and stands alone.
    """
    table = tabulate(verdicts)
    rows = [
        _row(model, protocol, name, list(table[model][name].values()))
        for model in table
        for name in _ordered(table[model])
    ]
    aggregates = [aggregate for model in table for aggregate in _aggregates(model, protocol, table[model])]
    comparisons = [row for a, b in combinations(table, 2) for row in compare(a, b, table[a], table[b])]
    return {"rows": rows, "aggregates": aggregates, "comparisons": comparisons, "versions": versions()}


def tabulate(verdicts: Iterable[Mapping[str, Any]]) -> Table:
    """Verdicts by model, category and id."""
    table: Table = {}
    for verdict in verdicts:
        category = table.setdefault(verdict["model"], {}).setdefault(verdict["category"], {})
        category[verdict["id"]] = dict(verdict)
    return table


def _ordered(names: Iterable[str]) -> list[str]:
    known = list(CATEGORIES)
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def _row(model: str, protocol: str, category: str, verdicts: list[Row]) -> Row:
    n, correct = len(verdicts), sum(verdict["valid"] for verdict in verdicts)
    low, high = wilson(correct, n)
    return {
        "model": model,
        "benchmark": "bfcl",
        "protocol": protocol,
        "category": category,
        "n": n,
        "correct": correct,
        "accuracy": 100 * correct / n,
        "low": low,
        "high": high,
    }


def _counts(verdicts: Mapping[str, Row]) -> tuple[int, int]:
    return sum(verdict["valid"] for verdict in verdicts.values()), len(verdicts)


def _aggregates(model: str, protocol: str, categories: Mapping[str, Mapping[str, Row]]) -> list[Row]:
    """`call_mean`, and where all their categories are there, the official `non_live` and `live`; strict irrelevance."""
    weights: dict[str, dict[str, float]] = {}
    called = [name for name in CALL_CATEGORIES if name in categories]
    if called:
        weights["call_mean"] = dict.fromkeys(called, 1 / len(called))
    if all(name in categories for name in NON_LIVE):
        weights["non_live"] = NON_LIVE
    if all(name in categories for name in LIVE):
        total = sum(len(categories[name]) for name in LIVE)
        weights["live"] = {name: len(categories[name]) / total for name in LIVE}
    result = []
    for aggregate, shares in weights.items():
        value, low, high = mean_interval([(*_counts(categories[name]), share) for name, share in shares.items()])
        result.append(_aggregate(model, protocol, aggregate, (value, low, high), list(shares)))
    for name in ("irrelevance", "live_irrelevance"):
        strict = [bool(verdict["strict"]) for verdict in categories.get(name, {}).values() if "strict" in verdict]
        if strict:
            value, bounds = 100 * sum(strict) / len(strict), wilson(sum(strict), len(strict))
            result.append(_aggregate(model, protocol, f"{name}_strict", (value, *bounds), [name]))
    return result


def _aggregate(model: str, protocol: str, name: str, value: tuple[float, float, float], parts: list[str]) -> Row:
    return {
        "model": model,
        "protocol": protocol,
        "name": name,
        "value": value[0],
        "low": value[1],
        "high": value[2],
        "categories": parts,
    }


def compare(a: str, b: str, left: Mapping[str, Mapping[str, Row]], right: Mapping[str, Mapping[str, Row]]) -> list[Row]:
    """Paired comparisons of two models: McNemar for each category, and the mean of the call categories first."""
    strata = {name: _stratum(left[name], right[name]) for name in _ordered(left) if name in right}
    strata = {name: part for name, part in strata.items() if part.n}
    rows = []
    for name, part in strata.items():
        difference, low, high = difference_interval([part])
        p_value = mcnemar(part.a_only, part.b_only)
        rows.append(_comparison(a, b, name, p_value, "McNemar, exact", [part], (difference, low, high)))
    for row, corrected in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = corrected
    called = [name for name in CALL_CATEGORIES if name in strata]
    if called:
        parts = [_weighted(strata[name], 1 / len(called)) for name in called]
        p_value, how = sign_flip(parts)
        test = f"paired permutation, stratified by category, {how}"
        rows.insert(0, _comparison(a, b, "call_mean", p_value, test, parts, difference_interval(parts)))
    return rows


def _stratum(left: Mapping[str, Row], right: Mapping[str, Row]) -> Stratum:
    pairs = [(left[id_]["valid"], right[id_]["valid"]) for id_ in left if id_ in right]
    return Stratum(len(pairs), sum(x and not y for x, y in pairs), sum(y and not x for x, y in pairs), 1.0)


def _weighted(part: Stratum, weight: float) -> Stratum:
    return Stratum(part.n, part.a_only, part.b_only, weight)


def _comparison(
    a: str,
    b: str,
    category: str,
    p_value: float,
    test: str,
    parts: list[Stratum],
    difference: tuple[float, float, float],
) -> Row:
    return {
        "a": a,
        "b": b,
        "category": category,
        "p_value": p_value,
        "test": test,
        "n": sum(part.n for part in parts),
        "a_only": sum(part.a_only for part in parts),
        "b_only": sum(part.b_only for part in parts),
        "difference": difference[0],
        "low": difference[1],
        "high": difference[2],
    }


def versions() -> dict[str, str]:
    """Versions of what made the scores."""
    installed = runs.versions(("bfcl-eval", "numpy"))
    return {"toolace": __version__, "python": platform.python_version(), **installed}
