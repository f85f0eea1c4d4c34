from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from scripted_brain import TOOLS, tool

from data_gen.dialog_generation.agents import Aim, Scene
from data_gen.dialog_generation.generation import DialogSettings
from data_gen.dialog_generation.mix import exact_shares
from data_gen.dialog_generation.personas import wording
from data_gen.dialog_generation.scenes import again, at_level, draw_scenes
from data_gen.dialog_generation.tool_lists import linked
from toolace import InputError, Tool
from toolace.llm_settings import LlmSettings

BY_NAME = {tool.name: tool for tool in TOOLS}


def settings(count: int = 400, **changes: Any) -> DialogSettings:
    needs = {"irrelevant": 3, "no_tools": 2, "missing": 3, "chat": 2}
    llm = LlmSettings("http://127.0.0.1:1", "double")
    return DialogSettings(count=count, players="llm", llm=llm, **{"non_tool_use": needs, **changes})


def test_scenes_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    assert draw_scenes(TOOLS, settings(50), 1) == draw_scenes(TOOLS, settings(50), 1)
    assert draw_scenes(TOOLS, settings(50), 1) != draw_scenes(TOOLS, settings(50), 2)


def test_types_turns_and_kinds_of_non_tool_use_come_in_the_declared_shares() -> None:
    scenes = draw_scenes(TOOLS, settings(1100), 1)
    assert Counter(s.type for s in scenes) == {"single": 500, "parallel": 300, "dependent": 100, "non_tool_use": 200}
    kinds = Counter(s.aims[0].kind for s in scenes if s.type == "non_tool_use")
    assert kinds == {"irrelevant": 60, "no_tools": 40, "missing": 60, "chat": 40}
    assert Counter(len(s.aims) for s in scenes if s.type != "non_tool_use") == {1: 540, 2: 270, 3: 90}


def test_every_tool_is_offered_and_the_aims_are_about_tools_on_offer() -> None:
    scenes = draw_scenes(TOOLS, settings(100), 1)
    assert {tool.name for scene in scenes for tool in scene.tools} == set(BY_NAME)
    for scene in scenes:
        offered = {tool.name for tool in scene.tools}
        for aim in scene.aims:
            names = {tool.name for tool in aim.tools}
            assert not names & offered if aim.kind in ("irrelevant", "no_tools") else names <= offered
            assert not aim.left_out or aim.left_out in aim.tools[0].required
        assert bool(scene.tools) == (scene.aims[0].kind != "no_tools")


def test_a_dependent_aim_has_a_result_that_the_second_call_can_take() -> None:
    for scene in draw_scenes(TOOLS, settings(60, types={"dependent": 1}), 1):
        first, second = scene.aims[0].tools
        assert (first, second, *scene.aims[0].link) in linked(first, second)


def test_a_pool_without_links_or_without_tools_is_told_in_one_line() -> None:
    lonely: list[Tool] = [BY_NAME["set_lamp"], BY_NAME["rent_car"]]
    with pytest.raises(InputError, match=r"no tool can use another's result"):
        draw_scenes(lonely, settings(20), 1)
    with pytest.raises(InputError, match="pool of tools is empty"):
        draw_scenes([], settings(20), 1)


@pytest.mark.parametrize("count", [1, 7, 100, 999])
def test_exact_shares_are_never_off_by_one_or_more(count: int) -> None:
    import random

    weights = {"a": 5, "b": 3, "c": 1, "d": 2}
    counts = Counter(exact_shares(weights, count, random.Random(0)))
    assert sum(counts.values()) == count
    assert all(abs(counts[key] - count * weight / 11) < 1 for key, weight in weights.items())


def calls_wanted(scene: Scene) -> int:
    return sum(len(aim.tools) for aim in scene.aims)


@pytest.mark.parametrize("kind", ["single", "parallel"])
def test_a_harder_scene_has_more_candidates_and_calls_and_a_simpler_one_fewer(kind: str) -> None:
    base = [s for s in draw_scenes(TOOLS, settings(80), 3) if s.type == kind]
    for scene in base:
        harder, hardest, simpler = at_level(scene, 1), at_level(scene, 2), at_level(scene, -1)
        assert calls_wanted(scene) < calls_wanted(harder) < calls_wanted(hardest)
        assert len(scene.tools) <= len(harder.tools) <= len(hardest.tools)
        assert calls_wanted(simpler) <= calls_wanted(scene) and len(simpler.tools) <= len(scene.tools)
        assert len({scene.key, harder.key, hardest.key, simpler.key}) == 4 and harder.id == scene.id
        names = [tool.name for tool in hardest.tools]
        assert len(names) == len(set(names))
        assert {tool.name for aim in simpler.aims for tool in aim.tools} <= {tool.name for tool in simpler.tools}
    assert any(len(at_level(scene, 1).tools) > len(scene.tools) for scene in base)


def test_wording_goes_further_from_the_description_as_levels_rise() -> None:
    assert len({wording(level) for level in (-2, -1, 0, 1, 2)}) == 5
    assert wording(7) == wording(2) and wording(-7) == wording(-2)


def test_another_attempt_has_another_draw() -> None:
    scene = Scene(4, "dialog-000004", "single", TOOLS[:1], (Aim("single", TOOLS[:1]),), "someone", "somehow")
    tried = again(scene, 1)
    assert tried.draw != scene.draw and tried.rng("x").random() != scene.rng("x").random()
    assert tried.key == scene.key and tried.tools == scene.tools


def test_tools_of_one_list_are_shared_by_as_many_dialogs_as_the_recipe_says() -> None:
    scenes = draw_scenes(TOOLS, settings(40, per_tool_list=4, non_tool_use={"missing": 1}), 1)
    for i in range(0, 40, 4):
        assert len({tuple(t.name for t in scene.tools) for scene in scenes[i : i + 4]}) == 1


def test_a_tool_without_required_parameters_is_never_asked_for_without_one() -> None:
    free = tool("ping", "Pings the server", "ops", {}, {"status": {"type": "string"}})
    scenes = draw_scenes([free, *TOOLS], settings(60, types={"non_tool_use": 1}, non_tool_use={"missing": 1}), 1)
    for scene in scenes:
        assert scene.aims[0].kind == "irrelevant" or scene.aims[0].left_out
