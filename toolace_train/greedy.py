"""Greedy answers of a model that is being trained, in batches, whatever it is wrapped in.

transformers' `generate` calls the innermost module, which FSDP and ZeRO-3 do not expect; this calls the model the way
training does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import torch

CHECK_EVERY = 8  # tokens between two looks at whether every device is done, where they must go in step


def answers(
    model: torch.nn.Module,
    prompts: Sequence[Sequence[int]],
    ends: Collection[int],
    max_new_tokens: int,
    batch_size: int,
    device: Any,
    going_on: Callable[[bool], bool] | None = None,
) -> list[list[int]]:
    """New token ids for each prompt, the one that ends it left out.

    Args:
        model: takes a causal language model's arguments; it should be in evaluation mode.
        prompts: token ids; none empty.
        ends: tokens that end an answer.
        max_new_tokens: most tokens of an answer.
        batch_size: prompts at once, those of similar length together.
        device: where the model is.
        going_on: for sharded models, whose devices must call forward equally often: told whether this device has work,
            answers whether any has. Every device must then be given as many prompts.
    """
    found: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    with torch.no_grad():
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = [prompts[number] for number in chosen]
            for tokens in _steps(model, batch, ends, max_new_tokens, device, going_on):
                for number, token in zip(chosen, tokens, strict=True):
                    if token is not None:
                        found[number].append(token)
    return found


def _steps(
    model: torch.nn.Module,
    prompts: Sequence[Sequence[int]],
    ends: Collection[int],
    max_new_tokens: int,
    device: Any,
    going_on: Callable[[bool], bool] | None,
) -> Iterator[list[int | None]]:
    """One token a step for each prompt; None for those that have ended."""
    ids, mask = _padded_left(prompts, device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    alive, cache = [True] * len(prompts), None
    for step in range(max_new_tokens):
        if going_on and step % CHECK_EVERY == 0 and not going_on(any(alive)):
            return
        if not going_on and not any(alive):
            return
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        chosen = output.logits[:, -1].argmax(-1)
        tokens = chosen.tolist()
        alive = [was and token not in ends for was, token in zip(alive, tokens, strict=True)]
        yield [token if on else None for token, on in zip(tokens, alive, strict=True)]
        ids, positions = chosen[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)


def _padded_left(prompts: Sequence[Sequence[int]], device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, prompts))
    ids = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
