"""`toolace evaluate`: asks models the benchmark's questions, keeps every answer, and scores them."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from eval.bfcl import bridge
from eval.bfcl.categories import CATEGORIES, category
from eval.bfcl.scoring import check_protocol, score_answers
from eval.results import build_results
from eval.score import render_table
from eval.settings import EvaluateSettings
from toolace.embedded import resolve_model
from toolace.errors import InputError
from toolace.recipe import load_recipe
from toolace.rows import RowLog, read_rows, sha256, write_json, write_rows
from toolace.runs import Run, versions

BENCHMARKS = ("bfcl",)
EXAMPLE = """example: toolace evaluate recipes/smollm2_135m.yaml
         toolace evaluate embedded/SmolLM2-135M-Instruct --benchmarks bfcl --limit 20 --out runs/base"""


def app(argv: Sequence[str]) -> int:
    """The command; returns its exit code."""
    arguments, overrides = _parser().parse_known_args(argv)
    settings, folder, seed = _settings(arguments, overrides)
    _check(settings, arguments.benchmarks)
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
    parser.add_argument("--protocol", help="version of data and formulas (default: v4)")
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
        if overrides:
            raise InputError(f"unexpected argument {overrides[0]!r}", fix="See `toolace evaluate --help`.")
        name = arguments.target.rstrip("/").split("/")[-1]
        settings = EvaluateSettings(models={name: arguments.target})
        folder, seed = arguments.out or Path("runs") / name, 42
    if arguments.limit is not None:
        if arguments.limit < 1:
            raise InputError(f"--limit is {arguments.limit}", fix="Give a number of at least 1.")
        settings = replace(settings, limit=dict.fromkeys(settings.categories, arguments.limit))
    if arguments.protocol:
        settings = replace(settings, protocol=arguments.protocol)
    return settings, folder, seed


def _check(settings: EvaluateSettings, benchmarks: str) -> None:
    for benchmark in benchmarks.split(","):
        if benchmark not in BENCHMARKS:
            fix = f"Use one of {', '.join(BENCHMARKS)}."
            raise InputError(f"unknown benchmark {benchmark!r}", where="--benchmarks", fix=fix)
    check_protocol(settings.protocol)
    for name in [*settings.categories, *settings.limit]:
        category(name, where="evaluate.categories")
    for name, value in (("batch_size", settings.batch_size), ("max_new_tokens", settings.max_new_tokens)):
        if value < 1:
            raise InputError(f"{name} is {value}", where="evaluate", fix="Give a number of at least 1.")


def evaluate(settings: EvaluateSettings, folder: Path, seed: int) -> dict[str, Any]:
    """Asks every model, scores, and writes `eval/results.json` and `eval/verdicts.jsonl` into the run folder.

    Answers that are on disk already, from the same model and settings, are not asked for again.
    """
    run = Run(folder)
    chosen = {name: sample(name, settings.limit.get(name), seed) for name in settings.categories}
    for name, model in settings.models.items():
        facts = generation_facts(settings, model, chosen)
        outputs = [str(CATEGORIES[c].path(Path("eval/result"), name)) for c in settings.categories]
        run.stage(
            f"evaluate/{name}",
            lambda name=name, model=model, facts=facts: ask(settings, folder, name, model, facts, chosen),  # type: ignore[misc]
            settings=facts,
            outputs=outputs,
        )
    return score_run(settings, folder)


def score_run(settings: EvaluateSettings, folder: Path) -> dict[str, Any]:
    """Scores the result files of a run folder."""
    verdicts = []
    for model in settings.models:
        for name in settings.categories:
            path = CATEGORIES[name].path(folder / "eval" / "result", model)
            answers = {row["id"]: row["result"] for _, row in read_rows(path)}
            verdicts += [{"model": model, **verdict} for verdict in score_answers(name, answers)]
    results = build_results(verdicts, settings.protocol)
    write_rows(folder / "eval" / "verdicts.jsonl", verdicts)
    write_json(folder / "eval" / "results.json", results)
    return results


def sample(name: str, limit: int | None, seed: int) -> list[str]:
    """Ids of the questions to ask, in the official order: all of them, or a sample that depends on the seed alone."""
    ids = [row["id"] for row in bridge.load_questions(name)]
    if limit is None or limit >= len(ids):
        return ids
    kept = set(random.Random(f"{seed}/{name}").sample(ids, limit))
    return [id_ for id_ in ids if id_ in kept]


def generation_facts(settings: EvaluateSettings, model: str, chosen: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Everything that decides the answers: two generations with the same facts are the same generation."""
    facts = {key: value for key, value in asdict(settings).items() if key not in ("models", "protocol", "limit")}
    folder = Path(resolve_model(model))
    weights = sorted(path for path in folder.glob("*.safetensors")) if folder.is_dir() else []
    return {
        **facts,
        "model": model,
        "weights": {path.name: sha256(path) for path in weights},
        "asked": {name: len(ids) for name, ids in chosen.items()},
        "ids": sha_of_ids(chosen),
        "packages": versions(("torch", "transformers", "bfcl-eval")),
    }


