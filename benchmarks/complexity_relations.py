"""Figure 2 of the paper and self-guidance on our own dialogs: does the loss rise, and does steering move dialogs?

    OMP_NUM_THREADS=2 python benchmarks/complexity_relations.py --tools tools.jsonl [--model M ...] [--groups 20]
    OMP_NUM_THREADS=2 python benchmarks/complexity_relations.py --tools tools.jsonl --guide 100 --low 0.75 --high 2.4

One thing is changed at a time. Candidates: the same request and call, with 0, 1, 3 and 7 near-miss tools beside the one
that is called. Calls: four fixed candidates, of which the request needs the first 1, 2, 3 and 4. Beside Eq. (1), the
mean over tokens, stands its sum over the response, and the loss of the first call alone, since a model that does not
know the form of a call learns it from the first one of the same answer.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
BESIDE = (0, 1, 3, 7)
CALLS = (1, 2, 3, 4)
# Definitions longer than this would make the prompt most of the work.
_CHARACTERS = 600


def pool(path: str) -> list[Any]:
    from data_gen.dialog_generation.user import askable
    from data_gen.tool_synthesis.pool import read_pool

    tools = read_pool(path)
    short = [tool for tool in tools if len(str(tool.parameters)) < _CHARACTERS and tool.properties and askable(tool)]
    return random.Random(4).sample(short, min(len(short), 5000))


def by_candidates(tools: list[Any], groups: int) -> dict[int, list[Any]]:
    from data_gen.dialog_generation.generation import DialogSettings
    from data_gen.dialog_generation.plans import draw_plans
    from data_gen.dialog_generation.production import Maker

    settings = DialogSettings(
        count=groups, types={"single": 1}, turns={1: 1}, results=0.0, answered=0.0, candidates={1: 1},
        system_prompts={"short": 1}, everyday_share=0.2,
    )  # fmt: skip
    maker = Maker(tools, settings, 1)
    base = [dialog for group in draw_plans(settings, 1) for dialog in maker.group(group, Counter())]
    found: dict[int, list[Any]] = {}
    for beside in BESIDE:
        found[beside + 1] = [
            replace(one, tools=tuple(maker.lists.more(random.Random(one.id), list(one.tools), beside))) for one in base
        ]
    return found


def by_calls(tools: list[Any], groups: int) -> dict[int, list[Any]]:
    from data_gen.dialog_generation.prompts import prompt
    from data_gen.dialog_generation.tool_lists import ToolLists
    from data_gen.dialog_generation.user import OfflineUser
    from toolace import Dialog, Message

    lists = ToolLists(tools, 1.0, 2)
    found: dict[int, list[Any]] = {calls: [] for calls in CALLS}
    for group in range(groups):
        offered = lists.draw(random.Random(group), max(CALLS), group, False)
        for calls in CALLS:
            request = OfflineUser(random.Random(group), 0.4).ask_several(offered[:calls])
            messages = (Message("user", request.text), Message("assistant", calls=request.calls))
            kind = "single" if calls == 1 else "parallel"
            found[calls].append(Dialog(f"{group}-{calls}", kind, tuple(offered), messages, {"prompt": prompt("short")}))
    return found


def of_the_first_call(dialog: Any) -> Any:
    """The dialog cut after its first call: what is learnt within the answer does not count."""
    user, assistant = dialog.messages[0], dialog.messages[1]
    return replace(dialog, messages=(user, replace(assistant, calls=assistant.calls[:1])))


def relate(name: str, sets: dict[int, list[Any]], scorer: Any, first: bool) -> None:
    """A line for each x. All sets are scored together: those of one prompt share it."""
    dialogs = [dialog for members in sets.values() for dialog in members]
    losses = scorer.losses([*dialogs, *(map(of_the_first_call, dialogs) if first else ())])
    print(f"{name:>10}  mean loss  of the first call  sum over the response  response tokens  dialogs")
    start = 0
    for x, members in sets.items():
        own = losses[start : start + len(members)]
        starts = losses[len(dialogs) + start : len(dialogs) + start + len(members)]
        start += len(members)
        mean = statistics.fmean(one.loss for one in own)
        total = statistics.fmean(one.loss * one.tokens for one in own)
        tokens = statistics.fmean(one.tokens for one in own)
        of_first = f"{statistics.fmean(one.loss for one in starts):17.3f}" if starts else " " * 17
        print(f"{x:>10}  {mean:9.3f}  {of_first}  {total:21.1f}  {tokens:15.1f}  {len(own)}", flush=True)


def guide(tools: list[Any], count: int, low: float, high: float, model: str) -> None:
    from data_gen.dialog_generation.generation import DialogSettings
    from data_gen.dialog_generation.guided_offline import write_guided
    from data_gen.dialog_generation.local_scorer import LocalScorer
    from data_gen.dialog_generation.player_settings import GuidanceSettings

    settings = DialogSettings(
        count=count, turns={1: 1}, results=0.0, candidates={1: 1, 2: 1}, everyday_share=0.2,
        system_prompts={"short": 1}, guidance=GuidanceSettings(low, high, 4, model=model),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        counts = write_guided(Path(folder), tools, settings, 1, LocalScorer(model))
        told = json.loads((Path(folder) / "guidance.json").read_text(encoding="utf-8"))
        outside: Counter[str] = Counter()
        for line in (Path(folder) / "dialogs.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            loss = row["meta"]["guidance"]["loss"]
            if not low <= loss <= high:
                outside[f"{row['type']} {'below' if loss < low else 'above'}"] += 1
    print(f"{count} dialogs, {low} to {high}, {time.monotonic() - start:.0f} s: {counts['guidance']}")
    print(f"before {told['before']}\nafter {told['after']}\nrounds {told['rounds']}\nstill outside {dict(outside)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", required=True, help="tools.jsonl of a pool")
    parser.add_argument("--model", action="append", help="as often as wanted; the last one guides")
    parser.add_argument("--groups", type=int, default=20)
    parser.add_argument("--guide", type=int, default=0, help="dialogs to steer")
    parser.add_argument("--low", type=float, default=0.75)
    parser.add_argument("--high", type=float, default=2.4)
    arguments = parser.parse_args()
    from data_gen.dialog_generation.local_scorer import LocalScorer

    models = arguments.model or ["embedded/SmolLM2-135M-Instruct"]
    tools = pool(arguments.tools)
    if arguments.guide:
        guide(tools, arguments.guide, arguments.low, arguments.high, models[-1])
        return
    for model in models:
        scorer = LocalScorer(model, "float32")
        print(model)
        relate("candidates", by_candidates(tools, arguments.groups), scorer, first=False)
        relate("calls", by_calls(tools, arguments.groups), scorer, first=True)


if __name__ == "__main__":
    main()
