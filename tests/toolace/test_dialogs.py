"""The canonical row: OpenAI messages in, the same messages out, ids filled, errors named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolace import Call, Dialog, InputError, Message, Tool, read_dialogs, write_dialogs
from toolace.dialogs import number_calls, read_call

TOOL = Tool("f", "d", {"type": "object", "properties": {}}, id="t-1", domain="x")
ROW: dict[str, Any] = {
    "id": "d-1",
    "type": "single",
    "tools": [TOOL.to_json(), {"name": "g", "description": "", "parameters": {"type": "object", "properties": {}}}],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "x1", "type": "function", "function": {"name": "f", "arguments": {"a": [1]}}}],
        },
        {"role": "tool", "content": "1", "tool_call_id": "x1", "name": "f"},
        {"role": "assistant", "content": "One."},
    ],
    "meta": {"seed": 1},
}


def test_a_row_is_read_and_written_the_same() -> None:
    dialog = Dialog.from_json(ROW)
    assert dialog.to_json() == ROW
    assert dialog.tools[0] == TOOL
    assert dialog.messages[2].calls == (Call("f", {"a": [1]}),)


def test_a_file_of_dialogs_is_written_and_read(tmp_path: Path) -> None:
    dialogs = [Dialog.from_json(ROW), Dialog.from_json({"id": None, "messages": []})]
    assert dialogs[1] == Dialog("", "", (), ())
    assert write_dialogs(tmp_path / "d.jsonl", dialogs) == 2
    assert list(read_dialogs(tmp_path / "d.jsonl")) == dialogs


def test_arguments_may_be_text_an_object_or_missing() -> None:
    calls = [{"function": {"name": "f", "arguments": '{"a": 1}'}}, {"name": "g", "arguments": {"b": 2}}, {"name": "h"}]
    message = Message.from_json({"role": "assistant", "content": None, "tool_calls": calls})
    assert message.calls == (Call("f", {"a": 1}), Call("g", {"b": 2}), Call("h", {}))
    assert (message.content, message.call_ids) == ("", ("", "", ""))


def test_null_columns_of_other_roles_are_left_out() -> None:
    row = {"role": "user", "content": "x", "name": 5, "tool_call_id": None, "tool_calls": None}
    assert Message.from_json(row) == Message("user", "x")


def test_calls_without_ids_are_numbered_through_the_dialog() -> None:
    two = (Call("f", {}), Call("g", {}))
    messages = number_calls([Message("assistant", "", two), Message("assistant", "", two, ("mine", ""))])
    assert [m.call_ids for m in messages] == [("call_0", "call_1"), ("mine", "call_3")]


def test_tool_messages_are_tied_by_id_then_by_name_then_by_order() -> None:
    asked = Message("assistant", "", (Call("f", {}), Call("g", {}), Call("f", {})), ("a", "b", "c"))
    answers = [Message("tool", "1", call_id="c"), Message("tool", "2", name="g"), Message("tool", "3")]
    tied = number_calls([asked, *answers])[1:]
    assert [(m.call_id, m.name) for m in tied] == [("c", "f"), ("b", "g"), ("a", "f")]


@pytest.mark.parametrize(
    "answer",
    [Message("tool", "1", call_id="z"), Message("tool", "1", name="h"), Message("tool", "1", name="f", call_id="z")],
)
def test_a_tool_message_that_answers_no_call_stays_as_it_is(answer: Message) -> None:
    asked = Message("assistant", "", (Call("f", {}),), ("a",))
    assert number_calls([asked, answer])[1] == answer
    assert number_calls([answer]) == (answer,)


def test_a_call_is_answered_once() -> None:
    asked = Message("assistant", "", (Call("f", {}),))
    tied = number_calls([asked, Message("tool", "1"), Message("tool", "2")])
    assert [m.call_id for m in tied[1:]] == ["call_0", None]


def call(**more: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": [{"function": {"name": "f", **more}}]}


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ("Hi", "a message is a str"),
        ({"role": "bot"}, "role 'bot'"),
        ({"role": "user", "content": [1]}, "a list as content"),
        ({"role": "assistant", "tool_calls": {"name": "f"}}, "tool_calls is a dict"),
        ({"role": "assistant", "tool_calls": [{"function": {}}]}, "has no name"),
        ({"role": "assistant", "tool_calls": ["f()"]}, "has no name"),
        (call(arguments="{"), "'f' are not JSON"),
        (call(arguments="[" * 100_000), "'f' are not JSON"),
        (call(arguments=[1]), "'f' are a list"),
        ({"role": "tool", "content": "x", "name": 5}, "name or id that is a int"),
        ({"role": "tool", "content": "x", "tool_call_id": ["a"]}, "name or id that is a list"),
    ],
)
def test_a_broken_message_is_named_with_its_row(tmp_path: Path, message: Any, what: str) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps({"id": "d-9", "tools": [], "messages": [message]}))
    with pytest.raises(InputError, match=rf"d\.jsonl:1 \(d-9\): .*{what}"):
        list(read_dialogs(path))


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"tools": []}, "row without id: .*lists of tools and messages"),
        ({"id": "a", "tools": {}, "messages": {}}, "a: .*lists"),
        ({"id": "a", "messages": [], "meta": [1]}, "a: meta is not an object"),
        ({"id": "a", "messages": [], "tools": [{}]}, "a: a tool has no name"),
    ],
)
def test_a_broken_row_is_named(row: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        Dialog.from_json(row)


def test_arguments_that_name_a_parameter_twice_are_an_error() -> None:
    call = {"function": {"name": "weather", "arguments": '{"city": "Rome", "city": "Paris"}'}}
    with pytest.raises(InputError, match="the member 'city' is there 2 times"):
        read_call(call)
