from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from clean_dialogs import FORECAST, ORDER, ROWS, call, calls, dialogs, result, said, user
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.verification.endings import answer_breaks_off, request_breaks_off
from data_gen.verification.registry import CLARITY, CONSISTENCY, CORRECTNESS, EXECUTABILITY, REGISTRY
from data_gen.verification.rules import RULES, check, check_all
from data_gen.verification.schemas import compile_schema
from toolace import Call, Dialog, InputError, Message

Row = dict[str, Any]


def row(id_: str) -> Row:
    return copy.deepcopy(next(row for row in ROWS if row["id"] == id_))


def dialog_of(*messages: Row, tools: tuple[Row, ...] = (FORECAST,), kind: str = "") -> Dialog:
    return Dialog.from_json({"id": "x", "type": kind, "tools": list(tools), "messages": list(messages)})


def rules_of(dialog: Dialog) -> set[str]:
    return {verdict.rule for verdict in check_all(dialog)}


def first_calls(data: Row) -> Row:
    return next(message for message in data["messages"] if message.get("tool_calls"))


def arguments(data: Row) -> dict[str, Any]:
    found: dict[str, Any] = first_calls(data)["tool_calls"][0]["function"]["arguments"]
    return found


def test_every_registered_rule_is_in_the_order_with_an_aspect_of_table_4_and_a_text() -> None:
    assert set(RULES) == set(REGISTRY)
    assert {rule.aspect for rule in RULES.values()} == {CLARITY, EXECUTABILITY, CORRECTNESS, CONSISTENCY}
    assert all(rule.says for rule in RULES.values())


@pytest.mark.parametrize("dialog", dialogs(), ids=lambda dialog: dialog.id)
def test_clean_dialogs_are_kept(dialog: Dialog) -> None:
    assert check_all(dialog) == []
    assert check(dialog).kept


def test_check_gives_the_first_of_what_check_all_gives() -> None:
    data = row("single-1")
    arguments(data).update(days=99, colour="blue")
    found = check_all(Dialog.from_json(data))
    assert check(Dialog.from_json(data)) == found[0]
    assert {"call.no_unknown_parameter", "call.schema", "grounding.value"} <= {verdict.rule for verdict in found}


# One corruption a rule: what is done to a clean row, and the rule that must catch it.
Corruption = Callable[[Row, random.Random], None]


def _empty_turn(data: Row, rng: random.Random) -> None:
    data["messages"][0]["content"] = rng.choice(["", "  ", "\n"])


def _no_assistant(data: Row, rng: random.Random) -> None:
    data["messages"] = [message for message in data["messages"] if message["role"] == "user"][:1]


def _swap_turns(data: Row, rng: random.Random) -> None:
    data["messages"][0], data["messages"][1] = data["messages"][1], data["messages"][0]


def _end_with_user(data: Row, rng: random.Random) -> None:
    data["messages"].append(user("One more thing."))


def _long_answer(data: Row, rng: random.Random) -> None:
    words = [f"word{rng.randrange(10**6)}" for _ in range(900)]
    data["messages"][-1] = said(" ".join(words) + ".")


def _insert(text: str, role: str) -> Corruption:
    def corrupt(data: Row, rng: random.Random) -> None:
        message = rng.choice([m for m in data["messages"] if m["role"] == role and m["content"]])
        at = rng.randrange(len(message["content"]) + 1)
        message["content"] = message["content"][:at] + text + message["content"][at:]

    return corrupt


def _append(text: str, role: str) -> Corruption:
    def corrupt(data: Row, rng: random.Random) -> None:
        message = rng.choice([m for m in data["messages"] if m["role"] == role and m["content"]])
        message["content"] += text

    return corrupt


def _loop(data: Row, rng: random.Random) -> None:
    data["messages"][-1]["content"] += " and so on and on" * rng.randrange(5, 40) + "."


