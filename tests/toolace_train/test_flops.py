"""The operations formula beside torch's own count of a forward and backward pass."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from toolace_train.flops import work
from toolace_train.parameters import count

TOKENS, TRAINED = 128, 32


def _config():
    shape = {"hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4, "num_key_value_heads": 2}
    sizes = {"vocab_size": 512, "num_hidden_layers": 6, "tie_word_embeddings": False}
    return AutoConfig.for_model("llama", **shape, **sizes, attn_implementation="eager")


def _counted(lora, checkpointing: bool) -> int:
    """Operations that torch counts in one pass, its attention without the saving of causal masks."""
    model = AutoModelForCausalLM.from_config(_config())
    if lora:
        model = get_peft_model(model, lora)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    model.train()
    ids = torch.arange(TOKENS)[None]
    with FlopCounterMode(display=False) as counter:
        output = model(input_ids=ids, use_cache=False, logits_to_keep=torch.arange(TRAINED))
        output.logits.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "checkpointed"])
@pytest.mark.parametrize("rank", [0, 8], ids=["full", "lora"])
def test_operations_are_those_torch_counts(rank, checkpointing, tmp_path):
    lora = LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM") if rank else None
    _config().save_pretrained(tmp_path)
    done = work(count(str(tmp_path), lora), [TOKENS], TRAINED, checkpointing)
    # torch counts attention over the whole square, the formula over the causal half of it.
    square = done.total + done.attention * (4 / 3 if checkpointing else 1)
    # Nothing asks for the gradient of the embedded tokens, which a few products of the first layer would give.
    assert _counted(lora, checkpointing) == pytest.approx(square, rel=0.015)


def test_lora_on_8b_skips_a_third_of_the_work_of_full_fine_tuning():
    name, lengths = "meta-llama/Llama-3.1-8B-Instruct", [2048]
    lora = LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM")
    little, much = (work(count(name, it), lengths, 512, checkpointing=False) for it in (lora, None))
    assert little.layers / much.layers == pytest.approx((4 + 6 * 41_943_040 / 6_979_321_856) / 6, rel=1e-6)
    again = work(count(name, None), lengths, 512, checkpointing=True)
    spared = 2 * 2048 * 32 * 4096 * 14336
    assert again.again == pytest.approx((much.layers + much.attention) / 3 - spared)
