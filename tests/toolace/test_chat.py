from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from llm_double import Body, LlmDouble

from toolace import endpoint
from toolace.chat import BadAnswer, BudgetSpent, CallFailed, ChatModel, ChatReply, ChatRequest, ChatStopped, Sampling
from toolace.errors import InputError
from toolace.fan_out import run_all
from toolace.journal import Journal
from toolace.llm import Llm
from toolace.llm_settings import LlmSettings
from toolace.structured import AnswerSchema
from toolace.typed import build

T = TypeVar("T")
NUMBER = AnswerSchema(
    "number",
    {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False},
)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolace.chat_limits.BACKOFF_SECONDS", 0.002)
    monkeypatch.setattr("toolace.chat_limits.BACKOFF_CAP", 0.02)


def question(text: object, **more: Any) -> ChatRequest:
    return ChatRequest([{"role": "user", "content": str(text)}], **more)


def number_in(body: Body) -> str:
    """The double's answer: the number that the first user message is."""
    content = next(m["content"] for m in body["messages"] if m["role"] == "user")
    return json.dumps({"n": int(content)})


def with_model(
    double: LlmDouble | str, work: Callable[[Llm], Awaitable[T]], journal: Journal | None = None, **settings: Any
) -> T:
    url = double if isinstance(double, str) else double.url

    async def run() -> T:
        async with Llm(LlmSettings(**{"base_url": url, "model": "double", **settings}), journal) as model:
            return await work(model)

    return asyncio.run(asyncio.wait_for(run(), 60))


def ask(double: LlmDouble | str, request: ChatRequest, journal: Journal | None = None, **settings: Any) -> ChatReply:
    return with_model(double, lambda model: model.chat(request), journal, **settings)


def bodies(double: LlmDouble) -> list[Body]:
    return list(double.bodies.values())


def test_an_answer_with_its_cost() -> None:
    with LlmDouble(lambda body: "It is sunny.") as double:

        async def work(model: ChatModel) -> ChatReply:
            return await model.chat(question("How is the weather?"))

        reply = with_model(double, work)
    assert reply.text == "It is sunny." and reply.parsed is None and reply.finish_reason == "stop"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (4, 3)
    assert not reply.reused and reply.repeats == 0 and 0 < reply.seconds < 5
    assert bodies(double) == [
        {"model": "double", "max_tokens": 1024, "messages": [{"role": "user", "content": "How is the weather?"}]}
    ]


def test_every_setting_and_what_a_request_changes_reach_the_server() -> None:
    settings = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "seed": 3}
    with LlmDouble() as double:
        ask(double, question("a"), **settings)
        ask(double, question("a", sampling=Sampling(temperature=0.0, max_tokens=9), model="other", draw=1), **settings)
    first, second = bodies(double)
    assert {name: first[name] for name in settings} == settings
    assert second["temperature"] == 0.0 and second["max_tokens"] == 9 and second["model"] == "other"
    assert second["seed"] != 3, "another draw with the same seed would be the same answer"


def test_the_thought_of_a_reasoning_model_is_not_its_answer() -> None:
    with LlmDouble(number_in, echo_thought="<think>{not json}</think>\n") as double:
        reply = ask(double, question(4, schema=NUMBER))
    assert reply.parsed == {"n": 4} and reply.thought == "{not json}"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("bad_json", "not JSON"),
        ("wrong_schema", "required property"),
        ("truncated", "cut off"),
        ("empty", "is empty"),
    ],
)
def test_a_bad_answer_is_asked_for_again_with_what_was_wrong(fault: str, said: str) -> None:
    with LlmDouble(number_in, faults=lambda body, _: fault if len(body["messages"]) == 1 else "") as double:
        reply = ask(double, question(4, schema=NUMBER))
    assert reply.parsed == {"n": 4} and reply.repeats == 1
    repaired = bodies(double)[1]["messages"]
    assert [m["role"] for m in repaired][-3:] == ["user", "assistant", "user"]
    assert said in repaired[-1]["content"] and NUMBER.text in repaired[-1]["content"]
    assert reply.usage.prompt_tokens > 10, "the cost of both calls is told"


