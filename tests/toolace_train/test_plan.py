import subprocess
import sys
from pathlib import Path

import pytest
from tiny_llama import make_tiny_llama, write_recipe, write_training_rows

from toolace.errors import InputError
from toolace.recipe import Recipe, load_recipe
from toolace_train.plan import count_parameters, estimate_memory, make_plan
from toolace_train.schedule import schedule

ROOT = Path(__file__).parents[2]
BIG = ROOT / "recipes" / "toolace8b.yaml"


def test_lora_on_all_linear_layers_of_llama_3_1_8b_trains_41_943_040_parameters():
    recipe = load_recipe(BIG)
    counted = count_parameters(recipe, "meta-llama/Llama-3.1-8B-Instruct")
    assert counted.trained == 41_943_040
    assert counted.base == 8_030_261_248


def test_the_8b_recipe_is_planned_without_weights_or_network(tmp_path):
    data = write_training_rows(tmp_path / "train.jsonl", 100)
    recipe = load_recipe(BIG, ["--data.files", f"[{data}]", "--out", str(tmp_path / "run")])
    plan = make_plan(recipe)
    assert "41,943,040" in plan and "100 read, 100 used, 0 dropped" in plan
    assert "steps                 9 = 3 epochs of 100 sequences" in plan
    assert "SmolLM2-135M-Instruct's tokenizer" in plan and "an estimate" in plan


def test_the_tokens_of_a_plan_are_those_of_the_rows(tmp_path):
    model = make_tiny_llama(tmp_path / "model")
    data = write_training_rows(tmp_path / "train.jsonl", 6)
    recipe = load_recipe(write_recipe(tmp_path, model, data, share=False))
    plan = make_plan(recipe)
    from toolace_train.data import load_training_set
    from toolace_train.model import load_tokenizer
    from toolace_train.rendering import Renderer
    from toolace_train.settings import DataSettings

    rows = load_training_set(recipe.settings("data", DataSettings), Renderer(load_tokenizer(str(model))))
    assert f"{rows.tokens:,} in all, {rows.trained:,} trained" in plan
    assert rows.computed == rows.tokens and rows.rows == 6


def test_rows_that_are_too_long_are_counted_not_lost(tmp_path):
    model = make_tiny_llama(tmp_path / "model")
    data = write_training_rows(tmp_path / "train.jsonl", 6)
    path = write_recipe(tmp_path, model, data)
    with pytest.raises(InputError, match="All 6 rows are over"):
        make_plan(load_recipe(path, ["--data.max_length", "50"]))
    with pytest.raises(InputError, match=r"train.jsonl \(train-1\).*over data.max_length 50"):
        make_plan(load_recipe(path, ["--data.max_length", "50", "--data.over_length", "error"]))


@pytest.mark.parametrize(("world", "accumulation"), [(1, 48), (4, 12), (48, 1)])
def test_the_global_batch_stays_48_on_any_number_of_devices(world, accumulation):
    timing = schedule(load_recipe(BIG), 25_000, world)
    assert timing.accumulation == accumulation
    assert timing.steps == 3 * 521


def test_a_batch_that_cannot_be_split_is_refused():
    with pytest.raises(InputError, match="48 is no multiple of 1 a device x 5 devices"):
        schedule(load_recipe(BIG), 1000, 5)


def test_memory_of_the_8b_model_is_mostly_its_weights():
    recipe = load_recipe(BIG)
    counted = count_parameters(recipe, "meta-llama/Llama-3.1-8B-Instruct")
    memory = estimate_memory(counted, recipe, 4096, 0.2)
    assert 14.9 < memory.weights / 2**30 < 15.0
    assert memory.total > memory.weights + memory.trained
    quantized = Recipe(recipe.path, {**recipe.values, "quantization": {"load_in_4bit": True}})
    assert estimate_memory(counted, quantized, 4096, 0.2).weights < memory.weights / 3


def test_without_weights_and_network_launching_the_8b_recipe_ends_in_one_line_and_code_2(tmp_path):
    launcher = Path(sys.executable).parent / "accelerate"
    done = subprocess.run(
        [launcher, "launch", BIG, "--out", tmp_path / "run"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("toolace:")]
    assert len(lines) == 1 and "hf download meta-llama/Llama-3.1-8B-Instruct" in lines[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lora.r", "0"], "r is 0"),
        (["--train.learning_rate", "abc"], "learning_rate is 'abc'"),
        (["--train.num_train_epochs", "-3"], "num_train_epochs is -3"),
        (["--train.nope", "1"], "unknown key 'nope'"),
    ],
)
def test_a_plan_refuses_what_training_would_refuse(words, message):
    with pytest.raises(InputError, match=message):
        make_plan(load_recipe(BIG, words))
