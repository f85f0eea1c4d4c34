"""SDG as a stage: a pool of tools in, `dialogs.jsonl` out, in the declared mix and the same bytes for the same seed."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from data_gen.dialog_generation.builder import Mix
from data_gen.dialog_generation.mix import Achieved, check_pool
from data_gen.dialog_generation.plans import draw_plans
from data_gen.dialog_generation.player_settings import AgentSettings, GuidanceSettings
from data_gen.dialog_generation.production import Maker, pieces
from data_gen.dialog_generation.prompts import NAMES as PROMPT_NAMES
from toolace import Dialog, InputError, Tool
from toolace.dialogs import DIALOG_TYPES
from toolace.llm_settings import LlmSettings
from toolace.rows import write_text
from toolace.typed import unknown_key

NON_TOOL_USE = ("irrelevant", "no_tools", "missing", "chat")
# our choice: the longest dialogs that the offline players make in a fraction of a second each. Every further turn must
# fit all that was said before it, so that beyond this most tries fail.
MOST_TURNS = 20
# our choice: beyond this the definitions alone fill the context of the models that the recipes tune.
MOST_CANDIDATES = 256
SHARES = ("near_share", "everyday_share", "parallel_same", "results", "answered", "errors", "optional")


@dataclass(frozen=True)
class DialogSettings:
    """Section `generate.dialogs` of a recipe. Weights of a mapping need not sum to 1.

    Attributes:
        count: dialogs to make.
        per_tool_list: dialogs that share one list of candidate tools and one system prompt.
        candidates: number of candidate tools -> weight.
        near_share: share of the other candidates taken from the domain of the first (near misses).
        everyday_share: share of tool lists drawn from everyday documents; the rest from real cloud documents.
        system_prompts: name of a system prompt -> weight.
        types: dialog type -> weight (single, parallel, dependent, non_tool_use).
        parallel_same, non_tool_use, results, turns, answered, errors, optional: see `Mix`.
        players: who makes the dialogs: the offline builder, or agents of which `agents` says who plays them.
        llm: the server that plays; needed when `players` is llm.
        agents: see `AgentSettings`.
        guidance: the range of losses to steer dialogs into; None: dialogs are taken as they come.
    """

    count: int = 1200
    per_tool_list: int = 1
    candidates: Mapping[int, float] = field(default_factory=lambda: {1: 2, 2: 3, 3: 3, 4: 2})
    near_share: float = 0.5
    everyday_share: float = 0.8
    system_prompts: Mapping[str, float] = field(default_factory=lambda: {"default": 1})
    types: Mapping[str, float] = field(
        default_factory=lambda: {"single": 5, "parallel": 3, "dependent": 1, "non_tool_use": 2}
    )
    parallel_same: float = 0.5
    non_tool_use: Mapping[str, float] = field(default_factory=lambda: {"irrelevant": 6, "missing": 3, "chat": 1})
    results: float = 0.5
    turns: Mapping[int, float] = field(default_factory=lambda: {1: 6, 2: 3, 3: 1})
    answered: float = 0.3
    errors: float = 0.03
    optional: float = 0.4
    players: Literal["offline", "llm"] = "offline"
    llm: LlmSettings | None = None
    agents: AgentSettings = field(default_factory=AgentSettings)
    guidance: GuidanceSettings | None = None

    def check(self) -> None:
        """Raises InputError for numbers that cannot be met."""
        if self.count < 1 or self.per_tool_list < 1:
            raise InputError("count and per_tool_list must be at least 1", where="generate.dialogs", fix="Raise them.")
        for name, known in (
            ("types", DIALOG_TYPES),
            ("non_tool_use", NON_TOOL_USE),
            ("system_prompts", PROMPT_NAMES),
        ):
            for key in getattr(self, name):
                if key not in known:
                    raise unknown_key(key, known, f"generate.dialogs.{name}")
        for name in ("candidates", "types", "non_tool_use", "turns", "system_prompts"):
            weights = getattr(self, name)
            total = sum(weights.values())
            if not weights or min(weights.values()) < 0 or not 0 < total < math.inf:
                fix = "Give at least one positive weight and none below zero."
                raise InputError("weights are empty or negative", where=f"generate.dialogs.{name}", fix=fix)
        self._check_numbers()
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                fix = "Give a share from 0 to 1."
                raise InputError(f"is {getattr(self, name)}", where=f"generate.dialogs.{name}", fix=fix)
        self._check_players()

    def _check_numbers(self) -> None:
        """Of candidates and of turns: how many there may be, and that chains of two calls have two tools."""
        for name, most in (("candidates", MOST_CANDIDATES), ("turns", MOST_TURNS)):
            numbers = getattr(self, name)
            for number in (min(numbers), max(numbers)):
                if not 1 <= number <= most:
                    fix = f"Give numbers from 1 to {most}."
                    what = f"has the number {number} of {'user turns' if name == 'turns' else name}"
                    raise InputError(what, where=f"generate.dialogs.{name}", fix=fix)
        paired = any(number > 1 and weight for number, weight in self.candidates.items())
        if self.types.get("dependent") and not paired:
            fix = "Give 2 candidates or more a weight, or dependent none."
            what = "dependent dialogs need two tools, and no number of candidates above 1 has a weight"
            raise InputError(what, where="generate.dialogs.candidates", fix=fix)

    def _check_players(self) -> None:
        where = "generate.dialogs"
        self.agents.check()
        if self.guidance is not None:
            self.guidance.check()
        if self.players == "llm" and self.llm is None:
            fix = "Give base_url and model there, or set players: offline."
            raise InputError("players: llm needs a server", where=f"{where}.llm", fix=fix)

    def mix(self) -> Mix:
        """The part that the builder reads."""
        return Mix(
            self.parallel_same,
            self.non_tool_use,
            self.results,
            self.turns,
            self.answered,
            self.errors,
            self.optional,
        )


def generate(tools: Sequence[Tool], settings: DialogSettings, seed: int) -> Iterator[Dialog]:
    """Yields `settings.count` dialogs of the offline player, lists of candidate tools one after another.

    Raises:
        InputError: settings that cannot be met, or a pool from which a wanted type cannot be made.
    """
    settings.check()
    maker = Maker(tools, settings, seed)
    for plans in draw_plans(settings, seed):
        yield from maker.group(plans, Counter())


def write_offline(
    path: str | Path, tools: Sequence[Tool], settings: DialogSettings, seed: int, jobs: int = 0
) -> dict[str, Any]:
    """Writes `settings.count` dialogs of the offline player as JSON Lines, whole or not at all.

    Args:
        jobs: processes; 0: one a core when there is enough to do. The bytes are the same for any number.

    Returns:
        `{"made", "types", "redrawn", "declared", "achieved", "counted", "unmet"}`: the mix in per cent, what of it is
        not met, and how many dialogs were drawn again by the rule they fell to.

    Raises:
        InputError: as `generate`; or the file cannot be written.
    """
    settings.check()
    check_pool(tools, settings)
    achieved, redrawn = Achieved(), Counter[str]()

    def lines() -> Iterator[str]:
        with tqdm(total=settings.count, desc="dialogs", unit="dialog", disable=None) as bar:
            for piece in pieces(tools, settings, seed, jobs or _jobs(settings.count)):
                achieved.merge(piece.achieved)
                redrawn.update(piece.redrawn)
                bar.update(len(piece.lines))
                yield from piece.lines

    write_text(path, lines())
    achieved.warn(settings)
    types = {str(kind): count for kind, count in sorted(achieved.types.items())}
    return {
        "made": achieved.types.total(),
        "types": types,
        "redrawn": dict(redrawn.most_common()),
        **achieved.report(settings),
    }


# our choice: below so many dialogs, starting other processes and sending them the pool costs more than it saves.
_PARALLEL_COUNT = 6000


def _jobs(count: int) -> int:
    if count < _PARALLEL_COUNT:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
