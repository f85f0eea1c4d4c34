"""Every recipe is a program, and every accelerate config is one that accelerate reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from toolace.recipe import load_recipe

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
CONFIGS = sorted((ROOT / "accelerate_configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_says_its_command_first_and_is_python_and_yaml_at_once(path):
    text = path.read_text()
    lines = text.splitlines()
    starts = ("accelerate launch",) if load_recipe(path).has("train") else ("toolace tools", "toolace dialogs")
    assert lines[0].startswith(tuple(f"# {start} {path.relative_to(ROOT)}" for start in starts))
    assert lines[1].startswith('recipe: r"""')
    assert lines[-1] == '# """; import toolace.launch; toolace.launch.run(__name__, __file__)'
    compile(text, str(path), "exec")
    assert load_recipe(path).values


TRAINING = [path for path in RECIPES if load_recipe(path).has("train")]


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.name)
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
