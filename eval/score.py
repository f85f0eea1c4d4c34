"""`toolace score`: verdicts and accuracies for result files, by the official rules, in seconds."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from toolace.errors import InputError
from toolace.rows import Row, dumps, write_json, write_rows

EXAMPLE = "example: toolace score bfcl --results runs/demo/eval/result --protocol v4"
MORE_EXAMPLES = "         toolace score bfcl --results result --protocol v3-2024 --data FOLDER_WITH_QUESTIONS"


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
        help="Berkeley Function-Calling Leaderboard",
        description="Scores BFCL result files by the official decoders and checkers.",
        epilog=f"{EXAMPLE}\n{MORE_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    bfcl.add_argument(
        "--results",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder `result` in the official layout, its parent, or one model's folder",
    )
    bfcl.add_argument(
        "--protocol",
        default="v4",
        metavar="NAME",
        help="version of questions, rules and formulas: v4 (default; the installed bfcl-eval), v3-2024 or v1-2024",
    )
    bfcl.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with the questions of 2024 (default: downloaded once, and checked)",
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
    from eval.bfcl.data import Data
    from eval.bfcl.scoring import score_results

    gc.disable()  # everything read is kept until the end of this short process
    data = Data(arguments.protocol, arguments.data)
    verdicts = score_results(arguments.results, data, arguments.partial)
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
    """The scores as text: each model's categories and aggregates with 95 % intervals, comparisons, scores of others."""
    lines = []
    for model in dict.fromkeys(row["model"] for row in results["rows"]):
        own = [row for row in results["rows"] if row["model"] == model]
        lines += [f"model {model}, BFCL {own[0]['protocol']}"]
        lines += [f"{'category':<44}{'n':>6}{'correct':>9}{'accuracy':>10}   95 % interval"]
        for row in own:
            counts = f"{row['category']:<44}{row['n']:>6}{row['correct']:>9}"
            lines.append(f"{counts}{row['accuracy']:>10.2f}   {row['low']:.2f} to {row['high']:.2f}{_marks(row)}")
        for row in (row for row in results["aggregates"] if row["model"] == model):
            lines.append(f"{row['name']:<59}{row['value']:>10.2f}   {row['low']:.2f} to {row['high']:.2f}")
        for row in (row for row in results["not_run"] if row["model"] == model):
            lines.append(f"not run: {', '.join(row['categories'])}; so no {', '.join(row['aggregates']) or 'loss'}")
        lines.append("")
    for row in results["comparisons"]:
        change = f"{row['difference']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})"
        least = f", detectable from {row['minimum_detectable']:.1f}" if "minimum_detectable" in row else ""
        lines.append(
            f"{row['b']} - {row['a']}, {row['category']}: {change}, p = {row['p_value']:.2g} ({row['test']}){least}"
        )
    return "\n".join([*lines, *_published_lines(results)]).rstrip() + "\n"


def _marks(row: dict[str, Any]) -> str:
    """What a reader must know about a category's questions."""
    words = {"unpassable": "that no right answer can pass", "stale": "whose simulated APIs have changed since"}
    told = [f"{row[mark]} {text}" for mark, text in words.items() if row.get(mark)]
    return f"   ({', '.join(told)})" if told else ""


def _published_lines(results: dict[str, Any]) -> list[str]:
    """Scores that others printed by the same protocol, under the names of those columns that were computed here."""
    names = list(dict.fromkeys(row["name"].removesuffix("_proxy") for row in results["aggregates"]))
    rows = [row for row in results["published"] if any(name in row["scores"] for name in names)]
    names = [name for name in names if any(name in row["scores"] for row in rows)]
    if not rows:
        return []
    widths = [max(8, len(name) + 2) for name in names]
    head = "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    lines = ["", f"published, by the same protocol{' ' * 10}{head}"]
    for source in dict.fromkeys((row["source"], row["date"]) for row in rows):
        lines.append(f"{source[0]}, {source[1]}")
        for row in (row for row in rows if (row["source"], row["date"]) == source):
            cells = [f"{row['scores'][n]:.2f}" if n in row["scores"] else "" for n in names]
            lines.append(f"  {row['model']:<39}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True)))
    return lines
