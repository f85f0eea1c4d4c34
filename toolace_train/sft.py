"""The SFT run: a recipe in, a LoRA adapter with the stock tokenizer out, resumable after kill -9."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.recipe import Recipe
from toolace.rows import sha256, write_json, write_text
from toolace.runs import Run, code_digest, versions
from toolace_train.data import TrainingSet, load_training_set, to_dataset
from toolace_train.model import check_keys, load_model, load_tokenizer, lora_config, template_text
from toolace_train.rendering import Renderer
from toolace_train.schedule import Schedule, schedule
from toolace_train.settings import DataSettings, ModelSettings
from toolace_train.sources import local_files

# SFTConfig fields that this trainer decides itself.
OURS = {
    "output_dir": "it is <out>/train",
    "max_length": "use data.max_length",
    "packing": "sequences come as they are from data.share_prefix",
    "padding_free": "micro-batches have no padding anyway",
    "dataset_kwargs": "rows are tokenised by toolace",
    "remove_unused_columns": "the trainer needs all its columns",
    "gradient_accumulation_steps": "it follows from data.global_batch_size",
    "assistant_only_loss": "it always is",
    "completion_only_loss": "the loss is on assistant turns",
    "seed": "use the recipe's seed",
}


def train(recipe: Recipe, folder: str) -> int:
    """Trains and saves `<out>/adapter` (or `<out>/model` for full fine-tuning); returns the exit code."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_warning()
    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    arguments, run = sft_config(recipe), Run(recipe.out)
    # One process of a run keeps other runs out of the folder for all of them.
    with run.working() if arguments.process_index == 0 else contextlib.nullcontext():
        return _train(recipe, folder, arguments, run)


def _train(recipe: Recipe, folder: str, arguments: Any, run: Run) -> int:
    settings, data = recipe.settings("model", ModelSettings), recipe.settings("data", DataSettings)
    target = run.folder / ("adapter" if recipe.has("lora") else "model")
    weights = "adapter_model.safetensors" if recipe.has("lora") else "config.json"
    stage: dict[str, Any] = {
        "settings": _facts(recipe, folder),
        "inputs": local_files(data.files),
        "outputs": [f"{target.name}/{weights}", "train/log.jsonl"],
    }
    known = run.finished("train", **stage)
    if known:
        _say(arguments, f"trained before: {target} ({known['counts']['steps']} steps)")
        return 0
    tokenizer = load_tokenizer(folder)
    rows = load_training_set(data, Renderer(tokenizer, template_text(settings)), seed=recipe.seed, folder=run.folder)
    timing = schedule(recipe, len(rows.trees), arguments.world_size)
    arguments.gradient_accumulation_steps = timing.accumulation
    _say(arguments, _summary(rows, timing))
    started = time.monotonic()
    with arguments.main_process_first(local=False, desc="looking for a checkpoint"):
        last = last_checkpoint(Path(arguments.output_dir), run.fingerprint(stage["settings"], stage["inputs"]))
    trainer = _trainer(recipe, settings, data, folder, tokenizer, rows, arguments)
    trainer.train(resume_from_checkpoint=last)
    _save(trainer, folder, target, recipe)
    if trainer.is_world_process_zero():
        counts = _counts(trainer, rows)
        run.record("train", counts, time.monotonic() - started, **stage)
        _say(arguments, f"written: {target}; loss {counts['loss']:.4f} after {counts['steps']} steps")
    trainer.accelerator.end_training()
    return 0


def check_training_values(recipe: Recipe) -> None:
    """Refuses `train` keys and values that training would refuse, without touching the run folder.

    Raises:
        InputError: an unknown key, or a number that is none or out of range.
    """
    from trl import SFTConfig

    values, where = recipe.mapping("train"), f"{recipe.path}: train"
    check_keys(where, values, {field.name for field in dataclasses.fields(SFTConfig)})
    for key in OURS:
        if key in values:
            raise InputError(f"the key {key!r} is not yours to set", where=where, fix=f"Remove it: {OURS[key]}.")
    for key in ("learning_rate", "num_train_epochs", "warmup_steps", "logging_steps", "save_steps"):
        value = values.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise InputError(f"{key} is {value!r}", where=where, fix="Give a number that is not negative.")


