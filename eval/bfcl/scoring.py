"""Scores result files in the official layout: one verdict for every answer, by the official decoder and checker."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.bfcl import bridge
from eval.bfcl.categories import CATEGORIES, GROUPS, VERSION, Category, category
from eval.bfcl.worker import Worker
from toolace.errors import InputError
from toolace.rows import Row, read_rows

PROTOCOLS = ("v4", "v3-2024", "v1-2024")
MAX_ERROR = 1_000  # characters kept of each message: an error may quote the whole of a model's text


@dataclass(frozen=True)
class ResultFile:
    """One model's answers in one category."""

    model: str
    category: Category
    path: Path


def score_results(results_dir: Path, protocol: str = "v4", partial: bool = False) -> list[Row]:
    """Scores every result file below a folder.

    Args:
        results_dir: the folder `result`, its parent, or one model's folder.
        protocol: `v4`, the rules of the installed official package.
        partial: score the answers that are there; otherwise every question of a category needs one.

    Returns:
        Verdicts `{"model", "category", "id", "valid", "error_type", "error"}` by model, category and official order;
        `error_type` and `error` (a list of sentences) are None when valid. Irrelevance verdicts also have `strict`.

    Raises:
        InputError: nothing to score, missing, unknown or repeated ids, broken lines, unknown category.
    """
    check_protocol(protocol)
    verdicts: list[Row] = []
    for file in find_results(results_dir):
        questions = bridge.load_questions(file.category.name)
        answers = read_answers(file, [question["id"] for question in questions], partial)
        verdicts += ({"model": file.model, **verdict} for verdict in score_answers(file.category.name, answers))
    return verdicts


def check_protocol(protocol: str) -> None:
    """Raises InputError unless this version scores by the protocol."""
    if protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol {protocol!r}", where="--protocol", fix=f"Use {', '.join(PROTOCOLS)}.")
    if protocol != "v4":
        raise InputError(f"protocol {protocol} is not scored by this version", where="--protocol", fix="Use v4.")


def find_results(results_dir: Path) -> list[ResultFile]:
    """Finds the result files, by model name and then in the benchmark's order of categories.

    The model is named by the folder that holds the group folders (`non_live`, `live`), or the files themselves.

    Raises:
        InputError: no folder, no result file, an unknown category, or two files for the same model and category.
    """
    results_dir = Path(results_dir).resolve()
    if not results_dir.is_dir():
        raise InputError("is not a folder", where=results_dir, fix="Give the folder that holds the result files.")
    found: dict[tuple[str, str], ResultFile] = {}
    for path in sorted(results_dir.rglob("BFCL_v*_result.json")):
        name = path.name.removesuffix("_result.json")
        if not name.startswith(f"{VERSION}_"):
            fix = f"This version reads {VERSION} files."
            raise InputError("is a result file of another benchmark version", where=path, fix=fix)
        kind = category(name.removeprefix(f"{VERSION}_"), where=path)
        folder = path.parent.parent if path.parent.name in GROUPS else path.parent
        file = ResultFile(folder.name, kind, path)
        other = found.setdefault((file.model, kind.name), file)
        if other is not file:
            fix = f"Rename one of the model folders, or remove {other.path}."
            raise InputError(f"a second {kind.name} file of model {file.model}", where=path, fix=fix)
    if not found:
        fix = f"It should hold <model>/<group>/{VERSION}_<category>_result.json files."
        raise InputError("holds no result files", where=results_dir, fix=fix)
    order = list(CATEGORIES)
    return sorted(found.values(), key=lambda file: (file.model, order.index(file.category.name)))


def read_answers(file: ResultFile, ids: Iterable[str], partial: bool) -> dict[str, str]:
    """Reads a result file: id to the model's text.

    Raises:
        InputError: with file and line for a broken, unknown or repeated row; with the file for missing ids.
    """
    wanted = list(ids)
    known, lines, answers = set(wanted), dict[str, int](), dict[str, str]()
    for number, row in read_rows(file.path):
        where, id_, text = f"{file.path}:{number}", row.get("id"), row.get("result")
        if not isinstance(id_, str) or id_ not in known:
            raise InputError(f"unknown id {id_!r} in {file.category.name}", where=where, fix="Remove the row.")
        if id_ in lines:
            raise InputError(f"id {id_} was answered on line {lines[id_]} already", where=where, fix="Remove one.")
        if not isinstance(text, str):
            what = f"result of {id_} is a {type(text).__name__}, not text"
            raise InputError(what, where=where, fix="Generate in prompting mode, where an answer is text.")
        lines[id_], answers[id_] = number, text
    missing = [id_ for id_ in wanted if id_ not in answers]
    if not answers:
        raise InputError("holds no answers", where=file.path, fix="Generate answers first.")
    if missing and not partial:
        what = f"{len(missing)} of {len(wanted)} answers are missing (first: {', '.join(missing[:3])})"
        raise InputError(what, where=file.path, fix="Generate them, or score what is there with --partial.")
    return {id_: answers[id_] for id_ in wanted if id_ in answers}