@pytest.mark.parametrize(("repeats", "calls"), [(0, 1), (1, 2), (3, 4)])
def test_after_its_repeats_a_bad_answer_is_a_typed_failure(repeats: int, calls: int) -> None:
    with LlmDouble(lambda body: "No idea.") as double:

        async def work(model: Llm) -> BadAnswer:
            with pytest.raises(BadAnswer) as failure:
                await model.chat(question(4, schema=NUMBER))
            assert (model.meter.bad, model.meter.repeats, model.meter.calls) == (1, repeats, calls)
            return failure.value

        bad = with_model(double, work, repeats=repeats)
    assert (bad.reason, bad.text, double.calls) == ("not_json", "No idea.", calls)
    assert bad.usage.completion_tokens == 2 * calls


@pytest.mark.parametrize("given", [None, 2, 1])
def test_n_answers_are_had_from_servers_that_give_fewer(given: int | None, tmp_path: Path) -> None:
    with LlmDouble(lambda body: "Yes.", n_given=given) as double, Journal(tmp_path / "j") as journal:
        request = question("Is it?", sampling=Sampling(n=5, seed=1))
        reply = ask(double, request, journal)
        assert [choice.text for choice in reply.choices] == ["Yes."] * 5
        assert double.calls == -(-5 // (given or 5)) and not double.repeated()
        assert ask(double, request, journal).reused and double.calls == -(-5 // (given or 5))


def test_servers_that_refuse_n_are_asked_one_by_one(tmp_path: Path) -> None:
    wanted = [question(i, sampling=Sampling(n=3, seed=1)) for i in range(4)]

    async def work(model: Llm) -> list[list[str]]:
        return [[choice.text for choice in (await model.chat(request)).choices] for request in wanted]

    refusing = LlmDouble(lambda body: f"Yes {body['seed']}.", n_refused=True)
    with refusing as double, Journal(tmp_path / "j") as journal:
        texts = with_model(double, work, journal)
        assert all(len(set(three)) == 3 for three in texts)
        assert double.statuses == {400: 1, 200: 12} and not double.repeated()
    with Journal(tmp_path / "j") as journal:  # the server is gone, and is not missed
        assert with_model(double, work, journal) == texts


def test_a_request_at_fault_is_not_blamed_on_n() -> None:
    with LlmDouble(faults={"400": 1.0}) as double:

        async def work(model: Llm) -> None:
            for text in "ab":
                with pytest.raises(CallFailed):
                    await model.chat(question(text, sampling=Sampling(n=2)))

        with_model(double, work)
        assert double.statuses == {400: 4} and {body.get("n") for body in bodies(double)} == {2, None}


def test_more_answers_than_wanted_are_not_used() -> None:
    with LlmDouble(lambda body: ["one", "two", "three"]) as double:
        assert [choice.text for choice in ask(double, question("a")).choices] == ["one"]


def test_bad_ones_among_n_answers_are_left_out() -> None:
    texts = ['{"n": 1}', "no", '{"n": 3}']
    with LlmDouble(lambda body: texts) as double:
        reply = ask(double, question("x", schema=NUMBER, sampling=Sampling(n=3)))
    assert [choice.parsed for choice in reply.choices] == [{"n": 1}, {"n": 3}] and double.calls == 1


def test_a_schema_goes_to_the_server_that_takes_it() -> None:
    with LlmDouble(number_in) as double:
        assert ask(double, question(8, schema=NUMBER)).parsed == {"n": 8}
    (body,) = bodies(double)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "number", "schema": NUMBER.schema, "strict": True},
    }
    assert len(body["messages"]) == 1


