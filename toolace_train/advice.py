"""What to change in a recipe that does not fit a card: single changes, each computed with the change made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolace.recipe import Recipe
from toolace_train.hardware import GIB, Gpu
from toolace_train.layouts import Layout, layouts
from toolace_train.micro_batch import Micro
from toolace_train.numerics import numerics_of
from toolace_train.parameters import count_parameters
from toolace_train.schedule import Schedule
from toolace_train.settings import DataSettings, ModelSettings


def changes_that_fit(recipe: Recipe, micro: Micro, timing: Schedule, layout: Layout, card: Gpu) -> list[str]:
    """Single changes after which the recipe fits the card, cheapest first; with none, the smallest that helps."""
    found = []
    for words, changes in _changes(recipe, timing):
        changed = Recipe(recipe.path, _with(recipe.values, changes))
        share = changed.settings("data", DataSettings).max_length / recipe.settings("data", DataSettings).max_length
        share *= int(changed.mapping("train").get("per_device_train_batch_size", 1)) / timing.per_device
        parameters = count_parameters(changed, changed.settings("model", ModelSettings).model_name_or_path)
        memory = micro.memory(parameters, numerics_of(changed, timing.accumulation), layout, share)
        if card.holds(memory.total):
            found.append(f"{words}: about {memory.total / GIB:.1f} GiB")
    parameters = count_parameters(recipe, recipe.settings("model", ModelSettings).model_name_or_path)
    for other in layouts(max(layout.devices, 8))[2:]:
        memory = micro.memory(parameters, numerics_of(recipe, timing.accumulation), other)
        if other.name != layout.name and card.holds(memory.total):
            config = f"accelerate_configs/{other.name}.yaml"
            found.append(f"{config} on {other.devices} devices: about {memory.total / GIB:.1f} GiB on each")
    return found or ["no single change is enough: combine 4-bit weights, checkpointing, shorter rows, or a larger card"]


def _changes(recipe: Recipe, timing: Schedule) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    train = recipe.mapping("train")
    changes: list[tuple[str, dict[str, dict[str, Any]]]] = []
    if not train.get("gradient_checkpointing"):
        changes.append(("train.gradient_checkpointing: true", {"train": {"gradient_checkpointing": True}}))
    if timing.per_device > 1:
        changes.append(("train.per_device_train_batch_size: 1", {"train": {"per_device_train_batch_size": 1}}))
    if not recipe.has("lora"):
        changes.append(("train.optim: adamw_bnb_8bit", {"train": {"optim": "adamw_bnb_8bit"}}))
        lora = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"}
        changes.append(("a section lora (r: 16, all-linear)", {"lora": lora}))
    elif not recipe.mapping("quantization"):
        nf4 = {"load_in_4bit": True, "bnb_4bit_use_double_quant": True}
        changes.append(("quantization as in recipes/toolace8b_qlora.yaml", {"quantization": nf4}))
    half = recipe.settings("data", DataSettings).max_length // 2
    changes.append((f"data.max_length: {half}", {"data": {"max_length": half}}))
    return changes


def _with(values: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {**values, **{section: {**(values.get(section) or {}), **keys} for section, keys in changes.items()}}
