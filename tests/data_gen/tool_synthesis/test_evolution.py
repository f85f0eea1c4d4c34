"""Offline evolution: tools whose names, descriptions, parameters and results agree, the same for the same seed."""

from __future__ import annotations

import random
import re
from itertools import islice
from typing import Any

import pytest

from data_gen.tool_synthesis.actions import ACTIONS
from data_gen.tool_synthesis.composition import BUILDERS, of_action, of_function
from data_gen.tool_synthesis.evolution import BUFFER, ExampleBuffer, OfflineEvolution, Style, camel, style_of
from data_gen.tool_synthesis.figures import schemas
from data_gen.tool_synthesis.gates import judge
from data_gen.tool_synthesis.indicators import GROUPED, INDICATORS, several_at_once
from data_gen.tool_synthesis.taxonomy import SubDomain, taxonomy
from data_gen.tool_synthesis.vocabulary import Vocabulary, article, field_of, third
from toolace import Tool


def sample(count: int = 24) -> list[SubDomain]:
    return random.Random(3).sample(taxonomy(), count)


@pytest.fixture(scope="module")
def proposals() -> list[Tool]:
    return [tool for sub in sample() for tool in islice(OfflineEvolution(sub, 5).propose(), 120)]


def test_every_action_has_a_builder_and_stands_in_the_taxonomy() -> None:
    assert set(BUILDERS) == set(ACTIONS)
    assert {action.name for sub in taxonomy() for _, action, _ in sub.actions} == set(ACTIONS)


def test_nearly_all_proposals_pass_the_gates_that_look_at_one_tool(proposals: list[Tool]) -> None:
    refused = [(tool.name, verdict) for tool in proposals if not (verdict := judge(tool)).kept]
    assert len(refused) < 0.01 * len(proposals), refused[:5]


def test_every_proposal_has_what_a_row_of_the_pool_needs(proposals: list[Tool]) -> None:
    for tool in proposals:
        assert tool.origin == "evolved" and tool.licence == "Apache-2.0"
        assert len(tool.path) == 3 and tool.path[1] == tool.domain
        assert tool.returns and tool.returns["properties"]
        assert tool.description[0].isupper() and tool.description.endswith(".")
        assert set(tool.required) <= set(tool.properties)
        assert {"file", "operation", "example", "indicators"} <= set(tool.source)


def test_descriptions_are_clean_sentences(proposals: list[Tool]) -> None:
    for tool in proposals:
        texts = [tool.description, *(str(schema.get("description", "")) for schema in schemas(tool))]
        for text in texts:
            own = re.sub(r"\S+@\S+|https?://\S+|e\.g\. .*", "", text)
            assert not any(mark in own for mark in ("_", "  ", "..", " .", ",,")), (tool.name, text)


