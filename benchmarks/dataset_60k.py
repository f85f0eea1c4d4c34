"""From dialogs to a data set, measured: verified, decontaminated, deduplicated and written, with time and memory.

    python benchmarks/dataset_60k.py DIALOGS --out FOLDER

DIALOGS is a `dialogs.jsonl` of ours. The issue's limits are 5 minutes and 4 GiB for 60,000 dialogs.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

from data_gen.dataset import DatasetPlan, make_dataset
from data_gen.decontamination import reject_overlaps
from data_gen.verification.verify import verify_file


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dialogs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, action="append", default=[], help="further benchmarks")
    options = parser.parse_args()
    start = lap = time.perf_counter()

    def took(what: str) -> None:
        nonlocal lap
        now = time.perf_counter()
        print(f"{what:<16} {now - lap:>7.1f} s")
        lap = now

    counts = verify_file(options.dialogs, options.out, ledger=True)
    took("verified")
    counts = reject_overlaps(options.out, counts, options.data)
    took("decontaminated")
    plan = DatasetPlan(validation=0.02, formats=("toolace", "trl"))
    made = make_dataset([options.out / "verified.jsonl"], options.out, plan, seed=1)
    took("data set")
    parts = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    own, child = (resource.getrusage(part).ru_maxrss / 1024**2 for part in parts)
    print(f"{'all':<16} {time.perf_counter() - start:>7.1f} s, at most {own:.2f} GiB, each worker {child:.2f} GiB")
    print({key: counts[key] for key in ("in", "kept", "rejected", "rules")})
    print({key: made[key] for key in ("in", "rows", "left_out", "reasons", "splits")})
    return 0


if __name__ == "__main__":
    sys.exit(main())