def score_answers(name: str, answers: Mapping[str, str]) -> list[Row]:
    """Verdicts `{"category", "id", "valid", "error_type", "error"}` for answers by id, in the official order."""
    kind, gold = category(name), bridge.gold(name)
    verdicts = []
    with closing(Worker()) as worker:
        for question in bridge.load_questions(name):
            id_ = question["id"]
            if id_ not in answers:
                continue
            if kind.kind != "ast":
                verdict = judge_relevance(kind, question["function"], answers[id_])
            elif kind.language == "python":
                verdict = judge_calls(name, question["function"], answers[id_], gold[id_])
            else:
                verdict = worker.judge(name, question["function"], answers[id_], gold[id_])
            verdicts.append({"category": name, "id": id_, **verdict})
    return verdicts


def judge_calls(name: str, functions: list[dict[str, Any]], text: str, answer: list[Any]) -> Row:
    """Upstream's rule where a call is wanted: the text decodes, has the form of calls, and agrees with gold."""
    try:
        decoded = bridge.decode_ast(text, category(name).language)
    except bridge.Undecodable as error:
        return _invalid(error.error_type, [str(error)])
    if not bridge.is_call_list(decoded):
        return _invalid("ast_decoder:decoder_wrong_output_format", ["Did not output in the specified format."])
    result = bridge.check_ast(functions, decoded, answer, name)
    return _valid() if result["valid"] else _invalid(result["error_type"], result["error"])


def judge_relevance(kind: Category, functions: list[dict[str, Any]], text: str) -> Row:
    """Upstream's rule where no call (irrelevance) or any call (relevance) is wanted: does the text decode to calls?

    A text that does not decode is an abstention for upstream, however much it looks like a call. `strict`, on
    irrelevance verdicts, says whether it is valid when an attempt to call is no abstention either.
    """
    evidence, error_type = "", ""
    try:
        has_call = not bridge.is_empty(bridge.decode_ast(text))
    except bridge.Undecodable as error:
        has_call, evidence, error_type = error.is_call, str(error), error.error_type
    if kind.kind == "relevance":
        if has_call:
            return _valid()
        return _invalid(error_type if error_type.startswith("guard") else "relevance_error:decoder_failed", [evidence])
    if has_call:
        known = error_type or "irrelevance_error:decoder_success"
        return {**_invalid(known, [evidence or "A call was decoded where none was wanted."]), "strict": False}
    return {**_valid(), "strict": not attempts_call(text, functions)}


def attempts_call(text: str, functions: Iterable[Mapping[str, Any]]) -> bool:
    """Says whether an answer tries to call, decodable or not.

    It does when calls can be read in it, when an offered function's name is followed by an opening bracket and an
    argument (so `name()` in a sentence is a mention), or when it is given as `"name": "..."` in JSON.
    """
    for function in functions:
        name = re.escape(str(function.get("name", "")))
        if re.search(rf"(?<![\w.]){name}\s*\(\s*[^\s)]", text):
            return True
        if re.search(rf"""["'](?:name|function)["']\s*:\s*["']{name}["']""", text):
            return True
    from toolace.calls import parse_calls

    parsed = parse_calls(text)
    return bool(parsed.calls) and bool(parsed.bracketed)


def _valid() -> Row:
    return {"valid": True, "error_type": None, "error": None}


def _invalid(error_type: str, error: Iterable[Any]) -> Row:
    sentences = [line[:MAX_ERROR] for item in error for line in _sentences(item)]
    return {"valid": False, "error_type": error_type, "error": sentences}


def _sentences(item: Any) -> list[str]:
    """The parallel checker nests `{"Model Result Index 0": {"sub_error": [...], ...}}` in its list of messages."""
    if not isinstance(item, Mapping):
        return [str(item)]
    return [f"{key}: {' '.join(map(str, value.get('sub_error', [])))}" for key, value in item.items()]
