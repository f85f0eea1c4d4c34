import pytest

from toolace.calls import Call
from toolace.errors import InputError
from toolace.formats import from_any


def read(*messages, **columns):
    return from_any({"messages": list(messages), **columns})


def test_content_parts_are_joined():
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": "this?"}]
    said = [{"type": "refusal", "refusal": "No."}]
    dialog = read({"role": "user", "content": parts}, {"role": "assistant", "content": said})
    assert [message.content for message in dialog.messages] == ["What is\nthis?", "No."]


def test_an_image_is_refused_by_name():
    with pytest.raises(InputError, match="part of type 'image_url'"):
        read({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]})


def test_the_older_function_call_and_its_result_are_read():
    dialog = read(
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": None, "function_call": {"name": "rain", "arguments": '{"city": "Oslo"}'}},
        {"role": "function", "name": "rain", "content": "yes"},
        {"role": "assistant", "content": "It rains.", "function_call": None},
    )
    assert [message.role for message in dialog.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert dialog.messages[2].calls == (Call("rain", {"city": "Oslo"}),)
    assert dialog.messages[3].name == "rain" and dialog.messages[3].call_id == dialog.messages[2].call_ids[0]


def test_tools_may_be_json_text():
    tools = '[{"type": "function", "function": {"name": "rain", "parameters": {"type": "object", "properties": {}}}}]'
    dialog = read({"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, tools=tools)
    assert [tool.name for tool in dialog.tools] == ["rain"]
