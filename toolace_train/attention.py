"""Attention over rows laid one after another, and over trees of rows (see sequences.py), for transformers.

Work and memory grow with prefix x prefix + branch x (prefix + branch) instead of the square of the whole sequence. On a
CPU it is plain matrix products, block by block: twice as fast as PyTorch's own kernel with its slow backward pass.
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
# Queries at a time on a CPU: their scores fit its caches, and a block computes no score of keys behind its last query.
BLOCK = 256

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
    if query.device.type != "cpu":
        return fused_causal(query, key, value, scaling)
    heads, new, dim = query.shape
    kv_heads, total, _ = key.shape
    grouped = (query * scaling).view(kv_heads, heads // kv_heads, new, dim)
    outputs = []
    for start in range(0, new, BLOCK):
        part = grouped[:, :, start : start + BLOCK]
        size = part.shape[2]
        seen = total - new + start + size  # keys that the last query of the block may look at
        scores = torch.bmm(part.reshape(kv_heads, -1, dim), key[:, :seen].transpose(1, 2))
        scores = scores.view(kv_heads, -1, size, seen)
        future = torch.ones(size, size, dtype=torch.bool, device=query.device).triu(1)
        scores[..., seen - size :].masked_fill_(future, float("-inf"))
        # Autocast would make the weights float32, which costs more than all products here; inside, softmax sums in
        # float32.
        with torch.autocast(query.device.type, enabled=False):
            weights = scores.softmax(-1)
        outputs.append(torch.bmm(weights.view(kv_heads, -1, seen), value[:, :seen]).view(kv_heads, -1, size, dim))
    return torch.cat(outputs, dim=2).view(heads, new, dim)


def fused_causal(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float) -> torch.Tensor:
    """The same through PyTorch's own kernels, which on a GPU never write the scores to memory."""
    new, total = query.shape[1], key.shape[1]
    mask = None
    if new < total:
        mask = torch.ones(new, total, dtype=torch.bool, device=query.device).tril(total - new)
    output: torch.Tensor = torch.nn.functional.scaled_dot_product_attention(
        query[None],
        key[None],
        value[None],
        attn_mask=mask,
        is_causal=mask is None,
        scale=scaling,
        enable_gqa=query.shape[0] != key.shape[0],
    )
    return output[0]


def is_plain(config: Any) -> bool:
    """Whether every layer's attention is causal and no more: no sliding window, soft cap, sinks or dropout."""
    text = config.get_text_config()
    window = getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True)
    others = ("attn_logit_softcapping", "attention_dropout", "attention_chunk_size")
    layers = set(getattr(text, "layer_types", None) or ()) <= {"full_attention"}
    known = not any(getattr(text, name, None) for name in others) and text.model_type != "gpt_oss"
    return bool(known and layers and not window)


def attention_for(wanted: str, share_prefix: bool, plain: bool = True) -> str:
    """transformers' name of the attention to load a model with.

    Args:
        wanted: the recipe's `attn_implementation`; "auto" takes FlashAttention where it is, else our own: both
            keep the rows of a micro-batch apart and compute nothing between them. sdpa does for models ours is not for.
        share_prefix: whether sequences are trees, which only our own function knows how to keep apart.
        plain: see `is_plain`.

    Raises:
        InputError: another implementation, or a model with other attention, together with shared prefixes.
    """
    if share_prefix and not plain:
        what = "the model's attention is not plain causal attention, so prefixes cannot be shared"
        raise InputError(what, where="data.share_prefix", fix="Set it to false.")
    if share_prefix and wanted not in ("auto", NAME):
        fix = f"Set it to auto or {NAME}, or data.share_prefix to false."
        raise InputError(f"{wanted!r} cannot share prefixes", where="model.attn_implementation", fix=fix)
    if wanted == "auto" and not share_prefix and is_flash_attn_2_available():
        return "flash_attention_2"
    if wanted == "auto" and not plain:
        return "sdpa"
    if wanted not in ("auto", NAME):
        return wanted
    AttentionInterface.register(NAME, shared_prefix_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME
