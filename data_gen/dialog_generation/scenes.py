"""Draws what each dialog of the agents is to be: what every user turn is after, and who the user is (paper, Sec. 2.2).

Types, turns and candidates come from the same plans and lists as those of the offline builder. `at_level` makes a scene
harder (more APIs and calls, wording further from the description) or simpler, as self-guidance asks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from data_gen.dialog_generation.agents import Aim, Scene
from data_gen.dialog_generation.generation import DialogSettings
from data_gen.dialog_generation.personas import manners, people
from data_gen.dialog_generation.plans import Plan, draw_plans
from data_gen.dialog_generation.prompts import prompt
from data_gen.dialog_generation.tool_lists import Link, ToolLists, linked
from toolace import InputError, Tool

# Tools laid by for harder levels: two a level, as the offline builder adds them.
_SPARE = 4


def draw_scenes(tools: Sequence[Tool], settings: DialogSettings, seed: int) -> list[Scene]:
    """`settings.count` scenes over a pool of tools: the same for the same seed.

    Raises:
        InputError: the pool is empty, or has no two tools for a dependent dialog when such are wanted.
    """
    draw = _Draw(tools, settings, seed)
    return [scene for plans in draw_plans(settings, seed) for scene in draw.group(plans)]


def again(scene: Scene, attempt: int) -> Scene:
    """The same scene for another attempt, with another user."""
    rng = random.Random(f"{scene.id}/{attempt}")
    return replace(scene, attempt=attempt, persona=rng.choice(people()), manner=rng.choice(manners()))


def at_level(scene: Scene, level: int) -> Scene:
    """The scene `level` steps harder (above 0) or simpler (below) than it was drawn."""
    if level == 0:
        return scene
    if level > 0:
        added = scene.spare[: 2 * level]
        tools = (*scene.tools, *added)
        aims = tuple(_with_more_calls(aim, tools, level) for aim in scene.aims)
        if scene.type == "single":  # one call a turn is what the type means: more of them take more turns
            aims += tuple(Aim("single", (tool,)) for tool in (*added, *scene.tools)[:level])
        return replace(scene, tools=tools, aims=aims, level=level)
    needed = {tool.name for aim in scene.aims[:1] for tool in aim.tools}
    others = [tool for tool in scene.tools if tool.name not in needed]
    left_out = {tool.name for tool in others[:-level]}
    tools = tuple(tool for tool in scene.tools if tool.name not in left_out) or scene.tools
    first = scene.aims[0]
    if first.kind == "parallel":
        first = replace(first, tools=first.tools[: max(2, len(first.tools) + level)])
    return replace(scene, tools=tools, aims=(first,), level=level)


def _with_more_calls(aim: Aim, tools: Sequence[Tool], level: int) -> Aim:
    if aim.kind != "parallel":
        return aim
    others = [tool for tool in tools if tool not in aim.tools] or list(aim.tools)
    return replace(aim, tools=(*aim.tools, *(others[i % len(others)] for i in range(level))))


class _Draw:
    """Makes scenes out of plans."""

    def __init__(self, tools: Sequence[Tool], settings: DialogSettings, seed: int) -> None:
        self.settings, self.seed, self.tools = settings, seed, list(tools)
        self.lists = ToolLists(self.tools, settings.near_share, seed)

    def group(self, plans: Sequence[Plan]) -> Iterator[Scene]:
        """The scenes of plans that share a list of candidates."""
        first = plans[0]
        rng = random.Random(f"{self.seed}/list/{first.number}")
        if any(plan.need == "dependent" for plan in plans):
            tools = self.lists.draw_linked(rng, first.candidates, first.everyday)
        else:
            tools = self.lists.draw(rng, first.candidates, first.place, first.everyday)
        for plan in plans:
            yield self.scene(plan, tools)

    def scene(self, plan: Plan, tools: Sequence[Tool]) -> Scene:
        """The scene of one plan."""
        rng = random.Random(f"{self.seed}/scene/{plan.number}")
        without = plan.need == "no_tools"
        meta: dict[str, Any] = {"seed": self.seed, "player": "llm"}
        if (entry := prompt(plan.prompt)) and not without:
            meta["prompt"] = entry
        names = {tool.name for tool in tools}
        more = [tool for tool in self.lists.more(rng, tools, _SPARE) if tool.name not in names]
        return Scene(
            number=plan.number,
            id=plan.id,
            type=plan.type,
            tools=() if without else tuple(tools),
            aims=self._aims(plan, tools, rng),
            persona=rng.choice(people()),
            manner=rng.choice(manners()),
            results=plan.results,
            # A first call that fails leaves nothing for the second to take.
            errors=0.0 if plan.need == "dependent" else self.settings.errors,
            spare=() if without else tuple(more),
            meta=meta,
        )

    def _aims(self, plan: Plan, tools: Sequence[Tool], rng: random.Random) -> tuple[Aim, ...]:
        """What the user turns are after; a first turn of the dialog's own kind, then what may follow on it."""
        aims = [self._aim(plan.need, tools, rng)]
        follow = ("parallel", "single") if plan.need == "parallel" else ("single",)
        for _ in range(plan.turns - 1):
            # A user who comes back wants something else, where there is something else.
            used = {tool.name for aim in aims for tool in aim.tools}
            others = [tool for tool in tools if tool.name not in used] or tools
            aims.append(self._aim(rng.choice(follow), others, rng))
        return tuple(aims)

    def _aim(self, need: str, tools: Sequence[Tool], rng: random.Random) -> Aim:
        if need == "dependent":
            first, second, member, parameter = rng.choice(_links(tools))
            return Aim("dependent", (first, second), link=(member, parameter))
        if need == "parallel":
            return Aim("parallel", self._parallel(tools, rng))
        if need == "no_tools":  # what would be asked of a candidate, were it on offer
            return Aim(need, (rng.choice(list(tools)),))
        if need == "irrelevant":
            return Aim(need, (self._stranger(tools, rng),))
        if need == "chat":
            return Aim("chat")
        lacking = [tool for tool in tools if tool.required]
        if need == "missing" and not lacking:  # nothing can be missing
            return Aim("irrelevant", (self._stranger(tools, rng),))
        if need == "missing" or (lacking and rng.random() < self.settings.answered):
            tool = rng.choice(lacking)
            return Aim("missing" if need == "missing" else "withheld", (tool,), rng.choice(tool.required))
        return Aim("single", (rng.choice(list(tools)),))

    def _parallel(self, tools: Sequence[Tool], rng: random.Random) -> tuple[Tool, ...]:
        with_values = [tool for tool in tools if tool.properties]
        if with_values and (len(tools) == 1 or rng.random() < self.settings.parallel_same):
            return (rng.choice(with_values),) * rng.choice((2, 2, 2, 3, 3, 4))
        return tuple(rng.sample(list(tools), min(len(tools), rng.choice((2, 2, 3)))))

    def _stranger(self, tools: Sequence[Tool], rng: random.Random) -> Tool:
        """A tool that is not among the candidates, of other topics than theirs where there is one."""
        names = {tool.name for tool in tools}
        far = self.lists.stranger(rng, tools)
        if far is not None:
            return far
        others = [tool for tool in self.tools if tool.name not in names]
        if not others:
            fix = "Give a larger pool, or set the weight of irrelevant to 0."
            raise InputError("all tools are candidates", where="generate.dialogs.non_tool_use", fix=fix)
        return rng.choice(others)


def _links(tools: Sequence[Tool]) -> list[Link]:
    """Ways in which one candidate can use another one's result.

    Raises:
        InputError: there are none, which means that the whole pool has none.
    """
    links = [link for a in tools for b in tools if a.domain == b.domain for link in linked(a, b)]
    if not links:
        fix = "Give tools with results (`returns`), or set types.dependent to 0."
        raise InputError("no tool can use another's result", where="generate.dialogs.types", fix=fix)
    return links
