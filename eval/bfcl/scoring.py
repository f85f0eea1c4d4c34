"""Scores result files in the official layout: one verdict for every answer, by the official decoders and checkers."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eval.bfcl.categories import AGENTIC, GROUPS, MULTI_TURN, Category
from eval.bfcl.data import Data
from eval.bfcl.judging import Item, judge
from eval.bfcl.protocols import PROTOCOLS, Protocol
from eval.bfcl.worker import Worker
from toolace.errors import InputError
from toolace.rows import Row, read_rows

# What official result folders hold beside answers: conversations that fill a memory before it is asked about.
PREREQUISITE = "_prereq"
# How a model was asked: functions in the system prompt and calls as text, or functions as tools and native calls.
Mode = Literal["auto", "prompting", "native"]


@dataclass(frozen=True)
class ResultFile:
    """One model's answers in one category."""

    model: str
    category: Category
    path: Path


def score_results(
    results_dir: Path,
    data: Data | None = None,
    partial: bool = False,
    only: Collection[tuple[str, str]] | None = None,
    mode: Mode = "auto",
) -> list[Row]:
    """Scores every result file below a folder.

    Args:
        results_dir: the folder `result`, its parent, or one model's folder.
        data: questions and gold of the protocol; v4 without it.
        partial: score the answers that are there; otherwise every question of a category needs one.
        only: pairs of a model's folder name and a category; other files are left alone.
        mode: how the models were asked. A text that holds calls is an answer in prompting mode and, as for the official
            handlers of native calls, mere talk in native mode. `auto` finds out for each model: see `is_native`.

    Returns:
        Verdicts `{"model", "category", "id", "valid", "error_type", "error"}` by model, category and official order,
        with what `judging` adds for the kind of answer.

    Raises:
        InputError: nothing to score, missing, unknown or repeated ids, broken lines, unknown category, or native calls
            in prompting mode.
    """
    data = data or Data()
    files = [
        file
        for file in find_results(results_dir, data.protocol)
        if only is None or (file.model, file.category.name) in only
    ]
    answers = {
        file: read_answers(file, [q["id"] for q in data.questions(file.category.name)], partial) for file in files
    }
    native = {model: is_native(model, answers, mode) for model in dict.fromkeys(file.model for file in files)}
    verdicts: list[Row] = []
    with closing(Worker()) as worker:
        for file in files:
            scored = score_answers(file.category.name, answers[file], data, native[file.model], worker)
            verdicts += ({"model": file.model, **verdict} for verdict in scored)
    return verdicts


def find_results(results_dir: Path, protocol: Protocol) -> list[ResultFile]:
    """Finds the result files of a protocol, by model name and then in the benchmark's order of categories.

    The model is named by the folder that holds the group folders (`non_live`, `live`, ...), or the files themselves.

    Raises:
        InputError: no folder, no result file, an unknown category, files of another protocol, or two files for the same
            model and category.
    """
    results_dir = Path(results_dir).resolve()
    if not results_dir.is_dir():
        raise InputError("is not a folder", where=results_dir, fix="Give the folder that holds the result files.")
    version = next(iter(protocol.categories.values())).version
    found: dict[tuple[str, str], ResultFile] = {}
    for path in sorted(results_dir.rglob("*_result.json")):
        name = path.name.removesuffix("_result.json")
        if not name.startswith(f"{version}_"):
            _refuse_other_version(path, protocol)
            continue
        name = name.removeprefix(f"{version}_")
        if name.endswith(PREREQUISITE):
            continue
        kind = Data(protocol).category(name, where=path)
        file = ResultFile(_model_folder(path, kind).name, kind, path)
        other = found.setdefault((file.model, kind.name), file)
        if other is not file:
            fix = f"Rename one of the model folders, or remove {other.path}."
            raise InputError(f"a second {kind.name} file of model {file.model}", where=path, fix=fix)
    if not found:
        fix = f"It should hold <model>/<group>/{version}_<category>_result.json files."
        raise InputError(f"holds no result files of protocol {protocol.name}", where=results_dir, fix=fix)
    order = list(protocol.categories)
    return sorted(found.values(), key=lambda file: (file.model, order.index(file.category.name)))


def _model_folder(path: Path, kind: Category) -> Path:
    """The folder above the category's official folders, also when the user gave one of these."""
    folder = path.parent
    for part in reversed(Path(kind.subfolder).parts):
        folder = folder.parent if folder.name == part else folder
    return folder.parent if folder.name in GROUPS else folder


def _refuse_other_version(path: Path, protocol: Protocol) -> None:
    for other in PROTOCOLS.values():
        version = next(iter(other.categories.values())).version
        if path.name.startswith(f"{version}_"):
            what = f"is a result file of protocol {other.name}, not of {protocol.name}"
            raise InputError(what, where=path, fix=f"Score it with --protocol {other.name}.")
    if path.name.startswith("BFCL_"):
        fix = f"Known are {', '.join(PROTOCOLS)}."
        raise InputError("is a result file of another benchmark version", where=path, fix=fix)


