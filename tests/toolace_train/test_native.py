"""The model's own tool templates: those of well-known models come with TRL and are read from there."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from llama31 import llama31_tokenizer

from toolace.calls import Call
from toolace.dialogs import Dialog, Message, number_calls
from toolace.embedded import prepare
from toolace.errors import InputError
from toolace.tools import Tool
from toolace_train.model import load_tokenizer
from toolace_train.native import shows
from toolace_train.rendering import IGNORED, DialogRenderer, Renderer, Unrenderable
from toolace_train.settings import DataSettings

TEMPLATES = Path(find_spec("trl").origin).parent / "chat_templates"
RAIN = Tool("rain", "Rain in a city.", {"type": "object", "properties": {"city": {"type": "string"}}})
SUN = Tool("sun", "Sun.", {"type": "object", "properties": {"hours": {"type": "integer"}}})


@pytest.fixture(scope="module")
def qwen():
    """Qwen's turns with a tokenizer that knows its special tokens."""
    tokenizer = llama31_tokenizer().__class__(
        tokenizer_object=llama31_tokenizer().backend_tokenizer.__class__.from_str(
            llama31_tokenizer().backend_tokenizer.to_str()
        ),
        eos_token="<|im_end|>",
        extra_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = (TEMPLATES / "qwen2_5.jinja").read_text(encoding="utf-8")
    return tokenizer


def renderer(tokenizer, template=None, **settings):
    data = DataSettings(files=(), rendering="native", **settings)
    text = (TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8") if template else None
    return DialogRenderer(data, Renderer(tokenizer, text))


def asked(*messages, tools=(RAIN, SUN), **meta):
    return Dialog("x", "", tools, number_calls([Message("user", "Rain in Oslo?"), *messages]), meta)


def trained(tokenizer, one):
    return tokenizer.decode([label for label in one.labels if label != IGNORED])


CALL = Message("assistant", "", (Call("rain", {"city": "Oslo"}),))
RESULT = Message("tool", '{"mm": 3}', name="rain")


def test_calls_are_written_as_the_model_was_taught(qwen):
    [one] = renderer(qwen).render(asked(CALL, RESULT, Message("assistant", "3 mm.")), "row")
    call = '<tool_call>\n{"name": "rain", "arguments": {"city": "Oslo"}}\n</tool_call><|im_end|>'
    assert trained(qwen, one) == call + "3 mm.<|im_end|>"
    text = qwen.decode(one.input_ids)
    assert '"name": "sun"' in text and '<tool_response>\n{"mm": 3}\n</tool_response>' in text


def test_the_whole_is_what_a_server_would_render(qwen):
    example = asked(CALL, RESULT, Message("assistant", "3 mm."))
    dialogs = renderer(qwen)
    [one] = dialogs.render(example, "row")
    messages, tools = dialogs.shown(example)
    served = qwen.apply_chat_template(messages, tools=tools, tokenize=False)
    assert qwen.decode(one.input_ids) == served
    assert served.startswith(dialogs.prompt(example, 1)) and dialogs.prompt(example, 1).endswith("assistant\n")


def test_where_earlier_turns_are_shown_differently_every_turn_follows_its_own_served_prompt(qwen):
    example = asked(Message("assistant", "Yes."), Message("user", "Much?"), Message("assistant", "3 mm."), tools=())
    dialogs = renderer(qwen, "qwen3")
    first, second = dialogs.render(example, "row")
    assert trained(qwen, first) == "<think>\n\n</think>\n\nYes.<|im_end|>"
    assert trained(qwen, second) == "<think>\n\n</think>\n\n3 mm.<|im_end|>"
    assert qwen.decode(second.input_ids).startswith(dialogs.prompt(example, 3))
    assert "</think>\n\nYes." not in qwen.decode(second.input_ids)
    [only] = renderer(qwen, "qwen3", train_on="last").render(example, "row")
    assert only.labels == second.labels


def test_variables_of_the_template_are_part_of_the_prompt(qwen):
    dialogs = renderer(qwen, "qwen3", chat_template_kwargs={"enable_thinking": False})
    [one] = dialogs.render(asked(Message("assistant", "Yes.")), "row")
    assert trained(qwen, one) == "Yes.<|im_end|>"
    assert dialogs.prompt(asked(), 1).endswith("<think>\n\n</think>\n\n")


def test_a_template_without_tools_is_refused_where_tools_are_needed():
    tokenizer = load_tokenizer(str(prepare()))
    with pytest.raises(Unrenderable, match="shows no tools"):
        renderer(tokenizer).render(asked(Message("assistant", "Yes.")), "row")
    with pytest.raises(Unrenderable, match="leaves out 'rain' of an assistant turn with calls"):
        renderer(tokenizer).render(asked(CALL, tools=()), "row")
    [one] = renderer(tokenizer).render(asked(Message("assistant", "Yes."), tools=()), "row")
    assert trained(tokenizer, one) == "Yes.<|im_end|>"


def test_a_template_that_forgets_a_turn_is_refused():
    template = (
        "{% for m in messages if m.role != 'tool' %}{{ m.role }}<|end_header_id|>{{ m.content }}<|eot_id|>{% endfor %}"
    )
    template += "{% if add_generation_prompt %}assistant<|end_header_id|>{% endif %}"
    dialogs = DialogRenderer(DataSettings(files=(), rendering="native"), Renderer(llama31_tokenizer(), template))
    example = asked(Message("assistant", "Wait."), Message("tool", "late news"), Message("assistant", "So."), tools=())
    with pytest.raises(Unrenderable, match="leaves out 'late news' of a tool turn"):
        dialogs.render(example, "row")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ m }}{% for m in messages %}{{ m.role }}{{ m.content | upper }}<|eot_id|>{% endfor %}", "writes 'YES"),
        ("{% for m in messages %}{{ m.role }}{{ m.content }}{{ '\\n' }}{% endfor %}", "instead of a special token"),
        ("{% for m in messages %}{{ m.role }}{{ m.content }} and so on<|eot_id|>{% endfor %}", "ends with ' and so on"),
        ("{{ raise_exception('roles must alternate') }}", "refuses it: roles must alternate"),
    ],
)
@pytest.mark.parametrize("rendering", ["toolace", "native"])
def test_a_template_that_changes_the_assistant_s_words_is_refused(template, message, rendering):
    template += "{% if add_generation_prompt %}assistant{% endif %}"
    data = DataSettings(files=(), rendering=rendering)
    dialogs = DialogRenderer(data, Renderer(llama31_tokenizer(), template))
    with pytest.raises(Unrenderable, match=message):
        dialogs.render(asked(Message("assistant", "Yes."), tools=()), "row")


