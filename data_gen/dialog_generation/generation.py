"""SDG as a stage: a pool of tools in, `dialogs.jsonl` out, in the declared mix and the same bytes for the same seed."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from data_gen.dialog_generation.builder import DialogBuilder, Mix, linked, pick
from data_gen.dialog_generation.prompts import NAMES as PROMPT_NAMES
from data_gen.dialog_generation.prompts import prompt
from data_gen.dialog_generation.user import askable
from toolace import Dialog, InputError, Tool
from toolace.dialogs import DIALOG_TYPES
from toolace.typed import unknown_key

ATTEMPTS = 40
NON_TOOL_USE = ("irrelevant", "missing", "chat")
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
            if name in ("candidates", "turns") and min(weights) < 1:
                fix = "Give numbers from 1 up."
                raise InputError(f"has the number {min(weights)}", where=f"generate.dialogs.{name}", fix=fix)
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                fix = "Give a share from 0 to 1."
                raise InputError(f"is {getattr(self, name)}", where=f"generate.dialogs.{name}", fix=fix)

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
    """Yields `settings.count` dialogs, lists of candidate tools one after another.

    Raises:
        InputError: settings that cannot be met, or a pool from which a wanted type cannot be made.
    """
    settings.check()
    # A pattern such as an account's ARN can be beyond the offline player; such a tool is never offered.
    tools = [tool for tool in tools if askable(tool)]
    rng = random.Random(f"{seed}/dialogs")
    sampler = _ToolLists(rng, tools, settings)
    builder = DialogBuilder(rng, settings.mix(), tools)
    kinds = _schedule(settings, rng)
    made = 0
    with tqdm(total=settings.count, desc="dialogs", unit="dialog") as bar:
        while made < settings.count:
            group = [kinds[made + i] for i in range(min(settings.per_tool_list, settings.count - made))]
            candidates = sampler.draw("dependent" in group)
            name = pick(rng, settings.system_prompts)
            meta: dict[str, Any] = {"seed": seed, "player": "offline"}
            if entry := prompt(name):
                meta["prompt"] = entry
            for kind in group:
                yield _one(builder, sampler, candidates, kind, f"dialog-{made:06d}", meta)
                made += 1
                bar.update()


def _schedule(settings: DialogSettings, rng: random.Random) -> list[str]:
    """The type of each dialog: exact shares (largest remainders), in seeded order."""
    total = sum(settings.types.values())
    exact = {kind: settings.count * weight / total for kind, weight in settings.types.items()}
    counts = Counter({kind: int(share) for kind, share in exact.items()})
    short = settings.count - counts.total()
    for kind in sorted(exact, key=lambda k: (int(exact[k]) - exact[k], k))[:short]:
        counts[kind] += 1
    kinds = [kind for kind in settings.types for _ in range(counts[kind])]
    rng.shuffle(kinds)
    return kinds


def _one(
    builder: DialogBuilder, sampler: _ToolLists, tools: Sequence[Tool], kind: str, id_: str, meta: Mapping[str, Any]
) -> Dialog:
    for attempt in range(ATTEMPTS):
        dialog = builder.build(id_, tools, kind, meta)
        if dialog is not None:
            return dialog
        # These candidates may never allow this type; the declared mix is kept at the price of another list.
        if attempt % 8 == 7:
            tools = sampler.draw(kind == "dependent")
    fix = "Lower its weight in generate.dialogs.types, or give a larger pool."
    raise InputError(f"no dialog of type {kind} can be made from this pool of tools", where="generate", fix=fix)


class _ToolLists:
    """Draws lists of candidate tools: every tool is first once before any is first twice."""

    def __init__(self, rng: random.Random, tools: Sequence[Tool], settings: DialogSettings) -> None:
        if not tools:
            raise InputError("the pool of tools is empty", where="generate", fix="Run `toolace tools` first.")
        self.rng, self.tools, self.settings = rng, list(tools), settings
        self.groups = {
            True: [t for t in tools if t.id.startswith("everyday:")],
            False: [t for t in tools if not t.id.startswith("everyday:")],
        }
        self.by_domain: dict[str, list[Tool]] = defaultdict(list)
        for tool in tools:
            self.by_domain[tool.domain].append(tool)
        self.queues: dict[bool, list[Tool]] = {True: [], False: []}
        everyday = self.groups[True] or self.tools
        self.links = [link for a in everyday for b in everyday if a.domain == b.domain for link in linked(a, b)]

    def draw(self, dependent: bool = False) -> list[Tool]:
        """One list; with `dependent` it holds two tools of which the second can use the first's result."""
        everyday = self.rng.random() < self.settings.everyday_share
        if not self.groups[everyday]:
            everyday = not everyday
        if dependent and self.links:
            first, second, _, _ = self.rng.choice(self.links)
            chosen = [first, second]
        else:
            chosen = [self._next(everyday)]
        wanted = max(len(chosen), pick(self.rng, self.settings.candidates))
        for _ in range(ATTEMPTS):
            if len(chosen) >= wanted:
                break
            near = self.rng.random() < self.settings.near_share
            other = self.rng.choice(self.by_domain[chosen[0].domain] if near else self.groups[everyday])
            if other.name not in [tool.name for tool in chosen]:
                chosen.append(other)
        self.rng.shuffle(chosen)
        return chosen

    def _next(self, everyday: bool) -> Tool:
        if not self.queues[everyday]:
            self.queues[everyday] = list(self.groups[everyday])
            self.rng.shuffle(self.queues[everyday])
        return self.queues[everyday].pop()
