from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from data_gen.documents import openapi
from data_gen.documents.document import Document
from data_gen.documents.loading import LeftOut
from toolace import InputError

PETS: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Pet Clinic", "version": "2.1", "license": {"name": "Apache 2.0"}},
    "paths": {
        "/pets/{petId}": {
            "parameters": [{"name": "petId", "in": "path", "required": True, "schema": {"type": "integer"}}],
            "get": {
                "operationId": "getPet",
                "tags": ["pets"],
                "summary": "Get a pet",
                "description": "Returns <b>one</b> pet of the [clinic](https://example.org).",
                "parameters": [
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                    {"name": "api_key", "in": "query", "schema": {"type": "string"}},
                    {"name": "page", "in": "query", "schema": {"type": "integer"}},
                    {"name": "min-weight", "in": "query", "description": "Least.", "schema": {"type": "number"}},
                    {"name": "from", "in": "query", "description": "First day.", "schema": {"type": "string"}},
                ],
                "responses": {"200": {"content": {"text/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}},
            },
            "delete": {"summary": "Removes a pet from the clinic", "deprecated": True},
        },
        "/pets": {
            "post": {
                "summary": "Registers a new pet of an owner.",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}},
                "responses": {},
            }
        },
    },
    "components": {
        "schemas": {
            "Named": {"properties": {"name": {"type": "string", "description": "Call name."}}, "required": ["name"]},
            "Pet": {
                "allOf": [
                    {"$ref": "#/components/schemas/Named"},
                    {
                        "type": "object",
                        "required": ["kind"],
                        "properties": {
                            "id": {"type": "integer", "readOnly": True},
                            "kind": {"type": "string", "enum": ["cat", "dog", "cat"]},
                            "weight": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "nullable": True},
                            "mother": {"$ref": "#/components/schemas/Pet"},
                            "code": {"oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
                        },
                    },
                ]
            },
        }
    },
}  # fmt: skip


def read(root: Any) -> tuple[list[Document], list[InputError]]:
    problems: list[InputError] = []
    return list(openapi.read(root, openapi.Publication("api.json"), problems.append)), problems


def spec(operation: Any, **components: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {"title": "T"}, "paths": {"/x": {"post": operation}}, "components": components}


def body(schema: Any) -> dict[str, Any]:
    return {"summary": "Sends a thing.", "requestBody": {"content": {"application/json": {"schema": schema}}}}


def parameters(schema: Any, **schemas: Any) -> Any:
    documents, problems = read(spec(body(schema), schemas=schemas))
    assert not problems
    return documents[0].structure["parameters"]


def test_an_operation_is_read_with_title_tag_licence_and_source() -> None:
    document = read(PETS)[0][0]
    assert document.structure["name"] == "get_pet"
    assert document.structure["description"] == "Get a pet. Returns one pet of the clinic."
    assert document.path == ("Other", "Pet Clinic", "pets")
    assert document.licence == "Apache-2.0"
    assert document.source["operation"] == "GET /pets/{petId}"
    assert document.source["version"] == "2.1"


def test_own_names_are_kept_and_headers_keys_and_paging_dropped() -> None:
    schema = read(PETS)[0][0].structure["parameters"]
    assert list(schema["properties"]) == ["petId", "min_weight", "from_value"]
    assert schema["required"] == ["petId"]


def test_an_undescribed_parameter_is_described_by_its_name_and_says_so() -> None:
    document = read(PETS)[0][0]
    assert document.structure["parameters"]["properties"]["petId"]["description"] == "ID of the pet."
    assert document.source["described_by_name"] == "petId"


def test_all_of_is_merged_cycles_are_cut_and_what_the_server_sets_is_left_out() -> None:
    schema = read(PETS)[0][1].structure["parameters"]
    assert list(schema["properties"]) == ["name", "kind", "weight", "code"]
    assert schema["required"] == ["name", "kind"]
    assert schema["properties"]["kind"]["enum"] == ["cat", "dog"]
    assert schema["properties"]["weight"]["exclusiveMinimum"] == 0
    assert schema["properties"]["code"]["type"] == ["integer", "string"]


