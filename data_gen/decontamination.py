"""Decontamination: what a data set shares with the benchmarks it will be scored on, and leaving it out.

`toolace decontaminate FILE` reports; the pipeline rejects. Compared are user turns and tools with those of the
installed BFCL (all its versions' questions) and of the folders given with --data: other releases of BFCL, API-Bank.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_gen.benchmark_items import Item, installed, read_folder
from data_gen.overlap import Functions, Overlap, Requests
from data_gen.verification.judging import source
from data_gen.verification.ledger import Ledger
from data_gen.verification.reading import read_dialog
from data_gen.verification.verdict import Verdict
from toolace import Dialog, InputError, Tool
from toolace.rows import Row, dumps, read_rows, write_rows, write_text

EXAMPLES = 5


class Decontaminator:
    """Knows the items of benchmarks; compares dialogs and tools with them.

    Args:
        items: requests and functions.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        known = list(items)
        self.sizes = Counter(
            (item.benchmark, "tools" if isinstance(item.content, Tool) else "requests") for item in known
        )
        self.requests, self.functions = Requests(known), Functions(known)
        self._tools: dict[int, tuple[Tool, Overlap | None]] = {}

    def tool(self, tool: Tool) -> Overlap | None:
        """The overlap of a tool; remembered, since tools come again in dialog after dialog."""
        known = self._tools.get(id(tool))
        if known is None or known[0] is not tool:
            if len(self._tools) > 65_536:
                self._tools.clear()
            known = self._tools[id(tool)] = (tool, self.functions.overlap(tool))
        return known[1]

    def dialog(self, dialog: Dialog) -> Iterator[tuple[str, Overlap]]:
        """(place, overlap) of every user turn and tool of a dialog that a benchmark has.

        Turns are looked at one by one: two turns are no run of words.
        """
        for i, message in enumerate(dialog.messages):
            found = self.requests.overlap(message.content) if message.role == "user" else None
            if found:
                yield f"messages[{i}]", found
        for i, tool in enumerate(dialog.tools):
            found = self.tool(tool)
            if found:
                yield f"tools[{i}]", found


@lru_cache(maxsize=4)
def known_benchmarks(data: tuple[Path, ...] = ()) -> Decontaminator:
    """The installed BFCL and the benchmarks in folders, read once.

    Raises:
        InputError: bfcl-eval is not installed, or a folder holds no benchmark.
    """
    return Decontaminator(chain(installed(), *(read_folder(folder) for folder in data)))


def decontaminate_file(
    path: str | Path, out: str | Path | None = None, data: Sequence[str | Path] = ()
) -> dict[str, Any]:
    """Writes `overlap.jsonl` (one overlap a line), `clean.jsonl` (rows without any) and `decontamination.md`.

    Args:
        path: dialogs in any format that verification reads, or tools (rows with a name and parameters), JSON Lines.
        out: folder; that of `path` when None.
        data: folders with further benchmarks.

    Returns:
        `{"rows", "clean", "overlapping", "kinds": {kind: rows}, "benchmarks": {name: rows}, "compared_with": {...}}`.

    Raises:
        InputError: the file or a folder cannot be read, or an output would replace the input.
    """
    path = Path(path)
    folder = path.parent if out is None else Path(out)
    for name in ("clean.jsonl", "overlap.jsonl", "decontamination.md"):
        if (folder / name).resolve() == path.resolve():
            raise InputError(
                f"would be replaced by the new {name}", where=path, fix="Choose another folder with --out."
            )
    known = known_benchmarks(tuple(map(Path, data)))
    found: list[Row] = []
    counts: Counter[str] = Counter()

    def clean() -> Iterator[str]:
        for number, row in tqdm(read_rows(path), desc="decontaminate", unit="row", disable=None, leave=False):
            counts["rows"] += 1
            overlaps = _overlaps(known, path, number, row)
            if overlaps:
                found.extend(overlaps)
                counts["overlapping"] += 1
            else:
                yield dumps(row) + "\n"
        if not counts["rows"]:
            raise InputError("holds no rows", where=path, fix="Give a file with one JSON object on each line.")

    write_text(folder / "clean.jsonl", clean())
    write_rows(folder / "overlap.jsonl", found)
    summary = _summary(counts, found, known)
    write_text(folder / "decontamination.md", report(summary, found))
    return summary


def _overlaps(known: Decontaminator, path: Path, number: int, row: Row) -> list[Row]:
    where = f"{path}:{number}"
    try:
        if isinstance(row.get("parameters"), Mapping) and "messages" not in row:
            tool = Tool.from_json(row)
            found = known.tool(tool)
            pairs = [("", found)] if found else []
            id_, texts = tool.id or tool.name, {"": f"{tool.name}: {tool.description}"}
        else:
            dialog = read_dialog(row)
            pairs = list(known.dialog(dialog))
            id_ = dialog.id or f"{path.stem}-{number}"
            texts = {f"messages[{i}]": m.content for i, m in enumerate(dialog.messages)}
            texts |= {f"tools[{i}]": f"{t.name}: {t.description}" for i, t in enumerate(dialog.tools)}
    except InputError as error:
        raise InputError(error.what, where=where, fix=error.fix) from None
    except RecursionError:
        raise InputError("a row is nested too deep", where=where, fix="Repair the row.") from None
    return [
        {
            "id": id_,
            "where": place,
            "kind": overlap.kind,
            "benchmark": overlap.benchmark,
            "item": overlap.item,
            "evidence": overlap.evidence,
            "text": texts[place][:300],
        }
        for place, overlap in pairs
    ]


