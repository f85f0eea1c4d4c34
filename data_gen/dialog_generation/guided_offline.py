"""Self-guided complication with the offline players (paper, Sec. 2.2): dialogs outside of the range are drawn again.

Harder: more candidates, more calls, and requests that only hint at the tool; simpler: fewer candidates, turns and
calls, and the tools' own words. What is made at a level follows from the seed alone, so that a killed run goes on with
the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_gen.dialog_generation.mix import Achieved, check_pool
from data_gen.dialog_generation.plans import Plan, draw_plans
from data_gen.dialog_generation.production import Maker
from data_gen.dialog_generation.self_guided import Guidance, Guided, Scorer
from toolace import Dialog, InputError, Tool, write_dialogs
from toolace.rows import read_json

if TYPE_CHECKING:
    from data_gen.dialog_generation.generation import DialogSettings


def write_guided(
    folder: Path, tools: Sequence[Tool], settings: DialogSettings, seed: int, scorer: Scorer
) -> dict[str, Any]:
    """Writes `dialogs.jsonl`, every dialog with its rounds in `meta.guidance`, and what `Guidance` writes.

    Returns:
        What `generation.write_offline` does, and `guidance`: how many were outside of the range, and moved into it.

    Raises:
        InputError: settings that cannot be met, or the scorer cannot score.
    """
    settings.check()
    if settings.guidance is None:
        fix = "Give low and high; see docs/dialogs.md."
        raise InputError("has no range", where="generate.dialogs.guidance", fix=fix)
    check_pool(tools, settings)
    guided = _Guided(Maker(tools, settings, seed), [plan for group in draw_plans(settings, seed) for plan in group])
    results = Guidance(settings.guidance, scorer, folder).guide(list(guided.plans), guided.make)
    achieved = Achieved()

    def kept() -> Any:
        for id_, result in results.items():
            if result.inside or settings.guidance is None or settings.guidance.outside == "keep":
                dialog = guided.with_rounds(id_, result)
                achieved.add(dialog, guided.plans[id_].need, guided.turns(id_, result.level))
                yield dialog

    made = write_dialogs(folder / "dialogs.jsonl", kept())
    if not made:
        fix = "Widen generate.dialogs.guidance, or set outside: keep."
        raise InputError("no dialog is in the range", where=folder / "guidance.json", fix=fix)
    achieved.warn(settings)
    told = read_json(folder / "guidance.json")
    return {
        "made": made,
        "types": {str(kind): count for kind, count in sorted(achieved.types.items())},
        "redrawn": dict(guided.redrawn.most_common()),
        **achieved.report(settings),
        "guidance": {key: told[key] for key in ("were_outside", "moved_into_range")},
    }


class _Guided:
    """Plans by id, and their dialogs at any level."""

    def __init__(self, maker: Maker, plans: Sequence[Plan]) -> None:
        self.maker = maker
        self.plans = {plan.id: plan for plan in plans}
        self.redrawn: Counter[str] = Counter()

    def make(self, levels: Mapping[str, int]) -> dict[str, Dialog]:
        """id -> level in, id -> dialog out."""
        return {id_: self._at(id_, level) for id_, level in levels.items()}

    def _at(self, id_: str, level: int) -> Dialog:
        plan = replace(self.plans[id_], level=level)
        return next(iter(self.maker.group([plan], self.redrawn)))

    def turns(self, id_: str, level: int) -> int:
        """Requests of the user at a level."""
        return max(self.plans[id_].turns + min(level, 0), 1)

    def with_rounds(self, id_: str, result: Guided) -> Dialog:
        """The dialog that was chosen, with what was tried and how hard each was found."""
        dialog = self._at(id_, result.level)
        rounds = {"loss": round(result.loss, 4), "rounds": result.rounds}
        return replace(dialog, meta={**dialog.meta, "guidance": rounds})
