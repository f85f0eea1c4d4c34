"""Whether this machine can do what the recipe asks for, said in one line before anything is loaded."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from toolace.errors import InputError
from toolace.recipe import Recipe

# Seconds a process with nothing to say waits for the one that says it: the first to end takes the others along.
SPEAK = 3.0


def check_devices(recipe: Recipe) -> None:
    """Looks at GPUs, precision and processes.

    Raises:
        InputError: the recipe's accelerate config wants GPUs and there is none, or its GPUs have no bf16.
    """
    import torch

    train = recipe.mapping("train")
    config = recipe.values.get("accelerate_config")
    if not _has_accelerator() and not train.get("use_cpu") and config and wants_gpu(Path(str(config))):
        fix = "Start it where one is, or add --accelerate_config accelerate_configs/cpu.yaml to train on the CPU."
        raise InputError(f"names {config}, and this machine has no GPU", where=recipe.path, fix=fix)
    cuda = torch.cuda.is_available() and not train.get("use_cpu")
    if train.get("bf16") and cuda and not torch.cuda.is_bf16_supported(including_emulation=False):
        fix = "Use --train.bf16 false --train.fp16 true --model.dtype float16."
        raise InputError(
            f"bf16 is not what {torch.cuda.get_device_name()} computes", where=f"{recipe.path}: train", fix=fix
        )
    if os.environ.get("ACCELERATE_USE_CPU") and os.environ.get("MASTER_ADDR") and "RANK" not in os.environ:
        print("toolace: accelerate starts one process with --cpu, whatever --num_processes says", file=sys.stderr)


def wants_gpu(path: Path) -> bool:
    """Whether an accelerate config is for GPUs; one that cannot be read is accelerate's to complain about."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return False
    return isinstance(config, dict) and config.get("use_cpu") is False


def _has_accelerator() -> bool:
    import torch

    return bool(torch.accelerator.is_available())


def is_first_process() -> bool:
    """Whether this process is the one that speaks for all of them, before torch.distributed says so."""
    return int(os.environ.get("RANK", "0")) == 0


def one_speaks(work: Callable[[], int]) -> int:
    """Runs what every process of a run runs. What is wrong is the same for all of them, and one says so.

    Raises:
        InputError: on the first process only; the others end with exit code 2.
    """
    try:
        return work()
    except InputError:
        if is_first_process():
            raise
        time.sleep(SPEAK)
        return 2
