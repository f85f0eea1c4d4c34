from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llm_double import LlmDouble
from scripted_brain import TOOLS, brain, number_of

from data_gen.dialog_generation.agents import Rejected, Wish
from data_gen.dialog_generation.generation import DialogSettings
from data_gen.dialog_generation.llm_generation import make_llm_dialogs
from data_gen.dialog_generation.offline_players import FROM_RESULT, OfflineUserPlayer
from data_gen.dialog_generation.player_settings import AgentSettings
from data_gen.dialog_generation.scenes import draw_scenes
from data_gen.verification.rules import check_all
from toolace import Dialog, InputError, read_dialogs
from toolace.formats import to_toolace
from toolace.journal import Journal
from toolace.llm_settings import LlmSettings
from toolace.rows import read_json, read_rows

NEEDS = {"irrelevant": 3, "no_tools": 2, "missing": 3, "chat": 2}


def settings(url: str, count: int = 60, **changes: Any) -> DialogSettings:
    llm = LlmSettings(base_url=url, model="double", seed=1, timeout=20)
    return replace(DialogSettings(count=count, players="llm", llm=llm, non_tool_use=NEEDS), **changes)


def make(folder: Path, given: DialogSettings, seed: int = 3, fingerprint: str = "same") -> dict[str, Any]:
    return make_llm_dialogs(folder, TOOLS, given, seed, fingerprint)


def dialogs_of(folder: Path) -> list[Dialog]:
    return list(read_dialogs(folder / "dialogs.jsonl"))


def rejected_of(folder: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(folder / "rejected_dialogs.jsonl")]


