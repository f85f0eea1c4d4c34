"""The base model against the tuned one: what the headline and the main table say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolace.rows import Row

LABELS = {
    "call_mean": "Mean of the call categories",
    "non_live": "Official NonLive score",
    "live": "Official Live score",
    "multi_turn": "Official multi-turn score",
    "agentic": "Official agentic score",
    "relevance": "Relevance",
    "irrelevance_mean": "Official irrelevance score",
    "overall": "Official overall score",
    "non_live_ast": "Non-live(A), as in Table 2",
    "non_live_exec": "Non-live(E), as in Table 2",
    "non_live_exec_proxy": "Non-live(E), in part by proxy",
    "non_live_proxy": "Non-live, in part by proxy",
    "overall_proxy": "Overall, executables in part by proxy",
    "ast": "AST, as in Figure 3",
    "exec": "Exec, as in Figure 3",
    "exec_proxy": "Exec, in part by proxy",
    "exec_offline": "Executed without a network",
    "irrelevance_strict": "irrelevance, strict",
    "live_irrelevance_strict": "live_irrelevance, strict",
    "relevance_strict": "relevance (v1: no call wanted), strict",
}


@dataclass(frozen=True)
class Score:
    """One model's accuracy in one line of the table, from 0 to 100; `n` and `correct` are None for aggregates."""

    accuracy: float
    low: float
    high: float
    n: int | None = None
    correct: int | None = None


@dataclass(frozen=True)
class Line:
    """One line of the main table: a category or an aggregate, with the tuned model's score against the base's.

    Attributes:
        scores: by model, base first; a model that was not scored here is left out.
        difference, low, high: tuned minus base in points with its interval; None when they were not compared.
        p_value, p_holm: the test of the difference, and corrected for the number of categories.
        primary: this is the line of the headline.
    """

    name: str
    label: str
    scores: dict[str, Score]
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_holm: float | None = None
    primary: bool = False


@dataclass(frozen=True)
class Comparison:
    """Everything the report says about two models (or about one, when `base` is None)."""

    tuned: str
    base: str | None
    categories: list[Line]
    aggregates: list[Line]
    headline: Row | None
    others: list[str]

    @property
    def models(self) -> list[str]:
        """Base (if any) and tuned."""
        return [self.base, self.tuned] if self.base else [self.tuned]


def build_comparison(results: Mapping[str, Any]) -> Comparison | None:
    """Picks the two models (`base` and `tuned`, or the first and the last) and lines their scores up."""
    rows, aggregates = results["rows"], results.get("aggregates") or []
    models = list(dict.fromkeys(row["model"] for row in rows))
    if not models:
        return None
    tuned = "tuned" if "tuned" in models else models[-1]
    rest = [model for model in models if model != tuned]
    base = ("base" if "base" in rest else rest[0]) if rest else None
    pair = [base, tuned] if base else [tuned]
    tests = _tests(results.get("comparisons") or [], base, tuned)
    names = list(dict.fromkeys(row["category"] for row in rows))
    lines = [_line(name, [row for row in rows if row["category"] == name], pair, tests) for name in names]
    sums = list(dict.fromkeys(row["name"] for row in aggregates))
    totals = [_line(name, [row for row in aggregates if row["name"] == name], pair, tests) for name in sums]
    return Comparison(
        tuned,
        base,
        [line for line in lines if line.scores],
        [line for line in totals if line.scores],
        tests.get("call_mean"),
        [model for model in rest if model != base],
    )


def _tests(comparisons: list[Row], base: str | None, tuned: str) -> dict[str, Row]:
    """Comparisons of this pair by category, always as tuned minus base."""
    found: dict[str, Row] = {}
    for row in comparisons:
        if (row["a"], row["b"]) == (base, tuned):
            found[row["category"]] = row
        elif (row["a"], row["b"]) == (tuned, base):
            found[row["category"]] = {**row, **_reversed(row)}
    return found


def _reversed(row: Row) -> Row:
    turned: Row = {"a": row["b"], "b": row["a"]}
    if "difference" in row:
        turned |= {"difference": -row["difference"], "low": -row["high"], "high": -row["low"]}
        turned |= {"a_only": row["b_only"], "b_only": row["a_only"]}
    return turned


def _line(name: str, rows: list[Row], models: list[str], tests: Mapping[str, Row]) -> Line:
    scores = {}
    for model in models:
        for row in rows:
            if row["model"] == model:
                accuracy = row["accuracy"] if "accuracy" in row else row["value"]
                scores[model] = Score(accuracy, row["low"], row["high"], row.get("n"), row.get("correct"))
    test = tests.get(name, {})
    return Line(
        name,
        LABELS.get(name, name),
        scores,
        test.get("difference"),
        test.get("low"),
        test.get("high"),
        test.get("p_value"),
        test.get("p_holm"),
        name == "call_mean",
    )
