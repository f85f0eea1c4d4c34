"""What simulated results have to do with the arguments, and with what earlier results said."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from data_gen.dialog_generation.facts import earlier_facts
from data_gen.dialog_generation.filters import Filters
from data_gen.dialog_generation.tool import PASSED, PASSING, OfflineTool
from toolace import Call, Message, Tool

TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
DAY = {"type": "string", "format": "date"}


def listing(name: str, members: dict[str, Any], parameters: dict[str, Any], **beside: Any) -> Tool:
    rows = {"type": "array", "items": {"type": "object", "properties": members}}
    returns = {"type": "object", "properties": {"rows": rows, **beside}}
    return Tool(name, "Lists things.", {"type": "object", "properties": parameters}, returns, f"evolved:{name}", "D")


def answers(tool: Tool, arguments: dict[str, Any], times: int = 40) -> list[dict[str, Any]]:
    agent = OfflineTool(random.Random(1))
    return [json.loads(agent.answer(tool, Call(tool.name, arguments))) for _ in range(times)]


def test_numbers_and_days_keep_within_what_was_asked_for() -> None:
    ranges = {"type": "object", "properties": {"min": NUMBER, "max": NUMBER}}
    films = listing(
        "films.search",
        {"price": NUMBER, "length": WHOLE, "date": DAY},
        {"min_length": WHOLE, "price_range": ranges, "date_from": DAY, "date_to": DAY},
    )
    asked = {
        "min_length": 120, "price_range": {"min": 5, "max": 9}, "date_from": "2025-03-01", "date_to": "2025-03-09",
    }  # fmt: skip
    for answer in answers(films, asked):
        for row in answer["rows"]:
            assert row["length"] >= 120 and 5 <= row["price"] <= 9
            assert "2025-03-01" <= row["date"] <= "2025-03-09"


def test_every_item_has_the_choice_that_was_asked_for() -> None:
    kinds = {"type": "string", "enum": ["a", "b", "c", "d"]}
    several = {"type": "array", "items": kinds}
    tool = listing("x.find", {"kind": TEXT, "grade": kinds, "open": {"type": "boolean"}},
                   {"kind": kinds, "grade_any_of": several, "open": {"type": "boolean"}})  # fmt: skip
    for answer in answers(tool, {"kind": "c", "grade_any_of": ["a", "d"], "open": True}):
        assert all(row["kind"] == "c" and row["grade"] in "ad" and row["open"] is True for row in answer["rows"])


@pytest.mark.parametrize(("order", "sign"), [("highest", -1), ("lowest", 1), (None, -1)])
def test_a_ranking_is_in_its_order(order: str | None, sign: int) -> None:
    tool = listing("rank_bones_by_weight_kg", {"bone": TEXT, "weight_kg": NUMBER}, {"order": TEXT})
    seen = 0
    for answer in answers(tool, {"order": order} if order else {}):
        weights = [row["weight_kg"] for row in answer["rows"]]
        assert weights == sorted(weights, key=lambda weight: sign * weight)
        seen += len(weights) > 1
    assert seen > 20


def test_the_best_match_and_the_nearest_come_first() -> None:
    best = listing("recommend", {"match": NUMBER}, {})
    near = listing("nearby", {"distance_km": NUMBER}, {})
    assert all(a["rows"] == sorted(a["rows"], key=lambda row: -row["match"]) for a in answers(best, {}))
    assert all(a["rows"] == sorted(a["rows"], key=lambda row: row["distance_km"]) for a in answers(near, {}))


def test_there_are_no_more_items_than_wanted_and_the_counts_are_right() -> None:
    tool = listing("x", {"name": TEXT}, {"limit": WHOLE}, total=WHOLE)
    for answer in answers(tool, {"limit": 1}):
        assert len(answer["rows"]) == 1 == answer["total"]
    assert {answer["total"] == len(answer["rows"]) for answer in answers(tool, {})} == {True}


def test_what_was_asked_for_is_done_for_all_that_were_named() -> None:
    returns = {"type": "object", "properties": {"sent": WHOLE, "failed": WHOLE, "done": {"type": "boolean"}}}
    parameters = {"type": "object", "properties": {"emails": {"type": "array", "items": TEXT}}}
    tool = Tool("share", "Shares.", parameters, returns, "evolved:share", "D")
    assert answers(tool, {"emails": ["a@b.c", "d@e.f"]}, 5) == [{"sent": 2, "failed": 0, "done": True}] * 5


def test_what_is_like_a_thing_is_not_the_thing() -> None:
    tool = listing("similar", {"film_id": TEXT, "similarity": NUMBER}, {"film_id": TEXT})
    assert "FIL-10233" not in json.dumps(answers(tool, {"film_id": "FIL-10233"}))


def test_a_filter_that_contradicts_the_schema_is_not_applied() -> None:
    filters = Filters(Tool("x", "", {"type": "object"}), Call("x", {"min_stars": 9}))
    spec = {"type": "integer", "minimum": 1, "maximum": 5}
    assert filters.narrowed("stars", spec) == spec
    assert filters.narrowed("stars", {"type": "integer"})["minimum"] == 9


def test_an_identifier_keeps_its_facts_and_a_title_does_not() -> None:
    told = Message("tool", '{"game_id": "WGA-98260", "game_name": "Office Wordle", "state": "waiting"}', name="start")
    assert earlier_facts([told], Call("get", {"game_id": "WGA-98260"}))["state"] == "waiting"
    assert earlier_facts([told], Call("start", {"game_name": "Office Wordle"})) == {}


def test_ids_of_one_list_look_alike() -> None:
    tool = listing("x", {"disruption_id": TEXT}, {})
    found = [row["disruption_id"] for answer in answers(tool, {}) for row in answer["rows"]]
    assert {one[:4] for one in found} == {"DIS-"} and len(set(found)) > 30


def test_an_error_names_a_parameter_of_the_call_or_passes_by_itself() -> None:
    parameters = {"type": "object", "properties": {"town": TEXT, "level": WHOLE}, "required": ["town"]}
    tool = Tool("x", "Finds.", parameters, None, "evolved:x", "D")
    agent, blamed = OfflineTool(random.Random(2), error_rate=1.0), set()
    for _ in range(60):
        error = json.loads(agent.answer(tool, Call("x", {"town": "Cork", "level": 2})))["error"]
        message = error["message"] if isinstance(error, dict) else error
        blamed.add(agent.blamed)
        assert (message in PASSING) == (agent.blamed == PASSED)
        assert ("Cork" in message) == (agent.blamed == "town")
    assert blamed == {PASSED, "town"}