def test_the_same_seed_gives_the_same_tools_and_another_seed_others() -> None:
    sub = taxonomy()[0]
    first, again, other = (
        [tool.to_json() for tool in islice(OfflineEvolution(sub, seed).propose(), 60)] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_every_indicator_is_applied_and_named_in_the_source(proposals: list[Tool]) -> None:
    applied = {name for tool in proposals for name in tool.source["indicators"].split(", ") if name}
    assert applied == set(INDICATORS)


def test_a_name_follows_the_style_of_the_example() -> None:
    sub = taxonomy()[0]
    evolution = OfflineEvolution(sub, 1)
    evolution.buffer.add(Tool("songs.findSong", "Finds a song.", {"type": "object", "properties": {}}))
    for tool in islice(evolution.propose(), 20):
        assert "." in tool.name and "_" not in tool.name
        assert tool.source["example"] == "songs.findSong"


def test_the_style_of_a_tool_is_seen_in_name_and_parameters() -> None:
    schema = {"type": "object", "properties": {"userName": {"type": "string"}}}
    assert style_of(Tool("get_user", "", schema)) == Style(dotted=False, camel=True)
    assert style_of(Tool("users.get_user", "", {"type": "object", "properties": {}})) == Style(True, False)
    assert camel(("prep", "minutes")) == "prepMinutes"


def test_the_buffer_forgets_its_oldest_examples_and_prefers_rare_styles() -> None:
    buffer, rng = ExampleBuffer(), random.Random(1)
    for number in range(BUFFER + 10):
        buffer.add(Tool(f"get_{number}", "", {"type": "object", "properties": {}}))
    drawn = {buffer.sample(rng)[0] for _ in range(2_000)}
    assert "get_9" not in drawn and f"get_{BUFFER + 9}" in drawn
    buffer.add(Tool("rare.getThing", "", {"type": "object", "properties": {}}))
    share = sum(buffer.sample(rng)[0] == "rare.getThing" for _ in range(2_000)) / 2_000
    assert share > 3 / BUFFER


def test_a_function_becomes_the_tool_that_the_taxonomy_describes() -> None:
    sub = next(sub for sub in taxonomy() if sub.name == "Recipes")
    function = next(f for f in sub.functions if f.name == "scale_recipe")
    draft = of_function(Vocabulary(sub, random.Random(1)), function)
    assert "_".join(draft.words) == "scale_recipe" and draft.about == function.about
    assert list(draft.properties) == ["recipe_id", "servings", "unit_system"]
    assert draft.required == ["recipe_id", "servings"]
    assert re.fullmatch(r"Identifier of the recipe, e\.g\. RCP-\d{5}\.", draft.properties["recipe_id"]["description"])


def test_computed_fields_are_never_asked_of_a_user() -> None:
    for sub in sample(60):
        vocabulary = Vocabulary(sub, random.Random(1))
        for entity in sub.entities.values():
            if "create" in entity.can:
                draft = of_action(vocabulary, entity, "create", "add")
                assert not entity.computed & set(draft.properties), (sub.name, entity.name)


def test_one_thing_becomes_several_in_parameter_name_and_sentence() -> None:
    sub = next(sub for sub in taxonomy() if sub.name == "Recipes")
    vocabulary = Vocabulary(sub, random.Random(1))
    draft = of_action(vocabulary, sub.entities["recipe"], "view", "get")
    assert several_at_once(vocabulary, draft)
    assert next(iter(draft.properties)) == "recipe_ids" and draft.properties["recipe_ids"]["type"] == "array"
    assert " its " not in draft.about and "several recipes" in draft.about and "recipes" in "_".join(draft.words)
    assert draft.returns["results"]["type"] == "array"
    assert not several_at_once(vocabulary, draft)


def test_english_of_the_templates() -> None:
    recipe = next(sub for sub in taxonomy() if sub.name == "Recipes").entities["recipe"]
    assert field_of("prep_minutes", recipe) == "prep time" and field_of("recipe_title", recipe) == "title"
    assert [third(verb) for verb in ("book", "search", "copy", "set_up", "play")] == [
        "Books", "Searches", "Copies", "Sets up", "Plays"
    ]  # fmt: skip
    assert [article(noun) for noun in ("egg", "unit", "hour", "user", "umbrella", "house")] == [
        "an egg", "a unit", "an hour", "a user", "an umbrella", "a house"
    ]  # fmt: skip


def test_units_at_the_end_of_a_name_are_not_spoken() -> None:
    recipe = next(sub for sub in taxonomy() if sub.name == "Recipes").entities["recipe"]
    said = {
        "inflow_m3s": "inflow", "fat_g": "fat", "density_g_cm3": "density", "max_c": "max temperature",
        "youngs_modulus_gpa": "youngs modulus", "min_gpa": "min gpa", "price_per_kwh": "price per kilowatt-hour",
        "lap_record_s": "lap record", "reached_percent": "reached percent", "area_ha": "area",
        "begins_at": "start time", "created_at": "created time",
    }  # fmt: skip
    assert {name: field_of(name, recipe) for name in said} == said


def test_a_sentence_that_promises_several_things_has_a_result_that_holds_them() -> None:
    several = ("Lists", "Searches", "Ranks")
    for sub in taxonomy():
        vocabulary = Vocabulary(sub, random.Random(1))
        for function in sub.functions:
            returns = of_function(vocabulary, function).returns
            if function.about.startswith(several):
                assert any(schema.get("type") == "array" for schema in returns.values()), function.about
    found = {
        f.name: of_function(Vocabulary(sub, random.Random(1)), f).returns for sub in taxonomy() for f in sub.functions
    }
    assert set(found["find_dead_rules"]) == {"rules"} and set(found["find_dance_partner"]) == {"dancer"}
    assert set(found["points_statement"]) == {"points", "points_balance"}


def test_in_camel_case_the_names_of_fields_to_choose_from_are_too(proposals: list[Tool]) -> None:
    changed = 0
    for tool in proposals:
        if style_of(tool).camel:
            fields = {field for entity in sub_of(tool).entities.values() for field in entity.has}
            for enum in filter(None, (schema.get("enum") for schema in schemas(tool))):
                assert not (fields.issuperset(enum) and "_" in "".join(enum)), tool.name
                changed += {camel(field.split("_")) for field in fields}.issuperset(enum)
    assert changed > 3


def sub_of(tool: Tool) -> SubDomain:
    return next(sub for sub in taxonomy() if sub.name == tool.domain)


def test_nothing_that_a_sentence_lets_be_left_out_becomes_required(proposals: list[Tool]) -> None:
    for tool in proposals:
        assert not re.search("as far as", tool.description), tool.description
    sub = next(sub for sub in taxonomy() if any("if wished" in f.about for f in sub.functions))
    function = next(f for f in sub.functions if "if wished" in f.about)
    for seed in range(20):
        draft = of_function(Vocabulary(sub, random.Random(seed)), function)
        for schema in draft.properties.values():
            schema.setdefault("maxLength", 9) if schema.get("type") == "string" else None
        INDICATORS["add_constraint"](Vocabulary(sub, random.Random(seed)), draft)
        assert draft.required == list(function.needs)


def test_few_things_of_different_names_share_the_letters_of_their_identifiers() -> None:
    names: dict[str, set[str]] = {}
    for sub in taxonomy():
        for name, code in sub.codes.items():
            names.setdefault(code, set()).add(name)
    shared = [code for code, found in names.items() if len(found) > 1]
    assert len(shared) < 0.1 * len(names) and max(map(len, names.values())) <= 4


def indicated(proposals: list[Tool], name: str) -> list[Tool]:
    return [tool for tool in proposals if name in str(tool.source["indicators"]).split(", ")]


def members(schema: Any) -> set[str]:
    """Names of all members of a result, in snake case."""
    found: set[str] = set()
    for name, inner in (schema.get("properties") or {}).items():
        found |= {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()} | members(inner)
    return found | (members(schema["items"]) if "items" in schema else set())


def test_what_was_added_shows_in_the_result(proposals: list[Tool]) -> None:
    added = {
        "writes the result into a file": "file_url", "sends the result by e-mail": "sent_to",
        "shares it by e-mail": "shared_with", "sets a reminder about it": "reminder_id", "puts labels on it": "labels",
    }  # fmt: skip
    seen = set()
    for tool in indicated(proposals, "add_functionality"):
        (said,) = (phrase for phrase in added if phrase in tool.description)
        assert added[said] in members(tool.returns), tool.name
        seen.add(said)
    assert len(seen) >= 3


def test_a_result_of_many_requests_says_which_request_it_belongs_to(proposals: list[Tool]) -> None:
    bulk = indicated(proposals, "type_list_of_objects")
    assert bulk
    for tool in bulk:
        (request,) = (schema for schema in tool.properties.values() if schema["type"] == "array")
        returns = tool.returns["properties"].get("result", tool.returns)
        results, failed = (
            (returns.get("properties") or returns)[name]["items"]["properties"] for name in ("results", "failed")
        )
        required = set(request["items"]["required"])
        assert required & set(results) and required & set(failed) and "error" in failed


def test_few_tools_are_another_one_with_a_tail(proposals: list[Tool]) -> None:
    tails = indicated(proposals, "add_functionality") + indicated(proposals, "type_list_of_objects")
    assert 0.02 < len(tails) / len(proposals) < 0.2


def test_searches_require_no_condition_and_rankings_begin_with_the_highest() -> None:
    seen = set()
    for sub in sample():
        vocabulary = Vocabulary(sub, random.Random(2))
        for entity, action, verb in sub.actions:
            made = of_action(vocabulary, entity, action.name, verb)
            if action.name == "search" and "_by_" not in "_".join(made.words):
                assert not made.required
            elif action.name == "rank":
                (order,) = (s for s in made.properties.values() if s.get("enum") == ["highest", "lowest"])
                assert order["default"] == "highest" and len(made.required) == 1
            seen.add(action.name)
    assert {"search", "rank"} <= seen


def test_two_parameters_are_not_wrapped_into_settings(proposals: list[Tool]) -> None:
    for tool in indicated(proposals, "type_nested_object"):
        groups = [
            schema
            for name, schema in tool.properties.items()
            if name in ("options", "settings", "filters", "details") and schema["type"] == "object"
        ]
        assert all(len(group["properties"]) >= GROUPED for group in groups)
