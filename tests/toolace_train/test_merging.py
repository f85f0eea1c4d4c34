"""Merged weights answer as base and adapter do, or there are none."""

import json
import shutil

import pytest
import torch
from small_export import make_adapter, make_run, make_small_model
from torch import nn

from toolace.cli import main
from toolace.errors import InputError
from toolace_train.merging import merge

TOKENS = torch.arange(5, 45)[None]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_small_model(tmp_path_factory.mktemp("base"))


def logits(model):
    with torch.inference_mode():
        return model.eval()(TOKENS).logits


def load(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def train_a_little(base, folder, **options):
    """An adapter as training leaves it; returns what base and adapter answered when it was saved."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **options}
    model = get_peft_model(load(base), LoraConfig(task_type="CAUSAL_LM", **options))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.02 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return logits(model)


def merged(base, adapter, target, **options):
    target.mkdir()
    how = merge(base, adapter, target, "float32", **options)["how"]
    shutil.copyfile(base / "config.json", target / "config.json")
    return logits(load(target)), how


@pytest.mark.parametrize(
    ("options", "by"),
    [
        ({}, "tensor by tensor"),
        ({"use_rslora": True}, "tensor by tensor"),
        ({"init_lora_weights": "gaussian"}, "tensor by tensor"),
        ({"init_lora_weights": "orthogonal"}, "tensor by tensor"),
        ({"init_lora_weights": False}, "tensor by tensor"),
        ({"layers_to_transform": [1], "target_modules": ["q_proj", "up_proj", "down_proj"]}, "tensor by tensor"),
        ({"init_lora_weights": "olora"}, "by PEFT"),
        ({"init_lora_weights": "pissa"}, "by PEFT"),
        ({"init_lora_weights": "mica"}, "by PEFT"),
        ({"use_dora": True}, "by PEFT"),
        ({"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 2}}, "by PEFT"),
    ],
    ids=str,
)
def test_a_merged_model_answers_as_base_and_adapter_did_when_it_was_saved(base, tmp_path, options, by):
    trained = train_a_little(base, tmp_path / "adapter", **options)
    found, how = merged(base, tmp_path / "adapter", tmp_path / "merged")
    assert how.startswith(by)
    assert float((trained - logits(load(base))).abs().max()) > 0.005
    torch.testing.assert_close(found, trained, rtol=0, atol=1e-4)


def test_a_key_of_a_newer_peft_is_never_taken_for_plain_lora(base, tmp_path):
    train_a_little(base, tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "use_something_new": True}))
    (tmp_path / "merged").mkdir()
    assert merge(base, tmp_path / "adapter", tmp_path / "merged", "float32")["how"].startswith("by PEFT")


@pytest.mark.parametrize("start", ["pissa_niter_4", "corda", "lora_ga"])
def test_what_peft_cannot_load_as_it_was_is_refused(base, tmp_path, start):
    train_a_little(base, tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "init_lora_weights": start}))
    (tmp_path / "merged").mkdir()
    with pytest.raises(InputError, match=f"{start}' cannot be merged"):
        merge(base, tmp_path / "adapter", tmp_path / "merged", "float32")


def test_a_start_that_changed_a_quantised_base_is_refused(base, tmp_path):
    train_a_little(base, tmp_path / "adapter", init_lora_weights="olora")
    (tmp_path / "merged").mkdir()
    with pytest.raises(InputError, match="changed a quantised base"):
        merge(base, tmp_path / "adapter", tmp_path / "merged", "float32", quantized=True)


def test_an_adapter_on_tied_weights_is_refused_because_merged_it_would_answer_otherwise(base, tmp_path, capsys):
    run = make_run(base, tmp_path / "run")
    (run / "adapter" / "adapter_model.safetensors").unlink()
    train_a_little(base, run / "adapter", target_modules=["q_proj", "embed_tokens"])
    assert main(["export", str(run), "--gguf", "none"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("toolace:")]
    assert len(lines) == 1 and "merged, it answers otherwise than base and adapter" in lines[0]
    assert not list((run / "export").glob("*.safetensors"))


def test_a_layer_trained_whole_beside_lora_is_merged_where_the_base_has_one_of_its_own(tmp_path):
    untied = make_small_model(tmp_path / "base", tie_word_embeddings=False)
    trained = train_a_little(untied, tmp_path / "adapter", modules_to_save=["lm_head"], target_modules=["q_proj"])
    found, how = merged(untied, tmp_path / "adapter", tmp_path / "merged")
    assert how.startswith("by PEFT")
    torch.testing.assert_close(found, trained, rtol=0, atol=1e-4)


def test_a_head_trained_beside_tied_embeddings_is_refused(base, tmp_path):
    train_a_little(base, tmp_path / "adapter", modules_to_save=["lm_head"], target_modules=["q_proj"])
    (tmp_path / "merged").mkdir()
    with pytest.raises(InputError, match=r"weights that its base does not have \(lm_head.weight\)"):
        merge(base, tmp_path / "adapter", tmp_path / "merged", "float32")


def test_repeated_layers_do_not_fit_the_base_s_configuration_and_are_refused(base, tmp_path):
    train_a_little(base, tmp_path / "adapter", layer_replication=[[0, 2], [1, 2]])
    (tmp_path / "merged").mkdir()
    with pytest.raises(InputError, match="merged, it"):
        merge(base, tmp_path / "adapter", tmp_path / "merged", "float32")


def test_an_adapter_that_peft_cannot_load_is_one_line(base, tmp_path):
    make_adapter(base, tmp_path / "adapter", use_dora=True)
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "r": 5}))
    (tmp_path / "merged").mkdir()
    with pytest.raises(InputError, match="PEFT cannot merge it") as caught:
        merge(base, tmp_path / "adapter", tmp_path / "merged", "float32")
    assert "\n" not in str(caught.value)


def test_biases_that_the_base_has_no_place_for_are_one_line(base, tmp_path):
    train_a_little(base, tmp_path / "adapter", lora_bias=True)
    (tmp_path / "merged").mkdir()
    with pytest.raises(InputError, match=r"PEFT cannot merge it .*the base layer has no bias"):
        merge(base, tmp_path / "adapter", tmp_path / "merged", "float32")


def test_the_probe_of_a_merge_sees_a_wrong_one(base, tmp_path, monkeypatch):
    train_a_little(base, tmp_path / "adapter", use_dora=True)
    (tmp_path / "merged").mkdir()
    from peft.tuners.lora import LoraModel

    whole = LoraModel.merge_and_unload

    def wrong(self, *words, **options):
        model = whole(self, *words, **options)
        with torch.no_grad():
            next(layer for layer in model.modules() if isinstance(layer, nn.Linear)).weight.mul_(-1)
        return model

    monkeypatch.setattr(LoraModel, "merge_and_unload", wrong)
    with pytest.raises(InputError, match="merged, it answers otherwise"):
        merge(base, tmp_path / "adapter", tmp_path / "merged", "float32")
