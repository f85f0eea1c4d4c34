"""The data set: verified dialogs become a mix of the wanted size, without duplicates, in splits and training formats.

`train.jsonl` holds ToolACE's form; the folders `toolace/`, `trl/`, `sharegpt/`, `hermes/` hold each split in that
format as Parquet, which `datasets.load_dataset(FOLDER, "trl")` reads without any code of ours. The data card says what
is in it. Files are read twice and never held in memory: first fingerprints decide, then rows are written. Both readings
run in as many processes as there are cores (`dataset_rows`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_gen.data_card import write_card
from data_gen.data_checks import checks_of
from data_gen.dataset_files import Extra, SplitWriter
from data_gen.dataset_rows import Entry, FirstReading, SecondReading
from data_gen.duplicates import NEAR, Fingerprint, judge_duplicates
from data_gen.verification.judging import judge_all
from data_gen.verification.row_files import chunks, jobs_for
from data_gen.verification.verdict import Verdict
from toolace import InputError
from toolace.formats import FORMATS
from toolace.rows import write_text

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class DatasetPlan:
    """What the data set is to be.

    Attributes:
        sizes: rows wanted of each dialog type; a type that is not named is left out; everything when empty.
        total: rows wanted in all, spread over the types as they come; 0 for everything. Not with `sizes`.
        validation, test: shares of the rows, 0 to 1, taken alike from every type and source.
        near: similarity from which two dialogs are near-duplicates; 1 removes exact ones only.
        formats: training formats to write as Parquet, by the names of `toolace convert`.
        show_returns: whether the tool lists in the prompts hold what the tools return.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    validation: float = 0.0
    test: float = 0.0
    near: float = NEAR
    formats: Sequence[str] = ("toolace", "trl")
    show_returns: bool = False

    def check(self) -> None:
        """Raises InputError for a plan that cannot be."""
        where = "generate.dataset"
        for name, share in (("validation", self.validation), ("test", self.test), ("near", self.near)):
            if not 0 <= share <= 1:
                raise InputError(f"{name} is {share}", where=where, fix="Give a share from 0 to 1.")
        if self.validation + self.test >= 1:
            raise InputError("validation and test leave nothing to train on", where=where, fix="Lower them.")
        if self.near == 0:
            raise InputError("near is 0: any two dialogs are that similar", where=where, fix="Give 0.5 to 1.")
        if self.total < 0 or any(size < 0 for size in self.sizes.values()):
            raise InputError("a size is below 0", where=where, fix="Give numbers of rows.")
        if self.total and self.sizes:
            raise InputError("both total and sizes are given", where=where, fix="Keep one of them.")
        for name in self.formats:
            if name not in FORMATS:
                fix = f"Use {', '.join(FORMATS)}."
                raise InputError(f"the format {name!r} is unknown", where=where, fix=fix)


