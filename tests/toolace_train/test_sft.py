import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_llama import make_tiny_llama, write_recipe, write_training_rows

from toolace.errors import InputError
from toolace.recipe import load_recipe
from toolace.rows import read_rows
from toolace_train.sft import last_checkpoint, sft_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return make_tiny_llama(tmp_path_factory.mktemp("model"))


def run(recipe, *words, **extra):
    """Runs a recipe as accelerate does for one process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **extra}
    command = [sys.executable, recipe, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)


def log_of(folder):
    return [row for _, row in read_rows(folder / "train" / "log.jsonl")]


def test_a_run_leaves_an_adapter_with_the_stock_tokenizer_and_a_second_run_does_nothing(tmp_path, model_folder):
    data = write_training_rows(tmp_path / "train.jsonl", 24)
    recipe = write_recipe(tmp_path, model_folder, data, share=False, epochs=2)
    done = run(recipe)
    assert done.returncode == 0, done.stderr
    adapter = tmp_path / "run" / "adapter"
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (adapter / name).read_bytes() == (model_folder / name).read_bytes()
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(model_folder) and config["r"] == 4
    log = log_of(tmp_path / "run")
    assert [row["step"] for row in log] == list(range(1, 25))
    assert log[-1]["loss"] < log[0]["loss"] - 0.1
    stage = json.loads((tmp_path / "run" / "manifest.json").read_text())["stages"]["train"]
    assert stage["counts"]["rows"] == 24 and stage["counts"]["steps"] == 24
    before = (adapter / "adapter_model.safetensors").stat().st_mtime_ns
    again = run(recipe)
    assert again.returncode == 0 and "trained before" in again.stdout
    assert (adapter / "adapter_model.safetensors").stat().st_mtime_ns == before


def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_with_the_same_weights(tmp_path, model_folder):
    data = write_training_rows(tmp_path / "train.jsonl", 40)
    whole = tmp_path / "whole"
    whole.mkdir()
    undisturbed = write_recipe(whole, model_folder, data, share=False)
    assert run(undisturbed).returncode == 0
    killed = tmp_path / "killed"
    killed.mkdir()
    recipe = write_recipe(killed, model_folder, data, share=False)
    process = subprocess.Popen(
        [sys.executable, recipe], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    )
    checkpoints = killed / "run" / "train"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if list(checkpoints.glob("checkpoint-*/trainer_state.json")):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    process.wait()
    assert process.returncode == -signal.SIGKILL and not (killed / "run" / "adapter").exists()
    # A kill while a checkpoint was written leaves half of one.
    (checkpoints / "checkpoint-9999").mkdir()
    done = run(recipe)
    assert done.returncode == 0, done.stderr
    assert [row["step"] for row in log_of(killed / "run")] == list(range(1, 21))
    name = "adapter/adapter_model.safetensors"
    wanted, found = load_file(whole / "run" / name), load_file(killed / "run" / name)
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=1e-6)


def test_checkpoints_of_another_run_are_not_continued(tmp_path):
    checkpoint = tmp_path / "checkpoint-4"
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path, "this run") is None and not checkpoint.exists()
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path, "this run") == str(checkpoint)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train.learning_rat", "1"], "unknown key 'learning_rat'. Did you mean 'learning_rate'?"),
        (["--lora.rank", "4"], "unknown key 'rank'"),
        (["--train.max_length", "64"], "use data.max_length"),
        (["--train.lr_scheduler_type", "wavy"], "SFTConfig refuses it"),
        (["--data.files", "[nowhere.jsonl]"], "nowhere.jsonl: no such file of training rows"),
        (["--model.model_name_or_path", "./nowhere"], "./nowhere: is neither a folder nor a hub id"),
    ],
)
def test_bad_input_is_one_line_and_code_2(tmp_path, model_folder, words, message):
    data = write_training_rows(tmp_path / "train.jsonl", 2)
    done = run(write_recipe(tmp_path, model_folder, data), *words)
    lines = [line for line in done.stderr.splitlines() if line.startswith("toolace:")]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1 and message in lines[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "adapter").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no rows"),
        ('{"system": "s", "conversations": [\n', "is not JSON"),
        ('{"system": "s", "conversations": [{"from": "user", "value": 5}]}\n', "train.jsonl:1"),
    ],
)
def test_broken_rows_are_named_with_file_and_line(tmp_path, model_folder, text, message):
    data = tmp_path / "train.jsonl"
    data.write_text(text)
    done = run(write_recipe(tmp_path, model_folder, data))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert message in done.stderr and "train.jsonl" in done.stderr


def test_the_paper_s_hyper_parameters_reach_trl():
    config = sft_config(load_recipe(ROOT / "recipes" / "toolace8b.yaml"))
    assert (config.learning_rate, config.num_train_epochs) == (1e-4, 3)
    assert config.lr_scheduler_type == "cosine" and config.warmup_steps == 0.1


def test_a_key_that_toolace_decides_is_refused():
    with pytest.raises(InputError, match="'packing' is not yours to set"):
        sft_config(load_recipe(ROOT / "recipes" / "toolace8b.yaml", ["--train.packing", "true"]))
