"""The commands `toolace tools`, `toolace dialogs` and `toolace generate`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_gen import pipeline
from data_gen.settings import GenerateSettings
from toolace.errors import InputError
from toolace.recipe import Recipe, load_recipe
from toolace.runs import Run

_TEXTS = {
    "tools": ("API documents to a pool of tools (TSS).", "writes tools.jsonl and rejected_tools.jsonl"),
    "dialogs": ("Tools to dialogs of four types (SDG).", "writes dialogs.jsonl; makes the tools first if need be"),
    "generate": (
        "Tools, dialogs, verification and the training set.",
        "writes tools.jsonl, dialogs.jsonl, verified.jsonl, rejected.jsonl, train.jsonl and manifest.json",
    ),
}


def tools(argv: Sequence[str]) -> int:
    """`toolace tools RECIPE [--out DIR]`."""
    return _run("tools", argv)


def dialogs(argv: Sequence[str]) -> int:
    """`toolace dialogs RECIPE [--out DIR]`."""
    return _run("dialogs", argv)


def generate(argv: Sequence[str]) -> int:
    """`toolace generate RECIPE [--out DIR]`."""
    return _run("generate", argv)


def _parser(name: str) -> argparse.ArgumentParser:
    what, writes = _TEXTS[name]
    parser = argparse.ArgumentParser(
        prog=f"toolace {name}",
        description=f"{what} Finished stages are not done again.",
        epilog=f"{writes}\nexample: toolace {name} recipes/smollm2_135m.yaml --out runs/try",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML recipe; --section.key value changes one setting")
    parser.add_argument("--out", type=Path, metavar="DIR", help="run folder (default: the recipe's)")
    parser.add_argument("--json", action="store_true", help="print the counts as one JSON object")
    return parser


def _run(name: str, argv: Sequence[str]) -> int:
    arguments, overrides = _parser(name).parse_known_args(argv)
    recipe = load_recipe(arguments.recipe, overrides)
    records = make(name, recipe, arguments.out)
    if arguments.json:
        print(json.dumps({stage: record["counts"] for stage, record in records.items()}))
    else:
        print("\n".join(_line(stage, record) for stage, record in records.items()))
        print(f"written: {arguments.out or recipe.out}")
    return 0


def make(name: str, recipe: Recipe, out: Path | None = None) -> dict[str, dict[str, Any]]:
    """Runs the stages up to `name` ("generate" for all) and returns their records.

    Raises:
        InputError: the recipe has no section `generate`, or a stage cannot be done.
    """
    if not recipe.has("generate"):
        fix = "Add a section `generate:`; see recipes/smollm2_135m.yaml."
        raise InputError("has no section generate", where=recipe.path, fix=fix)
    settings = recipe.settings("generate", GenerateSettings)
    settings.dialogs.check()
    run = Run(out or recipe.out)
    with run.working():
        if name == "generate":
            return pipeline.run_pipeline(run, settings, recipe.seed)
        records = {"tools": pipeline.make_tools(run, settings.tools, recipe.seed)}
        if name == "dialogs":
            records["dialogs"] = pipeline.make_dialogs(run, settings, recipe.seed)
    return records


def _line(stage: str, record: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{key} {value}" for key, value in record["counts"].items() if not isinstance(value, dict))
    details = [f"{key}: {value}" for key, value in record["counts"].items() if isinstance(value, dict) and value]
    again = " (done before)" if record.get("reused") else ""
    extra = "".join(f"\n  {detail}" for detail in details)
    return f"{stage:<8} {counts}, {record['seconds']:.1f} s{again}{extra}"
