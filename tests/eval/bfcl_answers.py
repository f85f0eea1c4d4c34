"""Model answers made from BFCL's gold, for the tests here: right ones, wrong ones, and result files of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.bfcl.aggregation import groups
from eval.bfcl.categories import DEFAULT_CATEGORIES, category
from eval.bfcl.data import Data
from eval.bfcl.protocols import V4

DATA = Data()
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
    """The right answer to every question of a single-turn category, by id."""
    gold, answers = DATA.gold(name), {}
    for question in DATA.questions(name):
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
    calls = {question["id"]: any_call(question["function"]) for question in DATA.questions(name)}
    answers = right_answers(name)
    for id_ in answers:
        if choose.random() < share:
            text = calls[id_] if category(name).kind == "irrelevance" else answers[id_]
            answers[id_] = choose.choice(CORRUPTIONS)(text)
    return answers


TURN_CORRUPTIONS: list[Callable[[list[str], random.Random], list[str]]] = [
    lambda calls, choose: [_text(calls)],
    lambda calls, choose: [*(_text([call]) for call in calls), "Done."],
    lambda calls, choose: [_text(calls[:-1]), "Done."],
    lambda calls, choose: [_text([*calls, *calls])],
    lambda calls, choose: [_text(calls[::-1])],
    lambda calls, choose: [_text([*calls, "no_such_function(a=1)"])],
    lambda calls, choose: [_text(["pwd()", *calls]), "[]"],
    lambda calls, choose: [_text(calls).replace("'", "'x", 1)],
    lambda calls, choose: [_text(calls).replace("=", "=-", 1)],
    lambda calls, choose: [_text(calls)[:-3]],
    lambda calls, choose: [f"Sure! {_text(calls)}"],
    lambda calls, choose: ["I cannot do that."],
    lambda calls, choose: ["", "[]"],
    lambda calls, choose: [],
    lambda calls, choose: [_text([*calls, "cd(folder=pwd())"])],
    lambda calls, choose: [f"```{_text(calls)}```"],
    lambda calls, choose: [_text([*calls, "ls(a={'b': {'c': 1}})"])],
]


def _text(calls: list[str]) -> str:
    return f"[{', '.join(calls)}]"


def right_turns(name: str) -> dict[str, list[list[str]]]:
    """Gold of a multi-turn category, a step a turn, and a sentence where nothing is to be called."""
    return {
        id_: [[_text(turn)] if turn else ["Please tell me more."] for turn in gold]
        for id_, gold in DATA.gold(name).items()
    }


def corrupted_turns(name: str, seed: int, share: float = 0.3) -> dict[str, object]:
    """Multi-turn answers in which about `share` of the turns are spoilt, and a few answers as a whole."""
    choose = random.Random(f"{seed}/{name}")
    answers: dict[str, object] = {}
    for id_, gold in DATA.gold(name).items():
        turns = []
        for calls in gold:
            spoil = (
                choose.choice(TURN_CORRUPTIONS) if choose.random() < share else TURN_CORRUPTIONS[choose.randrange(2)]
            )
            turns.append(spoil(calls, choose) if calls else choose.choice([["What do you mean?"], [], ["[pwd()]"]]))
        broken = choose.random()
        answers[id_] = "Error during inference: timeout" if broken < 0.01 else turns[:-1] if broken < 0.03 else turns
    return answers


def corrupted_messages(name: str, seed: int) -> dict[str, object]:
    """Agentic answers: calls, then a last message that holds the answer, another one, or none."""
    choose = random.Random(f"{seed}/{name}")
    answers: dict[str, object] = {}
    for id_, accepted in DATA.gold(name).items():
        right = f"{{'answer': '{choose.choice(accepted)}', 'context': 'I looked it up.'}}"
        last = choose.choice([right, right.upper(), "I do not know", "", "[]", "[core_memory_retrieve(key='a')]"])
        steps = ["[core_memory_list_keys()]"] * choose.randrange(3) + [last]
        answers[id_] = choose.choice([[steps], [steps], [steps], [steps, []], "Error during inference: timeout"])
    return answers


def write_corrupted(result_dir: Path, model: str, seed: int, names: Sequence[str] = tuple(groups(V4)["all"])) -> int:
    """Writes spoilt answers to every question of some categories, by default without agentic; returns their number."""
    written = 0
    by_kind = {"multi_turn": corrupted_turns, "agentic": corrupted_messages}
    for name in names:
        spoilt = by_kind.get(category(name).kind, corrupted_answers)
        answers = spoilt(name, seed)
        write_results(result_dir, model, name, answers)
        written += len(answers)
    return written


def write_results(result_dir: Path, model: str, name: str, answers: Mapping[str, object]) -> Path:
    """Writes a result file in the official layout."""
    path = category(name).path(result_dir, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"id": id_, "result": result}) + "\n" for id_, result in answers.items())
    path.write_text("".join(lines), encoding="utf-8")
    return path


def write_gold(result_dir: Path, model: str, names: tuple[str, ...] = DEFAULT_CATEGORIES) -> None:
    """Writes result files in which every answer is right."""
    for name in names:
        write_results(result_dir, model, name, right_answers(name))
