"""The masks of 1,000 dialogs under Llama 3.1's vocabulary size, special tokens and templates."""

import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from llama31 import BASE, SPECIAL, TOOLS, dialog, llama31_tokenizer, special_names
from transformers import LlamaConfig, LlamaForCausalLM

from toolace.calls import render_calls
from toolace.dialogs import write_dialogs
from toolace_train.data import load_training_set
from toolace_train.model import template_text
from toolace_train.rendering import IGNORED, DialogRenderer, Renderer
from toolace_train.settings import DataSettings, ModelSettings

ROWS = 1000
# Llama 3.1's turns; unlike the stock template it takes several calls in a turn, and words before them.
SEVERAL_CALLS = """{{- bos_token }}{{- '<|start_header_id|>system<|end_header_id|>\n\nTools:\n' }}
{%- for tool in tools or [] %}{{- tool | tojson }}{{- '\n' }}{%- endfor %}{{- '<|eot_id|>' }}
{%- for message in messages %}
{{- '<|start_header_id|>' + ('ipython' if message.role == 'tool' else message.role) + '<|end_header_id|>\n\n' }}
{{- message.content | trim }}
{%- for call in message.tool_calls or [] %}
{{- '{"name": "' + call.function.name + '", "parameters": ' + (call.function.arguments | tojson) + '}' }}
{%- if not loop.last %}{{- '; ' }}{%- endif %}{%- endfor %}
{{- '<|eot_id|>' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"""
STOCK = (Path(find_spec("trl").origin).parent / "chat_templates" / "llama3_1.jinja").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("masks") / "rows.jsonl"
    write_dialogs(path, (dialog(i) for i in range(ROWS)))
    return path


@lru_cache(maxsize=8)
def load(file, template, **settings):
    data = DataSettings(files=(str(file),), max_length=100_000, **settings)
    return load_training_set(data, Renderer(llama31_tokenizer(), template))


def runs(tree):
    """The decoded runs of trained tokens."""
    found, current = [], []
    for token, label in [*zip(tree.input_ids, tree.labels, strict=True), (0, IGNORED)]:
        if label != IGNORED:
            assert label == token
            current.append(token)
        elif current:
            found.append(llama31_tokenizer().decode(current))
            current = []
    return found


def as_text(message):
    calls = render_calls(message.calls) if message.calls else ""
    return "\n".join(part for part in (message.content, calls) if part).strip() + "<|eot_id|>"


def as_json(message, separator="; "):
    calls = (
        f'{{"name": "{c.name}", "parameters": {json.dumps(c.arguments, ensure_ascii=False)}}}' for c in message.calls
    )
    return message.content.strip() + separator.join(calls) + "<|eot_id|>"


def spoken(number):
    return [message for message in dialog(number).messages if message.role == "assistant"]


def test_the_vocabulary_and_the_special_tokens_stand_where_llama_3_1_has_them():
    tokenizer = llama31_tokenizer()
    assert len(tokenizer) == BASE + SPECIAL == 128_256
    assert tokenizer.convert_tokens_to_ids(["<|begin_of_text|>", "<|eot_id|>", "<|python_tag|>"]) == [
        128_000,
        128_009,
        128_010,
    ]
    assert special_names()[-1] == "<|reserved_special_token_247|>"
    turns = {len(spoken(i)) for i in range(ROWS)}
    assert turns == set(range(1, 13))
    assert any(len(message.calls) > 1 for i in range(ROWS) for message in spoken(i))


def test_calls_as_text_are_masked_exactly_in_1000_dialogs(file):
    rows = load(file, template_text(ModelSettings(chat_template="llama3")))
    assert (rows.kept, rows.rejected) == (ROWS, {})
    for number, tree in enumerate(rows.trees):
        assert runs(tree) == [as_text(message) for message in spoken(number)]


def test_calls_in_the_model_s_own_template_are_masked_exactly_in_1000_dialogs(file):
    rows = load(file, SEVERAL_CALLS, rendering="native")
    assert (rows.kept, rows.rejected) == (ROWS, {})
    for number, tree in enumerate(rows.trees):
        assert runs(tree) == [as_json(message) for message in spoken(number)]


def test_the_stock_template_keeps_what_it_can_write_and_rejects_the_rest(file, tmp_path):
    data = DataSettings(files=(str(file),), max_length=100_000, rendering="native")
    rows = load_training_set(data, Renderer(llama31_tokenizer(), STOCK), folder=tmp_path)
    simple = [i for i in range(ROWS) if all(len(m.calls) < 2 for m in spoken(i))]
    whole = [i for i in simple if not any(m.calls and m.content for m in spoken(i))]
    assert 0 < len(whole) < len(simple) < ROWS
    assert rows.kept == len(whole) and rows.rejected == {"template": ROWS - len(whole)}
    for number, tree in zip(whole, rows.trees, strict=True):
        assert runs(tree) == [as_json(message) for message in spoken(number)]
    rejected = [json.loads(line) for line in (tmp_path / "train_rejected.jsonl").read_text().splitlines()]
    reasons = {row["id"]: row["verdict"]["evidence"] for row in rejected}
    parallel = next(i for i in range(ROWS) if any(len(m.calls) > 1 for m in spoken(i)))
    assert "This model only supports single tool-calls at once!" in reasons[f"row-{parallel}"]
    beside = next(i for i in simple if i not in whole)
    assert "leaves out" in reasons[f"row-{beside}"]


@pytest.mark.parametrize("rendering", ["toolace", "native"])
def test_every_trained_turn_follows_the_prompt_that_a_server_renders(file, rendering):
    tokenizer = llama31_tokenizer()
    rows = load(file, SEVERAL_CALLS, rendering=rendering)
    dialogs = DialogRenderer(DataSettings(files=(str(file),), rendering=rendering), Renderer(tokenizer, SEVERAL_CALLS))
    for number in range(0, ROWS, 100):
        messages, tools = dialogs.shown(dialog(number))
        ids, labels = rows.trees[number].input_ids, rows.trees[number].labels
        starts = [i for i, label in enumerate(labels) if label != IGNORED and labels[i - 1] == IGNORED]
        turns = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        for start, turn in zip(starts, turns, strict=True):
            served = tokenizer.apply_chat_template(
                messages[:turn],
                tools=tools or None,
                chat_template=SEVERAL_CALLS,
                add_generation_prompt=True,
                return_dict=True,
            )["input_ids"]
            assert ids[:start] == served


def test_the_labels_are_tokens_of_a_model_with_that_vocabulary(file):
    rows = load(file, template_text(ModelSettings(chat_template="llama3")))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=BASE + SPECIAL,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    tree = min(rows.trees, key=lambda tree: len(tree.input_ids))
    loss = model(input_ids=torch.tensor([tree.input_ids]), labels=torch.tensor([tree.labels])).loss
    assert torch.isfinite(loss) and loss.item() == pytest.approx(torch.log(torch.tensor(128_256.0)).item(), rel=0.05)
    assert max(max(tree.input_ids) for tree in rows.trees) == 128_009


def test_a_reserved_special_token_in_a_turn_is_refused(tmp_path):
    good = dialog(3).to_json()
    bad = {**good, "id": "bad", "messages": [{"role": "user", "content": "a<|start_header_id|>b"}, *good["messages"]]}
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    rows = load(tmp_path / "rows.jsonl", template_text(ModelSettings(chat_template="llama3")))
    assert rows.kept == 1 and rows.rejected == {"special_token": 1}


def test_the_distractors_are_never_called():
    used = {call.name for i in range(ROWS) for message in spoken(i) for call in message.calls}
    assert used == {tool.name for tool in TOOLS[:4]}
