import json
import shutil

import numpy
import pytest
import torch
from gguf import GGUFReader, dequantize
from small_export import TOKENS, make_small_model

from toolace.embedded import convert, prepare
from toolace.errors import InputError
from toolace.rows import write_json
from toolace_train.gguf_export import check_convertible, rope_factors, write_gguf
from toolace_train.gguf_tokenizer import NAMES, read_vocabulary, rules_name
from toolace_train.merging import tensors


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_small_model(tmp_path_factory.mktemp("model"))


def write(model, target, kind):
    write_gguf(model, target, kind, name="tiny", end_of_turn=2)
    return target


def facts(path):
    return {name: field.contents() for name, field in GGUFReader(str(path)).fields.items()}


def test_a_float32_gguf_read_back_is_the_same_model_to_the_bit(model, tmp_path):
    file = write(model, tmp_path / "tiny.gguf", "f32")
    back = tmp_path / "back"
    back.mkdir()
    convert(file, back)  # the reader of the embedded model's GGUF, which comes from llama.cpp's converter
    wanted, found = dict(tensors(model)), dict(tensors(back))
    assert set(found) == set(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert (back / "chat_template.jinja").read_text() == (model / "chat_template.jinja").read_text()
    ours, theirs = (json.loads((folder / "tokenizer.json").read_text())["model"] for folder in (model, back))
    assert ours["vocab"] == theirs["vocab"] and ours["merges"] == theirs["merges"]


def test_the_embedded_model_s_own_gguf_has_the_same_vocabulary_as_ours(tmp_path):
    vocabulary = read_vocabulary(prepare(), 49152)
    assert vocabulary.pre == "smollm"
    assert vocabulary.tokens[2] == "<|im_end|>" and vocabulary.types[2] == 3 and vocabulary.types[100] == 1


@pytest.mark.parametrize(("kind", "error"), [("f16", 1e-3), ("bf16", 8e-3), ("q8_0", 8e-3)])
def test_smaller_types_keep_vectors_and_lose_only_their_rounding(model, tmp_path, kind, error):
    reader = GGUFReader(str(write(model, tmp_path / "tiny.gguf", kind)))
    wanted = dict(tensors(model))
    stored = {tensor.name: tensor for tensor in reader.tensors}
    assert stored["blk.0.attn_norm.weight"].tensor_type.name == "F32"
    down = stored["blk.1.ffn_down.weight"]
    # 48 values a row fill no whole blocks of 32: those matrices are float16.
    assert down.tensor_type.name == ("F16" if kind == "q8_0" else kind.upper())
    embedding = dequantize(stored["token_embd.weight"].data, stored["token_embd.weight"].tensor_type)
    reference = wanted["model.embed_tokens.weight"].numpy()
    assert 0 < numpy.abs(embedding - reference).max() <= error * numpy.abs(reference).max()


def test_a_server_finds_the_end_of_turn_and_whether_texts_begin_with_a_token(model, tmp_path):
    meta = facts(write(model, tmp_path / "tiny.gguf", "f16"))
    assert meta["tokenizer.ggml.eos_token_id"] == meta["tokenizer.ggml.eot_token_id"] == 2
    assert meta["tokenizer.ggml.bos_token_id"] == 1 and meta["tokenizer.ggml.add_bos_token"] is False
    assert meta["tokenizer.ggml.pre"] == "smollm" and meta["general.file_type"] == 1
    assert meta["tokenizer.chat_template"] == (model / "chat_template.jinja").read_text()


def test_llama_3_1_s_long_context_factors_are_those_of_transformers():
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling |= {"original_max_position_embeddings": 8192, "rope_theta": 500000.0}
    sizes = {"hidden_size": 4096, "num_attention_heads": 32, "max_position_embeddings": 131072}
    config = LlamaConfig(**sizes, rope_parameters=scaling)
    wanted, _ = ROPE_INIT_FUNCTIONS["llama3"](config, device="cpu")
    plain = 500000.0 ** (-torch.arange(0, 128, 2, dtype=torch.float64) / 128)
    factors = rope_factors(config.to_dict())
    assert factors.dtype == numpy.float32 and factors.min() == 1.0 and factors.max() == 8.0
    numpy.testing.assert_allclose((plain / torch.tensor(factors)).numpy(), wanted.numpy(), rtol=1e-5)
    # Files of transformers 4 name the same settings differently.
    old = {**sizes, "rope_theta": 500000.0, "rope_scaling": {**scaling, "type": "llama3"}}
    numpy.testing.assert_array_equal(rope_factors(old), factors)


@pytest.mark.parametrize("kind", ["Qwen2", "Qwen3"])
def test_qwen_keeps_the_order_of_its_rows_and_its_biases_or_norms(tmp_path, kind):
    make_small_model(tmp_path, kind, tie_word_embeddings=False)
    stored = {t.name: t for t in GGUFReader(str(write(tmp_path, tmp_path / "q.gguf", "f32"))).tensors}
    wanted = dict(tensors(tmp_path))
    query = wanted["model.layers.0.self_attn.q_proj.weight"].numpy()
    numpy.testing.assert_array_equal(stored["blk.0.attn_q.weight"].data, query)
    assert ("blk.0.attn_q.bias" in stored) == (kind == "Qwen2")
    assert ("blk.0.attn_q_norm.weight" in stored) == (kind == "Qwen3")
    assert "output.weight" in stored
    assert facts(tmp_path / "q.gguf")["general.architecture"] == kind.lower()


def test_known_splitting_rules_are_found_and_others_are_not():
    for rules, name in NAMES.items():
        steps = [_as_json(step) for step in rules]
        assert rules_name({"pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}}) == name
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    assert rules_name({"pre_tokenizer": byte_level}) == "gpt-2"
    assert rules_name({"pre_tokenizer": {**byte_level, "add_prefix_space": True}}) is None
    assert rules_name({"pre_tokenizer": byte_level, "normalizer": {"type": "NFKC"}}) is None
    assert rules_name({"pre_tokenizer": None}) is None


def _as_json(step):
    if step[0] == "Split":
        return {"type": "Split", "pattern": {"Regex": step[1]}, "behavior": step[2], "invert": step[3]}
    if step[0] == "Digits":
        return {"type": "Digits", "individual_digits": step[1]}
    return {"type": "ByteLevel", "add_prefix_space": step[1], "use_regex": step[2]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gemma3"}, "models of type 'gemma3' are not written"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rotary scaling 'yarn'"),
        ({"use_sliding_window": True}, "sliding-window attention"),
        ({"vocab_size": 100}, f"has id {TOKENS - 1}, but the model has only 100 rows"),
    ],
)
def test_what_cannot_be_written_is_refused_with_llama_cpp_s_own_command(model, tmp_path, change, message):
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    write_json(folder / "config.json", {**json.loads((folder / "config.json").read_text()), **change})
    with pytest.raises(InputError, match=r"convert_hf_to_gguf\.py") as caught:
        check_convertible(folder, "f16")
    assert message in str(caught.value)


def test_a_failed_write_leaves_no_file(model, tmp_path, monkeypatch):
    import gguf

    monkeypatch.setattr(gguf, "quantize", lambda data, kind: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(model, tmp_path / "tiny.gguf", "f16")
    assert list(tmp_path.iterdir()) == []