def test_results_are_the_shape_of_the_first_success() -> None:
    returns = read(PETS)[0][0].structure["returns"]
    assert returns["properties"]["kind"] == {"type": "string"}
    assert "required" not in returns


def test_deprecated_operations_are_left_out() -> None:
    assert [document.source["operation"] for document in read(PETS)[0]] == ["GET /pets/{petId}", "POST /pets"]


def test_swagger_2_bodies_and_forms_are_read() -> None:
    listed = [
        {"name": "body", "in": "body", "schema": {"type": "object", "properties": {"size": {"type": "integer"}}}},
        {"name": "note", "in": "formData", "type": "string", "maxLength": 9},
    ]
    root = {"swagger": "2.0", "info": {}, "paths": {"/x": {"post": {"summary": "Sends it.", "parameters": listed}}}}
    documents, problems = read(root)
    assert not problems
    assert documents[0].structure["parameters"]["properties"]["note"]["maxLength"] == 9
    assert documents[0].structure["parameters"]["properties"]["size"]["type"] == "integer"


def test_a_large_body_is_one_parameter_and_many_parameters_are_cut_to_twelve() -> None:
    wide = {"type": "object", "properties": {f"field{i}": {"type": "string"} for i in range(20)}}
    assert list(parameters({"$ref": "#/components/schemas/OrderRequest"}, OrderRequest=wide)["properties"]) == ["order"]
    query = [{"name": f"a{i}", "in": "query", "required": i > 17, "schema": {"type": "string"}} for i in range(20)]
    kept = read(spec({"summary": "Looks.", "parameters": query}))[0][0].structure["parameters"]
    assert len(kept["properties"]) == 12
    assert kept["required"] == ["a18", "a19"]


def test_constants_become_one_enum_and_a_useful_branch_is_chosen() -> None:
    choice = {"oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]}
    shape = {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"r": {"type": "number"}}}]}
    found = parameters({"type": "object", "properties": {"choice": choice, "shape": shape}})["properties"]
    assert found["choice"]["enum"] == ["a", "b"]
    assert list(found["shape"]["properties"]) == ["r"]


def test_an_unresolved_reference_names_file_operation_and_reference_and_the_rest_goes_on() -> None:
    root = json.loads(json.dumps(PETS))
    root["paths"]["/pets"]["post"]["requestBody"] = {"$ref": "#/components/requestBodies/Lost"}
    documents, problems = read(root)
    assert len(documents) == 1
    assert "api.json (POST /pets)" in str(problems[0]) and "Lost" in str(problems[0])


def test_one_defect_in_many_operations_is_told_once_and_counted() -> None:
    paths = {f"/x{i}": {"get": {"parameters": [{"$ref": "#/nowhere"}]}} for i in range(30)}
    _, problems = read({"openapi": "3.0.0", "info": {}, "paths": paths})
    assert len(problems) == 2
    assert "29 more operations" in str(problems[1])


@pytest.mark.parametrize("level", ["inline", "reference"])
def test_an_all_of_bomb_takes_no_time(level: str) -> None:
    schemas: dict[str, Any] = {"S0": {"type": "object", "properties": {"leaf": {"type": "string"}}}}
    for i in range(1, 41):
        branch = {"$ref": f"#/components/schemas/S{i - 1}"}
        schemas[f"S{i}"] = {"allOf": [branch, dict(branch)]} if level == "inline" else {"anyOf": [branch, dict(branch)]}
    started = time.perf_counter()
    documents, problems = read(spec(body({"$ref": "#/components/schemas/S40"}), schemas=schemas))
    assert time.perf_counter() - started < 2
    assert len(documents) + len(problems) == 1


