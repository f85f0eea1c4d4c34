"""Decontamination: what a data set shares with the benchmarks it will be scored on, and leaving it out.

`toolace decontaminate FILE` reports; the pipeline rejects. Compared are user turns and tools with those of the
installed BFCL (every question file of the package), of its earlier versions when `toolace evaluate` has downloaded
them, and of the folders given with --data: API-Bank, other releases of BFCL.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_gen.overlap_judge import RULE, Decontaminator, OverlapJudge, folders, known_benchmarks
from data_gen.overlap_report import not_compared, report, summary
from data_gen.verification.judging import READABLE, Judged, judge_all
from data_gen.verification.moving import Moving
from data_gen.verification.row_files import chunks, jobs_for
from toolace import InputError
from toolace.file_sets import FileSet
from toolace.rows import Row, write_rows, write_text

__all__ = ["Decontaminator", "decontaminate_file", "folders", "known_benchmarks", "reject_overlaps"]

_WRITTEN = ("clean.jsonl", "overlap.jsonl", "unreadable.jsonl", "decontamination.md")


def decontaminate_file(
    path: str | Path, out: str | Path | None = None, data: Sequence[str | Path] = ()
) -> dict[str, Any]:
    """Writes `overlap.jsonl` (one overlap a line), `clean.jsonl` (rows without any) and `decontamination.md`.

    Rows that cannot be compared go to `unreadable.jsonl`, each with the reason.

    Args:
        path: rows of any kind (see `OverlapJudge`), as JSON Lines or one JSON list.
        out: folder; that of `path` when None.
        data: folders with further benchmarks.

    Returns:
        See `overlap_report.summary`; rows = clean + overlapping + unreadable.

    Raises:
        InputError: the file or a folder cannot be read, no row of it can, or an output would replace the input.
    """
    path = Path(path)
    folder = path.parent if out is None else Path(out)
    for name in _WRITTEN:
        if (folder / name).resolve() == path.resolve():
            raise InputError(
                f"would be replaced by the new {name}", where=path, fix="Choose another folder with --out."
            )
    known = known_benchmarks(data)
    found: list[Row] = []
    rules: Counter[str] = Counter()
    unreadable: list[str] = []

    def clean() -> Iterator[str]:
        for judged in _judged(path, known):
            _count(judged, rules, found)
            unreadable.extend(line for line in judged.rejected if json.loads(line)["verdict"]["rule"] == READABLE)
            yield from judged.kept
        if not rules:
            raise InputError("holds no rows", where=path, fix="Give a file with one JSON object on each line.")
        if rules[READABLE] == rules.total():
            verdict = json.loads(unreadable[0])["verdict"]
            fix = "Give dialogs, tools, or questions of a benchmark."
            raise InputError(f"no row can be compared; the first one {verdict['evidence']}", where=path, fix=fix)

    with FileSet(folder) as files:
        write_text(files.path("clean.jsonl"), clean())
        write_rows(files.path("overlap.jsonl"), found)
        if unreadable:
            write_text(files.path("unreadable.jsonl"), unreadable)
        else:
            files.remove("unreadable.jsonl")
        counts = _summary(rules, found, known)
        write_text(files.path("decontamination.md"), report(counts, found))
    return counts


def _judged(path: Path, known: Decontaminator, *, tools: bool = True) -> Iterator[Judged]:
    judge = OverlapJudge(path, known, tools=tools)
    with tqdm(desc="decontaminate", unit="row", disable=None, leave=False) as bar:
        for judged in judge_all(judge, chunks(path), jobs_for(path)):
            bar.update(judged.tally.total())
            yield judged


def _count(judged: Judged, rules: Counter[str], found: list[Row]) -> None:
    found.extend(judged.notes)
    for (_, _, rule), count in judged.tally.items():
        rules[rule] += count


def _summary(rules: Counter[str], found: Sequence[Row], known: Decontaminator) -> dict[str, Any]:
    overlapping = sum(count for rule, count in rules.items() if rule.startswith(RULE))
    return summary(rules.total(), overlapping, rules[READABLE], found, known.sizes)


def reject_overlaps(
    folder: str | Path, counts: Mapping[str, Any], data: Sequence[str | Path] = (), *, tools: bool = True
) -> dict[str, Any]:
    """Moves the dialogs of `verified.jsonl` that overlap with a benchmark to `rejected.jsonl`.

    The verdict's rule is `decontamination.<kind>`. The ledger, when there is one, is brought up to date;
    `decontamination.json` and `decontamination.md` say what was found. All files change together, or none.

    Args:
        folder: where verification wrote.
        counts: what `verify_file` returned.
        data: folders with further benchmarks.
        tools: whether a tool that overlaps is reason enough; else only requests are.

    Returns:
        The counts with the moved rows in their new place.

    Raises:
        InputError: a file cannot be read, or the ledger is of other rows.
    """
    folder = Path(folder)
    known = known_benchmarks(data)
    found: list[Row] = []
    rules: Counter[str] = Counter()
    with Moving(folder) as moving:
        for judged in _judged(folder / "verified.jsonl", known, tools=tools):
            _count(judged, rules, found)
            for line in judged.kept:
                moving.keep(line)
            for line in judged.rejected:
                moving.write("rejected.jsonl", line)
            moving.moved.update({key: count for key, count in judged.tally.items() if key[2]})
        rejected = {rule: count for rule, count in sorted(rules.items()) if rule}
        told = _summary(rules, found, known)
        if rules:
            moving.write("decontamination.json", json.dumps(told, indent=1) + "\n")
            moving.write("decontamination.md", report(told, found))
    total = sum(rejected.values())
    result = {
        **counts,
        "kept": counts["kept"] - total,
        "rejected": counts["rejected"] + total,
        "rules": {**counts["rules"], **rejected},
    }
    assert result["in"] == result["kept"] + result["rejected"], "a row was lost on the way"
    return result


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace decontaminate`."""
    result = argparse.ArgumentParser(
        prog="toolace decontaminate",
        description="Reports what a data set shares with BFCL and other benchmarks: requests and tools.",
        epilog="writes overlap.jsonl, clean.jsonl (the rows without overlap) and decontamination.md; unreadable.jsonl\n"
        "too, when rows could not be compared\n"
        "example: toolace decontaminate runs/demo/train.jsonl --out checked --data bfcl_v3 --data api_bank",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument(
        "file", type=Path, metavar="FILE", help="dialogs, tools or questions: JSON Lines or a JSON list"
    )
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
    """Runs the command; returns the exit code: 0, or 1 with --strict when rows overlap or cannot be compared.

    Raises:
        InputError: see `decontaminate_file`.
    """
    options = parser().parse_args(argv)
    counts = decontaminate_file(options.file, options.out, options.data)
    folder = options.out or options.file.parent
    if options.json:
        print(json.dumps({"file": str(options.file), "out": str(folder), **counts}))
    else:
        print(f"{counts['rows']} rows: {counts['clean']} clean, {counts['overlapping']} overlap with a benchmark")
        for name, count in counts["kinds"].items():
            print(f"  {count:>7}  {name}")
        if counts["unreadable"]:
            print(f"{counts['unreadable']} rows could not be compared: {folder / 'unreadable.jsonl'}")
        for name in not_compared(counts["compared_with"]):
            print(f"not compared with {name}: give the folder of its files with --data")
        print(f"{folder / 'overlap.jsonl'}, {folder / 'clean.jsonl'}, {folder / 'decontamination.md'}")
    return 1 if options.strict and counts["overlapping"] + counts["unreadable"] else 0
