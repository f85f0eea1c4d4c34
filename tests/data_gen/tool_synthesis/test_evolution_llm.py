"""Evolution by a model: subtrees, examples and wishes in, gated APIs out, and a second run that asks nothing."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llm_answers import Body, answer, candidates, definition
from llm_double import LlmDouble

from data_gen.tool_synthesis.evolution_llm import (
    MORE_TRIES,
    PER_ROUND,
    TRIES,
    Evolved,
    SubDomainEvolution,
    evolve,
    levelled,
)
from data_gen.tool_synthesis.evolution_prompt import DEFINITION, WISHES, definition_fault, met
from data_gen.tool_synthesis.gates import GATES, judge
from data_gen.tool_synthesis.subtrees import LEVELS, Node, Subtrees, own_nodes
from data_gen.tool_synthesis.taxonomy import SubDomain, taxonomy
from data_gen.verification.verdict import KEPT, Verdict
from toolace import Tool
from toolace.journal import Journal
from toolace.llm import Llm
from toolace.llm_settings import LlmSettings

SUBS = {sub.name: sub for sub in taxonomy()}
BAKING, WINE = SUBS["Baking"], SUBS["Wine"]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolace.chat_limits.BACKOFF_SECONDS", 0.002)
    monkeypatch.setattr("toolace.chat_limits.BACKOFF_CAP", 0.02)


def evolution(sub: SubDomain, wanted: int, examples: tuple[Tool, ...] = ()) -> SubDomainEvolution:
    return SubDomainEvolution(sub, own_nodes(sub), examples, wanted, seed=3)


def run(
    double: LlmDouble,
    *evolutions: SubDomainEvolution,
    journal: Path | None = None,
    benchmark: Callable[[Tool], Verdict] = lambda tool: KEPT,
    **settings: Any,
) -> Evolved:
    async def work() -> Evolved:
        kept = Journal(journal) if journal else None
        try:
            async with Llm(LlmSettings(double.url, "double", **settings), kept) as model:
                return await asyncio.wait_for(evolve(model, evolutions, benchmark), 60)
        finally:
            if kept:
                kept.close()

    return asyncio.run(work())


def said(body: Body) -> str:
    return str(next(m["content"] for m in body["messages"] if m["role"] == "user"))


def made(**changes: Any) -> Callable[[Body], str]:
    return lambda body: json.dumps(definition(said(body), **changes))


def test_each_sub_domain_gets_what_it_wants_in_the_contract_s_form() -> None:
    with LlmDouble(answer) as double:
        result = run(double, evolution(BAKING, 9), evolution(WINE, 2))
    assert {name: len(tools) for name, tools in result.tools.items()} == {"Baking": 9, "Wine": 2}
    assert double.calls == 11 and all(row["kept"] for row in result.rows)
    tool = result.tools["Wine"][0]
    assert tool.path[:2] == ("Food and Drink", "Wine") and tool.domain == "Wine" and tool.origin == "evolved"
    assert tool.id == f"evolved:wine:{tool.name}" and tool.source["model"] == "double"
    assert tool.path[2] in tool.source["operation"] and tool.source["example"]
    assert judge(tool, GATES).kept and Tool.from_json(tool.to_json()) == tool


def test_a_prompt_shows_functionalities_with_sources_an_example_and_wishes() -> None:
    with LlmDouble(answer) as double:
        run(double, evolution(BAKING, 1))
    (body,) = double.bodies.values()
    text = said(body)
    assert "Topic: Food and Drink > Baking" in text and "(from: toolace, taxonomy of Food and Drink)" in text
    example = Tool.from_json(json.loads(text.split("Example:\n")[1].split("\n")[0]))
    assert judge(example, GATES).kept
    assert any(wish in text for wish, _ in WISHES.values())
    assert body["response_format"]["json_schema"]["schema"] == DEFINITION.schema


def test_the_buffer_grows_with_what_was_accepted() -> None:
    with LlmDouble(answer) as double:
        result = run(double, evolution(BAKING, 12))
    names = {tool.name for tool in result.tools["Baking"]}
    shown = [json.loads(said(b).split("Example:\n")[1].split("\n")[0])["name"] for b in double.bodies.values()]
    assert not names & set(shown[:PER_ROUND]) and names & set(shown[PER_ROUND:])


def test_thin_sub_domains_are_asked_for_first() -> None:
    full = tuple(c.tool for c in candidates())
    with LlmDouble(answer) as double:
        run(double, evolution(WINE, 3, full), evolution(BAKING, 3), concurrency=1)
    topics = [said(body).splitlines()[0].rpartition("> ")[2] for body in double.bodies.values()]
    assert topics == ["Baking", "Wine"] * 3


def test_a_budget_is_spent_on_the_first_ones_and_the_rest_is_unfinished(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    with LlmDouble(answer) as double:
        part = run(double, evolution(WINE, 3), evolution(BAKING, 3), journal=journal, max_calls=4, concurrency=1)
        assert Counter(row["kept"] for row in part.rows) == {True: 4, None: 2}
        assert {len(tools) for tools in part.tools.values()} == {2}, "both have the same share"
        whole = run(double, evolution(WINE, 3), evolution(BAKING, 3), journal=journal)
    assert double.calls == 6 and not double.repeated() and all(row["kept"] for row in whole.rows)


BAD = {
    "no description": ({"properties": {"a": {"type": "string", "description": "?"}}}, "tool.parameters_described"),
    "required": ({"required": ["nothing"]}, "tool.required"),
    "bounds": (
        {"properties": {"a": {"type": "integer", "description": "Age.", "minimum": 9, "maximum": 1}}},
        "api.schema",
    ),
    "items": ({"properties": {"a": {"type": "array", "description": "List of names."}}}, "api.schema"),
    "pattern": ({"properties": {"a": {"type": "string", "description": "Code.", "pattern": "("}}}, "tool.pattern"),
    "name": ({"properties": {"a b": {"type": "string", "description": "Name."}}}, "api.schema"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_faulty_definition_is_repaired_once_and_then_rejected_by_the_gate_s_rule(case: str) -> None:
    change, rule = BAD[case]

    def faulty(body: Body) -> str:
        value = definition(said(body))
        properties = {"place": {"type": "string", "description": "Name of the place."}}
        return json.dumps(
            {**value, "parameters": {"type": "object", "properties": properties, "required": [], **change}}
        )

    with LlmDouble(faulty) as double:
        result = run(double, evolution(BAKING, 1))
    assert not result.tools and {row["rule"] for row in result.rows} == {rule}
    assert len(result.rows) == TRIES + MORE_TRIES and double.calls == 2 * len(result.rows)
    with LlmDouble(lambda body: faulty(body) if len(body["messages"]) == 2 else answer(body)) as double:
        assert len(run(double, evolution(BAKING, 1)).tools["Baking"]) == 1 and double.calls == 2


def test_off_topic_repeated_and_benchmark_apis_are_rejected() -> None:
    def refuse(tool: Tool) -> Verdict:
        return Verdict.reject("benchmark.function", "is in it")

    with LlmDouble(made(description="Xyzzy plugh and nothing happens here.", name="xyzzy")) as double:
        off = run(double, evolution(BAKING, 1))
    with LlmDouble(answer) as double:
        known = run(double, evolution(BAKING, 1), benchmark=refuse)
    words = " ".join(f"{node.name} {node.about}" for node in own_nodes(BAKING))
    with LlmDouble(made(name="bake_all", description=f"Does it all: {words}")) as double:
        same = run(double, evolution(BAKING, 2))
    assert {row["rule"] for row in off.rows} == {"api.off_topic"}
    assert {row["rule"] for row in known.rows} == {"benchmark.function"}
    assert Counter(row["rule"] for row in same.rows) == {"": 1, "pool.name_taken": TRIES * 2 + MORE_TRIES - 1}


def test_hostile_definitions_end_in_bounded_time() -> None:
    deep: dict[str, Any] = {"type": "string", "description": "x"}
    for _ in range(150):
        deep = {"type": "array", "description": "Lists in lists.", "items": deep}
    parameters = {"type": "object", "properties": {"place": deep}, "required": []}
    assert definition_fault(_deep(parameters)).startswith("api.")
    with LlmDouble(made(parameters=parameters)) as double:
        result = run(double, evolution(BAKING, 1))
    assert all(row["kept"] is False for row in result.rows)
    backtracking = {"type": "string", "description": "Code.", "pattern": "(a+)+$"}
    with LlmDouble(made(parameters={**parameters, "properties": {"place": backtracking}})) as double:
        run(double, evolution(BAKING, 1))


def _deep(parameters: dict[str, Any]) -> dict[str, Any]:
    returns = {"type": "object", "properties": {"done": {"type": "boolean"}}, "required": []}
    return {"name": "bake", "description": "Bakes what is asked for.", "parameters": parameters, "returns": returns}


def test_keywords_of_another_type_are_left_out() -> None:
    odd = {"type": "boolean", "description": "Whether to wait.", "minLength": 3, "items": {"type": "string"}}
    parameters = {"type": "object", "properties": {"wait": odd}, "required": ["wait"]}
    with LlmDouble(made(parameters=parameters)) as double:
        (tool,) = run(double, evolution(BAKING, 1)).tools["Baking"]
    assert tool.properties["wait"] == {"type": "boolean", "description": "Whether to wait."}


def test_with_every_kind_of_fault_all_is_accounted_for_and_asked_once(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    subs = list(SUBS.values())[::40]
    faults = dict.fromkeys(("429", "500", "dropped", "bad_json", "wrong_schema", "truncated", "empty"), 0.06)
    with LlmDouble(answer, latency=0.005, faults=faults, seed=2) as double:
        first = run(double, *(evolution(sub, 6) for sub in subs), journal=journal)
        calls = double.calls
        again = run(double, *(evolution(sub, 6) for sub in subs), journal=journal)
    counts = Counter(row["kept"] for row in first.rows)
    assert counts[True] == 6 * len(subs) == sum(map(len, first.tools.values()))
    assert counts[None] == 0 and {row["rule"][:4] for row in first.rows if not row["kept"]} == {"llm.", "pool"}
    assert again == first and double.calls == calls and not double.repeated()
    repairs = [b for b in double.bodies.values() if len(b["messages"]) > 2]
    assert repairs and all(len(b["messages"]) == 4 for b in repairs), "a bad answer is asked for again once at most"


def test_the_order_of_answers_changes_nothing() -> None:
    subs = list(SUBS.values())[::60]
    with LlmDouble(answer) as double:
        one = run(double, *(evolution(sub, 5) for sub in subs), concurrency=1)
        many = run(double, *(evolution(sub, 5) for sub in subs), concurrency=50)
    assert one == many


def test_wishes_are_measured_and_those_not_met_are_not_claimed() -> None:
    plain = Tool("a", "Does a.", {"type": "object", "properties": {"x": {"type": "string"}}})
    assert met(plain, list(WISHES)) == []
    rows = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
    objects = {"type": "array", "items": {"type": "object", "properties": {"y": {"type": "string"}}}}
    for schema, name in ((rows, "type_list_of_lists"), (objects, "type_list_of_objects")):
        assert met(Tool("a", "Does a.", {"type": "object", "properties": {"x": schema}}), [*WISHES])[0] == name
    result = Tool("a", "A.", {}, {"type": "object", "properties": {"found": objects}})
    assert met(result, list(WISHES)) == ["change_results"]
    with LlmDouble(answer) as double:
        done = run(double, evolution(BAKING, 12))
    for tool, row in zip(done.tools["Baking"], done.rows, strict=True):
        assert tool.source["indicators"] == ", ".join(row["met"]) and set(row["met"]) <= set(row["asked"])


def test_what_is_lacking_goes_to_the_lowest() -> None:
    assert levelled({"a": 3, "b": 0, "c": 1}, 5) == {"a": 0, "b": 3, "c": 2}
    assert levelled({"a": 1, "b": 1}, 1) == {"a": 1, "b": 0}
    assert levelled({}, 5) == {} and levelled({"a": 0}, 0) == {"a": 0}


def test_apis_of_a_sub_domain_cover_different_functionalities_and_all_of_them() -> None:
    subtrees = Subtrees(BAKING, own_nodes(BAKING), 5)
    drawn = [subtrees.sample() for _ in range(40)]
    sets = [frozenset(node.name for node in found.nodes) for found in drawn if found]
    assert len(set(sets)) == len(sets) == 40
    assert set().union(*sets[: 2 * len(BAKING.functions)]) == {f.title for f in BAKING.functions}
    assert set(map(len, sets)) == set(range(1, len(LEVELS) + 1)), "simple and detailed ones"
    again = Subtrees(BAKING, own_nodes(BAKING), 5)
    assert [again.sample() for _ in range(40)] == drawn


def test_a_used_up_tree_gives_no_more_subtrees() -> None:
    nodes = [Node("bake bread", "Bakes bread."), Node("slice bread", "Slices bread.")]
    subtrees = Subtrees(BAKING, nodes, 1)
    drawn = [subtrees.sample() for _ in range(5)]
    assert [found is not None for found in drawn] == [True, True, True, False, False]
    assert Subtrees(BAKING, [], 1).sample() is None


def test_nodes_that_speak_of_the_same_thing_are_drawn_together_more_often() -> None:
    nodes = [Node("plan sourdough", "Plans it."), Node("feed sourdough", "Feeds it.")]
    nodes += [
        Node(f"{word} things", "Does it.") for word in ("paint", "count", "weigh", "store", "order", "photograph")
    ]
    pairs = Counter[frozenset[str]]()
    for seed in range(150):
        found = Subtrees(BAKING, nodes, seed)
        for _ in range(6):
            subtree = found.sample()
            if subtree and len(subtree.nodes) == 2:
                pairs[frozenset(node.name for node in subtree.nodes)] += 1
    assert pairs.most_common(1)[0][0] == {"plan sourdough", "feed sourdough"}


@pytest.mark.parametrize("concurrency", [1, 4])
def test_after_a_failed_call_every_paid_answer_is_used_again(tmp_path: Path, concurrency: int) -> None:
    seen: list[str] = []

    def second_fails(body: Body, _: int) -> str:
        key = json.dumps(body, sort_keys=True)
        seen.append(key) if key not in seen else None
        return "500" if seen.index(key) == 1 else ""

    journal = tmp_path / "journal.sqlite"
    with LlmDouble(answer, faults=second_fails) as double:
        part = run(double, evolution(BAKING, 16), journal=journal, concurrency=concurrency)
    assert Counter(row["kept"] for row in part.rows) == {True: PER_ROUND - 1, None: 1}
    with LlmDouble(answer) as double:
        whole = run(double, evolution(BAKING, 16), journal=journal, concurrency=concurrency)
        assert double.calls == len(whole.rows) - (PER_ROUND - 1), "only what was open is asked"
    with LlmDouble(answer) as double:
        assert whole == run(double, evolution(BAKING, 16), concurrency=1), "as if no call had failed"
    assert {tool.name for tool in part.tools["Baking"]} <= {tool.name for tool in whole.tools["Baking"]}
