"""Sections `model` and `data` of a recipe; `lora`, `quantization` and `train` hold the libraries' own field names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ModelSettings:
    """The model to be tuned.

    Attributes:
        model_name_or_path: "embedded/SmolLM2-135M-Instruct", a local folder, or a hub id.
        dtype: precision the frozen weights are loaded in.
        attn_implementation: transformers' name, "auto" for the best one installed.
        chat_template: "tokenizer" for the model's own, or "llama3" for plain Llama 3 turns without the date header that
            the stock Llama 3.1 template adds (what BFCL's handler of ToolACE-8B sends).
    """

    model_name_or_path: str = "embedded/SmolLM2-135M-Instruct"
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    attn_implementation: str = "auto"
    chat_template: Literal["tokenizer", "llama3"] = "tokenizer"


@dataclass(frozen=True)
class DataSettings:
    """The rows to train on.

    Attributes:
        files: JSON Lines in any format that `toolace convert` reads.
        max_length: most tokens in a sequence.
        over_length: what happens to a row that is longer: "drop" (counted and reported) or "error".
        share_prefix: whether rows with the same system prompt are one sequence that computes the prompt once.
        global_batch_size: sequences an optimiser step sees over all devices; gradient accumulation follows from it.
    """

    files: Sequence[str]
    max_length: int = 4096
    over_length: Literal["drop", "error"] = "drop"
    share_prefix: bool = False
    global_batch_size: int = 48
