"""The complexity evaluator with transformers: whole models and LoRA adapters, on the CPU or a GPU.

Three things make it fast: dialogs with the same system prompt compute it once, rows of similar length are batched next
to without padding, and the LM head sees only the positions that predict a response token.
"""

from __future__ import annotations

import copy
import hashlib
import math
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.dialog_generation.complexity import Keep, Loss, discard
from toolace import Dialog, InputError
from toolace.embedded import resolve_model
from toolace.formats import to_toolace
from toolace.rendering import IGNORED, Rendered, Renderer

# our choice: tokens of one batch, padding and shared prompt included. A CPU computes long rows as fast as many.
_BATCH_TOKENS = {"cpu": 2048, "cuda": 16384}
# A batch ends where padding would be more than a tenth of it.
_LEAST_FILL = 0.9
# Prompts shorter than this are not worth a cache of their own.
_WORTH_SHARING = 32
# Positions whose logits are held at a time: 49,152 words in float32 are 0.2 MB a position.
_HEAD_POSITIONS = 512


@dataclass(frozen=True)
class _Row:
    """A rendered dialog and its place in the order asked for."""

    place: int
    rendered: Rendered

    @property
    def length(self) -> int:
        return len(self.rendered.input_ids)


class LocalScorer:
    """Eq. (1) under a model on this machine.

    Args:
        model: folder of a model or a PEFT adapter, hub id, or embedded name.
        dtype: torch's name of the precision; "auto": bfloat16 on a GPU, float32 on a CPU.
        template: a chat template instead of the tokenizer's own.

    Raises:
        InputError: the model cannot be had, has no chat template, or the dtype is unknown.
    """

    def __init__(self, model: str, dtype: str = "auto", template: str | None = None) -> None:
        self.name = model
        precision = _precision(dtype)
        folder = Path(resolve_model(model))
        self.model = _load(folder, model, precision)
        self.device = str(self.model.device.type)
        self.renderer = Renderer(load_tokenizer(folder, model), template)
        self._identity = _identity(folder, model, str(self.model.dtype), template)

    @property
    def identity(self) -> str:
        """See `complexity.Evaluator`."""
        return self._identity

    def score(self, dialogs: Sequence[Dialog]) -> list[float]:
        """See `complexity.Evaluator`."""
        return [loss.loss for loss in self.losses(dialogs)]

    def losses(self, dialogs: Sequence[Dialog], keep: Keep = discard) -> list[Loss]:
        """See `complexity.Evaluator`."""
        return [loss for loss, _ in self.judged(dialogs, keep)]

    def judged(self, dialogs: Sequence[Dialog], keep: Keep = discard) -> list[tuple[Loss, bool]]:
        """Losses, and whether the model already gets the dialog right.

        Right: at every response token the model's first choice is that token, which is to say that greedy decoding,
        turn by turn, writes the very responses.
        """
        rows = [_Row(i, self._rendered(dialog)) for i, dialog in enumerate(dialogs)]
        found: dict[int, tuple[Loss, bool]] = {}
        for shared, members in _families(rows):
            cache = self._prefix(members[0].rendered.input_ids[:shared]) if shared else None
            for batch in _batches(members, shared, _BATCH_TOKENS.get(self.device, 2048)):
                for row, (total, right) in zip(batch, self._sums(batch, shared, cache), strict=True):
                    count = sum(label != IGNORED for label in row.rendered.labels)
                    loss = total / count
                    if not math.isfinite(loss):
                        fix = "Use another --dtype; float16 overflows with some models."
                        raise InputError(f"the loss is {loss}", where=dialogs[row.place].id, fix=fix)
                    found[row.place] = Loss(dialogs[row.place].id, loss, count), right
                    keep(row.place, found[row.place][0])
        return [found[i] for i in range(len(dialogs))]

    def _rendered(self, dialog: Dialog) -> Rendered:
        rendered = self.renderer.render(to_toolace(dialog), dialog.id)
        most = getattr(self.model.config, "max_position_embeddings", None)
        if most and len(rendered.input_ids) > most:
            fix = "Leave the row out, or use a model with a longer context."
            raise InputError(f"has {len(rendered.input_ids)} tokens, the model reads {most}", where=dialog.id, fix=fix)
        return rendered

    def _prefix(self, ids: Sequence[int]) -> Any:
        """Keys and values of a shared prompt, for one row."""
        import torch

        with torch.inference_mode():
            tensor = torch.tensor([ids], device=self.model.device)
            return self.model(input_ids=tensor, use_cache=True, logits_to_keep=1).past_key_values

    def _sums(self, batch: Sequence[_Row], shared: int, cache: Any) -> list[tuple[float, bool]]:
        """(sum of -log p of the response tokens, whether each is the model's first choice) of each row."""
        import torch

        width = max(row.length for row in batch) - shared
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        mask = torch.zeros(len(batch), shared + width, dtype=torch.long)
        for i, row in enumerate(batch):
            ids[i, : row.length - shared] = torch.tensor(row.rendered.input_ids[shared:])
            mask[i, : row.length] = 1
        wanted = [_wanted(row.rendered, shared) for row in batch]
        # The head sees the positions that any row of the batch needs: models scale and cap their logits in ways of
        # their own, so it is left to the model's forward.
        keep = sorted({position for positions, _ in wanted for position in positions})
        column = {position: i for i, position in enumerate(keep)}
        past = copy.deepcopy(cache)
        if past is not None and len(batch) > 1:
            past.batch_repeat_interleave(len(batch))
        device = self.model.device
        with torch.inference_mode():
            logits = self.model(
                input_ids=ids.to(device),
                attention_mask=mask.to(device) if not bool(mask.all()) else None,
                past_key_values=past,
                use_cache=past is not None,
                logits_to_keep=torch.tensor(keep, device=device),
            ).logits
            return [
                _negative_log(logits[i], [column[p] for p in positions], labels)
                for i, (positions, labels) in enumerate(wanted)
            ]


