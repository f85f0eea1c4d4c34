"""The vLLM backend, on a double of vLLM's documented offline interface: it needs a GPU to run."""

from __future__ import annotations

import importlib.machinery
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from eval.asking import Answer, Ask, Dialog
from eval.vllm_model import VllmModel
from toolace.embedded import resolve_model
from toolace.errors import InputError

SMOL = "embedded/SmolLM2-135M-Instruct"


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Modules `vllm` and `vllm.lora.request` with what docs.vllm.ai says of LLM, SamplingParams and LoRARequest."""
    seen = types.SimpleNamespace(made=[], asked=[])

    class LLM:
        def __init__(self, model: str, **options: Any) -> None:
            seen.made.append((model, options))

        def generate(self, prompts: Any, sampling_params: Any, *, use_tqdm: bool, lora_request: Any) -> list[Any]:
            seen.asked.append((prompts, sampling_params, lora_request))
            said = types.SimpleNamespace(text="[f(a=1)]", token_ids=[1, 2, 3], finish_reason="stop")
            return [types.SimpleNamespace(prompt_token_ids=p["prompt_token_ids"], outputs=[said]) for p in prompts]

    module = types.ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, types.SimpleNamespace  # type: ignore[attr-defined]
    module.__spec__ = importlib.machinery.ModuleSpec("vllm", None)
    request = types.ModuleType("vllm.lora.request")
    request.LoRARequest = lambda *words: words  # type: ignore[attr-defined]
    for name, made in (("vllm", module), ("vllm.lora", types.ModuleType("vllm.lora")), ("vllm.lora.request", request)):
        monkeypatch.setitem(sys.modules, name, made)
    return seen


def dialog(turns: int) -> Dialog[list[Answer]]:
    messages = [{"role": "user", "content": "Hello."}]
    answers = []
    for _ in range(turns):
        answers.append((yield Ask(messages)))
        messages += [{"role": "assistant", "content": answers[-1].text}, {"role": "user", "content": "And?"}]
    return answers


def test_every_round_is_one_call_of_the_engine(vllm: types.SimpleNamespace) -> None:
    model = VllmModel(SMOL, "bfloat16", 0.001, {"tensor_parallel_size": 2})
    ended = [row for rows in model.lead([dialog(1), dialog(2), dialog(2)], max_new_tokens=9) for row in rows]
    assert sorted(map(len, ended)) == [1, 2, 2]
    (made,) = vllm.made
    assert made == (
        str(Path(resolve_model(SMOL))),
        {"dtype": "bfloat16", "enable_prefix_caching": True, "tensor_parallel_size": 2},
    )
    assert [len(prompts) for prompts, _, _ in vllm.asked] == [3, 2]
    prompts, sampling, lora = vllm.asked[0]
    assert (sampling.temperature, sampling.max_tokens, lora) == (0.001, 9, None)
    assert prompts[0]["prompt_token_ids"] == model.template.token_ids(Ask([{"role": "user", "content": "Hello."}]))
    assert ended[0][0].text == "[f(a=1)]" and ended[0][0].output_tokens == 3 and ended[0][0].complete


def test_an_adapter_is_given_with_its_base(vllm: types.SimpleNamespace, tmp_path: Path) -> None:
    base = Path(resolve_model(SMOL))
    for file in base.glob("*token*"):
        (tmp_path / file.name).symlink_to(file)
    config = {"base_model_name_or_path": SMOL, "r": 16}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").symlink_to(base / "config.json")
    if (base / "chat_template.jinja").exists():
        (tmp_path / "chat_template.jinja").symlink_to(base / "chat_template.jinja")
    model = VllmModel(str(tmp_path), "float16")
    list(model.lead([dialog(1)], max_new_tokens=5))
    (made,) = vllm.made
    assert made[0] == str(base) and made[1]["enable_lora"] and made[1]["max_lora_rank"] == 16
    assert vllm.asked[0][2] == ("adapter", 1, str(tmp_path))


def test_without_vllm_the_error_says_how_to_get_it() -> None:
    if "vllm" in sys.modules:
        pytest.skip("vLLM is here")
    with pytest.raises(InputError, match="pip install vllm"):
        VllmModel(SMOL, "bfloat16")
