"""Every recipe is a program, and every accelerate config is one that accelerate reads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from toolace.recipe import load_recipe
from toolace.rows import write_rows
from toolace_train.cli import launch

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
CONFIGS = sorted((ROOT / "accelerate_configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_says_its_command_first_and_is_python_and_yaml_at_once(path):
    text = path.read_text()
    lines = text.splitlines()
    recipe = load_recipe(path)
    config = recipe.values.get("accelerate_config")
    launches = ("accelerate launch", f"accelerate launch --config_file {config}")
    starts = launches if recipe.has("train") else ("toolace tools", "toolace dialogs")
    assert lines[0].startswith(tuple(f"# {start} {path.relative_to(ROOT)}" for start in starts))
    assert lines[1].startswith('recipe: r"""')
    assert lines[-1] == '# """; import toolace.launch; toolace.launch.run(__name__, __file__)'
    compile(text, str(path), "exec")
    assert load_recipe(path).values


TRAINING = [path for path in RECIPES if load_recipe(path).has("train")]
MAKING = [path for path in TRAINING if load_recipe(path).has("generate")]


@pytest.mark.parametrize("path", MAKING, ids=lambda path: path.name)
def test_every_recipe_can_be_dry_run_as_accelerate_starts_it(path, tmp_path):
    small = ["--generate.dialogs.count=60", "--generate.tools.aws=2", "--generate.tools.google=2", f"--out={tmp_path}"]
    data = f"--data.files=[{tmp_path}/train.jsonl]"
    done = subprocess.run(
        [sys.executable, path, "--dry_run", *small, data],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "trainable parameters" in done.stdout and "steps" in done.stdout


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    file = tmp_path_factory.mktemp("rows") / "train.jsonl"
    turns = [{"from": "user", "value": "Weather in Oslo?"}, {"from": "assistant", "value": '[weather(city="Oslo")]'}]
    system = 'Call functions.\n[{"name": "weather", "parameters": {"type": "dict", "properties": {}}}]'
    write_rows(file, ({"system": system, "conversations": turns} for _ in range(96)))
    return file


DERIVED = [path for path in TRAINING if path not in MAKING and path.stem != "toolace_released"]


@pytest.mark.parametrize("path", DERIVED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_derived_recipe_is_planned_without_its_rows(path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert launch([str(path), "--dry_run", "--json", "--data.files=[nowhere.jsonl]"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["parameters"]["trainable"] > 1_000_000 and plan["data"] == {"missing": "nowhere.jsonl"}


def test_a_derived_recipe_is_planned_with_rows(rows, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert launch(["recipes/backbones/qwen3_0_6b.yaml", "--dry_run", f"--data.files=[{rows}]"]) == 0
    output = capsys.readouterr().out
    assert "96 read, 96 used" in output and "steps                 6 = 3 epochs" in output


def test_a_recipe_with_rows_of_the_hub_is_planned_offline():
    done = subprocess.run(
        [sys.executable, "recipes/data/toolace_released.yaml", "--dry_run"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "Team-ACE/ToolACE is not on this machine" in done.stdout


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_recipe_changes_nothing_of_the_paper_in_silence(path):
    """The paper's numbers hold in every recipe that does not itself say otherwise beside the number."""
    recipe, text = load_recipe(path), path.read_text()
    paper = {
        "train": {"learning_rate": 1e-4, "lr_scheduler_type": "cosine", "warmup_steps": 0.1, "num_train_epochs": 3},
        "lora": {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"},
        "data": {"global_batch_size": 48},
    }
    for section, keys in paper.items():
        for key, value in keys.items():
            if recipe.mapping(section).get(key) != value:
                line = next(
                    line for line in text.splitlines() if line.strip().startswith((f"{key}:", f"{section}: null"))
                )
                assert "# our choice:" in line, f"{section}.{key}"


def test_recipes_of_one_folder_write_to_folders_of_their_own():
    folders = [load_recipe(path).out for path in RECIPES if load_recipe(path).has("train")]
    assert len(set(folders)) == len(folders)


def test_null_takes_a_section_out_of_a_derived_recipe(tmp_path):
    (tmp_path / "base.yaml").write_text("lora: {r: 8}\ntrain: {learning_rate: 1e-4}\n")
    (tmp_path / "full.yaml").write_text("extends: base.yaml\nlora: null\n")
    assert load_recipe(tmp_path / "full.yaml").values == {"train": {"learning_rate": 1e-4}}
    assert not load_recipe(tmp_path / "base.yaml", ["--lora", "null"]).has("lora")


def test_the_qlora_recipe_is_what_bitsandbytes_takes():
    from transformers import BitsAndBytesConfig

    recipe = load_recipe(ROOT / "recipes" / "toolace8b_qlora.yaml")
    config = BitsAndBytesConfig(**recipe.mapping("quantization"))
    assert config.load_in_4bit and config.bnb_4bit_quant_type == "nf4" and config.bnb_4bit_use_double_quant
    assert recipe.mapping("lora") == load_recipe(ROOT / "recipes" / "toolace8b.yaml").mapping("lora")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_accelerate_config_is_one_accelerate_knows(path):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(path))
    assert config.num_processes == yaml.safe_load(path.read_text())["num_processes"]
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_the_accelerate_config_a_recipe_names_is_there(path):
    config = load_recipe(path).values.get("accelerate_config")
    assert config is None or (ROOT / str(config)) in CONFIGS
