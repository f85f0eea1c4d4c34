"""A TRL trainer that spends nothing on padding, on shared prompts, or on logits nobody trains.

TRL projects every position on the vocabulary where Triton is missing; here the LM head sees trained positions only,
through transformers' own `logits_to_keep`, so that no private name of a library is touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import Any, ClassVar

import torch
from peft import PeftModel
from peft.helpers import disable_input_dtype_casting
from trl import SFTTrainer

from toolace_train.rendering import IGNORED


class ToolaceTrainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer for batches of `TreeCollator`: one flattened row a micro-batch."""

    _tag_names: ClassVar[list[str]] = ["toolace", "trl", "sft"]

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
        with self._adapters_in_model_dtype():
            outputs = model(**kept, use_cache=False, logits_to_keep=trained - 1)
        logits, targets = outputs.logits[0].float(), labels[0, trained]
        total = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        count = len(trained) if num_items_in_batch is None else num_items_in_batch
        loss = total / torch.as_tensor(count, device=total.device).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            # DDP averages gradients over ranks, but the count above is already the sum over ranks.
            loss = loss * self.accelerator.num_processes
        self._note(inputs, logits, targets)
        return (loss, outputs) if return_outputs else loss

    def _adapters_in_model_dtype(self) -> contextlib.AbstractContextManager[Any]:
        """Under autocast, keeps PEFT from copying every input to float32 only for autocast to copy it back."""
        if isinstance(self.model, PeftModel) and (self.args.bf16 or self.args.fp16):
            manager: contextlib.AbstractContextManager[Any] = disable_input_dtype_casting(self.model)
            return manager
        return contextlib.nullcontext()

    def _note(self, inputs: dict[str, Any], logits: torch.Tensor, targets: torch.Tensor) -> None:
        mode = "train" if self.model.training else "eval"
        hits = (logits.argmax(-1) == targets).float().mean() if len(targets) else torch.tensor(0.0)
        self._metrics[mode]["mean_token_accuracy"].append(self.accelerator.gather(hits.detach()).mean().item())
        if mode == "train":
            seen = torch.tensor(inputs["input_ids"].numel(), device=logits.device)
            self._total_train_tokens += self.accelerator.gather(seen).sum().item()
            self._metrics[mode]["num_tokens"] = [self._total_train_tokens]


def use_all_cores() -> None:
    """Shares the machine's cores among its processes when training on the CPU.

    `accelerate launch` sets OMP_NUM_THREADS to 1 unless it is told another number, which leaves all cores but one idle.
    Any other number is somebody's wish and stays.
    """
    if torch.cuda.is_available() or os.environ.get("OMP_NUM_THREADS", "1") != "1":
        return
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))


def steady_memory() -> None:
    """Makes glibc keep freed memory instead of handing it back and faulting it in again at every step.

    Sequences differ in length, so each step asks for other sizes; on a CPU the page faults cost more than they save.
    What fragmentation then leaves unused goes back in `give_back_memory`. Where there is no glibc nothing happens.
    """
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


def give_back_memory() -> None:
    """Returns free pages inside glibc's heap to the system: without it a run's memory grew from 5 to 8 GiB."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
