"""Floating-point operations of a run, from the shape of the model and the lengths of the sequences.

A matrix of n numbers costs 2n operations a token forward, 2n to pass the gradient back to its input, and 2n for its
own gradient, which a frozen matrix skips: LoRA computes 4n + 6a where full fine-tuning computes 6n. The LM head sees
trained positions only. Causal attention over a sequence of L tokens costs 2 L^2 q operations a layer forward (two
products over half a square, q the width of all query heads) and twice that back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from toolace_train.parameters import Parameters


@dataclass(frozen=True)
class Work:
    """Operations by part, for one pass over the rows; `again` is what gradient checkpointing computes twice."""

    layers: float
    attention: float
    head: float
    again: float

    @property
    def model(self) -> float:
        """What the mathematics needs, without anything computed twice."""
        return self.layers + self.attention + self.head

    @property
    def total(self) -> float:
        """What the device computes."""
        return self.model + self.again


def work(parameters: Parameters, lengths: Iterable[int], trained: int, checkpointing: bool) -> Work:
    """Operations of one pass.

    Args:
        lengths: tokens of each sequence; trained: trained tokens in all of them.
        checkpointing: whether every layer's forward pass is computed again on the way back.
    """
    sizes = list(lengths)
    tokens, squares = sum(sizes), sum(size * size for size in sizes)
    adapters = 0 if parameters.full else parameters.trained
    forward = 2 * (parameters.linear + adapters) * tokens
    own = 2 * (parameters.linear if parameters.full else adapters) * tokens
    attention = 2 * squares * parameters.queries * parameters.layers
    # torch stops computing a layer again when the last tensor it needs is there: before a trained down_proj's product.
    spared = 2 * parameters.hidden * parameters.intermediate * parameters.layers * tokens if parameters.full else 0
    head = (6 if parameters.full else 4) * parameters.head * trained
    return Work(
        layers=2 * forward + own,
        attention=3 * attention,
        head=head,
        again=forward + attention - spared if checkpointing else 0,
    )
