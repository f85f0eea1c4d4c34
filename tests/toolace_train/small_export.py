"""A tiny Llama with the first thousand tokens of the embedded model's vocabulary, and a finished run of it."""

import json
import shutil
from pathlib import Path

import torch
from tiny_llama import write_training_rows

from toolace.embedded import prepare
from toolace.rows import write_json

TOKENS = 1024
FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def write_small_tokenizer(folder: Path) -> None:
    """Tokens are numbered in the order they were merged, so the first thousand are a vocabulary of their own."""
    tokenizer = json.loads((prepare() / "tokenizer.json").read_text(encoding="utf-8"))
    model = tokenizer["model"]
    model["vocab"] = {text: index for text, index in model["vocab"].items() if index < TOKENS}
    model["merges"] = [pair for pair in model["merges"] if "".join(pair) in model["vocab"]]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    for name in (*FILES[1:], "generation_config.json"):
        shutil.copyfile(prepare() / name, folder / name)


def make_small_model(folder: Path, kind: str = "Llama", **changes) -> Path:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        **{
            "vocab_size": TOKENS,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "max_position_embeddings": 2048,
            "tie_word_embeddings": True,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
            **changes,
        }
    )
    getattr(transformers, f"{kind}ForCausalLM")(config).save_pretrained(folder)
    write_small_tokenizer(folder)
    return folder


def make_adapter(base: Path, folder: Path, **options) -> Path:
    """A LoRA adapter with random weights in both factors."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear", **options),
    )
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder)
    for name in FILES:
        shutil.copyfile(base / name, folder / name)
    return folder


def make_run(base: Path, folder: Path, quantization=(), **model) -> Path:
    """A run folder as a finished training leaves it."""
    rows = write_training_rows(folder / "train.jsonl", 6, turns=2)
    make_adapter(base, folder / "adapter")
    settings = {
        "model": {"model_name_or_path": str(base), "dtype": "bfloat16", **model},
        "lora": {"r": 4},
        "quantization": dict(quantization),
        "data": {"files": [str(rows)], "max_length": 2048},
        "train": {"learning_rate": 0.01},
        "seed": 5,
    }
    counts = {"rows": 6, "used": 6, "steps": 3, "loss": 1.5}
    record = {"settings": settings, "counts": counts, "seconds": 12.0, "command": "accelerate launch tiny.yaml"}
    write_json(folder / "manifest.json", {"stages": {"train": record, "dataset": {"counts": {"rows": 6}}}})
    return folder
