"""From verdicts to `results.json`: accuracies, aggregates and paired comparisons of every pair of models."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from eval.bfcl.aggregation import PROXY, categories_of, columns, official_categories, weights
from eval.bfcl.categories import EXECUTABLE
from eval.bfcl.data import Data
from eval.bfcl.executable import runs_offline
from eval.bfcl.protocols import Protocol, find_protocol
from eval.bfcl.taxonomy import count_errors
from eval.published.tables import published_rows
from eval.statistics import (
    Stratum,
    difference_interval,
    holm,
    mcnemar,
    mean_interval,
    minimum_detectable_difference,
    sign_flip,
    wilson,
)
from toolace import __version__, runs
from toolace.rows import Row

PRIMARY = "call_mean"
MCNEMAR = "McNemar, exact"  # the test of a category; a mean of several has a permutation test
OFFLINE = "exec_offline"  # the executable questions that need no network, really executed
# Second readings of a verdict: the field, what it is called behind the category's name, and how it is read.
SECOND_READINGS = {"strict": "strict", "abstained": "and_abstained"}

Table = dict[str, dict[str, dict[str, Row]]]


def build_results(
    verdicts: Iterable[Mapping[str, Any]], protocol: str = "v4", data: Data | None = None
) -> dict[str, Any]:
    """The object of `results.json`, scores from 0 to 100.

    Args:
        verdicts: rows of `verdicts.jsonl`, of one or several models; models are compared in the order they come in.
        protocol: by which they were scored; it stands in every row.
        data: the protocol's questions; without them it is not known how many there are, nor which could be executed.

    Returns:
        `rows` a category, `aggregates` a column, each with `n` answers `of` so many questions; `comparisons` of b
        against a over the questions that both answered, `errors` by class, `not_run`: official categories without
        answers and the columns that are missing for it, `notable`: by model, numbers of answers that the guard refused
        (`guard:refused`) and that hold calls in text though the model calls natively (`calls_in_text`), `not_executed`:
        models with answers that could have been executed and were not, `published`: scores of others, and `versions`.

    `p_holm` is Holm's correction over all pairs of models in the run: the tests of categories are one family, those of
    official columns another. `call_mean` is the primary comparison; it is corrected for the number of pairs alone.
    """
    rules = find_protocol(protocol)
    verdicts = list(verdicts)
    table = tabulate(verdicts)
    names = {name.removesuffix(PROXY) for categories in table.values() for name in categories}
    sizes = {name: len(data.questions(name)) for name in names} if data else {}
    if data and rules.name == "v4":  # its questions are installed; those of 2024 would be downloaded to be counted
        sizes |= {name: len(data.questions(name)) for name in rules.call_categories}
    return {
        "rows": [
            row for model in table for row in _with_sizes(_category_rows(model, rules, table[model]), "category", sizes)
        ],
        "aggregates": [row for model in table for row in _aggregates(model, rules, table[model], sizes)],
        "comparisons": compare_all(table, protocol, sizes),
        "errors": count_errors(verdicts),
        "not_run": [row for model in table for row in _not_run(model, rules, table[model])],
        "notable": {model: counts for model in table if (counts := _notable(table[model]))},
        "not_executed": [row for model in table for row in _not_executed(model, table[model], data)],
        "published": published_rows(protocol),
        "versions": versions(),
    }


def tabulate(verdicts: Iterable[Mapping[str, Any]]) -> Table:
    """Verdicts by model, category and id; those by proxy are a category of their own."""
    table: Table = {}
    for verdict in verdicts:
        name = verdict["category"] + (PROXY if verdict.get("method") == "gold_call" else "")
        table.setdefault(verdict["model"], {}).setdefault(name, {})[verdict["id"]] = dict(verdict)
    return table


def _ordered(names: Iterable[str], rules: Protocol) -> list[str]:
    known = [name for category in rules.categories for name in (category, category + PROXY)]
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def _row(model: str, protocol: str, category: str, verdicts: list[Row]) -> Row:
    n, correct = len(verdicts), sum(verdict["valid"] for verdict in verdicts)
    low, high = wilson(correct, n)
    row = {
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
    return {**row, **_marks(verdicts)}


def _category_rows(model: str, rules: Protocol, categories: Mapping[str, Mapping[str, Row]]) -> list[Row]:
    return [_row(model, rules.name, name, list(categories[name].values())) for name in _ordered(categories, rules)]


def _marks(verdicts: Iterable[Row]) -> dict[str, int]:
    """Numbers of questions that no right answer can pass, and of those whose simulated APIs have changed since."""
    verdicts = list(verdicts)
    marks = {mark: sum(bool(verdict.get(mark)) for verdict in verdicts) for mark in ("unpassable", "stale")}
    return {mark: count for mark, count in marks.items() if count}


def _with_sizes(rows: list[Row], key: str, sizes: Mapping[str, int]) -> list[Row]:
    """Rows of one model with `of`: their answers and the questions that have none.

    A category of which a part is scored by proxy has two rows: each lacks what neither of the two has.
    """
    answered: dict[str, int] = {}
    for row in rows:
        name = row[key].removesuffix(PROXY)
        answered[name] = answered.get(name, 0) + row["n"]
    return [
        {**row, "of": row["n"] + sizes[name] - answered[name]} if name in sizes else row
        for row in rows
        for name in [row[key].removesuffix(PROXY)]
    ]


def _counts(verdicts: Mapping[str, Row]) -> tuple[int, int]:
    return sum(verdict["valid"] for verdict in verdicts.values()), len(verdicts)


def column_weights(
    rules: Protocol, sizes: Mapping[str, int], full: Mapping[str, int] | None = None
) -> dict[str, dict[str, float]]:
    """Weights of categories in every mean that can be computed: `call_mean`, and the official columns.

    A column with a category that was scored by proxy has `_proxy` behind its name: it is not the official number.

    Args:
        sizes: numbers of answers.
        full: numbers of questions, where they are known. Where a column weighs by numbers, a category of which a sample
            was asked weighs as much as all of it would.
    """
    numbers = _as_whole(sizes, full or {})
    found: dict[str, dict[str, float]] = {}
    called = [name for name in rules.call_categories if name in sizes]
    if called:
        found[PRIMARY] = dict.fromkeys(called, 1 / len(called))
    for name, node in columns(rules.name).items():
        try:
            parts = weights(node, numbers)
        except KeyError:
            continue
        found[name + (PROXY if any(part.endswith(PROXY) for part in parts) else "")] = parts
    return found


def _as_whole(sizes: Mapping[str, int], full: Mapping[str, int]) -> dict[str, float]:
    answered: dict[str, int] = {}
    for name, size in sizes.items():
        base = name.removesuffix(PROXY)
        answered[base] = answered.get(base, 0) + size
    factors = {base: full.get(base, count) / count for base, count in answered.items()}
    return {name: size * factors[name.removesuffix(PROXY)] for name, size in sizes.items()}


def _aggregates(
    model: str, rules: Protocol, categories: Mapping[str, Mapping[str, Row]], full: Mapping[str, int]
) -> list[Row]:
    """The means of `column_weights`, what was executed, and second readings of verdicts.

    Args:
        full: numbers of questions by category, where they are known.
    """
    sizes = {name: len(verdicts) for name, verdicts in categories.items()}
    found = column_weights(rules, sizes, full)
    executed = [name for name in categories if any(v.get("method") == "executed" for v in categories[name].values())]
    if executed:
        total = sum(sizes[name] for name in executed)
        found[OFFLINE] = {name: sizes[name] / total for name in executed}
    result = []
    for aggregate, shares in found.items():
        parts = [(*_counts(categories[name]), share) for name, share in shares.items()]
        result.append(_aggregate(model, rules.name, aggregate, mean_interval(parts), list(shares)))
    for name in _ordered(categories, rules):
        for field, suffix in SECOND_READINGS.items():
            if any(field in verdict for verdict in categories[name].values()):
                marks = [verdict["valid"] and verdict.get(field, True) for verdict in categories[name].values()]
                value, bounds = 100 * sum(marks) / len(marks), wilson(sum(marks), len(marks))
                result.append(_aggregate(model, rules.name, f"{name}_{suffix}", (value, *bounds), [name]))
    return [_with_counts(row, rules, categories, full) for row in result]


def _with_counts(
    row: Row, rules: Protocol, categories: Mapping[str, Mapping[str, Row]], full: Mapping[str, int]
) -> Row:
    """An aggregate with `n` answers `of` so many questions, and the marks of its questions."""
    parts = row["categories"]
    n = sum(len(categories[name]) for name in parts)
    counts = {"n": n}
    names = dict.fromkeys(name.removesuffix(PROXY) for name in parts)
    if row["name"] == PRIMARY:  # the mean of what there is, told to be of all
        names |= dict.fromkeys(rules.call_categories)
    if all(name in full for name in names):
        there = {name: len(categories.get(name, ())) + len(categories.get(name + PROXY, ())) for name in names}
        counts["of"] = n + sum(full[name] - there[name] for name in names)
    return {**row, **counts, **_marks(verdict for name in parts for verdict in categories[name].values())}


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


def _not_run(model: str, rules: Protocol, categories: Mapping[str, Mapping[str, Row]]) -> list[Row]:
    """What an official score would need and was not run; nothing of it counts as 0."""
    there = {name.removesuffix(PROXY) for name in categories}
    missing = [name for name in official_categories(rules) if name not in there]
    if not missing:
        return []
    lacking = [name for name, node in columns(rules.name).items() if not there.issuperset(categories_of(node))]
    return [{"model": model, "protocol": rules.name, "categories": missing, "aggregates": lacking}]


def _notable(categories: Mapping[str, Mapping[str, Row]]) -> dict[str, int]:
    """Numbers of a model's answers that deserve a look, whatever their verdict; what there is none of is left out."""
    verdicts = [verdict for rows in categories.values() for verdict in rows.values()]
    counts = {
        "guard:refused": sum(verdict.get("error_type") == "guard:refused" for verdict in verdicts),
        "calls_in_text": sum(bool(verdict.get("calls_in_text")) for verdict in verdicts),
    }
    return {name: count for name, count in counts.items() if count}


