import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_llama import make_tiny_llama, row, write_recipe, write_training_rows

from toolace.errors import InputError
from toolace.launch import guarded
from toolace.recipe import load_recipe
from toolace.rows import read_rows
from toolace_train.cli import launch
from toolace_train.sft import sft_config, train

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


def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_with_the_same_loss_and_weights(tmp_path, model_folder):
    """With dropout, accumulation, two passes, a log interval that no checkpoint fits, and held-out rows in one of them.

    What is measured on the side must not change what is learnt, so only the killed run measures it often.
    """
    data = write_training_rows(tmp_path / "train.jsonl", 43)
    words = {
        "lora.lora_dropout": 0.2,
        "data.global_batch_size": 4,
        "train.num_train_epochs": 2,
        "train.logging_steps": 3,
        "monitor.held_out": 3,
        "monitor.max_new_tokens": 4,
    }
    flags = [f"--{key}={value}" for key, value in words.items()]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    recipe = load_recipe(write_recipe(whole, model_folder, data, share=False), [*flags, "--monitor.every_steps=1000"])
    assert train(recipe, str(model_folder)) == 0
    path = write_recipe(killed, model_folder, data, share=False)
    command = [sys.executable, path, *flags, "--monitor.every_steps=2"]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    )
    checkpoints = killed / "run" / "train"
    while process.poll() is None:
        # In the second pass, which has another order.
        if list(checkpoints.glob("checkpoint-1[24]/trainer_state.json")):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    process.wait()
    assert process.returncode == -signal.SIGKILL and not (killed / "run" / "adapter").exists()
    # A kill while a checkpoint was written leaves half of one.
    (checkpoints / "checkpoint-9999").mkdir()
    assert train(load_recipe(path, [*flags, "--monitor.every_steps=2"]), str(model_folder)) == 0
    wanted, found = log_of(whole / "run"), log_of(killed / "run")
    assert [row["step"] for row in wanted] == [2, 3, 4, 6, 8, 9, 10, 12, 14, 15, 16, 18, 20]
    assert [row["step"] for row in found] == [row["step"] for row in wanted]
    for one, other in zip(wanted, found, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], abs=1e-6)
        assert other["num_tokens"] == one["num_tokens"]
    assert [row["step"] for row in found if "held_out_call_accuracy" in row] == list(range(2, 21, 2))
    assert [row["step"] for row in wanted if "held_out_call_accuracy" in row] == [20]
    name = "adapter/adapter_model.safetensors"
    left, right = load_file(whole / "run" / name), load_file(killed / "run" / name)
    for key, value in left.items():
        torch.testing.assert_close(right[key], value, rtol=0, atol=1e-6)


def test_a_run_that_saves_after_each_pass_goes_on_from_there_and_ends_the_same(tmp_path, model_folder):
    """Its checkpoints are logged although no log interval falls on them."""
    data = write_training_rows(tmp_path / "train.jsonl", 10)
    flags = ["--train.save_strategy=epoch", "--train.num_train_epochs=3", "--train.logging_steps=7"]
    recipe = load_recipe(write_recipe(tmp_path, model_folder, data, share=False), [*flags, "--lora.lora_dropout=0.2"])
    assert train(recipe, str(model_folder)) == 0
    run_folder = tmp_path / "run"
    wanted = log_of(run_folder)
    assert [row["step"] for row in wanted] == [5, 7, 10, 14, 15]
    name = "adapter/adapter_model.safetensors"
    left = load_file(run_folder / name)
    # As after a kill in the third pass.
    shutil.rmtree(run_folder / "train" / "checkpoint-15")
    shutil.rmtree(run_folder / "adapter")
    (run_folder / "manifest.json").unlink()
    assert train(recipe, str(model_folder)) == 0
    found = log_of(run_folder)
    assert [row["step"] for row in found] == [row["step"] for row in wanted]
    assert [row["loss"] for row in found] == pytest.approx([row["loss"] for row in wanted], abs=1e-6)
    for key, value in load_file(run_folder / name).items():
        torch.testing.assert_close(value, left[key], rtol=0, atol=1e-6)
    # Without the optimiser's state it would begin its warm-up anew.
    shutil.rmtree(run_folder / "train" / "checkpoint-15")
    (run_folder / "manifest.json").unlink()
    (run_folder / "train" / "checkpoint-10" / "optimizer.pt").unlink()
    with pytest.raises(InputError, match="checkpoint-10: holds no state of optimizer, so no run can go on"):
        train(recipe, str(model_folder))


