"""What decontamination found, in numbers and examples: `decontamination.md` and `decontamination.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from toolace.rows import Row

EXAMPLES = 5
# Benchmarks that the paper scores on; the report says so when one of them was not compared with.
_WANTED = {"BFCL": "bfcl", "API-Bank": "api"}


def summary(rows: int, overlapping: int, unreadable: int, found: Sequence[Row], sizes: Counter[Any]) -> dict[str, Any]:
    """Counts of a comparison, each row once in each kind and each benchmark.

    Args:
        rows: in all; overlapping, unreadable: of these.
        found: rows of `overlap.jsonl`.
        sizes: items by (benchmark, "requests" or "tools").

    Returns:
        `{"rows", "clean", "overlapping", "unreadable", "kinds": {kind: rows}, "benchmarks": {name: rows},
        "compared_with": {name: {"requests", "tools"}}}`.
    """

    def rows_by(key: str) -> dict[str, int]:
        pairs = {(row["row"], row[key]) for row in found}
        return dict(sorted(Counter(value for _, value in pairs).items()))

    compared: dict[str, dict[str, int]] = {}
    for (benchmark, what), count in sorted(sizes.items()):
        compared.setdefault(benchmark, {})[what] = count
    return {
        "rows": rows,
        "clean": rows - overlapping - unreadable,
        "overlapping": overlapping,
        "unreadable": unreadable,
        "kinds": rows_by("kind"),
        "benchmarks": rows_by("benchmark"),
        "compared_with": compared,
    }


def not_compared(compared_with: Mapping[str, Any]) -> list[str]:
    """Benchmarks of the paper that were not compared with, by what their folders are called."""
    names = [name.lower() for name in compared_with]
    return [title for title, part in _WANTED.items() if not any(part in name for name in names)]


def report(counts: Mapping[str, Any], found: Sequence[Row]) -> str:
    """The report as Markdown: numbers by kind and benchmark, and examples of each kind."""
    share = 100 * counts["overlapping"] / counts["rows"]
    lines = [
        "# Overlap with benchmarks",
        "",
        f"{counts['overlapping']} of {counts['rows']} rows ({share:.2f} %) share something with a benchmark.",
    ]
    if counts["unreadable"]:
        lines.append(f"{counts['unreadable']} rows could not be read and were not compared.")
    missing = not_compared(counts["compared_with"])
    lines += [f"Not compared with {name}: give the folder of its files with --data." for name in missing]
    lines += ["", "| compared with | requests | functions |", "| --- | ---: | ---: |"]
    for name, sizes in counts["compared_with"].items():
        lines.append(f"| {name} | {sizes.get('requests', 0)} | {sizes.get('tools', 0)} |")
    for title, key in (("kind of overlap", "kinds"), ("benchmark", "benchmarks")):
        lines += ["", f"| {title} | rows |", "| --- | ---: |"]
        lines += [f"| {name} | {count} |" for name, count in counts[key].items()]
    for kind in counts["kinds"]:
        examples = [row for row in found if row["kind"] == kind][:EXAMPLES]
        lines += ["", f"## {kind}", ""]
        lines += [
            f"- {_cell(row['text'])}: {_cell(row['evidence'])} ({row['benchmark']}, {row['item']})" for row in examples
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split())[:200].replace("|", "\\|").encode("utf-8", "backslashreplace").decode()
