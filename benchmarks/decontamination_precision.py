"""Precision and recall of each check of decontamination, on a labelled sample written for it.

    python benchmarks/decontamination_precision.py

The sample (tests/data_gen/overlap_sample.py) holds altered copies of BFCL's questions and functions, and requests and
tools of our own on the same subjects. Each check is asked alone; "any" is what decontamination does. The intervals are
Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "data_gen"))

from overlap_tools import own_tools, tool_copies  # type: ignore[import-not-found]

from data_gen.overlap import Functions, Requests
from data_gen.overlap_judge import known_benchmarks


def interval(hits: int, of: int) -> str:
    """Wilson's interval of a share, in percent."""
    if not of:
        return "-"
    share, z = hits / of, 1.96
    middle, width = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = ((middle + sign * width) / (1 + z * z / of) for sign in (-1, 1))
    return f"{100 * share:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def rows(
    what: str,
    finds: Callable[[Any, Sequence[str]], bool],
    checks: Sequence[str],
    copies: Sequence[Any],
    own: Sequence[Any],
) -> None:
    """A row of the table for each check alone, and for all of them."""
    for name, asked in (*((check, (check,)) for check in checks), ("any", tuple(checks))):
        true = sum(finds(item, asked) for item in copies)
        false = sum(finds(item, asked) for item in own)
        print(
            f"| {what} | {name} | {true} of {len(copies)} | {false} of {len(own)} | {interval(true, true + false)} "
            f"| {interval(true, len(copies))} |"
        )


def main() -> int:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    from overlap_sample import COPIES, COPIES_OTHER, OWN, OWN_OTHER  # type: ignore[import-not-found]

    known = known_benchmarks()
    print("| sample | check | copies found | own taken for copies | precision % | recall % |")
    print("| --- | --- | ---: | ---: | --- | --- |")

    def request(text: str, checks: Sequence[str]) -> bool:
        return known.requests.overlap(text, checks) is not None

    def tool(item: Any, checks: Sequence[str]) -> bool:
        return known.functions.overlap(item, checks) is not None

    rows("requests", request, Requests.CHECKS, [text for _, text in COPIES], OWN)
    rows("requests, other scripts", request, Requests.CHECKS, [text for _, text in COPIES_OTHER], OWN_OTHER)
    for kept, copies in tool_copies().items():
        rows(f"tools that keep the {kept}", tool, Functions.CHECKS, copies, own_tools())
    return 0


if __name__ == "__main__":
    sys.exit(main())
