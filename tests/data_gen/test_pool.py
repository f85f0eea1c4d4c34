from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pools import build_pool

from data_gen.documents import aws, google
from data_gen.documents.document import Document
from data_gen.tool_synthesis import benchmark, gates
from data_gen.tool_synthesis.adaptation import to_tool
from data_gen.tool_synthesis.pool import read_pool
from data_gen.tool_synthesis.similarity import SimilarityIndex, bigrams
from data_gen.tool_synthesis.synthesis import write_all
from data_gen.verification.verdict import KEPT
from toolace import InputError, Tool

AWS = ("polly", "translate", "sqs", "waf", "waf-regional")
GOOGLE = ("calendar", "translate", "books")


def document(name: str = "rooms.reserve", **structure: Any) -> Document:
    described = {
        "name": name,
        "description": "Reserves a meeting room for some hours of a day.",
        "parameters": {
            "type": "object",
            "properties": {"room": {"type": "string", "description": "Name of the room."}},
            "required": ["room"],
        },
        "returns": None,
        **structure,
    }
    source = {"package": "made", "version": "1", "file": "f", "operation": name}
    return Document(f"made:x:{name}", "Rooms", "", ("Work", "Rooms", "room"), described, source, "MIT")


def parameters(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


TEXT = {"type": "string", "description": "Some text."}

# A document that each gate must refuse, by the rule it is refused with.
REFUSED: tuple[tuple[str, Document], ...] = (
    ("tool.name", document("reserve room")),
    ("tool.name", document("rooms..reserve")),
    ("tool.name", document("lambda.invoke")),
    ("tool.name", document(parameters=parameters({"from": TEXT}))),
    ("tool.name", document(parameters=parameters({"min-rating": TEXT}))),
    ("tool.description", document(description="Reserve.")),
    ("tool.description", document("reserve_meeting_room_now", description="Reserve meeting room now.")),
    ("tool.description", document(description="Deprecated: reserves a room, use book instead.")),
    ("tool.parameter_count", document(parameters=parameters({}))),
    ("tool.parameter_count", document(parameters=parameters({f"p{i}": TEXT for i in range(13)}))),
    ("tool.schema", document(parameters=parameters({"room": {"type": "text", "description": "Room."}}))),
    ("tool.schema", document(returns={"type": "object", "properties": {"a": {"minLength": -1}}})),
    ("tool.pattern", document(parameters=parameters({"room": {**TEXT, "pattern": "(["}}))),
    ("tool.required", document(parameters=parameters({"room": TEXT}, ("hall",)))),
    ("tool.parameters_described", document(parameters=parameters({"room": {"type": "string"}}))),
    ("tool.binary", document(parameters=parameters({"room": {**TEXT, "contentEncoding": "base64"}}, ("room",)))),
    (
        "tool.named_only",
        document(parameters=parameters({n: {**TEXT, "description": f"{n}."} for n in ("kind", "act")})),
    ),
    ("tool.paging", document(parameters=parameters({"page": TEXT, "startAt": {**TEXT, "type": "integer"}}))),
    ("tool.credentials", document("rooms.log_in")),
    ("tool.credentials", document(parameters=parameters({"room": TEXT, "api_key": TEXT}))),
    ("tool.size", document(parameters=parameters({"room": {**TEXT, "enum": [f"room {i}" for i in range(900)]}}))),
)


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return [*aws.read(AWS), *google.read(GOOGLE)]


@pytest.fixture(scope="module")
def pool(documents: list[Document]) -> tuple[list[Tool], list[tuple[Tool, Any]]]:
    return build_pool(documents)


def test_a_good_document_is_kept_with_its_provenance() -> None:
    (tool,), rejected = build_pool([document()])
    assert rejected == []
    assert (tool.domain, tool.origin, tool.licence) == ("Rooms", "real", "MIT")
    assert tool.path == ("Work", "Rooms", "room")
    assert tool.source["operation"] == "rooms.reserve"


@pytest.mark.parametrize(("rule", "refused"), REFUSED)
def test_each_gate_refuses_what_it_is_for(rule: str, refused: Document) -> None:
    kept, ((_, verdict),) = build_pool([refused])
    assert kept == []
    assert verdict.rule == rule
    assert verdict.evidence


def test_every_gate_is_tried_by_a_refused_document() -> None:
    judged = {gate for gate in gates.GATES for _, refused in REFUSED if not gate(to_tool(refused)).kept}
    assert judged == set(gates.GATES)


def test_of_two_near_duplicates_and_two_equal_names_the_first_is_kept() -> None:
    twin = document("rooms.reserve_again", description="Reserves a meeting room for some hours of a day!")
    namesake = document(description="Cancels what was arranged earlier with the front desk.")
    kept, rejected = build_pool([document(), twin, namesake])
    assert [tool.id for tool in kept] == ["made:x:rooms.reserve"]
    assert [verdict.rule for _, verdict in rejected] == ["pool.near_duplicate", "pool.name_taken"]


def test_functions_of_bfcl_are_refused_under_their_own_and_other_names() -> None:
    function = next(tool for tool in benchmark.benchmark_functions().tools if tool.name == "calculate_triangle_area")
    same = document(function.name, parameters=dict(function.parameters))
    prefixed = document(f"geometry.{function.name}", parameters=dict(function.parameters))
    reworded = document("triangles.size", description=f"{function.description} It is very exact and quick to use.")
    for copied in (same, prefixed, reworded):
        _, ((_, verdict),) = build_pool([copied])
        assert verdict.rule == "benchmark.function"


def test_equal_names_alone_are_no_overlap_with_bfcl() -> None:
    (kept,), _ = build_pool([document("rooms.calculate_triangle_area")])
    assert kept.name == "rooms.calculate_triangle_area"


def test_requests_of_bfcl_are_found_in_any_spelling_and_other_texts_are_not() -> None:
    requests = benchmark.benchmark_requests()
    assert requests.count > 5_000
    asked = "So: FIND the area of a triangle with a base of 10 units, and a height of 5 units, thanks!"
    assert requests.overlaps(asked)
    assert requests.overlaps("What is my first name?")
    assert requests.overlaps("Which of the paintings in the west wing came from the sale at Lyon in 1911?") is None


def test_without_bfcl_the_pool_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="bfcl-eval"):
        benchmark.data_folder()


