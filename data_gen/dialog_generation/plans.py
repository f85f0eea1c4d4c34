"""What each offline dialog is to be, drawn for the whole run before the first is made: exact shares, not luck.

A dialog that cannot be made as planned is drawn again with other tools or other words, never as another kind: so the
achieved mix is the declared one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_gen.dialog_generation.mix import exact_shares

if TYPE_CHECKING:
    from data_gen.dialog_generation.generation import DialogSettings


@dataclass(frozen=True)
class Plan:
    """One dialog to be made.

    Attributes:
        number: place in the run, from 0.
        type: the dialog type.
        need: for non_tool_use why no tool is used (irrelevant, no_tools, missing, chat); else the type.
        turns: requests of the user.
        results: whether the last calls get results and a summary.
        candidates: tools on offer; those that share a list have the number of the first.
        prompt: name of the system prompt.
        everyday: whether the first tool is an everyday one.
        place: of its list among the lists of everyday, or of other, first tools; it decides which tool that is.
        level: 0; above: harder, below: simpler, as self-guidance asks.
    """

    number: int
    type: str
    need: str
    turns: int
    results: bool
    candidates: int
    prompt: str
    everyday: bool
    place: int
    level: int = 0

    @property
    def id(self) -> str:
        """The dialog's id in its file."""
        return f"dialog-{self.number:06d}"


def draw_plans(settings: DialogSettings, seed: int) -> list[list[Plan]]:
    """Plans of `settings.count` dialogs, in groups that share one list of tools: the same for the same seed."""
    rng = random.Random(f"{seed}/plans")
    count, size = settings.count, settings.per_tool_list
    types = exact_shares(settings.types, count, rng)
    calling = sum(kind != "non_tool_use" for kind in types)
    lists = -(-count // size)
    turns = iter(exact_shares(settings.turns, calling, rng))
    results = iter(exact_shares({True: settings.results, False: 1 - settings.results}, calling, rng))
    needs = iter(exact_shares(settings.non_tool_use, count - calling, rng))
    candidates = exact_shares(settings.candidates, lists, rng)
    _give_chains_two(candidates, [types[start : start + size] for start in range(0, count, size)])
    prompts = exact_shares(settings.system_prompts, lists, rng)
    everyday = exact_shares({True: settings.everyday_share, False: 1 - settings.everyday_share}, lists, rng)
    places = [0] * lists
    seen = {True: 0, False: 0}
    for group, kind in enumerate(everyday):
        places[group] = seen[kind]
        seen[kind] += 1

    def plan(number: int) -> Plan:
        kind, group = types[number], number // size
        uses = kind != "non_tool_use"
        return Plan(
            number=number,
            type=kind,
            need=kind if uses else next(needs),
            turns=next(turns) if uses else 1,
            results=next(results) if uses else False,
            candidates=candidates[group],
            prompt=prompts[group],
            everyday=everyday[group],
            place=places[group],
        )

    plans = [plan(number) for number in range(count)]
    return [plans[start : start + size] for start in range(0, count, size)]


def _give_chains_two(candidates: list[int], groups: list[list[str]]) -> None:
    """A dependent dialog needs two tools: its list changes numbers with one that can do with fewer."""
    free = [i for i, group in enumerate(groups) if "dependent" not in group and candidates[i] > 1]
    for i, group in enumerate(groups):
        if "dependent" in group and candidates[i] < 2 and free:
            j = free.pop()
            candidates[i], candidates[j] = candidates[j], candidates[i]


def in_chunks(groups: list[list[Plan]], size: int) -> Iterator[list[list[Plan]]]:
    """Groups of plans in pieces of about `size` dialogs, in order: what one process makes at a time."""
    piece: list[list[Plan]] = []
    for group in groups:
        piece.append(group)
        if sum(map(len, piece)) >= size:
            yield piece
            piece = []
    if piece:
        yield piece
