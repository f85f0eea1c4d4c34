from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from pools import everyday_documents, everyday_pool

from data_gen.dialog_generation.kinds import by_kind
from data_gen.dialog_generation.phrases import slots
from data_gen.documents.everyday import FOLDER, HINTS, read, seeds
from data_gen.tool_synthesis.adaptation import to_tool
from data_gen.tool_synthesis.gates import judge
from data_gen.tool_synthesis.pool import distinct
from data_gen.verification.verdict import KEPT

SEEDS = sorted(seeds().items())
FILES = sorted(path.name for path in FOLDER.glob("*.yaml"))


def leaves(name: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if spec["type"] == "object":
        for inner, member in spec["properties"].items():
            yield from leaves(f"{name}.{inner}", member)
    elif spec["type"] == "array":
        yield from leaves(f"{name}[]", spec["items"])
    else:
        yield name, spec


def nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every sub-schema, itself first."""
    yield schema
    for inner in (schema.get("properties") or {}).values():
        yield from nodes(inner)
    if isinstance(schema.get("items"), Mapping):
        yield from nodes(schema["items"])


def test_there_are_forty_domains_of_ten_tools() -> None:
    assert len(FILES) == 40
    assert len(SEEDS) == 400
    assert {yaml.safe_load((FOLDER / name).read_text())["domain"] for name in FILES} == {s["domain"] for _, s in SEEDS}


def test_no_two_tools_of_all_files_share_a_name() -> None:
    names = Counter(seed["name"].lower() for _, seed in SEEDS)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("file", FILES)
def test_every_required_parameter_is_said_by_every_opener_or_by_a_clause(file: str) -> None:
    for _, seed in SEEDS:
        if seed["file"] != file:
            continue
        for name in seed["required"]:
            spec = seed["parameters"][name]
            sayable = "say" in spec or "say_true" in spec or spec["type"] == "object"
            in_all = all(name in slots(ask) for ask in seed["ask"])
            assert sayable or in_all, f"{seed['name']}: {name}"
        for name, spec in seed["parameters"].items():
            if name in seed["required"] or spec["type"] == "object":
                continue
            keys = ("say_true", "say_false") if spec["type"] == "boolean" else ("say",)
            assert all(spec.get(key) for key in keys), f"{seed['name']}: optional {name} cannot be said"


@pytest.mark.parametrize("file", FILES)
def test_every_leaf_parameter_has_a_source_of_values(file: str) -> None:
    import random

    for _, seed in SEEDS:
        for name, spec in seed["parameters"].items() if seed["file"] == file else ():
            for place, leaf in leaves(name, spec):
                bounded = leaf["type"] in ("integer", "number") and {"minimum", "maximum"} <= leaf.keys()
                found = leaf["type"] == "boolean" or bounded or {"enum", "values", "kind"} & leaf.keys()
                assert found, f"{seed['name']}: {place}"
                if "kind" in leaf and not leaf.get("values"):
                    assert by_kind(leaf["kind"], random.Random(1))
                if "values" in leaf:
                    assert len(set(map(str, leaf["values"]))) == len(leaf["values"]) >= 10, f"{seed['name']}: {place}"


@pytest.mark.parametrize("file", FILES)
def test_slots_name_parameters_and_openers_bring_no_mark_of_their_own(file: str) -> None:
    for _, seed in SEEDS:
        if seed["file"] != file:
            continue
        assert len(set(seed["ask"])) == len(seed["ask"]) >= 5, seed["name"]
        for ask in [*seed["ask"], *filter(None, [seed.get("many")])]:
            assert slots(ask) <= seed["parameters"].keys(), f"{seed['name']}: {ask}"
            assert slots(ask), f"{seed['name']}: {ask} says nothing"
            assert ask[-1] not in ".?!,;:", f"{seed['name']}: {ask}"
        if seed.get("many"):
            assert seed["many_slot"] in slots(seed["many"]), seed["name"]
            assert seed["parameters"][seed["many_slot"]]["type"] not in ("array", "object"), seed["name"]


def test_every_tool_passes_every_gate_of_one_tool() -> None:
    verdicts = [(document.id, judge(to_tool(document))) for document in everyday_documents()]
    assert [(id_, verdict.evidence) for id_, verdict in verdicts if not verdict.kept] == []


def test_no_two_tools_are_near_duplicates() -> None:
    tools = [to_tool(document) for document in everyday_documents()]
    rejected = [*((tool, verdict) for tool in tools if (verdict := judge(tool)) != KEPT), *distinct(tools)[1]]
    assert [(tool.name, verdict.evidence) for tool, verdict in rejected] == []


def test_the_benchmark_gate_leaves_nearly_all_of_them() -> None:
    kept, rejected = everyday_pool()
    assert len(kept) + len(rejected) == 400
    assert len(rejected) <= 8, [(tool.name, verdict.evidence) for tool, verdict in rejected]
    assert all(verdict.rule == "benchmark.function" for _, verdict in rejected)


def test_nothing_said_to_the_user_agent_gets_into_a_tool() -> None:
    for document in everyday_documents():
        tool = to_tool(document)
        for schema in nodes(tool.parameters):
            names = set(schema.get("properties") or {})
            assert not (schema.keys() & HINTS), f"{tool.name}: {schema.keys() & HINTS}"
            assert names == set(seeds()[document.id]["parameters"]) or schema is not tool.parameters
        assert not {"ask", "many", "many_slot"} & set(tool.to_json())


def test_a_parameter_that_is_called_like_a_hint_is_not_lost() -> None:
    from data_gen.documents.everyday import _schema

    inner = {"kind": {"type": "string", "kind": "city"}, "say": {"type": "string", "values": ["a", "b"]}}
    schema = _schema({"type": "object", "properties": inner, "required": ["kind"], "say": ["x {}"]})
    assert schema == {
        "type": "object",
        "properties": {"kind": {"type": "string"}, "say": {"type": "string"}},
        "required": ["kind"],
    }


def test_documents_come_in_the_same_order_with_unique_ids() -> None:
    ids = [document.id for document in read()]
    assert ids == [document.id for document in read()]
    assert len(set(ids)) == len(ids)
    assert all(document.source["file"].startswith("data_gen/documents/everyday/") for document in everyday_documents())
