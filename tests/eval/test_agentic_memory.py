"""Memory categories are asked as the official loop asks them: told first, then questioned, by the same prompts."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import closing, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bfcl_answers import DATA

from eval.asking import Answer, Ask, Dialog, lead_in_rounds
from eval.bfcl import bridge
from eval.bfcl.categories import category
from eval.bfcl.generation import Apis
from eval.bfcl.memory import OFFLINE, Memories, told_path
from eval.bfcl.scoring import score_results
from eval.evaluate import evaluate
from eval.settings import EvaluateSettings
from toolace.rows import read_rows

SCENARIO = "finance"


@pytest.fixture(scope="module")
def apis() -> Iterator[Apis]:
    with closing(Apis()) as made:
        yield made


class Writer:
    """A model that writes down the beginning of all it is told, looks things up, and then answers."""

    def __init__(self, native: bool = False) -> None:
        self.native, self.seen = native, list[list[dict[str, Any]]]()

    def say(self, messages: Any) -> str:
        self.seen.append(json.loads(json.dumps(list(messages))))
        system, last = messages[0]["content"], messages[-1]
        if last["role"] != "user":
            return "Noted." if len(messages) % 3 else "[core_memory_clear(], noted"
        word = re.sub("[^a-z]", "", last["content"].lower())[:20]
        if "rec_sum" in system or "memory_append" in str(messages) or "memory_append" in self.offered:
            return f"[memory_append(text='{word}')]"
        key = f"core_memory_add(key='{word[:8]}', value='{word}')"
        return f"[{key}, archival_memory_retrieve(query='{word}', k=2)]" if len(messages) % 2 else f"[{key}]"

    offered = ""

    def answer(self, asks: Iterable[Ask]) -> Iterator[list[Answer]]:
        for i, ask in enumerate(asks):
            self.offered = str(ask.tools or "")
            text = self.say(ask.messages)
            yield [Answer(i, text, 7, 3, 0.5, True)]

    def lead(self, dialogs: Iterable[Dialog[Any]], max_new_tokens: int, at_once: int | None = None) -> Any:
        return lead_in_rounds(self.answer, dialogs, at_once)


def official(name: str, ids: list[str], folder: Path) -> tuple[dict[str, Any], list[Any]]:
    """Results of the installed package's loop by id, with its files between conversations, and what was asked."""
    from bfcl_eval.model_handler.local_inference.base_oss_handler import OSSHandler
    from bfcl_eval.utils import load_dataset_entry, populate_initial_settings_for_memory_test_cases

    model = Writer()

    def say(inference_data: Any) -> Any:
        usage = SimpleNamespace(prompt_tokens=7, completion_tokens=3)
        return SimpleNamespace(choices=[SimpleNamespace(text=model.say(inference_data["message"]))], usage=usage), 0.5

    handler = OSSHandler.__new__(OSSHandler)  # without its constructor, which looks for a server
    vars(handler).update(_query_prompting=say, registry_name="scripted", is_fc_model=False)
    handler.model_name_underline_replaced = f"scripted_{name}_{folder.name}"
    rows = [row for row in load_dataset_entry(name) if row["scenario"] == SCENARIO]
    rows = [row for row in rows if "_prereq" in row["id"] or row["id"] in ids]
    results = {}
    for row in populate_initial_settings_for_memory_test_cases(copy.deepcopy(rows), folder):
        with redirect_stdout(StringIO()):
            results[row["id"]] = handler.inference(row, include_input_log=False, exclude_state_log=True)[0]
    return results, model.seen


@pytest.fixture
def official_memories() -> Iterator[None]:
    """The official memories with their own files: ours start them empty."""
    bridge.simulated_apis()  # decides where the package makes its folders
    from bfcl_eval.eval_checker.multi_turn_eval.func_source_code.memory_api_metaclass import MemoryAPI

    before = MemoryAPI._prepare_snapshot
    yield
    assert MemoryAPI._prepare_snapshot is before, "only the child process changes it"


def ids_of(name: str) -> list[str]:
    return [row["id"] for row in DATA.questions(name) if row["scenario"] == SCENARIO]


def memories(model: Writer, apis: Apis, native: bool = False) -> Memories:
    return Memories(DATA, native, "tool", model, apis, 64, 8)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", OFFLINE)