def _not_executed(model: str, categories: Mapping[str, Mapping[str, Row]], data: Data | None) -> list[Row]:
    """How many answers were executed of those whose questions need no network, where it is not all of them."""
    if data is None:
        return []
    executed = offline = 0
    for name in dict.fromkeys(name.removesuffix(PROXY) for name in categories):
        if data.category(name).kind == EXECUTABLE:
            gold = data.gold(name)
            verdicts = [v for part in (name, name + PROXY) for v in categories.get(part, {}).values()]
            verdicts = [v for v in verdicts if runs_offline(gold[v["id"]])]
            offline += len(verdicts)
            executed += sum(v.get("method") == "executed" for v in verdicts)
    return [{"model": model, "executed": executed, "offline": offline}] if executed < offline else []


def compare_all(table: Table, protocol: str = "v4", full: Mapping[str, int] | None = None) -> list[Row]:
    """Comparisons of every pair of models, with `p_holm` over all pairs: see `build_results`."""
    rows = [row for a, b in combinations(table, 2) for row in compare(a, b, table[a], table[b], protocol, full)]
    primary = [row for row in rows if row["category"] == PRIMARY]
    if len(primary) > 1:
        _correct(primary)
    _correct([row for row in rows if row["test"] == MCNEMAR])
    _correct([row for row in rows if row["test"] != MCNEMAR and row["category"] != PRIMARY])
    return rows


