"""Shapes of well-known models, so that a plan needs neither weights nor network.

The numbers are those of the models' public `config.json` files; tests compare the parameters they give with the counts
that the models' pages state.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toolace.embedded import NAME, prepare
from toolace.errors import InputError


def _llama(hidden: int, intermediate: int, layers: int, heads: int, tied: bool, context: int) -> dict[str, Any]:
    """A Llama 3.x: 8 key-value heads, a vocabulary of 128,256."""
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": hidden // heads,
        "vocab_size": 128256,
        "max_position_embeddings": context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "tie_word_embeddings": tied,
    }


def _qwen1_5(hidden: int, intermediate: int, layers: int, heads: int, tied: bool) -> dict[str, Any]:
    """A Qwen1.5: as many key-value heads as heads, biases on q, k and v."""
    return {
        "model_type": "qwen2",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": tied,
    }


def _qwen3(hidden: int, intermediate: int, layers: int, heads: int, tied: bool) -> dict[str, Any]:
    """A dense Qwen3: heads of 128 whatever the hidden size, RMS norms on queries and keys."""
    return {
        "model_type": "qwen3",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": tied,
    }


_LLAMA_3_8B = _llama(4096, 14336, 32, 32, tied=False, context=8192)
_LLAMA_3_1_8B = _llama(4096, 14336, 32, 32, tied=False, context=131072)
_LLAMA_3_2_1B = _llama(2048, 8192, 16, 32, tied=True, context=131072)
_LLAMA_3_2_3B = _llama(3072, 8192, 28, 24, tied=True, context=131072)
KNOWN: dict[str, dict[str, Any]] = {
    "meta-llama/Llama-3.1-8B-Instruct": _LLAMA_3_1_8B,
    "meta-llama/Meta-Llama-3.1-8B-Instruct": _LLAMA_3_1_8B,
    "meta-llama/Llama-3.1-8B": _LLAMA_3_1_8B,
    "meta-llama/Meta-Llama-3-8B-Instruct": _LLAMA_3_8B,
    "meta-llama/Meta-Llama-3-8B": _LLAMA_3_8B,
    "meta-llama/Llama-3.2-1B-Instruct": _LLAMA_3_2_1B,
    "meta-llama/Llama-3.2-1B": _LLAMA_3_2_1B,
    "meta-llama/Llama-3.2-3B-Instruct": _LLAMA_3_2_3B,
    "meta-llama/Llama-3.2-3B": _LLAMA_3_2_3B,
    "Qwen/Qwen1.5-0.5B-Chat": _qwen1_5(1024, 2816, 24, 16, tied=True),
    "Qwen/Qwen1.5-1.8B-Chat": _qwen1_5(2048, 5504, 24, 16, tied=False),
    "Qwen/Qwen1.5-4B-Chat": _qwen1_5(2560, 6912, 40, 20, tied=False),
    "Qwen/Qwen1.5-7B-Chat": _qwen1_5(4096, 11008, 32, 32, tied=False),
    "Qwen/Qwen3-0.6B": _qwen3(1024, 3072, 28, 16, tied=True),
    "Qwen/Qwen3-1.7B": _qwen3(2048, 6144, 28, 16, tied=True),
    "Qwen/Qwen3-4B": _qwen3(2560, 9728, 36, 32, tied=True),
    "Qwen/Qwen3-8B": _qwen3(4096, 12288, 36, 32, tied=False),
}
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


def architecture(name: str) -> dict[str, Any] | None:
    """The configuration of a local folder or a known model; None when neither is here."""
    file = Path(name) / "config.json"
    if file.is_file():
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"is not valid JSON ({error})", where=file, fix="Download the model again.") from None
        if not isinstance(config, dict):
            raise InputError("holds no configuration", where=file, fix="Give a transformers model folder.")
        return config
    return KNOWN.get(name)


def model_config(name: str) -> Any:
    """transformers' configuration of a dense decoder model, without weights; at most `config.json` is fetched.

    Args:
        name: the embedded model, a local folder, a known model, or a hub id.

    Raises:
        InputError: none of these; a mixture of experts; an architecture without the fields the formulas need.
    """
    from transformers import AutoConfig

    known = architecture(str(prepare()) if name == NAME else name)
    if known is None:
        config = _from_hub(name)
    else:
        fields = {key: value for key, value in known.items() if key != "model_type"}
        try:
            config = AutoConfig.for_model(known.get("model_type", ""), **fields)
        except (KeyError, ValueError, TypeError):
            what = f"is of model_type {known.get('model_type')!r}, which transformers does not know"
            raise InputError(what, where=name, fix="Give a transformers model folder.") from None
    _check(config, name)
    return config


def _from_hub(name: str) -> Any:
    from transformers import AutoConfig

    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise InputError(
            "is neither a model folder nor a hub id", where=name, fix=f"Use {NAME!r}, a folder or a hub id."
        )
    try:
        return AutoConfig.from_pretrained(name)
    except Exception as error:
        # Offline, gated, misspelt, remote code: a dozen kinds of error, and each means the same for a plan.
        what = f"its config.json is neither known here nor on this machine nor to be had now ({type(error).__name__})"
        fix = f"Run `hf download {name} config.json` where there is network, or name a folder that holds it."
        raise InputError(what, where=name, fix=fix) from None


def _check(config: Any, name: str) -> None:
    if any(getattr(config, key, None) for key in EXPERTS):
        fix = "Plan a dense model; training itself may still work."
        raise InputError("is a mixture of experts, which the plan's formulas do not cover", where=name, fix=fix)
    needed = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    for key in needed:
        value = getattr(config, key, None)
        if not isinstance(value, int) or value < 1:
            what = f"is of type {config.model_type!r}, whose configuration has no {key}"
            raise InputError(what, where=name, fix="The plan covers dense decoder models such as Llama and Qwen.")
