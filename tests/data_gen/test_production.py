from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pools import everyday_pool, mixed_pool

from data_gen.dialog_generation import production
from data_gen.dialog_generation.examples import examples, varied
from data_gen.dialog_generation.generation import DialogSettings, write_offline
from data_gen.dialog_generation.leads import PLAIN, openers
from data_gen.dialog_generation.plans import draw_plans, in_chunks
from data_gen.dialog_generation.production import Maker
from data_gen.dialog_generation.tasks import tasks
from data_gen.dialog_generation.tool_lists import ToolLists, linked
from data_gen.dialog_generation.user import OfflineUser
from data_gen.verification.rules import check
from toolace import InputError, Tool, read_dialogs
from toolace.rows import sha256

SETTINGS = DialogSettings(
    count=400,
    types={"single": 4, "parallel": 3, "dependent": 1, "non_tool_use": 2},
    non_tool_use={"irrelevant": 4, "missing": 3, "no_tools": 2, "chat": 1},
    candidates={1: 1, 2: 3, 4: 3, 8: 1},
    turns={1: 5, 2: 3, 6: 2},
    errors=0.05,
    everyday_share=0.6,
)


def test_any_number_of_processes_writes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "CHUNK", 50)
    pool = list(mixed_pool())
    one = write_offline(tmp_path / "one", pool, SETTINGS, 3, jobs=1)
    two = write_offline(tmp_path / "two", pool, SETTINGS, 3, jobs=2)
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")
    assert one == two
    monkeypatch.setattr(production, "CHUNK", 7)
    write_offline(tmp_path / "three", pool, SETTINGS, 3, jobs=1)
    assert sha256(tmp_path / "one") == sha256(tmp_path / "three")


def test_the_achieved_mix_is_the_declared_one_and_every_dialog_passes_every_rule(tmp_path: Path) -> None:
    counts = write_offline(tmp_path / "d.jsonl", list(mixed_pool()), SETTINGS, 4, jobs=1)
    assert counts["made"] == 400
    for part, declared in counts["declared"].items():
        for key, share in declared.items():
            # Lists without tools have no number of candidates: a point and a half of 400.
            assert counts["achieved"][part].get(key, 0) == pytest.approx(share, abs=1.5), (part, key)
    dialogs = list(read_dialogs(tmp_path / "d.jsonl"))
    assert [check(dialog).rule for dialog in dialogs if not check(dialog).kept] == []
    assert max(sum(m.role == "user" for m in dialog.messages) for dialog in dialogs) >= 6
    assert any(not dialog.tools for dialog in dialogs)


def test_a_dialog_that_breaks_a_rule_is_drawn_again_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from data_gen.verification.verdict import Verdict

    seen: Counter[str] = Counter()

    def strict(dialog: Any) -> Verdict:
        seen[dialog.id] += 1
        return Verdict.reject("some.rule", "", "") if seen[dialog.id] == 1 else check(dialog)

    monkeypatch.setattr(production, "check", strict)
    redrawn: Counter[str] = Counter()
    settings = DialogSettings(count=20)
    maker = Maker(list(everyday_pool()[0]), settings, 1)
    made = [dialog for plans in draw_plans(settings, 1) for dialog in maker.group(plans, redrawn)]
    assert len(made) == 20 and redrawn["some.rule"] == 20


def test_a_plan_of_one_candidate_is_made_even_when_few_tools_allow_it() -> None:
    import random

    user = OfflineUser(random.Random(0))
    closed = [tool for tool in everyday_pool()[0] if not user.droppable(tool)][:36]
    opened = [tool for tool in everyday_pool()[0] if user.droppable(tool)][:6]
    settings = DialogSettings(
        count=20, types={"non_tool_use": 1}, non_tool_use={"missing": 1}, candidates={1: 1}, everyday_share=1.0
    )
    maker, redrawn = Maker([*closed, *opened], settings, 1), Counter[str]()
    made = [dialog for plans in draw_plans(settings, 1) for dialog in maker.group(plans, redrawn)]
    assert {dialog.tools[0].name for dialog in made} <= {tool.name for tool in opened} and redrawn["unfit"] > 100


def test_an_impossible_kind_is_one_line_in_any_process(tmp_path: Path) -> None:
    lonely = [tool for tool in everyday_pool()[0] if tool.name == "atlas.locate_place"]
    settings = DialogSettings(count=3, types={"dependent": 1})
    with pytest.raises(InputError, match="no dialog of type dependent"):
        write_offline(tmp_path / "d", lonely, settings, 1, jobs=1)
    production._start(lonely, settings, 1)
    assert isinstance(production._make(draw_plans(settings, 1)), InputError)  # what a process sends back
    assert not (tmp_path / "d").exists()


def test_chunks_hold_all_plans_in_order() -> None:
    groups = draw_plans(DialogSettings(count=103, per_tool_list=4), 2)
    chunked = [plan.number for piece in in_chunks(groups, 10) for group in piece for plan in group]
    assert chunked == list(range(103))


def test_a_list_for_a_dependent_dialog_has_two_tools_and_the_numbers_stay_the_declared_ones() -> None:
    settings = DialogSettings(count=1000, candidates={1: 1, 3: 1}, types={"single": 3, "dependent": 1})
    plans = [group[0] for group in draw_plans(settings, 2)]
    assert Counter(plan.candidates for plan in plans) == {1: 500, 3: 500}
    assert {plan.candidates for plan in plans if plan.type == "dependent"} == {3}


