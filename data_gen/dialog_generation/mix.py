"""The declared mix of a run of dialogs and the one that came out, side by side, in per cent."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from toolace import Dialog

if TYPE_CHECKING:
    from data_gen.dialog_generation.generation import DialogSettings

Key = TypeVar("Key")
Shares = dict[str, dict[str, float]]


def exact_shares(weights: Mapping[Key, float], count: int, rng: random.Random) -> list[Key]:
    """`count` keys in seeded order, each as often as its weight says (largest remainders), not as luck has it."""
    total = sum(weights.values())
    exact = {key: count * weight / total for key, weight in weights.items()}
    counts = {key: int(share) for key, share in exact.items()}
    short = count - sum(counts.values())
    for key in sorted(exact, key=lambda k: (counts[k] - exact[k], str(k)))[:short]:
        counts[key] += 1
    keys = [key for key in weights for _ in range(counts[key])]
    rng.shuffle(keys)
    return keys


def declared(settings: DialogSettings) -> Shares:
    """What the recipe asks for: part -> key -> per cent. Turns and results are those of dialogs with calls."""
    return {
        "types": _per_cent(settings.types),
        "candidates": _per_cent(settings.candidates),
        "turns": _per_cent(settings.turns),
        "non_tool_use": _per_cent(settings.non_tool_use),
        "rates": {"results": 100 * settings.results, "errors": 100 * settings.errors},
    }


class Achieved:
    """Counts what dialogs have become."""

    def __init__(self) -> None:
        self.types: Counter[Any] = Counter()
        self.candidates: Counter[Any] = Counter()
        self.turns: Counter[Any] = Counter()
        self.non_tool_use: Counter[Any] = Counter()
        self.calling = self.ended_with_results = self.results = self.errors = 0

    def add(self, dialog: Dialog, kind: str, turns: int) -> None:
        """Counts one dialog.

        Args:
            kind: what its first turn was after: no message says which way of using no tool was meant.
            turns: requests of the user; an answer to the assistant's question is none.
        """
        self.types[dialog.type] += 1
        if dialog.tools:
            self.candidates[len(dialog.tools)] += 1
        if dialog.type == "non_tool_use":
            self.non_tool_use[kind] += 1
            return
        self.calling += 1
        self.ended_with_results += not dialog.messages[-1].calls
        self.turns[turns] += 1
        contents = [message.content for message in dialog.messages if message.role == "tool"]
        self.results += len(contents)
        self.errors += sum(content.startswith('{"error":') for content in contents)

    def merge(self, other: Achieved) -> None:
        """Adds what another process has counted."""
        for name, count in vars(other).items():
            if isinstance(count, Counter):
                getattr(self, name).update(count)
            else:
                setattr(self, name, getattr(self, name) + count)

    def shares(self) -> Shares:
        """Part -> key -> per cent, as `declared` writes it."""
        rates = {
            "results": round(100 * self.ended_with_results / max(self.calling, 1), 1),
            "errors": round(100 * self.errors / max(self.results, 1), 1),
        }
        names = ("types", "candidates", "turns", "non_tool_use")
        return {**{name: _per_cent(getattr(self, name)) for name in names}, "rates": rates}


def _per_cent(weights: Mapping[Any, float]) -> dict[str, float]:
    total = sum(weights.values()) or 1
    return {str(key): round(100 * weights[key] / total, 1) for key in sorted(weights, key=str)}
