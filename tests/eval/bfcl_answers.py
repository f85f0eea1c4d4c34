"""Model answers made from BFCL's gold, for the tests here: right ones, wrong ones, and result files of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eval.bfcl import bridge
from eval.bfcl.categories import DEFAULT_CATEGORIES, category

ABSTENTION = "None of the functions can be used for this."


def right_answer(answer: list[dict[str, Any]], functions: list[dict[str, Any]]) -> str:
    """Renders gold as a model should write it: the first accepted value of every parameter that must be given."""
    required = {function["name"]: function["parameters"].get("required", ()) for function in functions}
    calls = []
    for call in answer:
        (name, arguments), *_ = call.items()
        given = {
            key: _first(options) for key, options in arguments.items() if "" not in options or key in required[name]
        }
        calls.append(f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})")
    return f"[{', '.join(calls)}]"


def _first(options: list[Any]) -> Any:
    value = next((option for option in options if option != ""), "")
    if isinstance(value, dict):
        return {
            key: _first(inner) if isinstance(inner, list) else inner for key, inner in value.items() if inner != [""]
        }
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_first([item]) for item in value]
    return value


def right_answers(name: str) -> dict[str, str]:
    """The right answer to every question of a category, by id."""
    gold, answers = bridge.gold(name), {}
    for question in bridge.load_questions(name):
        id_, functions = question["id"], question["function"]
        if gold:
            answers[id_] = right_answer(gold[id_], functions)
        else:
            answers[id_] = ABSTENTION if category(name).kind == "irrelevance" else any_call(functions)
    return answers


def any_call(functions: list[dict[str, Any]]) -> str:
    """A well-formed call of an offered function."""
    return f"[{functions[0]['name'] if functions else 'anything'}(topic='x', count=3)]"


CORRUPTIONS: list[Callable[[str], str]] = [
    lambda text: text.replace("(", "_x(", 1),
    lambda text: text[:-1] + ", extra(a=1)]",
    lambda text: text[: len(text) // 2],
    lambda text: "Sure! " + text,
    lambda text: text.replace("=", "=[", 1).replace(")", "])", 1),
    lambda text: f"```{text}```",
    lambda text: text.replace("=", "=not_a_value+", 1),
    lambda text: text.replace("=", "=2*", 1),
    lambda text: text.replace(")", ", unexpected=True)", 1),
    lambda text: "I cannot answer that.",
    lambda text: "[]",
    lambda text: text.replace("=", "=-", 1),
    lambda text: text.replace("'", "", 2),
    lambda text: "[anything(a=1)]",
    lambda text: "",
]


def corrupted_answers(name: str, seed: int, share: float = 0.5) -> dict[str, str]:
    """Right answers of which about `share` are spoilt, in ways that models do."""
    choose = random.Random(f"{seed}/{name}")
    calls = {question["id"]: any_call(question["function"]) for question in bridge.load_questions(name)}
    answers = right_answers(name)
    for id_ in answers:
        if choose.random() < share:
            text = calls[id_] if category(name).kind == "irrelevance" else answers[id_]
            answers[id_] = choose.choice(CORRUPTIONS)(text)
    return answers


def write_results(result_dir: Path, model: str, name: str, answers: dict[str, str]) -> Path:
    """Writes a result file in the official layout."""
    path = category(name).path(result_dir, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"id": id_, "result": text}) + "\n" for id_, text in answers.items())
    path.write_text("".join(lines), encoding="utf-8")
    return path


def write_gold(result_dir: Path, model: str, names: tuple[str, ...] = DEFAULT_CATEGORIES) -> None:
    """Writes result files in which every answer is right."""
    for name in names:
        write_results(result_dir, model, name, right_answers(name))