def _summary(counts: Mapping[str, int], found: Sequence[Row], known: Decontaminator) -> dict[str, Any]:
    def rows_by(key: str) -> dict[str, int]:
        pairs = {(row["id"], row[key]) for row in found}
        return dict(sorted(Counter(value for _, value in pairs).items()))

    sizes: dict[str, dict[str, int]] = {}
    for (benchmark, what), count in sorted(known.sizes.items()):
        sizes.setdefault(benchmark, {})[what] = count
    overlapping = counts.get("overlapping", 0)
    return {
        "rows": counts["rows"],
        "clean": counts["rows"] - overlapping,
        "overlapping": overlapping,
        "kinds": rows_by("kind"),
        "benchmarks": rows_by("benchmark"),
        "compared_with": sizes,
    }


def report(summary: Mapping[str, Any], found: Sequence[Row]) -> str:
    """The report as Markdown: numbers by kind and benchmark, and examples of each kind."""
    share = 100 * summary["overlapping"] / summary["rows"]
    lines = [
        "# Overlap with benchmarks",
        "",
        f"{summary['overlapping']} of {summary['rows']} rows ({share:.2f} %) share something with a benchmark.",
        "",
        "| compared with | requests | functions |",
        "| --- | ---: | ---: |",
    ]
    for name, sizes in summary["compared_with"].items():
        lines.append(f"| {name} | {sizes.get('requests', 0)} | {sizes.get('tools', 0)} |")
    for title, key in (("kind of overlap", "kinds"), ("benchmark", "benchmarks")):
        lines += ["", f"| {title} | rows |", "| --- | ---: |"]
        lines += [f"| {name} | {count} |" for name, count in summary[key].items()]
    for kind in summary["kinds"]:
        examples = [row for row in found if row["kind"] == kind][:EXAMPLES]
        lines += ["", f"## {kind}", ""]
        lines += [
            f"- {_cell(row['text'])}: {_cell(row['evidence'])} ({row['benchmark']}, {row['item']})" for row in examples
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split())[:200].replace("|", "\\|").encode("utf-8", "backslashreplace").decode()


def reject_overlaps(
    folder: str | Path, counts: Mapping[str, Any], data: Sequence[str | Path] = (), *, tools: bool = True
) -> dict[str, Any]:
    """Moves the dialogs of `verified.jsonl` that overlap with a benchmark to `rejected.jsonl`.

    The verdict's rule is `decontamination.<kind>`. The ledger, when there is one, is brought up to date.

    Args:
        folder: where verification wrote.
        counts: what `verify_file` returned.
        data: folders with further benchmarks.
        tools: whether a tool that overlaps is reason enough; else only requests are.

    Returns:
        The counts with the moved rows in their new place.
    """
    folder = Path(folder)
    known = known_benchmarks(tuple(map(Path, data)))
    rules: Counter[str] = Counter()
    moved: Counter[tuple[str, str, str]] = Counter()
    rejected: list[str] = []

    def kept() -> Iterator[str]:
        for _, row in read_rows(folder / "verified.jsonl"):
            dialog = read_dialog(row)
            place, overlap = next(
                ((p, o) for p, o in known.dialog(dialog) if tools or not p.startswith("tools")), ("", None)
            )
            if overlap is None:
                yield dumps(row) + "\n"
                continue
            rule = f"decontamination.{overlap.kind}"
            verdict = Verdict.reject(rule, f"{overlap.benchmark} {overlap.item}: {overlap.evidence}", place)
            rejected.append(dumps({**row, "verdict": verdict.to_json()}) + "\n")
            rules[rule] += 1
            moved[(dialog.type, source(dialog), rule)] += 1

    write_text(folder / "verified.jsonl", kept())
    if rejected:
        before = (folder / "rejected.jsonl").read_text(encoding="utf-8")
        write_text(folder / "rejected.jsonl", chain([before], rejected))
    if (folder / "ledger.json").exists():
        ledger = Ledger.read(folder)
        for (kind, origin, rule), count in sorted(moved.items()):
            ledger = ledger.moved({(kind, origin): count}, rule)
        ledger.write(folder)
    total = rules.total()
    result = {
        **counts,
        "kept": counts["kept"] - total,
        "rejected": counts["rejected"] + total,
        "rules": {**counts["rules"], **dict(sorted(rules.items()))},
    }
    assert result["in"] == result["kept"] + result["rejected"], "a row was lost on the way"
    return result


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace decontaminate`."""
    result = argparse.ArgumentParser(
        prog="toolace decontaminate",
        description="Reports what a data set shares with BFCL and other benchmarks: requests and tools.",
        epilog="writes overlap.jsonl, clean.jsonl (the rows without overlap) and decontamination.md\n"
        "example: toolace decontaminate runs/demo/train.jsonl --out checked --data bfcl_v3 --data api_bank",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("file", type=Path, metavar="FILE", help="dialogs or tools, JSON Lines")
    result.add_argument("--out", type=Path, metavar="DIR", help="folder for the files (default: beside FILE)")
    result.add_argument(
        "--data",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="another benchmark: BFCL or API-Bank files",
    )
    result.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    result.add_argument("--strict", action="store_true", help="exit with 1 when a row overlaps")
    return result


def app(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 0, or 1 with --strict when rows overlap.

    Raises:
        InputError: see `decontaminate_file`.
    """
    options = parser().parse_args(argv)
    summary = decontaminate_file(options.file, options.out, options.data)
    folder = options.out or options.file.parent
    if options.json:
        print(json.dumps({"file": str(options.file), "out": str(folder), **summary}))
    else:
        print(f"{summary['rows']} rows: {summary['clean']} clean, {summary['overlapping']} overlap with a benchmark")
        for name, count in summary["kinds"].items():
            print(f"  {count:>7}  {name}")
        print(f"{folder / 'overlap.jsonl'}, {folder / 'clean.jsonl'}, {folder / 'decontamination.md'}")
    return 1 if options.strict and summary["overlapping"] else 0