def test_other_rows_are_another_training_whether_the_hub_or_the_code_made_them(
    tmp_path, model_folder, monkeypatch, capsys
):
    import datasets

    from toolace_train import prepared, rendering

    rows = [row(number) for number in range(6)]
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.Dataset.from_list(rows))
    path = write_recipe(tmp_path, model_folder, "me/rows", share=False)
    recipe = load_recipe(path, ["--train.save_steps=1"])
    assert train(recipe, str(model_folder)) == 0 and train(recipe, str(model_folder)) == 0
    assert "trained before" in capsys.readouterr().out
    monkeypatch.setattr(prepared, "code_digest", lambda _: "of a newer version")
    assert train(recipe, str(model_folder)) == 0  # tokenised again, to the same rows
    assert "trained before" in capsys.readouterr().out
    (tmp_path / "run" / "manifest.json").unlink()  # as if it had been killed before the end
    another = r"checkpoint-3: is a checkpoint of another recipe \(rows is [0-9a-f]+"
    with monkeypatch.context() as patch:
        whole = rendering.to_toolace
        patch.setattr(prepared, "code_digest", lambda _: "of one that writes the tools differently")
        patch.setattr(rendering, "to_toolace", lambda dialog: {**whole(dialog), "system": "Call functions!"})
        with pytest.raises(InputError, match=another):
            train(recipe, str(model_folder))
    rows[2] = row(100)
    with pytest.raises(InputError, match=another):
        train(recipe, str(model_folder))


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_rows(tmp_path, model_folder, capsys):
    data = write_training_rows(tmp_path / "train.jsonl", 8)
    path = write_recipe(tmp_path, model_folder, data, share=False)
    recipe = load_recipe(path, ["--train.learning_rate=1e30", "--train.save_steps=1", "--train.max_grad_norm=0"])
    assert train(recipe, str(model_folder)) == 1
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("toolace:")]
    assert "step 2: the loss is nan, rows: " in line and "train.jsonl (train-" in line
    stopped = json.loads((tmp_path / "run" / "train" / "stopped.json").read_text())
    assert stopped["step"] == 2 and len(stopped["rows"]) == 2
    # The step before it was sane, and is the last that was kept.
    assert [path.name for path in (tmp_path / "run" / "train").glob("checkpoint-*")] == ["checkpoint-1"]
    assert not (tmp_path / "run" / "adapter").exists()


def test_tensorboard_gets_what_the_log_gets(tmp_path, model_folder, capsys):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    data = write_training_rows(tmp_path / "train.jsonl", 8)
    path = write_recipe(tmp_path, model_folder, data)
    flags = [
        "--train.report_to=tensorboard",
        "--monitor.held_out=2",
        "--monitor.max_new_tokens=2",
        "--train.max_steps=1",
    ]
    assert train(load_recipe(path, flags), str(model_folder)) == 0
    [events] = (tmp_path / "run" / "train" / "runs").rglob("events.*")
    board = EventAccumulator(str(events))
    board.Reload()
    tags = board.Tags()["scalars"]
    [row] = log_of(tmp_path / "run")
    wanted = ("loss", "learning_rate", "tokens_per_second", "trained_share", "memory_gib", "peak_memory_gib")
    for key in (*wanted, "seconds_left", "held_out_call_accuracy", "mean_token_accuracy"):
        assert f"train/{key}" in tags and key in row
    assert 0 < row["trained_share"] < 1 and 0 < row["memory_gib"] <= row["peak_memory_gib"] * 1.01
    output = capsys.readouterr()
    assert "2 held out with 2 turns" in output.out
    assert "step 1 of 1, loss " in output.err and "calls right 0.0 %" in output.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train.learning_rat", "1"], "unknown key 'learning_rat'. Did you mean 'learning_rate'?"),
        (["--lora.rank", "4"], "unknown key 'rank'"),
        (["--train.max_length", "64"], "use data.max_length"),
        (["--data.global_batch_size", "3", "--train.per_device_train_batch_size", "2"], "is no multiple of 2 a device"),
        (["--monitor.held_out", "2"], "2 rows cannot be set aside from 2"),
        (["--monitor.every_step", "2"], "Did you mean 'every_steps'?"),
        (["--train.bf16", "true", "--train.fp16", "true"], "SFTConfig refuses it"),
        (["--train.save_only_model", "true"], "a killed run could not go on without the optimiser's state"),
        (["--train.max_steps", "2.5"], "max_steps is 2.5, not a whole number"),
        (["--train.optim", "lomo"], "You need to install `lomo_optim`"),
        (["--data.files", "[nowhere.jsonl]"], "nowhere.jsonl: no such file of training rows"),
        (["--model.model_name_or_path", "./nowhere"], "./nowhere: is neither a folder nor a hub id"),
    ],
)
def test_bad_input_is_one_line_and_code_2(tmp_path, model_folder, capsys, words, message):
    data = write_training_rows(tmp_path / "train.jsonl", 2)
    path = write_recipe(tmp_path, model_folder, data)
    assert guarded(launch, [str(path), *words]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("toolace:")]
    assert len(lines) == 1 and message in lines[0]
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
