"""A TRL trainer that spends nothing on padding, on shared prompts, or on logits nobody trains.

TRL projects every position on the vocabulary where Triton is missing; here the LM head sees trained positions only,
through transformers' own `logits_to_keep`, so that no private name of a library is touched.
"""

from __future__ import annotations

from typing import Any

import torch
from trl import SFTTrainer

from toolace_train.rendering import IGNORED


class ToolaceTrainer(SFTTrainer):
    """SFTTrainer for batches of `TreeCollator`: one flattened row a micro-batch."""

    _tag_names = ["toolace", "trl", "sft"]

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Mean negative log-likelihood of the trained tokens of the global batch.

        Args:
            inputs: `input_ids`, `labels`, `position_ids` [1, total], optionally `trees`.
            num_items_in_batch: trained tokens of all micro-batches and ranks, as the Trainer counts them.
        """
        labels = inputs["labels"]
        trained = (labels[0] != IGNORED).nonzero().flatten()
        # The token before a trained one predicts it; sequences.py makes sure that it belongs to the same row.
        kept = {key: value for key, value in inputs.items() if key != "labels"}
        outputs = model(**kept, use_cache=False, logits_to_keep=trained - 1)
        logits, targets = outputs.logits[0].float(), labels[0, trained]
        total = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        count = len(trained) if num_items_in_batch is None else num_items_in_batch
        loss = total / torch.as_tensor(count, device=total.device).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            # DDP averages gradients over ranks, but the count above is already the sum over ranks.
            loss = loss * self.accelerator.num_processes
        self._count(inputs, logits, targets)
        return (loss, outputs) if return_outputs else loss

    def _count(self, inputs: dict[str, Any], logits: torch.Tensor, targets: torch.Tensor) -> None:
        mode = "train" if self.model.training else "eval"
        hits = (logits.argmax(-1) == targets).float().mean() if len(targets) else torch.tensor(0.0)
        self._metrics[mode]["mean_token_accuracy"].append(self.accelerator.gather(hits.detach()).mean().item())
        if mode == "train":
            seen = torch.tensor(inputs["input_ids"].numel(), device=logits.device)
            self._total_train_tokens += self.accelerator.gather(seen).sum().item()
            self._metrics[mode]["num_tokens"] = [self._total_train_tokens]
