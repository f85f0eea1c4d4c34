import json

import pytest

from toolace.errors import InputError
from toolace.recipe import load_recipe
from toolace.runs import Run
from toolace_train.checkpoints import last_checkpoint
from toolace_train.devices import check_devices, is_first_process

FACTS = {"settings": {"train": {"learning_rate": 1e-4}, "seed": 5}, "rows": ["ab"]}


STATES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")


def make_checkpoint(folder, step, state="{}", states=STATES):
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    for name in states:
        (checkpoint / name).touch()
    (checkpoint / "trainer_state.json").write_text(state)
    return checkpoint


def test_the_newest_whole_checkpoint_is_continued_and_a_torn_one_is_removed(tmp_path):
    run, folder = Run(tmp_path), tmp_path / "train"
    assert last_checkpoint(run, folder, FACTS) is None
    old, new = make_checkpoint(folder, 9), make_checkpoint(folder, 12)
    torn, empty = make_checkpoint(folder, 20, '{"global'), folder / "checkpoint-30"
    empty.mkdir()
    assert last_checkpoint(run, folder, FACTS) == str(new)
    assert old.exists() and not torn.exists() and not empty.exists()


def test_checkpoints_of_another_recipe_are_neither_continued_nor_thrown_away(tmp_path):
    run, folder = Run(tmp_path), tmp_path / "train"
    last_checkpoint(run, folder, FACTS)
    checkpoint = make_checkpoint(folder, 4)
    other = {"settings": {"train": {"learning_rate": 2e-4}, "seed": 5}, "rows": ["ab"]}
    with pytest.raises(InputError) as raised:
        last_checkpoint(run, folder, other)
    text = str(raised.value)
    assert "checkpoint-4: is a checkpoint of another recipe (train.learning_rate is 0.0002, was 0.0001)" in text
    assert "--out" in text and "\n" not in text and checkpoint.exists()
    assert last_checkpoint(run, folder, FACTS) == str(checkpoint)


@pytest.mark.parametrize(
    ("states", "missing"),
    [
        ((), "optimizer, scheduler, random numbers"),
        (STATES[1:], "optimizer"),
        (STATES[:1], "scheduler, random numbers"),
        (STATES[:2], "random numbers"),
    ],
)
def test_a_checkpoint_of_weights_alone_is_not_continued_as_if_it_were_whole(tmp_path, states, missing):
    run, folder = Run(tmp_path), tmp_path / "train"
    last_checkpoint(run, folder, FACTS)
    old, new = make_checkpoint(folder, 3), make_checkpoint(folder, 6, states=states)
    with pytest.raises(InputError) as raised:
        last_checkpoint(run, folder, FACTS)
    text = str(raised.value)
    assert f"checkpoint-6: holds no state of {missing}, so no run can go on" in text and "\n" not in text
    assert new.exists()
    new.rename(tmp_path / "away")
    assert last_checkpoint(run, folder, FACTS) == str(old)


@pytest.mark.parametrize(
    "states",
    [
        ("optimizer_0", "scheduler.pt", "rng_state_0.pth", "rng_state_1.pth"),  # FSDP2, in parts
        ("optimizer.bin", "scheduler.pt", "rng_state_0.pth"),  # FSDP2, whole
        ("global_step12", "latest", "rng_state_0.pth"),  # DeepSpeed
    ],
)
def test_states_are_known_by_the_names_that_sharded_trainings_give_them(tmp_path, states):
    run, folder = Run(tmp_path), tmp_path / "train"
    last_checkpoint(run, folder, FACTS)
    assert last_checkpoint(run, folder, FACTS) is None
    checkpoint = make_checkpoint(folder, 12, states=states)
    assert last_checkpoint(run, folder, FACTS) == str(checkpoint)


def test_those_of_a_finished_training_make_room(tmp_path):
    run, folder = Run(tmp_path), tmp_path / "train"
    last_checkpoint(run, folder, FACTS)
    checkpoint = make_checkpoint(folder, 4)
    (folder / "log.jsonl").write_text("{}\n")
    manifest = {"stages": {"train": {"settings": FACTS["settings"]}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    other = {"settings": {"train": {"learning_rate": 2e-4}, "seed": 5}, "rows": ["ab"]}
    assert last_checkpoint(run, folder, other) is None
    assert not checkpoint.exists() and not (folder / "log.jsonl").exists()


def write_gpu_recipe(folder, use_cpu):
    (folder / "config.yaml").write_text(f"use_cpu: {use_cpu}\nnum_processes: 1\n")
    recipe = folder / "recipe.yaml"
    recipe.write_text(f"accelerate_config: {folder}/config.yaml\ntrain: {{bf16: true}}\n")
    return load_recipe(recipe)


def test_a_gpu_config_without_a_gpu_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr("toolace_train.devices._has_accelerator", lambda: False)
    with pytest.raises(InputError, match=r"config\.yaml, and this machine has no GPU"):
        check_devices(write_gpu_recipe(tmp_path, "false"))
    check_devices(write_gpu_recipe(tmp_path, "true"))
    recipe = load_recipe(write_gpu_recipe(tmp_path, "false").path, ["--train.use_cpu", "true"])
    check_devices(recipe)


def test_a_gpu_without_bf16_is_one_clear_line(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr("toolace_train.devices._has_accelerator", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    with pytest.raises(InputError, match=r"bf16 is not what Tesla T4 computes.*--train.fp16 true"):
        check_devices(write_gpu_recipe(tmp_path, "false"))


def test_one_process_speaks_for_all(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()
    monkeypatch.delenv("RANK")
    assert is_first_process()
