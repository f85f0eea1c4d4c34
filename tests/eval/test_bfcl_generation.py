"""Multi-turn questions are led as the official loop leads them: same prompts, same steps, same results, same rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, redirect_stdout
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from bfcl_answers import DATA, TURN_CORRUPTIONS

from eval.asking import Answer, Ask, Dialog, lead_in_rounds
from eval.bfcl.data import Data
from eval.bfcl.generation import MOST_STEPS, Apis, make_dialog

CALLS = {"prompt_tokens": 7, "completion_tokens": 3}


@pytest.fixture(scope="module")
def apis() -> Iterator[Apis]:
    with closing(Apis()) as made:
        yield made


def script(name: str, id_: str) -> list[str]:
    """What a model says, step by step: gold's calls, spoilt in turn, each turn ended by a sentence."""
    import random

    said: list[str] = []
    for number, calls in enumerate(DATA.gold(name)[id_]):
        spoilt = TURN_CORRUPTIONS[(number + len(id_)) % 9](calls, random.Random(1)) if calls else []
        said += [text for text in spoilt if text.startswith("[")] + ["That is all."]
    return said


class Scripted:
    """Says the next line of its script, and keeps the conversations that it was asked."""

    def __init__(self, lines: list[str]) -> None:
        self.lines, self.seen = list(lines), list[list[dict[str, Any]]]()

    def say(self, messages: Any) -> str:
        self.seen.append(json.loads(json.dumps(list(messages))))
        return self.lines.pop(0) if self.lines else "I have nothing more to say."


def lead(dialog: Dialog[Any], model: Scripted) -> Any:
    ask = next(dialog)
    try:
        while True:
            ask = dialog.send(Answer(0, model.say(ask.messages), 7, 3, 0.5, True))
    except StopIteration as stop:
        return stop.value


def official_loop(name: str, id_: str, model: Scripted) -> tuple[Any, dict[str, Any]]:
    """The loop of the installed package, with its handler for models that are asked with the tool role."""
    from bfcl_eval.model_handler.local_inference.base_oss_handler import OSSHandler
    from bfcl_eval.utils import load_dataset_entry

    def say(inference_data: Any) -> Any:
        text = model.say(inference_data["message"])
        return SimpleNamespace(choices=[SimpleNamespace(text=text)], usage=SimpleNamespace(**CALLS)), 0.5

    handler = OSSHandler.__new__(OSSHandler)  # without its constructor, which looks for a server
    vars(handler).update(_query_prompting=say, registry_name="scripted", is_fc_model=False)
    handler.model_name_underline_replaced = f"scripted_{id_}_{name}"
    entry = next(row for row in load_dataset_entry(name) if row["id"] == id_)
    with redirect_stdout(StringIO()):
        done: tuple[Any, dict[str, Any]] = handler.inference(entry, include_input_log=False, exclude_state_log=True)
    return done


@pytest.mark.parametrize("name", ["multi_turn_base", "multi_turn_miss_func", "multi_turn_long_context"])
def test_the_loop_is_the_official_one(name: str, apis: Apis) -> None:
    for prompt in DATA.prompts(name)[:200:25]:
        mine, theirs = (Scripted(script(name, prompt.id)) for _ in range(2))
        row = lead(make_dialog(DATA, name, prompt, False, "tool", apis), mine)
        result, costs = official_loop(name, prompt.id, theirs)
        assert mine.seen == theirs.seen, prompt.id
        assert row["result"] == result
        for key in ("input_token_count", "output_token_count", "latency"):
            assert row[key] == costs[key]


def test_a_model_that_never_stops_calling_is_stopped_as_upstream(apis: Apis) -> None:
    prompt = DATA.prompts("multi_turn_base")[0]
    mine, theirs = (Scripted(["[pwd()]"] * 99) for _ in range(2))
    row = lead(make_dialog(DATA, "multi_turn_base", prompt, False, "tool", apis), mine)
    assert row["result"] == official_loop("multi_turn_base", prompt.id, theirs)[0]
    assert len(row["result"]) == 1 and len(row["result"][0]) == MOST_STEPS + 1


def test_native_calls_are_told_their_results_by_id(apis: Apis) -> None:
    name = "multi_turn_miss_func"
    prompt = DATA.prompts(name, native=True)[0]
    dialog = make_dialog(DATA, name, prompt, True, "tool", apis)
    ask = next(dialog)
    assert ask.messages[0]["role"] == "user" and ask.tools
    offered = [{tool["function"]["name"] for tool in ask.tools}]
    calls = [{"id": "a", "name": "pwd", "arguments": "{}"}, {"id": "b", "name": "ls", "arguments": '{"a": true}'}]
    ask = dialog.send(Answer(0, "", 1, 1, 0.1, True, calls))
    said, first, second = ask.messages[-3:]
    assert [call["id"] for call in said["tool_calls"]] == ["a", "b"]
    assert (first["tool_call_id"], second["tool_call_id"]) == ("a", "b") and "workspace" in first["content"]
    try:
        while True:
            ask = dialog.send(Answer(0, "Done.", 1, 1, 0.1, True))
            assert ask.tools
            offered.append({tool["function"]["name"] for tool in ask.tools})
    except StopIteration as stop:
        row = stop.value
    assert row["result"][0] == [[{"pwd": "{}"}, {"ls": '{"a": true}'}], "Done."]
    assert "sort" not in offered[0] and "sort" in offered[-1], "the function that was held back is added"


def test_single_answers_are_rows_of_the_official_layout(apis: Apis) -> None:
    prompt = DATA.prompts("simple_python")[0]
    assert lead(make_dialog(DATA, "simple_python", prompt, False, "tool", apis), Scripted(["[f(a=1)]"])) == {
        "id": "simple_python_0", "result": "[f(a=1)]", "input_token_count": 7, "output_token_count": 3, "latency": 0.5
    }  # fmt: skip


def test_dialogs_are_led_in_full_rounds_and_come_back_when_they_end() -> None:
    rounds: list[int] = []

    def answer(asks: Any) -> Iterator[list[Answer]]:
        rounds.append(len(asks))
        yield [Answer(i, "x", 0, 0, 0.0, True) for i in range(len(asks))]

    def dialog(turns: int) -> Dialog[int]:
        for _ in range(turns):
            yield Ask([])
        return turns

    ended = list(lead_in_rounds(answer, map(dialog, [1, 3, 2, 1, 1]), at_once=2))
    assert sorted(turns for some in ended for turns in some) == [1, 1, 1, 2, 3]
    assert max(rounds) == 2 and sum(rounds) == 8 and rounds == [2, 2, 2, 2]


def test_prompts_of_other_kinds_of_questions_hold_their_functions() -> None:
    for name in ("exec_parallel_multiple", "rest", "simple_java"):
        for prompt in Data().prompts(name):
            assert json.dumps(prompt.functions, indent=4) in prompt.messages[0]["content"]
    assert [prompt.id for prompt in Data().prompts("memory_kv")] == []
