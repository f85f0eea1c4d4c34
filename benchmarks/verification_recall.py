"""The tables of docs/verification.md: recall by kind of fault, false rejects, BFCL's own gold.

    python benchmarks/verification_recall.py DIALOGS [--clean 1000] [--fresh OTHER_DIALOGS] [--bfcl]

Both files are `dialogs.jsonl` of our own pipeline, made with different seeds.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

from data_gen.tool_synthesis.benchmark import data_folder
from data_gen.verification.recall import clean, measure, table
from data_gen.verification.rules import check
from data_gen.verification.verify import verify_file
from toolace import read_dialogs
from toolace.rows import read_rows

CATEGORIES = (
    "simple_python simple_java simple_javascript multiple parallel parallel_multiple live_simple live_multiple "
    "live_parallel live_parallel_multiple"
)


def bfcl() -> None:
    """Pass rate of the gold answers by category, and every answer that does not pass with its reason."""
    total = kept = 0
    failures = []
    print("| category | answers | pass | % |\n| --- | ---: | ---: | ---: |")
    for category in CATEGORIES.split():
        with tempfile.TemporaryDirectory() as folder:
            counts = verify_file(data_folder() / f"BFCL_v4_{category}.json", folder)
            failures += [row for _, row in read_rows(Path(folder) / "rejected.jsonl")]
        total, kept = total + counts["in"], kept + counts["kept"]
        print(f"| {category} | {counts['in']} | {counts['kept']} | {100 * counts['kept'] / counts['in']:.1f} |")
    print(f"| all | {total} | {kept} | {100 * kept / total:.2f} |\n\n| answer | rule | evidence |\n| --- | --- | --- |")
    for row in failures:
        verdict = row["verdict"]
        print(f"| {row['id']} | {verdict['rule']} | {verdict['evidence'][:100].replace('|', '/')} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dialogs", type=Path)
    parser.add_argument("--clean", type=int, default=1_000)
    parser.add_argument("--fresh", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--bfcl", action="store_true")
    options = parser.parse_args()
    dialogs = clean(itertools.islice(read_dialogs(options.dialogs), options.clean))
    print(f"{len(dialogs)} clean dialogs\n")
    print(table(measure(dialogs, options.seed)))
    if options.fresh:
        fresh = list(read_dialogs(options.fresh))
        rejected = sum(not check(dialog).kept for dialog in fresh)
        print(f"\nfalse rejects: {rejected} of {len(fresh)} fresh dialogs ({100 * rejected / len(fresh):.2f} %)")
    if options.bfcl:
        print()
        bfcl()
    return 0


if __name__ == "__main__":
    sys.exit(main())
