"""The SFT run: a recipe in, a LoRA adapter with the stock tokenizer out, resumable after kill -9."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.recipe import Recipe
from toolace.rows import sha256, write_text
from toolace.runs import Run, versions
from toolace_train.checkpoints import last_checkpoint, training_code
from toolace_train.data import TrainingSet, load_training_set, to_dataset
from toolace_train.devices import SPEAK, check_devices, is_first_process, one_speaks
from toolace_train.export_files import one_template, tokenizer_files, with_values
from toolace_train.held_out import HeldOut, hold_out
from toolace_train.model import load_model, load_tokenizer, lora_config, template_text
from toolace_train.quiet import quiet_libraries
from toolace_train.rendering import Renderer
from toolace_train.run_settings import MonitorSettings
from toolace_train.schedule import Schedule, schedule
from toolace_train.sequences import digest_of
from toolace_train.settings import DataSettings, ModelSettings
from toolace_train.sources import local_files
from toolace_train.training_keys import check_installed, training_values


def train(recipe: Recipe, folder: str) -> int:
    """Trains and saves `<out>/adapter` (or `<out>/model` for full fine-tuning); returns the exit code."""
    quiet_libraries()
    return one_speaks(lambda: _in_its_folder(recipe, folder))


def _in_its_folder(recipe: Recipe, folder: str) -> int:
    training_values(recipe)
    check_devices(recipe)
    arguments, run = sft_config(recipe), Run(recipe.out)
    # One process of a run keeps other runs out of the folder for all of them.
    with run.working() if arguments.process_index == 0 else contextlib.nullcontext():
        return _train(recipe, folder, arguments, run)


def _train(recipe: Recipe, folder: str, arguments: Any, run: Run) -> int:
    from toolace_train.nan_stop import NotFinite

    settings, data = recipe.settings("model", ModelSettings), recipe.settings("data", DataSettings)
    monitor = recipe.settings("monitor", MonitorSettings)
    monitor.check(f"{recipe.path}: monitor")
    target = run.folder / ("adapter" if recipe.has("lora") else "model")
    weights = "adapter_model.safetensors" if recipe.has("lora") else "config.json"
    held_out_file = [monitor.held_out] if isinstance(monitor.held_out, str) else []
    renderer = Renderer(load_tokenizer(folder), template_text(settings))
    rows = load_training_set(data, renderer, seed=recipe.seed, folder=run.folder)
    held = hold_out(rows, monitor, data, renderer, recipe.seed)
    rows = held.training
    stage: dict[str, Any] = {
        "settings": {**_facts(recipe, folder), "rows": digest_of(rows.trees)},
        "inputs": local_files([*data.files, *held_out_file]),
        "outputs": [f"{target.name}/{weights}", "train/log.jsonl"],
    }
    known = run.finished("train", **stage)
    if known:
        _say(arguments, f"trained before: {target} ({known['counts']['steps']} steps)")
        return 0
    timing = schedule(recipe, len(rows.trees), arguments.world_size)
    arguments.gradient_accumulation_steps = timing.accumulation
    _say(arguments, *rows.report(), _summary(rows, timing, held))
    started = time.monotonic()
    with arguments.main_process_first(local=False, desc="looking for a checkpoint"):
        last = last_checkpoint(run, Path(arguments.output_dir), {"settings": stage["settings"]})
    trainer = _trainer(recipe, settings, data, folder, renderer.tokenizer, held, arguments)
    try:
        trainer.train(resume_from_checkpoint=last)
    except NotFinite as error:
        return _broken(error, run)
    except ImportError as error:  # an optimiser of a package of its own is looked for when the first step is near
        reason = str(error).strip().splitlines()[0].rstrip(".")
        fix = "Install it, or choose another train.optim."
        raise InputError(f"a package is missing: {reason}", where=f"{recipe.path}: train", fix=fix) from None
    _save(trainer, folder, target, recipe)
    if trainer.is_world_process_zero():
        counts = _counts(trainer, held)
        run.record("train", counts, time.monotonic() - started, **stage)
        _say(arguments, f"written: {target}; loss {counts['loss']:.4f} after {counts['steps']} steps")
    trainer.accelerator.end_training()
    return 0


def _broken(error: Exception, run: Run) -> int:
    """Says on one process why the training stopped; the others give it time to, for their end would cut it short."""
    if not is_first_process():
        time.sleep(SPEAK)
    else:
        print(f"toolace: {run.folder}: {error}", file=sys.stderr, flush=True)
    return 1


def sft_config(recipe: Recipe) -> Any:
    """The recipe's `train` section as an SFTConfig, with what this trainer decides filled in.

    Raises:
        InputError: see `training_values`; or a value that the library refuses.
    """
    import torch
    from trl import SFTConfig

    values, where = training_values(recipe), f"{recipe.path}: train"
    check_installed(values.get("report_to"), f"{where}.report_to")
    if not torch.cuda.is_available():
        # `accelerate launch --multi_gpu` without GPUs would otherwise start processes that each train alone.
        values.setdefault("use_cpu", True)
    defaults = {
        "gradient_checkpointing": False,
        "bf16": False,
        "report_to": "tensorboard",
        "disable_tqdm": True,  # callbacks.ProgressLine is the one progress line
        "ddp_find_unused_parameters": False,  # there are none, and looking for them costs a pass over the graph
        "logging_nan_inf_filter": False,  # such a step stops the run (nan_stop.py)
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
    monitor = recipe.mapping("monitor")
    weights = {path.name: sha256(path) for path in sorted(Path(folder).glob("*.safetensors"))}
    packages = versions(("torch", "transformers", "trl", "peft"))
    return {
        **sections,
        "held_out": monitor.get("held_out", 0),  # these rows are not trained on; the rest only measures
        "code": training_code(),
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
    held: HeldOut,
    arguments: Any,
) -> Any:
    from transformers import AutoConfig, PrinterCallback, set_seed

    from toolace_train.attention import NAME, attention_for, is_plain
    from toolace_train.callbacks import EpochOrder, HeldOutScore, LogFile, ProgressLine
    from toolace_train.nan_stop import NanStop
    from toolace_train.step_order import RowCollator
    from toolace_train.trainer import ToolaceTrainer, steady_memory, use_all_cores

    steady_memory()
    use_all_cores()
    set_seed(recipe.seed)  # the adapter's first weights are drawn when the model is wrapped
    plain = is_plain(AutoConfig.from_pretrained(folder))
    attention = attention_for(settings.attn_implementation, data.share_prefix, plain)
    model = load_model(settings, folder, attention, recipe.mapping("quantization"))
    trainer = ToolaceTrainer(
        model=model,
        args=arguments,
        train_dataset=to_dataset(held.training.trees),
        processing_class=tokenizer,
        data_collator=RowCollator(always_trees=attention == NAME),
        peft_config=lora_config(recipe),
    )
    trainer.remove_callback(PrinterCallback)  # it prints every logged step as a Python dictionary
    train_folder = Path(arguments.output_dir)
    monitor = recipe.settings("monitor", MonitorSettings)
    if held.turns:
        trainer.add_callback(HeldOutScore(trainer, held.turns, monitor, data.rendering))
    sources = [tree.sources for tree in held.training.trees]
    trainer.add_callback(EpochOrder(trainer))
    trainer.add_callback(NanStop(trainer, sources, train_folder / "stopped.json"))
    trainer.add_callback(LogFile(train_folder / "log.jsonl", trainer))
    trainer.add_callback(ProgressLine())
    return trainer


def _save(trainer: Any, base: str, target: Path, recipe: Recipe) -> None:
    """Adapter (or weights), the model's own tokenizer files byte for byte, and the trained chat template."""
    if trainer.is_fsdp_enabled:  # checkpoints are in parts; what a server loads is whole
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    trainer.save_model(str(target))
    if not trainer.is_world_process_zero():
        return
    if recipe.has("lora"):
        file = target / "adapter_config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        # The name in the recipe finds the base on any machine; the folder it was found in does not.
        config["base_model_name_or_path"] = recipe.settings("model", ModelSettings).model_name_or_path
        write_text(file, json.dumps(config, indent=2) + "\n")
    # The template that was trained with, its variables in it: a server may load the adapter as it is.
    data = recipe.settings("data", DataSettings)
    own = template_text(recipe.settings("model", ModelSettings)) or trainer.processing_class.chat_template
    template = with_values(one_template(own, data.rendering), data.chat_template_kwargs)
    tokenizer_files(Path(base), target, template)
    (target / "training_args.bin").unlink(missing_ok=True)


def _counts(trainer: Any, held: HeldOut) -> Mapping[str, Any]:
    rows = held.training
    last = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-1:]
    return {
        "rows": rows.rows,
        "used": rows.kept,
        "held_out": held.rows,
        "dropped": len(rows.dropped),
        "tokens": rows.tokens,
        "computed": rows.computed,
        "trained": rows.trained,
        "cut": rows.cut,
        "steps": trainer.state.global_step,
        "loss": float(last[0]) if last else float("nan"),
    }


def _summary(rows: TrainingSet, timing: Schedule, held: HeldOut) -> str:
    dropped = f", {len(rows.dropped)} dropped as too long" if rows.dropped else ""
    dropped += f", {held.rows:,} held out with {len(held.turns):,} turns" if held.rows else ""
    return (
        f"{rows.kept:,} rows of {rows.tokens:,} tokens ({rows.trained:,} trained){dropped}; "
        f"{len(rows.trees):,} sequences of {rows.computed:,} tokens; {timing.steps:,} steps of {timing.global_batch}"
    )


def _say(arguments: Any, *lines: str) -> None:
    if arguments.process_index == 0:
        print(*lines, sep="\n", flush=True)