def _cut(data: Row, rng: random.Random) -> None:
    data["messages"][-1] = said("The forecast for the coming week shows rain in the north and")


def _type(kind: str) -> Corruption:
    def corrupt(data: Row, rng: random.Random) -> None:
        data["type"] = kind

    return corrupt


def _tool(change: Callable[[Row], Any]) -> Corruption:
    def corrupt(data: Row, rng: random.Random) -> None:
        data["tools"] = copy.deepcopy(data["tools"])
        change(data["tools"][0])

    return corrupt


def _twice_the_tool(data: Row, rng: random.Random) -> None:
    data["tools"] = [*data["tools"], rng.choice(data["tools"])]


def _rename_call(data: Row, rng: random.Random) -> None:
    first_calls(data)["tool_calls"][0]["function"]["name"] += rng.choice(["s", "_v2", ".get"])


def _drop_required(data: Row, rng: random.Random) -> None:
    del arguments(data)["city"]


def _argument(**changed: Any) -> Corruption:
    def corrupt(data: Row, rng: random.Random) -> None:
        arguments(data).update(changed)

    return corrupt


def _repeat_call(data: Row, rng: random.Random) -> None:
    made = first_calls(data)["tool_calls"]
    made.append(copy.deepcopy(made[0]))


def _call_as_text(data: Row, rng: random.Random) -> None:
    data["messages"][-1] = said(rng.choice(['[weather.forecast(city="Oslo"', "Sure: [weather.forecast(city='Oslo')]"]))


def _drop_result(data: Row, rng: random.Random) -> None:
    places = [i for i, message in enumerate(data["messages"]) if message["role"] == "tool"]
    del data["messages"][rng.choice(places)]


def _rename_result(data: Row, rng: random.Random) -> None:
    next(m for m in data["messages"] if m["role"] == "tool")["name"] = rng.choice(["forecast", "place_order"])


def _swap_results(data: Row, rng: random.Random) -> None:
    made = first_calls(data)["tool_calls"]
    made[0]["id"], made[1]["id"] = "a", "b"
    answers = [m for m in data["messages"] if m["role"] == "tool"]
    answers[0]["tool_call_id"], answers[1]["tool_call_id"] = "b", "a"


def _result(content: str) -> Corruption:
    def corrupt(data: Row, rng: random.Random) -> None:
        next(m for m in data["messages"] if m["role"] == "tool")["content"] = content

    return corrupt


def _bare_refusal(data: Row, rng: random.Random) -> None:
    data["messages"][-1] = said(rng.choice(["I can't do that.", "Sorry, I am unable to help with this."]))


def _user_gives_the_code(data: Row, rng: random.Random) -> None:
    data["messages"][0]["content"] += " It is LIM-204."


def _talk_while_calling(data: Row, rng: random.Random) -> None:
    asked = "Answer only with the calls and do not include any other text."
    data["messages"].insert(0, {"role": "system", "content": asked})
    data["messages"][2]["content"] = "One moment."


def _exchange_ends(data: Row, rng: random.Random) -> None:
    """Two texts, one of them an address, in each other's place."""
    parameters = {
        "type": "object",
        "properties": {
            "sender": {"type": "string", "description": "Who wrote, e.g. ann@example.org."},
            "words": {"type": "string", "description": "Words to look for."},
        },
    }
    data["tools"] = [{"name": "mail.search", "description": "Searches messages.", "parameters": parameters}]
    call = {"sender": "delivery note", "words": "kim@north.io"}
    data["messages"] = [
        user("Find messages about a delivery note from kim@north.io."),
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "mail.search", "arguments": call}}]},
    ]


def _ask_again(data: Row, rng: random.Random) -> None:
    parameters = {
        "type": "object",
        "properties": {"day": {"type": "string", "format": "date", "description": "The day."}},
        "required": ["day"],
    }
    data["tools"] = [{"name": "room.book", "description": "Books a room.", "parameters": parameters}]
    data["messages"] = [user("Book a room on 3 May 2026."), said("To call room.book I need the day. Which one is it?")]


