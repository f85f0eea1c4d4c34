from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from pools import everyday_pool, mixed_pool
from test_user import holds, texts_in

from data_gen.dialog_generation.assistant import OfflineAssistant, topic
from data_gen.dialog_generation.builder import DialogBuilder, Mix, pick
from data_gen.dialog_generation.generation import DialogSettings, generate
from data_gen.dialog_generation.tool import ERROR_START, PASSING, OfflineTool
from data_gen.dialog_generation.tool_lists import ToolLists, linked
from data_gen.dialog_generation.user import OfflineUser
from data_gen.dialog_generation.values import NoValue
from data_gen.verification.rules import check
from data_gen.verification.schemas import compile_schema
from toolace import Call, Dialog, Tool

TYPES = ("single", "parallel", "dependent", "non_tool_use")


@cache
def dialogs(kind: str) -> tuple[Dialog, ...]:
    settings = DialogSettings(count=400, types={kind: 1}, everyday_share=0.8)
    return tuple(generate(list(mixed_pool()), settings, seed=TYPES.index(kind)))


def calling_turns(dialog: Dialog) -> Iterator[tuple[Call, ...]]:
    return (message.calls for message in dialog.messages if message.calls)


@pytest.mark.parametrize("kind", TYPES)
def test_a_dialog_is_of_its_type_and_calls_only_what_is_on_offer(kind: str) -> None:
    for dialog in dialogs(kind):
        assert dialog.type == kind
        names = {tool.name for tool in dialog.tools}
        assert all(call.name in names for calls in calling_turns(dialog) for call in calls)
        assert dialog.messages[0].role == "user" and dialog.messages[-1].role == "assistant"


def test_single_has_exactly_one_call_in_each_calling_turn() -> None:
    assert {len(calls) for dialog in dialogs("single") for calls in calling_turns(dialog)} == {1}
    assert all(list(calling_turns(dialog)) for dialog in dialogs("single"))


def test_parallel_begins_with_several_different_calls_and_may_go_on_with_single_ones() -> None:
    first = [next(calling_turns(dialog)) for dialog in dialogs("parallel")]
    for calls in first:
        assert len(calls) >= 2
        assert all(call not in calls[:i] for i, call in enumerate(calls))
    later = [len(calls) for dialog in dialogs("parallel") for calls in list(calling_turns(dialog))[1:]]
    assert 1 in later and max(later) > 1
    same, total = sum(len({c.name for c in calls}) == 1 for calls in first), len(first)
    assert 0.4 < same / total < 0.8  # half by choice, and those with one candidate


def test_the_later_argument_of_a_dependent_dialog_is_in_the_earlier_result_and_not_in_the_request() -> None:
    for dialog in dialogs("dependent"):
        request = dialog.messages[0].content
        first, second = list(calling_turns(dialog))[:2]
        result = dialog.messages[2]
        assert result.role == "tool" and len(first) == len(second) == 1
        unsaid = [text for text in texts_in(second[0].arguments) if not holds(request, text)]
        assert len(unsaid) == 1, (request, second)
        assert json.dumps(unsaid[0], ensure_ascii=False) in result.content
        assert "that " in request.lower()


def test_non_tool_use_has_no_calls_and_says_why() -> None:
    for dialog in dialogs("non_tool_use"):
        assert not list(calling_turns(dialog))
        assert [message.role for message in dialog.messages] == ["user", "assistant"]
        assert len(dialog.messages[1].content) > 10


def test_an_irrelevant_request_is_about_none_of_the_candidates_domains() -> None:
    rng = random.Random(1)
    pool = list(everyday_pool()[0])
    builder = DialogBuilder(rng, mix(), ToolLists(pool, 0.5, 1))
    asked: list[Tool] = []
    ask_one = builder.user.ask_one

    def noted(tool: Tool) -> Any:
        asked.append(tool)
        return ask_one(tool)

    builder.user.ask_one = noted  # type: ignore[method-assign]
    told = 0
    for _ in range(100):
        tools = rng.sample(pool, 3)
        dialog = builder.build("d", tools, "non_tool_use", {}, "irrelevant", 1, False)
        assert dialog is not None
        assert asked.pop().domain not in {tool.domain for tool in tools}
        told += all(topic(tool) in dialog.messages[1].content for tool in tools)
    assert told > 80  # a few refusals say no more than that nothing fits


def mix(**changes: Any) -> Mix:
    whole: dict[str, Any] = {
        "parallel_same": 0.5,
        "non_tool_use": {"irrelevant": 1, "missing": 1},
        "results": 1.0,
        "turns": {1: 1},
        "answered": 0.0,
        "errors": 0.0,
        "optional": 0.4,
    }
    return Mix(**{**whole, **changes})


def built(
    kind: str,
    count: int = 80,
    pool: list[Tool] | None = None,
    turns: int = 1,
    results: bool = True,
    level: int = 0,
    **changes: Any,
) -> list[Dialog]:
    rng = random.Random(7)
    pool = pool or list(everyday_pool()[0])
    builder = DialogBuilder(rng, mix(**changes), ToolLists(pool, 0.5, 1), level)
    found = []
    while len(found) < count:
        dialog = builder.build(f"d{len(found)}", rng.sample(pool, 2), kind, {}, kind, turns, results)
        found += [dialog] if dialog else []
    return found


