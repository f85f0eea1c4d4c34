import types

import pytest
import torch
from tiny_llama import make_tiny_llama, row, write_recipe, write_training_rows

from toolace.embedded import prepare
from toolace.recipe import load_recipe
from toolace.rows import read_rows
from toolace_train import trainer
from toolace_train.model import load_tokenizer
from toolace_train.rendering import IGNORED, Renderer
from toolace_train.sft import train


def test_a_run_in_this_process_logs_every_step_and_its_loss_is_that_of_plain_transformers(tmp_path):
    model = make_tiny_llama(tmp_path / "model")
    data = write_training_rows(tmp_path / "train.jsonl", 4)
    recipe = load_recipe(
        write_recipe(tmp_path, model, data), ["--data.global_batch_size", "1", "--train.max_steps", "1"]
    )
    assert train(recipe, str(model)) == 0
    [step] = [one for _, one in read_rows(tmp_path / "run" / "train" / "log.jsonl")]

    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    renderer = Renderer(load_tokenizer(str(prepare())))
    total, count = 0.0, 0
    for i in range(4):
        one = renderer.render(row(i), "row")
        ids, labels = torch.tensor([one.input_ids]), torch.tensor([one.labels])
        with torch.no_grad():
            trained = int((labels[:, 1:] != IGNORED).sum())
            total += plain(input_ids=ids, labels=labels).loss.item() * trained
            count += trained
    # The adapter starts at zero, so the first loss is the base model's on the same four rows.
    assert step["loss"] == pytest.approx(total / count, rel=1e-4)
    assert step["peak_memory_gib"] > 0 and step["num_tokens"] > 0
    assert train(recipe, str(model)) == 0  # finished before: nothing is done again


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
