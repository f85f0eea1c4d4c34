"""What transformers itself answers, to compare a server with: greedy tokens, and how near another choice was."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from toolace_train.model import load_tokenizer


class LocalModel:
    """An exported model in this process.

    Args:
        folder: of the export.
        dtype: torch's name of the precision to compute in; "auto" is float32 on a CPU, where it is
            both exact and no slower, and that of the weights on a GPU.
    """

    def __init__(self, folder: Path, dtype: str = "auto") -> None:
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        gpu = torch.cuda.is_available()
        precision = getattr(torch, dtype) if dtype != "auto" else "auto" if gpu else torch.float32
        self.model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=precision).eval()
        if gpu:
            self.model.to("cuda")
        self.tokenizer: Any = load_tokenizer(str(folder))
        ends = self.model.generation_config.eos_token_id
        self.ends = set(ends if isinstance(ends, list) else [ends])

    @property
    def precision(self) -> str:
        """The precision it computes in."""
        return str(self.model.dtype).removeprefix("torch.")

    def greedy(self, ids: Sequence[int], max_tokens: int) -> list[int]:
        """New token ids, the one that ends the turn included when it was reached."""
        import torch

        batch = torch.tensor([list(ids)], device=self.model.device)
        with torch.inference_mode():
            output = self.model.generate(
                batch,
                attention_mask=torch.ones_like(batch),
                max_new_tokens=max_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=next(iter(self.ends)),
            )
        return [int(token) for token in output[0, len(ids) :]]

    def text(self, ids: Sequence[int]) -> str:
        """The words of an answer."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def tokens(self, text: str) -> list[int]:
        """The tokens of an answer's words."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def gap(self, ids: Sequence[int], others: Collection[int]) -> float:
        """By how many logits the best next token after `ids` is ahead of the best of some others."""
        import torch

        batch = torch.tensor([list(ids)], device=self.model.device)
        with torch.inference_mode():
            logits = self.model(input_ids=batch, use_cache=False, logits_to_keep=1).logits[0, -1].float()
        return float(logits.max() - logits[sorted(others)].max())
