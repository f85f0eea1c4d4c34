"""Tokens a second of our training and of plain TRL on the same rows, model, LoRA and machine, in one run.

    OMP_NUM_THREADS=2 python benchmarks/training_speed.py [--steps 12] [--rounds 2] [--per_tool_list 10]

The sides take turns, each in a process of its own. `padded` and `packed` are TRL's own SFTTrainer, which `trl sft`
starts, with the two settings that are its fastest on a CPU: float32 weights under bf16 autocast, 4 rows a batch; and
bf16 weights, rows packed (bfd), one pack a batch. `ours` is a recipe as `accelerate launch` runs it. padded and ours
see the same rows in every step, so their losses must agree. `shared` is ours on rows of which `--per_tool_list` have a
system prompt in common, computed once; its tokens are counted as if every row had been computed alone.

The first two steps of each process are not timed. Tokens are those of the rows, without padding. The bound is the
operations of those tokens (toolace_train/flops.py: 4 a frozen number, 6 a trained one, causal attention, the LM head on
trained positions) at the rate of a plain bf16 matrix product of 2,048 x 2,048 numbers, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SIDES = ("padded", "packed", "ours", "shared")
WARM = 2
BATCH = 4
LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "lora_dropout": 0.0}
TRAIN = {"learning_rate": 5e-4, "lr_scheduler_type": "constant", "logging_steps": 1, "save_strategy": "no"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--per_tool_list", type=int, default=10)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--max_length", type=int, default=1792)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        run = ours if arguments.side in ("ours", "shared") else plain
        (arguments.folder / "found.json").write_text(json.dumps(run(arguments)), encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as folder:
        write_rows_of(arguments, Path(folder))
        found: dict[str, list[dict[str, Any]]] = {side: [] for side in arguments.sides}
        for _ in range(arguments.rounds):
            for side in arguments.sides:
                found[side].append(child(arguments, side, Path(folder)))
        report(found, Path(folder), arguments)


def write_rows_of(arguments: argparse.Namespace, folder: Path) -> None:
    """Rows of the toolkit's own offline player, one prompt each and `per_tool_list` to a prompt."""
    from data_gen.dialog_generation.generation import DialogSettings, generate
    from data_gen.documents import everyday
    from data_gen.tool_synthesis.adaptation import to_tool
    from toolace.formats import to_toolace
    from toolace.rows import write_rows

    tools = [to_tool(document) for document in everyday.read()]
    for name, count, together in (
        ("own.jsonl", arguments.steps * BATCH, 1),
        ("shared.jsonl", arguments.steps * 2 * arguments.per_tool_list, arguments.per_tool_list),
    ):
        # Some are over max_length and left out; as many as are needed are kept.
        settings = DialogSettings(count=count + count // 4 + 8, per_tool_list=together, system_prompts={"bfcl_v4": 1})
        write_rows(folder / name, (to_toolace(dialog) for dialog in generate(tools, settings, 17)))


def child(arguments: argparse.Namespace, side: str, folder: Path) -> dict[str, Any]:
    words = ["--steps", arguments.steps, "--max_length", arguments.max_length, "--side", side, "--folder", folder]
    command = [sys.executable, __file__, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    seconds = sum(found["seconds"][WARM:])
    print(f"{side}: {sum(found['tokens'][WARM:]):,} tokens in {seconds:.0f} s", file=sys.stderr, flush=True)
    return found


def recipe_of_side(arguments: argparse.Namespace) -> Any:
    """The recipe that `ours` runs, which also says how rows are rendered for the other sides."""
    from toolace.recipe import recipe_of

    shared = arguments.side == "shared"
    values = {
        "out": str(arguments.folder / f"run_{arguments.side}_{time.time_ns()}"),
        "seed": 17,
        "model": {"model_name_or_path": "embedded/SmolLM2-135M-Instruct", "dtype": "bfloat16"},
        "lora": LORA,
        "data": {
            "files": [str(arguments.folder / ("shared.jsonl" if shared else "own.jsonl"))],
            "max_length": arguments.max_length,
            "share_prefix": shared,
            "global_batch_size": 1 if shared else BATCH,
        },
        "train": {**TRAIN, "bf16": True, "max_steps": arguments.steps, "report_to": "none"},
    }
    return recipe_of(arguments.folder / "recipe.yaml", values)


def training_rows(arguments: argparse.Namespace) -> Any:
    """The sequences, in the order in which ours sees them."""
    from toolace_train.data import load_training_set
    from toolace_train.model import load_tokenizer, locate
    from toolace_train.rendering import Renderer
    from toolace_train.settings import DataSettings

    recipe = recipe_of_side(arguments)
    folder = locate(recipe.mapping("model")["model_name_or_path"])
    data = recipe.settings("data", DataSettings)
    return recipe, folder, load_training_set(data, Renderer(load_tokenizer(folder)))


def in_order(training: Any, seed: int) -> list[Any]:
    from toolace_train.step_order import StepOrder

    trees = training.trees
    order = StepOrder([len(tree.input_ids) for tree in trees], BATCH, 1, 1, seed)
    return [trees[number] for number in order if number < len(trees)]


def ours(arguments: argparse.Namespace) -> dict[str, Any]:
    """A recipe, run as `accelerate launch` runs it; times and memory from its own log."""
    from toolace.rows import read_rows
    from toolace_train import sft

    recipe, folder, training = training_rows(arguments)
    if sft.train(recipe, folder):
        raise SystemExit("ours failed")
    log = [row for _, row in read_rows(recipe.out / "train" / "log.jsonl")]
    computed = list(differences([row["num_tokens"] for row in log]))
    # A shared prompt is computed once; what the rows hold is what counts.
    share = training.tokens / training.computed if arguments.side == "shared" else 1.0
    return {
        "tokens": [tokens * share for tokens in computed],
        "seconds": [tokens / row["tokens_per_second"] for tokens, row in zip(computed, log, strict=True)],
        "loss": [row["loss"] for row in log],
        "memory": [row["memory_gib"] for row in log],
        "peak": log[-1]["peak_memory_gib"],
        "trained": training.trained / training.tokens,
    }


def plain(arguments: argparse.Namespace) -> dict[str, Any]:
    """TRL's SFTTrainer on the same token ids and labels."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, TrainerCallback, set_seed
    from trl import SFTConfig, SFTTrainer

    from toolace_train.model import load_tokenizer
    from toolace_train.run_meter import memory_in_use, peak_memory
    from toolace_train.trainer import use_all_cores

    use_all_cores()
    recipe, folder, training = training_rows(arguments)
    packed = arguments.side == "packed"
    trees = in_order(training, recipe.seed)
    rows = Dataset.from_list([{"input_ids": tree.input_ids, "labels": tree.labels} for tree in trees])
    dtype = torch.bfloat16 if packed else torch.float32
    set_seed(recipe.seed)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
    times, memory = [], []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            times.append(time.monotonic())
            memory.append(memory_in_use())

    config = SFTConfig(
        output_dir=str(arguments.folder / "plain"),
        **TRAIN,
        max_steps=arguments.steps * (1 if not packed else 2),
        per_device_train_batch_size=1 if packed else BATCH,
        max_length=arguments.max_length if packed else None,
        packing=packed,
        train_sampling_strategy="sequential",
        gradient_checkpointing=False,
        bf16=not packed,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=recipe.seed,
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=rows,
        processing_class=load_tokenizer(folder),
        peft_config=LoraConfig(task_type="CAUSAL_LM", **LORA),
        callbacks=[Clock()],
    )
    trainer.train()
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    return {
        "tokens": list(differences([entry["num_tokens"] for entry in log])),
        "seconds": [0.0, *(b - a for a, b in pairwise(times))],
        "loss": [entry["loss"] for entry in log],
        "memory": memory,
        "peak": peak_memory(),
        "trained": training.trained / training.tokens,
    }


def differences(counts: list[float]) -> Iterator[float]:
    before = 0.0
    for count in counts:
        yield count - before
        before = count


def report(found: dict[str, list[dict[str, Any]]], folder: Path, arguments: argparse.Namespace) -> None:
    rates = {}
    print(f"{'':8}{'tokens/s':>10}{'(rounds)':>20}{'peak GiB':>10}{'GiB, first and last quarter':>30}{'mean loss':>12}")
    for side, runs in found.items():
        each = [sum(run["tokens"][WARM:]) / sum(run["seconds"][WARM:]) for run in runs]
        rates[side] = statistics.median(each)
        memory = runs[-1]["memory"]
        quarter = max(1, len(memory) // 4)
        first, last = statistics.mean(memory[:quarter]), statistics.mean(memory[-quarter:])
        loss = statistics.mean(runs[-1]["loss"])
        spread = ", ".join(f"{rate:.0f}" for rate in each)
        peak = max(run["peak"] for run in runs)
        print(f"{side:8}{rates[side]:10.0f}{spread:>20}{peak:10.2f}{f'{first:.2f} and {last:.2f}':>30}{loss:12.4f}")
    for theirs in ("padded", "packed"):
        ratios = [
            f"{side} {rates[side] / rates[theirs]:.2f} times"
            for side in ("ours", "shared")
            if side in rates and theirs in rates
        ]
        if ratios:
            print(f"of plain TRL, {theirs}: {', '.join(ratios)}")
    if "padded" in found and "ours" in found:
        pairs = zip(found["padded"][0]["loss"], found["ours"][0]["loss"], strict=True)
        print(f"largest difference of a step's loss, padded and ours: {max(abs(a - b) for a, b in pairs):.4f}")
    if "ours" in rates:
        bound(rates["ours"], folder, arguments)


def bound(rate: float, folder: Path, arguments: argparse.Namespace) -> None:
    """How far from what the processor can do at most."""
    import torch

    from toolace_train.flops import work
    from toolace_train.parameters import count_parameters
    from toolace_train.trainer import use_all_cores

    use_all_cores()
    arguments.side, arguments.folder = "ours", folder
    recipe, _, training = training_rows(arguments)
    lengths = [len(tree.input_ids) for tree in training.trees]
    parameters = count_parameters(recipe, recipe.mapping("model")["model_name_or_path"])
    needed = work(parameters, lengths, training.trained, checkpointing=False)
    per_token = needed.model / training.tokens
    left, right = (torch.randn(2048, 2048, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(12):
        start = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - start)
    flops = 2 * 2048**3 / min(seconds)
    print(
        f"{per_token / 1e6:.0f} million operations a token ({100 * needed.attention / needed.model:.0f} % attention, "
        f"{100 * needed.head / needed.model:.0f} % LM head, {100 * training.trained / training.tokens:.1f} % trained); "
        f"a bf16 product runs at {flops / 1e9:.0f} GFLOP/s, so at most {flops / per_token:,.0f} tokens/s: "
        f"ours is at {100 * rate * per_token / flops:.0f} %"
    )


if __name__ == "__main__":
    main()