def _cut_request(data: Row, rng: random.Random) -> None:
    data["messages"][0]["content"] = rng.choice(["Weather in São Paulo for 3 days and the", 'Show me "the weather of'])


def _say_twice(data: Row, rng: random.Random) -> None:
    data["messages"][-1]["content"] = "Nothing on offer can do this. " * 2


def _tagged_call(data: Row, rng: random.Random) -> None:
    call = '{"name": "weather.forecast", "arguments": {"city": "Oslo"}}'
    data["messages"][-1] = said(rng.choice([f"<tool_call>{call}</tool_call>", f"Sure. ```json\n{call}\n```", call]))


CORRUPTIONS: tuple[tuple[str, str, Corruption], ...] = (
    ("dialog.fields", "single-1", _empty_turn),
    ("dialog.fields", "none-1", _no_assistant),
    ("dialog.role_order", "single-1", _swap_turns),
    ("dialog.role_order", "none-1", _end_with_user),
    ("dialog.length", "single-1", _long_answer),
    ("dialog.characters", "single-1", _insert("\x07", "assistant")),
    ("dialog.characters", "single-1", _insert("\ufffd", "user")),
    ("dialog.characters", "single-1", _insert("\ud83d", "tool")),
    ("dialog.characters", "single-1", _insert("你好", "assistant")),
    ("dialog.characters", "none-1", _append(" Это невозможно.", "assistant")),
    ("dialog.characters", "single-1", _insert("天気", "user")),
    ("dialog.placeholders", "none-1", _append(" Yours, <your name>.", "assistant")),
    ("dialog.placeholders", "single-1", _append(" It is for {city_name}.", "user")),
    ("dialog.placeholders", "single-1", _append(" Lorem ipsum dolor sit amet.", "assistant")),
    ("dialog.placeholders", "none-1", _append(" TODO add more.", "assistant")),
    ("dialog.placeholders", "none-1", _append(" Best, [Your Name].", "assistant")),
    ("dialog.repetition", "single-1", _loop),
    ("dialog.repetition", "none-1", _append(" " + "aaaaaaaaaaaa", "assistant")),
    ("dialog.complete", "single-1", _cut),
    ("dialog.complete", "none-1", _append("\n```python\nprint(1)", "assistant")),
    ("dialog.prompt_kept", "single-1", _talk_while_calling),
    ("dialog.type", "parallel-1", _type("single")),
    ("dialog.type", "single-1", _type("parallel")),
    ("dialog.type", "single-1", _type("non_tool_use")),
    ("dialog.type", "single-1", _type("dependent")),
    ("dialog.type", "single-1", _type("multi")),
    ("tool.fields", "single-1", _tool(lambda tool: tool["parameters"]["required"].append("town"))),
    ("tool.fields", "single-1", _tool(lambda tool: tool["parameters"].update(type="array"))),
    ("tool.unique_names", "single-1", _twice_the_tool),
    ("tool.described", "single-1", _tool(lambda tool: tool.update(description=""))),
    ("tool.described", "single-1", _tool(lambda tool: tool.update(description="Weather, forecast."))),
    ("tool.schema", "single-1", _tool(lambda tool: tool["parameters"]["properties"]["days"].update(minimum="one"))),
    ("tool.schema", "single-1", _tool(lambda tool: tool["parameters"]["properties"]["city"].update(type="text"))),
    ("tool.schema", "single-1", _tool(lambda tool: tool["parameters"]["properties"]["city"].update(pattern="(["))),
    ("call.readable", "single-1", _call_as_text),
    ("call.name_in_list", "single-1", _rename_call),
    ("call.required_given", "single-1", _drop_required),
    ("call.no_unknown_parameter", "single-1", _argument(town="São Paulo")),
    ("call.no_unknown_parameter", "nested-1", _argument(items=[{"dish": "paella", "quantity": 2, "size": "two"}])),
    ("call.schema", "single-1", _argument(days="3")),
    ("call.schema", "single-1", _argument(days=True)),
    ("call.schema", "single-1", _argument(days=3.5)),
    ("call.schema", "single-1", _argument(days=15)),
    ("call.schema", "single-1", _argument(unit="kelvin")),
    ("call.schema", "single-1", _argument(from_day="2026-02-30")),
    ("call.schema", "single-1", _argument(hourly="false")),
    ("call.schema", "single-1", _argument(city=None)),
    ("call.schema", "nested-1", _argument(items=[])),
    ("call.schema", "nested-1", _argument(items=[{"dish": "paella", "quantity": 0}])),
    ("call.schema", "nested-1", _argument(items=[{"dish": "paella"}])),
    ("call.schema", "nested-1", _argument(budget=0)),
    ("call.schema", "nested-1", _argument(email="guest at example.com")),
    ("call.schema", "nested-1", _argument(table="12")),
    ("call.schema", "nested-1", _argument(at="25:30")),
    ("call.schema", "nested-1", _argument(notes=["no onions", 3])),
    ("call.schema", "nested-1", _argument(level="1")),
    ("call.schema", "nested-1", _argument(budget=float("nan"))),
    ("call.repeated", "parallel-1", _repeat_call),
    ("result.count", "parallel-1", _drop_result),
    ("result.name", "single-1", _rename_result),
    ("result.order", "parallel-1", _swap_results),
    ("result.schema", "single-1", _result('{"city": 5}')),
    ("result.schema", "single-1", _result('{"high": 30}')),
    ("result.schema", "single-1", _result("sunny")),
    ("refusal.has_reason", "none-1", _bare_refusal),
    ("grounding.value", "single-1", _argument(city="Rio de Janeiro")),
    ("grounding.value", "single-1", _argument(days=4)),
    ("grounding.value", "single-1", _argument(unit="fahrenheit")),
    ("grounding.value", "single-1", _argument(from_day="2026-03-15")),
    ("grounding.value", "nested-1", _argument(items=[{"dish": "tortilla", "quantity": 2}])),
    ("grounding.value", "nested-1", _argument(email="ana@example.com")),
    ("grounding.value", "nested-1", _argument(at="20:30")),
    ("grounding.dependent", "dependent-1", _user_gives_the_code),
    ("grounding.exchanged", "single-1", _exchange_ends),
    ("refusal.needed", "single-1", _ask_again),
    ("dialog.complete", "single-1", _cut_request),
    ("dialog.repetition", "none-1", _say_twice),
    ("call.required_given", "single-1", _argument(city=" ")),
    ("call.readable", "single-1", _tagged_call),
)


