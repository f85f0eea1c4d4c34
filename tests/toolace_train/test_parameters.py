"""Known architectures give the parameters their pages state; what the formulas do not cover is refused in one line."""

import json

import pytest
from peft import LoraConfig

from toolace.errors import InputError
from toolace_train.architectures import KNOWN, model_config
from toolace_train.parameters import count

# As the models' pages and safetensors headers state them, tied tables counted once.
STATED = {
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "meta-llama/Meta-Llama-3-8B-Instruct": 8_030_261_248,
    "meta-llama/Llama-3.2-1B-Instruct": 1_235_814_400,
    "meta-llama/Llama-3.2-3B-Instruct": 3_212_749_824,
    "Qwen/Qwen1.5-0.5B-Chat": 463_987_712,
    "Qwen/Qwen1.5-1.8B-Chat": 1_836_828_672,
    "Qwen/Qwen1.5-4B-Chat": 3_950_369_280,
    "Qwen/Qwen1.5-7B-Chat": 7_721_324_544,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-1.7B": 1_720_574_976,
    "Qwen/Qwen3-4B": 4_022_468_096,
    "Qwen/Qwen3-8B": 8_190_735_360,
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_model_is_a_dense_decoder_the_formulas_cover(name):
    assert model_config(name).vocab_size in (128256, 151936)


@pytest.mark.parametrize("name", STATED)
def test_a_known_shape_gives_the_stated_number_of_parameters(name):
    assert count(name, None).base == STATED[name]


def test_parts_of_a_model_are_told_apart():
    lora = LoraConfig(r=16, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    counted = count("meta-llama/Llama-3.1-8B-Instruct", lora)
    assert counted.linear == 6_979_321_856 and counted.table == counted.head == 128256 * 4096
    assert counted.targets == {"q_proj": 16, "down_proj": 16}
    assert counted.trained == 32 * 16 * (4096 + 4096 + 14336 + 4096)
    assert lora.target_modules == {"q_proj", "down_proj"}, "the caller's configuration stays as it is"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "mixtral", "num_local_experts": 8}, "is a mixture of experts"),
        ({"model_type": "qwen3_moe"}, "is a mixture of experts"),
        ({"model_type": "mamba"}, "whose configuration has no (intermediate_size|num_attention_heads)"),
        ({"model_type": "no_such_type"}, "which transformers does not know"),
        ({}, "which transformers does not know"),
    ],
)
def test_what_the_formulas_do_not_cover_is_refused_in_one_line(config, message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message) as caught:
        count(str(tmp_path), None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nobody/no-such-model", "./nowhere", "three/part/name"])
def test_a_model_nobody_has_is_one_line_that_says_what_to_do(name, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError) as caught:
        count(name, None)
    assert name in str(caught.value) and "\n" not in str(caught.value)
    assert ("hf download" in str(caught.value)) == (name.startswith("nobody"))


def test_a_broken_config_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="is not valid JSON"):
        count(str(tmp_path), None)
