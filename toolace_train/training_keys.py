"""The keys of a recipe's `train` section: each field of TRL's SFTConfig is either honoured or refused with its reason.

A key that is taken and then ignored would stand in the recipe, the manifest and the model card as if it had been done.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from toolace.errors import InputError
from toolace.recipe import Recipe
from toolace.typed import unknown_key


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


HONOURED = _names(
    """
    per_device_train_batch_size num_train_epochs max_steps learning_rate lr_scheduler_type lr_scheduler_kwargs
    warmup_steps optim optim_args optim_target_modules weight_decay adam_beta1 adam_beta2 adam_epsilon max_grad_norm
    bf16 fp16 tf32 gradient_checkpointing gradient_checkpointing_kwargs torch_empty_cache_steps full_determinism
    use_cpu logging_strategy logging_steps logging_first_step log_level log_level_replica log_on_each_node
    report_to run_name project trackio_space_id trackio_bucket_id trackio_static_space_id
    save_strategy save_steps save_on_each_node save_total_limit
    dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor
    ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph ddp_backend ddp_timeout
    """
)


def _all(keys: str, why: str) -> dict[str, str]:
    return dict.fromkeys(_names(keys), why)


# Every other field, with why it is not the recipe's to set and what to set instead.
REFUSED: Mapping[str, str] = {
    "output_dir": "it is <out>/train",
    "seed": "use the recipe's seed",
    "data_seed": "the recipe's seed also orders the rows",
    "gradient_accumulation_steps": "it follows from data.global_batch_size",
    "auto_find_batch_size": "the global batch would change; lower train.per_device_train_batch_size instead",
    # The rows
    "max_length": "use data.max_length",
    "truncation_mode": "use data.over_length",
    **_all("packing packing_strategy", "sequences come as they are; data.share_prefix computes a shared prompt once"),
    **_all("padding_free pad_to_multiple_of pad_token", "micro-batches have no padding anyway"),
    **_all("dataset_text_field dataset_kwargs dataset_num_proc", "rows are read and tokenised by toolace; see data"),
    "shuffle_dataset": "rows are always shuffled, by the recipe's seed",
    "eos_token": "a turn ends with the token that the chat template writes",
    "chat_template_path": "use model.chat_template",
    **_all("remove_unused_columns label_names length_column_name", "the columns of the rows are the trainer's own"),
    "train_sampling_strategy": "sequences of a step are always dealt to the devices by length, without padding",
    "dataloader_drop_last": "every row is trained on",
    "dataloader_in_order": "the order of the rows is the seed's alone, so that a resumed run sees the same",
    "dataloader_multiprocessing_context": "workers are started as PyTorch does",
    "ignore_data_skip": "a resumed run goes on with the rows that are left",
    "accelerator_config": "batches are split by step_order.py",
    # The loss
    "assistant_only_loss": "the loss is on assistant turns anyway; data.train_on and masks in the rows narrow it",
    "completion_only_loss": "the loss is on assistant turns; data.train_on: last keeps the last of each dialog",
    "loss_type": "the loss is the mean negative log-likelihood of the trained tokens (nll)",
    "label_smoothing_factor": "the loss is the plain negative log-likelihood; lora.lora_dropout regularises",
    "router_aux_loss_coef": "the loss is that of the trained tokens alone",
    "average_tokens_across_devices": "the loss is always the mean over the tokens of all devices",
    "neftune_noise_alpha": "its noise goes by the length of a padded batch, and there is none; see lora.lora_dropout",
    # The model and how it is computed
    **_all("model_init_kwargs trust_remote_code", "use the section model"),
    "use_cache": "training never reads a cache",
    **_all("use_liger_kernel liger_kernel_config", "fused kernels are not wired; see docs/training.md"),
    **_all(
        "torch_compile torch_compile_backend torch_compile_mode",
        "nearly every micro-batch has a length of its own and would be compiled anew",
    ),
    **_all(
        "activation_checkpointing activation_checkpointing_kwargs",
        "use train.gradient_checkpointing and train.gradient_checkpointing_kwargs, which the plan reads",
    ),
    "activation_offloading": "the plan does not know it; use train.gradient_checkpointing",
    **_all("fsdp fsdp_config", "use accelerate_config: accelerate_configs/fsdp2.yaml"),
    "deepspeed": "use accelerate_config: accelerate_configs/zero2.yaml or zero3.yaml",
    "parallelism_config": "use accelerate_config; accelerate_configs/ has what was tried",
    "local_rank": "the launcher says it",
    # What is measured and shown
    **_all(
        "eval_strategy eval_steps eval_delay per_device_eval_batch_size prediction_loss_only eval_on_start "
        "eval_do_concat_batches eval_use_gather_object eval_accumulation_steps include_for_metrics batch_eval_metrics "
        "eval_packing do_eval do_predict bf16_full_eval fp16_full_eval",
        "use the section monitor: its held-out rows are asked while the model trains",
    ),
    **_all(
        "load_best_model_at_end metric_for_best_model greater_is_better",
        "the last weights are the result; monitor.held_out shows how they came about, and checkpoints stay",
    ),
    "logging_nan_inf_filter": "a step that is no number stops the run",
    "debug": "a step that is no number stops the run and names its rows",
    "include_num_input_tokens_seen": "num_tokens in train/log.jsonl counts them",
    "skip_memory_metrics": "memory stands in every row of train/log.jsonl",
    "disable_tqdm": "there is one progress line, and in a log file a line now and then",
    # Checkpoints and what becomes of the model
    "save_only_model": "a killed run could not go on without the optimiser's state; use train.save_total_limit",
    "enable_jit_checkpoint": "use train.save_steps; a killed run goes on from the last checkpoint",
    "resume_from_checkpoint": "the same command goes on from the last checkpoint by itself",
    "restore_callback_states_from_checkpoint": "no callback here has a state of its own",
    **_all(
        "push_to_hub hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision",
        "use `toolace export --push OWNER/NAME` after the training",
    ),
    "do_train": "training is what the recipe is for",
}

# Values that the library knows and this trainer cannot do.
_UNFIT = {
    "save_strategy": {"best": "there is no eval loss to choose by"},
    "lr_scheduler_type": dict.fromkeys(("reduce_lr_on_plateau", "greedy"), "there is no eval loss to go by"),
}
_AT_LEAST_1 = _names(
    "per_device_train_batch_size save_total_limit torch_empty_cache_steps dataloader_prefetch_factor ddp_timeout "
    "ddp_bucket_cap_mb"
)
_ABOVE_0 = _names("num_train_epochs logging_steps save_steps adam_epsilon")
_NOT_NEGATIVE = _names("learning_rate warmup_steps weight_decay max_grad_norm dataloader_num_workers")
_BELOW_1 = _names("adam_beta1 adam_beta2")
# Below 1 a share of all steps, else a number of steps.
_SHARE_OR_STEPS = _names("logging_steps save_steps warmup_steps")


def training_values(recipe: Recipe) -> dict[str, Any]:
    """The `train` section as SFTConfig takes it, checked; touches neither devices nor the run folder.

    Raises:
        InputError: an unknown or refused key, a value of another type, or a number out of range.
    """
    from trl import SFTConfig

    # YAML reads `save_strategy: no` as false.
    values = {
        key: "no" if value is False and key.endswith("_strategy") else value
        for key, value in recipe.mapping("train").items()
    }
    where, hints = f"{recipe.path}: train", typing.get_type_hints(SFTConfig)
    fields = {field.name for field in dataclasses.fields(SFTConfig)}
    for key, value in values.items():
        if key not in fields:
            raise unknown_key(key, HONOURED, where)
        if key in REFUSED:
            raise InputError(f"the key {key!r} is not yours to set", where=where, fix=f"Remove it: {REFUSED[key]}.")
        if not fits(hints[key], value):
            what = f"{key} is {value!r}, not {_wanted(hints[key])}"
            raise InputError(what, where=where, fix="Correct the value.")
        _check_value(key, value, where)
    if not values.get("dataloader_num_workers"):
        for key in ("dataloader_persistent_workers", "dataloader_prefetch_factor"):
            if values.get(key):
                fix = "Set train.dataloader_num_workers to at least 1, or remove the key."
                raise InputError(f"the key {key!r} is for workers, and there are none", where=where, fix=fix)
    return values


def _check_value(key: str, value: Any, where: str) -> None:
    """Raises InputError for a value of the right type that cannot be meant."""
    for unfit, why in _UNFIT.get(key, {}).items():
        if value == unfit:
            raise InputError(f"{key} is {value}, and {why}", where=where, fix="Choose another.")
    if key == "report_to":
        _check_trackers(value, f"{where}.{key}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    wanted = ""
    if key in _AT_LEAST_1 and value < 1:
        wanted = "a whole number of at least 1"
    elif key in _ABOVE_0 and value <= 0:
        wanted = "a number above 0"
    elif key in _NOT_NEGATIVE and value < 0:
        wanted = "a number that is not negative"
    elif key in _BELOW_1 and not 0 <= value < 1:
        wanted = "a number from 0 to below 1"
    elif key in _SHARE_OR_STEPS and value > 1 and value != int(value):
        wanted = "a whole number of steps, or a share of them below 1"
    elif key == "max_steps" and value < 1 and value != -1:
        wanted = "a whole number of at least 1, or -1 for all passes"
    if wanted:
        raise InputError(f"{key} is {value!r}", where=where, fix=f"Give {wanted}.")


def _check_trackers(value: Any, where: str) -> None:
    from transformers.integrations import integration_utils

    known = {"all", "none", *integration_utils.INTEGRATION_TO_CALLBACK}
    for name in value if isinstance(value, list) else [value]:
        if name is not None and name not in known:
            raise unknown_key(name, known, where)


def check_installed(trackers: Any, where: str) -> None:
    """Raises InputError for a tracker of `report_to` that is not on this machine."""
    from transformers.integrations import get_available_reporting_integrations

    here = {"all", "none", None, *get_available_reporting_integrations()}
    for name in trackers if isinstance(trackers, list) else [trackers]:
        if name not in here:
            fix = f"Install it (pip install {name}), or choose tensorboard or none."
            raise InputError(f"{name} is not installed", where=where, fix=fix)


def fits(hint: Any, value: Any) -> bool:
    """Whether a YAML value is of the type that a field of a library's dataclass is declared with."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        # `SchedulerType | str` means one of its members, written as text.
        named = any(_is_enum(option) for option in arguments)
        return any(fits(option, value) for option in arguments if not (named and option is str))
    if typing.get_origin(hint) is typing.Literal:
        return value in arguments
    if _is_enum(hint):
        return value in {member.value for member in hint}
    kind = typing.get_origin(hint) or hint
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, enum.Enum)


def _wanted(hint: Any) -> str:
    """What a field takes, in words."""
    names: Mapping[Any, str] = {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
        dict: "key: value lines",
        list: "a list",
        type(None): "null",
    }
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    named = [option for option in options if _is_enum(option)]
    if named:
        return "one of " + ", ".join(str(member.value) for member in named[0])
    return " or ".join(names.get(typing.get_origin(option) or option, str(option)) for option in options)