@pytest.mark.parametrize(("rule", "id_", "corrupt"), CORRUPTIONS)
@pytest.mark.parametrize("seed", range(5))
def test_a_corrupted_dialog_is_caught_by_the_rule_for_it(rule: str, id_: str, corrupt: Corruption, seed: int) -> None:
    data = row(id_)
    corrupt(data, random.Random(seed))
    try:
        dialog = Dialog.from_json(data)
    except InputError:
        pytest.fail("the corruption must leave a dialog")
    assert rule in rules_of(dialog)
    assert not check(dialog).kept


def test_every_rule_has_a_corruption() -> None:
    assert {rule for rule, _, _ in CORRUPTIONS} == set(RULES)


def grounded(text: str, value: Any, schema: Row | None = None, *, system: str = "") -> bool:
    tool = {
        "name": "f",
        "description": "Does something useful.",
        "parameters": {"type": "object", "properties": {"x": schema or {}}},
    }
    before = [{"role": "system", "content": system}] if system else []
    dialog = dialog_of(*before, user(text), calls(call("f", x=value)), tools=(tool,))
    return "grounding.value" not in rules_of(dialog)


SAID = (
    ("Book a table for four", 4),
    ("I have 25,000 to spend", 25000),
    ("It costs $1,234.50 in all", 1234.5),
    ("with 5% interest", 0.05),
    ("with 5 percent interest", 5),
    ("about 2.5 million people", 2_500_000),
    ("a budget of 30k", 30000),
    ("two hundred and fifty grams", 250),
    ("twenty-five guests", 25),
    ("a dozen eggs", 12),
    ("half a kilo", 0.5),
    ("the third floor", 3),
    ("at minus 5 degrees", -5),
    ("at -5 degrees", -5),
    ("in 1/4 of the cases", 0.25),
    ("it weighs 3,5 kg", 3.5),
    ("for an hour", 1),
    ("on the 14th of March 2026", "2026-03-14"),
    ("on March 14th", "2026-03-14"),
    ("by 03/14/2026", "2026-03-14"),
    ("by 14.3.2026", "2026-03-14"),
    ("2026-03-14 at 6:30 pm", "2026-03-14T18:30:00Z"),
    ("in March 2026", "2026-03"),
    ("at half past six", "18:30"),
    ("at noon", "12:00"),
    ("at 9 in the morning, 9 am", "09:00"),
    ("a window seat please", "WINDOW_SEAT"),
    ("a window-seat please", "windowSeat"),
    ("turn on the Wi-Fi", "wifi"),
    ("prices in euros", "EUR"),
    ("it is 20 °C", "celsius"),
    ("a hotel in San Francisco", "San Francisco, CA"),
    ("San Francisco in California", "San Francisco, California"),
    ("flights to München", "Munchen"),
    ("room 12, Hilton Garden", "Hilton Garden, room 12"),
    ("in the United States", "US"),
    ("for 3 nights", "3"),
    ("yes", True),
    ("anything", None),
)


