"""The backend for local models through transformers: whole models and LoRA adapters, in batches of similar length."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from eval.asking import Answer, Ask, Dialog, T, lead_in_rounds
from eval.chat_template import ChatTemplate, or_explain
from eval.native_calls import read_native_calls
from toolace.embedded import resolve_model
from toolace.errors import InputError

# Finished rows leave the batch when no more than this share of it is going on: leaving copies the cache of the rest.
LEAVE_AT = 0.75


def _quiet() -> None:
    """No bars and notices of the library between our own progress bar's lines."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)


def load_model(name: str, dtype: str) -> Any:
    """A causal language model ready to answer; adapters are merged into their base in float32 first.

    Args:
        name: a folder (whole model or PEFT adapter), "embedded/SmolLM2-135M-Instruct", or a hub id.
        dtype: torch's name of the precision to answer in, e.g. "bfloat16".

    Raises:
        InputError: nothing there, or the dtype is unknown.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from eval.decoding import register

    _quiet()
    precision = getattr(torch, dtype, None)
    if not isinstance(precision, torch.dtype):
        fix = "Use bfloat16, float16 or float32."
        raise InputError(f"unknown dtype {dtype!r}", where="evaluate.dtype", fix=fix)
    folder = Path(resolve_model(name))
    if (folder / "adapter_config.json").exists():
        model = or_explain(lambda: _merged(folder), name)
    else:
        model = or_explain(lambda: AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32), name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(register())
    return model.to(device=device, dtype=precision).eval()


def _merged(folder: Path) -> Any:
    import torch
    from peft import PeftConfig, PeftModel
    from transformers import AutoModelForCausalLM

    base = PeftConfig.from_pretrained(str(folder)).base_model_name_or_path or ""
    model = AutoModelForCausalLM.from_pretrained(resolve_model(base), dtype=torch.float32)
    return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()


class LocalModel:
    """A transformers model that answers in batches of similar length.

    What all prompts have in common at their beginning (a benchmark's system prompt) is computed once, and a finished
    row leaves its batch, so that a long answer does not make the others wait.

    Args:
        name: see `load_model`.
        dtype: see `load_model`.
        batch_size: most rows in one batch.
    """

    def __init__(self, name: str, dtype: str = "bfloat16", batch_size: int = 32) -> None:
        self.template = ChatTemplate(name)
        self.tokenizer = self.template.tokenizer
        self.model = load_model(name, dtype)
        self.batch_size = batch_size
        ends = self.model.generation_config.eos_token_id
        self.ends = set(ends if isinstance(ends, list) else [ends]) | {self.tokenizer.eos_token_id}
        self.ends.discard(None)

    def lead(self, dialogs: Iterable[Dialog[T]], max_new_tokens: int, at_once: int | None = None) -> Iterator[list[T]]:
        """Leads dialogs in rounds; see `AnswerModel.lead`."""
        return lead_in_rounds(partial(self.answer, max_new_tokens=max_new_tokens), dialogs, at_once)

    def answer(self, asks: Sequence[Ask], max_new_tokens: int) -> Iterator[list[Answer]]:
        """Yields one list of answers a batch, shortest prompts first; greedy decoding up to the end of the turn."""
        rows = [self.template.token_ids(ask) for ask in asks]
        if not rows:
            return
        shared = common_prefix(rows)
        cache = self._prefill_shared(rows[0][:shared]) if shared else None
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            began = time.monotonic()
            outputs = self._batch([rows[i][shared:] for i in chosen], shared, cache, max_new_tokens)
            seconds = (time.monotonic() - began) / len(chosen)
            yield [
                self._read(i, len(rows[i]), ids, seconds, native=asks[i].tools is not None)
                for i, ids in zip(chosen, outputs, strict=True)
            ]

    def _read(self, index: int, length: int, ids: list[int], seconds: float, native: bool) -> Answer:
        ended = bool(ids) and ids[-1] in self.ends
        text = self.tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True)
        calls = read_native_calls(text) if native else None
        return Answer(index, text, length, len(ids), round(seconds, 4), ended, calls)

    def _prefill_shared(self, ids: Sequence[int]) -> Any:
        import torch

        from eval.decoding import new_cache

        cache = new_cache(self.model.config)
        with torch.inference_mode():
            batch = torch.tensor([list(ids)], device=self.model.device)
            self.model(input_ids=batch, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return cache

    def _batch(self, rows: list[list[int]], shared: int, cache: Any, max_new_tokens: int) -> list[list[int]]:
        """New token ids of each row, the end token included when it was reached."""
        import copy

        import torch

        from eval.decoding import new_cache

        past = copy.deepcopy(cache) if cache is not None else new_cache(self.model.config)
        if cache is not None:
            past.batch_repeat_interleave(len(rows))
        ids, mask, positions = self._pad_left(rows, shared)
        outputs: list[list[int]] = [[] for _ in rows]
        # Places of the batch -> row, for rows still in it; a row that is done stays until a quarter of them are.
        alive, done = list(range(len(rows))), set()
        with torch.inference_mode():
            for _ in range(max_new_tokens):
                logits = self.model(
                    input_ids=ids,
                    attention_mask=mask,
                    position_ids=positions,
                    past_key_values=past,
                    use_cache=True,
                    logits_to_keep=1,
                ).logits[:, -1]
                ids = logits.argmax(-1, keepdim=True)
                for row, token in zip(alive, ids[:, 0].tolist(), strict=True):
                    if row not in done:
                        outputs[row].append(token)
                        done |= {row} if token in self.ends else set()
                going = [place for place, row in enumerate(alive) if row not in done]
                if not going:
                    break
                positions = positions[:, -1:] + 1
                mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
                if len(going) <= LEAVE_AT * len(alive):
                    places = torch.tensor(going, device=ids.device)
                    ids, mask, positions = ids[places], mask[places], positions[places]
                    past.batch_select_indices(places)
                    alive = [alive[place] for place in going]
        return outputs

    def _pad_left(self, rows: list[list[int]], shared: int) -> tuple[Any, Any, Any]:
        """Rows' own tokens padded on the left, the mask over shared and own tokens, and the own tokens' positions."""
        import torch

        longest = max(map(len, rows))
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else next(iter(self.ends))
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
        own = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        mask = torch.cat([torch.ones(len(rows), shared, dtype=own.dtype), own], dim=1)
        positions = (own.cumsum(1) - 1).clamp(min=0) + shared
        device = self.model.device
        return ids.to(device), mask.to(device), positions.to(device)


def common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Length of the beginning that all rows share, leaving each row at least one token of its own."""
    first = min(rows, key=len)
    length = len(first) - 1
    for row in rows:
        length = next((i for i in range(length) if row[i] != first[i]), length)
    return max(0, length)
