"""A dialog survives every row format, and rows of our own come back byte for byte."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolace import Call, Dialog, InputError, Message, Tool, parse_calls
from toolace.dialogs import number_calls
from toolace.formats import DEFAULT_PROMPT, FORMATS, STYLES, detect, from_any, read_any, system_text, write_tools
from toolace.rows import dumps, write_rows

WEATHER = Tool(
    "Weather.now (EU)",
    'Tells the "weather" now, ö.',
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "City, e.g. Zürich."},
            "days": {"type": "number", "default": 1.5},
            "where": {"type": "object", "properties": {"type": {"type": "array", "items": {"type": "number"}}}},
        },
        "required": ["city"],
    },
    {"type": "object", "properties": {"high": {"type": "number"}}},
)
CLOCK = Tool("clock", "", {"type": "object", "properties": {}})


def dialog(*messages: Message, tools: tuple[Tool, ...] = (WEATHER, CLOCK), **more: Any) -> Dialog:
    return Dialog("d-1", "parallel", tools, number_calls(messages), more)


EXAMPLE = dialog(
    Message("system", "Be brief."),
    Message("user", "Weather in Bern and Rome?"),
    Message("assistant", "Let me look.", (Call(WEATHER.name, {"city": "Bern"}), Call("clock", {"odd key": [1, None]}))),
    Message("tool", '{"high": 3.0}', name=WEATHER.name),
    Message("tool", "12:30", name="clock"),
    Message("assistant", "3 degrees [1] at 12:30."),
    Message("user", "And Rome?"),
    Message("assistant", "", (Call(WEATHER.name, {"city": "Rome"}),)),
    Message("tool", "no answer", name=WEATHER.name),
    Message("assistant", "No idea.\nSorry."),
    seed=7,
)


def same(a: Dialog, b: Dialog) -> None:
    assert [t.to_function() for t in a.tools] == [t.to_function() for t in b.tools]
    assert a.messages == b.messages
    assert a.meta.get("prompt") == b.meta.get("prompt")


# --- every format ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_a_dialog_comes_back_the_same(name: str) -> None:
    row = json.loads(dumps(FORMATS[name].to_row(EXAMPLE)))
    back = FORMATS[name].from_row(row)
    same(EXAMPLE, back)
    same(EXAMPLE, from_any(row))
    assert detect(row).name == name
    if name != "toolace":
        assert (back.id, back.type, back.meta) == ("d-1", "parallel", {"seed": 7})


@pytest.mark.parametrize("name", FORMATS)
def test_toolace_rows_of_our_own_come_back_byte_for_byte(name: str) -> None:
    for style in STYLES:
        prompt = {"before": "Use these:\n", "after": "\nThank you.", "style": style}
        own = FORMATS["toolace"].to_row(dialog(*EXAMPLE.messages[1:], prompt=prompt))
        there = FORMATS[name].to_row(from_any(own))
        assert FORMATS["toolace"].to_row(from_any(json.loads(dumps(there)))) == own


# A few characters that mean something in one of the forms, and any others.
TEXT = st.text(max_size=30) | st.lists(
    st.sampled_from(["[", "f(a=1)", "]", "\n", "<tool_call>", "</tool_call>", "<tools>", "{}", '"', "é", " ", "[1]"]),
    max_size=6,
).map("".join)  # fmt: skip
LINE = TEXT.map(lambda text: " ".join(text.split()) or "x")
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | TEXT
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(LINE, v, max_size=3), max_leaves=6)
NAMES = st.sampled_from(["get", "a.b", "Get Stock (US)", "Driver's Check", "v1/x"])
SCHEMAS = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "number", "integer", "boolean"])},
    optional={"description": TEXT, "default": VALUES, "enum": st.lists(SCALARS, min_size=1, max_size=3)},
)
OBJECTS = st.fixed_dictionaries(
    {"type": st.just("object"), "properties": st.dictionaries(LINE, SCHEMAS, max_size=3)},
    optional={"required": st.lists(LINE, max_size=2)},
)
TOOLS = st.builds(Tool, NAMES, TEXT, OBJECTS, st.none() | OBJECTS)
CALLS = st.lists(st.builds(Call, NAMES, st.dictionaries(LINE, VALUES, max_size=3)), min_size=1, max_size=3).map(tuple)
RESULTS = TEXT | VALUES.map(lambda value: json.dumps(value, ensure_ascii=False)) | VALUES.map(json.dumps)


def reads_as_calls(text: str) -> bool:
    """The documented limit: content that is itself the text of calls."""
    last = text.rpartition("\n")[2]
    return parse_calls(last).ok or parse_calls(text).ok or "<tool_call>" in text


@st.composite
def dialogs(draw: st.DrawFn) -> Dialog:
    messages = [Message("system", draw(LINE))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        messages.append(Message("user", draw(TEXT)))
        if draw(st.booleans()):
            calls = draw(CALLS)
            beside = TEXT.filter(lambda text: "<tool_call>" not in text)
            messages.append(Message("assistant", draw(st.just("") | beside), calls))
            answered = draw(st.permutations(range(len(calls))))[: draw(st.integers(0, len(calls)))]
            messages.extend(Message("tool", draw(RESULTS), name=calls[i].name) for i in answered)
        messages.append(Message("assistant", draw(TEXT.filter(lambda text: not reads_as_calls(text)))))
    meta: dict[str, Any] = {"seed": draw(st.integers())}
    tools = tuple(draw(st.lists(TOOLS, max_size=3)))
    if tools and messages[0].role == "user" and draw(st.booleans()):
        before = draw(LINE.filter(lambda text: "[" not in text and "{" not in text)) + "\n"
        meta["prompt"] = {"before": before, "after": draw(TEXT), "style": draw(st.sampled_from(list(STYLES)))}
        if meta["prompt"]["style"] == "json_lines":
            meta["prompt"]["after"] = "\nEnd."
    return Dialog(draw(LINE), draw(st.sampled_from(["", "single"])), tools, number_calls(messages), meta)


@pytest.mark.parametrize("name", FORMATS)
@given(made=dialogs())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_any_dialog_survives_every_format(name: str, made: Dialog) -> None:
    row = json.loads(dumps(FORMATS[name].to_row(made)))
    back = FORMATS[name].from_row(row)
    same(made, back)
    own = FORMATS["toolace"].to_row(back)
    assert dumps(own) == dumps(FORMATS["toolace"].to_row(made))
    if name != "toolace":
        assert (back.id, back.type, back.meta) == (made.id, made.type, made.meta)


# --- toolace ---------------------------------------------------------------------------------------------------------


def test_a_toolace_row_is_system_and_conversations_with_calls_as_text() -> None:
    row = FORMATS["toolace"].to_row(EXAMPLE)
    assert list(row) == ["system", "conversations"]
    assert row["system"].startswith("Be brief.\n\n" + DEFAULT_PROMPT["before"] + '[{"name": "Weather.now (EU)"')
    assert '"type": "dict"' in row["system"] and '"type": "object"' not in row["system"]
    assert row["conversations"][1:3] == [
        {
            "from": "assistant",
            "value": 'Let me look.\n[Weather.now (EU)(city="Bern"), clock(**{"odd key": [1, None]})]',
        },
        {
            "from": "tool",
            "value": '[{"name": "Weather.now (EU)", "results": {"high": 3.0}}, {"name": "clock", "results": "12:30"}]',
        },
    ]


def published(listed: str) -> dict[str, Any]:
    """A row in the shape of the published data set (contents are ours)."""
    return {
        "system": f"You are an assistant. Example: [1, 2] and [{{'x': 1}}].\nHere are the functions:\n{listed}\nObey.",
        "conversations": [
            {"from": "user", "value": "Trends?"},
            {"from": "assistant", "value": "[Market Trends(kind=\"A\", country='us')]"},
            {"from": "tool", "value": '[{"name": "Market Trends", "results": {"n": [1, 2]}}]'},
            {"from": "assistant", "value": "Here they are."},
            {"from": "user", "value": "More"},
            {"from": "assistant", "value": "[Market Trends(kind=A)]"},
            {"from": "tool", "value": "plain result"},
        ],
    }


LISTED = (
    '[{"name": "Market Trends", "description": "d", "parameters": {"type": "dict", '
    '"properties": {"kind": {"type": "tuple"}}}, "required": null}]'
)


def test_a_published_row_keeps_its_own_system_text_byte_for_byte() -> None:
    row = published(LISTED)
    read = from_any(row)
    assert read.tools == (Tool("Market Trends", "d", {"type": "object", "properties": {"kind": {"type": "array"}}}),)
    assert read.meta["prompt"]["style"] == "verbatim"
    assert FORMATS["toolace"].to_row(read)["system"] == row["system"]
    assert read.messages[1].calls == (Call("Market Trends", {"kind": "A", "country": "us"}),)
    assert (read.messages[2].content, read.messages[2].call_id) == ('{"n": [1, 2]}', "call_0")
    assert (read.messages[5].content, read.messages[5].calls) == ("[Market Trends(kind=A)]", ())
    assert read.messages[6] == Message("tool", "plain result")


def test_a_verbatim_list_is_not_shown_once_the_tools_have_changed() -> None:
    read = from_any(published(LISTED))
    changed = dataclasses.replace(read, tools=(CLOCK,))
    assert write_tools((CLOCK,), "json") in system_text(changed)
    assert "Market Trends" not in system_text(changed)


@pytest.mark.parametrize("style", STYLES)
def test_the_style_of_a_tool_list_is_recognised(style: str) -> None:
    read = from_any(published(write_tools((WEATHER, CLOCK), style)))
    assert read.meta["prompt"]["style"] == style
    assert read.meta["prompt"]["after"] == "\nObey."
    assert [tool.to_function() for tool in read.tools] == [WEATHER.to_function(), CLOCK.to_function()]


def test_the_styles_are_what_the_benchmarks_prompts_use() -> None:
    documents = [CLOCK.to_dialect()]
    assert documents[0]["parameters"]["type"] == "dict"
    assert write_tools((CLOCK,), "json") == json.dumps(documents)
    assert write_tools((CLOCK,), "json_indent4") == json.dumps(documents, indent=4)
    assert write_tools((CLOCK,), "repr") == str(documents)
    assert write_tools((CLOCK,), "json_schema") == json.dumps([CLOCK.to_function()])
    assert write_tools((CLOCK, CLOCK), "json_lines") == "\n".join([json.dumps(documents[0])] * 2)


@pytest.mark.parametrize(
    "system",
    ["Be brief.", "", 'Answer like [{"name": "f", "results": 1}].', "Use [{'a': b + 1}]", '[{"name": ""}] []', "[{",
     '[{"name": "f", "parameters": 3}]', '[{"x": NaN}]', "{not json}\n{", "[{'name': 'f', 'description': d}]"],
)  # fmt: skip
def test_a_system_text_without_tools_is_a_plain_message(system: str) -> None:
    row = {"system": system, "conversations": [{"from": "user", "value": "Hi"}]}
    read = from_any(row)
    assert read.tools == ()
    assert read.messages == ((Message("system", system),) if system else ()) + (Message("user", "Hi"),)
    assert FORMATS["toolace"].to_row(read) == row


def test_a_system_turn_and_a_tools_column_are_read_too() -> None:
    turns = [{"from": "system", "value": "Be brief."}, {"from": "user", "value": "Hi"}]
    read = from_any({"conversations": turns, "tools": json.dumps([CLOCK.to_openai()])})
    assert (read.messages[0], read.tools) == (Message("system", "Be brief."), (CLOCK,))


def test_the_prompt_of_a_dialog_without_tools_is_written() -> None:
    prompt = {"before": "Tools: ", "after": ".", "style": "json"}
    assert system_text(dialog(Message("user", "Hi"), tools=(), prompt=prompt)) == "Tools: []."
    assert system_text(dialog(Message("user", "Hi"), tools=())) == ""


def test_the_default_list_is_found_behind_a_plain_text_that_lists_tools_itself() -> None:
    plain = f"Ignore {write_tools((WEATHER,), 'json')}."
    made = dialog(Message("system", plain), Message("user", "Hi"), tools=(CLOCK,))
    same(made, from_any(FORMATS["toolace"].to_row(made)))


def test_the_default_prompt_in_another_style_is_told_from_the_plain_text() -> None:
    prompt = {**DEFAULT_PROMPT, "style": "json_lines"}
    made = dialog(Message("system", "Be brief."), Message("user", "Hi"), prompt=prompt)
    same(made, from_any(FORMATS["toolace"].to_row(made)))


@pytest.mark.parametrize("prompt", [{"before": "x"}, "text", {**DEFAULT_PROMPT, "style": "toml"}])
def test_a_broken_prompt_is_an_error_that_names_the_dialog(prompt: Any) -> None:
    with pytest.raises(InputError, match=r"d-1: .*prompt"):
        FORMATS["toolace"].to_row(dialog(Message("user", "Hi"), prompt=prompt))


def test_a_call_that_cannot_be_written_as_text_is_an_error_that_names_the_dialog() -> None:
    with pytest.raises(InputError, match=r"d-1: .*cannot be written"):
        FORMATS["toolace"].to_row(dialog(Message("assistant", "", (Call('a"b', {}),))))


# --- trl -------------------------------------------------------------------------------------------------------------


def test_a_trl_row_holds_openai_messages_and_tools() -> None:
    row = FORMATS["trl"].to_row(EXAMPLE)
    assert list(row) == ["messages", "tools", "id", "type", "meta"]
    assert row["tools"][1] == {"type": "function", "function": CLOCK.to_function()}
    assert row["messages"][2]["tool_calls"][1] == {
        "id": "call_1",
        "type": "function",
        "function": {"name": "clock", "arguments": {"odd key": [1, None]}},
    }
    assert row["messages"][4] == {"role": "tool", "content": "12:30", "tool_call_id": "call_1", "name": "clock"}


def test_openai_rows_with_arguments_as_text_are_read() -> None:
    row = FORMATS["trl"].to_row(EXAMPLE)
    for message in row["messages"]:
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    texts = {"messages": json.dumps(row["messages"]), "tools": [json.dumps(tool) for tool in row["tools"]]}
    same(EXAMPLE, from_any(row))
    same(EXAMPLE, from_any(texts))
    same(EXAMPLE, from_any(EXAMPLE.to_json()))
    assert from_any({"messages": [], "tools": "", "id": None, "meta": None}) == Dialog("", "", (), ())


SECOND = dataclasses.replace(
    dialog(
        Message("user", "Hi"), Message("assistant", "", (Call("clock", {"zone": {"b": 1}, "n": "3"}),)), tools=(CLOCK,)
    ),
    id="d-2",
)


@pytest.mark.parametrize("name", FORMATS)
def test_rows_survive_the_datasets_library(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    rows = [FORMATS[name].to_row(item) for item in (EXAMPLE, SECOND)]
    write_rows(tmp_path / "rows.jsonl", rows)
    loaded = datasets.load_dataset(
        "json", data_files=str(tmp_path / "rows.jsonl"), cache_dir=str(tmp_path), split="train"
    )
    for data in (loaded, datasets.Dataset.from_list(rows, on_mixed_types="use_json")):
        for item, row in zip((EXAMPLE, SECOND), data, strict=True):
            same(item, from_any(row))
            if name != "toolace":
                assert from_any(row).meta == item.meta


# --- sharegpt --------------------------------------------------------------------------------------------------------


def test_a_sharegpt_row_alternates_as_llama_factory_demands() -> None:
    row = FORMATS["sharegpt"].to_row(EXAMPLE)
    assert [turn["from"] for turn in row["conversations"]] == [
        "human", "function_call", "observation", "gpt", "human", "function_call", "observation", "gpt",
    ]  # fmt: skip
    assert row["system"] == "Be brief."
    assert json.loads(row["tools"]) == [WEATHER.to_function(), CLOCK.to_function()]
    assert json.loads(row["conversations"][5]["value"]) == {"name": WEATHER.name, "arguments": {"city": "Rome"}}
    assert row["conversations"][6]["value"] == "no answer"
    assert row["meta"]["sharegpt"] == {"contents": {"1": "Let me look."}}
    assert FORMATS["sharegpt"].to_row(dialog(Message("user", "Hi"), tools=()))["tools"] == ""


def test_a_single_result_that_would_be_read_differently_is_written_with_its_name() -> None:
    made = dialog(
        Message("assistant", "", (Call("clock", {}), Call("get", {}))),
        Message("tool", '[{"name": "x", "results": 1}]', name="get"),
        Message("user", "Hm"),
        Message("tool", "late", name="get"),
        Message("assistant", "", (Call("clock", {}),)),
        Message("tool", '[{"name": "x", "results": 1}]', name="clock"),
    )
    row = FORMATS["sharegpt"].to_row(made)
    assert [json.loads(row["conversations"][turn]["value"])[0]["name"] for turn in (1, 3, 5)] == ["get", "get", "clock"]
    same(made, from_any(row))


def test_a_second_answer_to_an_answered_call_is_not_tied_to_the_next_call() -> None:
    made = dialog(
        Message("assistant", "", (Call("clock", {}), Call("get", {}))),
        Message("tool", "1", name="clock"),
        Message("user", "Hm"),
        Message("tool", "2", name="clock"),
    )
    assert made.messages[3].call_id is None
    same(made, from_any(FORMATS["sharegpt"].to_row(made)))


def test_the_speakers_of_other_data_sets_are_read() -> None:
    turns = [("human", "Hi"), ("function_call", '[{"name": "f", "arguments": "{}"}]'), ("function", "1"), ("gpt", "ok")]
    read = from_any({"conversations": [{"from": who, "value": text} for who, text in turns], "tools": None})
    assert [message.role for message in read.messages] == ["user", "assistant", "tool", "assistant"]
    assert (read.messages[1].calls, read.messages[2].name) == ((Call("f", {}),), "f")


# --- hermes ----------------------------------------------------------------------------------------------------------


def test_a_hermes_row_holds_tagged_blocks() -> None:
    turns = FORMATS["hermes"].to_row(EXAMPLE)["conversations"]
    assert [turn["from"] for turn in turns] == ["system", "human", "gpt", "tool", "gpt", "human", "gpt", "tool", "gpt"]
    assert turns[0]["value"].startswith("Be brief.\n\n")
    assert json.dumps(CLOCK.to_openai()) + "\n</tools>" in turns[0]["value"]
    assert turns[2]["value"].startswith(
        'Let me look.\n<tool_call>\n{"name": "Weather.now (EU)", "arguments": {"city": "Bern"}}\n</tool_call>\n<tool_'
    )
    assert turns[3]["value"].startswith('<tool_response>\n{"name": "Weather.now (EU)", "content": {"high": 3.0}}\n')


def hermes(system: str, answer: str, result: str = "<tool_response>\n3\n</tool_response>") -> dict[str, Any]:
    turns = [("system", system), ("human", "Hi"), ("gpt", answer), ("tool", result)]
    return {"conversations": [{"from": who, "value": text} for who, text in turns]}


def test_other_peoples_hermes_rows_are_read_and_keep_their_wording() -> None:
    system = (
        f"Call <tools> thus: <tools> [{json.dumps(CLOCK.to_openai())}, {json.dumps(CLOCK.to_function())}] </tools> Bye."
    )
    answer = "<think>x</think>\n<tool_call>\n{'name': 'clock', 'arguments': {'a': True}}\n</tool_call>\n"
    read = from_any(hermes(system, answer))
    assert read.tools == (CLOCK, CLOCK)
    assert read.messages[0] == Message("user", "Hi")
    assert read.messages[1].calls == (Call("clock", {"a": True}),)
    assert read.messages[1].content == "<think>x</think>"
    assert read.messages[2].content == "<tool_response>\n3\n</tool_response>"
    written = FORMATS["hermes"].to_row(read)["conversations"][0]["value"]
    assert written.startswith("Call <tools> thus: <tools>") and written.endswith("</tools> Bye.")
    assert from_any({"conversations": [{"from": "system", "value": written}]}).tools == (CLOCK, CLOCK)


@pytest.mark.parametrize(
    "answer",
    ["<tool_call>", "<tool_call>{}</tool_call>", '<tool_call>{"name": "f"}</tool_call> and more',
     "<tool_call>{x</tool_call>",
     '<tool_call>{"name": "f"}'],
)  # fmt: skip
def test_broken_blocks_stay_text(answer: str) -> None:
    assert from_any(hermes("<tools>{}</tools>", answer)).messages[2] == Message("assistant", answer)


@pytest.mark.parametrize(
    "system", ["<tools></tools>", "<tools>{x}</tools>", '<tools>{"name": 1}</tools>', '<tools>{"name": "f"} x']
)
def test_a_tools_tag_without_tools_is_plain_text(system: str) -> None:
    assert from_any(hermes(system, "ok")).messages[0] == Message("system", system)


# --- finding out, files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", ["x \n", "\n", " ", "[f(a=1)]", "[f(a=1)]\n", "a\n[1]"])
def test_text_beside_calls_is_kept_to_the_last_space(name: str, content: str) -> None:
    made = dialog(Message("user", "Hi"), Message("assistant", content, (Call("clock", {}),)))
    same(made, FORMATS[name].from_row(FORMATS[name].to_row(made)))


def test_talk_about_tags_does_not_make_a_hermes_row() -> None:
    turns = [{"from": "user", "value": "What is <tools>?"}, {"from": "assistant", "value": "Like <tool_call>."}]
    assert detect({"system": "", "conversations": turns}).name == "toolace"
    assert detect({"conversations": [{"from": "human", "value": "<tools>"}]}).name == "sharegpt"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"query": "x", "answers": "y"}, "columns query, answers"),
        ({}, "columns none"),
        ([1], "a row with list"),
        ({"conversations": 3}, "not a list"),
        ({"conversations": "{"}, "not JSON"),
        ({"conversations": [3]}, "turn 1 is a int"),
        ({"conversations": [{"from": "bot", "value": "x"}]}, "turn 1 is from 'bot'"),
        ({"conversations": [{"from": "user", "value": None}]}, "turn 1 holds a NoneType"),
        ({"conversations": [{"from": "function_call", "value": "f()"}]}, "turn 1 is a function_call, but"),
        ({"conversations": [{"from": "function_call", "value": "[]"}]}, "no call"),
        ({"conversations": [{"from": "human", "value": "x"}], "tools": "{}"}, "column tools holds a dict"),
        ({"conversations": [{"from": "human", "value": "x"}], "tools": "[" * 100_000}, "nested too deep"),
        ({"conversations": [{"from": "human", "value": "x"}], "tools": [{}]}, "a tool has no name"),
        ({"conversations": [{"from": "human", "value": "x"}], "meta": [1]}, "meta is not an object"),
        ({"conversations": [{"from": "human", "value": "x"}], "system": 1}, "system is a int"),
        ({"conversations": [], "system": 1}, "system is a int"),
        ({"messages": "x"}, "messages is text but not JSON"),
        ({"messages": None}, "lists of tools and messages"),
    ],
)
def test_what_is_no_dialog_is_refused_by_name(row: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_any(row)


def test_files_of_mixed_formats_are_read_and_numbered(tmp_path: Path) -> None:
    rows = [FORMATS[name].to_row(dataclasses.replace(EXAMPLE, id="")) for name in FORMATS]
    lines = tmp_path / "mixed.jsonl"
    lines.write_text("\n\n" + "\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    listed = tmp_path / "list.json"
    listed.write_text("\n" + json.dumps([*rows, EXAMPLE.to_json()], indent=1), encoding="utf-8")
    assert [item.id for item in read_any(lines)] == ["mixed-3", "mixed-4", "mixed-5", "mixed-6"]
    assert [item.id for item in read_any(listed)] == ["list-1", "list-2", "list-3", "list-4", "d-1"]
    for item in [*read_any(lines), *read_any(listed)]:
        same(EXAMPLE, item)


def test_an_error_in_a_file_names_the_row(tmp_path: Path) -> None:
    bad = {"id": "x", "messages": [{"role": "bot"}]}
    lines, listed, empty = tmp_path / "a.jsonl", tmp_path / "a.json", tmp_path / "empty.jsonl"
    lines.write_text(json.dumps(EXAMPLE.to_json()) + "\n" + json.dumps(bad))
    listed.write_text(json.dumps([bad]))
    empty.write_text("")
    with pytest.raises(InputError, match=r"a\.jsonl:2 \(x\): .*bot"):
        list(read_any(lines))
    with pytest.raises(InputError, match=r"a\.json: item 1 \(x\): .*bot"):
        list(read_any(listed))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_any(tmp_path / "none.jsonl"))
    assert list(read_any(empty)) == []