def compare(
    a: str,
    b: str,
    left: Mapping[str, Mapping[str, Row]],
    right: Mapping[str, Mapping[str, Row]],
    protocol: str = "v4",
    full: Mapping[str, int] | None = None,
) -> list[Row]:
    """Paired comparisons of two models: the mean of the call categories first, categories, then official columns.

    Args:
        full: numbers of questions by category; see `column_weights`.
    """
    rules = find_protocol(protocol)
    strata = {name: _stratum(left[name], right[name]) for name in _ordered(left, rules) if name in right}
    strata = {name: part for name, part in strata.items() if part.n}
    rows = []
    for name, part in strata.items():
        p_value = mcnemar(part.a_only, part.b_only)
        rows.append(_comparison(a, b, name, p_value, MCNEMAR, [part], difference_interval([part])))
    means = []
    for name, shares in column_weights(rules, {name: part.n for name, part in strata.items()}, full).items():
        parts = [_weighted(strata[category], share) for category, share in shares.items()]
        p_value, how = sign_flip(parts)
        test = f"paired permutation, stratified by category, {how}"
        means.append(_comparison(a, b, name, p_value, test, parts, difference_interval(parts)))
    primary = [row for row in means if row["category"] == PRIMARY]
    official = [row for row in means if row["category"] != PRIMARY]
    return [*primary, *rows, *official]


def _correct(rows: list[Row]) -> None:
    for row, corrected in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = corrected


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
    n, a_only, b_only = (sum(getattr(part, name) for part in parts) for name in ("n", "a_only", "b_only"))
    row = {
        "a": a,
        "b": b,
        "category": category,
        "p_value": p_value,
        "test": test,
        "n": n,
        "a_only": a_only,
        "b_only": b_only,
        "difference": difference[0],
        "low": difference[1],
        "high": difference[2],
    }
    if len(parts) == 1:
        row["minimum_detectable"] = minimum_detectable_difference(n, (a_only + b_only) / n)
    return row


def versions() -> dict[str, str]:
    """Versions of what made the scores."""
    installed = runs.versions(("bfcl-eval", "nvidia-bfcl", "numpy"))
    return {"toolace": __version__, "python": platform.python_version(), **installed}
