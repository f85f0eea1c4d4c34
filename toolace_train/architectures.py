"""Shapes of well-known models, so that a plan needs neither weights nor network.

The numbers are those of the models' public `config.json` files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_LLAMA_3_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
}
KNOWN: dict[str, dict[str, Any]] = {
    "meta-llama/Llama-3.1-8B-Instruct": _LLAMA_3_8B,
    "meta-llama/Meta-Llama-3.1-8B-Instruct": _LLAMA_3_8B,
    "meta-llama/Llama-3.1-8B": _LLAMA_3_8B,
}


def architecture(name: str) -> dict[str, Any] | None:
    """The configuration of a local folder or a known model; None when neither is here."""
    file = Path(name) / "config.json"
    if file.is_file():
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return config
    return KNOWN.get(name)