@pytest.mark.parametrize(("text", "value"), SAID)
def test_a_value_said_in_another_way_is_grounded(text: str, value: Any) -> None:
    assert grounded(text, value)


NOT_SAID = (
    ("Book a table for four", 5),
    ("I have 25,000 to spend", 2500),
    ("a budget of 30k", 31000),
    ("on March 14th", "2026-03-15"),
    ("tomorrow", "2026-03-15"),
    ("at 6:30 am", "18:30"),
    ("a window seat please", "aisle_seat"),
    ("flights to Munich", "Berlin"),
    ("flights to Paris", "London, UK"),
    ("prices in euros", "USD"),
    ("my name is Ann", "Ann Miller"),
    ("the area of a circle", "ar"),
)


@pytest.mark.parametrize(("text", "value"), NOT_SAID)
def test_a_value_that_was_not_said_is_not_grounded(text: str, value: Any) -> None:
    assert not grounded(text, value)


def test_a_relative_date_is_grounded_when_the_day_is_known() -> None:
    assert grounded("Remind me tomorrow", "2026-03-15", system="Today is 2026-03-14.")
    assert grounded("Remind me next Friday", "2026-03-20", system="Today is Saturday, March 14, 2026.")
    assert grounded("Remind me in 3 days", "2026-03-17", system="Today is 2026-03-14.")
    assert not grounded("Remind me tomorrow", "2026-03-17", system="Today is 2026-03-14.")


def test_defaults_and_single_options_need_not_be_said() -> None:
    assert grounded("Go on", 20, {"type": "integer", "default": 20})
    assert grounded("Go on", "metric", {"type": "string", "description": "Units (default: metric)."})
    assert grounded("Go on", "v1", {"type": "string", "enum": ["v1"]})
    assert not grounded("Go on", 21, {"type": "integer", "default": 20})


