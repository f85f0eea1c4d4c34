"""What each accelerate config splits over the devices: the rows of the plan's memory table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from toolace.errors import InputError


@dataclass(frozen=True)
class Layout:
    """Devices and what they share out among each other.

    Attributes:
        name: the accelerate config's.
        devices: processes, one a device.
        kind: "one", "ddp" (every device holds all, and a bucket that gradients travel in), "fsdp" or "zero".
        weights, gradients, optimiser: whether each device holds only its share of them.
    """

    name: str
    devices: int
    kind: str
    weights: bool = False
    gradients: bool = False
    optimiser: bool = False

    def share(self, split: bool) -> float:
        """The part of something one device holds."""
        return 1 / self.devices if split else 1.0


SINGLE = Layout("single_gpu", 1, "one")
LAYOUTS: dict[str, Layout] = {
    "single_gpu": SINGLE,
    "multi_gpu": Layout("multi_gpu", 8, "ddp"),
    "fsdp2": Layout("fsdp2", 8, "fsdp", weights=True, gradients=True, optimiser=True),
    "zero2": Layout("zero2", 8, "zero", gradients=True, optimiser=True),
    "zero3": Layout("zero3", 8, "zero", weights=True, gradients=True, optimiser=True),
}


def layouts(devices: int) -> list[Layout]:
    """Every layout, those of several devices on `devices` of them."""
    return [layout if layout.kind == "one" else replace(layout, devices=devices) for layout in LAYOUTS.values()]


def layout_of(path: str | Path) -> Layout:
    """The layout that an accelerate config file describes.

    Raises:
        InputError: no such file, no YAML, or a distribution that the plan has no formula for.
    """
    fix = "See accelerate_configs/."
    try:
        config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        raise InputError("is no accelerate config that can be read", where=path, fix=fix) from None
    if not isinstance(config, dict):
        raise InputError("is no accelerate config", where=path, fix=fix)
    kind = str(config.get("distributed_type", "NO")).upper()
    devices = int(config.get("num_processes") or 1)
    if kind == "NO":
        return SINGLE
    if kind.startswith("MULTI_"):
        return replace(LAYOUTS["multi_gpu"], devices=devices)
    if kind == "FSDP":
        again = _section(config, "fsdp_config").get("fsdp_reshard_after_forward", True)
        split = again is not False and str(again).upper() not in ("FALSE", "SHARD_GRAD_OP", "NO_SHARD")
        return replace(LAYOUTS["fsdp2"], devices=devices, weights=split)
    if kind == "DEEPSPEED":
        stage = int(_section(config, "deepspeed_config").get("zero_stage", 2))
        return replace(LAYOUTS["zero3" if stage == 3 else "zero2"], devices=devices)
    raise InputError(f"distributed_type {kind} is not one the plan knows", where=path, fix=fix)


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}
