"""An adapter merged into its base, tensor by tensor: an 8B model needs the memory of one shard, not of 8B floats.

Sums are made in float32 from the base as it is stored and rounded once, to the precision the recipe trained in. So an
adapter that was trained on a 4-bit base (QLoRA) is merged into the base's unquantised weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.rows import read_json

INDEX = "model.safetensors.index.json"
_PREFIX = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"
# Keys of an adapter_config.json that make it more than W + scale * B A; PEFT itself then merges.
_PLAIN = (
    "use_dora",
    "fan_in_fan_out",
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "target_parameters",
    "trainable_token_indices",
    "lora_bias",
    "use_qalora",
    "alora_invocation_tokens",
)


def shards(folder: Path) -> list[Path]:
    """The weight files of a model folder, in order.

    Raises:
        InputError: it has none in safetensors form.
    """
    if (folder / INDEX).is_file():
        names = dict.fromkeys(read_json(folder / INDEX)["weight_map"].values())
        return [folder / name for name in names]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    fix = "Convert its weights to safetensors (transformers' save_pretrained does)."
    raise InputError("holds no model.safetensors", where=folder, fix=fix)


def shapes(folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(name, shape) of every tensor of a model folder, without reading weights."""
    from safetensors import safe_open

    for shard in shards(folder):
        with safe_open(str(shard), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                yield name, tuple(file.get_slice(name).get_shape())


def tensors(folder: Path) -> Iterator[tuple[str, Any]]:
    """(name, torch tensor) of a model folder, one in memory at a time."""
    from safetensors import safe_open

    for shard in shards(folder):
        with safe_open(str(shard), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                yield name, file.get_tensor(name)


def merge(base: Path, adapter: Path | None, target: Path, dtype: str) -> dict[str, Any]:
    """Writes the merged weights into `target` (safetensors in the base's shards).

    Args:
        base: folder of the base, or of the whole model when nothing is merged.
        adapter: folder of the adapter; None copies the weights.
        target: an existing folder.
        dtype: torch's name of the precision to write.

    Returns:
        `{"tensors", "merged", "parameters", "how"}`.

    Raises:
        InputError: the base is quantised itself, or has no safetensors.
    """
    config = read_json(base / "config.json")
    if config.get("quantization_config"):
        fix = "Point model.model_name_or_path at its unquantised weights, or export with --no-merge."
        raise InputError("the base is quantised on disk, and nothing can be added to such weights", where=base, fix=fix)
    deltas = _deltas(adapter, {name for name, _ in shapes(base)}) if adapter else {}
    if deltas is None:
        assert adapter is not None
        return _merge_with_peft(base, adapter, target, dtype)
    return _merge_shards(base, deltas, target, dtype)


def _deltas(adapter: Path, names: set[str]) -> dict[str, tuple[Any, Any, float]] | None:
    """Weight name -> (A [r, in], B [out, r], scale); None when the adapter is more than plain LoRA."""
    from safetensors.torch import load_file

    config = read_json(adapter / "adapter_config.json")
    if config.get("peft_type") != "LORA" or config.get("bias") != "none" or any(config.get(key) for key in _PLAIN):
        return None
    found = load_file(str(adapter / "adapter_model.safetensors"))
    deltas = {}
    for key, first in found.items():
        name = key.removeprefix(_PREFIX).removesuffix(_A) + ".weight"
        if key.endswith(_B):
            continue
        second = found.get(key.removesuffix(_A) + _B)
        if not key.endswith(_A) or second is None or name not in names or first.dim() != 2:
            return None
        rank = first.shape[0]
        scale = config["lora_alpha"] / (math.sqrt(rank) if config.get("use_rslora") else rank)
        deltas[name] = (first.float(), second.float(), scale)
    return deltas


def _merge_shards(base: Path, deltas: Mapping[str, tuple[Any, Any, float]], target: Path, dtype: str) -> dict[str, Any]:
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    precision, total, parameters, count = getattr(torch, dtype), 0, 0, 0
    weight_map = {}
    for shard in shards(base):
        merged = {}
        with safe_open(str(shard), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                tensor = file.get_tensor(name)
                if name in deltas:
                    first, second, scale = deltas[name]
                    tensor = tensor.float() + scale * (second @ first)
                merged[name] = (tensor.to(precision) if tensor.is_floating_point() else tensor).contiguous()
                weight_map[name] = shard.name
                total += merged[name].numel() * merged[name].element_size()
                parameters += merged[name].numel()
        count += len(merged)
        save_file(merged, str(target / shard.name), metadata={"format": "pt"})
        (target / shard.name).chmod(0o644)
    if (base / INDEX).is_file():
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        (target / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return {"tensors": count, "merged": len(deltas), "parameters": parameters, "how": "tensor by tensor, in float32"}


def _merge_with_peft(base: Path, adapter: Path, target: Path, dtype: str) -> dict[str, Any]:
    """Whatever PEFT can merge, with the whole model in memory as float32."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().to(getattr(torch, dtype))
    model.save_pretrained(str(target))
    for name in ("config.json", "generation_config.json"):  # written by export.py out of the base's own
        (target / name).unlink(missing_ok=True)
    stored = list(shapes(target))
    parameters = sum(math.prod(shape) for _, shape in stored)
    return {"tensors": len(stored), "merged": len(stored), "parameters": parameters, "how": "by PEFT, in float32"}
