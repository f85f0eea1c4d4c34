"""Answers to BFCL questions on a CPU: our batches and the loop of one question after the other, in one run.

    OMP_NUM_THREADS=2 python benchmarks/bfcl_generation.py [--questions 24] [--max_new_tokens 48] [--dtype float32]

The loop is transformers' `generate` with its own cache and attention, one prompt at a time, greedy. Ours computes the
beginning that all prompts share once, answers prompts of similar length together, and lets finished ones leave. In
float32 the outputs are compared token for token; in bfloat16 they may differ where two tokens are equally likely.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded/SmolLM2-135M-Instruct")
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--max_new_tokens", type=int, default=48)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--dtype", default="float32")
    arguments = parser.parse_args()

    import torch
    from transformers import AutoModelForCausalLM

    from eval.asking import Ask
    from eval.bfcl.data import Data
    from eval.models import LocalModel
    from toolace.embedded import resolve_model

    prompts = [prompt for name in ("simple_python", "parallel") for prompt in Data().prompts(name)]
    prompts = random.Random(0).sample(prompts, arguments.questions)
    asks = [Ask(prompt.messages) for prompt in prompts]
    ours = LocalModel(arguments.model, arguments.dtype, arguments.batch_size)
    dtype = getattr(torch, arguments.dtype)
    plain = AutoModelForCausalLM.from_pretrained(resolve_model(arguments.model), dtype=dtype).eval()
    rows = [ours.template.token_ids(ask) for ask in asks]
    with torch.inference_mode():
        plain.generate(torch.tensor([rows[0]]), max_new_tokens=2, do_sample=False)  # warm
        start = time.monotonic()
        alone = []
        for row in rows:
            output = plain.generate(torch.tensor([row]), max_new_tokens=arguments.max_new_tokens, do_sample=False)
            alone.append(ours.tokenizer.decode(output[0, len(row) :], skip_special_tokens=True))
        loop_seconds = time.monotonic() - start
    start = time.monotonic()
    together = {answer.index: answer.text for batch in ours.answer(asks, arguments.max_new_tokens) for answer in batch}
    seconds = time.monotonic() - start
    same = sum(together[i] == text for i, text in enumerate(alone))
    count = len(rows)
    print(f"{count} questions, {sum(map(len, rows)) / count:.0f} tokens a prompt, {torch.get_num_threads()} threads")
    print(f"one by one  {loop_seconds:7.1f} s  {count / loop_seconds:6.2f} questions/s")
    print(f"in batches  {seconds:7.1f} s  {count / seconds:6.2f} questions/s  {loop_seconds / seconds:.2f} times")
    print(f"{same} of {count} outputs are the same")


if __name__ == "__main__":
    main()