def sha_of_ids(chosen: Mapping[str, Sequence[str]]) -> str:
    """A short fingerprint of which questions are asked."""
    import hashlib

    return hashlib.sha256(json.dumps({k: list(v) for k, v in chosen.items()}).encode()).hexdigest()[:16]


def ask(
    settings: EvaluateSettings,
    folder: Path,
    name: str,
    model: str,
    facts: Mapping[str, Any],
    chosen: Mapping[str, Sequence[str]],
) -> dict[str, int]:
    """Asks one model all chosen questions, batch by batch, each on disk before the next; resumable after a kill."""
    result = folder / "eval" / "result"
    _start_over_if_changed(result / name.replace("/", "_"), facts)
    paths = {c: CATEGORIES[c].path(result, name) for c in settings.categories}
    logs = {c: RowLog(path) for c, path in paths.items()}
    open_questions = [
        (c, prompt)
        for c, ids in chosen.items()
        for prompt in bridge.load_prompts(c)
        if prompt.id in set(ids) - logs[c].seen
    ]
    asked = sum(map(len, chosen.values()))
    counts = {"asked": asked, "cut_off": 0}
    with tqdm(total=asked, initial=asked - len(open_questions), desc=f"answers of {name}", unit="answer") as bar:
        if open_questions:
            from eval.models import LocalModel

            backend = LocalModel(model, settings.dtype, settings.batch_size)
            for batch in backend.answer([prompt.messages for _, prompt in open_questions], settings.max_new_tokens):
                for c in settings.categories:
                    rows = [_row(open_questions[a.index][1].id, a) for a in batch if open_questions[a.index][0] == c]
                    logs[c].append(rows)
                bar.update(len(batch))
    for c, log in logs.items():
        log.close()
        order = {id_: i for i, id_ in enumerate(chosen[c])}
        rows = sorted((row for _, row in read_rows(paths[c])), key=lambda row: order[row["id"]])
        counts["cut_off"] += sum(row["output_token_count"] >= settings.max_new_tokens for row in rows)
        write_rows(paths[c], rows)
    return counts


def _row(id_: str, answer: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "result": answer.text,
        "input_token_count": answer.input_tokens,
        "output_token_count": answer.output_tokens,
        "latency": answer.seconds,
    }


def _start_over_if_changed(folder: Path, facts: Mapping[str, Any]) -> None:
    """Half-finished answers of another model, sample or setting are removed; of the same one they are kept."""
    note = folder / "generation.json"
    if note.exists() and json.loads(note.read_text(encoding="utf-8")) == json.loads(json.dumps(facts)):
        return
    for old in folder.glob("*/BFCL_*_result.json"):
        old.unlink()
    write_json(note, dict(facts))