def test_a_server_that_refuses_schemas_is_found_out_once_and_told_in_words() -> None:
    with LlmDouble(number_in, structured="refused") as double:

        async def work(model: Llm) -> list[Any]:
            return [(await model.chat(question(i, schema=NUMBER))).parsed for i in range(4)]

        assert with_model(double, work) == [{"n": i} for i in range(4)]
    assert double.statuses[400] == 1 and double.calls == 4
    assert all(NUMBER.text in body["messages"][0]["content"] for body in bodies(double)[1:])


def test_a_server_that_ignores_schemas_is_told_in_words_from_then_on() -> None:
    def forgetful(body: Body) -> str:
        told = any(NUMBER.text in m["content"] for m in body["messages"])
        return number_in(body) if told else "Let me think about that."

    with LlmDouble(forgetful) as double:

        async def work(model: Llm) -> list[int]:
            return [(await model.chat(question(i, schema=NUMBER))).repeats for i in range(3)]

        assert with_model(double, work) == [1, 0, 0]


def test_how_schemas_are_demanded_can_be_set() -> None:
    with LlmDouble(number_in, structured="refused") as double:
        assert ask(double, question(1, schema=NUMBER), structured="prompt").parsed == {"n": 1}
        assert double.statuses[400] == 0
        with pytest.raises(CallFailed, match="response_format"):
            ask(double, question(1, schema=NUMBER), structured="json_schema")


@pytest.mark.parametrize("fault", ["429", "503", "500", "dropped", "not_an_object"])
def test_what_can_pass_is_tried_again(fault: str) -> None:
    with LlmDouble(faults_once=(fault, fault, fault), retry_after=None) as double:

        async def work(model: Llm) -> tuple[int, int]:
            await model.chat(question("a"))
            return model.meter.failures, model.meter.throttles

        failures, throttles = with_model(double, work)
    assert failures + throttles == 3 and (throttles == 3) == (fault in ("429", "503"))
    assert double.calls == 1 and sum(double.asked.values()) == 4


def test_retry_after_is_honoured_by_all_calls() -> None:
    with LlmDouble(faults_once=("429",), retry_after="0.3") as double:
        ask(double, question("a"))
    assert 0.29 < double.times[1] - double.times[0] < 2


def test_the_window_finds_what_the_server_can_take() -> None:
    with LlmDouble(latency=0.01, capacity=8, retry_after="0.01") as double:

        async def work(model: Llm) -> float:
            replies = await asyncio.gather(*(model.chat(question(i)) for i in range(300)))
            assert len(replies) == 300
            return model.endpoint.window.size

        size = with_model(double, work, concurrency=200)
        assert size < 40 and double.calls == 300 and not double.repeated()
        assert double.statuses[429] < 500, "a client that does not slow down is refused thousands of times"


def test_the_window_grows_back_once_the_server_answers() -> None:
    with LlmDouble(faults=lambda body, asked: "429" if asked <= 2 and "first" in str(body) else "") as double:

        async def work(model: Llm) -> tuple[float, float]:
            await model.chat(question("first"))
            small = model.endpoint.window.size
            await asyncio.gather(*(model.chat(question("abc"[i % 3] * i)) for i in range(1, 40)))
            return small, model.endpoint.window.size

        small, grown = with_model(double, work, concurrency=4)
    assert small <= 2 and grown == 4


def test_a_server_that_stays_broken_fails_the_call_and_not_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ERROR_REPEATS", 2)
    with LlmDouble(faults=lambda body, _: "500" if "broken" in str(body) else "") as double:

        async def work(model: Llm) -> list[Any]:
            both = [model.chat(question(text)) for text in ("broken", "fine")]
            return await asyncio.gather(*both, return_exceptions=True)

        failed, fine = with_model(double, work)
    assert isinstance(failed, CallFailed) and failed.status == 500 and "3 attempts failed" in str(failed)
    assert isinstance(fine, ChatReply)