def read_answers(file: ResultFile, ids: Iterable[str], partial: bool) -> dict[str, Any]:
    """Reads a result file: id to what the model answered.

    Raises:
        InputError: with file and line for a broken, unknown or repeated row; with the file for missing ids.
    """
    wanted = list(ids)
    known, lines, answers = set(wanted), dict[str, int](), dict[str, Any]()
    for number, row in read_rows(file.path):
        where, id_ = f"{file.path}:{number}", row.get("id")
        if isinstance(id_, str) and PREREQUISITE in id_:
            continue
        if not isinstance(id_, str) or id_ not in known:
            raise InputError(f"unknown id {id_!r} in {file.category.name}", where=where, fix="Remove the row.")
        if id_ in lines:
            raise InputError(f"id {id_} was answered on line {lines[id_]} already", where=where, fix="Remove one.")
        if "result" not in row or not (row["result"] is None or isinstance(row["result"], str | list)):
            what = f"result of {id_} is a {type(row.get('result')).__name__}, not text or a list"
            raise InputError(what, where=where, fix="Write what the model answered.")
        lines[id_], answers[id_] = number, row["result"]
    missing = [id_ for id_ in wanted if id_ not in answers]
    if not answers:
        raise InputError("holds no answers", where=file.path, fix="Generate answers first.")
    if missing and not partial:
        what = f"{len(missing)} of {len(wanted)} answers are missing (first: {', '.join(missing[:3])})"
        raise InputError(what, where=file.path, fix="Generate them, or score what is there with --partial.")
    return {id_: answers[id_] for id_ in wanted if id_ in answers}


def is_native(model: str, answers: Mapping[ResultFile, Mapping[str, Any]], mode: Mode) -> bool:
    """Whether a model was given tools, and answered with native calls where it called.

    Args:
        model: its name.
        answers: of all models, by file.
        mode: what the user says. `auto`: what `generation.json` beside the files says, if there is one; otherwise a
            model with one native call in any file is native, for in prompting mode every answer, or every step, is
            text. Native models answer with text as well, where they do not call.

    Raises:
        InputError: native calls in prompting mode, named by file and id.
    """
    own = {file: results for file, results in answers.items() if file.model == model}
    if mode == "auto":
        mode = next((noted for noted in map(_noted_mode, own) if noted), mode)
    if mode == "native":
        return True
    for file, results in own.items():
        for id_, result in results.items():
            if holds_native_call(result, file.category):
                if mode == "auto":
                    return True
                what = f"{id_} holds native calls, which there are none of in prompting mode"
                raise InputError(what, where=file.path, fix="Score with --mode native, or leave --mode out.")
    return False


def _noted_mode(file: ResultFile) -> Mode | None:
    """The mode that `toolace evaluate` noted when it asked the model; None for files from elsewhere."""
    try:
        note = json.loads((_model_folder(file.path, file.category) / "generation.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    mode = note.get("mode") if isinstance(note, dict) else None
    return mode if mode in ("prompting", "native") else None


def holds_native_call(result: Any, kind: Category) -> bool:
    """Whether an answer, or a step of it, is a list with an object in it: native calls."""
    turns = result if kind.kind in (MULTI_TURN, AGENTIC) and isinstance(result, list) else [[result]]
    steps = [step for turn in turns if isinstance(turn, list) for step in turn if isinstance(step, list)]
    return any(isinstance(call, Mapping) for step in steps for call in step)


def score_answers(
    name: str, answers: Mapping[str, Any], data: Data, native: bool = False, worker: Worker | None = None
) -> list[Row]:
    """Verdicts `{"category", "id", "valid", "error_type", "error", ...}` for answers by id, in the official order."""
    if worker is None:
        with closing(Worker()) as own:
            return score_answers(name, answers, data, native, own)
    gold = data.gold(name)
    items = [
        Item(data.protocol.name, name, question, gold.get(question["id"]), answers[question["id"]], native)
        for question in data.questions(name)
        if question["id"] in answers
    ]
    verdicts = []
    for item, verdict in zip(items, _judge_all(items, worker), strict=True):
        row = {"category": name, "id": item.question["id"], **verdict}
        if row["id"] in data.protocol.unpassable:
            row["unpassable"] = True
        verdicts.append(row)
    return verdicts


def _judge_all(items: Sequence[Item], worker: Worker) -> Iterable[Row]:
    in_child = worker.judge_all([item for item in items if item.needs_child()])
    for item in items:
        yield next(in_child) if item.needs_child() else judge(item)
