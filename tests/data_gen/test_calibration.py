from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pools import everyday_pool

from data_gen.dialog_generation import complexity_figures
from data_gen.dialog_generation.calibration import bounds, figures, prior_set, training_recipe
from data_gen.dialog_generation.complexity import Loss
from data_gen.dialog_generation.complexity_figures import calls_used, relations
from data_gen.dialog_generation.generation import DialogSettings
from data_gen.dialog_generation.guided_offline import write_guided
from data_gen.dialog_generation.player_settings import GuidanceSettings
from toolace import Dialog, InputError, read_dialogs
from toolace.launch import is_recipe
from toolace.recipe import load_recipe
from toolace.rows import read_json

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = DialogSettings(count=60, candidates={1: 1, 2: 1, 4: 1}, turns={1: 2, 2: 1}, everyday_share=1.0)


def losses(*values: float) -> list[Loss]:
    return [Loss(str(i), value, 5) for i, value in enumerate(values)]


def before(*pairs: tuple[float, bool]) -> list[tuple[Loss, bool]]:
    return [(Loss(str(i), loss, 5), right) for i, (loss, right) in enumerate(pairs)]


def test_the_range_goes_from_what_is_mastered_to_what_is_not_learnt() -> None:
    first = before((0.1, True), (0.3, True), *[(1.0 + i / 10, False) for i in range(17)], (5.0, False))
    after = losses(*[0.1] * 19, 4.0)
    found = bounds(first, after)
    assert found.low == pytest.approx(0.2) and (found.right, found.prior, found.high_after) == (2, 20, 2)
    # The two that stay highest: the last, and the first of those that are equal.
    assert found.high == pytest.approx((5.0 + 0.1) / 2)


def test_a_model_that_gets_nothing_right_finds_nothing_too_easy() -> None:
    found = bounds(before((1.0, False), (3.0, False)), losses(0.2, 2.0))
    assert (found.low, found.high, found.right) == (0.0, 3.0, 0)


def test_bounds_that_leave_no_range_are_bad_input() -> None:
    with pytest.raises(InputError, match="more varied prior set"):
        bounds(before((2.0, True), (1.0, False)), losses(0.1, 0.9))


def test_the_prior_set_spreads_over_the_levels() -> None:
    dialogs = prior_set(everyday_pool()[0], SETTINGS, 3)
    assert len(dialogs) == 60 == len({dialog.id for dialog in dialogs})

    def mean(level: int) -> float:
        chosen = dialogs[level::4]
        return sum(len(dialog.tools) for dialog in chosen) / len(chosen)

    assert mean(1) + 1 < mean(2) < mean(3)  # places 1, 2, 3 have the levels 0, 1, 2


def test_the_tuning_recipe_is_the_recipe_s_own_training_on_the_prior_set(tmp_path: Path) -> None:
    recipe = load_recipe(ROOT / "recipes/smollm2_135m.yaml")
    (tmp_path / "tuning.yaml").write_text(training_recipe(recipe, tmp_path))
    found = load_recipe(tmp_path / "tuning.yaml")
    assert is_recipe(str(tmp_path / "tuning.yaml")) and not found.has("generate")
    for section in ("model", "lora", "train"):
        assert found.mapping(section) == recipe.mapping(section)
    assert found.mapping("data") == {**recipe.mapping("data"), "files": [str(tmp_path / "prior.jsonl")]}
    assert found.out == tmp_path / "tuned" and found.seed == recipe.seed


def test_figure_2_s_relations_are_means_over_the_dialogs_that_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complexity_figures, "dissimilarities", lambda dialogs: [len(d.id) / 10 for d in dialogs])
    dialogs = prior_set(everyday_pool()[0], SETTINGS, 3)
    found = figures(tmp_path, dialogs, [float(calls_used(dialog)) for dialog in dialogs])
    calling = [dialog for dialog in dialogs if calls_used(dialog)]
    for name in ("candidates", "calls", "dissimilarity"):
        assert sum(point["n"] for point in found[name]) == len(calling)
    assert all(point["loss"] == point["x"] for point in found["calls"])
    assert read_json(tmp_path / "relations.json") == json.loads(json.dumps(found))
    svg = ElementTree.fromstring((tmp_path / "relations.svg").read_text())
    circles = svg.findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == sum(map(len, found.values()))
    assert (tmp_path / "relations.md").read_text().count("\n") == 2 + len(circles)


def test_a_set_in_which_nothing_is_called_has_no_relations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complexity_figures, "dissimilarities", lambda dialogs: [])
    assert relations([], []) == {"candidates": [], "calls": [], "dissimilarity": []}


class ByCalls:
    """A scorer that finds many calls and candidates hard."""

    identity = "by calls"

    def score(self, dialogs: Any) -> list[float]:
        return [0.2 * calls_used(d) + 0.1 * len(d.tools) + 0.001 * len(d.messages[0].content) for d in dialogs]


def guided(folder: Path, **changes: Any) -> tuple[dict[str, Any], list[Dialog]]:
    guidance = replace(GuidanceSettings(low=0.75, high=1.6, rounds=3), **changes)
    settings = replace(SETTINGS, types={"single": 2, "parallel": 1}, guidance=guidance)
    counts = write_guided(folder, everyday_pool()[0], settings, 5, ByCalls())
    return counts, list(read_dialogs(folder / "dialogs.jsonl"))


def test_guidance_moves_most_dialogs_into_the_range_and_tells_its_rounds(tmp_path: Path) -> None:
    counts, dialogs = guided(tmp_path)
    told = counts["guidance"]
    assert told["were_outside"] > 15 and told["moved_into_range"] >= 0.8 * told["were_outside"]
    scores = ByCalls().score(dialogs)
    for dialog, score in zip(dialogs, scores, strict=True):
        noted = dialog.meta["guidance"]
        assert noted["loss"] == pytest.approx(score, abs=1e-3) and 1 <= len(noted["rounds"]) <= 4
    assert len(dialogs) == 60 and counts["made"] == 60


def test_the_same_seed_guides_to_the_same_bytes(tmp_path: Path) -> None:
    guided(tmp_path / "a")
    guided(tmp_path / "b")
    assert (tmp_path / "a/dialogs.jsonl").read_bytes() == (tmp_path / "b/dialogs.jsonl").read_bytes()


def test_what_stays_outside_can_be_dropped(tmp_path: Path) -> None:
    counts, dialogs = guided(tmp_path, rounds=1, outside="drop")
    told = counts["guidance"]
    assert len(dialogs) == 60 - (told["were_outside"] - told["moved_into_range"]) < 60


def test_a_range_in_which_nothing_lies_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dialog is in the range"):
        guided(tmp_path, low=100.0, high=101.0, rounds=1, outside="drop")
