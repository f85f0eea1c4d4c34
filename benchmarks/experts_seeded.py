"""The model layer on a real model: which seeded faults each expert finds, and what it says against clean dialogs.

    python benchmarks/experts_seeded.py DIALOGS --out FOLDER --base_url http://127.0.0.1:8080/v1 --model NAME

Half of the dialogs get a fault: a value that nobody gave, the result of another call, or a text said over and over.
Each expert is asked about all of them by itself, and then all experts in order, which costs nothing more: the answers
are in the journal. Clean dialogs are those that the rules keep.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_gen.verification import dialog_faults, grounding_faults  # noqa: F401  (importing registers their faults)
from data_gen.verification.expert_questions import EXPERTS
from data_gen.verification.experts import ExpertSettings, verify_with_experts
from data_gen.verification.faults import FAULTS
from data_gen.verification.rules import check
from toolace import read_dialogs
from toolace.llm_settings import LlmSettings
from toolace.rows import read_rows, write_rows

# Each fault with the expert whose question it is.
SEEDED = {
    "name_nobody_said": "hallucination",
    "result_of_another_call": "tool_response",
    "repeated_text": "repetition",
}


def rows(path: Path, count: int, longest: int, seed: int) -> Iterator[dict[str, Any]]:
    """Dialogs with a place for a fault, every second one with it; `meta.seeded` says which, and no expert sees meta."""
    kinds = list(SEEDED)
    made = 0
    for dialog in read_dialogs(path):
        row = dialog.to_json()
        if len(json.dumps(row)) > longest or not check(dialog).kept:
            continue
        name = kinds[made // 2 % len(kinds)]
        changed = FAULTS[name].into(row, random.Random(f"{seed}/{row['id']}"))
        if changed is None:
            continue
        seeded = made % 2 == 0
        yield {**(changed if seeded else row), "meta": {"seeded": name if seeded else ""}}
        made += 1
        if made == count:
            return


def ask(
    folder: Path, name: str, dialogs: list[dict[str, Any]], experts: list[str], votes: int, llm: LlmSettings
) -> Any:
    """One run of the model layer over all dialogs, in a folder of its own: its counts, and the verdicts by id."""
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    write_rows(place / "verified.jsonl", dialogs)
    counts = verify_with_experts(place, ExpertSettings(experts=experts, votes=votes), llm, folder / "journal.sqlite")
    files = [place / file for file in ("verified.jsonl", "rejected.jsonl", "undecided.jsonl")]
    found = {row["id"]: row for file in files if file.exists() for _, row in read_rows(file)}
    assert sorted(found) == sorted(row["id"] for row in dialogs), "a dialog was lost"
    return counts, {id_: row.get("verdict") for id_, row in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dialogs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base_url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--longest", type=int, default=4000, help="characters of a row")
    parser.add_argument("--votes", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    llm = LlmSettings(
        given.base_url, given.model, concurrency=given.concurrency, max_tokens=300, timeout=600, seed=given.seed
    )
    dialogs = list(rows(given.dialogs, given.count, given.longest, given.seed))
    faulty = {row["id"]: row["meta"]["seeded"] for row in dialogs if row["meta"]["seeded"]}
    print(f"{len(dialogs)} dialogs, {len(faulty)} with a fault; {given.votes} votes an expert\n")
    heads = ("expert", "asked", "its own faults found", "other faults failed", "clean ones failed", "votes split")
    print("| " + " | ".join((*heads, "unheard", "s")) + " |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for expert in EXPERTS:
        start = time.monotonic()
        counts, verdicts = ask(given.out, expert, dialogs, [expert], given.votes, llm)
        failed = {id_ for id_, verdict in verdicts.items() if verdict}
        own = {id_ for id_, kind in faulty.items() if SEEDED[kind] == expert}
        others, clean = set(faulty) - own, {row["id"] for row in dialogs} - set(faulty)
        shares = [f"{len(failed & part)} of {len(part)}" for part in (own, others, clean)]
        split = f"{100 * counts['disagreement'].get(expert, 0):.0f} %"
        unheard, took = counts["unheard"].get(expert, 0), time.monotonic() - start
        cells = [expert, counts["asked"].get(expert, 0), *shares, split, unheard, f"{took:.0f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    counts, verdicts = ask(given.out, "all", dialogs, list(ExpertSettings().experts), given.votes, llm)
    failed = {id_ for id_, verdict in verdicts.items() if verdict}
    clean = len(dialogs) - len(faulty)
    print(f"\nall in order: {len(failed & set(faulty))} of {len(faulty)} faults rejected,", end=" ")
    print(f"{len(failed - set(faulty))} of {clean} clean ones rejected, {counts['tokens']} tokens")
    print(
        f"in {counts['in']} = kept {counts['kept']} + rejected {counts['rejected']} + undecided {counts['undecided']}\n"
    )
    for id_, verdict in sorted(verdicts.items()):
        if verdict:
            print(f"- {faulty.get(id_) or 'clean'}: {verdict['rule']}, {verdict['where']}: {verdict['evidence'][:160]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
