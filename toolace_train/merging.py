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
# Keys of an adapter_config.json that leave it W + scale * B A whatever they are; PEFT itself merges an adapter in which
# any other key, known today or not, differs from its default.
_HARMLESS = {
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",  # read only with its own init_lora_weights
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "revision",
    "target_modules",
    "task_type",
    "use_rslora",
}
# How A and B began, where the base stays as it is. The others take something out of the base, which PEFT does again
# when it loads the adapter.
_UNCHANGED_BASE = (True, False, None, "gaussian", "orthogonal", "eva")
_AGAIN = "Export with --no-merge; next time leave lora.init_lora_weights out."
_PROBE = 32  # tokens that a merged model and its adapter are compared on
_CLOSE = 1e-3  # of the largest logit; float32 sums in another order differ by less than a thousandth of it


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


def merge(base: Path, adapter: Path | None, target: Path, dtype: str, *, quantized: bool = False) -> dict[str, Any]:
    """Writes the merged weights into `target` (safetensors in the base's shards).

    Args:
        base: folder of the base, or of the whole model when nothing is merged.
        adapter: folder of the adapter; None copies the weights.
        target: an existing folder.
        dtype: torch's name of the precision to write.
        quantized: whether the base was quantised while the adapter was trained.

    Returns:
        `{"tensors", "merged", "parameters", "how"}`.

    Raises:
        InputError: the base is quantised itself, or has no safetensors; or the adapter cannot be merged.
    """
    config = read_json(base / "config.json")
    if config.get("quantization_config"):
        fix = "Point model.model_name_or_path at its unquantised weights, or export with --no-merge."
        raise InputError("the base is quantised on disk, and nothing can be added to such weights", where=base, fix=fix)
    deltas = _deltas(adapter, {name for name, _ in shapes(base)}) if adapter else {}
    if deltas is None:
        assert adapter is not None
        _check_start(adapter, quantized)
        return _merge_with_peft(base, adapter, target, dtype)
    return _merge_shards(base, deltas, target, dtype)


def _deltas(adapter: Path, names: set[str]) -> dict[str, tuple[Any, Any, float]] | None:
    """Weight name -> (A [r, in], B [out, r], scale); None when the adapter is more than plain LoRA."""
    from safetensors.torch import load_file

    config = read_json(adapter / "adapter_config.json")
    if not _is_plain(config):
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


def _is_plain(config: Mapping[str, Any]) -> bool:
    """Whether an adapter_config.json means W + scale * B A over the base as it is stored."""
    if config.get("peft_type") != "LORA" or config.get("init_lora_weights") not in _UNCHANGED_BASE:
        return False
    rest = {key: value for key, value in config.items() if key not in _HARMLESS}
    return rest.pop("bias", "none") == "none" and not any(rest.values())


def _check_start(adapter: Path, quantized: bool) -> None:
    """Refuses an adapter whose base as trained cannot be had again: it would be merged into other weights.

    Raises:
        InputError: with the initialisation that is the reason.
    """
    start = read_json(adapter / "adapter_config.json").get("init_lora_weights")
    if start in _UNCHANGED_BASE or start == "mica":
        return
    if quantized:
        what = f"init_lora_weights {start!r} changed a quantised base, which unquantised weights do not hold"
        raise InputError(what, where=adapter, fix=_AGAIN)
    if str(start).startswith(("pissa_niter", "corda", "lora_ga")):
        what = (
            f"init_lora_weights {start!r} cannot be merged: it rests on chance or data that the adapter does not hold"
        )
        raise InputError(what, where=adapter, fix=_AGAIN)


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
    """Whatever PEFT can merge, with the whole model in memory as float32; compared before and after.

    Raises:
        InputError: PEFT cannot load or merge it, or what was written answers otherwise than base and adapter.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    tokens = torch.arange(_PROBE).remainder(model.config.vocab_size)[None]
    try:
        model = PeftModel.from_pretrained(model, str(adapter)).eval()
        wanted = _logits(model, tokens)
        model = model.merge_and_unload()
    except Exception as error:
        # Each kind of adapter has its own conditions, and PEFT its own exceptions for them.
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        fix = "Export with --no-merge and serve the adapter."
        raise InputError(f"PEFT cannot merge it ({reason})", where=adapter, fix=fix) from None
    _same(_logits(model, tokens), wanted, adapter)
    model = model.to(getattr(torch, dtype))
    model.save_pretrained(str(target))
    rounded = _logits(model, tokens)
    del model
    extra = sorted({name for name, _ in shapes(target)} - {name for name, _ in shapes(base)})
    if extra:  # a head of its own beside tied embeddings: some servers would read it, others tie it again
        what = f"merged, it would hold weights that its base does not have ({extra[0]})"
        raise InputError(what, where=adapter, fix="Export with --no-merge and serve the adapter.")
    # As a server will load it: a head that was tied to the embeddings in the base is tied again.
    stored = AutoModelForCausalLM.from_pretrained(
        str(target), config=AutoConfig.from_pretrained(str(base)), dtype=getattr(torch, dtype)
    )
    _same(_logits(stored, tokens), rounded, adapter)
    for name in ("config.json", "generation_config.json"):  # written by export.py out of the base's own
        (target / name).unlink(missing_ok=True)
    shaped = list(shapes(target))
    parameters = sum(math.prod(shape) for _, shape in shaped)
    return {"tensors": len(shaped), "merged": len(shaped), "parameters": parameters, "how": "by PEFT, in float32"}


def _logits(model: Any, tokens: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model(input_ids=tokens, use_cache=False).logits.float()


def _same(found: Any, wanted: Any, adapter: Path) -> None:
    apart = float((found - wanted).abs().max())
    if not apart <= _CLOSE * max(1.0, float(wanted.abs().max())):
        what = f"merged, it answers otherwise than base and adapter (by {apart:.2g} logits)"
        fix = "Export with --no-merge; an adapter on weights that the base shares (tied embeddings) is such a one."
        raise InputError(what, where=adapter, fix=fix)
