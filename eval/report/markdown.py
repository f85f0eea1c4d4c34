"""The report as Markdown: the same tables, for repositories and pull requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from eval.report.comparison import Comparison, Line
from eval.report.published import Published
from eval.report.wording import duration, p_text, points, signed


def render_markdown(view: dict[str, Any]) -> str:
    """All parts that the run has, in the order of the page; model texts are left to the page."""
    run, comparison = view["run"], view["comparison"]
    blocks = [f"# {cell(view['headline'])}", cell(view["evidence"])]
    if comparison:
        blocks += ["## Benchmark scores", f"BFCL, protocol {cell(run.protocol)}.", score_table(comparison)]
        blocks += [cell(view["not_run"])] if view["not_run"] else []
        if comparison.others:
            blocks.append(f"Also scored, in results.json: {', '.join(map(cell, comparison.others))}.")
    if view["published"]:
        blocks += ["## Published scores by the same protocol", published_table(view["published"])]
    if view["training"]:
        blocks += ["## Training", view["training"]]
    if view["rules"]:
        rows = ((cell(rule), f"{count:,}", f"{share:.1f} %") for rule, count, share, _ in view["rules"])
        blocks += ["## Verification", table(["kept, or rejected by", "dialogs", "share"], rows, "lrr")]
    if view["stages"]:
        rows = ((cell(name), duration(seconds), cell(counts_text(counts))) for name, seconds, counts in view["stages"])
        total = [("**total**", duration(view["total"]), "")]
        blocks += ["## Time per stage", table(["stage", "time", "counts"], [*rows, *total], "lrl")]
    if run.missing:
        blocks += ["## Not in this run", "\n".join(f"- {line}" for line in run.missing)]
    blocks += ["## Commands and versions", "```sh\n" + "\n".join(view["commands"]) + "\n```"]
    blocks.append(table(["package", "version"], ((cell(k), cell(v)) for k, v in view["versions"].items()), "ll"))
    return "\n\n".join(blocks) + "\n"


def published_table(published: Published) -> str:
    """Ours first, then those of others with their source."""
    ours = ([f"**{cell(model)}**", "this run", *scores] for model, scores in published.ours)
    theirs = ([cell(model), cell(source), *scores] for model, source, scores in published.theirs)
    head = ["model", "source", *map(cell, published.columns)]
    return table(head, [*ours, *theirs], "ll" + "r" * len(published.columns))


def score_table(comparison: Comparison) -> str:
    """Categories and aggregates; for each model correct, accuracy and 95 % interval, then the paired difference."""
    head = ["category", "n"]
    for model in comparison.models:
        head += [f"{model}: correct", f"{model}: accuracy", "95 % interval"]
    if comparison.base:
        head += ["difference", "p", "p (Holm)"]
    rows = (_row(line, comparison) for line in [*comparison.categories, *comparison.aggregates])
    return table([cell(text) for text in head], rows, "l" + "r" * (len(head) - 1))


def _row(line: Line, comparison: Comparison) -> list[str]:
    sizes = dict.fromkeys(f"{score.n:,}" for score in line.scores.values() if score.n is not None)
    cells = [cell(line.label), " / ".join(sizes)]
    for model in comparison.models:
        score = line.scores.get(model)
        if score is None:
            cells += ["", "", ""]
        else:
            correct = "" if score.correct is None else f"{score.correct:,}"
            cells += [correct, points(score.accuracy), f"{points(score.low)} to {points(score.high)}"]
    if comparison.base:
        cells.append("" if line.difference is None else signed(line.difference))
        cells += ["" if value is None else p_text(value) for value in (line.p_value, line.p_holm)]
    return [f"**{text}**" if line.primary and text else text for text in cells]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """A Markdown table; `align` has one letter a column, l or r."""
    rule = ["---:" if letter == "r" else "---" for letter in align]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def cell(text: object) -> str:
    """Text that cannot leave its cell or become markup."""
    flat = " ".join(str(text).split())
    for mark in "\\|`*_<>[]":
        flat = flat.replace(mark, f"\\{mark}" if mark not in "<>" else {"<": "&lt;", ">": "&gt;"}[mark])
    return flat


def counts_text(counts: dict[str, Any]) -> str:
    """`kept 1,200, rejected 34`: the counts of a stage, numbers with separators."""
    return ", ".join(f"{key} {_shown(value)}" for key, value in counts.items() if value != {})


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"({counts_text(value)})"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
