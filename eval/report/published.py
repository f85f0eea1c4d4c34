"""Scores of others beside ours: the columns that both have whole, and what of an official score was not run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval.report.comparison import Comparison
from eval.report.wording import points


@dataclass(frozen=True)
class Published:
    """A table of scores by the same protocol.

    Attributes:
        columns: names as they are shown.
        ours: a model's name and its scores, as text, for each model of the report; `proxy` scores are not among them.
        theirs: the same of others, with source and date.
    """

    columns: list[str]
    ours: list[tuple[str, list[str]]]
    theirs: list[tuple[str, str, list[str]]]


def build_published(results: Mapping[str, Any] | None, comparison: Comparison | None) -> Published | None:
    """The table, or None when no column of ours that has an answer to every question was published by others."""
    rows = (results or {}).get("published") or []
    if comparison is None or not rows:
        return None
    lines = {line.name: line for line in comparison.aggregates}
    whole = {row["name"] for row in (results or {})["aggregates"] if row.get("n") == row.get("of", row.get("n"))}
    names = [name for name in lines if name in whole and any(name in row["scores"] for row in rows)]
    if not names:
        return None
    ours = [
        (model, [points(lines[name].scores[model].accuracy) if model in lines[name].scores else "" for name in names])
        for model in comparison.models
    ]
    protocol = rows[0]["protocol"]
    theirs = [
        (str(row["model"]), _source(row, protocol), [_shown(row["scores"].get(name)) for name in names])
        for row in rows
        if any(name in row["scores"] for name in names)
    ]
    return Published([name.replace("_", " ") for name in names], ours, theirs)


def _source(row: Mapping[str, Any], protocol: str) -> str:
    """Where a score stands, and what is different about it."""
    other = "" if row["protocol"] == protocol else "other data: "
    return f"{row['source']}, {row['date']}" + (f" ({other}{row['note']})" if row.get("note") else "")


def _shown(value: float | None) -> str:
    return "" if value is None else points(value)


def not_run_text(results: Mapping[str, Any] | None) -> str:
    """Sentences on what was not run, not executed or not answered; "" when all was, or nothing is known."""
    results = results or {}
    missing = [row["categories"] for row in results.get("not_run") or []]
    names = list(dict.fromkeys(name for names in missing for name in names))
    told = []
    if names:
        told.append(f"Not run, and counted nowhere: {', '.join(names)}. Official scores that need them are left out.")
    partial = [row for row in results.get("rows") or [] if row["n"] < row.get("of", row["n"])]
    if partial:
        parts = dict.fromkeys(f"{row['category']} {row['n']:,} of {row['of']:,}" for row in partial)
        told.append(f"In part, and not comparable with published scores: {', '.join(parts)}.")
    told += [
        f"{row['executed']} of {row['offline']} executable answers of {row['model']} were executed, others compared."
        for row in results.get("not_executed") or []
    ]
    told += [f"{n} answers of {model} are errors of the server." for model, n in (results.get("refused") or {}).items()]
    stale = dict.fromkeys(f"{row['category']} {row['stale']}" for row in results.get("rows") or [] if row.get("stale"))
    if stale:
        told.append(f"Questions whose simulated APIs have changed since: {', '.join(stale)}.")
    return " ".join(told)
