"""A merged model as one GGUF file, for llama.cpp and what is built on it.

Written tensor by tensor with the `gguf` package: Llama, Qwen2 (with Qwen1.5 and 2.5) and Qwen3. Everything else is
refused with the command of llama.cpp's own converter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.rows import read_json
from toolace_train.gguf_tokenizer import GgufVocabulary, UnknownTokenizer, read_vocabulary, special_ids
from toolace_train.merging import shapes, tensors

ARCHITECTURES = {"llama": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3"}
# --gguf's name -> gguf's type of matrices and llama.cpp's type of the file. Vectors stay float32.
KINDS = {
    "f32": ("F32", "ALL_F32"),
    "f16": ("F16", "MOSTLY_F16"),
    "bf16": ("BF16", "MOSTLY_BF16"),
    "q8_0": ("Q8_0", "MOSTLY_Q8_0"),
}
BYTES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32}
_BLOCK = 32  # values of a q8_0 block


def converter_command(folder: Path, kind: str) -> str:
    """llama.cpp's own converter for the same folder."""
    return f"python convert_hf_to_gguf.py {folder} --outtype {kind} --outfile {folder / f'model-{kind}.gguf'}"


def check_convertible(folder: Path, kind: str) -> tuple[dict[str, Any], GgufVocabulary]:
    """The configuration and vocabulary of a folder that can be written as GGUF.

    Raises:
        InputError: it cannot be; the fix names llama.cpp's converter.
    """
    fix = f"Use llama.cpp's converter: {converter_command(folder, kind)}"
    if kind not in KINDS:
        raise InputError(f"unknown GGUF type {kind!r}", where="--gguf", fix=f"Use one of {', '.join(KINDS)}.")
    config = read_json(folder / "config.json")
    model_type = config.get("model_type")
    if model_type not in ARCHITECTURES:
        raise InputError(f"models of type {model_type!r} are not written as GGUF here", where=folder, fix=fix)
    scaling = rope_scaling(config)
    if scaling.get("rope_type", "default") not in ("default", "llama3"):
        raise InputError(f"rotary scaling {scaling['rope_type']!r} is not written as GGUF here", where=folder, fix=fix)
    if config.get("use_sliding_window"):
        raise InputError("sliding-window attention is not written as GGUF here", where=folder, fix=fix)
    try:
        return config, read_vocabulary(folder, config["vocab_size"])
    except UnknownTokenizer as error:
        raise InputError(error.what, where=error.where, fix=fix) from None


def write_gguf(folder: Path, target: Path, kind: str, *, name: str, end_of_turn: int) -> dict[str, Any]:
    """Writes a model folder as GGUF.

    Args:
        folder: config.json, safetensors, tokenizer and chat_template.jinja, as `toolace export` leaves them.
        target: the file; it is written beside its place and renamed.
        kind: one of `KINDS`.
        name: the model's name in the file.
        end_of_turn: id of the token that ended trained turns.

    Returns:
        `{"tensors", "bytes", "pre"}`.

    Raises:
        InputError: see `check_convertible`; or a tensor has no place in the format.
    """
    import gguf

    config, vocabulary = check_convertible(folder, kind)
    matrix = gguf.GGMLQuantizationType[KINDS[kind][0]]
    arch = gguf.MODEL_ARCH[ARCHITECTURES[config["model_type"]]]
    names = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    temporary = target.with_name(f".{target.name}.making")
    writer = gguf.GGUFWriter(str(temporary), gguf.MODEL_ARCH_NAMES[arch])
    _write_facts(writer, config, kind, name)
    _write_vocabulary(writer, folder, vocabulary, end_of_turn)
    factors = rope_factors(config)
    count = 0
    try:
        if factors is not None:
            writer.add_tensor_info("rope_freqs.weight", factors.shape, factors.dtype, factors.nbytes)
        for hf_name, shape in shapes(folder):
            if gguf_name := _tensor_name(names, hf_name, config, folder):
                quantized = _kind_of(shape, matrix)
                stored = gguf.quant_shape_to_byte_shape(shape, quantized) if _is_packed(quantized) else shape
                dtype, size = _stored_as(quantized)
                writer.add_tensor_info(gguf_name, stored, dtype, math.prod(stored) * size, raw_dtype=quantized)
                count += 1
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        if factors is not None:
            writer.write_tensor_data(factors)
        for data in _data(folder, config, names, matrix):
            writer.write_tensor_data(data)
        writer.close()
        temporary.replace(target)
    except BaseException:
        writer.close()
        temporary.unlink(missing_ok=True)
        raise
    return {"tensors": count, "bytes": target.stat().st_size, "pre": vocabulary.pre}