def test_a_template_that_writes_the_day_is_refused_until_the_day_is_fixed():
    tokenizer = llama31_tokenizer()
    with pytest.raises(InputError, match="writes today's date"):
        renderer(tokenizer, "llama3_2")
    fixed = renderer(tokenizer, "llama3_2", chat_template_kwargs={"date_string": "26 Jul 2024"})
    [one] = fixed.render(asked(CALL), "row")
    assert "Today Date: 26 Jul 2024" in tokenizer.decode(one.input_ids)
    assert trained(tokenizer, one) == '{"name": "rain", "parameters": {"city": "Oslo"}}<|eot_id|>'


def test_rows_with_the_same_tools_share_their_prompt():
    [first] = renderer(llama31_tokenizer(), "llama3_1").render(asked(CALL), "a")
    second = asked(CALL)
    second = Dialog("y", "", second.tools, (Message("user", "Wet?"), *second.messages[1:]), {})
    [other] = renderer(llama31_tokenizer(), "llama3_1").render(second, "b")
    assert first.prefix == other.prefix and '"sun"' in first.prefix


@pytest.mark.parametrize("value", ['say "hi"\n', "京都", True, None, 2.5, "back\\slash"])
def test_values_are_found_as_text_json_or_python_write_them(value):
    for text in (str(value), json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value)):
        assert shows(f"x{text}y", value)
    assert not shows("nothing like it", value)
