"""What names say where a document says nothing, at every depth; and what of a document nobody would ask for."""

from __future__ import annotations

from typing import Any

import pytest

from data_gen.documents import openapi
from data_gen.documents.document import Document
from data_gen.documents.references import CHAIN, References
from data_gen.documents.spelled_out import described_inside, parameter_text
from data_gen.tool_synthesis.adaptation import to_tool
from data_gen.tool_synthesis.gates import described_gate
from toolace import InputError

TEXT = {"type": "string"}


def inside(*members: str, **schemas: Any) -> dict[str, Any]:
    """A parameter `shipments`, a list of objects with these members, none described."""
    properties = {**{name: dict(TEXT) for name in members}, **schemas}
    row = {"type": "object", "properties": properties}
    described = {"type": "array", "items": row, "description": "What was sent."}
    return {"type": "object", "properties": {"shipments": described}}


def said(name: str, schema: dict[str, Any] | None = None) -> str:
    described, _ = described_inside(inside(**{name: schema or TEXT}))
    text: str = described["properties"]["shipments"]["items"]["properties"][name].get("description", "")
    return text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("courier", "Courier of the shipment."),
        ("id", "ID of the shipment."),
        ("orderId", "ID of the order."),
        ("lastName", "Last name of the shipment."),
        ("zipCode", "ZIP code of the shipment."),
        ("shipment_state", "Shipment state."),
        ("q", ""),
    ],
)
def test_a_member_says_what_it_is_a_member_of(name: str, text: str) -> None:
    assert said(name).lower() == text.lower()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("insured", "Whether the shipment is insured."),
        ("isOpen", "Whether it is open."),
        ("express_label", "Whether the shipment has express label."),
    ],
)
def test_true_or_false_is_a_whether(name: str, text: str) -> None:
    assert said(name, {"type": "boolean"}) == text


def test_a_last_name_is_no_name_of_the_last() -> None:
    assert [parameter_text(name, TEXT, "") for name in ("last_name", "postalCode", "user_name", "file_name")] == [
        "Last name.", "Postal code.", "User name.", "Name of the file."
    ]  # fmt: skip


def test_members_are_found_below_lists_maps_and_alternatives_and_their_places_are_told() -> None:
    deep = {
        "type": "array",
        "items": {"anyOf": [{"type": "object", "properties": {"weight": {"type": "number"}}}, dict(TEXT)]},
    }
    by_day = {"type": "object", "additionalProperties": {"type": "object", "properties": {"price": {"type": "number"}}}}
    given = inside(parcels=deep, rates=by_day)
    described, places = described_inside(given)
    assert places == [
        "shipments[].parcels[][].weight", "shipments[].parcels", "shipments[].rates[].price", "shipments[].rates",
    ]  # fmt: skip
    members = described["properties"]["shipments"]["items"]["properties"]
    assert members["parcels"]["items"]["anyOf"][0]["properties"]["weight"]["description"] == "Weight of the parcel."
    assert members["rates"]["additionalProperties"]["properties"]["price"]["description"] == "Price of the rate."
    assert given == inside(parcels=deep, rates=by_day), "what was given is not changed"


def test_what_is_described_stays_as_it_is() -> None:
    given = inside(courier={**TEXT, "description": "Who brings it."})
    assert described_inside(given) == (given, [])


def document(parameters: dict[str, Any]) -> Document:
    structure = {"name": "send", "description": "Sends shipments to their places.", "parameters": parameters}
    return Document("made:send", "Sending", "", ("Sending",), structure, {"described_by_name": "size"}, "MIT")


def test_a_tool_notes_which_members_its_names_describe_and_the_gate_refuses_the_rest() -> None:
    tool = to_tool(document(inside("courier")))
    assert tool.source["described_by_name"] == "size, shipments[].courier" and described_gate(tool).kept
    verdict = described_gate(to_tool(document(inside("courier", "q"))))
    assert (verdict.rule, verdict.where) == ("tool.parameters_described", "parameters.shipments[].q")


def chain(length: int, end: Any) -> dict[str, Any]:
    """`p0` refers to `p1`, and so on up to the end."""
    return {**{f"p{i}": {"$ref": f"#/p{i + 1}"} for i in range(length)}, f"p{length}": end}


def test_a_circle_is_told_from_a_long_chain() -> None:
    assert References(chain(CHAIN - 2, TEXT)).follow("#/p0", "")[0] == TEXT
    with pytest.raises(InputError, match=rf"'#/p0' is followed by more than {CHAIN} others"):
        References(chain(5_000, TEXT)).follow("#/p0", "")
    with pytest.raises(InputError, match="'#/p0' leads in a circle"):
        References(chain(3, {"$ref": "#/p1"})).follow("#/p0", "")


def operation(parameters: list[dict[str, Any]], body: dict[str, Any] | None = None) -> Any:
    made: dict[str, Any] = {
        "operationId": "listBooks",
        "summary": "Lists the books of a shelf.",
        "parameters": parameters,
    }
    if body is not None:
        made["requestBody"] = {"content": {"application/json": {"schema": body}}}
    root = {"openapi": "3.0.3", "info": {"title": "Library"}, "paths": {"/books": {"post": made}}}
    (read,) = openapi.read(root, openapi.Publication("api.json"), lambda problem: None)
    return read.structure["parameters"]


@pytest.mark.parametrize(
    "name", ["take", "Take", "page_limit", "pageNumber", "perPage", "nexttoken", "offset", "cursor"]
)
def test_the_pages_of_an_answer_are_no_parameters(name: str) -> None:
    shelf = {"name": "shelf", "in": "query", "schema": TEXT, "description": "Name of the shelf."}
    paging = {"name": name, "in": "query", "schema": {"type": "integer"}}
    assert set(operation([shelf, paging])["properties"]) == {"shelf"}
    body = {"type": "object", "properties": {"author": dict(TEXT), name: {"type": "integer"}}}
    assert set(operation([shelf], body)["properties"]) == {"shelf", "author"}
    assert name in operation([shelf], {**body, "required": [name]})["properties"], "what must be given is kept"


def test_the_callers_own_credentials_are_known_by_their_description() -> None:
    secret = {"type": "string", "description": "Your Plaid API `secret`. It is required and may be given in a header."}
    body = {
        "type": "object",
        "properties": {"secret": secret, "company": dict(TEXT)},
        "required": ["company", "secret"],
    }
    assert set(operation([], body)["properties"]) == {"company"}
    named = {"name": "id", "in": "query", "schema": TEXT, "description": "Your API client_id, from the dashboard."}
    assert "id" not in operation([named], {"type": "object", "properties": {"company": dict(TEXT)}})["properties"]