def _data(folder: Path, config: Mapping[str, Any], names: Any, matrix: Any) -> Iterator[Any]:
    """The tensors' bytes in the order of their headers."""
    import gguf

    for hf_name, tensor in tensors(folder):
        if _tensor_name(names, hf_name, config, folder):
            values = tensor.float().numpy()
            if config["model_type"] == "llama":
                values = _rope_order(values, hf_name, config)
            yield gguf.quantize(values, _kind_of(values.shape, matrix))


def _tensor_name(names: Any, hf_name: str, config: Mapping[str, Any], folder: Path) -> str | None:
    """gguf's name of a tensor; None for one that is not stored."""
    if hf_name.endswith("rotary_emb.inv_freq") or (hf_name == "lm_head.weight" and config.get("tie_word_embeddings")):
        return None
    name: str | None = names.get_name(hf_name, try_suffixes=(".weight", ".bias"))
    if name is None:
        fix = f"Use llama.cpp's converter: {converter_command(folder, 'f16')}"
        raise InputError(f"the tensor {hf_name} has no place in GGUF", where=folder, fix=fix)
    return name


def _kind_of(shape: tuple[int, ...], matrix: Any) -> Any:
    """Vectors are float32, as llama.cpp keeps them; rows that do not fill blocks are float16."""
    import gguf

    if len(shape) == 1:
        return gguf.GGMLQuantizationType.F32
    if matrix == gguf.GGMLQuantizationType.Q8_0 and shape[-1] % _BLOCK:
        return gguf.GGMLQuantizationType.F16
    return matrix


def _is_packed(kind: Any) -> bool:
    return kind.name in ("BF16", "Q8_0")  # gguf gives these as bytes


def _stored_as(kind: Any) -> tuple[Any, int]:
    import numpy

    if _is_packed(kind):
        return numpy.dtype(numpy.uint8), 1
    return (numpy.dtype(numpy.float32), 4) if kind.name == "F32" else (numpy.dtype(numpy.float16), 2)


def _rope_order(values: Any, name: str, config: Mapping[str, Any]) -> Any:
    """Rows of q and k in llama.cpp's order: it rotates neighbours, transformers the two halves of a head."""
    import numpy

    heads = {"q_proj": config["num_attention_heads"], "k_proj": kv_heads(config)}.get(name.split(".")[-2])
    if heads is None:
        return values
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return numpy.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def kv_heads(config: Mapping[str, Any]) -> int:
    """Key and value heads of a configuration."""
    return int(config.get("num_key_value_heads") or config["num_attention_heads"])


def head_size(config: Mapping[str, Any]) -> int:
    """Width of a head."""
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def rope_scaling(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary scaling, under transformers 5's keys whichever version wrote the file."""
    scaling = dict(config.get("rope_scaling") or {}) | dict(config.get("rope_parameters") or {})
    if "type" in scaling:
        scaling.setdefault("rope_type", scaling["type"])
    return scaling


def rope_theta(config: Mapping[str, Any]) -> float:
    """The rotary base."""
    return float(rope_scaling(config).get("rope_theta") or config.get("rope_theta") or 10000.0)


def rope_factors(config: Mapping[str, Any]) -> Any | None:
    """What llama.cpp divides the rotary frequencies by, float32 [head size / 2]; None without Llama 3.1's scaling.

    Long waves are stretched by `factor`, short ones stay, those between are blended (Llama 3.1's `llama3` scaling).
    """
    import numpy

    scaling = rope_scaling(config)
    if scaling.get("rope_type") != "llama3":
        return None
    low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
    factor, context = float(scaling["factor"]), float(scaling["original_max_position_embeddings"])
    size = head_size(config)
    waves = 2 * math.pi * rope_theta(config) ** (numpy.arange(0, size, 2, dtype=numpy.float64) / size)
    blend = numpy.clip((context / waves - low) / (high - low), 0.0, 1.0)
    return (1.0 / ((1.0 - blend) / factor + blend)).astype(numpy.float32)


def _write_facts(writer: Any, config: Mapping[str, Any], kind: str, name: str) -> None:
    import gguf

    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType[KINDS[kind][1]])
    if kind == "q8_0":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(kv_heads(config))
    writer.add_key_length(head_size(config))
    writer.add_value_length(head_size(config))
    writer.add_rope_dimension_count(head_size(config))
    writer.add_rope_freq_base(rope_theta(config))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _write_vocabulary(writer: Any, folder: Path, vocabulary: GgufVocabulary, end_of_turn: int) -> None:
    from transformers import AutoTokenizer

    ids = special_ids(folder)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges)
    if "bos" in ids:
        writer.add_bos_token_id(ids["bos"])
    # A server stops at this token: the one that ended the trained turns.
    writer.add_eos_token_id(end_of_turn)
    writer.add_eot_token_id(end_of_turn)
    if "pad" in ids:
        writer.add_pad_token_id(ids["pad"])
    begins = AutoTokenizer.from_pretrained(str(folder))("a")["input_ids"][:1]
    writer.add_add_bos_token("bos" in ids and begins == [ids["bos"]])
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))