def test_what_the_assistant_proposed_is_grounded_only_when_the_user_agrees() -> None:
    def proposed(reply: str) -> set[str]:
        return rules_of(
            dialog_of(
                user("Forecast please."),
                said("Do you mean Oslo?"),
                user(reply),
                calls(call("weather.forecast", city="Oslo")),
            )
        )

    assert "grounding.value" not in proposed("Yes, please.")
    assert "grounding.value" in proposed("Never mind the place.")


def test_a_message_that_the_assistant_wrote_may_hold_a_quarter_of_its_own_words() -> None:
    text = "Tell Ann that the meeting moves from Monday to Thursday at ten because the room is taken"
    assert grounded(text, "Hi Ann, the meeting moves from Monday to Thursday at ten because the room is taken")
    assert not grounded(text, "Dear colleague, please accept our invitation to a wonderful gala dinner next summer")


def test_json_schema_decides_what_an_integer_is() -> None:
    def kept(days: Any) -> bool:
        return "call.schema" not in rules_of(dialog_of(user("x"), calls(call("weather.forecast", city="x", days=days))))

    assert kept(5) and kept(5.0)
    assert not kept(True) and not kept(5.5) and not kept("5")


def test_multiples_are_decided_in_decimal() -> None:
    schema = compile_schema({"type": "object", "properties": {"x": {"type": "number", "multipleOf": 0.05}}})
    assert schema.errors({"x": 1.4}) == []
    assert schema.errors({"x": 1.42}) != []


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("date", "2024-02-29", "2023-02-29"),
        ("time", "18:30", "6:30 pm"),
        ("time", "18:30:05.5+02:00", "24:00"),
        ("date-time", "2026-03-14T18:30:00Z", "2026-03-14"),
        ("email", "a.b@c.org", "a.b@c"),
        ("uri", "https://example.com/a?b=c", "example.com"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "1::2::3"),
    ],
)
def test_formats(kind: str, right: str, wrong: str) -> None:
    schema = compile_schema({"type": "object", "properties": {"x": {"type": "string", "format": kind}}})
    assert schema.errors({"x": right}) == []
    assert schema.errors({"x": wrong}) != []


HOSTILE: tuple[Row, ...] = (
    {"properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}},
    {"patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False},
    {"properties": {"x": {"$ref": "https://example.com/schema.json"}}},
    {"properties": {"x": {"$ref": "file:///etc/passwd"}}},
    {"properties": {"x": {"$ref": "#"}}, "allOf": [{"$ref": "#"}]},
    {
        "$defs": {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(40)} | {"a40": {}},
        "$ref": "#/$defs/a0",
    },
    {"properties": {"x": {"type": "number", "multipleOf": 1e-300}}},
    {"properties": {"x": {"minLength": 10**400}}},
)


@pytest.mark.parametrize("schema", HOSTILE)
def test_a_hostile_schema_costs_bounded_time_and_is_not_accepted_by_crashing(schema: Row) -> None:
    tool = {"name": "f", "description": "Does something useful.", "parameters": {"type": "object", **schema}}
    start = time.perf_counter()
    for value in ("a" * 60 + "b", 10**300, {"x": {"x": {}}}):
        rules_of(dialog_of(user("go"), calls(call("f", x=value, **{"a" * 60 + "b": 1})), tools=(tool,)))
    assert time.perf_counter() - start < 3


def test_a_pattern_that_takes_too_long_is_not_accepted() -> None:
    schema = compile_schema({"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a|a)*(a+)+$"}}})
    assert schema.errors({"x": "a" * 5000 + "b"}) != []


def test_a_cjk_dialog_may_be_in_its_own_script_and_an_english_one_may_quote_it() -> None:
    chinese = dialog_of(
        user("北京明天的天气怎么样?"), said("抱歉,没有可用的工具,请告诉我您需要什么。"), kind="non_tool_use"
    )
    assert "dialog.characters" not in rules_of(chinese)
    quoted = dialog_of(user('How is "東京" read?'), said("It is read Tōkyō; no tool is needed for 東京."))
    assert "dialog.characters" not in rules_of(quoted)


