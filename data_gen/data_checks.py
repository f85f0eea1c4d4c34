"""How the rows of a data set were checked, as far as the files beside them say so about these very rows.

A folder may hold the ledger of an earlier run, or of other rows. What does not fit the rows is not told in the card.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from data_gen.overlap_judge import RULE
from data_gen.verification.ledger import Ledger
from toolace.rows import read_json, read_rows, sha256, write_text


@dataclass(frozen=True)
class Checks:
    """What is known of all the files together.

    Attributes:
        ledger: of verification; None when a file has none, or one of other rows.
        overlap: the comparison with benchmarks (see `overlap_report.summary`); None in the same way.
        opinions: what experts were asked, by expert; empty when no model was.
        reports: names of the reports that were written into the data set's folder.
    """

    ledger: Ledger | None
    overlap: Mapping[str, Any] | None
    opinions: Mapping[str, int]
    reports: Sequence[str] = ()


def checks_of(files: Sequence[Path], out: Path) -> Checks:
    """The checks of verified rows; their reports are copied into `out` when they are somewhere else.

    Raises:
        InputError: a ledger or a comparison cannot be read.
    """
    ledgers = [_ledger(file) for file in files]
    known = [ledger for ledger in ledgers if ledger is not None]
    if len(known) < len(files) or not known:
        return Checks(None, None, {})
    overlaps = [_overlap(file.parent, ledger) for file, ledger in zip(files, known, strict=True)]
    compared = [overlap for overlap in overlaps if overlap is not None]
    ledger = reduce(add, known)
    overlap = _sum(compared) if len(compared) == len(files) else None
    opinions: Counter[str] = Counter()
    for file in files:
        if (file.parent / "opinions.jsonl").exists():
            opinions.update(str(row.get("expert")) for _, row in read_rows(file.parent / "opinions.jsonl"))
    return Checks(ledger, overlap, dict(sorted(opinions.items())), _reports(files, out, ledger, overlap))


def _ledger(file: Path) -> Ledger | None:
    if not (file.parent / "ledger.json").exists():
        return None
    ledger = Ledger.read(file.parent)
    return ledger if ledger.verified == sha256(file) else None


def _overlap(folder: Path, ledger: Ledger) -> Mapping[str, Any] | None:
    path = folder / "decontamination.json"
    if not path.exists():
        return None
    found = read_json(path)
    rejected = sum(count for rule, count in ledger.counts().items() if rule.startswith(RULE))
    fits = isinstance(found, Mapping) and found.get("overlapping") == rejected
    return found if fits else None


def _sum(overlaps: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    benchmarks: Counter[str] = Counter()
    for overlap in overlaps:
        benchmarks.update(overlap["benchmarks"])
    compared = [overlap["compared_with"] for overlap in overlaps]
    return {
        "rows": sum(overlap["rows"] for overlap in overlaps),
        "overlapping": sum(overlap["overlapping"] for overlap in overlaps),
        "benchmarks": dict(benchmarks),
        # All of the rows were compared only with what each file was compared with.
        "compared_with": {name: compared[0][name] for name in compared[0] if all(name in other for other in compared)},
    }


def _reports(files: Sequence[Path], out: Path, ledger: Ledger, overlap: Mapping[str, Any] | None) -> Sequence[str]:
    if all(file.parent.resolve() == out.resolve() for file in files):
        names = ["ledger.md", "ledger.svg", *(["decontamination.md"] if overlap is not None else [])]
        return [name for name in names if (out / name).is_file()]
    if (out / "ledger.json").exists():  # the folder of another verification keeps its own
        return []
    write_text(out / "ledger.md", ledger.markdown())
    write_text(out / "ledger.svg", ledger.svg())
    if overlap is None or len(files) > 1 or not (files[0].parent / "decontamination.md").is_file():
        return ["ledger.md", "ledger.svg"]
    report = (files[0].parent / "decontamination.md").read_text(encoding="utf-8")
    write_text(out / "decontamination.md", report)
    return ["ledger.md", "ledger.svg", "decontamination.md"]
