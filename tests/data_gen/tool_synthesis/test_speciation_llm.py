"""Speciation by a model: what is proposed is judged, merged and accounted for, whatever the server does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from llm_answers import SERVICES, Body, answer, by_words, candidates, proposal, title_of
from llm_double import LlmDouble

from data_gen.documents import markdown
from data_gen.tool_synthesis.passages import NEAR, Passage, passages_of
from data_gen.tool_synthesis.speciation import Place
from data_gen.tool_synthesis.speciation_llm import speciate
from data_gen.tool_synthesis.taxonomy import taxonomy
from data_gen.tool_synthesis.tree_answers import canonical, judge_domain, judge_functionality, plain, vocabulary_of
from data_gen.tool_synthesis.tree_merging import ContextTree
from toolace import InputError
from toolace.journal import Journal
from toolace.llm import Llm
from toolace.llm_settings import LlmSettings

SUBS = taxonomy()
NUMBER = {sub.name: i for i, sub in enumerate(SUBS)}
OFFLINE = {
    "Kitchen Shelf": "Recipes", "Sky Desk": "Weather Forecasts", "Hive Book": "Gardening", "Rail Hub": "Train Travel",
    "Ledger One": "Baking",
}  # fmt: skip


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolace.chat_limits.BACKOFF_SECONDS", 0.002)
    monkeypatch.setattr("toolace.chat_limits.BACKOFF_CAP", 0.02)


def passages() -> list[Passage]:
    found = candidates()
    titles = [candidate.leaf.title for candidate in found]
    places = [Place(NUMBER[OFFLINE[title]], 1.0, NUMBER[OFFLINE[title]]) for title in titles]
    return passages_of(found, places, [], SUBS, by_words)


def run(double: LlmDouble, texts: list[Passage], journal: Path | None = None, **settings: Any) -> ContextTree:
    async def work() -> ContextTree:
        kept = Journal(journal) if journal else None
        try:
            async with Llm(LlmSettings(double.url, "double", **settings), kept) as model:
                return await asyncio.wait_for(speciate(model, texts, SUBS, by_words), 60)
        finally:
            if kept:
                kept.close()

    return asyncio.run(work())


def answering(**by_title: Mapping[str, Any]) -> Callable[[Body], str]:
    """The usual answers, changed for some services (their titles without the space)."""

    def changed(body: Body) -> str:
        changes = by_title.get(title_of(body).replace(" ", ""))
        return json.dumps(proposal(body["messages"][1]["content"], **changes)) if changes else answer(body)

    return changed


def rows_of(tree: ContextTree, title: str, kind: str = "domain") -> list[dict[str, Any]]:
    return [row for row in tree.rows if row["of"] == f"files/{title}" and row["kind"] == kind]


def doing(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "description": f"Can {name} for anyone."} for name in names]


def test_the_agent_sees_the_document_and_the_likeliest_topics_first() -> None:
    with LlmDouble(answer) as double:
        run(double, passages())
    said = next(b for b in double.bodies.values() if title_of(b) == "Hive Book")["messages"][1]["content"]
    assert said.count(" > ") == NEAR and "- `log_honey`: Logs the honey harvest for groceries." in said
    assert said.splitlines()[1].endswith("> Gardening"), "the offline player's place comes first"


def test_accepted_proposals_place_services_and_become_nodes_with_their_sources() -> None:
    moved = {"primary": "Food and Drink", "sub_domain": "Food and Drink > Groceries"}
    with LlmDouble(answering(HiveBook=moved)) as double:
        tree = run(double, passages())
    assert tree.places["files/Hive Book"] == NUMBER["Groceries"] and len(tree.places) == 5
    (row,) = rows_of(tree, "Hive Book")
    assert row["kept"] is True and row["domain"] == "Groceries"
    honey = next(node for node in tree.nodes["Groceries"] if node.name == "log honey")
    assert honey.sources == ("files 1, specs.json",) and honey.about == "Logs the honey harvest for groceries."
    assert [node.name for node in tree.of_service["files/Hive Book"]] == ["record hive", "log honey", "find swarm"]


def test_names_of_one_topic_in_other_words_are_that_topic() -> None:
    changes = {"primary": "Home", "sub_domain": "Gardening services", "reason": "Bees live in gardens there."}
    with LlmDouble(answering(HiveBook=changes)) as double:
        tree = run(double, passages())
    (row,) = rows_of(tree, "Hive Book")
    assert tree.places["files/Hive Book"] == NUMBER["Gardening"] and row["domain"] == "Gardening"


def test_a_new_topic_needs_a_reason_and_enough_to_do() -> None:
    new = {"primary": "Home", "sub_domain": "Beekeeping", "reason": "None of the list is about keeping bees."}
    with LlmDouble(answering(HiveBook=new, LedgerOne={**new, "sub_domain": "Invoice Archives"})) as double:
        tree = run(double, passages())
    added = tree.subs[len(SUBS)]
    assert (added.name, added.primary, len(tree.subs)) == ("Beekeeping", "Home", len(SUBS) + 1)
    assert tree.places["files/Hive Book"] == len(SUBS) and len(tree.nodes["Beekeeping"]) == 3
    (thin,) = rows_of(tree, "Ledger One")
    assert thin["rule"] == "domain.thin" and "files/Ledger One" not in tree.places
    kept = rows_of(tree, "Ledger One", "functionality")
    assert {row["domain"] for row in kept if row["kept"]} == {"Baking"}, "the offline place takes what it can do"


def test_a_doubtful_topic_is_put_to_the_model_once_for_all_its_names() -> None:
    more = doing("record a hive", "log honey", "find a swarm")
    beer = {"primary": "Food and Drink", "sub_domain": "Beer and Mead", "reason": "It is about drinks of honey."}

    def sure(body: Body) -> str:
        if body["response_format"]["json_schema"]["name"] == "same_topic":
            return json.dumps({"same_as": "Beer and Spirits"})
        return answering(HiveBook={**beer, "functionalities": more}, LedgerOne=beer)(body)

    with LlmDouble(sure) as double:
        tree = run(double, passages())
    asked = [b for b in double.bodies.values() if b["response_format"]["json_schema"]["name"] == "same_topic"]
    assert len(asked) == 1 and "Beer and Spirits" in asked[0]["messages"][0]["content"]
    assert tree.places["files/Hive Book"] == tree.places["files/Ledger One"] == NUMBER["Beer and Spirits"]


def test_functionalities_in_other_words_share_a_node_and_opposites_do_not() -> None:
    said = doing("find trains", "search for trains", "create a train seat", "delete the train seat")
    with LlmDouble(answering(RailHub={"functionalities": said})) as double:
        tree = run(double, passages())
    rows = rows_of(tree, "Rail Hub", "functionality")
    assert all(row["kept"] for row in rows)
    first, second, made, gone = (row["node"] for row in rows)
    assert first == second and made != gone and "the same as" in rows[1]["evidence"]


@pytest.mark.parametrize(
    ("name", "about", "rule"),
    [
        ("invoices", "Lists all invoices there are.", "functionality.name"),
        ("ledger.list invoices", "Lists all invoices there are.", "functionality.name"),
        ("untag resource", "Removes a tag of an invoice.", "functionality.noise"),
        ("get data", "Gets the data of the user.", "functionality.vague"),
        ("authenticate invoice users", "Signs a user in to the service.", "functionality.noise"),
        ("list invoices", "Lists.", "functionality.description"),
        ("fly spaceships", "Flies spaceships to the moon.", "functionality.ungrounded"),
    ],
)
def test_what_is_no_functionality_of_the_document_is_rejected(name: str, about: str, rule: str) -> None:
    assert judge_functionality(name, about, vocabulary_of("Lists the invoices of a customer")).rule == rule


@pytest.mark.parametrize(
    ("name", "reason", "rule"),
    [
        ("Beekeeping", "none of the list fits", ""),
        ("X", "none of the list fits", "domain.name"),
        ("General Services", "none of the list fits", "domain.vague"),
        ("Home", "none of the list fits", "domain.primary"),
        ("Beekeeping", "", "domain.no_reason"),
    ],
)
def test_new_topics_are_judged_by_their_names(name: str, reason: str, rule: str) -> None:
    assert judge_domain(name, "Home", reason).rule == rule


def test_a_topic_that_the_document_does_not_speak_of_is_rejected_and_the_service_stays() -> None:
    with LlmDouble(answering(RailHub={"primary": "Games and Leisure", "sub_domain": "Toys"})) as double:
        tree = run(double, passages())
    (row,) = rows_of(tree, "Rail Hub")
    assert (row["kept"], row["rule"]) == (False, "domain.ungrounded") and "files/Rail Hub" not in tree.places
    assert "search trains" in {node.name for node in tree.nodes["Train Travel"]}


def test_hostile_text_is_made_plain() -> None:
    assert plain("a\ud800b\n\x00 c\u202e" + "x" * 10_000, 20) == "a b c " + "x" * 14
    assert canonical("Retrieve the user's orders") == canonical("get user orders")


def test_one_bad_service_takes_no_other_down_and_keeps_its_place() -> None:
    spoilt = {"Kitchen Shelf": "bad_json", "Sky Desk": "500", "Rail Hub": "400"}
    with LlmDouble(answer, faults=lambda body, _: spoilt.get(title_of(body), "")) as double:
        tree = run(double, passages())
    assert set(tree.places) == {"files/Hive Book", "files/Ledger One"}
    (bad,), (down,), (refused,) = (rows_of(tree, title) for title in spoilt)
    assert (bad["kept"], bad["rule"]) == (refused["kept"], refused["rule"]) == (False, "llm.refused")
    assert (down["kept"], down["rule"]) == (None, "llm.unfinished")
    assert all("keeps the offline place" in row["evidence"] for row in (bad, down, refused))
    asked = [double.asked[name] for name, body in double.bodies.items() if title_of(body) == "Kitchen Shelf"]
    assert asked == [1, 1], "a bad answer is asked for again once"


def test_with_every_kind_of_fault_all_is_accounted_for_and_asked_once(tmp_path: Path) -> None:
    many = {f"{title} {i}": texts for title, texts in SERVICES.items() for i in range(12)}
    found = candidates(many)
    place = Place(NUMBER["Recipes"], 1.0, NUMBER["Recipes"])
    texts = passages_of(found, [place] * len(found), [], SUBS, by_words)
    faults = dict.fromkeys(("429", "500", "dropped", "bad_json", "wrong_schema", "truncated", "empty"), 0.07)
    with LlmDouble(answer, latency=0.005, faults=faults, seed=4) as double:
        tree = run(double, texts, tmp_path / "journal.sqlite")
        calls = double.calls
        again = run(double, texts, tmp_path / "journal.sqlite")
    domains = Counter(row["kept"] for row in tree.rows if row["kind"] == "domain")
    assert sum(domains.values()) == len(texts) == 60 and domains[True] >= 50
    assert domains[None] == 0 and double.calls == calls and not double.repeated(), "a second run asks nothing"
    assert again.rows == tree.rows and again.places == tree.places
    assert double.statuses[429] and double.statuses[500] and double.statuses[0]


def test_a_spent_budget_leaves_the_rest_to_the_next_run(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    with LlmDouble(answer) as double:
        tree = run(double, passages(), journal, max_calls=2, concurrency=1)
        assert len(tree.places) == 2
        assert [row["kept"] for row in tree.rows if row["kind"] == "domain"].count(None) == 3
        whole = run(double, passages(), journal)
    assert len(whole.places) == 5 and double.calls == 5 and not double.repeated()


def test_an_interrupt_ends_with_one_line_and_loses_nothing(tmp_path: Path) -> None:
    def interrupting(body: Body) -> str:
        if title_of(body) == "Sky Desk":
            os.kill(os.getpid(), signal.SIGINT)
        return answer(body)

    with LlmDouble(interrupting, latency=0.01) as double:
        with pytest.raises(InputError, match="interrupted"):
            run(double, passages(), tmp_path / "journal.sqlite", concurrency=1)
        assert double.calls < 5
        double.answer = answer
        assert len(run(double, passages(), tmp_path / "journal.sqlite").places) == 5
    assert not double.repeated() and double.calls == 5


def test_a_server_that_refuses_everything_is_one_line() -> None:
    with LlmDouble(answer, api_key="secret") as double, pytest.raises(InputError, match="Incorrect API key"):
        run(double, passages())


def test_manuals_are_read_passage_by_passage() -> None:
    text = "# Bee Manual\n\n" + "Search recipes with honey, and log the harvest of each hive. " * 3
    (manual,) = markdown.read(text, "bees.md")
    texts = passages_of([], [], [manual], SUBS, by_words)
    said = {"sub_domain": "Recipes", "primary": "Food and Drink", "reason": "It is about it."}

    def answers(body: Body) -> str:
        return json.dumps({**said, "functionalities": doing("search honey recipes", "log the harvest")})

    with LlmDouble(answers) as double:
        tree = run(double, texts)
    assert texts[0].place == -1 and tree.places == {manual.id: NUMBER["Recipes"]}
    assert {"search honey recipes", "log the harvest"} <= {node.name for node in tree.nodes["Recipes"]}
