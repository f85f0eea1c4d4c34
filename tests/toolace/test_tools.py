"""Tool documents of every dialect become JSON Schema, and go back to ToolACE's."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from toolace import InputError, Tool
from toolace.tools import map_schema, read_schema

BFCL = {
    "name": "geo.distance",
    "description": "Distance.",
    "parameters": {
        "type": "dict",
        "properties": {
            "start": {"type": "tuple", "items": {"type": "float"}, "description": "Where from."},
            "options": {"type": "dict", "properties": {"type": {"type": "any"}, "deep": {"type": "Boolean"}}},
            "either": {"anyOf": [{"type": "float"}, {"type": "HashMap"}]},
            "both": {"type": ["float", "null"]},
        },
        "required": ["start"],
    },
}


def test_a_document_in_the_benchmarks_dialect_becomes_json_schema() -> None:
    tool = Tool.from_json(BFCL)
    assert tool.properties == {
        "start": {"type": "array", "items": {"type": "number"}, "description": "Where from."},
        "options": {"type": "object", "properties": {"type": {}, "deep": {"type": "boolean"}}},
        "either": {"anyOf": [{"type": "number"}, {"type": "object"}]},
        "both": {"type": ["number", "null"]},
    }
    assert tool.required == ("start",)
    Draft202012Validator.check_schema(tool.parameters)
    assert BFCL["parameters"]["type"] == "dict"  # type: ignore[index]  # what was given is not changed


def test_json_schema_goes_back_to_the_dialect() -> None:
    shown = Tool.from_json(BFCL).to_dialect()
    assert shown["parameters"]["type"] == "dict"
    assert shown["parameters"]["properties"]["start"]["items"] == {"type": "float"}
    assert shown["parameters"]["properties"]["both"] == {"type": ["float", "null"]}
    assert Tool.from_json(shown) == Tool.from_json(BFCL)


def test_every_place_of_a_schema_is_read() -> None:
    schema = {
        "items": [{"type": "int"}],
        "prefixItems": [{"type": "str"}],
        "additionalProperties": {"type": "bool"},
        "patternProperties": {"x": {"type": "list"}},
        "not": {"type": "none"},
        "default": {"type": "float"},
        "contains": True,
    }
    assert read_schema(schema) == {
        "items": [{"type": "integer"}],
        "prefixItems": [{"type": "string"}],
        "additionalProperties": {"type": "boolean"},
        "patternProperties": {"x": {"type": "array"}},
        "not": {"type": "null"},
        "default": {"type": "float"},
        "contains": True,
    }
    assert read_schema({"type": "Widget"}) == {"type": "Widget"}
    assert map_schema(True, lambda node: 1) is True


def test_parameters_without_a_wrapper_are_read() -> None:
    tool = Tool.from_json(
        {
            "name": "f",
            "parameters": {
                "type": {"type": "str", "description": "kind"},
                "n": {"type": "int, optional"},
                "m": {"type": "float", "default": 1},
            },
        }
    )
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "type": {"type": "string", "description": "kind"},
            "n": {"type": "integer"},
            "m": {"type": "number", "default": 1},
        },
        "required": ["type"],
    }


@pytest.mark.parametrize("empty", [None, {}, []])
def test_a_tool_may_have_no_parameters(empty: Any) -> None:
    tool = Tool.from_json({"name": "f", "parameters": empty})
    assert (tool.parameters, tool.properties, tool.required) == ({"type": "object", "properties": {}}, {}, ())


@pytest.mark.parametrize("required", [None, True, "city"])
def test_required_that_is_no_list_requires_nothing(required: Any) -> None:
    assert Tool("f", "", {"type": "object", "required": required}).required == ()


def test_the_openai_form_and_the_row_are_read_back() -> None:
    returns = {"type": "dict", "properties": {"t": {"type": "float"}}}
    row = {
        **BFCL, "returns": returns, "id": "t-1", "domain": "Maps", "path": ["Travel", "Maps"], "origin": "real",
        "source": {"file": "x"}, "licence": "MIT",
    }  # fmt: skip
    tool = Tool.from_json(row)
    assert tool.returns == {"type": "object", "properties": {"t": {"type": "number"}}}
    assert Tool.from_json(tool.to_json()) == tool
    assert tool.path == ("Travel", "Maps")
    shown = Tool.from_json(tool.to_openai())
    assert (shown.to_function(), shown.id, shown.source) == (tool.to_function(), "", {})
    assert "returns" not in Tool.from_json(BFCL).to_function()
    assert tool.to_dialect()["returns"] == returns


def test_provenance_of_other_shapes_is_left_out() -> None:
    tool = Tool.from_json({"name": "f", "path": "/v1/users", "source": "web"})
    assert (tool.path, tool.source) == ((), {})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("f", "a tool is a str"),
        ({"description": "x"}, "no name"),
        ({"name": " "}, "no name"),
        ({"name": "f", "parameters": "x"}, "parameters of tool 'f' are a str"),
        ({"name": "f", "parameters": {"type": "dict", "properties": ["a"]}}, "properties of tool 'f'"),
    ],
)
def test_what_is_no_tool_is_refused(row: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Tool.from_json(row)
