"""`toolace score`: verdicts and accuracies for result files, by the official rules, in seconds."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from eval.bfcl.executable import COMMAND
from toolace.errors import InputError
from toolace.rows import Row, dumps, write_json, write_rows

if TYPE_CHECKING:
    from eval.bfcl.data import Data

EXAMPLE = "example: toolace score bfcl --results runs/demo/eval/result --protocol v4"
# What `notable` in results.json counts, in words.
NOTABLE = {
    "guard:refused": "would execute code, or ended the time for one, and count as wrong",
    "calls_in_text": "of a model that calls natively are calls in text; officially they are no calls",
}
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
    bfcl.add_argument(
        "--mode",
        default="auto",
        choices=("auto", "prompting", "native"),
        help="how the models were asked: prompting (calls are text) or native (functions as tools, calls as tool_calls;"
        " text is talk); auto (default) finds out for each model",
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
    verdicts = score_results(arguments.results, data, arguments.partial, mode=arguments.mode)
    results = write_scores(arguments.out or default_out(arguments.results), verdicts, data)
    sys.stdout.write(dumps(results) + "\n" if arguments.json else render_table(results))
    return 0


def write_scores(out: Path, verdicts: list[Row], data: Data) -> dict[str, Any]:
    """Writes `verdicts.jsonl` and `results.json` into a folder and returns the latter's object."""
    from eval.results import build_results

    results = build_results(verdicts, data.protocol.name, data)
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
            value = f"{row['name']:<59}{row['value']:>10.2f}"
            lines.append(f"{value}   {row['low']:.2f} to {row['high']:.2f}{_marks(row)}")
        lines += [*_notes(results, model), ""]
    for row in results["comparisons"]:
        change = f"{row['difference']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})"
        holm = f", Holm {row['p_holm']:.2g}" if "p_holm" in row else ""
        least = f", detectable from {row['minimum_detectable']:.1f}" if "minimum_detectable" in row else ""
        tested = f"p = {row['p_value']:.2g}{holm} ({row['test']}){least}"
        lines.append(f"{row['b']} - {row['a']}, {row['category']}: {change}, {tested}")
    if any("p_holm" in row for row in results["comparisons"]):
        lines.append("Holm: over all pairs of models; categories are one family of tests, official columns another")
    return "\n".join([*lines, *_published_lines(results)]).rstrip() + "\n"


def _notes(results: dict[str, Any], model: str) -> list[str]:
    """What was not done, below a model's scores."""
    lines = [
        f"not run: {', '.join(row['categories'])}; so no {', '.join(row['aggregates']) or 'loss'}"
        for row in results["not_run"]
        if row["model"] == model
    ]
    lines += [
        f"exec: {row['executed']} of {row['offline']} executed, the others compared; {COMMAND}"
        for row in results.get("not_executed", ())
        if row["model"] == model
    ]
    refused = results.get("refused", {}).get(model)
    if refused:
        lines.append(f"refused: {refused} answers are errors of the server, scored as they stand")
    counts = results.get("notable", {}).get(model, {})
    lines += [f"{name}: {counts[name]} answers {text}" for name, text in NOTABLE.items() if name in counts]
    return lines


def _marks(row: dict[str, Any]) -> str:
    """What a reader must know about the questions behind a score."""
    words = {"unpassable": "that no right answer can pass", "stale": "whose simulated APIs have changed since"}
    told = [] if is_whole(row) else [f"partial: {row['n']} of {row['of']}"]
    told += [f"{row[mark]} {text}" for mark, text in words.items() if row.get(mark)]
    return f"   ({', '.join(told)})" if told else ""


def is_whole(row: dict[str, Any]) -> bool:
    """Whether a score has an answer to every question of its categories, as far as it is known."""
    return bool(row.get("n") == row.get("of", row.get("n")))


def _published_lines(results: dict[str, Any]) -> list[str]:
    """Scores that others printed, under the names of those columns that were computed here from all questions."""
    aggregates = list(results["aggregates"])
    names = list(dict.fromkeys(row["name"].removesuffix("_proxy") for row in aggregates if is_whole(row)))
    rows = [row for row in results["published"] if any(name in row["scores"] for name in names)]
    names = [name for name in names if any(name in row["scores"] for row in rows)]
    if not rows:
        lacking = {row["name"].removesuffix("_proxy") for row in aggregates if not is_whole(row)}
        known = any(name in row["scores"] for row in results["published"] for name in lacking)
        return ["", "published scores are not comparable with partial ones and are not shown"] if known else []
    widths = [max(8, len(name) + 2) for name in names]
    head = "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    lines = ["", f"published, by the same protocol{' ' * 10}{head}"]
    own = results["rows"][0]["protocol"]
    for source, date, note, protocol in dict.fromkeys(map(_origin, rows)):
        other = "" if protocol == own else "other data: "
        lines.append(f"{source}, {date}" + (f" ({other}{note})" if note else ""))
        for row in (row for row in rows if _origin(row) == (source, date, note, protocol)):
            cells = [f"{row['scores'][n]:.2f}" if n in row["scores"] else "" for n in names]
            lines.append(f"  {row['model']:<39}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True)))
    return lines


def _origin(row: dict[str, Any]) -> tuple[str, str, str, str]:
    return row["source"], row["date"], row.get("note", ""), row["protocol"]