def test_schemas_that_multiply_are_shown_as_far_as_a_prompt_has_room() -> None:
    everything = [f"S{i}" for i in range(30)]
    members = {f"m{name}": {"$ref": f"#/components/schemas/{name}"} for name in everything}
    schemas = {name: {"type": "object", "properties": {**members, "own": {"type": "string"}}} for name in everything}
    started = time.perf_counter()
    documents, _ = read(spec(body({"$ref": "#/components/schemas/S0"}), schemas=schemas))
    assert time.perf_counter() - started < 2
    assert len(json.dumps(documents[0].structure["parameters"])) < 8_000


def test_deep_nesting_is_cut() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(400):
        schema = {"type": "array", "items": schema}
    assert parameters({"type": "object", "properties": {"deep": schema}})["properties"]["deep"]["type"] == "array"


def test_a_hundred_thousand_paths_stream() -> None:
    paths = {f"/x{i}": {"get": {"summary": "Gets it all."}} for i in range(100_000)}
    documents = openapi.read({"openapi": "3.0.0", "info": {}, "paths": paths}, openapi.Publication("a"), lambda e: None)
    assert next(iter(documents)).structure["name"] == "get_x0"


def test_references_to_sibling_files_resolve_but_none_leads_out_or_to_the_network(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("type: string", encoding="utf-8")
    folder = tmp_path / "api"
    folder.mkdir()
    (folder / "parts.yaml").write_text("Size:\n  type: integer\n  description: In metres.\n", encoding="utf-8")
    for name, reference in (
        ("ok", "parts.yaml#/Size"),
        ("out", "../secret.yaml"),
        ("net", "http://127.0.0.1:9/x.yaml"),
    ):
        root = spec(body({"type": "object", "properties": {"size": {"$ref": reference}}}))
        (folder / f"{name}.json").write_text(json.dumps(root), encoding="utf-8")
    problems: list[InputError] = []
    found = {name: list(openapi.read_file(folder / f"{name}.json", problems.append)) for name in ("ok", "out", "net")}
    size = found["ok"][0].structure["parameters"]["properties"]["size"]
    assert size == {"type": "integer", "description": "In metres."}
    assert not found["out"] and not found["net"]
    assert ["out of the folder" in str(problem) for problem in problems] == [True, False]
    assert "network" in str(problems[1])


def test_names_are_distinct_within_a_description() -> None:
    paths = {f"/{noun}/{{id}}/notes": {"get": {"summary": "Notes of it."}} for noun in ("cats", "dogs", "cows")}
    names = [document.structure["name"] for document in read({"openapi": "3.0.0", "info": {}, "paths": paths})[0]]
    assert names == ["list_notes", "list_dog_notes", "list_cow_notes"]


NOISE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.builds(lambda: {"$ref": "#/components"}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def nodes(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a value."""
    found: list[tuple[Any, Any]] = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        found += [(value, key), *nodes(inner)]
    return found


@settings(max_examples=250, deadline=2_000, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_mutation_gives_documents_with_valid_schemas_or_problems(data: st.DataObject) -> None:
    root = json.loads(json.dumps(PETS))
    for _ in range(data.draw(st.integers(1, 4))):
        places = nodes(root)
        container, key = places[data.draw(st.integers(0, len(places) - 1))]
        container[key] = copy.deepcopy(data.draw(NOISE))
    documents, problems = read(root)
    for document in documents:
        for part in ("parameters", "returns"):
            if document.structure[part] is not None:
                Draft202012Validator.check_schema(document.structure[part])
                json.dumps(document.structure[part], allow_nan=False)
    assert all("\n" not in str(problem) and str(problem).startswith("api.json") for problem in problems)


def parameters_of(schema: dict[str, Any], **schemas: Any) -> tuple[dict[str, Any], list[InputError]]:
    """The parameters of an operation with such a body, and what was told of it."""
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    spec = {
        "openapi": "3.1.0", "info": {"title": "Till"}, "components": {"schemas": schemas},
        "paths": {"/pay": {"post": {"operationId": "pay", "summary": "Pays.", "requestBody": body, "responses": {}}}},
    }  # fmt: skip
    problems: list[InputError] = []
    (document,) = openapi.read(spec, openapi.Publication("till.json"), problems.append)
    return dict(document.structure["parameters"]), problems


def object_of(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


CARD = object_of(["kind", "amount", "card"], kind={"const": "card"}, amount={"type": "number"}, card={"type": "string"})
BANK = object_of(["kind", "amount", "iban"], kind={"const": "bank"}, amount={"type": "number"}, iban={"type": "string"})


@pytest.mark.parametrize("word", ["oneOf", "anyOf"])
def test_alternatives_that_are_objects_give_all_their_members_and_require_what_all_require(word: str) -> None:
    found, _ = parameters_of({word: [{"$ref": "#/components/schemas/Card"}, BANK]}, Card=CARD)
    assert set(found["properties"]) == {"kind", "amount", "card", "iban"}
    assert found["required"] == ["kind", "amount"]
    assert found["properties"]["kind"]["enum"] == ["card", "bank"]
    assert found["properties"]["amount"]["type"] == "number"


def test_beside_an_object_of_anything_nothing_is_required() -> None:
    found, _ = parameters_of({"oneOf": [CARD, {"type": "object", "additionalProperties": True}]})
    assert "required" not in found and "card" in found["properties"]


def test_a_member_stated_again_in_an_all_of_keeps_what_both_say() -> None:
    base = object_of(["kind"], kind={"type": "string", "description": "Kind of animal."})
    found, _ = parameters_of({"allOf": [base, object_of([], kind={"const": "cat"}, lives={"type": "integer"})]})
    assert found["properties"]["kind"] == {"type": "string", "enum": ["cat"], "description": "Kind of animal."}
    assert found["required"] == ["kind"]


def test_values_of_several_types_are_all_kept() -> None:
    found, _ = parameters_of(object_of([], level={"enum": [1, "two", 3.5]}, plain={"enum": [None, "a", "b"]}))
    level = found["properties"]["level"]
    assert level["enum"] == [1, "two", 3.5] and set(level["type"]) == {"number", "string"}
    assert found["properties"]["plain"]["enum"] == ["a", "b"] and found["properties"]["plain"]["type"] == "string"


def test_bounds_that_no_value_meets_are_left_out_and_told_and_so_is_a_default_beyond_them() -> None:
    schema = {"type": "integer", "minimum": 10, "maximum": 1, "default": 99}
    found, problems = parameters_of(object_of([], rank=schema))
    assert found["properties"]["rank"] == {"type": "integer", "description": "Rank."}
    assert [problem.what for problem in problems] == ["minimum 10 is above maximum 1; both are left out"]


def test_placeholders_are_no_defaults_and_empty_words_no_descriptions() -> None:
    found, _ = parameters_of(
        object_of([], shipment_id={"type": "string", "default": "insert identifier here", "description": "Required."})
    )
    assert found["properties"]["shipment_id"] == {"type": "string", "description": "ID of the shipment."}


def test_operations_that_are_no_tools_are_counted_with_their_reason() -> None:
    image = {"required": True, "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
    old = {"deprecated": True, "summary": "Was once.", "responses": {}}
    paths = {
        "/image": {"post": {"summary": "Sends an image.", "requestBody": image, "responses": {}}},
        "/old": {"get": old, "delete": old},
    }
    problems: list[InputError] = []
    spec = {"openapi": "3.0.0", "info": {"title": "Wall"}, "paths": paths}
    assert not list(openapi.read(spec, openapi.Publication("wall.json"), problems.append))
    counted = {problem.reason: problem.number for problem in problems if isinstance(problem, LeftOut)}
    assert counted == {"its body must be image/png, which no call can hold": 1, "it is deprecated": 2}
