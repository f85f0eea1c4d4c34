"""Section `evaluate` of a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eval.bfcl.categories import DEFAULT_CATEGORIES


@dataclass(frozen=True)
class EvaluateSettings:
    """What is asked of which models, and how.

    Attributes:
        models: the name a model has in the tables -> folder, adapter folder, embedded model or hub id.
        protocol: version of the benchmark's data and formulas.
        categories: BFCL categories.
        limit: category -> number of its questions to ask, a seeded sample; a category without an entry is asked whole.
        max_new_tokens: longest answer, in tokens.
        batch_size: most questions answered at once.
        dtype: precision of the model while it answers (`bfloat16`, `float32`).
    """

    models: Mapping[str, str] = field(default_factory=dict)
    protocol: str = "v4"
    categories: Sequence[str] = DEFAULT_CATEGORIES
    limit: Mapping[str, int] = field(default_factory=dict)
    max_new_tokens: int = 256
    batch_size: int = 32
    dtype: str = "bfloat16"