_SCHEMA_WORDS = {
    "type": st.sampled_from(["string", "integer", "object", "array", "any", 5]),
    "minimum": st.one_of(st.integers(), st.text(max_size=3)),
    "multipleOf": st.integers(-1, 3),
    "required": st.one_of(st.booleans(), st.lists(st.text(max_size=2), max_size=3)),
    "enum": st.one_of(st.none(), st.lists(st.integers(), max_size=3)),
    "pattern": st.text(max_size=6),
    "uniqueItems": st.booleans(),
    "maxLength": st.one_of(st.integers(-2, 5), st.floats(allow_nan=False, allow_infinity=False)),
    "description": st.one_of(st.text(max_size=5), st.integers()),
    "format": st.sampled_from(["date", "uri", "nonsense"]),
    "x-note": st.text(max_size=3),
}
_SCHEMAS = st.recursive(
    st.fixed_dictionaries({}, optional=_SCHEMA_WORDS),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            **_SCHEMA_WORDS,
            "items": inner,
            "properties": st.dictionaries(st.text(max_size=3), inner, max_size=3),
        },
    ),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(_SCHEMAS)
def test_the_quick_look_at_a_schema_agrees_with_the_meta_schema(schema: Row) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    from data_gen.verification.schemas import _plainly_valid

    if _plainly_valid(schema, 0):
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            pytest.fail(f"{schema} was taken for valid: {error.message}")


_TEXTS = st.one_of(
    st.text(max_size=30), st.sampled_from(["[f(", "<city>", "{x}", "```", "Sorry", "2026-13-45", "$", "1e999"])
)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_TEXTS, inner, max_size=4)),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn) -> Dialog:
    """A clean dialog with messages, calls, tools and texts replaced, repeated or lost."""
    dialog = draw(st.sampled_from(dialogs()))
    messages = list(dialog.messages)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(messages) - 1)) if messages else 0
        kind = draw(st.sampled_from(["role", "text", "calls", "drop", "copy", "result", "tool"]))
        if not messages or kind == "tool":
            schema = draw(
                st.dictionaries(st.sampled_from(["type", "properties", "required", "items", "$ref"]), _VALUES)
            )
            tools = [replace(tool, parameters=schema, returns=draw(st.just(schema))) for tool in dialog.tools]
            dialog = replace(dialog, tools=tuple(tools))
        elif kind == "drop":
            del messages[at]
        elif kind == "copy":
            messages.insert(at, messages[draw(st.integers(0, len(messages) - 1))])
        elif kind == "role":
            messages[at] = replace(messages[at], role=draw(st.sampled_from(["system", "user", "assistant", "tool"])))
        elif kind == "text":
            messages[at] = replace(messages[at], content=draw(_TEXTS))
        elif kind == "result":
            messages[at] = Message(
                "tool",
                draw(_TEXTS),
                name=draw(st.one_of(st.none(), _TEXTS)),
                call_id=draw(st.one_of(st.none(), _TEXTS)),
            )
        else:
            names = st.one_of(_TEXTS, st.sampled_from(["weather.forecast", "place_order"]))
            given_names = st.one_of(_TEXTS, st.sampled_from(["city", "days", "items", "at"]))
            made = draw(st.lists(st.builds(Call, names, st.dictionaries(given_names, _VALUES, max_size=4)), max_size=3))
            messages[at] = replace(messages[at], calls=tuple(made), call_ids=tuple(f"c{i}" for i in range(len(made))))
    return replace(dialog, messages=tuple(messages), type=draw(st.sampled_from([dialog.type, "dependent", "", "x"])))


@settings(max_examples=400, deadline=None)
@given(mutated())
def test_no_dialog_makes_the_rules_crash(dialog: Dialog) -> None:
    found = check_all(dialog)
    assert check(dialog).kept == (not found)
    for verdict in found:
        assert verdict.rule in RULES and verdict.evidence and not verdict.kept


