"""Sections `model` and `data` of a recipe; `lora`, `quantization` and `train` hold the libraries' own field names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


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
class DataSource:
    """One place rows come from, with how many are taken. Without `weight` and `rows` all are.

    Attributes:
        path: a file, a folder of files, or the hub id of a data set.
        weight: its share among the entries with a weight; as many rows are drawn as the shares allow, none twice.
        rows: how many rows are drawn.
        split: the split of a data set from the hub.
        name: the configuration of a data set from the hub.
    """

    path: str
    weight: float | None = None
    rows: int | None = None
    split: str = "train"
    name: str = ""


@dataclass(frozen=True)
class DataSettings:
    """The rows to train on.

    Attributes:
        files: files, folders and hub ids with rows in any format that `toolace convert` reads; see `DataSource`.
        rendering: "toolace" (tools in the system prompt, calls as text) or "native" (the model's own tool template).
        chat_template_kwargs: further variables of the chat template, such as `date_string` or `enable_thinking`.
        train_on: all assistant turns, or the last of each dialog.
        max_length: most tokens in a sequence.
        over_length: what happens to a row that is longer: "drop" (counted and kept with the reason), "truncate_tools"
            (tools that the dialog never calls or mentions are removed until it fits, else it is dropped), or "error".
        share_prefix: whether rows with the same system prompt are one sequence that computes the prompt once.
        global_batch_size: sequences an optimiser step sees over all devices; gradient accumulation follows from it.
    """

    files: Sequence[str | DataSource]
    rendering: Literal["toolace", "native"] = "toolace"
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    train_on: Literal["all", "last"] = "all"
    max_length: int = 4096
    over_length: Literal["drop", "truncate_tools", "error"] = "drop"
    share_prefix: bool = False
    global_batch_size: int = 48
