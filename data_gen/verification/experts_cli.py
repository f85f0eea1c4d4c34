"""`toolace experts DIR`: the model layer, on what `toolace verify` has kept."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_gen.verification.expert_questions import EXPERTS
from data_gen.verification.experts import ExpertSettings, verify_with_experts
from data_gen.verification.reviews import read_reviews
from toolace.llm_settings import LlmSettings

# our choice: of fewer dialogs half may well be bad.
_ENOUGH = 10


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace experts`."""
    result = argparse.ArgumentParser(
        prog="toolace experts",
        description="Asks a language model about every dialog of DIR/verified.jsonl and moves those that fail.",
        epilog="example: toolace experts checked --base_url http://127.0.0.1:8000/v1 --model qwen --votes 3",
    )
    result.add_argument("folder", type=Path, metavar="DIR", help="folder with verified.jsonl and rejected.jsonl")
    result.add_argument("--base_url", required=True, metavar="URL", help="an OpenAI-compatible server")
    result.add_argument("--model", required=True, metavar="NAME", help="the model's name there")
    result.add_argument("--api_key_env", metavar="NAME", help="environment variable that holds the key")
    result.add_argument(
        "--experts", default=",".join(ExpertSettings().experts), metavar="NAMES", help=", ".join(EXPERTS)
    )
    result.add_argument("--votes", type=int, default=1, metavar="N", help="answers wanted of each expert (1)")
    result.add_argument("--concurrency", type=int, default=64, metavar="N", help="most calls in flight (64)")
    result.add_argument("--max_calls", type=int, metavar="N", help="stop after so many calls")
    result.add_argument(
        "--reviews", type=Path, metavar="FILE", help="reviews.jsonl of toolace review: goes before any expert"
    )
    result.add_argument("--strict", action="store_true", help="exit with 1 when a dialog was rejected or is undecided")
    result.add_argument("--json", action="store_true", help="print one JSON object")
    return result


def app(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0, or 1 when dialogs are left undecided, or with --strict were rejected.

    Raises:
        InputError: see `verify_folder`.
    """
    options = parser().parse_args(argv)
    llm = LlmSettings(
        base_url=options.base_url,
        model=options.model,
        api_key_env=options.api_key_env,
        concurrency=options.concurrency,
        max_calls=options.max_calls,
    )
    settings = ExpertSettings(experts=[name for name in options.experts.split(",") if name], votes=options.votes)
    reviews = read_reviews(options.reviews) if options.reviews else None
    counts = verify_with_experts(options.folder, settings, llm, reviews=reviews)
    print(json.dumps({"out": str(options.folder), **counts}) if options.json else table(counts))
    return 1 if counts["undecided"] or (options.strict and counts["rejected"]) else 0


def table(counts: Mapping[str, Any]) -> str:
    """The counts as lines of text."""
    lines = [
        f"{counts['in']} dialogs: {counts['kept']} kept, {counts['rejected']} rejected, "
        f"{counts['undecided']} undecided; {counts['tokens']} tokens"
    ]
    harsh: list[str] = []
    for name, asked in counts["asked"].items():
        failed = counts["rules"].get(f"expert.{name}", 0)
        split = counts["disagreement"].get(name)
        votes = "" if split is None else f", votes split on {100 * split:.1f} %"
        if asked >= _ENOUGH and 2 * failed > asked:
            harsh.append(
                f"{name} failed {failed} of {asked} that rules had kept; measure the model first (docs/verification.md)"
            )
        lines.append(f"  {name}: asked about {asked}, failed {failed}, unheard {counts['unheard'].get(name, 0)}{votes}")
    lines += [f"  undecided {count}: {why}" for why, count in counts["reasons"].items()]
    lines += harsh
    if counts["stopped"]:
        lines.append(f"stopped: {counts['stopped']}; run it again to go on")
    return "\n".join(lines)
