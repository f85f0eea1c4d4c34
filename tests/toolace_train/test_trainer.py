import types

import pytest
import torch
from tiny_llama import make_tiny_llama, row, write_recipe

from toolace.embedded import prepare
from toolace.errors import InputError
from toolace.recipe import load_recipe
from toolace.rows import read_rows, write_rows
from toolace_train import attention, run_meter, trainer
from toolace_train.callbacks import progress_line
from toolace_train.model import load_tokenizer
from toolace_train.rendering import Renderer
from toolace_train.run_meter import RunMeter
from toolace_train.sft import train
from toolace_train.step_order import StepOrder


def losses_of_plain_trl(model, rows, folder, seed, batch, steps, learning_rate):
    """Losses and weights of TRL's own SFTTrainer on the same token ids and labels, in the same order."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, set_seed
    from trl import SFTConfig, SFTTrainer

    order = StepOrder([len(one.input_ids) for one in rows], batch, 1, 1, seed)
    chosen = [rows[number] for number in order if number < len(rows)]
    set_seed(seed)
    config = SFTConfig(
        output_dir=str(folder / "plain"),
        max_length=None,
        train_sampling_strategy="sequential",
        per_device_train_batch_size=batch,
        max_steps=steps,
        learning_rate=learning_rate,
        logging_steps=1,
        save_strategy="no",
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
    )
    plain = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
        args=config,
        train_dataset=Dataset.from_list([{"input_ids": one.input_ids, "labels": one.labels} for one in chosen]),
        processing_class=load_tokenizer(str(prepare())),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear"),
    )
    plain.train()
    return [entry["loss"] for entry in plain.state.log_history if "loss" in entry]


def rendered(file):
    renderer = Renderer(load_tokenizer(str(prepare())))
    return [renderer.render(one, "row") for _, one in read_rows(file)]


@pytest.mark.parametrize("per_device", [1, 4])
def test_the_loss_of_every_step_is_that_of_plain_trl_on_the_same_rows(tmp_path, per_device):
    """Five steps at a high rate: losses agree only if the gradients before them did."""
    model = make_tiny_llama(tmp_path / "model")
    file = tmp_path / "train.jsonl"
    write_rows(file, (row(number, turns=1 + number % 3) for number in range(20)))
    flags = ["--data.global_batch_size=4", "--train.max_steps=5", f"--train.per_device_train_batch_size={per_device}"]
    recipe = load_recipe(write_recipe(tmp_path, model, file, share=False), flags)
    assert train(recipe, str(model)) == 0
    log = [one for _, one in read_rows(tmp_path / "run" / "train" / "log.jsonl")]
    plain = losses_of_plain_trl(model, rendered(file), tmp_path, 5, 4, 5, 1e-2)
    assert [one["loss"] for one in log] == pytest.approx(plain, abs=1e-4)
    assert plain[0] - plain[-1] > 0.05  # it learns, so later losses say something about the weights
    assert all(one["peak_memory_gib"] > 0 and one["num_tokens"] > 0 for one in log)
    assert train(recipe, str(model)) == 0  # finished before: nothing is done again


@pytest.mark.slow
def test_the_loss_of_smollm2_is_that_of_plain_trl_on_the_same_rows(tmp_path):
    file = tmp_path / "train.jsonl"
    write_rows(file, (row(number, turns=1 + number % 2) for number in range(8)))
    name = "embedded/SmolLM2-135M-Instruct"
    flags = ["--data.global_batch_size=2", "--train.max_steps=4", "--data.max_length=1024", "--train.save_strategy=no"]
    recipe = load_recipe(write_recipe(tmp_path, name, file, share=False), [*flags, "--train.learning_rate=1e-3"])
    assert train(recipe, str(prepare())) == 0
    log = [one for _, one in read_rows(tmp_path / "run" / "train" / "log.jsonl")]
    plain = losses_of_plain_trl(prepare(), rendered(file), tmp_path, 5, 2, 4, 1e-3)
    assert [one["loss"] for one in log] == pytest.approx(plain, abs=1e-4)


@pytest.mark.parametrize("block", [7, 256])
def test_blocks_of_queries_give_the_attention_and_gradients_of_pytorch(monkeypatch, block):
    monkeypatch.setattr(attention, "BLOCK", block)
    torch.manual_seed(0)
    for new, total in ((40, 40), (13, 40), (1, 9)):
        tensors = [torch.randn(heads, size, 8) for heads, size in ((6, new), (2, total), (2, total))]
        found = [tensor.clone().requires_grad_() for tensor in tensors]
        wanted = [tensor.clone().requires_grad_() for tensor in tensors]
        ours = attention._causal(*found, 0.3)
        theirs = attention.fused_causal(*wanted, 0.3)
        torch.testing.assert_close(ours, theirs)
        weight = torch.randn_like(ours)
        (ours * weight).sum().backward()
        (theirs * weight).sum().backward()
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one.grad, other.grad)


def test_models_whose_attention_is_more_than_causal_keep_their_own(tmp_path):
    from transformers import AutoConfig

    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 99}
    plain = {name: AutoConfig.for_model(name, **small) for name in ("llama", "qwen2", "qwen3")}
    assert all(attention.is_plain(config) for config in plain.values())
    window = {"sliding_window": 64, "use_sliding_window": True, "max_window_layers": 0}
    for config in (
        AutoConfig.for_model("mistral", **small, sliding_window=64),
        AutoConfig.for_model("qwen2", **small, **window),
        AutoConfig.for_model("gemma2", **small),
        AutoConfig.for_model("llama", **small, attention_dropout=0.1),
    ):
        assert not attention.is_plain(config)
    assert attention.attention_for("auto", False, plain=False) == "sdpa"
    assert attention.attention_for("auto", False) == attention.NAME  # no FlashAttention here
    with pytest.raises(InputError, match="prefixes cannot be shared"):
        attention.attention_for("auto", True, plain=False)


def test_figures_are_those_of_the_steps_since_the_last_line(monkeypatch):
    clock = iter([0.0, 10.0, 12.0, 13.0, 20.0])
    monkeypatch.setattr(run_meter, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    meter = RunMeter.__new__(RunMeter)
    meter.extra = {}
    meter.begin(10, 500.0)  # resumed after 10 steps
    meter.note(200, 50, torch.tensor(40))
    with meter.paused():  # 10 to 12: not training
        meter.extra["held_out_call_accuracy"] = 0.5
    found = meter.figures(12, 20, lambda numbers: [2 * number for number in numbers])
    assert (found["num_tokens"], found["trained_share"], found["mean_token_accuracy"]) == (900.0, 0.25, 0.8)
    assert found["tokens_per_second"] == round(400 / 11, 1)  # 13 seconds, 2 of them away
    assert found["seconds_left"] == 52.0  # 6.5 seconds a step, 8 to go
    assert found["held_out_call_accuracy"] == 0.5 and not meter.extra
    meter.note(7, 7, torch.tensor(7))
    again = meter.figures(13, 20, lambda numbers: numbers)
    assert again["num_tokens"] == 907.0 and again["tokens_per_second"] == 1.0 and "held_out_call_accuracy" not in again


def test_the_progress_line_says_what_a_person_asks():
    facts = {"loss": 0.41234, "tokens_per_second": 493.2, "trained_share": 0.124, "memory_gib": 5.13}
    line = progress_line(40, 86, {**facts, "seconds_left": 700.0, "held_out_call_accuracy": 0.375})
    wanted = "step 40 of 86, loss 0.4123, 493 tokens/s (12.4 % trained), 5.1 GiB, calls right 37.5 %, 12 min left"
    assert line == wanted
    assert progress_line(86, 86, facts).endswith("5.1 GiB")
    assert progress_line(1, 9, {**facts, "seconds_left": 7300.0}).endswith("2.0 h left")


def test_the_launcher_s_single_thread_is_raised_to_all_cores_and_another_number_is_kept(monkeypatch):
    before = torch.get_num_threads()
    try:
        monkeypatch.setattr(trainer.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
        trainer.use_all_cores()
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        trainer.use_all_cores()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_memory_helpers_do_nothing_where_there_is_no_glibc(monkeypatch):
    monkeypatch.setattr(trainer.ctypes, "CDLL", lambda _: types.SimpleNamespace())
    trainer.steady_memory()
    trainer.give_back_memory()
