from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llm_double import LlmDouble
from scripted_brain import TOOLS, brain

from data_gen.dialog_generation.generation import DialogSettings
from data_gen.dialog_generation.llm_generation import make_llm_dialogs
from data_gen.dialog_generation.player_settings import GuidanceSettings
from data_gen.dialog_generation.self_guided import Guidance, histogram
from toolace import Dialog, InputError, Message, read_dialogs
from toolace.llm_settings import LlmSettings
from toolace.rows import read_json, read_rows


class ByLength:
    """A scorer that finds dialogs with more calls and candidates harder, as Figure 2 says of a model."""

    identity = "by length"

    def __init__(self) -> None:
        self.scored = 0

    def score(self, dialogs: Sequence[Dialog]) -> list[float]:
        self.scored += len(dialogs)
        return [0.2 * sum(len(m.calls) for m in d.messages) + 0.05 * len(d.tools) for d in dialogs]


def settings(low: float, high: float, **changes: Any) -> GuidanceSettings:
    return GuidanceSettings(low, high, **changes)


def dialog_of(id_: str, calls: int) -> Dialog:
    return Dialog(id_, "single", (), (Message("user", f"{id_} {calls}"),) * (calls + 1), {})


class Steps:
    """A maker whose dialogs get one turn longer a level, and a scorer of turns."""

    identity = "steps"

    def __init__(self, starts: Mapping[str, int]) -> None:
        self.starts = starts
        self.made: list[tuple[str, int]] = []

    def make(self, levels: Mapping[str, int]) -> dict[str, Dialog]:
        self.made += levels.items()
        return {id_: dialog_of(id_, self.starts[id_] + level) for id_, level in levels.items()}

    def score(self, dialogs: Sequence[Dialog]) -> list[float]:
        return [len(dialog.messages) / 10 for dialog in dialogs]


def test_dialogs_below_the_range_are_made_harder_and_those_above_it_simpler(tmp_path: Path) -> None:
    steps = Steps({"low": 2, "inside": 4, "high": 7})
    guided = Guidance(settings(0.4, 0.6, rounds=3), steps, tmp_path).guide(list(steps.starts), steps.make)
    assert {id_: (result.level, result.inside) for id_, result in guided.items()} == {
        "low": (1, True), "inside": (0, True), "high": (-2, True),
    }  # fmt: skip
    assert [round_["asked"] for round_ in guided["high"].rounds] == ["simpler", "simpler", ""]
    assert [round_["loss"] for round_ in guided["low"].rounds] == [0.3, 0.4]
    assert ("inside", 1) not in steps.made and ("inside", -1) not in steps.made


def test_rounds_are_bounded_and_the_version_nearest_to_the_range_is_taken(tmp_path: Path) -> None:
    steps = Steps({"far": 1})
    guided = Guidance(settings(0.9, 1.0, rounds=2), steps, tmp_path).guide(["far"], steps.make)
    assert [level for _, level in steps.made] == [0, 1, 2]
    assert (guided["far"].level, guided["far"].loss, guided["far"].inside) == (2, 0.4, False)


def test_a_dialog_that_jumps_over_the_range_is_not_sent_back_and_forth(tmp_path: Path) -> None:
    class Jumping(Steps):
        def score(self, dialogs: Sequence[Dialog]) -> list[float]:
            return [0.1 if len(dialog.messages) <= 4 else 1.5 for dialog in dialogs]

    steps = Jumping({"a": 3})
    guided = Guidance(settings(0.4, 0.6, rounds=5), steps, tmp_path).guide(["a"], steps.make)
    assert [level for _, level in steps.made] == [0, 1]
    assert (guided["a"].level, guided["a"].loss, guided["a"].inside) == (0, 0.1, False)  # the nearer of the two


def test_a_version_that_cannot_be_made_leaves_the_one_before(tmp_path: Path) -> None:
    class Failing(Steps):
        def make(self, levels: Mapping[str, int]) -> dict[str, Dialog]:
            return {id_: d for id_, d in super().make(levels).items() if levels[id_] == 0}

    steps = Failing({"a": 1, "b": 4})
    guided = Guidance(settings(0.4, 0.6), steps, tmp_path).guide(["a", "b"], steps.make)
    assert guided["a"].level == 0 and not guided["a"].inside and guided["b"].inside


def test_histograms_before_and_after_and_the_counts_of_each_round_are_written(tmp_path: Path) -> None:
    steps = Steps({"low": 2, "inside": 4, "high": 7, "out": 40})
    Guidance(settings(0.4, 0.6, rounds=2), steps, tmp_path).guide(list(steps.starts), steps.make)
    found = read_json(tmp_path / "guidance.json")
    assert (found["before"]["below"], found["before"]["inside"], found["before"]["above"]) == (1, 1, 2)
    assert (found["after"]["below"], found["after"]["inside"], found["after"]["above"]) == (0, 3, 1)
    assert found["before"]["counts"] == {"0.3": 1, "0.5": 1, "0.8": 1, "4.1": 1}
    assert found["moved_into_range"] == 2 and found["were_outside"] == 3
    assert [round_["made"] for round_ in found["rounds"]] == [4, 3, 2]