def test_a_server_that_goes_away_stops_everything_and_not_one_call_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "ERROR_REPEATS", 1)
    gone = False
    with LlmDouble(faults=lambda body, _: "500" if gone else "") as double:

        async def work(model: Llm) -> list[Any]:
            nonlocal gone
            await model.chat(question("first"))
            gone = True
            return [(await asyncio.gather(model.chat(question(i)), return_exceptions=True))[0] for i in range(8)]

        errors = with_model(double, work)
    assert [type(error) for error in errors] == [CallFailed] * 4 + [ChatStopped] * 4
    assert all(error.outage for error in errors[:4])
    assert "5 calls in a row failed, the last one: 500" in str(errors[4]) and "run again" in str(errors[4])
    assert double.statuses == {200: 1, 500: 5 * 2}, "what comes after the stop is not sent"


def test_an_answer_in_between_shows_that_the_server_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ERROR_REPEATS", 0)
    with LlmDouble(faults=lambda body, _: "500" if "broken" in str(body) else "") as double:

        async def work(model: Llm) -> list[Any]:
            asked = [question(f"{'fine' if i % 4 == 3 else 'broken'} {i}") for i in range(20)]
            return [(await asyncio.gather(model.chat(one), return_exceptions=True))[0] for one in asked]

        errors = with_model(double, work)
    assert [type(error) for error in errors] == [CallFailed, CallFailed, CallFailed, ChatReply] * 5


def test_only_what_the_server_is_to_blame_for_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ERROR_REPEATS", 0)
    monkeypatch.setattr(endpoint, "THROTTLE_REPEATS", 0)
    for fault in ("400", "429", "503", "500", "dropped"):
        with LlmDouble(faults=lambda body, _, fault=fault: fault if "broken" in str(body) else "") as double:

            async def work(model: Llm) -> Any:
                await model.chat(question("fine"))
                return (await asyncio.gather(model.chat(question("broken")), return_exceptions=True))[0]

            assert with_model(double, work).outage == (fault != "400"), fault
    with LlmDouble(envelope=lambda body: {"error": "the model is loading"}) as double:
        with pytest.raises(CallFailed) as failed:
            ask(double, question("a"))
        assert failed.value.outage, "a proxy without its server"


def test_a_request_that_is_refused_is_not_sent_again() -> None:
    with LlmDouble(faults={"400": 1.0}) as double:
        with pytest.raises(CallFailed, match="maximum context length is 10 tokens"):
            ask(double, question("a"))
        assert double.statuses == {400: 1}


def test_a_redirect_is_told_and_not_followed_with_the_key() -> None:
    with LlmDouble(faults_once=("307",)) as double:
        with pytest.raises(ChatStopped, match=r"It redirects: set llm\.base_url"):
            ask(double, question("a"))
        assert double.statuses == {307: 1}


def test_a_wrong_key_stops_everything_at_once_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOUBLE_KEY", "sk-wrong")
    with LlmDouble(api_key="sk-right") as double:

        async def work(model: Llm) -> list[Any]:
            first = await asyncio.gather(model.chat(question(1)), return_exceptions=True)
            return first + await asyncio.gather(*(model.chat(question(i)) for i in range(9)), return_exceptions=True)

        errors = with_model(double, work, api_key_env="DOUBLE_KEY")
        assert all(type(error) is ChatStopped and "Check the key in DOUBLE_KEY" in str(error) for error in errors)
        assert not any("sk-wrong" in str(error) for error in errors)
        assert double.statuses == {401: 1}
        monkeypatch.setenv("DOUBLE_KEY", "sk-right")
        assert ask(double, question("a"), api_key_env="DOUBLE_KEY").text


def test_a_wrong_model_or_address_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ERROR_REPEATS", 1)
    with LlmDouble(models=("other",)) as double:
        with pytest.raises(ChatStopped, match="the key may use the model 'double'"):
            ask(double, question("a"))
        with pytest.raises(ChatStopped, match=r"404.*Check llm\.base_url"):
            ask(double.url.removesuffix("/v1"), question("a"))
        gone = double.url
    with pytest.raises(ChatStopped, match=r"cannot be asked.*Start the server"):
        ask(gone, question("a"))


