"""The `toolace` command: a table of names; a command's code is imported only when it is called."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

from toolace.errors import InputError
from toolace.launch import guarded

COMMANDS = {
    "tools": ("data_gen.cli:tools", "API documents to a pool of tools (TSS)"),
    "corpora": ("data_gen.cli:corpora", "fetch the API documents that large pools are made from"),
    "dialogs": ("data_gen.cli:dialogs", "tools to dialogs of four types (SDG)"),
    "complexity": ("data_gen.dialog_generation.complexity:app", "how hard a model finds each dialog (Eq. 1)"),
    "calibrate": (
        "data_gen.dialog_generation.calibration:app",
        "between which losses dialogs are worth making for a model",
    ),
    "verify": ("data_gen.verification.verify:app", "rule checks on any data set (DLV)"),
    "experts": ("data_gen.verification.experts_cli:app", "a language model judges what the rules kept (DLV)"),
    "review": ("data_gen.review:app", "a person looks at a sample of what verification kept and rejected"),
    "decontaminate": ("data_gen.decontamination:app", "what a data set shares with BFCL and API-Bank"),
    "dataset": ("data_gen.dataset:app", "verified dialogs to a data set: mix, splits, formats, data card"),
    "publish": ("data_gen.hub:app", "a data set's folder to the Hugging Face hub"),
    "generate": ("data_gen.cli:generate", "tools, dialogs, verification and the training set, in one go"),
    "train": ("toolace_train.cli:train", "train a recipe with its accelerate config"),
    "plan": ("toolace_train.cli:plan", "what a training recipe would do: tokens, steps, memory, time"),
    "audit": ("toolace_train.audit:app", "what is wrong with training rows, and how long they are"),
    "export": ("toolace_train.export:app", "a run as merged weights, GGUF and a model card"),
    "serve-check": ("toolace_train.serve_check:app", "a server shows the model the prompt it was trained on"),
    "evaluate": ("eval.evaluate:app", "generate answers with a model and score them"),
    "score": ("eval.score:app", "score benchmark result files"),
    "report": ("eval.report.page:app", "the page, tables and figures of a run"),
    "convert": ("toolace.convert:app", "between toolace, trl, sharegpt and hermes rows"),
    "model": ("toolace.cli:model", "make the embedded model ready and print its folder"),
}


def usage() -> str:
    """The text of `toolace --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: toolace COMMAND [arguments]",
            "",
            "Function-calling data, training and scores, after ToolACE (arXiv 2409.00920).",
            "",
            "commands:",
            *lines,
            "",
            "`toolace COMMAND --help` says more.",
            "example: toolace generate recipes/smollm2_135m.yaml && accelerate launch recipes/smollm2_135m.yaml",
        ]
    )


def model(arguments: Sequence[str]) -> int:
    """`toolace model`: fetches and converts the embedded model once, and prints where it is."""
    from toolace.embedded import NAME, prepare

    if arguments and arguments[0] in ("-h", "--help"):
        print("usage: toolace model\n\nMakes the embedded model ready and prints its folder.\nexample: toolace model")
        return 0
    if arguments:
        raise InputError(f"unexpected argument {arguments[0]!r}", fix="`toolace model` takes none.")
    print(f"{NAME}: {prepare()}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code (0 done, 1 failures found, 2 bad usage or input)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(usage(), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] == "--version":
        from toolace import __version__

        print(f"toolace {__version__}")
        return 0
    return guarded(_dispatch, words)


def _dispatch(words: Sequence[str]) -> int:
    name, *rest = words
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        fix = f"Did you mean {near[0]!r}?" if near else "See `toolace --help`."
        raise InputError(f"unknown command {name!r}", fix=fix)
    module, function = COMMANDS[name][0].split(":")
    code: int = getattr(import_module(module), function)(rest)
    return code
