from __future__ import annotations

import time
from typing import Any

import pytest
from llm_double import LlmDouble

from toolace.chat import Choice
from toolace.errors import InputError
from toolace.structured import (
    SHOWN_LIMIT,
    TEXT_LIMIT,
    AnswerSchema,
    Fault,
    find_json,
    read_choice,
    repair,
    split_thought,
    with_demand,
)

VERDICT = AnswerSchema(
    "verdict",
    {
        "type": "object",
        "properties": {"kept": {"type": "boolean"}, "evidence": {"type": "string", "maxLength": 40}},
        "required": ["kept", "evidence"],
        "additionalProperties": False,
    },
)
GOOD = '{"kept": true, "evidence": "said in turn 1"}'


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("plain", "", "plain"),
        ("<think>well\nnow</think>\n\n42", "well\nnow", "42"),
        ("  <thinking>a</thinking>b", "a", "b"),
        ("the template opened it</think> 42", "the template opened it", "42"),
        ("<think>never closed", "never closed", ""),
        ("<think></think>42", "", "42"),
        ('{"text": "a </think> in a value"}', "", '{"text": "a </think> in a value"}'),
        ("no <think> in the middle", "", "no <think> in the middle"),
    ],
)
def test_the_thought_is_split_from_the_answer(text: str, thought: str, answer: str) -> None:
    assert split_thought(text) == (thought, answer)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"Here it is:\n\n```\n{GOOD}\n```\nAnything else?",
        f"Sure! {GOOD} I hope this {{helps}}.",
        f"The set {{a, b}} and the list [1, 2] come first. {GOOD}",
        f"<think>is it {{kept}}?</think>{GOOD}",
    ],
)
def test_json_is_found_where_models_put_it(text: str) -> None:
    read = read_choice(text, "", "stop", VERDICT)
    assert isinstance(read, Choice)
    assert read.parsed == {"kept": True, "evidence": "said in turn 1"}


@pytest.mark.parametrize(
    ("text", "finish_reason", "reason", "detail"),
    [
        ("", "stop", "empty", "empty"),
        ("<think>all of it</think>", "stop", "empty", "empty"),
        (GOOD, "length", "truncated", "cut off"),
        (GOOD, "content_filter", "filtered", "filter"),
        ("I think it is fine.", "stop", "not_json", "not JSON"),
        (GOOD[:-1], "stop", "not_json", "not JSON"),
        ('{"kept": NaN, "evidence": ""}', "stop", "not_json", "NaN"),
        ('{"kept": 1e999, "evidence": ""}', "stop", "not_json", "too large"),
        ("[" * 100_000, "stop", "not_json", "nested"),
        ('{"kept": "yes", "evidence": ""}', "stop", "schema", "['kept']: 'yes' is not of type 'boolean'"),
        ('{"kept": true}', "stop", "schema", "'evidence' is a required property"),
        ('{"kept": true, "evidence": "", "more": 1}', "stop", "schema", "'more' was unexpected"),
        ("[1, 2]", "stop", "schema", "not of type 'object'"),
        ("x" * (TEXT_LIMIT + 1), "stop", "too_long", "characters"),
    ],
)
def test_each_fault_is_named(text: str, finish_reason: str, reason: str, detail: str) -> None:
    fault = read_choice(text, "", finish_reason, VERDICT)
    assert isinstance(fault, Fault)
    assert fault.reason == reason and detail in fault.detail
    assert len(fault.detail) < 400 and "\n" not in fault.detail


def test_plain_text_needs_no_json_but_has_to_be_whole() -> None:
    assert read_choice("Hello.", "", "stop", None) == Choice("Hello.")
    assert isinstance(read_choice("Hel", "", "length", None), Fault)


def test_a_thought_that_came_apart_leaves_the_text_alone() -> None:
    assert read_choice("<think>text</think>", "real", "stop", None) == Choice("<think>text</think>", None, "real")


