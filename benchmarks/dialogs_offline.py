"""The offline player at scale: speed, memory, mix, rules, and how varied the requests are, in one run.

    python benchmarks/dialogs_offline.py --tools tools.jsonl [--count 60000] [--jobs 2] [--out dialogs.jsonl]
    python benchmarks/dialogs_offline.py --file dialogs.jsonl        # measures dialogs that are there, of any format

A frame is a request with everything taken out that the tool and the values bring: values, and every word that is in the
name, the description or the parameters of a tool on offer. Self-BLEU-4 is the mean over a sample of requests of BLEU
against the other requests of the sample: lower is more varied.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SAMPLE = 400
WORD = re.compile(r"[\w'-]+|[^\w\s]")


def make(tools: str, count: int, jobs: int, out: Path) -> None:
    from data_gen.dialog_generation.generation import write_offline
    from data_gen.settings import GenerateSettings
    from data_gen.tool_synthesis.pool import read_pool
    from toolace.recipe import load_recipe

    overrides = [f"--generate.dialogs.count={count}"]
    recipe = load_recipe(ROOT / "recipes/generate/dialogs_60k.yaml", overrides)
    settings = recipe.settings("generate", GenerateSettings).dialogs
    start = time.monotonic()
    counts = write_offline(out, read_pool(tools), settings, recipe.seed, jobs)
    seconds = time.monotonic() - start
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 2**20
    worst = max(
        abs(share - counts["achieved"][part].get(key, 0))
        for part, shares in counts["declared"].items()
        for key, share in shares.items()
    )
    rate = counts["made"] / seconds
    print(f"{counts['made']:,} dialogs in {seconds:.0f} s ({rate:.0f} a second, {jobs or 'all'} processes)")
    print(f"most memory of a process: {peak:.2f} GiB")
    print(f"largest distance from the declared mix: {worst:.2f} points; drawn again: {counts['redrawn']}")


def frame(request: str, dialog: Any) -> str:
    """A request without what its tools and values bring: runs of such words become one underscore."""
    known = set()
    for tool in dialog.tools:
        known |= {
            word.lower() for word in WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", json.dumps(tool.to_function())))
        }
    kept = [word.lower() for word in WORD.findall(request)]
    masked = ["_" if word in known or word[0].isdigit() or word in VALUES else word for word in kept]
    return " ".join(word for i, word in enumerate(masked) if word != "_" or i == 0 or masked[i - 1] != "_")


VALUES: set[str] = set()


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def self_bleu(texts: Sequence[str], order: int = 4) -> float:
    """Mean BLEU of each text against all others; n-grams of all texts are counted once."""
    grams = [
        [Counter(zip(*(words[i:] for i in range(n)), strict=False)) for n in range(1, order + 1)]
        for words in map(str.split, texts)
    ]
    scores = []
    most: list[dict[Any, list[int]]] = [{} for _ in range(order)]
    for counters in grams:
        for n, counter in enumerate(counters):
            for gram, count in counter.items():
                best = most[n].setdefault(gram, [0, 0])
                best[:] = sorted([*best, count])[-2:]
    for counters in grams:
        logs = 0.0
        for n, counter in enumerate(counters):
            total = sum(counter.values())
            # The largest count among the others: the second largest of all when this text holds the largest.
            hits = sum(min(c, most[n][g][0] if most[n][g][1] == c else most[n][g][1]) for g, c in counter.items())
            logs += math.log(max(hits, 0.1) / max(total, 1))
        scores.append(math.exp(logs / order))
    return sum(scores) / len(scores)


def variety(path: Path) -> None:
    from toolace.formats import read_any

    frames: Counter[str] = Counter()
    openings: Counter[str] = Counter()
    fourgrams: set[Any] = set()
    values: set[str] = set()
    requests: list[str] = []
    fours = given = 0
    for dialog in read_any(path):
        arguments = [leaf for m in dialog.messages for call in m.calls for leaf in leaves(dict(call.arguments))]
        given += len(arguments)
        values.update(json.dumps(leaf) for leaf in arguments)
        VALUES.clear()
        VALUES.update(word.lower() for leaf in arguments for word in WORD.findall(str(leaf)))
        for message in dialog.messages:
            if message.role == "user":
                words = message.content.split()
                requests.append(message.content)
                found = list(zip(*(words[i:] for i in range(4)), strict=False))
                fours += len(found)
                fourgrams.update(map(hash, found))
                frames[frame(message.content, dialog)] += 1
                openings[" ".join(words[:3])] += 1
    count = len(requests)
    sample = random.Random(0).sample(requests, min(SAMPLE, count))
    print(f"{count:,} user turns, {len(set(requests)) / count:.1%} distinct")
    print(f"distinct 4-grams: {len(fourgrams) / max(fours, 1):.3f} of {fours:,}")
    print(f"self-BLEU-4 of {len(sample)} turns: {self_bleu(sample):.3f}")
    print(f"argument values: {len(values):,} distinct of {given:,}")
    for name, counter in (("frame", frames), ("first three words", openings)):
        top = [(text, times) for text, times in counter.most_common(6) if text != "_"]
        print(f"most frequent, {name}: " + ", ".join(f"{text!r} {times / count:.2%}" for text, times in top))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", help="tools.jsonl of a pool")
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("dialogs.jsonl"))
    parser.add_argument("--file", type=Path, help="measure this file only")
    arguments = parser.parse_args()
    if not arguments.file:
        if not arguments.tools:
            parser.error("give --tools, or --file")
        make(arguments.tools, arguments.count, arguments.jobs, arguments.out)
    variety(arguments.file or arguments.out)


if __name__ == "__main__":
    main()