def test_a_run_gives_the_declared_mix_and_every_dialog_passes_the_rules(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        counts = make(tmp_path, settings(double.url, 110))
        assert not double.repeated()
    dialogs = dialogs_of(tmp_path)
    assert counts["made"] == len(dialogs) == 110 and [d.id for d in dialogs] == sorted(d.id for d in dialogs)
    assert [check_all(dialog) for dialog in dialogs] == [[]] * 110
    mix = read_json(tmp_path / "mix.json")
    assert mix["declared"]["types"] == mix["achieved"]["types"]
    assert mix["declared"]["non_tool_use"].keys() == mix["achieved"]["non_tool_use"].keys()
    for turns, share in mix["declared"]["turns"].items():
        assert abs(mix["achieved"]["turns"][turns] - share) < 1


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        for name in ("one", "two"):
            make(tmp_path / name, settings(double.url, 20))
    one, two = ((tmp_path / name / "dialogs.jsonl").read_bytes() for name in ("one", "two"))
    assert one == two


def test_what_a_model_is_trained_on_says_nothing_of_the_type_or_the_kind_of_request(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        make(tmp_path, settings(double.url, 60))
    label = re.compile(r"non_tool_use|no_tools|withheld|irrelevant|chit-?chat|\bdependent|\bparallel|\bpersona", re.I)
    for dialog in dialogs_of(tmp_path):
        row = to_toolace(dialog)
        shown = json.dumps(row["conversations"]) + row["system"].split("[{", 1)[0]
        assert not label.search(shown), (dialog.id, shown)


PLAYERS = [
    ("llm", "llm", "offline", {"user", "assistant"}),
    ("offline", "llm", "llm", {"assistant", "tool"}),
    ("llm", "offline", "llm", {"user", "tool"}),
    ("llm", "offline", "offline", {"user"}),
    ("offline", "offline", "llm", {"tool"}),
    ("offline", "offline", "offline", set()),
]


@pytest.mark.parametrize(("user", "assistant", "tool", "asking"), PLAYERS)
def test_each_role_can_have_either_player(
    tmp_path: Path, user: Any, assistant: Any, tool: Any, asking: set[str]
) -> None:
    agents = AgentSettings(user=user, assistant=assistant, tool=tool, attempts=1)
    types = {"single": 3, "parallel": 1, "dependent": 1}
    given = settings("http://127.0.0.1:1", 40, agents=agents, types=types, turns={1: 1}, answered=0.0)
    wishes = asyncio.run(offline_wishes(given)) if user == "offline" else {}
    with LlmDouble(lambda body: knowing(body, wishes)) as double:
        assert given.llm is not None
        counts = make(tmp_path, replace(given, llm=replace(given.llm, base_url=double.url)))
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert set(journal.totals()) == asking
    made = dialogs_of(tmp_path)
    assert counts["made"] >= 30 and {dialog.type for dialog in made} >= {"single", "parallel"}
    assert not any(check_all(dialog) for dialog in made)


async def offline_wishes(given: DialogSettings) -> dict[str, Wish]:
    """What the offline users will ask, by their words."""
    wishes = {}
    for scene in draw_scenes(TOOLS, given, 3):
        with contextlib.suppress(Rejected):
            wish = await OfflineUserPlayer(given.optional).ask(scene, scene.aims[0], [])
            wishes[wish.text] = wish
    return wishes


def knowing(body: dict[str, Any], wishes: dict[str, Wish]) -> str | list[str]:
    """The brain; it cannot read the offline user's English, so it is told what each sentence means."""
    said = body["messages"][1]["content"]
    wish = wishes.get(said.split("\nUSER: ")[1].split("\n")[0]) if "\nUSER: " in said else None
    if wish is None or body["response_format"]["json_schema"]["name"] != "assistant_decision":
        return brain(body)
    thinking = {"tool_needed": True, "tools": [], "required_missing": [], "optional_given": [], "order": "one"}
    made = said.count("ASSISTANT CALLS")
    if made == len(wish.steps):
        result = said.rsplit("\nTOOL ", 1)[1].split("\n")[0].partition(": ")[2]
        reply = f"In case {number_of(body)} it is {result.strip('{}')}."
        return json.dumps({"thinking": thinking, "action": "summarise", "calls": [], "reply": reply})
    calls = [call.to_json() for call in wish.steps[made]]
    for call in calls:
        for name, value in call["arguments"].items():
            if str(value).startswith(FROM_RESULT):
                result = json.loads(said.rsplit("\nTOOL ", 1)[1].split("\n")[0].partition(": ")[2])
                call["arguments"][name] = result[value.removeprefix(FROM_RESULT)]
    return json.dumps({"thinking": thinking, "action": "call", "calls": calls, "reply": ""})


def test_a_dependent_dialog_takes_a_later_argument_out_of_an_earlier_result(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        make(tmp_path, settings(double.url, 12, types={"dependent": 1}, errors=0.0, turns={1: 1}))
    for dialog in dialogs_of(tmp_path):
        calling = [message for message in dialog.messages if message.calls]
        result = json.loads(next(m.content for m in dialog.messages if m.role == "tool"))
        taken = set(map(str, calling[1].calls[0].arguments.values())) & set(map(str, result.values()))
        assert taken and not any(value in dialog.messages[0].content for value in taken if len(value) > 1)


def test_a_dependent_dialog_whose_assistant_makes_the_value_up_is_rejected_with_the_reason(tmp_path: Path) -> None:
    def inventive(body: dict[str, Any]) -> str | list[str]:
        answer = json.loads(str(brain(body)))
        for call in answer.get("calls", ()):
            for name, value in call["arguments"].items():
                if str(value).startswith("Q"):
                    call["arguments"][name] = "ZX-99999"
        return json.dumps(answer)

    with LlmDouble(inventive) as double:
        given = settings(double.url, 6, types={"dependent": 1}, errors=0.0, turns={1: 1})
        with pytest.raises(InputError, match="no dialog could be kept"):
            make(tmp_path, given)
    rows = rejected_of(tmp_path)
    assert len(rows) == 12 and {row["verdict"]["rule"] for row in rows} <= {"grounding.value", "grounding.dependent"}
    assert all("ZX-99999" in json.dumps(row["messages"]) for row in rows)


def test_errors_come_at_the_set_rate_and_are_recovered_from(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        changes = {"types": {"single": 1}, "results": 1.0, "errors": 0.4}
        make(tmp_path, settings(double.url, 60, **changes))
    results = [m.content for d in dialogs_of(tmp_path) for m in d.messages if m.role == "tool"]
    share = sum(content.startswith('{"error":') for content in results) / len(results)
    assert 0.3 < share < 0.5


def test_server_faults_and_bad_answers_lose_no_dialog_and_are_asked_again_once_at_most(tmp_path: Path) -> None:
    faults = {"500": 0.03, "dropped": 0.02, "bad_json": 0.05}
    with LlmDouble(brain, faults=faults, seed=4) as double:
        counts = make(tmp_path, settings(double.url, 80))
    keys = {row["id"] for _, row in read_rows(tmp_path / "dialogs.log.jsonl") if row["id"]}
    assert len(keys) == 80 == counts["made"] + counts["not_made"] and counts["made"] >= 78
    ids = [dialog.id for dialog in dialogs_of(tmp_path)]
    assert len(ids) == len(set(ids)) == counts["made"]
    assert all(row["verdict"]["rule"] and row["verdict"]["evidence"] for row in rejected_of(tmp_path))
    repairs = [body for body in double.bodies.values() if len(body["messages"]) > 2]
    assert repairs and max(len(body["messages"]) for body in repairs) == 4


def test_a_dialog_whose_calls_are_always_refused_takes_no_other_down(tmp_path: Path) -> None:
    def refused(body: dict[str, Any], times: int) -> str:
        return "400" if "Rents a car" in json.dumps(body) else ""

    with LlmDouble(brain, faults=refused) as double:
        counts = make(tmp_path, settings(double.url, 40))
    rows = rejected_of(tmp_path)
    assert counts["made"] + counts["not_made"] == 40 and counts["made"] > 5 and counts["not_made"] > 5
    assert {row["verdict"]["rule"] for row in rows} == {"llm.call_failed"}
    assert len(rows) == 2 * counts["not_made"]  # both attempts are kept with their reason
    assert all("400" in row["verdict"]["evidence"] for row in rows)


def test_a_spent_budget_ends_the_run_with_what_is_finished_and_the_next_one_goes_on(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        given = settings(double.url, 30, agents=AgentSettings(concurrency=5))
        assert given.llm is not None
        with pytest.raises(InputError, match=r"stopped .*Run the same command again") as stopped:
            make(tmp_path, replace(given, llm=replace(given.llm, max_calls=60)))
        finished = dialogs_of(tmp_path)
        assert 0 < len(finished) < 30 and f"{len(finished)} of 30" in str(stopped.value)
        assert make(tmp_path, given)["made"] == 30
        assert not double.repeated()
    assert {d.id: d.to_json() for d in dialogs_of(tmp_path)}.items() >= {d.id: d.to_json() for d in finished}.items()


def test_a_changed_recipe_makes_the_dialogs_anew_and_asks_only_what_is_new(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        make(tmp_path, settings(double.url, 20), fingerprint="one")
        before, calls = dialogs_of(tmp_path), double.calls
        make(tmp_path, settings(double.url, 20), fingerprint="two")
        assert double.calls == calls and dialogs_of(tmp_path) == before
        make(tmp_path, settings(double.url, 20, types={"non_tool_use": 1}), fingerprint="three")
    assert {dialog.type for dialog in dialogs_of(tmp_path)} == {"non_tool_use"}


def dissenting(every: int) -> Callable[[dict[str, Any]], str | list[str]]:
    """One of the three samples of a call has other arguments; in one of `every` requests all three differ."""

    def answer(body: dict[str, Any]) -> str | list[str]:
        samples = [json.loads(str(brain(body))) for _ in range(int(body.get("n", 1)))]
        if len(samples) == 3 and samples[0]["calls"] and number_of(body) % every == 0:
            samples[1].update(action="ask", calls=[], reply="Which one should it be?")
            samples[2].update(action="answer", calls=[], reply="I would rather not do that.")
        elif len(samples) == 3:
            for call in samples[0]["calls"]:
                call["arguments"].update({k: 1 + v % 9 for k, v in call["arguments"].items() if isinstance(v, int)})
        return [json.dumps(sample) for sample in samples]

    return answer


CALLS_WITH_NUMBERS = {"types": {"single": 1}, "answered": 0.0, "errors": 0.0, "results": 1.0, "turns": {2: 1}}


def test_the_decision_of_the_majority_is_taken(tmp_path: Path) -> None:
    with LlmDouble(dissenting(10**9)) as double:
        make(tmp_path, settings(double.url, 20, **CALLS_WITH_NUMBERS))
    made = dialogs_of(tmp_path)
    assert len(made) == 20 and not any(check_all(dialog) for dialog in made)
    votes = [share for dialog in made for share in dialog.meta["votes"]]
    assert set(votes) == {0.667, 1.0} and not any("masked" in dialog.meta for dialog in made)


def test_a_turn_on_which_the_samples_disagree_is_dropped_or_masked_as_the_recipe_says(tmp_path: Path) -> None:
    made = {}
    for way in ("drop", "mask"):
        agents = AgentSettings(disagreement=way, attempts=1)  # type: ignore[arg-type]
        with LlmDouble(dissenting(3)) as double:
            make(tmp_path / way, settings(double.url, 40, agents=agents, **CALLS_WITH_NUMBERS))
        made[way] = dialogs_of(tmp_path / way)
    reasons = {row["verdict"]["rule"] for row in rejected_of(tmp_path / "drop")}
    assert reasons == {"votes.disagree"}  # of those whose first turn was dropped
    assert {sum(m.role == "user" for m in d.messages) for d in made["drop"]} == {1, 2}
    assert len(made["mask"]) == 40 > len(made["drop"])
    masked = [dialog for dialog in made["mask"] if "masked" in dialog.meta]
    assert len(masked) > 10
    for dialog in masked:
        assert all(dialog.messages[i].role == "assistant" for i in dialog.meta["masked"])
        low = [share for share in dialog.meta["votes"] if share < 0.6]
        assert len(low) == len(dialog.meta["masked"])


def test_a_result_that_does_not_fit_the_definition_is_asked_for_again_and_then_rejected(tmp_path: Path) -> None:
    def careless(body: dict[str, Any]) -> str | list[str]:
        answer = json.loads(str(brain(body)))
        if body["response_format"]["json_schema"]["name"] == "tool_results" and len(body["messages"]) == 2:
            answer = {key: {"surprise": 1} for key in answer}
        return json.dumps(answer)

    with LlmDouble(careless) as double:
        counts = make(tmp_path, settings(double.url, 10, types={"single": 1}, results=1.0, errors=0.0))
        assert counts["made"] == 10 and sum(len(b["messages"]) == 4 for b in double.bodies.values()) >= 10
    assert not any("surprise" in json.dumps(dialog.to_json()["messages"]) for dialog in dialogs_of(tmp_path))


def test_each_dialog_says_what_it_cost(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        make(tmp_path, settings(double.url, 15))
    with Journal(tmp_path / "journal.sqlite") as journal:
        totals = journal.totals().values()
    costs = [dialog.meta["cost"] for dialog in dialogs_of(tmp_path)]
    costs += [row["meta"]["cost"] for row in rejected_of(tmp_path)]
    assert sum(cost["calls"] for cost in costs) == sum(total["calls"] for total in totals)
    assert sum(c["tokens"] for c in costs) == sum(t["prompt_tokens"] + t["completion_tokens"] for t in totals)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"llm": None}, "players: llm needs a server"),
        ({"agents": AgentSettings(samples=0)}, "agents.samples"),
        ({"agents": AgentSettings(agreement=1.5)}, "agents.agreement"),
    ],
)
def test_settings_that_cannot_be_met_are_told_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        replace(settings("http://127.0.0.1:1"), **changes).check()
