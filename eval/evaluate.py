"""`toolace evaluate`: asks models the benchmark's questions, keeps every answer, and scores them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eval.bfcl import memory
from eval.bfcl.aggregation import groups
from eval.bfcl.answers import Answers
from eval.bfcl.data import Data
from eval.bfcl.protocols import find_protocol
from eval.bfcl.scoring import score_results
from eval.results import build_results
from eval.score import render_table
from eval.server_model import count_refused, server_settings
from eval.settings import EvaluateSettings
from toolace.errors import InputError
from toolace.recipe import build, load_recipe, parse_overrides
from toolace.rows import write_json, write_rows
from toolace.runs import Run

BENCHMARKS = ("bfcl",)
EXAMPLE = """examples: toolace evaluate recipes/smollm2_135m.yaml
          toolace evaluate embedded/SmolLM2-135M-Instruct --benchmarks bfcl --limit 20 --out runs/base
          toolace evaluate my-model --protocol v3-2024 --evaluate.categories '[all]' --evaluate.backend server
              --evaluate.server.base_url http://127.0.0.1:8000/v1"""


def app(argv: Sequence[str]) -> int:
    """The command; returns its exit code."""
    arguments, overrides = _parser().parse_known_args(argv)
    settings, folder, seed = _settings(arguments, overrides)
    settings = _checked(settings, arguments.benchmarks)
    with Run(folder).working():
        results = evaluate(settings, folder, seed)
    if arguments.json:
        print(json.dumps(results, ensure_ascii=False))
    else:
        print(render_table(results))
        print(f"written: {folder / 'eval' / 'results.json'}, verdicts.jsonl and result/ beside it")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="toolace evaluate",
        description="Generates answers to benchmark questions and scores them with the official checkers.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="RECIPE_OR_MODEL", help="a recipe, a model or adapter folder, or a hub id")
    parser.add_argument("--benchmarks", default="bfcl", help="comma-separated: bfcl")
    parser.add_argument("--protocol", help="version of data and formulas: v4 (default), v3-2024 or v1-2024")
    parser.add_argument("--data", metavar="DIR", help="folder with the questions of 2024 (default: downloaded once)")
    parser.add_argument("--limit", type=int, metavar="N", help="ask only a seeded sample of N questions a category")
    parser.add_argument("--out", type=Path, metavar="DIR", help="run folder (default: the recipe's, or runs/<model>)")
    parser.add_argument("--json", action="store_true", help="print results.json on stdout")
    return parser


def _settings(arguments: argparse.Namespace, overrides: Sequence[str]) -> tuple[EvaluateSettings, Path, int]:
    target = Path(arguments.target)
    if target.suffix in (".yaml", ".yml"):
        recipe = load_recipe(target, overrides)
        settings = recipe.settings("evaluate", EvaluateSettings)
        folder, seed = arguments.out or recipe.out, recipe.seed
        if not settings.models:
            raise InputError("names no models", where=f"{target}: evaluate", fix="Add `models: {name: folder}`.")
    else:
        given = parse_overrides(overrides)
        for section in given:
            if section != "evaluate":
                raise InputError(f"unexpected argument --{section}", fix="See `toolace evaluate --help`.")
        name = arguments.target.rstrip("/").split("/")[-1]
        settings = build(EvaluateSettings, given.get("evaluate", {}), "--evaluate")
        settings = replace(settings, models={name: arguments.target})
        folder, seed = arguments.out or Path("runs") / name, 42
    if arguments.protocol:
        settings = replace(settings, protocol=arguments.protocol)
    if arguments.data:
        settings = replace(settings, data_folder=arguments.data)
    settings = replace(settings, categories=named_categories(settings))
    if arguments.limit is not None:
        if arguments.limit < 1:
            raise InputError(f"--limit is {arguments.limit}", fix="Give a number of at least 1.")
        settings = replace(settings, limit=dict.fromkeys(settings.categories, arguments.limit))
    return settings, folder, seed


