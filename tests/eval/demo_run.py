"""A run folder with every part that the report shows, made from BFCL's gold and a few hostile texts."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

from bfcl_answers import corrupted_answers, write_results

from eval.bfcl.categories import DEFAULT_CATEGORIES
from eval.bfcl.data import Data
from eval.bfcl.scoring import score_results
from eval.score import write_scores

HOSTILE = "</script><img src=x onerror=alert(1)><b>&amp;\ud800"
RULES = {"schema": 61, "unsupported_argument": 44, "duplicate": 31, "empty_answer": 9, "leaked_answer": 3}


def write_demo_run(folder: Path) -> Path:
    """Makes the folder: scores of `base` and `tuned`, training log, data files and manifest."""
    write_demo_scores(folder)
    write_demo_training(folder / "train" / "log.jsonl")
    rows = [{"id": f"d-{i}", "type": "single"} for i in range(852)]
    _write_lines(folder / "verified.jsonl", rows)
    rejected = [
        {"id": f"r-{r}-{i}", "verdict": {"rule": r, "evidence": "e"}} for r, n in RULES.items() for i in range(n)
    ]
    _write_lines(folder / "rejected.jsonl", rejected)
    stages = {
        "tools": {"seconds": 3.42, "counts": {"tools": 500}},
        "dialogs": {"seconds": 18.7, "counts": {"dialogs": 1000}},
        "verify": {"seconds": 6.05, "counts": {"kept": 852, "rejected": 148}},
        "train": {"seconds": 412.0, "counts": {"steps": 400}, "versions": {"torch": "2.13.0", "trl": "1.16.0"}},
        "evaluate": {"seconds": 3_725.0, "counts": {"answers": 2_480}},
    }
    (folder / "manifest.json").write_text(json.dumps({"stages": stages}), encoding="utf-8")
    return folder


def write_demo_scores(folder: Path) -> None:
    """Result files, verdicts and results.json; some of the wrong answers are hostile."""
    for name in DEFAULT_CATEGORIES:
        for seed, (model, share) in enumerate({"base": 0.7, "tuned": 0.35}.items()):
            answers = corrupted_answers(name, seed, share)
            spoilt = [id_ for id_, text in answers.items() if text in ("", "I cannot answer that.")]
            answers |= dict.fromkeys(spoilt[::2], HOSTILE)
            write_results(folder / "eval" / "result", model, name, answers)
    write_scores(folder / "eval", score_results(folder / "eval" / "result"), Data())


def write_demo_training(path: Path) -> None:
    """A falling, noisy loss over 400 steps."""
    noise = random.Random(0)
    rows = [
        {
            "step": step,
            "epoch": step / 200,
            "loss": 0.35 + 1.6 * math.exp(-step / 70) + noise.gauss(0, 0.05),
            "learning_rate": 2e-4 * (1 - step / 400),
            "tokens_per_second": 900 + noise.random() * 80,
        }
        for step in range(5, 401, 5)
    ]
    _write_lines(path, rows)


def _write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