def sft_config(recipe: Recipe) -> Any:
    """The recipe's `train` section as an SFTConfig, with what this trainer decides filled in.

    Raises:
        InputError: an unknown key, one that is ours, or a value that the library refuses.
    """
    import os

    import torch
    from trl import SFTConfig

    values = recipe.mapping("train")
    where = f"{recipe.path}: train"
    check_training_values(recipe)
    if not torch.cuda.is_available():
        # `accelerate launch --multi_gpu` without GPUs would otherwise start processes that each train alone.
        values.setdefault("use_cpu", True)
    if os.environ.get("ACCELERATE_USE_CPU") and os.environ.get("MASTER_ADDR") and "RANK" not in os.environ:
        print("toolace: accelerate starts one process with --cpu, whatever --num_processes says", file=sys.stderr)
    defaults = {
        "gradient_checkpointing": False,
        "bf16": False,
        "report_to": "tensorboard",
        "dataloader_pin_memory": False,
        "per_device_train_batch_size": 1,  # a micro-batch is one flattened row; schedule.py counts on the same
    }
    try:
        return SFTConfig(
            output_dir=str(recipe.out / "train"),
            max_length=None,
            remove_unused_columns=False,
            dataset_kwargs={"skip_prepare_dataset": True},
            seed=recipe.seed,
            **{**defaults, **values},
        )
    except (TypeError, ValueError, ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"SFTConfig refuses it: {reason}", where=where, fix="Correct the value.") from None


def _facts(recipe: Recipe, folder: str) -> dict[str, Any]:
    """Everything besides the rows that decides the adapter."""
    sections = {name: recipe.mapping(name) for name in ("model", "lora", "quantization", "data", "train")}
    weights = {path.name: sha256(path) for path in sorted(Path(folder).glob("*.safetensors"))}
    packages = versions(("torch", "transformers", "trl", "peft"))
    return {
        **sections,
        "code": code_digest("toolace_train"),
        "seed": recipe.seed,
        "weights": weights,
        "packages": packages,
    }


def _trainer(
    recipe: Recipe,
    settings: ModelSettings,
    data: DataSettings,
    folder: str,
    tokenizer: Any,
    rows: TrainingSet,
    arguments: Any,
) -> Any:
    from transformers import set_seed

    from toolace_train.attention import attention_for
    from toolace_train.callbacks import LogFile
    from toolace_train.sequences import TreeCollator
    from toolace_train.trainer import ToolaceTrainer, steady_memory, use_all_cores

    steady_memory()
    use_all_cores()
    set_seed(recipe.seed)  # the adapter's first weights are drawn when the model is wrapped
    attention = attention_for(settings.attn_implementation, data.share_prefix)
    model = load_model(settings, folder, attention, recipe.mapping("quantization"))
    return ToolaceTrainer(
        model=model,
        args=arguments,
        train_dataset=to_dataset(rows.trees),
        processing_class=tokenizer,
        data_collator=TreeCollator(),
        peft_config=lora_config(recipe),
        callbacks=[LogFile(Path(arguments.output_dir) / "log.jsonl")],
    )


def last_checkpoint(folder: Path, fingerprint: str) -> str | None:
    """The newest whole checkpoint of this very run; those of another one, and half-written ones, are removed."""
    note = folder / "fingerprint.json"
    same = note.exists() and json.loads(note.read_text(encoding="utf-8")) == fingerprint
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    whole = None
    for checkpoint in found:
        # transformers writes trainer_state.json last.
        if same and (checkpoint / "trainer_state.json").exists() and _readable(checkpoint / "trainer_state.json"):
            whole = checkpoint
        else:
            shutil.rmtree(checkpoint, ignore_errors=True)
    if not same:
        (folder / "log.jsonl").unlink(missing_ok=True)
        write_json(note, fingerprint)
    return str(whole) if whole else None


def _readable(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def _save(trainer: Any, base: str, target: Path, recipe: Recipe) -> None:
    """Adapter (or weights) and the model's own tokenizer files, byte for byte."""
    trainer.save_model(str(target))
    if not trainer.is_world_process_zero():
        return
    if recipe.has("lora"):
        file = target / "adapter_config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        # The name in the recipe finds the base on any machine; the folder it was found in does not.
        config["base_model_name_or_path"] = recipe.settings("model", ModelSettings).model_name_or_path
        write_text(file, json.dumps(config, indent=2) + "\n")
    for name in (
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "tokenizer.model",
        "chat_template.jinja",
    ):
        if (Path(base) / name).exists():
            shutil.copyfile(Path(base) / name, target / name)
    (target / "training_args.bin").unlink(missing_ok=True)


def _counts(trainer: Any, rows: TrainingSet) -> Mapping[str, Any]:
    last = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-1:]
    return {
        "rows": rows.rows,
        "used": rows.kept,
        "dropped": len(rows.dropped),
        "tokens": rows.tokens,
        "computed": rows.computed,
        "trained": rows.trained,
        "cut": rows.cut,
        "steps": trainer.state.global_step,
        "loss": float(last[0]) if last else float("nan"),
    }


def _summary(rows: TrainingSet, timing: Schedule) -> str:
    dropped = f", {len(rows.dropped)} dropped as too long" if rows.dropped else ""
    return (
        f"{rows.kept:,} rows of {rows.tokens:,} tokens ({rows.trained:,} trained){dropped}; "
        f"{len(rows.trees):,} sequences of {rows.computed:,} tokens; {timing.steps:,} steps of {timing.global_batch}"
    )


def _say(arguments: Any, text: str) -> None:
    if arguments.process_index == 0:
        print(text, flush=True)