def test_conversations_and_questions_are_those_of_the_official_loop(
    name: str, tmp_path: Path, apis: Apis, official_memories: None
) -> None:
    ids = ids_of(name)[:3]
    model = Writer()
    rows = [row for batch in memories(model, apis).ask(name, ids, tmp_path / "told.jsonl") for row in batch]
    results, seen = official(name, ids, tmp_path / "official")
    told = {row["id"]: row["result"] for _, row in read_rows(tmp_path / "told.jsonl")}
    assert {**told, **{row["id"]: row["result"] for row in rows}} == results
    assert len(told) == 7 and [row["id"] for row in rows] == ids
    # Questions are asked in rounds here and one by one there: the same messages, in another order.
    assert sorted(map(json.dumps, model.seen)) == sorted(map(json.dumps, seen))
    final = [messages for messages in seen if "at this point" not in messages[0]["content"]]
    assert len(final) > len(ids), "what was written down stands in later prompts"


@pytest.mark.timeout(60)
def test_a_conversation_that_is_over_is_not_led_again(tmp_path: Path, apis: Apis) -> None:
    name, path = "memory_kv", tmp_path / "told.jsonl"
    ids = ids_of(name)[:1]
    whole = [row for batch in memories(Writer(), apis).ask(name, ids, path) for row in batch]
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:4]), encoding="utf-8")
    model = Writer()
    again = [row for batch in memories(model, apis).ask(name, ids, path) for row in batch]
    assert again == whole and path.read_text(encoding="utf-8") == "".join(lines)
    users = [messages for messages in model.seen if messages[-1]["role"] == "user"]
    assert len(users) == 3 * 5 + 1, "three conversations of five turns, and the question"


def test_answers_and_conversations_lie_where_the_official_scorer_looks(tmp_path: Path, apis: Apis) -> None:
    kind = category("memory_rec_sum")
    path = kind.path(tmp_path, "org/m")
    path.parent.mkdir(parents=True)
    assert told_path(path, kind).name == "BFCL_v4_memory_rec_sum_prereq_result.json"
    ids = ids_of(kind.name)[:2]
    rows = [row for batch in memories(Writer(), apis).ask(kind.name, ids, told_path(path, kind)) for row in batch]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    verdicts = score_results(tmp_path, DATA, partial=True)
    assert [verdict["id"] for verdict in verdicts] == ids and {v["error_type"] for v in verdicts} == {
        "agentic:answer_not_found"
    }


def test_hostile_calls_to_a_memory_are_refused(tmp_path: Path, apis: Apis) -> None:
    row = next(row for row in DATA.memory_rows("memory_kv") if row["scenario"] == SCENARIO)
    entry = {"id": row["id"], "initial_config": {}, "involved_classes": row["involved_classes"]}
    canary = tmp_path / "canary"
    calls = [f"open(file='{canary}', mode='w')", "_flush_memory_to_local_file()", "core_memory_add(key='a', value='b')"]
    results = apis.run(entry, [], calls)
    assert results is not None and results[0].startswith("Error") and results[1].startswith("Error")
    assert "added" in results[2].lower() and not canary.exists()
    assert apis.memory_content(entry, [["core_memory_add(key='a', value='b')"]]) == '{\n    "a": "b"\n}'


def test_evaluate_asks_a_sample_and_says_what_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Writer()
    monkeypatch.setattr("eval.bfcl.answers.open_model", lambda settings, name: model)
    settings = EvaluateSettings(
        {"m": "nowhere"}, categories=("memory",), limit=dict.fromkeys(OFFLINE, 1), backend="server"
    )
    results = evaluate(settings, tmp_path, seed=3)
    assert [(row["category"], row["n"], row["of"]) for row in results["rows"]] == [
        ("memory_kv", 1, 155), ("memory_rec_sum", 1, 155)
    ]  # fmt: skip
    assert "memory_vector" in results["not_run"][0]["categories"] and "agentic" in results["not_run"][0]["aggregates"]
    told = tmp_path / "eval/result/m/agentic/memory/kv/BFCL_v4_memory_kv_prereq_result.json"
    asked, conversations = len(model.seen), told.read_bytes()
    assert evaluate(settings, tmp_path, seed=3)["rows"] == results["rows"] and len(model.seen) == asked
    assert told.read_bytes() == conversations
    evaluate(replace(settings, limit=dict.fromkeys(OFFLINE, 2)), tmp_path, seed=3)
    assert set(conversations.splitlines()) <= set(told.read_bytes().splitlines()), "what was told is kept"
