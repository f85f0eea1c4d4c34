"""The README tells the truth: its commands run, and its tree names every file."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
BIN = Path(sys.executable).parent


def test_the_quick_commands_run_one_after_another_in_a_fresh_folder(tmp_path):
    for name in ("recipes", "accelerate_configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    quick = [command for command in COMMANDS if command.startswith(".venv/bin/")]
    assert len(quick) >= 4
    for command in quick:
        program, *words = shlex.split(command)
        if "--dry_run" in words:
            # The plan of the whole demo makes all its data; a smaller share shows the same.
            words += ["--generate.dialogs.count=100", "--out=runs/plan", "--data.files=[runs/plan/train.jsonl]"]
        done = subprocess.run(
            [BIN / Path(program).name, *words], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ)
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_the_make_targets_are_there(command):
    words = shlex.split(command)
    done = subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("accelerate launch")])
def test_the_recipes_of_launch_commands_are_there(command):
    for word in shlex.split(command)[2:]:
        assert not word.endswith(".yaml") or (ROOT / word).is_file()


def test_every_command_of_the_table_is_one_of_the_cli():
    from toolace.cli import COMMANDS as KNOWN

    named = set(re.findall(r"`toolace ([\w-]+)", README))
    assert named <= set(KNOWN) and len(named) >= 9


def test_the_tree_names_every_source_file():
    tree = README.split("## The tree")[1].split("## ")[0]
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    shown = [path for path in tracked if not path.startswith("tests/") and Path(path).name != "__init__.py"]
    missing = [path for path in shown if f" {Path(path).name} " not in tree.replace("\n", " ")]
    assert not missing
