"""`toolace report`: writes `report.html`, `report.md` and `results.json` into a run folder."""

from __future__ import annotations

import argparse
import base64
import hashlib
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

from eval.report import figures, wording
from eval.report.comparison import Comparison, build_comparison
from eval.report.markdown import counts_text, render_markdown
from eval.report.published import build_published, not_run_text
from eval.report.run_folder import RunFolder, read_run
from eval.report.samples import OUTCOMES, Sample, draw_samples
from toolace import __version__
from toolace.errors import InputError
from toolace.rows import dumps, write_text

EXAMPLE = "example: toolace report runs/demo"
HERE = Path(__file__).parent


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message, where=self.prog, fix=f"See {self.prog} --help.")


def app(argv: Sequence[str]) -> int:
    """Writes the report of each run folder; returns the exit code.

    Raises:
        InputError: bad usage, or a run folder with a broken file.
    """
    parser = _Parser(prog="toolace report", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder, such as runs/demo")
    parser.add_argument("--json", action="store_true", help="print the written files as one JSON object")
    arguments = parser.parse_args(argv)
    written = [write_report(run) for run in arguments.runs]
    if arguments.json:
        sys.stdout.write(dumps({"reports": written}) + "\n")
    else:
        sys.stdout.write("".join(f"{report['headline']}\n{report['html']}\n" for report in written))
    return 0


def write_report(folder: Path) -> dict[str, str]:
    """Writes one run's report; returns the headline and the paths.

    Raises:
        InputError: no such folder, or a broken file in it.
    """
    run = read_run(folder)
    comparison = build_comparison(run.results) if run.results else None
    samples = _samples(run, comparison)
    view = build_view(run, comparison, samples)
    write_text(folder / "report.html", _savable(render_html(view)))
    write_text(folder / "report.md", _savable(render_markdown(view)))
    if run.results is not None:
        write_text(folder / "results.json", (folder / "eval" / "results.json").read_text(encoding="utf-8"))
    return {
        "headline": view["headline"],
        "html": (folder / "report.html").as_posix(),
        "markdown": (folder / "report.md").as_posix(),
    }


def _savable(text: str) -> str:
    """Lone surrogates, which models do emit, cannot be saved as UTF-8: they become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _samples(run: RunFolder, comparison: Comparison | None) -> list[Sample]:
    if comparison is None or not run.verdicts or not run.outputs:
        return []
    try:
        samples = draw_samples(run, comparison.models)
    except InputError as error:
        run.missing.append(f"Sample answers: {error}")
        return []
    if not samples:
        run.missing.append("Sample answers: no question has a verdict and an answer of every model.")
    return samples


def build_view(run: RunFolder, comparison: Comparison | None, samples: list[Sample]) -> dict[str, Any]:
    """Everything that the HTML and the Markdown report show."""
    headline, evidence = wording.headline(comparison)
    losses = [(float(row["step"]), float(row["loss"])) for row in run.training]
    versions = {"toolace": __version__, "python": platform.python_version(), **run.versions}
    return {
        "run": run,
        "comparison": comparison,
        "published": build_published(run.results, comparison),
        "not_run": not_run_text(run.results),
        "headline": headline,
        "evidence": evidence,
        "losses": losses,
        "training": training_sentence(run.training),
        "rules": rule_rows(run),
        "stages": run.stages,
        "total": sum(seconds for _, seconds, _ in run.stages),
        "samples": samples,
        "outcomes": _outcome_words(samples),
        "versions": dict(sorted(versions.items())),
        "commands": list(dict.fromkeys(run.commands)) or default_commands(run),
    }


def _outcome_words(samples: list[Sample]) -> dict[str, str]:
    """The outcomes that occur among the samples, with their words, for the filter."""
    found = {sample.outcome: sample.outcome_text for sample in samples}
    return {key: found[key] for key in OUTCOMES if key in found}


def training_sentence(rows: Sequence[dict[str, Any]]) -> str:
    """What the training log says in one line: steps, epochs, first and last loss, speed."""
    if not rows:
        return ""
    first, last = rows[0], rows[-1]
    parts = [f"{last['step']:,} steps"]
    if isinstance(last.get("epoch"), int | float):
        parts.append(f"{last['epoch']:.3g} epochs")
    parts.append(f"loss {first['loss']:.2f} at first, {last['loss']:.2f} at the end")
    speeds = [row["tokens_per_second"] for row in rows if isinstance(row.get("tokens_per_second"), int | float)]
    if speeds:
        parts.append(f"{median(speeds):,.0f} tokens a second (median)")
    return "; ".join(parts) + "."


def rule_rows(run: RunFolder) -> list[tuple[str, int, float, str]]:
    """(rule, dialogs, share of all in percent, kind) for the kept dialogs and every rule that rejected some."""
    kept = run.kept or 0
    total = kept + sum(run.rejected.values())
    if not total:
        return []
    rows = [("kept", kept, 100 * kept / total, "tuned")] if run.kept is not None else []
    return rows + [(rule, count, 100 * count / total, "base") for rule, count in run.rejected.most_common()]


def default_commands(run: RunFolder) -> list[str]:
    """The commands that make this page again from what is in the folder."""
    score = (
        [f"toolace score bfcl --results {run.shown}/eval/result --protocol {run.protocol}"]
        if run.results and run.outputs
        else []
    )
    return [*score, f"toolace report {run.shown}"]


def render_html(view: dict[str, Any]) -> str:
    """The page. Jinja2 escapes every value; scripts are allowed by the hash of the page's own script alone."""
    import jinja2

    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    style = (HERE / "page.css").read_text(encoding="utf-8")
    template = environment.get_template("page.html.j2")
    return template.render(
        **view, counts_text=counts_text, figures=figures, wording=wording, style=style, script=script, digest=digest
    )