def test_a_histogram_counts_every_loss_once() -> None:
    losses = [0.0, 0.05, 0.1, 0.3, 0.31, 2.0]
    assert histogram(losses) == {"0.0": 2, "0.1": 1, "0.3": 2, "2.0": 1}


@pytest.mark.parametrize("losses", [[], [math.nan, 0.5]])
def test_a_scorer_that_cannot_score_is_an_error_and_no_silence(tmp_path: Path, losses: list[float]) -> None:
    class Broken(Steps):
        def score(self, dialogs: Sequence[Dialog]) -> list[float]:
            return losses

    steps = Broken({"a": 3, "b": 4})
    with pytest.raises(InputError, match="the scorer gave"):
        Guidance(settings(0.4, 0.6), steps, tmp_path).guide(["a", "b"], steps.make)


@pytest.mark.parametrize("loss", [math.inf, math.nan])
def test_a_loss_that_is_no_number_names_its_dialog(tmp_path: Path, loss: float) -> None:
    class Overflowing(Steps):
        def score(self, dialogs: Sequence[Dialog]) -> list[float]:
            return [loss if dialog.id == "b" else 0.5 for dialog in dialogs]

    steps = Overflowing({"a": 3, "b": 4})
    with pytest.raises(InputError, match=f"^b: the scorer gave the loss {loss}"):
        Guidance(settings(0.4, 0.6), steps, tmp_path).guide(["a", "b"], steps.make)


def test_losses_of_another_scorer_are_not_taken_for_those_of_this_one(tmp_path: Path) -> None:
    class Model(Steps):
        def __init__(self, identity: str, loss: float) -> None:
            super().__init__({"a": 3, "b": 4})
            self.identity, self.loss, self.scored = identity, loss, 0

        def score(self, dialogs: Sequence[Dialog]) -> list[float]:
            self.scored += len(dialogs)
            return [self.loss] * len(dialogs)

    found = []
    for scorer in (Model("A", 0.5), Model("B", 9.0), Model("A", 7.0)):
        guided = Guidance(settings(0.4, 0.6, rounds=1), scorer, tmp_path).guide(["a", "b"], scorer.make)
        found.append((scorer.scored, guided["a"].loss, guided["a"].inside))
    assert found == [(2, 0.5, True), (4, 9.0, False), (0, 0.5, True)]


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.5), (-1, 1), (1, 0.5), (math.nan, 1)])
def test_a_range_that_holds_nothing_is_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match="the range is"):
        settings(low, high).check()


def guided_run(url: str, folder: Path, scorer: ByLength | None, **changes: Any) -> dict[str, Any]:
    given = DialogSettings(
        count=40, players="llm", llm=LlmSettings(base_url=url, model="double", seed=1), results=1.0, errors=0.0,
        answered=0.0, types={"single": 1, "parallel": 1}, turns={1: 1},
        guidance=replace(settings(0.45, 0.9), **changes),
    )  # fmt: skip
    return make_llm_dialogs(folder, TOOLS, given, 3, "same", scorer)


def test_guidance_moves_most_dialogs_of_a_run_into_the_range(tmp_path: Path) -> None:
    scorer = ByLength()
    with LlmDouble(brain) as double:
        guided_run(double.url, tmp_path, scorer)
        assert not double.repeated()
        found = read_json(tmp_path / "guidance.json")
        assert found["were_outside"] >= 15 and found["moved_into_range"] >= 0.8 * found["were_outside"]
        dialogs = list(read_dialogs(tmp_path / "dialogs.jsonl"))
        assert len(dialogs) == len({dialog.id for dialog in dialogs}) == 40
        for dialog in dialogs:
            rounds = dialog.meta["guidance"]["rounds"]
            taken = next(r for r in rounds if r["level"] == dialog.meta.get("level", 0))
            assert taken["loss"] == round(ByLength().score([dialog])[0], 4)
        before, scored = (tmp_path / "dialogs.jsonl").read_bytes(), scorer.scored
        guided_run(double.url, tmp_path, scorer)
        assert scorer.scored == scored  # losses are kept too
    assert (tmp_path / "dialogs.jsonl").read_bytes() == before


def test_dialogs_that_stay_outside_can_be_dropped_and_are_kept_with_the_reason(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        counts = guided_run(double.url, tmp_path, ByLength(), low=0.85, rounds=1, outside="drop")
    rejected = [row for _, row in read_rows(tmp_path / "rejected_dialogs.jsonl")]
    outside = [row for row in rejected if row["verdict"]["rule"] == "guidance.outside"]
    assert counts["made"] + len(outside) == 40 and outside
    assert all("wanted 0.85 to 0.9" in row["verdict"]["evidence"] for row in outside)


def test_guidance_without_a_scorer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="guidance has no scorer"):
        guided_run("http://127.0.0.1:1", tmp_path, None)