def test_a_check_of_the_caller_s_own_is_a_fault_too() -> None:
    schema = AnswerSchema("even", {"type": "integer"}, check=lambda value: "" if value % 2 == 0 else f"{value} is odd")
    assert read_choice("4", "", "stop", schema) == Choice("4", 4)
    assert read_choice("5", "", "stop", schema) == Fault("refused_by_check", "5 is odd")


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "pattern": "^(a+)+$"}, '"' + "a" * 40 + '!"'),
        ({"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}, '{"' + "a" * 40 + '!": 1}'),
        ({"type": "array", "uniqueItems": True}, "[" + ",".join(f'{{"a":{i}}}' for i in range(60_000)) + "]"),
        ({}, '{"a":' * 50_000),
        ({}, "{ [" * 300_000),
        ({}, "<think>" * 100_000 + "</think" * 40_000),
        ({}, "1" * 900_000),
    ],
)
def test_hostile_answers_are_judged_in_bounded_time(schema: dict[str, Any], text: str) -> None:
    start = time.perf_counter()
    read_choice(text, "", "stop", AnswerSchema("hostile", schema))
    assert time.perf_counter() - start < 2


def test_repeated_items_are_seen() -> None:
    schema = AnswerSchema("list", {"type": "array", "uniqueItems": True})
    fault = read_choice('[{"a": 1, "b": 2}, {"b": 2, "a": 1}]', "", "stop", schema)
    assert isinstance(fault, Fault) and "twice" in fault.detail


@pytest.mark.parametrize("reference", ["https://example.com/schema.json", "#/$defs/missing", "#"])
def test_references_are_never_fetched_and_never_endless(reference: str) -> None:
    fault = read_choice('{"a": 1}', "", "stop", AnswerSchema("ref", {"$ref": reference}))
    assert isinstance(fault, Fault) and "cannot be applied" in fault.detail


def test_a_schema_makes_no_request() -> None:
    with LlmDouble() as double:
        read_choice('{"a": 1}', "", "stop", AnswerSchema("ref", {"$ref": f"{double.url}/models"}))
        assert not double.statuses


def test_bad_schemas_are_found_when_they_are_made() -> None:
    with pytest.raises(InputError, match="no JSON Schema"):
        AnswerSchema("wrong", {"type": "strin"})
    with pytest.raises(InputError, match="not accepted by servers"):
        AnswerSchema("a name with spaces", {})


def test_strict_is_asked_for_only_where_servers_allow_it() -> None:
    def strict(schema: dict[str, Any]) -> bool:
        return bool(AnswerSchema("s", schema).response_format["json_schema"]["strict"])

    assert strict(VERDICT.schema)
    assert not strict({"type": "object", "properties": {"a": {}}, "additionalProperties": False})
    assert not strict({"type": "object", "properties": {"a": {}}, "required": ["a"]})
    assert not strict({"type": "array", "items": {"type": "object"}})


def test_the_demand_goes_into_the_one_system_message() -> None:
    question = {"role": "user", "content": "Well?"}
    assert with_demand([question], VERDICT) == [{"role": "system", "content": VERDICT.demand}, question]
    system = {"role": "system", "content": "Be brief."}
    both = with_demand([system, question], VERDICT)
    assert [m["role"] for m in both] == ["system", "user"]
    assert both[0]["content"].startswith("Be brief.") and both[0]["content"].endswith(VERDICT.text)
    assert system["content"] == "Be brief."


def test_a_repair_shows_the_answer_and_says_what_is_wrong() -> None:
    shown, said = repair("x" * 10_000, Fault("schema", "'a' is a required property"), VERDICT)
    assert shown["role"] == "assistant" and len(shown["content"]) < SHOWN_LIMIT + 20
    assert said["role"] == "user" and "'a' is a required property" in said["content"]
    assert VERDICT.text in said["content"]
    shown, said = repair(" ", Fault("truncated", "cut off"), None)
    assert shown["content"] and "shorter" in said["content"]


def test_the_first_object_is_taken_and_numbers_in_brackets_are_not() -> None:
    assert find_json('As in [1], take {"a": 1} or {"a": 2}.') == {"a": 1}
    with pytest.raises(ValueError, match="Expecting value"):
        find_json("As in [1] and [2].")
