"""How many sequences a step sees and how many steps there are, from the recipe and the number of devices."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolace.errors import InputError
from toolace.recipe import Recipe
from toolace_train.settings import DataSettings
from toolace_train.training_keys import training_values


@dataclass(frozen=True)
class Schedule:
    """The arithmetic of a run; `steps` counts optimiser steps."""

    per_device: int
    accumulation: int
    global_batch: int
    epochs: float
    steps: int


def schedule(recipe: Recipe, sequences: int, world_size: int) -> Schedule:
    """Derives gradient accumulation so that the global batch is the recipe's on any number of devices.

    Raises:
        InputError: the global batch cannot be split evenly; or see `training_values`.
    """
    data, train = recipe.settings("data", DataSettings), training_values(recipe)
    per_device = train.get("per_device_train_batch_size", 1)
    together = per_device * world_size
    if data.global_batch_size < 1 or data.global_batch_size % together:
        fix = "Change train.per_device_train_batch_size, the number of devices or the global batch."
        what = (
            f"global_batch_size {data.global_batch_size} is no multiple of {per_device} a device x {world_size} devices"
        )
        raise InputError(what, where=f"{recipe.path}: data", fix=fix)
    epochs = float(train.get("num_train_epochs", 3.0))
    accumulation = data.global_batch_size // together
    # As transformers' Trainer counts: a rank's micro-batches a pass, then steps, the last of a pass possibly short.
    batches = math.ceil(math.ceil(sequences / per_device) / world_size)
    a_pass = max(1, math.ceil(batches / accumulation))
    limit = train.get("max_steps", -1)
    steps = limit if limit > 0 else math.ceil(epochs * a_pass)
    return Schedule(per_device, accumulation, data.global_batch_size, epochs, steps)