def test_reading_bfcl_does_not_import_it() -> None:
    import subprocess
    import sys

    program = (
        "import sys; from data_gen.tool_synthesis.benchmark import benchmark_functions; "
        "print(len(benchmark_functions().tools), 'bfcl_eval' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    count, imported = done.stdout.split()
    assert int(count) > 2_000
    assert imported == "False"


def test_real_documents_in_are_tools_kept_and_rejected(documents: list[Document], pool: tuple[Any, Any]) -> None:
    kept, rejected = pool
    assert len(kept) + len(rejected) == len(documents)
    assert len(kept) > 0.5 * len(documents)
    assert {verdict.rule for _, verdict in rejected} >= {"pool.near_duplicate", "tool.parameter_count"}
    assert len({tool.name for tool in kept}) == len({tool.id for tool in kept}) == len(kept)


def test_the_pool_is_the_same_each_time(documents: list[Document], pool: tuple[Any, Any]) -> None:
    assert build_pool(documents) == pool


def test_the_pool_is_written_and_read_back(tmp_path: Path, pool: tuple[Any, Any]) -> None:
    kept, rejected = pool
    rules = write_all(tmp_path, kept, ({**t.to_json(), "verdict": v.to_json()} for t, v in rejected), ())
    assert sum(rules.values()) == len(rejected)
    assert read_pool(tmp_path / "tools.jsonl") == kept
    rows = [json.loads(line) for line in (tmp_path / "rejected_tools.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == len(rejected)
    assert set(rows[0]["verdict"]) == {"rule", "evidence", "where"}
    columns = ["id", "name", "description", "parameters", "returns", "domain", "path", "origin", "source", "licence"]
    assert list(rows[0])[:-1] == columns


def _sets(rng: random.Random) -> Iterator[frozenset[tuple[str, str]]]:
    words = [f"w{i}" for i in range(12)]
    for _ in range(120):
        text = [rng.choice(words) for _ in range(rng.randrange(2, 14))]
        yield bigrams(Tool("t", " ".join(text), {}))


@pytest.mark.parametrize("threshold", [0.5, 0.7, 1.0])
def test_the_index_finds_what_a_comparison_of_all_pairs_finds(threshold: float) -> None:
    sets = list(_sets(random.Random(4)))
    index = SimilarityIndex(threshold, sets)
    for i, set_ in enumerate(sets):
        found = index.find(set_)
        near = [j for j, other in enumerate(sets[:i]) if len(set_ & other) / len(set_ | other) >= threshold]
        assert (found[0] if found else None) == (str(near[0]) if near else None)
        index.add(str(i), set_)


def test_gates_of_a_kept_tool_all_say_kept() -> None:
    assert all(gate(to_tool(document())) == KEPT for gate in gates.GATES)