def test_deep_and_huge_values_are_judged_in_bounded_time() -> None:
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    huge = 10**5_000
    start = time.process_time()  # other work on the machine is not ours to bound
    for value in (deep, huge, "a" * 1_000_000, [1] * 50_000, {"k": "v" * 200_000}, "[a(" * 100_000, "1,234" * 50_000):
        dialog = dialog_of(user("go"))
        made = Message("assistant", calls=(Call("weather.forecast", {"city": value}),), call_ids=("c",))
        assert check_all(replace(dialog, messages=(*dialog.messages, made)))
        text = value if isinstance(value, str) else "go"
        check_all(replace(dialog, messages=(Message("user", text), Message("assistant", text), made)))
    assert time.process_time() - start < 30


def test_a_thousand_dialogs_a_second() -> None:
    sample = dialogs() * 50
    for dialog in sample[:10]:
        check(dialog)
    start = time.process_time()
    assert all(check(dialog).kept for dialog in sample)
    # Half of the target, so that a busy machine does not fail it.
    assert len(sample) / (time.process_time() - start) > 500


def test_result_of_a_tool_that_returns_text_may_be_plain_text() -> None:
    tool = {**ORDER, "returns": {"type": "string"}}
    data = row("nested-1")
    data["tools"] = [tool]
    for content in ("Order 5 is on its way", "5", '"quoted"'):
        made = Dialog.from_json(
            {**data, "messages": [*data["messages"], result("place_order", content), said("It is on its way.")]}
        )
        assert "result.schema" not in rules_of(made)


def test_a_definition_of_a_megabyte_is_refused_in_an_instant() -> None:
    def nested(depth: int) -> Row:
        return {"oneOf": [nested(depth - 1)] * 2} if depth else {"type": "string", "description": "x" * 80}

    schema = {"type": "object", "properties": {"a": nested(13)}}
    started = time.perf_counter()
    assert "characters, more than" in compile_schema(schema).problem
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("text", "breaks"),
    [
        ("The forecast for Oslo shows ra", True),
        ("Here is what I found: total 42", True),
        ('He said "that it', True),
        ("According to weather.fore", True),
        ("The result is: ", True),
        ("It will rain.", False),
        ("Forty-two", False),
        ("Johann Sebastian Bach", False),
        ("I found:\n- Oslo\n- Bergen", False),
        ("The page is https://example.org/a", False),
        ("明天会下雨", False),
        ("Name: Oslo\nHigh: 4 degrees", False),
    ],
)
def test_where_an_answer_breaks_off(text: str, breaks: bool) -> None:
    assert answer_breaks_off(text) == breaks


@pytest.mark.parametrize("text", ["weather in oslo", "what is it for", 'My screen is 24" wide', "it failed :-("])
def test_requests_may_lack_their_full_stop(text: str) -> None:
    assert not request_breaks_off(text)


@pytest.mark.parametrize(
    ("text", "value", "definition", "said"),
    [
        ("Meet on 3 May 2024.", "2024-05-03", {"type": "string"}, True),
        ("Meet on 3 May 2024.", "2024-03-05", {"type": "string"}, False),
        ("Book it for 2024-05-17.", 17, {"type": "integer", "description": "Number of guests."}, False),
        ("Book it for 2024-05-17.", 17, {"type": "integer", "description": "Day of the month."}, True),
        ("Book it for 17 people on 2024-05-17.", 17, {"type": "integer", "description": "Number of guests."}, True),
        ("Send it to Oslo.", True, {"type": "boolean", "description": "Whether to add insurance."}, False),
        ("Send it to Oslo, insured.", True, {"type": "boolean", "description": "Whether to add insurance."}, True),
    ],
)
def test_figures_of_dates_and_switches_want_words_of_their_own(
    text: str, value: Any, definition: Row, said: bool
) -> None:
    assert grounded(text, value, definition) == said
