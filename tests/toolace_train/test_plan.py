import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_llama import make_tiny_llama, write_recipe, write_training_rows

from toolace.cli import main
from toolace.errors import InputError
from toolace.launch import guarded
from toolace.recipe import load_recipe
from toolace_train.cli import plan as plan_command
from toolace_train.hardware import GIB, gpu, gpus
from toolace_train.layouts import layout_of
from toolace_train.numerics import numerics_of
from toolace_train.parameters import count_parameters
from toolace_train.plan import Assumptions, make_plan
from toolace_train.plan_text import plan_text
from toolace_train.schedule import schedule

ROOT = Path(__file__).parents[2]
BIG = ROOT / "recipes" / "toolace8b.yaml"
QLORA = ROOT / "recipes" / "toolace8b_qlora.yaml"
NOWHERE = ["--data.files", "[nowhere/train.jsonl]"]


def text_of(recipe, *words, **assumptions):
    return plan_text(make_plan(load_recipe(recipe, words), Assumptions(**assumptions)))


def test_lora_on_all_linear_layers_of_llama_3_1_8b_trains_41_943_040_parameters():
    counted = count_parameters(load_recipe(BIG), "meta-llama/Llama-3.1-8B-Instruct")
    assert counted.trained == 41_943_040
    assert counted.base == 8_030_261_248


def test_the_8b_recipe_is_planned_without_weights_or_network(tmp_path):
    data = write_training_rows(tmp_path / "train.jsonl", 100)
    plan = text_of(BIG, "--data.files", f"[{data}]", "--out", str(tmp_path / "run"))
    assert "41,943,040" in plan and "100 read, 100 used, 0 dropped" in plan
    assert "steps                 9 = 3 epochs of 100 sequences, global batch 48 = 1 a device x 1 device x 48" in plan
    assert "SmolLM2-135M-Instruct's tokenizer" in plan and "an estimate" in plan
    assert not (tmp_path / "run").exists()


def test_a_plan_fits_one_screen_and_marks_estimates(tmp_path):
    data = write_training_rows(tmp_path / "train.jsonl", 20)
    lines = text_of(BIG, "--data.files", f"[{data}]").splitlines()
    assert len(lines) <= 30
    table = lines[[line.startswith("  config") for line in lines].index(True) :][:11]
    assert len({line.index(line.split()[-1]) for line in table[1:] if line.endswith("fits")}) == 1
    for label in ("operations", "time", "memory, one device"):
        assert next(line for line in lines if line.startswith(label)).split(label)[1].lstrip().startswith("~")


def test_the_tokens_of_a_plan_are_those_of_the_rows(tmp_path):
    model = make_tiny_llama(tmp_path / "model")
    data = write_training_rows(tmp_path / "train.jsonl", 6)
    recipe = load_recipe(write_recipe(tmp_path, model, data, share=False))
    plan = plan_text(make_plan(recipe))
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
    with pytest.raises(InputError, match="6 rows"):
        make_plan(load_recipe(path, ["--data.max_length", "50"]))
    with pytest.raises(InputError, match=r"train.jsonl \(train-1\).*over data.max_length 50"):
        make_plan(load_recipe(path, ["--data.max_length", "50", "--data.over_length", "error"]))


def test_without_rows_a_plan_tells_memory_and_says_what_it_cannot_know():
    plan = make_plan(load_recipe(BIG, NOWHERE))
    text = plan_text(plan)
    assert "nowhere/train.jsonl is not on this machine: tokens, steps and time are unknown" in text
    assert "4,096 tokens, 1,024 trained" in text and "(assumed)" in text
    assert plan.rows is plan.timing is plan.work is None
    assert 17 < plan.own.memory.total / GIB < 20


@pytest.mark.parametrize(("world", "accumulation"), [(1, 48), (4, 12), (48, 1)])
def test_the_global_batch_stays_48_on_any_number_of_devices(world, accumulation):
    timing = schedule(load_recipe(BIG), 25_000, world)
    assert timing.accumulation == accumulation
    assert timing.steps == 3 * 521


def test_a_batch_that_cannot_be_split_is_refused():
    with pytest.raises(InputError, match="48 is no multiple of 1 a device x 5 devices"):
        schedule(load_recipe(BIG), 1000, 5)
    with pytest.raises(InputError, match="48 is no multiple of 1 a device x 5 devices"):
        make_plan(load_recipe(BIG, NOWHERE), Assumptions(devices=5))


def test_the_memory_table_has_every_config_with_and_without_checkpointing():
    plan = make_plan(load_recipe(BIG, NOWHERE))
    seen = [(row.layout.name, row.checkpointing) for row in plan.table]
    names = ("single_gpu", "multi_gpu", "fsdp2", "zero2", "zero3")
    assert seen == [(name, on) for name in names for on in (True, False)]
    assert [row.own for row in plan.table] == [True] + [False] * 9
    assert 14.9 < plan.own.memory.weights / GIB < 15.0
    for with_, without in zip(plan.table[::2], plan.table[1::2], strict=True):
        assert with_.memory.activations < without.memory.activations / 10


def test_qlora_fits_a_24_gb_card_and_full_fine_tuning_does_not():
    small = make_plan(load_recipe(QLORA, NOWHERE), Assumptions(gpu="rtx4090"))
    assert small.own.fits and small.own.memory.weights < 5.4 * GIB
    assert any("bnb_4bit_quant_storage" in note for note in small.notes)
    large = make_plan(load_recipe(BIG, [*NOWHERE, "--lora", "null"]), Assumptions(gpu="rtx4090"))
    assert not large.own.fits and large.parameters.full
    assert any(advice.startswith("a section lora") for advice in large.advice)
    assert "would fit with" in plan_text(large)


