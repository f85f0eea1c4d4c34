"""Models behind an OpenAI-compatible server: chat and completions, prompting and native calls, failure and resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bfcl_answers import DATA, right_answers
from llm_double import Body, LlmDouble

from eval import evaluate
from eval.asking import Answer, Ask, Dialog
from eval.server_model import ServerModel, count_refused
from eval.settings import Server
from toolace.errors import InputError
from toolace.rows import read_rows


def asked(text: str, tools: Any = None) -> Dialog[Answer]:
    answer = yield Ask([{"role": "user", "content": text}], tools)
    return answer


def said(model: ServerModel, dialogs: Any, **how: Any) -> list[Answer]:
    return [answer for answers in model.lead(dialogs, 16, **how) for answer in answers]


def test_dialogs_are_led_at_once_up_to_the_servers_concurrency() -> None:
    with LlmDouble(lambda body: f"you said {body['messages'][0]['content']}", latency=0.05) as double:
        model = ServerModel("double", Server(base_url=double.url, concurrency=10))
        answers = said(model, (asked(f"number {i}") for i in range(50)))
    assert {answer.text for answer in answers} == {f"you said number {i}" for i in range(50)}
    assert double.most_at_once == 10 and double.repeated() == []
    assert answers[0].input_tokens == 2 and answers[0].output_tokens == 4 and answers[0].complete
    body = next(iter(double.bodies.values()))
    assert body["max_tokens"] == 16 and body["temperature"] == 0.0 and body["model"] == "double"


def test_native_calls_are_read_from_tool_calls() -> None:
    calls = [{"id": "x1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]

    def envelope(body: Body) -> Any:
        message = {"role": "assistant", "content": None, "tool_calls": calls if body.get("tools") else []}
        return {"choices": [{"message": message, "finish_reason": "tool_calls"}]}

    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    with LlmDouble(envelope=envelope) as double:
        (answer,) = said(ServerModel("m", Server(base_url=double.url)), [asked("go", tools)])
        (plain,) = said(ServerModel("m", Server(base_url=double.url)), [asked("go")])
    assert answer.calls == [{"id": "x1", "name": "f", "arguments": '{"a": 1}'}] and answer.text == ""
    assert plain.calls is None and plain.text == ""


def test_completions_continue_the_text_of_the_chat_template() -> None:
    server = {"endpoint": "completions", "tokenizer": "embedded/SmolLM2-135M-Instruct"}
    with LlmDouble() as double:
        (answer,) = said(ServerModel("m", Server(base_url=double.url, **server)), [asked("What is 2 + 2?")])
    (body,) = double.bodies.values()
    assert body["prompt"].endswith("<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n")
    assert "messages" not in body and not answer.complete


def too_long(body: Body, times: int) -> str:
    return "400" if "bad" in body["messages"][0]["content"] else ""


def test_what_the_server_refuses_for_good_is_answered_by_the_error_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    with LlmDouble(lambda body: body["messages"][0]["content"], faults=too_long) as double:
        answers = said(ServerModel("m", Server(base_url=double.url)), map(asked, ["a", "bad", "c", "bad d"]))
        again = said(ServerModel("m", Server(base_url=double.url)), [asked("bad")])
    texts = sorted(answer.text for answer in answers)
    assert texts[2:] == ["a", "c"] and all("maximum context length" in text for text in texts[:2])
    assert texts[0].startswith("Error during inference: ") and not texts[0].endswith(".")
    assert [answer.text for answer in again] == texts[:1], "a server that answers other questions is not broken"
    assert "2 requests were refused and count as answered by the error (first: http" in capsys.readouterr().err


def test_a_server_that_refuses_everything_has_answered_nothing() -> None:
    with (
        LlmDouble(faults=lambda body, times: "400") as double,
        pytest.raises(InputError, match=r"refuses even a short question: .*[^.]\. Correct its settings"),
    ):
        said(ServerModel("m", Server(base_url=double.url)), [asked("a"), asked("b")])
    assert len(double.asked) == 3, "the short question is asked once"


def test_what_is_answered_is_kept_when_other_questions_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolace.endpoint.ERROR_REPEATS", 0)

    def faults(body: Body, times: int) -> str:
        return "500" if "bad" in body["messages"][0]["content"] else ""

    got: list[str] = []
    with (
        LlmDouble(lambda body: body["messages"][0]["content"], faults=faults) as double,
        pytest.raises(InputError, match=r"2 questions have no answer .*internal error.*[^.]\)\. Run the command again"),
    ):
        for answers in ServerModel("m", Server(base_url=double.url)).lead(map(asked, ["a", "bad", "c", "bad d"]), 8):
            got += [answer.text for answer in answers]
    assert sorted(got) == ["a", "c"]


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({"concurrency": 0}, r"evaluate\.server\.concurrency is 0"),
        ({"timeout": -1.0}, r"evaluate\.server\.timeout is -1"),
        ({"base_url": "here"}, r"evaluate\.server\.base_url 'here' is no http address"),
    ],
)
def test_bad_settings_are_named_as_the_recipe_names_them_before_anything_is_loaded(
    server: dict[str, Any], message: str, tmp_path: Path
) -> None:
    section = json.dumps({"base_url": "http://127.0.0.1:9/v1", **server})
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"out: {tmp_path / 'run'}\nevaluate:\n  models: {{m: double}}\n  backend: server\n  server: {section}\n"
    )
    with pytest.raises(InputError, match=message) as caught:
        evaluate.app([str(recipe)])
    assert "llm." not in str(caught.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "reply", [{}, {"choices": []}, {"choices": [{"message": {"content": 3}}]}, {"choices": [None]}]
)
def test_a_reply_without_an_answer_is_no_answer(reply: Any) -> None:
    with LlmDouble(envelope=lambda body: reply) as double, pytest.raises(InputError, match="has no answer in it"):
        said(ServerModel("m", Server(base_url=double.url)), [asked("go")])


def test_a_server_that_is_not_there_or_wants_a_key_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolace.endpoint.ERROR_REPEATS", 0)
    with pytest.raises(InputError, match="cannot be asked"):
        said(ServerModel("m", Server(base_url="http://127.0.0.1:9/v1")), [asked("go")])
    with LlmDouble(api_key="secret") as double, pytest.raises(InputError, match="answered 401"):
        said(ServerModel("m", Server(base_url=double.url)), [asked("go")])
    with pytest.raises(InputError, match="NO_SUCH_KEY"):
        ServerModel("m", Server(base_url="http://127.0.0.1:9/v1", api_key_env="NO_SUCH_KEY"))


RECIPE = """
out: {out}
seed: 3
evaluate:
  models: {{served: double}}
  categories: [simple_python, multi_turn_base]
  limit: {{simple_python: 6, multi_turn_base: 4}}
  backend: server
  server: {{base_url: "{url}"}}
