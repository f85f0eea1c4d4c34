"""The complexity evaluator beside a plain loop, in one run: does it agree, and how much faster is it?

    OMP_NUM_THREADS=2 python benchmarks/complexity.py [--dialogs 500] [--per_tool_list 10] [--file dialogs.jsonl]

The loop is Eq. (1) as it is written: one dialog, one forward of transformers, logits of every position. Ours computes a
shared system prompt once and gives the LM head only the positions that predict a response token. Dialogs are made by
the offline player over the everyday documents, `--per_tool_list` to a prompt as in recipes/smollm2_135m.yaml; with 1
no two share all of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def made(count: int, per_tool_list: int) -> list[Any]:
    from data_gen.dialog_generation.generation import DialogSettings, generate
    from data_gen.documents import everyday
    from data_gen.tool_synthesis.adaptation import to_tool

    settings = DialogSettings(count=count, per_tool_list=per_tool_list, system_prompts={"bfcl_v4": 1})
    return list(generate([to_tool(document) for document in everyday.read()], settings, 17))


def plain_losses(rows: list[Any], model: Any) -> list[float]:
    import torch

    losses = []
    with torch.inference_mode():
        for row in rows:
            logs = model(torch.tensor([row.input_ids])).logits[0].float().log_softmax(-1)
            at = [i for i, label in enumerate(row.labels) if label != -100]
            picked = logs[[i - 1 for i in at], [row.labels[i] for i in at]]
            losses.append(-float(picked.mean()))
    return losses


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded/SmolLM2-135M-Instruct")
    parser.add_argument("--dialogs", type=int, default=500)
    parser.add_argument("--per_tool_list", type=int, default=10)
    parser.add_argument("--file", help="dialogs to score instead")
    arguments = parser.parse_args()

    import torch

    from data_gen.dialog_generation.local_scorer import LocalScorer
    from toolace.formats import read_any, to_toolace

    dialogs = list(read_any(arguments.file))[: arguments.dialogs] if arguments.file else []
    dialogs = dialogs or made(arguments.dialogs, arguments.per_tool_list)
    scorer = LocalScorer(arguments.model, "float32")
    rows = [scorer.renderer.render(to_toolace(dialog), dialog.id) for dialog in dialogs]
    tokens = sum(len(row.input_ids) for row in rows)
    scorer.score(dialogs[:1])  # warm
    start = time.monotonic()
    ours = scorer.score(dialogs)
    seconds = time.monotonic() - start
    start = time.monotonic()
    alone = plain_losses(rows, scorer.model)
    loop_seconds = time.monotonic() - start
    worst = max(abs(a - b) for a, b in zip(ours, alone, strict=True))
    prompts = len({row.prefix for row in rows})
    print(f"{len(dialogs)} dialogs, {prompts} prompts, {tokens:,} tokens, {torch.get_num_threads()} threads, float32")
    print(f"one by one  {loop_seconds:7.1f} s  {tokens / loop_seconds:8.0f} tokens/s")
    print(f"evaluator   {seconds:7.1f} s  {tokens / seconds:8.0f} tokens/s  {loop_seconds / seconds:.2f} times")
    print(f"largest difference of a loss: {worst:.1e}")
    return 0 if worst <= 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
