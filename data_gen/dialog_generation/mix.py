"""The declared mix of a run of dialogs and the one that came out, side by side, in per cent."""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from toolace import Dialog, InputError, Tool

if TYPE_CHECKING:
    from data_gen.dialog_generation.generation import DialogSettings

Key = TypeVar("Key")
Shares = dict[str, dict[str, float]]

# Per cent by which a share may miss what was declared before it is told.
TOLERANCE = 1.0
# Shares that one line on stderr names.
_SHOWN = 4


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

    def counted(self) -> dict[str, int]:
        """Part -> how many its shares are of: `turns` and `results` of dialogs with calls, `errors` of results."""
        names = ("types", "candidates", "turns", "non_tool_use")
        sizes = {name: sum(getattr(self, name).values()) for name in names}
        return {**sizes, "results": self.calling, "errors": self.results}

    def unmet(self, settings: DialogSettings) -> dict[str, str]:
        """What misses its declared share by more than a point, and by more than whole dialogs make unavoidable.

        The largest miss comes first. What is drawn and not shared out may be off by three standard deviations as well:
        errors are drawn at every result, and chance says which numbers of candidates no_tools takes away.
        """
        wanted, got, sizes = declared(settings), self.shares(), self.counted()
        found = []
        for part, shares in wanted.items():
            for key in {*shares, *got[part]}:
                share, reached = shares.get(key, 0.0), got[part].get(key, 0.0)
                size = sizes[key if part == "rates" else part]
                # The candidates of one list are those of all its dialogs.
                unit = 100 / max(size, 1) * (settings.per_tool_list if part == "candidates" else 1)
                drawn = size if key == "errors" else sizes["types"] - size if part == "candidates" else 0
                luck = 3 * math.sqrt(share * (100 - share) * drawn) / max(size, 1)
                miss = abs(share - reached)
                if size and miss > max(TOLERANCE, unit, luck) + 0.05:  # shares are rounded
                    name = key if part == "rates" else f"{part} {key}"
                    found.append((-miss, name, f"{share:g} % declared, {reached:g} % made"))
        return {name: told for _, name, told in sorted(found)}

    def report(self, settings: DialogSettings) -> dict[str, Any]:
        """`{"declared", "achieved", "counted", "unmet"}`: what `mix.json` or the manifest says of a run."""
        return {
            "declared": declared(settings),
            "achieved": self.shares(),
            "counted": self.counted(),
            "unmet": self.unmet(settings),
        }

    def warn(self, settings: DialogSettings) -> None:
        """One line on stderr when the mix is not met."""
        lines = [f"{name}: {told}" for name, told in self.unmet(settings).items()]
        if lines:
            shown = "; ".join(lines[:_SHOWN]) + (f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else "")
            print(f"toolace: warning: the declared mix is not met ({shown})", file=sys.stderr)


def check_pool(tools: Sequence[Tool], settings: DialogSettings) -> None:
    """Raises InputError when the pool has fewer tools than the smallest number of candidates that is asked for.

    A pool that is too small for some of the numbers is used for what it can give; `Achieved.warn` then says so.
    """
    least = min(number for number, weight in settings.candidates.items() if weight > 0)
    names = len({tool.name for tool in tools})
    if least > names > 0:
        fix, where = f"Give at most {names}, or a larger pool (generate.tools).", "generate.dialogs.candidates"
        raise InputError(f"asks for {least} candidates; the pool has {names} tools", where=where, fix=fix)


def _per_cent(weights: Mapping[Any, float]) -> dict[str, float]:
    total = sum(weights.values()) or 1
    return {str(key): round(100 * weights[key] / total, 1) for key in sorted(weights, key=str)}