def test_results_follow_every_call_or_none() -> None:
    for dialog in built("parallel", results=True):
        roles = [message.role for message in dialog.messages]
        calls = len(dialog.messages[1].calls)
        assert roles == ["user", "assistant", *["tool"] * calls, "assistant"]
        assert [m.name for m in dialog.messages[2:-1]] == [call.name for call in dialog.messages[1].calls]
        assert [m.call_id for m in dialog.messages[2:-1]] == list(dialog.messages[1].call_ids)
    assert {len(dialog.messages) for dialog in built("parallel", results=False)} == {2}


def test_turns_are_user_turns() -> None:
    counts = {sum(m.role == "user" for m in dialog.messages) for dialog in built("single", turns=3)}
    assert counts == {3}


def test_an_answered_dialog_asks_for_what_the_request_lacks() -> None:
    user = OfflineUser(random.Random(0))
    open_ended = [one for one in everyday_pool()[0] if user.droppable(one)]
    assert len(open_ended) > 150
    for dialog in built("single", pool=open_ended, answered=1.0, results=False):
        _, asking, reply, calling = dialog.messages
        assert asking.role == "assistant" and not asking.calls and reply.role == "user"
        call = calling.calls[0]
        tool = next(tool for tool in dialog.tools if tool.name == call.name)
        assert tool.name in asking.content
        assert set(tool.required) <= set(call.arguments)


def test_errors_come_at_their_rate_and_are_told() -> None:
    dialogs_ = built("single", 120, errors=1.0)
    for dialog in dialogs_:
        error = json.loads(dialog.messages[2].content)["error"]
        assert (error["message"] if isinstance(error, dict) else error) in dialog.messages[3].content
    clean = built("single", 120, errors=0.0)
    assert not any('"error"' in message.content for dialog in clean for message in dialog.messages)


def test_after_an_error_the_user_often_corrects_or_repeats_and_the_second_call_goes_through() -> None:
    repeated = 0
    recovered = [dialog for dialog in built("single", 120, errors=1.0) if len(list(calling_turns(dialog))) == 2]
    assert 20 < len(recovered) < 100
    for dialog in recovered:
        (first,), (second,) = calling_turns(dialog)
        changed = [name for name in first.arguments if first.arguments[name] != second.arguments[name]]
        passing = any(error in dialog.messages[2].content for error in PASSING)
        assert first.name == second.name and len(changed) == (0 if passing else 1)
        assert passing or holds(dialog.messages[4].content, second.arguments[changed[0]])
        blamed = [name for name, value in first.arguments.items() if f" {value}" in dialog.messages[2].content]
        assert passing or not blamed or changed[0] in blamed
        repeated += passing
        assert not dialog.messages[6].content.startswith(ERROR_START)
        assert check(dialog).kept
    assert 5 < repeated < len(recovered) - 5


def test_a_harder_level_asks_for_more_calls_and_a_simpler_one_for_fewer() -> None:
    def calls(level: int) -> float:
        return sum(len(dialog.messages[1].calls) for dialog in built("parallel", 60, level=level)) / 60

    assert calls(-1) < calls(0) < calls(1) < calls(2)


def test_nobody_says_the_same_twice_in_a_dialog() -> None:
    for kind in TYPES:
        for dialog in dialogs(kind):
            said = [(m.role, m.content) for m in dialog.messages if m.role != "tool" and m.content]
            assert len(set(said)) == len(said)


def test_candidates_that_allow_no_such_dialog_give_none() -> None:
    tools = [tool for tool in everyday_pool()[0] if not tool.returns][:1] or [everyday_pool()[0][0]]
    builder = DialogBuilder(random.Random(0), mix(), ToolLists(tools, 0.5, 1))
    assert builder.build("d", tools, "dependent", {}, "dependent", 1, False) is None
    assert builder.build("d", tools, "non_tool_use", {}, "missing", 1, False) is None or builder.user.droppable(
        tools[0]
    )


def tool(name: str, properties: dict[str, Any], returns: Any = None, **more: Any) -> Tool:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(name, f"Does the work of {name}.", schema, returns, domain="d", **more)


def test_links_need_the_same_words() -> None:
    text = {"type": "string", "description": "Text."}
    first = tool(
        "a", {"city": text}, {"type": "object", "properties": {"booking_code": text, "name": text, "city": text}}
    )
    assert [link[2:] for link in linked(first, tool("b", {"bookingCode": text}))] == [("booking_code", "bookingCode")]
    assert linked(first, tool("b", {"hotel_booking_code": text}))[0][3] == "hotel_booking_code"
    assert linked(first, tool("b", {"name": text})) == []
    assert linked(first, tool("b", {"city": text})) == []  # known from the request already
    assert linked(first, tool("b", {"booking_code": {**text, "enum": ["x"]}})) == []
    assert linked(first, first) == []