def test_what_would_make_it_fit_is_computed_with_the_change_made():
    words = [*NOWHERE, "--train.gradient_checkpointing", "false"]
    plan = make_plan(load_recipe(BIG, words), Assumptions(gpu="rtx4090"))
    changed = make_plan(load_recipe(BIG, NOWHERE))
    assert not plan.own.fits
    assert plan.advice[0] == f"train.gradient_checkpointing: true: about {changed.own.memory.total / GIB:.1f} GiB"


def test_hours_follow_from_operations_rate_devices_and_utilisation(tmp_path):
    data = write_training_rows(tmp_path / "train.jsonl", 96)
    recipe = load_recipe(BIG, ["--data.files", f"[{data}]"])
    one = make_plan(recipe, Assumptions(gpu="h100", utilisation=0.5))
    many = make_plan(recipe, Assumptions(gpu="h100", devices=8, utilisation=0.25))
    hours = one.work.total * 3 / (989e12 * 0.5) / 3600
    assert one.hours(one.card.rate) == pytest.approx(hours)
    assert many.hours(many.card.rate, 8) == pytest.approx(hours / 4)
    assert many.layout.name == "multi_gpu" and many.timing.accumulation == 6
    cut = make_plan(load_recipe(BIG, ["--data.files", f"[{data}]", "--train.max_steps", "1"]))
    assert cut.passes == 0.5 and cut.timing.steps == 1


def test_json_holds_what_the_text_says(tmp_path, capsys):
    data = write_training_rows(tmp_path / "train.jsonl", 48)
    words = [str(BIG), "--without_data", "--json", "--gpu", "l40s", f"--data.files=[{data}]"]
    assert plan_command(words) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["parameters"]["trainable"] == 41_943_040 and values["schedule"]["steps"] == 3
    assert values["data"]["rows"] == 48 and values["gpu"]["peak_tflops"] == 362
    own = next(row for row in values["memory"] if row["recipe"])
    assert own["total"] == pytest.approx(sum(own["bytes"].values()), abs=6)
    assert ("l40s" in values["fits_on"]) == own["fits"]


def test_the_recipe_may_stand_anywhere_among_the_options(capsys):
    assert main(["plan", "--gpu", "h100", str(BIG), "--without_data", *NOWHERE]) == 0
    assert "fits h100" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpu", "a10g80"], "unknown key 'a10g80'"),
        (["--utilisation", "3"], "is 3. Give a share"),
        (["--devices", "-1"], "--devices: is -1"),
        (["--accelerate_config", "nowhere.yaml"], "nowhere.yaml: no such accelerate config"),
        (["--lora.target_modules", "[no_proj]"], "PEFT refuses it"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(words, message, capsys):
    assert guarded(plan_command, [str(BIG), "--without_data", *NOWHERE, *words]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"linear": 2, "adapter": 4, "gradient": 4, "moments": 8}),
        (["--model.dtype", "float32"], {"linear": 4, "stream": 4, "compute": 2}),
        (["--quantization.load_in_4bit", "true"], {"linear": 0.5625, "other": 2, "adapter": 2, "moments": 4}),
        (["--quantization.load_in_8bit", "true"], {"linear": 1, "dequantised": True}),
        (["--lora", "null"], {"adapter": 0, "gradient": 2, "moments": 4}),
        (["--lora", "null", "--train.optim", "paged_adamw_8bit"], {"moments": 2}),
        (["--train.optim", "sgd"], {"moments": 0}),
        (["--train.optim", "lion_32bit"], {"moments": 4}),
        (["--lora.lora_dropout", "0"], {"dropout": False}),
    ],
)
def test_a_recipe_says_which_numbers_are_kept_in_which_width(words, expected):
    numbers = numerics_of(load_recipe(BIG, words), 48)
    assert {key: getattr(numbers, key) for key in expected} == expected


@pytest.mark.parametrize("path", sorted((ROOT / "accelerate_configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_accelerate_config_has_a_layout(path):
    layout = layout_of(path)
    assert layout.devices >= 1
    if path.stem in ("single_gpu", "multi_gpu", "fsdp2", "zero2", "zero3"):
        assert layout.name == path.stem


@pytest.mark.parametrize(
    ("text", "name", "weights"),
    [
        ("distributed_type: FSDP\nnum_processes: 2\nfsdp_config: {fsdp_version: 2}\n", "fsdp2", True),
        (
            "distributed_type: FSDP\nnum_processes: 2\nfsdp_config: {fsdp_reshard_after_forward: false}\n",
            "fsdp2",
            False,
        ),
        ("distributed_type: DEEPSPEED\nnum_processes: 2\ndeepspeed_config: {zero_stage: 3}\n", "zero3", True),
        ("distributed_type: DEEPSPEED\nnum_processes: 2\ndeepspeed_config: {zero_stage: 2}\n", "zero2", False),
    ],
)
def test_a_layout_is_read_from_what_the_config_says(text, name, weights, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    layout = layout_of(tmp_path / "config.yaml")
    assert (layout.name, layout.devices, layout.weights) == (name, 2, weights)


def test_an_unknown_distribution_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("distributed_type: MEGATRON_LM\nnum_processes: 2\n")
    with pytest.raises(InputError, match="MEGATRON_LM is not one the plan knows"):
        layout_of(tmp_path / "config.yaml")


def test_every_gpu_states_its_rate_memory_and_source():
    for key, card in gpus().items():
        assert card.rate > 1e13 and card.memory_gib >= 24 and card.source, key
    assert gpu("a100-80gb").holds(70 * GIB) and not gpu("a100-80gb").holds(77 * GIB)


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
