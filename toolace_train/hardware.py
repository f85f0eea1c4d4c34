"""GPUs by name: peak rate and memory from `hardware.yaml`, and this machine's own rate, measured."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from toolace.errors import InputError
from toolace.recipe import unknown_key

GIB = 2**30
TABLE = Path(__file__).parent / "hardware.yaml"
CONTEXT = GIB // 2  # our choice: what CUDA's context and its libraries' workspaces take, about half a GiB on any card
USABLE = 0.96  # our choice: the rest is lost between the allocator's blocks


@dataclass(frozen=True)
class Gpu:
    """A card: name, dense bf16 operations a second, GiB of memory, where both are stated."""

    name: str
    peak_tflops: float
    memory_gib: float
    source: str

    @property
    def rate(self) -> float:
        """Peak operations a second."""
        return self.peak_tflops * 1e12

    def holds(self, size: float) -> bool:
        """Whether `size` bytes of tensors fit beside CUDA's own."""
        return size + CONTEXT <= self.memory_gib * GIB * USABLE


def gpus() -> dict[str, Gpu]:
    """All cards of the table, by key."""
    return {key: Gpu(**fields) for key, fields in yaml.safe_load(TABLE.read_text(encoding="utf-8")).items()}


def gpu(key: str) -> Gpu:
    """The card `key`. Raises InputError that names the nearest known key."""
    table = gpus()
    if key not in table:
        raise unknown_key(key, table, "--gpu")
    return table[key]


def check_utilisation(value: float) -> float:
    """The share of the peak rate that is assumed. Raises InputError outside (0, 1]."""
    if not 0 < value <= 1:
        raise InputError(f"is {value:g}", where="--utilisation", fix="Give a share of the peak rate, such as 0.4.")
    return value


def measured_rate() -> float:
    """Operations a second of one large bf16 matrix product on this machine's device, timed now."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 4096 if device == "cuda" else 1024
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    a @ a
    rounds = 10
    started = time.perf_counter()
    for _ in range(rounds):
        result = a @ a
    result.float().sum().item()
    return float(rounds * 2 * size**3 / (time.perf_counter() - started))