"""


def test_an_evaluation_over_a_server_is_scored_and_goes_on_after_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolace.endpoint.ERROR_REPEATS", 0)
    right = right_answers("simple_python")
    texts = {row["question"][0][0]["content"]: right[row["id"]] for row in DATA.questions("simple_python")}
    broken = {"now": True}

    def answer(body: Body) -> str:
        return texts.get(body["messages"][-1]["content"], "I see.")

    def faults(body: Body, times: int) -> str:
        return "500" if broken["now"] and len(body["messages"][-1]["content"]) % 2 else ""

    recipe = tmp_path / "r.yaml"
    with LlmDouble(answer, faults=faults) as double:
        recipe.write_text(RECIPE.format(out=tmp_path / "run", url=double.url))
        with pytest.raises(InputError, match="questions have no answer"):
            evaluate.app([str(recipe)])
        broken["now"] = False
        assert evaluate.app([str(recipe), "--json"]) == 0
        assert double.repeated() == [], "nothing that was answered is asked again"
    results = json.loads(capsys.readouterr().out)
    rows = {row["category"]: (row["n"], row["correct"]) for row in results["rows"]}
    assert rows == {"simple_python": (6, 6), "multi_turn_base": (4, 0)}
    assert results["not_run"][0]["categories"][0] == "simple_java"
    path = tmp_path / "run" / "eval" / "result" / "served" / "multi_turn" / "BFCL_v4_multi_turn_base_result.json"
    for _, row in read_rows(path):
        turns = DATA.gold("multi_turn_base")[row["id"]]
        assert row["result"] == [["I see."]] * len(turns) and len(row["latency"]) == len(turns)


def test_answers_that_were_paid_for_are_asked_once_or_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "r.yaml"
    folder = tmp_path / "run" / "eval" / "result" / "served"
    path = folder / "non_live" / "BFCL_v4_simple_python_result.json"
    with LlmDouble(lambda body: "I see.") as double:
        text = RECIPE.format(out=tmp_path / "run", url=double.url)
        recipe.write_text(text.replace(", multi_turn_base]", "]").replace(", multi_turn_base: 4", ""))
        evaluate.app([str(recipe)])
        evaluate.app([str(recipe), "--evaluate.batch_size", "3", "--evaluate.dtype", "float32"])
        assert double.calls == 6, "a server knows nothing of either"
        evaluate.app([str(recipe), "--evaluate.limit", "{simple_python: 400}"])
        assert double.calls == 400 and double.repeated() == []
        evaluate.app([str(recipe)])
        assert double.calls == 400 and len(list(read_rows(path))) == 6
        assert len(list(read_rows(path.with_name(path.name + ".1.bak")))) == 400
        (folder / "generation.json").write_text('{"mo')  # cut off, or of another program
        capsys.readouterr()
        evaluate.app([str(recipe), "--evaluate.temperature", "0.5"])
    assert f"are kept as {path}.2.bak" in capsys.readouterr().err
    assert len(list(read_rows(path.with_name(path.name + ".2.bak")))) == 6


def test_an_evaluation_with_a_question_that_is_too_long_is_scored_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked_texts = sorted(row["question"][0][0]["content"] for row in DATA.questions("simple_python"))

    def faults(body: Body, times: int) -> str:
        return "400" if body["messages"][-1]["content"] in asked_texts[::2] else ""

    recipe = tmp_path / "r.yaml"
    with LlmDouble(lambda body: "I see.", faults=faults) as double:
        recipe.write_text(RECIPE.format(out=tmp_path / "run", url=double.url).replace(", multi_turn_base]", "]"))
        text = recipe.read_text(encoding="utf-8").replace(", multi_turn_base: 4", "")
        recipe.write_text(text, encoding="utf-8")
        assert evaluate.app([str(recipe)]) == 0
    refused = double.statuses[400]
    assert 0 < refused < 6
    shown = capsys.readouterr().out
    assert f"refused: {refused} answers are errors of the server" in shown and "(partial: 6 of 400)" in shown
    path = tmp_path / "run" / "eval" / "result" / "served" / "non_live" / "BFCL_v4_simple_python_result.json"
    assert count_refused(path) == refused
