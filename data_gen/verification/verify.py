"""`toolace verify FILE`: the rule layer on any data set; what passes and what does not, each in a file."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_gen.verification.bfcl_rows import answers_beside, read_answers
from data_gen.verification.judging import READABLE, REVIEWED, Judge, Tally, judge_all
from data_gen.verification.ledger import Ledger
from data_gen.verification.reviews import read_reviews
from data_gen.verification.row_files import chunks, cores, jobs_for
from data_gen.verification.rules import RULES
from toolace import InputError
from toolace.file_sets import FileSet
from toolace.rows import write_text

_EXAMPLE = """example:
  toolace verify runs/demo/dialogs.jsonl --out checked

Rows may be in any format that toolace convert reads, xLAM / APIGen or Glaive rows, or BFCL questions (answers are found
in possible_answer/ beside the file, or given with --answers). verified.jsonl and rejected.jsonl hold them as dialogs; a
rejected one has a "verdict" with the rule, the evidence and the place. ledger.md and ledger.svg show the pass rates.
Only rules are applied, no model: toolace experts asks a model about what passed. Rules, in the order they are tried:
"""


def verify_file(
    path: str | Path,
    out: str | Path | None = None,
    *,
    jobs: int = 0,
    answers: str | Path | None = None,
    reviews: Mapping[str, bool] | None = None,
    ledger: bool = False,
) -> dict[str, Any]:
    """Checks every row; writes `verified.jsonl` and `rejected.jsonl`, all files whole or none.

    Args:
        path: JSON Lines, or a JSON file with one list.
        out: folder for the files; that of `path` when None.
        jobs: processes, at most one a core; 0 for that many, when the file is large. The files are the same.
        answers: BFCL's answers to the questions in `path`; `possible_answer/<same name>` beside it when None.
        reviews: what people said of rows, by digest (`reviews.read_reviews`); it goes before any rule.
        ledger: whether `ledger.json`, `ledger.md` and `ledger.svg` are written too.

    Returns:
        `{"in", "kept", "rejected", "rules": {rule id: rows}}`.

    Raises:
        InputError: the file is missing or empty, does not begin with JSON, or an output would replace it.
    """
    path = Path(path)
    folder = path.parent if out is None else Path(out)
    for name in ("verified.jsonl", "rejected.jsonl"):
        if (folder / name).resolve() == path.resolve():
            raise InputError(
                f"would be replaced by the new {name}", where=path, fix="Choose another folder with --out."
            )
    known = read_answers(Path(answers)) if answers is not None else answers_beside(path)
    judge = Judge(path, known, reviews)
    with FileSet(folder) as files:
        found = _write(path, files.path("verified.jsonl").parent, judge, min(jobs, cores()) or jobs_for(path))
        if ledger:
            found.write(files.path("ledger.json").parent)
    counts = found.counts()
    rules = {rule: counts[rule] for rule in (READABLE, REVIEWED, *RULES) if counts[rule]}
    kept, rejected_rows = counts[""], sum(rules.values())
    assert kept + rejected_rows == found.total, "a row was lost on the way"
    return {"in": found.total, "kept": kept, "rejected": rejected_rows, "rules": rules}


def _write(path: Path, folder: Path, judge: Judge, jobs: int) -> Ledger:
    tally: Tally = Counter()
    cost: dict[tuple[str, str], float] = {}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as rejected,
        tqdm(desc="verify", unit="row", disable=None, leave=False) as bar,
    ):

        def kept_lines() -> Iterator[str]:
            for judged in judge_all(judge, chunks(path), jobs):
                rejected.writelines(judged.rejected)
                tally.update(judged.tally)
                for key, amount in judged.cost.items():
                    cost[key] = cost.get(key, 0.0) + amount
                bar.update(judged.tally.total())
                yield from judged.kept
            if not tally:
                raise InputError("holds no rows", where=path, fix="Give a file with one JSON object on each line.")

        write_text(folder / "verified.jsonl", kept_lines())
        rejected.seek(0)
        write_text(folder / "rejected.jsonl", rejected)
    return Ledger(tally, cost)


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace verify`."""
    rules = "".join(f"  {rule.id:<28}{' '.join(rule.says.split())}\n" for rule in RULES.values())
    result = argparse.ArgumentParser(
        prog="toolace verify",
        description="Checks every dialog of a file by the rules of dual-layer verification.",
        epilog=_EXAMPLE + rules,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("file", type=Path, help="JSON Lines, or a JSON file with one list")
    result.add_argument("--out", type=Path, help="folder for verified.jsonl and rejected.jsonl (default: beside FILE)")
    result.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    result.add_argument("--jobs", type=int, default=0, metavar="N", help="processes (default: one a core)")
    result.add_argument("--answers", type=Path, metavar="FILE", help="BFCL's answers to the questions in FILE")
    result.add_argument(
        "--reviews", type=Path, metavar="FILE", help="reviews.jsonl of toolace review: goes before rules"
    )
    result.add_argument("--strict", action="store_true", help="exit with 1 when a row was rejected")
    return result


def app(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 0, or 1 with --strict when rows were rejected.

    Raises:
        InputError: see `verify_file`.
    """
    options = parser().parse_args(argv)
    if options.jobs < 0:
        raise InputError("--jobs is below 0", fix="Give the number of processes, or leave it out.")
    if options.jobs > cores():
        print(f"--jobs {options.jobs} is more than there are cores; {cores()} are used", file=sys.stderr)
    reviews = read_reviews(options.reviews) if options.reviews else None
    counts = verify_file(
        options.file, options.out, jobs=options.jobs, answers=options.answers, reviews=reviews, ledger=True
    )
    folder = options.out or options.file.parent
    if options.json:
        print(json.dumps({"file": str(options.file), "out": str(folder), **counts}))
    else:
        print(table(counts))
        print("judged by rules alone; toolace experts asks a model about what they kept")
        print(f"{folder / 'verified.jsonl'}, {folder / 'rejected.jsonl'}, {folder / 'ledger.md'}")
    return 1 if options.strict and counts["rejected"] else 0


def table(counts: dict[str, Any]) -> str:
    """Counts as lines of text: rows in, kept and rejected, and rejected by rule."""
    share = 100 * counts["kept"] / counts["in"]
    lines = [f"{counts['in']} rows: {counts['kept']} kept ({share:.1f} %), {counts['rejected']} rejected"]
    for rule, count in sorted(counts["rules"].items(), key=lambda pair: (-pair[1], pair[0])):
        lines.append(f"  {count:>7}  {rule}")
    return "\n".join(lines)
