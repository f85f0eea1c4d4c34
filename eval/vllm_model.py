"""The backend for GPUs through vLLM's offline engine, which batches continuously and reuses shared prefixes itself."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from eval.asking import Answer, Ask, Dialog, T, lead_in_rounds
from eval.chat_template import ChatTemplate, or_explain
from eval.native_calls import read_native_calls
from toolace.embedded import resolve_model
from toolace.errors import InputError

IN_FLIGHT = 512  # questions handed over at a time: enough for a full engine, few to be lost when a run is killed


class VllmModel:
    """A model, or a LoRA adapter on its base, in this process.

    Args:
        name: a model or adapter folder, or a hub id.
        dtype: precision, e.g. "bfloat16".
        temperature: of sampling; 0 is greedy.
        options: further arguments of `vllm.LLM`, under their names there.

    Raises:
        InputError: vLLM is not installed, or the model cannot be loaded.
    """

    def __init__(
        self, name: str, dtype: str, temperature: float = 0.0, options: Mapping[str, Any] | None = None
    ) -> None:
        if importlib.util.find_spec("vllm") is None:
            fix = "Run: pip install vllm (on a machine with a GPU), or use evaluate.backend: transformers."
            raise InputError("vLLM is not installed", where="evaluate.backend", fix=fix)
        from vllm import LLM
        from vllm.lora.request import LoRARequest

        folder = Path(resolve_model(name))
        adapter = folder / "adapter_config.json"
        arguments = {"dtype": dtype, "enable_prefix_caching": True, **(options or {})}
        base, self._lora = str(folder), None
        if adapter.exists():
            config = json.loads(adapter.read_text(encoding="utf-8"))
            base = resolve_model(config["base_model_name_or_path"])
            arguments = {"enable_lora": True, "max_lora_rank": config["r"], **arguments}
            self._lora = LoRARequest("adapter", 1, str(folder))
        self.template = ChatTemplate(name)
        self.temperature = temperature
        self.engine = or_explain(lambda: LLM(model=base, **arguments), name)

    def lead(self, dialogs: Iterable[Dialog[T]], max_new_tokens: int, at_once: int | None = None) -> Iterator[list[T]]:
        """Leads dialogs in rounds; see `AnswerModel.lead`."""
        return lead_in_rounds(partial(self.answer, max_new_tokens=max_new_tokens), dialogs, at_once or IN_FLIGHT)

    def answer(self, asks: Sequence[Ask], max_new_tokens: int) -> Iterator[list[Answer]]:
        """Yields all answers as one list: the engine orders and batches them itself."""
        from vllm import SamplingParams

        sampling = SamplingParams(temperature=self.temperature, max_tokens=max_new_tokens)
        prompts = [{"prompt_token_ids": self.template.token_ids(ask)} for ask in asks]
        began = time.monotonic()
        outputs = self.engine.generate(prompts, sampling, lora_request=self._lora, use_tqdm=False)
        seconds = round((time.monotonic() - began) / max(1, len(asks)), 4)
        yield [self._read(i, ask, output, seconds) for i, (ask, output) in enumerate(zip(asks, outputs, strict=True))]

    def _read(self, index: int, ask: Ask, output: Any, seconds: float) -> Answer:
        said = output.outputs[0]
        calls = read_native_calls(said.text) if ask.tools is not None else None
        lengths = len(output.prompt_token_ids), len(said.token_ids)
        return Answer(index, said.text, *lengths, seconds, said.finish_reason != "length", calls)
