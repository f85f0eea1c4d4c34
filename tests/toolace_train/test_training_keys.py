"""Every key of `train` does what it says or is refused in one line."""

import dataclasses
from pathlib import Path

import pytest
from trl import SFTConfig

from toolace.cli import main
from toolace.errors import InputError
from toolace.recipe import load_recipe
from toolace_train.sft import sft_config
from toolace_train.training_keys import HONOURED, REFUSED, training_values

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "smollm2_135m.yaml"


def test_every_field_of_the_installed_trl_is_either_honoured_or_refused():
    """A new TRL or transformers brings new fields: each must be looked at before it is let through."""
    fields = {field.name for field in dataclasses.fields(SFTConfig)}
    assert fields - HONOURED - set(REFUSED) == set(), "neither honoured nor refused: look at them"
    assert not HONOURED & set(REFUSED)
    assert (HONOURED | set(REFUSED)) - fields == set(), "fields that the library does not have any more"


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_a_refused_key_is_one_line_that_says_why(key):
    with pytest.raises(InputError) as raised:
        training_values(load_recipe(RECIPE, [f"--train.{key}", "true"]))
    text = str(raised.value)
    assert f"the key {key!r} is not yours to set. Remove it: {REFUSED[key]}." in text and "\n" not in text


def test_what_the_honoured_keys_say_reaches_the_trainer():
    words = {
        "lr_scheduler_type": "constant_with_warmup",
        "optim": "adamw_torch",
        "weight_decay": 0.1,
        "adam_beta2": 0.95,
        "max_grad_norm": 0,
        "warmup_steps": 7,
        "logging_steps": 0.5,
        "save_strategy": "no",
        "report_to": "none",
        "dataloader_num_workers": 2,
        "dataloader_persistent_workers": True,
        "max_steps": 12,
        "run_name": "mine",
    }
    config = sft_config(load_recipe(RECIPE, [f"--train.{key}={value}" for key, value in words.items()]))
    assert config.report_to == [] and config.save_strategy == "no"
    for key in words.keys() - {"report_to", "save_strategy"}:
        assert getattr(config, key) == words[key]


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_hold_no_refused_key(path):
    recipe = load_recipe(path)
    assert set(training_values(recipe)) <= HONOURED


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max_steps", "abc", "max_steps is 'abc', not a whole number"),
        ("max_steps", "2.5", "max_steps is 2.5, not a whole number"),
        ("max_steps", "0", "max_steps is 0. Give a whole number of at least 1, or -1 for all passes."),
        ("max_steps", "-7", "max_steps is -7"),
        ("max_steps", "null", "max_steps is None, not a whole number"),
        ("max_steps", "true", "max_steps is True, not a whole number"),
        ("per_device_train_batch_size", "1.0", "per_device_train_batch_size is 1.0, not a whole number"),
        ("per_device_train_batch_size", "0", "per_device_train_batch_size is 0"),
        ("save_total_limit", "1.5", "save_total_limit is 1.5, not a whole number or null"),
        ("learning_rate", "abc", "learning_rate is 'abc', not a number"),
        ("learning_rate", "-1", "learning_rate is -1"),
        ("learning_rate", ".nan", "learning_rate is nan, not a number"),
        ("learning_rate", "[1e-4]", "not a number"),
        ("num_train_epochs", "0", "num_train_epochs is 0. Give a number above 0."),
        ("logging_steps", "2.5", "logging_steps is 2.5. Give a whole number of steps, or a share of them below 1."),
        ("warmup_steps", "10.5", "warmup_steps is 10.5"),
        ("save_steps", "0", "save_steps is 0"),
        ("adam_beta1", "1", "adam_beta1 is 1"),
        ("bf16", "maybe", "bf16 is 'maybe', not true or false or null"),
        ("dataloader_num_workers", "-1", "dataloader_num_workers is -1"),
        ("dataloader_persistent_workers", "true", "is for workers, and there are none"),
        ("lr_scheduler_type", "wavy", "lr_scheduler_type is 'wavy', not one of linear, cosine"),
        ("lr_scheduler_type", "reduce_lr_on_plateau", "there is no eval loss to go by"),
        ("save_strategy", "best", "there is no eval loss to choose by"),
        ("optim", "adamm", "optim is 'adamm', not one of adamw_torch"),
        ("report_to", "tensorbord", "Did you mean 'tensorboard'?"),
        ("gradient_checkpointing_kwargs", "3", "not key: value lines or text or null"),
    ],
)
def test_a_value_that_cannot_be_meant_is_one_line(key, value, message):
    with pytest.raises(InputError) as raised:
        training_values(load_recipe(RECIPE, [f"--train.{key}", value]))
    assert message in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "words", [["--train.max_steps", "abc"], ["--train.max_steps", "2.5"], ["--train.loss_type=dft"]]
)
def test_the_plan_refuses_them_too_with_code_2(capsys, words):
    assert main(["plan", str(RECIPE), "--without_data", *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("toolace: ")


def test_a_tracker_that_is_not_installed_is_named_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr("transformers.integrations.get_available_reporting_integrations", lambda: ["tensorboard"])
    recipe = load_recipe(RECIPE, ["--train.report_to", "wandb"])
    assert training_values(recipe)["report_to"] == "wandb"  # a plan may be made where it is missing
    with pytest.raises(InputError, match=r"wandb is not installed\. Install it \(pip install wandb\)"):
        sft_config(recipe)
