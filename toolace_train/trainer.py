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
from torch.utils.data import DataLoader
from trl import SFTTrainer

from toolace_train.rendering import IGNORED
from toolace_train.run_meter import RunMeter
from toolace_train.step_order import FILLER_TOKENS, Sequences, StepOrder


class ToolaceTrainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer for batches of `RowCollator`: one flattened row a micro-batch, in the order of `StepOrder`.

    Attributes:
        meter: what is counted between two logged steps.
        order: the order of the sequences, once training has begun.
        step_losses, step_rows: loss and sequence numbers of each micro-batch of the step so far, on this device; who
            looks at them clears them (nan_stop.py).
    """

    _tag_names: ClassVar[list[str]] = ["toolace", "trl", "sft"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.meter = RunMeter()
        self.order: StepOrder | None = None
        self.step_losses: list[torch.Tensor] = []
        self.step_rows: list[torch.Tensor] = []

    @property
    def is_sharded(self) -> bool:
        """Whether devices hold parts of the weights, so that all must call forward together."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def get_train_dataloader(self) -> Any:
        """The sequences in the order of `StepOrder`, fillers included."""
        arguments, rows = self.args, Sequences(self.train_dataset)
        self.order = StepOrder(
            self.train_dataset["length"],
            arguments.per_device_train_batch_size,
            arguments.gradient_accumulation_steps,
            arguments.world_size,
            arguments.seed,
        )
        loader = DataLoader(
            rows,
            batch_size=arguments.per_device_train_batch_size,
            sampler=self.order,
            collate_fn=self.data_collator,
            num_workers=arguments.dataloader_num_workers,
            pin_memory=arguments.dataloader_pin_memory,
            persistent_workers=arguments.dataloader_persistent_workers,
            prefetch_factor=arguments.dataloader_prefetch_factor,
        )
        return self.accelerator.prepare(loader)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Mean negative log-likelihood of the trained tokens of the global batch.

        Args:
            inputs: `input_ids`, `labels`, `position_ids` [1, total], `rows` [sequences], optionally `trees`.
            num_items_in_batch: trained tokens of all micro-batches and ranks, as the Trainer counts them.
        """
        labels = inputs["labels"]
        trained = (labels[0] != IGNORED).nonzero().flatten()
        # The token before a trained one predicts it; sequences.py makes sure that it belongs to the same row.
        kept = {key: value for key, value in inputs.items() if key not in ("labels", "rows")}
        with self._adapters_in_model_dtype():
            outputs = model(**kept, use_cache=False, logits_to_keep=trained - 1)
        logits, targets = outputs.logits[0].float(), labels[0, trained]
        total = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        count = len(trained) if num_items_in_batch is None else num_items_in_batch
        loss = total / torch.as_tensor(count, device=total.device).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            # DDP averages gradients over ranks, but the count above is already the sum over ranks.
            loss = loss * self.accelerator.num_processes
        if model.training:
            fillers = self.args.per_device_train_batch_size - len(inputs["rows"])
            tokens = labels.numel() - fillers * FILLER_TOKENS
            self.meter.note(tokens, len(targets), (logits.argmax(-1) == targets).sum())
            self.step_losses.append(loss.detach())
            self.step_rows.append(inputs["rows"])
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds what the meter counted to a logged training step; every process calls this."""
        if "loss" in logs:
            logs.update(self.meter.figures(self.state.global_step, self.state.max_steps, self.add_up))
        super().log(logs, start_time)

    def add_up(self, numbers: list[float]) -> list[float]:
        """Sums over the processes; every process must call it."""
        # float32 counts tokens exactly up to 16 million, and not every device has float64.
        both = torch.tensor(numbers, dtype=torch.float32, device=self.accelerator.device)
        found: list[float] = self.accelerator.reduce(both, reduction="sum").tolist()
        return found

    def _adapters_in_model_dtype(self) -> contextlib.AbstractContextManager[Any]:
        """Under autocast, keeps PEFT from copying every input to float32 only for autocast to copy it back."""
        if isinstance(self.model, PeftModel) and (self.args.bf16 or self.args.fp16):
            manager: contextlib.AbstractContextManager[Any] = disable_input_dtype_casting(self.model)
            return manager
        return contextlib.nullcontext()


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
