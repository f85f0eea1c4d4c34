"""Making dialogs by their plans, in one process or several: the same bytes whatever their number.

Every dialog has a random generator of its own, seeded by the run's seed and its place, so that who makes it and when
does not matter. Each is checked by the rule layer before it is let out; one that fails is drawn again, and counted.
"""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from data_gen.dialog_generation.builder import DialogBuilder
from data_gen.dialog_generation.mix import Achieved
from data_gen.dialog_generation.plans import Plan, draw_plans, in_chunks
from data_gen.dialog_generation.prompts import prompt
from data_gen.dialog_generation.tool_lists import ToolLists
from data_gen.dialog_generation.user import askable
from data_gen.verification.rules import check
from toolace import Dialog, InputError, Tool
from toolace.rows import dumps

if TYPE_CHECKING:
    from data_gen.dialog_generation.generation import DialogSettings

# our choice: small enough that processes end together, large enough that sending costs nothing.
CHUNK = 200
# After so many tries with one list of candidates another is drawn: these may never allow this type.
_TRIES_A_LIST = 8
# our choice: 50 lists. One candidate is all that some plans have, and a tenth of the tools allow no open value: of
# 60,000 dialogs one meets five such tools in a row, none meets fifty.
_TRIES = 50 * _TRIES_A_LIST


@dataclass
class Piece:
    """What a chunk of plans became.

    Attributes:
        lines: a dialog each, as JSON text with its line break.
        achieved: counts of what they are.
        redrawn: rule of verification -> dialogs that fell to it and were drawn again; "unfit" for those that the
            candidates did not allow.
    """

    lines: list[str]
    achieved: Achieved
    redrawn: Counter[str] = field(default_factory=Counter)


class Maker:
    """Makes dialogs over one pool."""

    def __init__(self, tools: Sequence[Tool], settings: DialogSettings, seed: int) -> None:
        """Raises InputError for a pool that is empty or of which nothing can be asked."""
        # A pattern such as an account's ARN can be beyond the offline player; such a tool is never offered.
        self.lists = ToolLists([tool for tool in tools if askable(tool)], settings.near_share, seed)
        self.settings, self.seed, self.mix = settings, seed, settings.mix()

    def group(self, plans: Sequence[Plan], redrawn: Counter[str]) -> Iterator[Dialog]:
        """The dialogs of plans that share a list of candidates."""
        first = plans[0]
        rng = random.Random(f"{self.seed}/list/{first.number}")
        if any(plan.need == "dependent" for plan in plans):
            tools = self.lists.draw_linked(rng, first.candidates, first.everyday)
        else:
            place = first.place if self.lists.is_mixed else first.number // self.settings.per_tool_list
            tools = self.lists.draw(rng, first.candidates, place, first.everyday)
        for plan in plans:
            yield self.one(plan, tools, redrawn)

    def one(self, plan: Plan, tools: Sequence[Tool], redrawn: Counter[str]) -> Dialog:
        """The dialog of a plan.

        Raises:
            InputError: none can be made, whatever the candidates.
        """
        rng = random.Random(f"{self.seed}/dialog/{plan.number}/{plan.level}")
        if plan.level > 0:
            tools = self.lists.more(rng, tools, 2 * plan.level)
        elif plan.level < 0 and plan.type in ("single", "parallel"):
            tools = list(tools)[: max(len(tools) + 2 * plan.level, 1)]
        builder = DialogBuilder(rng, self.mix, self.lists, plan.level)
        meta: dict[str, Any] = {"seed": self.seed, "player": "offline"}
        if (entry := prompt(plan.prompt)) and plan.need != "no_tools":
            meta["prompt"] = entry
        turns = max(plan.turns + min(plan.level, 0), 1)
        for attempt in range(_TRIES):
            dialog = builder.build(plan.id, tools, plan.type, meta, plan.need, turns, plan.results)
            verdict = check(dialog) if dialog is not None else None
            if dialog is not None and verdict is not None and verdict.kept:
                return dialog
            redrawn[verdict.rule if verdict is not None else "unfit"] += 1
            if attempt % _TRIES_A_LIST == _TRIES_A_LIST - 1:
                draw = self.lists.draw_linked if plan.need == "dependent" else self._other_list
                tools = draw(rng, len(tools), plan.everyday)
        fix = "Lower its weight in generate.dialogs, or give a larger pool."
        kind = plan.type if plan.type == plan.need else f"{plan.type} ({plan.need})"
        raise InputError(f"no dialog of type {kind} can be made from this pool of tools", where="generate", fix=fix)

    def _other_list(self, rng: random.Random, wanted: int, everyday: bool) -> list[Tool]:
        return self.lists.draw(rng, wanted, None, everyday)

    def piece(self, groups: Sequence[Sequence[Plan]]) -> Piece:
        """A chunk of plans as text, with what came out."""
        piece = Piece([], Achieved())
        for plans in groups:
            for plan, dialog in zip(plans, self.group(plans, piece.redrawn), strict=True):
                piece.lines.append(dumps(dialog.to_json()) + "\n")
                piece.achieved.add(dialog, plan.need, plan.turns)
        return piece


_maker: list[Maker] = []


def _start(tools: Sequence[Tool], settings: DialogSettings, seed: int) -> None:
    _maker[:] = [Maker(tools, settings, seed)]


def _make(groups: Sequence[Sequence[Plan]]) -> Piece | InputError:
    try:
        return _maker[0].piece(groups)
    except InputError as error:  # it is told by the process that was asked, in one line
        return error


def pieces(tools: Sequence[Tool], settings: DialogSettings, seed: int, jobs: int) -> Iterator[Piece]:
    """All dialogs of a run, in order, by `jobs` processes; the pieces are the same for any number of them.

    Raises:
        InputError: the pool is empty, or a wanted kind of dialog cannot be made from it.
    """
    chunks = in_chunks(draw_plans(settings, seed), CHUNK)
    if jobs == 1:
        maker = Maker(tools, settings, seed)
        yield from map(maker.piece, chunks)
        return
    # A forked process would share locks with the threads of this one.
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, _start, (list(tools), settings, seed)) as pool:
        for piece in pool.imap(_make, chunks):
            if isinstance(piece, InputError):
                raise piece
            yield piece
