"""Scores of others beside ours: the columns that both have, and what of an official score was not run."""

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
    """The table, or None when no column of ours was published by others."""
    rows = (results or {}).get("published") or []
    if comparison is None or not rows:
        return None
    lines = {line.name: line for line in comparison.aggregates}
    names = [name for name in lines if any(name in row["scores"] for row in rows)]
    if not names:
        return None
    ours = [
        (model, [points(lines[name].scores[model].accuracy) if model in lines[name].scores else "" for name in names])
        for model in comparison.models
    ]
    theirs = [
        (str(row["model"]), f"{row['source']}, {row['date']}", [_shown(row["scores"].get(name)) for name in names])
        for row in rows
        if any(name in row["scores"] for name in names)
    ]
    return Published([name.replace("_", " ") for name in names], ours, theirs)


def _shown(value: float | None) -> str:
    return "" if value is None else points(value)


def not_run_text(results: Mapping[str, Any] | None) -> str:
    """One sentence on the official categories that were not run; "" when all were, or nothing is known."""
    missing = [row["categories"] for row in (results or {}).get("not_run") or []]
    names = list(dict.fromkeys(name for names in missing for name in names))
    if not names:
        return ""
    return f"Not run, and counted nowhere: {', '.join(names)}. Official scores that need them are left out."
