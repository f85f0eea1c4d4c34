import pytest
from tiny_llama import SYSTEM, row
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from toolace.embedded import prepare
from toolace.errors import InputError
from toolace_train.model import load_tokenizer, template_text
from toolace_train.rendering import IGNORED, Renderer
from toolace_train.settings import ModelSettings


@pytest.fixture(scope="module")
def smol():
    return load_tokenizer(str(prepare()))


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with Llama 3's special tokens: the turns are marked as in the 8B model."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        additional_special_tokens=["<|start_header_id|>", "<|end_header_id|>"],
    )


def trained_texts(tokenizer, rendered):
    """The decoded runs of trained tokens."""
    runs, current = [], []
    for token, label in zip(rendered.input_ids, rendered.labels, strict=True):
        if label == IGNORED:
            runs, current = ([*runs, current], []) if current else (runs, current)
        else:
            assert label == token
            current.append(token)
    return [tokenizer.decode(run) for run in [*runs, current] if run]


@pytest.mark.parametrize("turns", [1, 2, 12])
def test_exactly_the_assistant_turns_and_their_end_are_trained(smol, turns):
    example = row(3, turns=turns)
    rendered = Renderer(smol).render(example, "row")
    wanted = [t["value"] + "<|im_end|>" for t in example["conversations"] if t["from"] == "assistant"]
    assert trained_texts(smol, rendered) == wanted


@pytest.mark.parametrize("turns", [1, 3])
def test_llama_3_turns_are_masked_exactly_too(turns):
    tokenizer = llama_tokenizer()
    template = template_text(ModelSettings(chat_template="llama3"))
    example = row(1, turns=turns)
    rendered = Renderer(tokenizer, template).render(example, "row")
    wanted = [t["value"] + "<|eot_id|>" for t in example["conversations"] if t["from"] == "assistant"]
    assert trained_texts(tokenizer, rendered) == wanted
    text = tokenizer.decode(rendered.input_ids)
    assert text.startswith(f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{SYSTEM}<|eot_id|>")
    assert "Cutting Knowledge" not in text


def test_the_prompt_of_training_is_the_prompt_of_evaluation(smol):
    example = row(0)
    rendered = Renderer(smol).render(example, "row")
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": example["conversations"][0]["value"]},
    ]
    asked = smol.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    first = next(i for i, label in enumerate(rendered.labels) if label != IGNORED)
    assert rendered.input_ids[:first] == asked


def test_a_special_token_inside_a_turn_is_refused(smol):
    example = row(0)
    example["conversations"][0]["value"] += "<|im_end|>"
    with pytest.raises(InputError, match=r"file:7.*user turn holds the special token '<\|im_end\|>'"):
        Renderer(smol).render(example, "file:7")


def test_a_row_without_an_assistant_turn_is_refused(smol):
    example = {"system": "x", "conversations": [{"from": "user", "value": "hi"}]}
    with pytest.raises(InputError, match="no assistant turn"):
        Renderer(smol).render(example, "file:1")


def test_a_template_that_changes_earlier_turns_is_refused(smol):
    template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(InputError, match="changes earlier turns"):
        Renderer(smol, template).render(row(0), "file:1")


def test_a_token_across_the_edge_of_a_turn_is_refused(smol):
    # No end-of-turn token and no line break: the tokenizer joins the last letters of the header with the answer.
    template = "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}{% endif %}"
    example = {"system": "", "conversations": [{"from": "user", "value": "hel"}, {"from": "assistant", "value": "lo"}]}
    with pytest.raises(InputError, match="trained tokens decode to"):
        Renderer(smol, template).render(example, "file:1")