def test_a_harder_level_has_more_candidates_and_calls_and_a_simpler_one_fewer() -> None:
    from dataclasses import replace

    settings = DialogSettings(count=40, types={"parallel": 1}, turns={2: 1}, candidates={3: 1}, everyday_share=0.3)
    maker = Maker(list(mixed_pool()), settings, 1)

    def shape(level: int) -> tuple[float, float]:
        plans = [replace(group[0], level=level) for group in draw_plans(settings, 1)]
        made = [dialog for plan in plans for dialog in maker.group([plan], Counter())]
        calls = sum(len(message.calls) for dialog in made for message in dialog.messages)
        return sum(len(dialog.tools) for dialog in made) / 40, calls / 40

    (fewest, simple), (few, usual), (more, hard) = shape(-1), shape(0), shape(2)
    assert fewest <= few < more and simple < usual < hard


# Words of documents as orders


@pytest.mark.parametrize(
    ("name", "description", "order"),
    [
        ("share_museum", "Shares a museum with other people by e-mail.", "share a museum with other people by e-mail"),
        ("x", "Lists the offers that match a given price, and writes the result into a file.", "list the offers"),
        ("x", "Adds a day, and puts labels on it.", "add a day, and put labels on it"),
        ("x", "Tells how a poll stands now, with votes cast and state.", "find out how a poll stands now"),
        ("x", "Orders recipes by time and returns the first of them.", "order recipes by time"),
        ("x", "Finds cruises by discipline and casts done.", "find cruises by discipline and casts done"),
        ("x", "Voids a ticket that is no longer wanted.", "void a ticket that is no longer wanted"),
        ("get_custom_fields", "Custom Fields List.", "get custom fields"),
        ("subscriptions_rename", "The operation to rename it.", "rename subscriptions"),
        ("docker.getThing", "GetThing returns a thing.", "get thing"),
        ("x", "Deletes projects/{name} for good.", "delete projects/name for good"),
        ("scipy.expm", "Matrix exponential.", "run expm"),
    ],
)  # fmt: skip
def test_a_description_becomes_an_order(name: str, description: str, order: str) -> None:
    assert tasks(name, description)[0] == order


def test_leads_hold_one_place_for_the_order_and_are_many() -> None:
    assert all(lead.count("{}") == 1 for lead in PLAIN) and len(set(PLAIN)) > 80
    plain, vague, close = openers(("delete a habit",), "habits.drop")
    assert all("delete a habit" in opener for opener in plain)
    assert all("habit" in opener and "delete" not in opener for opener in vague)
    assert all("habits.drop" in opener for opener in close)


@pytest.mark.parametrize(
    ("description", "found"),
    [
        ("Identifier of the recipe, e.g. REC-30985.", ("REC-30985",)),
        ("Site of the trap, e.g. Zurich roof or Tulsa campus.", ("Zurich roof", "Tulsa campus")),
        ('Currency. Examples: "USD", "EUR".', ("USD", "EUR")),
        ("Where, such as a city or an airport. Only IATA ones.", ()),
        ("Day in the format, e.g. YYYY-MM-DD.", ()),
        ("Code of the origin, e.g. BOS for Boston.", ("BOS",)),
        ("Formula, e.g. =SUM(B2:B13)", ("=SUM(B2:B13)",)),
        ("Nothing is shown.", ()),
    ],
)
def test_examples_of_a_description_are_values(description: str, found: tuple[str, ...]) -> None:
    assert examples(description) == found


def test_a_varied_example_keeps_its_build() -> None:
    import random
    import re

    found = {varied("REC-30985", random.Random(i)) for i in range(50)}
    assert len(found) > 40 and all(re.fullmatch(r"REC-[1-9]\d{4}", one) for one in found)
    assert varied("Zurich roof", random.Random(1)) == "Zurich roof"
    years = {varied("2024-2025", random.Random(i)) for i in range(50)}
    assert len(years) > 4 and all(int(one[5:]) - int(one[:4]) == 1 for one in years)


# Lists of candidates


def tool(name: str, parameters: dict[str, Any], returns: dict[str, Any], required: list[str]) -> Tool:
    schema = {"type": "object", "properties": parameters, "required": required}
    members = {"type": "object", "properties": returns}
    return Tool(name, "Gets a thing.", schema, members, f"x:{name}", "D", ("P", "D"))


TEXT = {"type": "string"}


def test_a_result_links_to_a_parameter_that_means_the_same_and_was_not_said() -> None:
    giver = tool("a", {}, {"museum_id": TEXT}, [])
    taker = tool("b", {"museumId": TEXT}, {}, ["museumId"])
    assert [link[2:] for link in linked(giver, taker)] == [("museum_id", "museumId")]
    told = tool("c", {"museum_ids": {"type": "array", "items": TEXT}}, {"museum_id": TEXT}, [])
    assert linked(told, taker) == [] and linked(taker, giver) == []


def test_every_list_for_a_dependent_dialog_has_a_link() -> None:
    import random

    lists = ToolLists(list(mixed_pool()), 0.5, 1)
    for i in range(60):
        tools = lists.draw_linked(random.Random(i), 3, everyday=i % 2 == 0)
        assert any(linked(a, b) for a in tools for b in tools)


def test_results_tell_of_the_things_that_were_asked_about() -> None:
    import random

    from data_gen.dialog_generation.tool import OfflineTool
    from toolace import Call

    museum = {"type": "object", "properties": {"museum_id": TEXT, "fee": {"type": "integer"}}}
    items = {"type": "array", "items": museum}
    one = tool("get", {"museum_ids": {"type": "array", "items": TEXT}}, {"museums": items}, ["museum_ids"])
    asked = ["MUS-10000", "MUS-20000", "MUS-30000"]
    answer = json.loads(OfflineTool(random.Random(1)).answer(one, Call("get", {"museum_ids": asked})))
    assert [museum["museum_id"] for museum in answer["museums"]] == asked
