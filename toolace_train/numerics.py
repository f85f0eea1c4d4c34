"""Which numbers a recipe keeps in which width: its `model`, `quantization`, `lora` and `train` sections as bytes."""

from __future__ import annotations

from toolace.recipe import Recipe
from toolace_train.memory import NF4, NF4_DOUBLE, Numerics
from toolace_train.settings import ModelSettings

# Optimisers of transformers whose state is not two moments in the width of the trained numbers.
EIGHT_BIT, FOUR_BIT, ONE_MOMENT, NO_MOMENT = "8bit", "4bit", ("lion", "rmsprop", "adagrad"), ("sgd", "adafactor")


def numerics_of(recipe: Recipe, accumulation: int, checkpointing: bool | None = None) -> Numerics:
    """The widths a recipe trains with.

    Args:
        accumulation: micro-batches of a step on one device; from the second on, gradients wait for the next.
        checkpointing: overrides the recipe's `train.gradient_checkpointing`.
    """
    settings, train = recipe.settings("model", ModelSettings), recipe.mapping("train")
    quantization, lora = recipe.mapping("quantization"), recipe.mapping("lora")
    width = 4.0 if settings.dtype == "float32" else 2.0
    linear = _linear(quantization, width)
    quantised = bool(quantization) and linear < width
    # PEFT keeps adapters in float32, TRL those of a quantised model in bf16; full fine-tuning trains the weights.
    trained = 4.0 if recipe.has("lora") and not quantised else 2.0 if quantised else width
    if checkpointing is None:
        checkpointing = bool(train.get("gradient_checkpointing", False))
    return Numerics(
        linear=linear,
        other=width,
        adapter=trained if recipe.has("lora") else 0.0,
        gradient=trained,
        moments=_moments(str(train.get("optim", "adamw_torch_fused")), trained),
        stream=width,
        compute=2.0 if train.get("bf16") or train.get("fp16") else width,
        dropout=float(lora.get("lora_dropout", 0.0)) > 0,
        checkpointing=checkpointing,
        accumulating=accumulation > 1,
        dequantised=quantised,
    )


def _linear(quantization: dict[str, object], width: float) -> float:
    if quantization.get("load_in_4bit"):
        return NF4_DOUBLE if quantization.get("bnb_4bit_use_double_quant") else NF4
    return 1.0 if quantization.get("load_in_8bit") else width


def _moments(name: str, width: float) -> float:
    """Bytes of optimiser state for each trained number."""
    if EIGHT_BIT in name:
        return 2.0
    if FOUR_BIT in name:
        return 1.0
    if name.startswith(NO_MOMENT):
        return 0.0
    return width if any(part in name for part in ONE_MOMENT) else 2 * width
