"""Faster greedy decoding on the CPU: a key-value cache with room to grow, and attention that never repeats keys.

transformers' own cache copies all keys and values at every new token, and its attention, once there is a mask, writes
them out again for each group of query heads. For a small model that is much of the work of a step.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, Cache, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "grouped_queries"
ROOM = 64  # tokens that fit before the cache is copied into a larger one


def register() -> str:
    """Makes the attention known to transformers and returns its name."""
    AttentionInterface.register(NAME, grouped_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one new token a row; more than one goes to transformers' sdpa.

    Shapes: query [rows, heads, 1, dim]; key, value [rows, kv heads, length, dim]; mask [rows, 1, 1, length], True where
    a token may be seen; returns [rows, 1, heads, dim].
    """
    rows, heads, new, dim = query.shape
    if new > 1 or scaling is None:
        output: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return output
    grouped = (query * scaling).view(rows, key.shape[1], -1, dim)
    scores = torch.matmul(grouped, key.transpose(-1, -2))
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask[:, :, :, : key.shape[2]], float("-inf"))
    mixed = torch.matmul(scores.softmax(-1), value)
    return mixed.reshape(rows, 1, heads, dim), None


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """A growing cache layer: keys and values are views into a larger store, and a new token is written into it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Adds new keys and values, [rows, kv heads, new, dim] each; returns all so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        length, new = self.get_seq_length(), key_states.shape[-2]
        if self.store is None or self.store[0].shape[2] < length + new:
            self.store = self._grown(key_states, length, length + new + ROOM)
        for store, states in zip(self.store, (key_states, value_states), strict=True):
            store[:, :, length : length + new] = states
        self.keys, self.values = (store[:, :, : length + new] for store in self.store)
        return self.keys, self.values

    def _grown(self, like: torch.Tensor, length: int, capacity: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows, heads, _, dim = like.shape
        stores = (like.new_empty(rows, heads, capacity, dim), like.new_empty(rows, heads, capacity, dim))
        if length:
            stores[0][:, :, :length], stores[1][:, :, :length] = self.keys, self.values
        return stores

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats every row; the store no longer fits and is made anew with the next token."""
        self.store = None
        super().batch_repeat_interleave(repeats)

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps some rows; the store no longer fits and is made anew with the next token."""
        self.store = None
        super().batch_select_indices(indices)


def new_cache(config: Any) -> Cache:
    """An empty cache: roomy where every layer attends to everything, transformers' own where some layers do not."""
    kinds = getattr(config, "layer_types", None) or ["full_attention"]
    if set(kinds) == {"full_attention"} and not getattr(config, "sliding_window", None):
        return Cache(layers=[RoomyLayer() for _ in range(config.num_hidden_layers)])
    return DynamicCache(config=config)