def _wanted(rendered: Rendered, shared: int) -> tuple[list[int], list[int]]:
    """(positions after the shared prompt that predict a response token, those tokens)."""
    at = [i for i, label in enumerate(rendered.labels) if label != IGNORED]
    return [i - 1 - shared for i in at], [rendered.labels[i] for i in at]


def _negative_log(logits: Any, columns: Sequence[int], labels: Sequence[int]) -> tuple[float, bool]:
    """(sum of -log p of `labels`, whether each is the first choice); logits [positions, vocabulary].

    In float32 whatever the model's precision.
    """
    import torch

    total, right = 0.0, True
    for start in range(0, len(columns), _HEAD_POSITIONS):
        part = logits[torch.tensor(columns[start : start + _HEAD_POSITIONS], device=logits.device)].float()
        target = torch.tensor(labels[start : start + _HEAD_POSITIONS], device=logits.device)
        total += float(torch.nn.functional.cross_entropy(part, target, reduction="sum"))
        right = right and bool((part.argmax(-1) == target).all())
    return total, right


def _families(rows: Sequence[_Row]) -> Iterator[tuple[int, list[_Row]]]:
    """(number of first tokens that all share, rows): those with one system prompt, then those that begin alike."""
    by_prompt: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        by_prompt[row.rendered.prefix].append(row)
    alone: list[_Row] = []
    for prompt, members in by_prompt.items():
        shared = _shared([row.rendered for row in members]) if prompt and len(members) > 1 else 0
        if shared < _WORTH_SHARING:
            alone += members
        else:
            yield shared, sorted(members, key=lambda row: row.length)
    # Different tool lists still stand after the same instructions.
    by_start: dict[tuple[int, ...], list[_Row]] = defaultdict(list)
    for row in alone:
        by_start[tuple(row.rendered.input_ids[:_WORTH_SHARING])].append(row)
    for members in by_start.values():
        shared = _shared([row.rendered for row in members]) if len(members) > 1 else 0
        yield shared if shared >= _WORTH_SHARING else 0, sorted(members, key=lambda row: row.length)


def _shared(members: Sequence[Rendered]) -> int:
    """Length of the common start, short of the position that predicts the first response token of any row."""
    first = members[0].input_ids
    length = len(first)
    for row in members:
        length = min(length, next(i for i, label in enumerate(row.labels) if label != IGNORED) - 1)
        differs = (i for i, pair in enumerate(zip(first, row.input_ids, strict=False)) if pair[0] != pair[1])
        length = min(length, next(differs, length))
    return length


def _batches(rows: Sequence[_Row], shared: int, most: int) -> Iterator[list[_Row]]:
    """Rows of similar length, at most `most` tokens with padding; rows come sorted by length."""
    batch: list[_Row] = []
    for row in rows:
        own, least = row.length - shared, (batch[0].length - shared) if batch else 0
        if batch and ((len(batch) + 1) * own > most or least < _LEAST_FILL * own - 8):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _precision(dtype: str) -> Any:
    """torch's dtype of a name; InputError for a name that is none, or none that a model can be computed in."""
    import torch

    wanted = ("bfloat16" if torch.cuda.is_available() else "float32") if dtype == "auto" else dtype
    precision = getattr(torch, wanted, None)
    if not (isinstance(precision, torch.dtype) and precision.is_floating_point and precision.itemsize > 1):
        raise InputError(f"unknown dtype {dtype!r}", where="--dtype", fix="Use auto, bfloat16, float16 or float32.")
    return precision


def _load(folder: Path, name: str, precision: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if (folder / "adapter_config.json").exists():
            from peft import PeftConfig, PeftModel

            base = resolve_model(str(PeftConfig.from_pretrained(str(folder)).base_model_name_or_path))
            model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
            model = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
        else:
            model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=precision)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _no_model(name, error) from None
    return model.to(device=device, dtype=precision).eval()


def load_tokenizer(folder: Path, name: str) -> Any:
    """The tokenizer of a model folder; InputError when there is none."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _no_model(name, error) from None


def _no_model(name: str, error: Exception) -> InputError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    fix = "Name the folder of a model or of an adapter, a hub id that is on this machine, or an embedded model."
    return InputError(f"cannot be loaded ({reason[:200]})", where=name, fix=fix)


def _identity(folder: Path, name: str, dtype: str, template: str | None) -> str:
    """What tells two models apart: name and size and time of the weights, precision, template."""
    patterns = ("*.safetensors", "*.bin", "adapter_config.json")
    files = sorted(path for pattern in patterns for path in folder.glob(pattern)) if folder.is_dir() else []
    facts = [name, dtype, template, [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]]
    return hashlib.sha256(repr(facts).encode()).hexdigest()
