"""Self-guided complication (paper, Sec. 2.2): dialogs outside of the range of losses are made again, harder or simpler.

The loop knows neither who plays nor who scores: `make` makes dialogs at levels (above 0 harder, below simpler), a
Scorer says how hard the model to be tuned finds them. Losses are kept as they come, so that a killed run scores nothing
twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from data_gen.dialog_generation.complexity import loss_key
from data_gen.dialog_generation.player_settings import GuidanceSettings
from toolace import Dialog, InputError
from toolace.rows import RowLog, write_json

# our choice: bins that show a shift of a tenth of a nat over the losses that short answers have.
BIN = 0.1

Make = Callable[[Mapping[str, int]], Mapping[str, Dialog]]


class Scorer(Protocol):
    """The complexity evaluator: Eq. (1) under the model to be tuned."""

    @property
    def identity(self) -> str:
        """What decides the losses besides the dialogs: losses of another identity are not taken for its own."""
        ...

    def score(self, dialogs: Sequence[Dialog]) -> Sequence[float]:
        """The loss of each dialog, in nats a response token.

        Raises:
            InputError: it cannot score; a dialog without a loss is not a choice.
        """
        ...


@dataclass
class Guided:
    """What became of one dialog.

    Attributes:
        level, loss: of the version that is taken: the first inside of the range, else the nearest to it.
        inside: whether its loss is in the range.
        rounds: every version that was made, `{"level", "loss", "asked"}`; `asked` is what was then asked for:
            "harder", "simpler" or "" when it is inside or no round is left.
    """

    level: int
    loss: float
    inside: bool
    rounds: list[dict[str, Any]] = field(default_factory=list)


class Guidance:
    """The rounds of one run.

    Args:
        settings: range and number of rounds.
        scorer: who scores.
        folder: gets `losses.jsonl` (every loss as it comes) and `guidance.json` (counts and histograms).
    """

    def __init__(self, settings: GuidanceSettings, scorer: Scorer, folder: Path) -> None:
        settings.check()
        self.settings, self.scorer, self.folder = settings, scorer, folder

    def guide(self, ids: Sequence[str], make: Make) -> dict[str, Guided]:
        """Makes, scores and makes again.

        Args:
            ids: of the dialogs wanted.
            make: id -> level in, id -> dialog out; one that could not be made is left out, and what was made of it
                before, if anything, is taken.
        """
        results: dict[str, Guided] = {}
        levels = dict.fromkeys(ids, 0)
        counts: list[dict[str, int]] = []
        log = RowLog(self.folder / "losses.jsonl")
        try:
            for number in range(self.settings.rounds + 1):
                losses = self._score(make(levels), log) if levels else {}
                counts.append({"made": len(losses), **self._places(losses.values())})
                levels = self._next(levels, losses, results, is_last=number == self.settings.rounds)
                if not levels:
                    break
        finally:
            log.close()
        self._write(results, counts)
        return results

    def _score(self, dialogs: Mapping[str, Dialog], log: RowLog) -> dict[str, float]:
        """Losses by id; those that the log knows of the same scorer are not computed again."""
        identity = self.scorer.identity
        keys = {id_: loss_key(dialog, identity) for id_, dialog in dialogs.items()}
        known = {row["id"]: row["loss"] for row in log.rows}
        new = [id_ for id_ in dialogs if keys[id_] not in known]
        losses = list(self.scorer.score([dialogs[id_] for id_ in new])) if new else []
        fix = "Use a scorer that gives every dialog a loss."
        if len(losses) != len(new):
            raise InputError(f"the scorer gave {len(losses)} losses to {len(new)} dialogs", fix=fix)
        for id_, loss in zip(new, losses, strict=True):
            if not math.isfinite(loss):
                raise InputError(f"the scorer gave the loss {loss}", where=id_, fix=fix)
        rows = [{"id": keys[id_], "loss": float(loss)} for id_, loss in zip(new, losses, strict=True)]
        if rows:
            log.append(rows)
            log.rows.extend(rows)
            known |= {row["id"]: row["loss"] for row in rows}
        return {id_: known[keys[id_]] for id_ in dialogs}

    def _next(
        self, levels: Mapping[str, int], losses: Mapping[str, float], results: dict[str, Guided], is_last: bool
    ) -> dict[str, int]:
        """Takes the better versions into `results`; the levels of the next round for those that need one."""
        wanted = {}
        for id_, loss in losses.items():
            level = levels[id_]
            before = results.setdefault(id_, Guided(level, loss, self._distance(loss) == 0))
            # A dialog that jumped over the range goes back by a step it has tried, and is left as it is.
            asked = "" if is_last or self._distance(loss) == 0 else "harder" if loss < self.settings.low else "simpler"
            goal = level + (1 if asked == "harder" else -1)
            if asked and goal in [r["level"] for r in before.rounds]:
                asked = ""
            before.rounds.append({"level": level, "loss": round(loss, 4), "asked": asked})
            if self._distance(loss) < self._distance(before.loss):
                before.level, before.loss, before.inside = level, loss, self._distance(loss) == 0
            if asked:
                wanted[id_] = goal
        return wanted

    def _distance(self, loss: float) -> float:
        """How far a loss is from the range."""
        return max(self.settings.low - loss, loss - self.settings.high, 0.0)

    def _places(self, losses: Any) -> dict[str, int]:
        low, high = self.settings.low, self.settings.high
        found = list(losses)
        below, above = sum(loss < low for loss in found), sum(loss > high for loss in found)
        return {"below": below, "inside": len(found) - below - above, "above": above}

    def _write(self, results: Mapping[str, Guided], counts: Sequence[Mapping[str, int]]) -> None:
        before = [result.rounds[0]["loss"] for result in results.values()]
        after = [result.loss for result in results.values()]
        outside = [result for result in results.values() if self._distance(result.rounds[0]["loss"]) > 0]
        moved = sum(result.inside for result in outside)
        write_json(
            self.folder / "guidance.json",
            {
                "range": [self.settings.low, self.settings.high],
                "rounds": list(counts),
                "before": {"counts": histogram(before), **self._places(before)},
                "after": {"counts": histogram(after), **self._places(after)},
                "bin": BIN,
                "moved_into_range": moved,
                "were_outside": len(outside),
            },
        )


def histogram(losses: Sequence[float]) -> dict[str, int]:
    """Lower edge of a bin -> how many losses are in it, in order; empty bins are left out."""
    bins: dict[int, int] = {}
    for loss in losses:
        index = int(loss / BIN + 1e-9)
        bins[index] = bins.get(index, 0) + 1
    return {f"{index * BIN:.1f}": bins[index] for index in sorted(bins)}
