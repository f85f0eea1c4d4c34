"""Attention over trees of rows (see sequences.py), as an attention function of transformers.

Work and memory grow with prefix x prefix + branch x (prefix + branch) instead of the square of the whole sequence. It
is written with plain matrix products: on CPUs without a fused backward pass these are also faster than PyTorch's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.utils import is_flash_attn_2_available

from toolace.errors import InputError

NAME = "shared_prefix"

TreeShape = tuple[int, int, Sequence[int]]


def shared_prefix_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    trees: Sequence[TreeShape] | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one flattened row of trees; without `trees` it is transformers' sdpa (generation, evaluation).

    Shapes: query [1, heads, total, dim]; key, value [1, kv heads, total, dim]; returns [1, total, heads, dim].
    """
    if trees is None:
        output: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return output
    parts = [part for tree in trees for part in _tree(query[0], key[0], value[0], tree, scaling)]
    return torch.cat(parts, dim=1).transpose(0, 1).unsqueeze(0), None


def _tree(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, tree: TreeShape, scaling: float
) -> list[torch.Tensor]:
    """One tree: query [heads, total, dim] -> outputs [heads, length, dim] of the stem and of each branch, in order."""
    start, prefix, branches = tree
    stem = slice(start, start + prefix)
    outputs = [_causal(query[:, stem], key[:, stem], value[:, stem], scaling)]
    begin = stem.stop
    for length in branches:
        own = slice(begin, begin + length)
        keys = torch.cat([key[:, stem], key[:, own]], dim=1)
        values = torch.cat([value[:, stem], value[:, own]], dim=1)
        outputs.append(_causal(query[:, own], keys, values, scaling))
        begin += length
    return outputs


def _causal(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float) -> torch.Tensor:
    """Causal attention of the last queries: query [heads, new, dim]; key, value [kv heads, all, dim]; new <= all."""
    heads, new, dim = query.shape
    kv_heads, total, _ = key.shape
    grouped = (query * scaling).reshape(kv_heads, -1, dim)
    scores = torch.bmm(grouped, key.transpose(1, 2)).view(kv_heads, -1, new, total)
    future = torch.ones(new, total, dtype=torch.bool, device=query.device).triu(1 + total - new)
    # Autocast would make the weights float32, which costs more than all products here; inside, softmax sums in float32.
    with torch.autocast(query.device.type, enabled=False):
        weights = scores.masked_fill(future, float("-inf")).softmax(-1)
    return torch.bmm(weights.view(kv_heads, -1, total), value).view(heads, new, dim)


def attention_for(wanted: str, share_prefix: bool) -> str:
    """transformers' name of the attention to load a model with.

    Args:
        wanted: the recipe's `attn_implementation`; "auto" takes FlashAttention where it is installed, else sdpa.
        share_prefix: whether sequences are trees, which only our own function knows how to keep apart.

    Raises:
        InputError: another implementation is asked for together with shared prefixes.
    """
    if share_prefix:
        if wanted not in ("auto", NAME):
            fix = f"Set it to auto or {NAME}, or data.share_prefix to false."
            raise InputError(f"{wanted!r} cannot share prefixes", where="model.attn_implementation", fix=fix)
        AttentionInterface.register(NAME, shared_prefix_attention)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        return NAME
    if wanted == "auto":
        return "flash_attention_2" if is_flash_attn_2_available() else "sdpa"
    return wanted