def named_categories(settings: EvaluateSettings) -> tuple[str, ...]:
    """The categories that the settings ask for: names of several are replaced, and none are the protocol's default.

    Raises:
        InputError: unknown protocol, or a name that is neither a category nor a group of them.
    """
    protocol = find_protocol(settings.protocol)
    known, found = groups(protocol), list[str]()
    for name in settings.categories or protocol.default_categories:
        if name in known:
            found += known[name]
        else:
            found.append(Data(protocol).category(name, where="evaluate.categories").name)
    return tuple(dict.fromkeys(found))


def _checked(settings: EvaluateSettings, benchmarks: str) -> EvaluateSettings:
    for benchmark in benchmarks.split(","):
        if benchmark not in BENCHMARKS:
            fix = f"Use one of {', '.join(BENCHMARKS)}."
            raise InputError(f"unknown benchmark {benchmark!r}", where="--benchmarks", fix=fix)
    data = Data(settings.protocol)
    for name, limit in settings.limit.items():
        data.category(name, where="evaluate.limit")
        if limit < 1:
            raise InputError(f"{name} is {limit}", where="evaluate.limit", fix="Give a number of at least 1.")
    _check_names(settings.models)
    for name in settings.categories:
        if name in memory.OFFLINE:
            memory.check_installed(name)
        elif data.category(name).kind == "agentic":
            what = f"{name} is not asked here, only scored: it needs a web search or a memory with a model of its own"
            raise InputError(what, where="evaluate.categories", fix="Generate it with python -m bfcl_eval.")
    for name, value in (("batch_size", settings.batch_size), ("max_new_tokens", settings.max_new_tokens)):
        if value < 1:
            raise InputError(f"{name} is {value}", where="evaluate", fix="Give a number of at least 1.")
    if settings.backend == "server" and not settings.server.base_url:
        fix = "Add `server: {base_url: http://...}`."
        raise InputError("the backend server needs an address", where="evaluate.server.base_url", fix=fix)
    if settings.backend == "server":
        for model in settings.models.values():
            server_settings(model, settings.server, settings.temperature)
    return settings


def _check_names(models: Iterable[str]) -> None:
    """Names of models are names of folders."""
    folders: dict[str, str] = {}
    for name in models:
        folder = name.replace("/", "_")
        if not folder.strip(". ") or "\0" in folder or "\\" in folder:
            raise InputError(f"{name!r} cannot be a folder's name", where="evaluate.models", fix="Choose another name.")
        if folder in folders:
            what = f"{name!r} and {folders[folder]!r} would share the folder {folder}"
            raise InputError(what, where="evaluate.models", fix="Rename one of them.")
        folders[folder] = name


def evaluate(settings: EvaluateSettings, folder: Path, seed: int) -> dict[str, Any]:
    """Asks every model, scores, and writes `eval/results.json` and `eval/verdicts.jsonl` into the run folder.

    Answers that are on disk already, from the same model and settings, are not asked for again.
    """
    settings = replace(settings, categories=named_categories(settings))
    run, data = Run(folder), Data(settings.protocol, settings.data_folder or None)
    for name, model in settings.models.items():
        answers = Answers(settings, data, folder, name, model, seed)
        run.stage(f"evaluate/{name}", answers.ask, settings=answers.facts, outputs=answers.files)
    return score_run(settings, folder, data)


def score_run(settings: EvaluateSettings, folder: Path, data: Data) -> dict[str, Any]:
    """Scores the result files of a run folder that the settings ask for."""
    wanted = [(model.replace("/", "_"), name) for model in settings.models for name in settings.categories]
    scored = score_results(folder / "eval" / "result", data, True, set(wanted), settings.mode)
    shown = {model.replace("/", "_"): model for model in settings.models}
    verdicts = [{**row, "model": shown[row["model"]]} for row in scored]
    verdicts.sort(key=lambda row: list(settings.models).index(row["model"]))
    results = build_results(verdicts, settings.protocol, data)
    paths = {
        m: [data.category(c).path(folder / "eval" / "result", m) for c in settings.categories] for m in settings.models
    }
    refused = {model: sum(map(count_refused, files)) for model, files in paths.items()}
    results["refused"] = {model: count for model, count in refused.items() if count}
    write_rows(folder / "eval" / "verdicts.jsonl", verdicts)
    write_json(folder / "eval" / "results.json", results)
    return results
