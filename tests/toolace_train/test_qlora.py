"""QLoRA for real on a CPU: bitsandbytes' NF4 weights under SmolLM2, an adapter that learns, reloads and answers."""

import pytest
import torch
from tiny_llama import make_tiny_llama, row, write_recipe, write_training_rows

from toolace.embedded import prepare
from toolace.recipe import load_recipe
from toolace.rows import read_rows
from toolace_train.greedy import answers
from toolace_train.held_out import calls_in
from toolace_train.model import load_tokenizer
from toolace_train.rendering import IGNORED, Renderer
from toolace_train.sft import train

NAME = "embedded/SmolLM2-135M-Instruct"
NF4 = [
    "--quantization.load_in_4bit=true",
    "--quantization.bnb_4bit_quant_type=nf4",
    "--quantization.bnb_4bit_use_double_quant=true",
    "--quantization.bnb_4bit_compute_dtype=bfloat16",
    "--model.dtype=bfloat16",
    "--train.bf16=true",
]


def log_of(folder):
    return [one for _, one in read_rows(folder / "run" / "train" / "log.jsonl")]


def test_a_quantised_tiny_llama_trains_its_adapter_alone(tmp_path):
    model = make_tiny_llama(tmp_path / "model")
    data = write_training_rows(tmp_path / "train.jsonl", 8)
    recipe = load_recipe(write_recipe(tmp_path, model, data, epochs=4), NF4)
    assert train(recipe, str(model)) == 0
    log = log_of(tmp_path)
    assert log[-1]["loss"] < log[0]["loss"] - 0.05
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").exists()


@pytest.mark.slow
def test_smollm2_in_four_bits_learns_and_its_adapter_answers_on_the_unquantised_base(tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    data = write_training_rows(tmp_path / "train.jsonl", 16)
    flags = ["--data.max_length=700", "--data.global_batch_size=1", "--train.max_steps=8", "--train.save_strategy=no"]
    path = write_recipe(tmp_path, NAME, data, epochs=4)
    assert train(load_recipe(path, [*NF4, *flags, "--train.learning_rate=2e-3"]), str(prepare())) == 0
    log = log_of(tmp_path)
    assert log[0]["loss"] > 1.5 and log[-1]["loss"] < 0.3
    base = AutoModelForCausalLM.from_pretrained(prepare(), dtype=torch.float32)
    model = PeftModel.from_pretrained(base, tmp_path / "run" / "adapter").eval()
    tokenizer = load_tokenizer(str(prepare()))
    one = Renderer(tokenizer).render(row(3), "row")
    start = next(place for place, label in enumerate(one.labels) if label != IGNORED)
    [found] = answers(model, [one.input_ids[:start]], {tokenizer.eos_token_id}, 60, 1, "cpu")
    wanted = tokenizer.decode(one.input_ids[start:], skip_special_tokens=True)
    assert calls_in(tokenizer.decode(found), "toolace") == calls_in(wanted, "toolace") != ()