def test_a_call_without_an_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ERROR_REPEATS", 1)
    with LlmDouble(latency=2.0) as double:
        start = time.monotonic()
        with pytest.raises(ChatStopped, match=r"no answer within 0.1 s \(llm.timeout\)"):
            ask(double, question("a"), timeout=0.1)
        assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"choices": []},
        {"choices": 7},
        {"choices": ["text"]},
        {"choices": [{"text": "an old completion"}]},
        {"choices": [{"message": None}]},
    ],
)
def test_answers_of_another_shape_are_told(data: Body) -> None:
    with LlmDouble(envelope=lambda body: data) as double, pytest.raises(CallFailed, match="OpenAI"):
        ask(double, question("a"))


def test_a_server_that_does_not_count_is_counted_by_its_characters() -> None:
    with LlmDouble(lambda body: "b" * 400, counts_tokens=False) as double:
        usage = ask(double, question("a" * 800)).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (201, 101)


def test_a_rerun_repeats_no_call(tmp_path: Path) -> None:
    with LlmDouble(number_in, faults={"bad_json": 0.3, "500": 0.1}) as double:

        async def work(model: Llm) -> list[str]:
            requests = (question(i, schema=NUMBER, stage="s", label=f"d-{i}") for i in range(60))
            results = await asyncio.gather(*map(model.chat, requests), return_exceptions=True)
            assert model.meter.calls + model.meter.reused >= 60
            return [str(r.parsed) if isinstance(r, ChatReply) else str(r) for r in results]

        with Journal(tmp_path / "j") as journal:
            first = with_model(double, work, journal)
        calls = double.calls
        assert calls > 60 and not double.repeated()
        with Journal(tmp_path / "j") as journal:
            assert with_model(double, work, journal) == first
            assert journal.totals()["s"]["calls"] == calls == double.calls


def test_equal_requests_are_asked_once_and_other_draws_again(tmp_path: Path) -> None:
    with LlmDouble(latency=0.02) as double, Journal(tmp_path / "j") as journal:

        async def work(model: Llm) -> None:
            requests = [question("a", label=str(i)) for i in range(20)]
            replies = await asyncio.gather(*map(model.chat, requests))
            assert sum(not reply.reused for reply in replies) == 1 and model.meter.reused == 19
            await asyncio.gather(*(model.chat(question("a", draw=draw)) for draw in range(3)))

        with_model(double, work, journal)
        assert double.calls == 3


def test_what_changes_the_answer_is_another_request(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"temperature": 0.1},
        {"top_p": 0.5},
        {"max_tokens": 5},
        {"seed": 1},
        {"model": "other"},
        {"structured": "prompt"},
    ]
    with LlmDouble(number_in) as double, Journal(tmp_path / "j") as journal:
        for change in changes:
            assert not ask(double, question(1), journal, **change).reused
        assert not ask(double, question(1, schema=NUMBER), journal).reused
        for change in changes:
            reply = ask(double, question(1, stage="elsewhere", label="x"), journal, **change)
            assert reply.reused, "where an answer is used does not change it"