def test_pick_follows_the_weights() -> None:
    rng = random.Random(0)
    drawn = [pick(rng, {"a": 3, "b": 1, "c": 0}) for _ in range(2000)]
    assert 0.7 < drawn.count("a") / 2000 < 0.8 and "c" not in drawn


# The tool agent


def test_every_simulated_result_fits_the_return_schema() -> None:
    rng = random.Random(5)
    agent = OfflineTool(rng)
    unmade = 0
    for one in mixed_pool():
        for _ in range(3):
            try:
                value = json.loads(agent.answer(one, Call(one.name, {})))
            except NoValue:
                unmade += 1
                continue
            wrapped = compile_schema({"properties": {"result": one.returns or {}}})
            assert wrapped.errors({"result": value}) == [], one.name
    assert unmade <= 0.02 * 3 * len(mixed_pool())


def test_results_of_everyday_tools_hold_no_names_of_servers() -> None:
    rng = random.Random(6)
    agent = OfflineTool(rng)
    servers = r"(?:blue|green|north|prod|staging|orion|delta|alpha)-(?:server|data|bucket|pipeline|queue|logs|gateway)"
    for one in everyday_pool()[0]:
        for _ in range(5):
            assert not re.search(servers, agent.answer(one, Call(one.name, {}))), one.name


@pytest.mark.parametrize(
    ("name", "member", "domain_word"),
    [("cinemaShowings.listForDay", "cinema", "Odeon Central"), ("departures.boardAt", "gate", "Gate B12")],
)
def test_known_words_get_values_of_their_own_kind(name: str, member: str, domain_word: str) -> None:
    one = next(tool for tool in everyday_pool()[0] if tool.name == name)
    agent = OfflineTool(random.Random(2))
    assert f'"{member}"' in agent.answer(one, Call(name, {}))
    assert any(domain_word in agent.answer(one, Call(name, {})) for _ in range(80))


def test_an_argument_that_comes_back_is_unchanged_and_a_forced_value_is_used() -> None:
    text = {"type": "string"}
    rows = {
        "type": "array",
        "items": {"type": "object", "properties": {"code": text, "on": {**text, "format": "date"}}},
    }
    one = tool("x", {"town": text}, {"type": "object", "properties": {"town": text, "rows": rows}})
    agent = OfflineTool(random.Random(1), error_rate=1.0)
    answer = json.loads(agent.answer(one, Call("x", {"town": "Cork", "on": "no date"}), {"code": "AB-1"}))
    assert answer["town"] == "Cork"
    assert answer["rows"][0]["code"] == "AB-1"
    assert all(row["on"] != "no date" for row in answer["rows"])


def test_array_counts_of_results_are_kept() -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "minItems": 5, "maxItems": 6}
    agent = OfflineTool(random.Random(1))
    for _ in range(20):
        assert 5 <= len(json.loads(agent.answer(tool("x", {}, schema), Call("x", {})))) <= 6


# The assistant agent


def test_summaries_are_clean_text() -> None:
    assistant = OfflineAssistant(random.Random(3))
    results = [("a.b", '{"status": {}, "room": "Hall 2", "rows": [], "ok": true}'), ("c", "14.5")]
    for _ in range(60):
        text = assistant.summarise(results)
        assert "Hall 2" in text and "14.5" in text and "ok: yes" in text
        assert ", ," not in text and "  " not in text and ".." not in text and text[0].isupper()


def test_a_summary_tells_the_good_results_and_the_failed_ones() -> None:
    assistant = OfflineAssistant(random.Random(3))
    text = assistant.summarise([("a", '{"room": "Hall 2"}'), ("b", '{"error": "it is busy"}')])
    assert "Hall 2" in text and "b returned an error: it is busy." in text


@pytest.mark.parametrize(
    ("name", "noun"),
    [("measured_on", 'a value for "measured on"'), ("about", 'a value for "about"'), ("city", "the city")],
)
def test_a_parameter_that_is_no_noun_is_quoted(name: str, noun: str) -> None:
    assistant = OfflineAssistant(random.Random(0))
    text = assistant.ask_for(tool("x.y", {name: {"type": "string"}}), [name])
    assert noun in text and "x.y" in text


def test_topics_are_phrases_of_what_tools_do() -> None:
    assert topic(Tool("x", "Measures how far two cities are. More.", {})) == "measuring how far two cities are"
    assert topic(Tool("a.getThing", "Retrieves " + "very " * 12 + "long.", {})) == '"get thing"'
    assert topic(Tool("mail", "Writes and sends an e-mail.", {})) == "writing and sending an e-mail"
    assert topic(Tool("plan.trip", "Plans a trip.", {})) == "planning a trip"
    assert topic(Tool("x.teamsBySeason", "Teams of a season.", {})) == "getting teams by season"
    assert topic(Tool("x.expm", "Matrix exponential.", {})) == '"expm"'


def test_a_dialog_of_each_type_passes_the_rules() -> None:
    for kind in TYPES:
        bad = [(dialog.id, check(dialog)) for dialog in dialogs(kind) if not check(dialog).kept]
        assert bad == []
