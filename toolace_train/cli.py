"""The commands that train: `accelerate launch RECIPE`, `toolace train RECIPE`, `toolace plan RECIPE`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from toolace.errors import InputError
from toolace.launch import is_recipe
from toolace.recipe import Recipe, load_recipe

USAGE = """usage: accelerate launch RECIPE [--section.key value ...] [--dry_run]

Trains the recipe, or with --dry_run prints what it would do; `toolace plan --help` lists what a plan can be told.
--section.key value changes one setting.
example: accelerate launch recipes/smollm2_135m.yaml --train.learning_rate 5.0e-4 --dry_run"""


def launch(argv: Sequence[str]) -> int:
    """What a recipe does when accelerate (or python) runs it: argv is the recipe's file and the words after it."""
    file, *words = argv
    if "--help" in words or "-h" in words:
        print(USAGE)
        return 0
    plain = [word for word in words if word not in ("--dry_run", "--dry-run")]
    if plain != words:
        options, overrides = _plan_options(argparse.ArgumentParser(add_help=False)).parse_known_args(plain)
        return _dry_run(file, overrides, options)
    recipe = _training_recipe(file, words)
    from toolace_train.devices import one_speaks

    return one_speaks(lambda: _run(recipe))


def _run(recipe: Recipe) -> int:
    from toolace_train.model import locate
    from toolace_train.quiet import quiet_libraries
    from toolace_train.settings import ModelSettings
    from toolace_train.training_keys import training_values

    quiet_libraries()
    # Before the data, which can take minutes: without a model, or with a key that is refused, there is nothing to do.
    training_values(recipe)
    folder = locate(recipe.settings("model", ModelSettings).model_name_or_path)
    make_data(recipe)
    from toolace_train.sft import train as run_training

    return run_training(recipe, folder)


def _training_recipe(file: str, overrides: Sequence[str]) -> Recipe:
    recipe = load_recipe(file, overrides)
    for section in ("model", "data", "train"):
        if not recipe.has(section):
            fix = "See recipes/smollm2_135m.yaml; a recipe that only makes data names its command in the first line."
            raise InputError(f"has no section {section}", where=file, fix=fix)
    return recipe


def make_data(recipe: Recipe) -> None:
    """Makes the recipe's own rows when it says how; finished stages are kept, and other processes of the run wait."""
    if not recipe.has("generate"):
        return
    # A child: what it prints goes to stderr, and its memory is given back before training.
    command = [sys.executable, "-m", "toolace", "generate", str(recipe.path), *_overrides(recipe)]
    done = subprocess.run(command, stdout=sys.stderr)
    if done.returncode:
        raise SystemExit(done.returncode)


def _overrides(recipe: Recipe) -> list[str]:
    """The command line's overrides that concern the data, so that the child reads the same recipe."""
    return [
        word for pair in recipe.overrides if pair[0].split(".")[0] in _DATA_KEYS for word in (f"--{pair[0]}={pair[1]}",)
    ]


_DATA_KEYS = ("generate", "out", "name", "seed")


def _dry_run(file: str, overrides: Sequence[str], options: argparse.Namespace) -> int:
    from toolace_train.plan import UTILISATION, Assumptions, make_plan
    from toolace_train.plan_text import plan_text

    recipe = _training_recipe(file, overrides)
    if not options.without_data:
        make_data(recipe)
    if int(os.environ.get("RANK", "0")) == 0:
        share = UTILISATION if options.utilisation is None else options.utilisation
        made = make_plan(recipe, Assumptions(options.gpu, options.devices, share))
        print(json.dumps(made.to_json(), indent=2) if options.json else plan_text(made))
    return 0


def _plan_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Adds what a plan can be told: the card, how many, how well they are used, and the form of the answer."""
    parser.allow_abbrev = False  # the other words are the recipe's
    parser.add_argument("--gpu", default="a100-80gb", metavar="NAME", help="a card of toolace_train/hardware.yaml")
    parser.add_argument("--devices", type=int, metavar="N", help="GPUs (default: as the recipe's accelerate config)")
    parser.add_argument("--utilisation", type=float, metavar="SHARE", help="of the card's peak rate (default: 0.4)")
    parser.add_argument("--without_data", action="store_true", help="do not make the recipe's rows first")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def plan(argv: Sequence[str]) -> int:
    """`toolace plan RECIPE`."""
    what = "What a training recipe would do: rows, tokens, steps, parameters, memory, time."
    arguments, overrides = _plan_options(_parser("plan", what)).parse_known_args(argv)
    return _dry_run(arguments.recipe, overrides, arguments)


def train(argv: Sequence[str]) -> int:
    """`toolace train RECIPE`: accelerate launch with the recipe's `accelerate_config`."""
    parser = _parser("train", "Trains a recipe: accelerate launch with the recipe's accelerate_config.")
    arguments, overrides = parser.parse_known_args(argv)
    recipe = load_recipe(arguments.recipe, [word for word in overrides if word not in ("--dry_run", "--dry-run")])
    if not is_recipe(arguments.recipe):
        fix = "Begin and end it as recipes/smollm2_135m.yaml does: two lines make the YAML file runnable."
        raise InputError("is not a runnable recipe", where=arguments.recipe, fix=fix)
    config = recipe.values.get("accelerate_config")
    if config is not None and not Path(str(config)).is_file():
        raise InputError("no such accelerate config", where=str(config), fix="See accelerate_configs/.")
    command = [sys.executable, "-m", "accelerate.commands.launch"]
    command += ["--config_file", str(config)] if config else []
    return subprocess.run([*command, arguments.recipe, *overrides]).returncode


def _parser(name: str, what: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"toolace {name}", description=what, epilog=f"example: toolace {name} recipes/smollm2_135m.yaml"
    )
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML recipe; --section.key value changes one setting")
    return parser
