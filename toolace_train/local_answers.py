"""What transformers itself answers, to compare a server with: greedy tokens, and how near another choice was."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from toolace_train.model import load_tokenizer


class LocalModel:
    """An exported model in this process, or the base and the adapter that it was made of.

    Args:
        folder: of the export; tokenizer and ends of turns are those of it.
        dtype: torch's name of the precision to compute in; "auto" is float32 on a CPU, where it is
            both exact and no slower, and that of the weights on a GPU.
        weights: folder of other weights to answer with: those that were trained, or their base.
        adapter: folder of the adapter on these weights.
    """

    def __init__(
        self, folder: Path, dtype: str = "auto", *, weights: Path | None = None, adapter: Path | None = None
    ) -> None:
        import torch
        from transformers import AutoModelForCausalLM, GenerationConfig
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        gpu = torch.cuda.is_available()
        precision = getattr(torch, dtype) if dtype != "auto" else "auto" if gpu else torch.float32
        self.model: Any = AutoModelForCausalLM.from_pretrained(str(weights or folder), dtype=precision)
        # A base's own may lack the token that ends trained turns.
        self.model.generation_config = GenerationConfig.from_pretrained(str(folder))
        if adapter:
            self.model = _with_adapter(self.model, adapter)
        self.model.eval()
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
                input_ids=batch,
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


def _with_adapter(model: Any, adapter: Path) -> Any:
    """Base and adapter, without what the libraries say to their developers."""
    import logging
    import warnings

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # on a CPU it regrets a kernel that is not installed
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return PeftModel.from_pretrained(model, str(adapter))
