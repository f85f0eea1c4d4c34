"""Finding, loading and wrapping the model of a recipe, with one clear line when it cannot be had."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolace.embedded import NAME, resolve_model
from toolace.errors import InputError
from toolace.recipe import Recipe, unknown_key
from toolace_train.settings import ModelSettings

TEMPLATES = Path(__file__).parent / "templates"


def locate(name: str) -> str:
    """The folder of a model, downloaded if need be.

    Raises:
        InputError: it is not here and cannot be downloaded; the text says how to get it.
    """
    folder = Path(resolve_model(name))
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise InputError("holds no config.json", where=folder, fix="Name the folder of a transformers model.")
        return str(folder)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise InputError("is neither a folder nor a hub id", where=name, fix=f"Use {NAME!r}, a folder or owner/name.")
    return _from_hub(name)


def _from_hub(name: str) -> str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model"]
    try:
        return str(snapshot_download(name, allow_patterns=wanted, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass
    try:
        return str(snapshot_download(name, allow_patterns=wanted, etag_timeout=10))
    except Exception as error:
        # Offline, gated, misspelt or out of disk: the hub's client raises a dozen kinds, and each means the same here.
        fix = (
            f"Where there is network, accept its licence on the hub, run `hf auth login` and `hf download {name}`; or "
            "point at a copy with --model.model_name_or_path FOLDER"
        )
        reason = type(error).__name__
        raise InputError(
            f"the model is not on this machine and cannot be downloaded ({reason})", where=name, fix=fix
        ) from None


def load_tokenizer(folder: str) -> Any:
    """The stock tokenizer of a model folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def template_text(settings: ModelSettings) -> str | None:
    """The chat template the recipe names; None for the tokenizer's own."""
    if settings.chat_template == "tokenizer":
        return None
    return (TEMPLATES / f"{settings.chat_template}.jinja").read_text(encoding="utf-8")


def load_model(settings: ModelSettings, folder: str, attention: str, quantization: Mapping[str, Any] | None) -> Any:
    """The model with its frozen weights, ready to be wrapped by PEFT."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    extra: dict[str, Any] = {}
    if quantization:
        known = {"load_in_4bit", "load_in_8bit"} | set(BitsAndBytesConfig().to_dict())
        check_keys("quantization", quantization, known)
        extra["quantization_config"] = BitsAndBytesConfig(**quantization)
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, settings.dtype), attn_implementation=attention, **extra
    )


def lora_config(recipe: Recipe) -> Any | None:
    """The recipe's `lora` section as a LoraConfig, or None for full fine-tuning."""
    if not recipe.has("lora"):
        return None
    from peft import LoraConfig

    values = recipe.mapping("lora")
    check_keys(f"{recipe.path}: lora", values, {field.name for field in dataclasses.fields(LoraConfig)})
    rank = values.get("r", 8)
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise InputError(f"r is {rank!r}", where=f"{recipe.path}: lora", fix="Give a whole number of at least 1.")
    try:
        return LoraConfig(task_type="CAUSAL_LM", **values)
    except (TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"LoraConfig refuses it: {reason}", where=f"{recipe.path}: lora", fix="Correct it.") from None


def check_keys(where: str, values: Mapping[str, Any], known: set[str]) -> None:
    """Raises InputError for the first key that the library does not know."""
    for key in values:
        if key not in known:
            raise unknown_key(key, known, where)
