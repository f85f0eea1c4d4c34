"""Counts of a model's numbers by what becomes of them in training, on the meta device: no weights are read."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any

from toolace.errors import InputError
from toolace.recipe import Recipe
from toolace_train.architectures import model_config
from toolace_train.model import lora_config

ATTENTION_INPUTS = ("q_proj", "k_proj", "v_proj")
MLP_INPUTS = ("gate_proj", "up_proj")


@dataclass(frozen=True)
class Parameters:
    """A model's shape and how many numbers each part has.

    Attributes:
        base: all numbers of the base model; linear: those of the layers' matrices, which 4-bit loading quantises.
        table: the embedding table; head: the LM head, the same numbers when `tied`.
        trained: numbers the optimiser changes, all of `base` in full fine-tuning.
        hidden, intermediate, layers, vocabulary: sizes; queries, keys: width of all query and of all key heads.
        heads: query heads; head_norms: whether queries and keys are normalised (Qwen3).
        targets: names of the matrices that carry adapters, with their ranks; empty in full fine-tuning.
    """

    base: int
    linear: int
    table: int
    head: int
    tied: bool
    trained: int
    hidden: int
    intermediate: int
    layers: int
    vocabulary: int
    queries: int
    keys: int
    heads: int
    head_norms: bool
    targets: dict[str, int]

    @property
    def full(self) -> bool:
        """Whether every number is trained."""
        return self.trained == self.base

    @property
    def biggest(self) -> int:
        """Numbers of the largest matrix of a layer."""
        return self.hidden * max(self.intermediate, self.queries)

    def width(self, name: str) -> int:
        """How many numbers a matrix takes in for each token."""
        if name == "down_proj":
            return self.intermediate
        return self.queries if name == "o_proj" else self.hidden


def count_parameters(recipe: Recipe, name: str) -> Parameters:
    """Counts from the architecture alone.

    Raises:
        InputError: the architecture is unknown, or `lora.target_modules` names nothing in it.
    """
    return count(name, lora_config(recipe))


def count(name: str, lora: Any | None) -> Parameters:
    """Counts of the model `name` with an adapter configuration, or for full fine-tuning with None."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    config = model_config(name)
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", FutureWarning)  # transformers' own, about names that PEFT still uses
        try:
            model = AutoModelForCausalLM.from_config(config)
        except ValueError:
            what = f"is of type {config.model_type!r}, which is no causal language model"
            raise InputError(what, where=name, fix="Name a decoder model such as Llama or Qwen.") from None
        head = model.get_output_embeddings()
        linear = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head)
        base = sum(p.numel() for p in model.parameters())
        table = model.get_input_embeddings().weight.numel()
        trained, targets = base, {}
        if lora is not None:
            try:
                wrapped = get_peft_model(model, copy.deepcopy(lora))  # PEFT writes into it
            except (TypeError, ValueError) as error:
                reason = str(error).strip().splitlines()[0].rstrip(".")
                fix = "Name matrices of this model, or all-linear."
                raise InputError(f"PEFT refuses it: {reason}", where="lora.target_modules", fix=fix) from None
            trained = sum(p.numel() for p in wrapped.parameters() if p.requires_grad)
            targets = _targets(wrapped)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    keys = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return Parameters(
        base=base,
        linear=linear,
        table=table,
        head=config.vocab_size * config.hidden_size,
        tied=bool(config.tie_word_embeddings),
        trained=trained,
        hidden=config.hidden_size,
        intermediate=config.intermediate_size,
        layers=config.num_hidden_layers,
        vocabulary=config.vocab_size,
        queries=config.num_attention_heads * width,
        keys=keys * width,
        heads=config.num_attention_heads,
        head_norms=any(name.endswith("q_norm.weight") for name, _ in model.named_parameters()),
        targets=targets,
    )


def _targets(wrapped: Any) -> dict[str, int]:
    """Matrix name to adapter rank, read from the adapters themselves."""
    found: dict[str, int] = {}
    for name, tensor in wrapped.named_parameters():
        path = name.split(".")
        if "lora_A" in path:
            found[path[path.index("lora_A") - 1]] = int(tensor.shape[0])
    return found