def test_the_key_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOUBLE_KEY", "sk-secret-123")
    settings = LlmSettings("http://127.0.0.1:1/v1", "double", api_key_env="DOUBLE_KEY")
    assert "sk-secret" not in repr(settings) + json.dumps(dataclasses.asdict(settings))
    with LlmDouble(api_key="sk-secret-123") as double, Journal(tmp_path / "j") as journal:
        ask(double, question("a"), journal, api_key_env="DOUBLE_KEY")
    assert all(b"sk-secret" not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_spent_budget_ends_new_calls_and_finishes_those_in_flight() -> None:
    with LlmDouble(latency=0.02) as double:

        async def work(model: Llm) -> list[Any]:
            return await asyncio.gather(*(model.chat(question(i)) for i in range(20)), return_exceptions=True)

        results = with_model(double, work, max_calls=7)
    assert sum(isinstance(r, ChatReply) for r in results) == 7 == double.calls
    assert sum(isinstance(r, BudgetSpent) for r in results) == 13


def test_the_limit_of_requests_a_minute_is_kept() -> None:
    with LlmDouble() as double:

        async def work(model: Llm) -> None:
            await asyncio.gather(*(model.chat(question(i)) for i in range(30)))

        with_model(double, work, requests_per_minute=1200)  # twenty a second, the first twenty at once
    assert 0.45 < double.times[-1] - double.times[0] < 2


def test_the_limit_of_tokens_a_minute_is_kept() -> None:
    with LlmDouble() as double:

        async def work(model: Llm) -> None:
            for i in range(6):
                await model.chat(question(i))

        # 1,000 a second and 500 expected of each call: were the estimates not corrected, six would take two seconds
        start = time.monotonic()
        with_model(double, work, tokens_per_minute=60_000, max_tokens=500)
        corrected = time.monotonic() - start
        double.answer = lambda body: "word " * 500
        start = time.monotonic()
        with_model(double, work, tokens_per_minute=60_000, max_tokens=500)
        spent = time.monotonic() - start
    assert corrected < 1 < 1.9 < spent < 5


CHILD = """
import asyncio, sys
from toolace.chat import ChatError, ChatRequest
from toolace.fan_out import run_all
from toolace.journal import Journal
from toolace.llm import Llm
from toolace.llm_settings import LlmSettings
from toolace.structured import AnswerSchema

SCHEMA = AnswerSchema("number", {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})

async def main(url, path):
    with Journal(path) as journal:
        async with Llm(LlmSettings(url, "double", concurrency=20), journal) as model:

            async def dialog(number):
                for turn in range(5):
                    content = str(100 * number + turn)
                    try:
                        reply = await model.chat(ChatRequest([{"role": "user", "content": content}], schema=SCHEMA))
                        print(content, reply.parsed["n"], flush=True)
                    except ChatError as error:
                        print(content, type(error).__name__, flush=True)
                return number

            done = [outcome.value async for outcome in run_all(range(40), dialog, 20)]
            assert done == list(range(40)), done
            print("done", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def test_killed_in_the_middle_nothing_finished_is_asked_again_and_nothing_is_lost(tmp_path: Path) -> None:
    faults = {"500": 0.05, "dropped": 0.02, "bad_json": 0.05}
    with LlmDouble(number_in, latency=0.01, faults=faults) as double:
        command = [sys.executable, "-c", CHILD, double.url, str(tmp_path / "j")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            told = [child.stdout.readline().split() for _ in range(60)]
            child.send_signal(signal.SIGKILL)
            told += [line.split() for line in child.stdout if line.endswith("\n")]
        assert len(told) < 200
        again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split("\n")
        assert again[-2] == "done"
        results = dict(line.split() for line in again[:-2])
        assert set(results) == {str(100 * dialog + turn) for dialog in range(40) for turn in range(5)}
        assert all(results[content] == value for content, value in told)
        repeated = {body["messages"][0]["content"] for body in double.repeated()}
        # What was on its way when the process died had to be asked again; nothing else was.
        assert not repeated & {content for content, _ in told} and len(repeated) <= 20


def test_a_run_is_within_reach_of_the_ideal() -> None:
    with LlmDouble(latency=0.05) as double:

        async def work(model: Llm) -> float:
            async def dialog(number: int) -> None:
                for turn in range(12):
                    await model.chat(question(f"{number} {turn}"))

            start = time.perf_counter()
            outcomes = [outcome async for outcome in run_all(range(30), dialog)]
            assert all(outcome.error is None for outcome in outcomes)
            return time.perf_counter() - start

        seconds = with_model(double, work)
    assert double.calls == 360
    assert seconds < 3 * 12 * 0.05  # 1.3 times the ideal on an idle machine; one request at a time would be 18 s


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"base_url": "127.0.0.1:8000/v1"}, "base_url"),
        ({"base_url": "http://me:secret@host/v1"}, "user name or a password"),
        ({"base_url": "http://host:port/v1"}, "base_url"),
        ({"model": ""}, "model is empty"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"max_tokens": -1}, "max_tokens is -1"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": float("inf")}, "timeout is inf"),
        ({"repeats": -1}, "repeats is -1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"max_cost": 5}, "max_cost needs prices"),
        ({"structured": "yaml"}, "not one of auto, json_schema, prompt"),
        ({"api_key": "sk-1"}, "unknown key 'api_key'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as error:
        build(LlmSettings, {"base_url": "http://127.0.0.1/v1", "model": "m", **change}, "recipe: llm")
    assert told in str(error.value) and "secret" not in str(error.value)


def test_a_missing_key_is_told_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOUBLE_KEY", raising=False)
    with pytest.raises(InputError, match="DOUBLE_KEY holds no key"):
        Llm(LlmSettings("http://127.0.0.1/v1", "m", api_key_env="DOUBLE_KEY"))


def test_the_address_may_be_written_as_people_copy_it() -> None:
    for written in ("http://host/v1", "http://host/v1/", "http://host/v1/chat/completions"):
        assert LlmSettings(written, "m").url == "http://host/v1"


def test_arbitrary_bytes_from_the_server_end_in_a_chat_error_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ERROR_REPEATS", 0)
    values = [None, "", "x", 7, 1e308, [], {}, {"choices": None}, {"usage": "?"}, {"message": {"content": ["a"]}}]
    rng = random.Random(5)

    def noise(depth: int) -> Any:
        kind = rng.random()
        if depth == 0 or kind < 0.4:
            return rng.choice(values)
        if kind < 0.6:
            return [noise(depth - 1) for _ in range(3)]
        names = ("choices", "message", "content", "usage", "prompt_tokens", "finish_reason")
        return {name: noise(depth - 1) for name in names}

    with LlmDouble(envelope=lambda body: noise(4)) as double:

        async def work(model: Llm) -> list[Any]:
            requests = (question(i, schema=NUMBER) for i in range(300))
            return await asyncio.gather(*map(model.chat, requests), return_exceptions=True)

        results = with_model(double, work)
    assert {type(result) for result in results} <= {CallFailed, BadAnswer, ChatReply, ChatStopped}


def test_importing_the_toolkit_and_asking_nothing_loads_no_client() -> None:
    code = "import sys, toolace, toolace.chat, toolace.llm, toolace.fan_out; print([m for m in sys.modules if m in " + (
        "('aiohttp', 'jsonschema', 'openai', 'tqdm')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_the_journal_holds_one_row_for_every_call(tmp_path: Path) -> None:
    with LlmDouble(number_in) as double, Journal(tmp_path / "j") as journal:
        ask(double, question(1, schema=NUMBER, stage="tool agent", label="d-7"), journal)
    with sqlite3.connect(tmp_path / "j") as connection:
        ((stage, label, answer),) = connection.execute("SELECT stage, label, answer FROM answers").fetchall()
    assert (stage, label) == ("tool agent", "d-7") and json.loads(answer)["choices"] == [['{"n": 1}', "", "stop"]]


def test_the_double_serves_prompt_log_probabilities_and_its_models() -> None:
    with LlmDouble(models=("double",)) as double:

        async def work(model: Llm) -> dict[str, Any]:
            body = {"model": "double", "prompt": "red fox red", "echo": True, "logprobs": 0, "max_tokens": 0}
            return (await model.endpoint.post("/completions", body, 3))[0]

        scored = with_model(double, work)["choices"][0]["logprobs"]
    assert scored["tokens"] == ["red ", "fox ", "red "] and scored["token_logprobs"][0] is None
    assert all(-2 <= score <= -1 for score in scored["token_logprobs"][1:])
