"""`toolace score`: verdicts and accuracies for result files, by the official rules, in under a second."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from toolace.errors import InputError
from toolace.rows import Row, dumps, write_json, write_rows

EXAMPLE = "example: toolace score bfcl --results runs/demo/eval/result --protocol v4"


class _Parser(argparse.ArgumentParser):
    """Bad usage is an InputError like any other bad input: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, where=self.prog, fix=f"See {self.prog} --help.")


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace score`."""
    main = _Parser(prog="toolace score", description=__doc__, epilog=EXAMPLE)
    benchmarks = main.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK", parser_class=_Parser)
    bfcl = benchmarks.add_parser(
        "bfcl",
        help="Berkeley Function-Calling Leaderboard, single-turn categories",
        description="Scores BFCL result files by the official decoder and checkers; no network.",
        epilog=EXAMPLE,
    )
    bfcl.add_argument(
        "--results",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder `result` in the official layout, its parent, or one model's folder",
    )
    bfcl.add_argument(
        "--protocol", default="v4", metavar="NAME", help="scoring rules: v4 (default), those of the installed bfcl-eval"
    )
    bfcl.add_argument("--partial", action="store_true", help="score the answers that are there; n says how many")
    bfcl.add_argument("--out", type=Path, metavar="DIR", help="for verdicts.jsonl and results.json (default: beside)")
    bfcl.add_argument("--json", action="store_true", help="print results.json on stdout instead of a table")
    bfcl.set_defaults(run=score_bfcl)
    return main


def app(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit code.

    Raises:
        InputError: bad usage, or result files that cannot be scored.
    """
    arguments = parser().parse_args(argv)
    code: int = arguments.run(arguments)
    return code


def score_bfcl(arguments: argparse.Namespace) -> int:
    """Scores, writes `verdicts.jsonl` and `results.json`, and prints a table (or the object)."""
    from eval.bfcl.scoring import check_protocol, score_results

    check_protocol(arguments.protocol)
    verdicts = score_results(arguments.results, arguments.protocol, arguments.partial)
    results = write_scores(arguments.out or default_out(arguments.results), verdicts, arguments.protocol)
    sys.stdout.write(dumps(results) + "\n" if arguments.json else render_table(results))
    return 0


def write_scores(out: Path, verdicts: list[Row], protocol: str = "v4") -> dict[str, Any]:
    """Writes `verdicts.jsonl` and `results.json` into a folder and returns the latter's object."""
    from eval.results import build_results

    results = build_results(verdicts, protocol)
    write_rows(out / "verdicts.jsonl", verdicts)
    write_json(out / "results.json", results)
    return results


def default_out(results_dir: Path) -> Path:
    """Beside a folder called `result`; otherwise inside the folder that was given."""
    results_dir = results_dir.resolve()
    return results_dir.parent if results_dir.name == "result" else results_dir


def render_table(results: dict[str, Any]) -> str:
    """The scores as text: category, n, correct, accuracy and 95 % interval, for each model; then the comparisons."""
    lines = []
    for model in dict.fromkeys(row["model"] for row in results["rows"]):
        lines += [f"model {model}", f"{'category':<26}{'n':>6}{'correct':>9}{'accuracy':>10}   95 % interval"]
        for row in (row for row in results["rows"] if row["model"] == model):
            counts = f"{row['category']:<26}{row['n']:>6}{row['correct']:>9}"
            lines.append(f"{counts}{row['accuracy']:>10.2f}   {row['low']:.2f} to {row['high']:.2f}")
        for row in (row for row in results["aggregates"] if row["model"] == model):
            lines.append(f"{row['name']:<41}{row['value']:>10.2f}   {row['low']:.2f} to {row['high']:.2f}")
        lines.append("")
    for row in results["comparisons"]:
        change = f"{row['difference']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})"
        lines.append(f"{row['b']} - {row['a']}, {row['category']}: {change}, p = {row['p_value']:.2g} ({row['test']})")
    return "\n".join(lines).rstrip() + "\n"