def make_dataset(
    files: Sequence[str | Path],
    out: str | Path,
    plan: DatasetPlan | None = None,
    *,
    seed: int = 0,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes the data set into a folder.

    Args:
        files: verified dialogs, JSON Lines; of duplicates the first in this order is kept.
        out: folder for `train.jsonl` and the other splits, the formats' folders, `left_out.jsonl` and `README.md`.
        plan: what is wanted.
        seed: decides what is taken when there is more than wanted, and which rows are held out.
        facts: for the data card: `name`, `command`, `recipe`, as far as they are known. How the rows were checked it
            takes from the files beside them (`data_checks`).

    Returns:
        `{"in", "rows", "left_out", "reasons", "splits", "types", "short"}`; in = rows + left_out. `short` says by how
        much a type is below what was wanted.

    Raises:
        InputError: a file cannot be read, or nothing is left.
    """
    plan = plan or DatasetPlan()
    plan.check()
    out = Path(out)
    written = {(out / f"{split}.jsonl").resolve() for split in SPLITS} | {(out / "left_out.jsonl").resolve()}
    for file in files:
        if Path(file).resolve() in written:
            raise InputError("would be replaced by the data set", where=file, fix="Choose another folder with --out.")
    paths = [Path(file) for file in files]
    entries, by_file = _judged(paths, plan)
    short = _take(entries, plan, seed)
    _split(entries, plan, seed)
    if not any(entry.split == "train" for entry in entries):
        fix = "Read left_out.jsonl and rejected.jsonl for the reasons, and change the sizes or generate.dialogs."
        raise InputError("no dialog is left to train on", where=", ".join(map(str, files)), fix=fix)
    _write(paths, out, by_file, plan)
    kept = [entry for entry in entries if entry.split]
    counts = {
        "in": len(entries),
        "rows": len(kept),
        "left_out": len(entries) - len(kept),
        "reasons": dict(sorted(Counter(e.verdict.rule for e in entries if not e.split).items())),
        "splits": {name: sum(e.split == name for e in kept) for name in SPLITS if any(e.split == name for e in kept)},
        "types": dict(sorted(Counter(e.type or "unknown" for e in kept).items())),
        "short": short,
    }
    composition = Counter((e.split, e.type or "unknown", e.source or "unknown") for e in kept)
    licences = Counter(licence for e in kept for licence in e.licences)
    told = {**(facts or {}), "plan": asdict(plan), "seed": seed}
    write_card(out, counts, composition, licences, checks_of(paths, out), told)
    return counts


def _judged(files: Sequence[Path], plan: DatasetPlan) -> tuple[list[Entry], list[list[Entry]]]:
    """The entries of all rows, with verdicts on duplicates; and the same by file."""
    by_file: list[list[Entry]] = []

    def fingerprints() -> Iterator[Fingerprint]:
        total = 0
        with tqdm(desc="fingerprints", unit="row", disable=None, leave=False) as bar:
            for file in files:
                by_file.append([])
                for judged in judge_all(FirstReading(file), chunks(file), jobs_for(file)):
                    bar.update(len(judged.notes))
                    for entry, fingerprint in judged.notes:
                        by_file[-1].append(entry)
                        total += 1
                        # Files may use the same ids; the place in the files tells rows apart.
                        yield replace(fingerprint, id=f"row {total} ({entry.id})")

    verdicts = list(judge_duplicates(fingerprints(), plan.near))
    entries = [entry for found in by_file for entry in found]
    for entry, verdict in zip(entries, verdicts, strict=True):
        entry.verdict = verdict
    return entries, by_file


def _rank(seed: int, purpose: str, entry: Entry, number: int) -> str:
    return hashlib.blake2b(f"{seed}/{purpose}/{number}/{entry.id}".encode(), digest_size=8).hexdigest()


def _take(entries: Sequence[Entry], plan: DatasetPlan, seed: int) -> dict[str, int]:
    """Rejects what is beyond the wanted sizes; returns what is lacking by type."""
    by_type: dict[str, list[tuple[str, Entry]]] = defaultdict(list)
    for number, entry in enumerate(entries):
        if entry.verdict.kept:
            by_type[entry.type].append((_rank(seed, "size", entry, number), entry))
    wanted = dict(plan.sizes)
    if plan.total:
        have = {kind: len(found) for kind, found in by_type.items()}
        wanted = shares(have, min(plan.total, sum(have.values())))
    if not wanted:
        return {}
    for kind, ranked in by_type.items():
        ranked.sort(key=lambda pair: pair[0])
        for _, entry in ranked[wanted.get(kind, 0) :]:
            entry.verdict = Verdict.reject("mix.size", f"more than the {wanted.get(kind, 0)} wanted of this type")
    lacking = {kind: size - len(by_type.get(kind, ())) for kind, size in sorted(wanted.items())}
    return {kind: count for kind, count in lacking.items() if count > 0}


def shares(weights: Mapping[Any, float], total: int) -> dict[Any, int]:
    """Whole numbers in proportion to weights that add up to `total` (largest remainders)."""
    whole = sum(weights.values())
    exact = {key: total * weight / whole if whole else 0.0 for key, weight in weights.items()}
    found = {key: int(value) for key, value in exact.items()}
    by_remainder = sorted(exact, key=lambda key: (found[key] - exact[key], str(key)))
    for key in by_remainder[: total - sum(found.values()) if whole else 0]:
        found[key] += 1
    return found


def _split(entries: Sequence[Entry], plan: DatasetPlan, seed: int) -> None:
    """Gives every kept row a split; validation and test have the composition of the whole by type and source."""
    groups: dict[tuple[str, str], list[tuple[str, Entry]]] = defaultdict(list)
    for number, entry in enumerate(entries):
        if entry.verdict.kept:
            entry.split = "train"
            groups[(entry.type, entry.source)].append((_rank(seed, "split", entry, number), entry))
    sizes = {key: float(len(found)) for key, found in groups.items()}
    whole = int(sum(sizes.values()))
    held = {
        name: shares(sizes, round(share * whole))
        for name, share in (("validation", plan.validation), ("test", plan.test))
    }
    for key, ranked in groups.items():
        ranked.sort(key=lambda pair: pair[0])
        first, second = held["validation"][key], held["test"][key]
        for _, entry in ranked[:first]:
            entry.split = "validation"
        for _, entry in ranked[first : first + second]:
            entry.split = "test"


def _write(files: Sequence[Path], out: Path, by_file: Sequence[Sequence[Entry]], plan: DatasetPlan) -> None:
    """The second reading: every row goes to its split, or to `left_out.jsonl` with the reason."""
    used = {entry.split for found in by_file for entry in found}
    written = [entry.extra for found in by_file for entry in found if entry.split]
    extra = Extra(any(one.masked for one in written), any(one.listed for one in written))
    splits = [name for name in SPLITS if name in used]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as left_out,
        tqdm(desc="data set", unit="row", disable=None, leave=False) as bar,
    ):
        with SplitWriter(out, splits, plan.formats, extra) as writer:
            for file, entries in zip(files, by_file, strict=True):
                known = {entry.number: entry for entry in entries}
                judge = SecondReading(file, known, plan.formats, show_returns=plan.show_returns, extra=extra)
                for judged in judge_all(judge, chunks(file), jobs_for(file)):
                    for part in judged.notes:
                        writer.add(part.lines, part.tables)
                        left_out.writelines(part.left_out)
                        bar.update(sum(map(len, part.lines.values())) + len(part.left_out))
        left_out.seek(0)
        write_text(out / "left_out.jsonl", left_out)


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace dataset`."""
    result = argparse.ArgumentParser(
        prog="toolace dataset",
        description="Verified dialogs to a data set: sizes, splits, no duplicates, training formats, a data card.",
        epilog="example: toolace dataset runs/demo/verified.jsonl --out my-data --validation 0.02 --formats trl",
    )
    result.add_argument("files", type=Path, nargs="+", metavar="FILE", help="verified dialogs, JSON Lines")
    result.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the data set")
    result.add_argument("--size", action="append", default=[], metavar="TYPE=N", help="rows wanted of a dialog type")
    result.add_argument("--total", type=int, default=0, metavar="N", help="rows wanted in all (default: everything)")
    result.add_argument("--validation", type=float, default=0.0, metavar="SHARE", help="share held out")
    result.add_argument("--test", type=float, default=0.0, metavar="SHARE", help="share held out for a test")
    result.add_argument("--near", type=float, default=NEAR, metavar="SHARE", help=f"near-duplicates from here ({NEAR})")
    result.add_argument("--formats", default="toolace,trl", metavar="NAMES", help=f"of {', '.join(FORMATS)}")
    result.add_argument("--show_returns", action="store_true", help="tool lists hold what the tools return")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--json", action="store_true", help="print the counts as one JSON object")
    return result


def app(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0.

    Raises:
        InputError: see `make_dataset`.
    """
    options = parser().parse_args(argv)
    plan = DatasetPlan(
        sizes=dict(map(_size, options.size)),
        total=options.total,
        validation=options.validation,
        test=options.test,
        near=options.near,
        formats=[name for name in options.formats.split(",") if name],
        show_returns=options.show_returns,
    )
    command = shlex.join(["toolace", "dataset", *(sys.argv[2:] if argv is None else argv)])
    counts = make_dataset(options.files, options.out, plan, seed=options.seed, facts={"command": command})
    if options.json:
        print(json.dumps({"out": str(options.out), **counts}))
    else:
        print(f"{counts['in']} rows: {counts['rows']} in the data set, {counts['left_out']} left out")
        for name in ("reasons", "splits", "types", "short"):
            if counts[name]:
                print(f"  {name}: " + ", ".join(f"{key} {count}" for key, count in counts[name].items()))
        print(f"{options.out / 'train.jsonl'}, {options.out / 'README.md'}")
    return 0


def _size(text: str) -> tuple[str, int]:
    kind, _, count = text.partition("=")
    if not kind or not count.isdecimal():
        raise InputError(f"--size {text} is not TYPE=N", fix="Write, for example, --size parallel=500.")
    return kind, int(count)
