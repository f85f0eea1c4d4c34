"""A step that is no number is stopped by what can be seen of it: losses, gradients, and DeepSpeed's weights."""

import json
import types

import pytest
import torch
from accelerate import Accelerator

from toolace_train.nan_stop import NanStop, NotFinite

SOURCES = [["a.jsonl (a-1)"], ["a.jsonl (a-2)"]]
STATE = types.SimpleNamespace(global_step=4)


def stop_of(folder, losses, deepspeed=False):
    """The callback of a trainer that has just computed a step of two sequences."""
    model = torch.nn.Linear(3, 2)
    model.weight.grad = torch.ones_like(model.weight)
    trainer = types.SimpleNamespace(
        model=model,
        accelerator=Accelerator(cpu=True),
        is_deepspeed_enabled=deepspeed,
        step_losses=[torch.tensor(loss) for loss in losses],
        step_rows=[torch.tensor([0]), torch.tensor([1])],
    )
    return model, NanStop(trainer, SOURCES, folder / "stopped.json")


def look(stop, fp16=False):
    stop.on_pre_optimizer_step(types.SimpleNamespace(fp16=fp16, process_index=0), STATE, None)


@pytest.mark.parametrize("deepspeed", [False, True])
def test_a_sane_step_goes_on_and_the_next_begins_anew(tmp_path, deepspeed):
    _, stop = stop_of(tmp_path, [0.5, 0.7], deepspeed)
    look(stop)
    assert stop.trainer.step_losses == [] and stop.trainer.step_rows == []


@pytest.mark.parametrize("deepspeed", [False, True])
def test_a_loss_that_is_no_number_names_its_own_row(tmp_path, deepspeed):
    _, stop = stop_of(tmp_path, [0.5, float("nan")], deepspeed)
    with pytest.raises(NotFinite, match=r"step 5: the loss is nan, rows: a\.jsonl \(a-2\)\."):
        look(stop)
    stopped = json.loads((tmp_path / "stopped.json").read_text())
    assert stopped["rows"] == SOURCES[1] and stopped["rows_of_the_step"] == SOURCES[0] + SOURCES[1]


def test_a_gradient_that_is_no_number_names_the_rows_of_the_step_but_for_fp16(tmp_path):
    model, stop = stop_of(tmp_path, [0.5, 0.7])
    model.weight.grad[0, 0] = float("inf")
    look(stop, fp16=True)  # its scaler skips the step
    model, stop = stop_of(tmp_path, [0.5, 0.7])
    model.weight.grad[0, 0] = float("inf")
    with pytest.raises(NotFinite, match=r"the gradient is no number, rows: a\.jsonl \(a-1\), a\.jsonl \(a-2\)"):
        look(stop)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", [False, True])
def test_under_deepspeed_the_weights_tell_since_gradients_are_gone_and_the_norm_hides_it(tmp_path, value, part):
    model, stop = stop_of(tmp_path, [0.5, 0.7], deepspeed=True)
    model.weight.grad = model.bias.grad = None  # as ZeRO leaves them
    if part:
        model.weight.ds_tensor = torch.tensor([1.0, value])  # what a device of ZeRO 3 holds of a weight
    else:
        model.weight.data[1, 1] = value
    with pytest.raises(NotFinite, match="step 5: the gradient is no number"):
        look(stop)


def test_large_weights_are_no_reason_to_stop(tmp_path):
    model, stop = stop_of(tmp_path, [0.5, 0.7], deepspeed=True)
    model.weight.data.fill_(3e38)  # the sum of their squares would be infinite
    look(stop)
    assert stop.trainer.step_losses == []
