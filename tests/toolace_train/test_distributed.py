"""Several processes on one CPU (gloo), started as a user starts them; see accelerate_configs/."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from tiny_llama import make_tiny_llama, write_recipe, write_training_rows

from toolace.recipe import load_recipe
from toolace.rows import read_rows
from toolace_train.sft import train

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "accelerate_configs"
ACCELERATE = [sys.executable, "-m", "accelerate.commands.launch"]
# 9 rows are trained in steps of 4: the last step of a pass has one row, which two processes cannot share.
FLAGS = [
    "--data.global_batch_size=4",
    "--lora.lora_dropout=0",
    "--train.num_train_epochs=2",
    "--monitor.held_out=3",
    "--monitor.every_steps=3",
    "--monitor.max_new_tokens=3",
]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return make_tiny_llama(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_training_rows(tmp_path_factory.mktemp("rows") / "train.jsonl", 12)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, model_folder, data):
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    assert train(load_recipe(write_recipe(folder, model_folder, data, share=False), FLAGS), str(model_folder)) == 0
    return folder / "run"


def started(command, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    output = (folder / f"{len(list(folder.glob('*.txt')))}.txt").open("w+")
    return subprocess.Popen(list(map(str, command)), cwd=ROOT, env=environment, stdout=output, stderr=output), output


def finished(process, output):
    code = process.wait(timeout=300)
    output.seek(0)
    text = output.read()
    assert code == 0, text
    return text


def assert_same_run(found, wanted):
    name = "adapter/adapter_model.safetensors"
    logs = [[row for _, row in read_rows(run / "train" / "log.jsonl")] for run in (wanted, found)]
    assert len(logs[0]) == len(logs[1]) == 6
    for one, other in zip(*logs, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], abs=1e-5)
        for key in ("step", "num_tokens", "trained_share", "mean_token_accuracy", "held_out_call_accuracy"):
            assert other.get(key) == one.get(key)
    left, right = load_file(wanted / name), load_file(found / name)
    for key, value in left.items():
        assert (right[key] - value).abs().max() < 1e-5


def test_two_processes_follow_the_loss_curve_of_one(tmp_path, model_folder, data, alone):
    recipe = write_recipe(tmp_path, model_folder, data, share=False)
    config = ["--config_file", CONFIGS / "multi_gpu.yaml", "--num_processes", 2, "--mixed_precision", "no"]
    text = finished(*started([*ACCELERATE, *config, "--main_process_port", 0, recipe, *FLAGS], tmp_path))
    assert text.count("6 steps of 4") == 1 and text.count("written: ") == 1
    assert_same_run(tmp_path / "run", alone)


@pytest.mark.slow
def test_two_machines_follow_the_loss_curve_of_one_process(tmp_path, model_folder, data, alone):
    recipe = write_recipe(tmp_path, model_folder, data, share=False)
    config = ["--config_file", CONFIGS / "multi_node.yaml", "--num_processes", 2, "--mixed_precision", "no"]
    where = ["--main_process_ip", "127.0.0.1", "--main_process_port", 29731]
    machines = [
        started([*ACCELERATE, *config, *where, "--machine_rank", rank, recipe, *FLAGS], tmp_path) for rank in (0, 1)
    ]
    texts = [finished(*machine) for machine in machines]
    assert "written: " in texts[0] and "written: " not in texts[1]
    assert_same_run(tmp_path / "run", alone)


@pytest.mark.slow
def test_a_batch_that_two_processes_cannot_split_is_one_line(tmp_path, model_folder, data):
    recipe = write_recipe(tmp_path, model_folder, data, share=False)
    config = ["--config_file", CONFIGS / "multi_gpu.yaml", "--num_processes", 2, "--mixed_precision", "no"]
    words = ["--main_process_port", 0, recipe, "--data.global_batch_size=3"]
    process, output = started([*ACCELERATE, *config, *words], tmp_path)
    assert process.wait(timeout=300) == 2
    output.seek(0)
    lines = [line for line in output.read().splitlines() if line.startswith("toolace:")]
    assert len(lines) == 1
    assert "global_batch_size 3 is no multiple of 1 a device x 2 devices" in lines[0]


@pytest.mark.slow
def test_a_model_split_by_fsdp2_answers_as_the_whole_one(tmp_path, model_folder):
    """accelerate turns FSDP off on a CPU, so torch's own `fully_shard` stands in for it here."""
    worker = tmp_path / "worker.py"
    worker.write_text(SHARDED.format(model=str(model_folder)))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", 2, "--master_port", 29733, worker]
    assert finished(*started(command, tmp_path)).count("as the whole one") == 2


SHARDED = """
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM

from toolace_train.greedy import answers

dist.init_process_group("gloo")
rank = dist.get_rank()
model = AutoModelForCausalLM.from_pretrained({model!r}, dtype=torch.float32).eval()
torch.manual_seed(1)
prompts = [torch.randint(3, 49000, (length,)).tolist() for length in (9, 30, 3, 17)]
wanted = answers(model, prompts, {{2}}, 20, 2, "cpu")
# This process's answers end early, so that it waits for the other.
end = wanted[0][1] if rank == 0 else 2
expected = [one[: one.index(end)] if end in one else one for one in wanted]
for layer in model.model.layers:
    fully_shard(layer, mesh=init_device_mesh("cpu", (2,)))
fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
assert type(next(model.parameters())).__name__ == "DTensor"


def going_on(busy):
    flag = torch.tensor(float(busy))
    dist.all_reduce(flag)
    return bool(flag.item())


found = answers(model, prompts, {{end}}, 20, 2, "cpu", going_on)
assert found == expected, (rank, found, expected)
print("as the whole one", flush=True)
dist.destroy_process_group()
"""


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_config_begins_with_its_command_and_accelerate_takes_it(path, monkeypatch):
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    first = path.read_text().splitlines()[0]
    assert first.startswith(f"# accelerate launch --config_file accelerate_configs/{path.name} ")
    monkeypatch.chdir(ROOT)
    words = first.removeprefix("# accelerate launch ").replace("ADDRESS", "127.0.0.1").split()
    words = ["1" if word == "R" else word for word in words]
    arguments = launch_command_parser().parse_args(words)
    arguments, _, _ = _validate_launch_command(arguments)
    values = yaml.safe_load(path.read_text())
    kind = values["distributed_type"]
    assert arguments.num_processes == values["num_processes"] and arguments.num_machines == values["num_machines"]
    assert arguments.use_fsdp is (kind == "FSDP") and arguments.use_deepspeed is (kind == "DEEPSPEED")
    assert arguments.mixed_precision == values["mixed_precision"]
    if kind == "DEEPSPEED":
        assert arguments.zero_stage == int(path.stem[-1])
    if kind == "FSDP":
        assert arguments.fsdp_version == 2


def test_the_fsdp2_config_is_what_the_plugin_takes(monkeypatch):
    from accelerate.utils import FullyShardedDataParallelPlugin

    for key, value in yaml.safe_load((CONFIGS / "fsdp2.yaml").read_text())["fsdp_config"].items():
        monkeypatch.setenv(key.upper(), str(value).lower() if isinstance(value, bool) else str(value))
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True
    assert "SHARDED" in str(plugin.state_dict_type)
    plugin.set_state_dict_type("FULL_STATE_DICT")  # as sft.py does before the final save
    assert "FULL_STATE_DICT" in str(plugin.state_dict_type)
