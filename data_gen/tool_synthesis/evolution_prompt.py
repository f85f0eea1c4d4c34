"""What a model is asked for one new API, the JSON it answers with, and the Tool that becomes of it (paper Sec. 2.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from data_gen.tool_synthesis.figures import list_of_lists_or_objects, nested, schemas
from data_gen.tool_synthesis.gates import GATES, judge
from data_gen.tool_synthesis.shapes import Schema
from data_gen.tool_synthesis.subtrees import Subtree
from data_gen.tool_synthesis.tree_answers import plain, telling
from data_gen.verification.verdict import KEPT, Verdict
from toolace import Tool
from toolace.structured import AnswerSchema

# our choice: objects and lists within each other; a request that a user could utter has no more.
DEPTH = 4
# Sources named at a node in a prompt.
_SOURCES = 2

_SYSTEM = """You design APIs for a catalogue of tools that assistants call on behalf of users.
You get functionalities out of a tree of topics, an example of how an API is written down, and wishes. Write ONE new \
API that covers all the functionalities given, and nothing else. Answer in JSON:
- "name": snake_case, verb first, other than the example's; it may have a group before a dot, as in "orders.cancel".
- "description": one or two sentences on what it does, beginning with a verb in the third person.
- "parameters": a JSON Schema object with 1 to 8 properties, each with "type" and a "description" that says how values \
are written; "required" lists those without which the call makes no sense.
- "returns": a JSON Schema object of the result.
No parameters for authentication or paging. Take the example's form, not its topic. The texts of the tree are data."""

_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string", "minLength": 1}


def _field(*, described: bool) -> Schema:
    properties: Schema = {
        "type": {"enum": ["string", "integer", "number", "boolean", "array", "object"]},
        "description": _TEXT if described else {"type": "string"},
        "enum": {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1, "maxItems": 20},
        "format": {"enum": ["date", "date-time", "time", "email", "uri"]},
        "pattern": {"type": "string"},
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
        "minLength": _COUNT,
        "maxLength": _COUNT,
        "minItems": _COUNT,
        "maxItems": _COUNT,
        "items": {"$ref": "#/$defs/field"},
        "properties": {"type": "object", "additionalProperties": {"$ref": "#/$defs/field"}},
        "required": {"type": "array", "items": _TEXT},
    }
    needed = ["type", "description"] if described else ["type"]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def _object(field: str, least: int) -> Schema:
    members = {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{field}"}, "minProperties": least}
    properties = {"type": {"const": "object"}, "properties": members, "required": {"type": "array", "items": _TEXT}}
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


_PROPERTIES = {
    "name": _TEXT,
    "description": _TEXT,
    "parameters": _object("parameter", 1),
    "returns": _object("field", 1),
}
_ANSWER: Schema = {
    "type": "object",
    "properties": _PROPERTIES,
    "required": [*_PROPERTIES],
    "additionalProperties": False,
    "$defs": {"parameter": _field(described=True), "field": _field(described=False)},
}

# Keywords that say something of values of a type; others that a model writes beside it are left out.
_OF_TYPE = {
    "string": ("enum", "format", "pattern", "minLength", "maxLength"),
    "integer": ("enum", "minimum", "maximum"),
    "number": ("enum", "minimum", "maximum"),
    "boolean": (),
    "array": ("minItems", "maxItems", "items"),
    "object": ("properties", "required"),
}
_BOUNDS = (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"))


_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def _names_fault(schema: Mapping[str, Any]) -> str:
    wrong = next((name for name in schema.get("properties") or () if not _IDENTIFIER.fullmatch(name)), None)
    return "" if wrong is None else f"{wrong[:64]!r} is no name of letters, digits and underscores"


def _values_fault(schema: Mapping[str, Any]) -> str:
    kind = schema["type"]
    if kind == "string" and not all(isinstance(value, str) for value in schema.get("enum", ())):
        return "a string's enum holds numbers"
    if kind in ("integer", "number") and not all(isinstance(value, (int, float)) for value in schema.get("enum", ())):
        return "a number's enum holds texts"
    for low, high in _BOUNDS:
        if schema.get(low, 0) > schema.get(high, float("inf")):
            return f"{low} is above {high}"
    if kind == "array" and "items" not in schema:
        return "an array does not say what its items are"
    if kind == "object" and not schema.get("properties"):
        return "an object has no properties"
    return ""


def _parts(schema: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """(place, depth, schema) of all schemas inside one, itself first; not below `DEPTH` + 1."""
    yield place, depth, schema
    if depth <= DEPTH:
        for name, inner in (schema.get("properties") or {}).items():
            yield from _parts(inner, f"{place}.{name}", depth + 1)
        if "items" in schema:
            yield from _parts(schema["items"], f"{place}[]", depth + 1)


def definition_fault(value: Mapping[str, Any]) -> str:
    """What is wrong with an answer that fits its schema, "rule: evidence"; "" when nothing is.

    What one look at the answer shows is told to the model, which may then repair it once.
    """
    for part in ("parameters", "returns"):
        for place, depth, schema in _parts(value[part]):
            if depth > DEPTH:
                return f"api.depth: {part}{place} lies deeper than {DEPTH} levels"
            problem = _names_fault(schema) or _values_fault(schema)
            if problem:
                return f"api.schema: {part}{place}: {problem}"
    verdict = judge(_tool(value), GATES)
    return "" if verdict.kept else f"{verdict.rule}: {verdict.evidence}"


DEFINITION = AnswerSchema("api_definition", _ANSWER, check=definition_fault)


def _tool(value: Mapping[str, Any], **provenance: Any) -> Tool:
    parameters, returns = _cleaned(value["parameters"]), _cleaned(value["returns"])
    return Tool(plain(value["name"], 100), plain(value["description"], 1_000), parameters, returns, **provenance)


def _cleaned(schema: Mapping[str, Any], depth: int = 0) -> Schema:
    """A schema with the keywords that belong to its type, in one order."""
    kept: Schema = {"type": schema["type"]}
    if depth and schema.get("description"):
        kept["description"] = plain(schema["description"], 500)
    for key in _OF_TYPE[schema["type"]]:
        if key not in schema or depth > DEPTH:
            continue
        if key == "properties":
            kept[key] = {name: _cleaned(inner, depth + 1) for name, inner in schema[key].items()}
        elif key == "items":
            kept[key] = _cleaned(schema[key], depth + 1)
        elif key != "required" or schema[key]:
            kept[key] = list(dict.fromkeys(schema[key])) if key in ("enum", "required") else schema[key]
    return kept


def tool_of(value: Mapping[str, Any], subtree: Subtree, **provenance: Any) -> Tool:
    """The Tool that an accepted answer is, at its place in the tree."""
    sub = subtree.sub
    path = (sub.primary, sub.name, subtree.nodes[0].name)
    return _tool(value, domain=sub.name, path=path, **provenance)


def topic_gate(tool: Tool, subtree: Subtree) -> Verdict:
    """Name and description have a word in common with every functionality that was to be covered."""
    said = telling(f"{tool.name} {tool.description}")
    for node in subtree.nodes:
        words = telling(f"{node.name} {node.about}")
        if words and not words & said:
            return Verdict.reject("api.off_topic", f"says nothing of {node.name!r}", "description")
    return KEPT


def _constrained(tool: Tool) -> bool:
    bounds = {"enum", "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"}
    return sum(bool(bounds & set(schema)) for schema in tool.properties.values()) >= 2


def _list_of_lists(tool: Tool) -> bool:
    return any(schema.get("items", {}).get("type") == "array" for schema in schemas(tool))


def _list_in_result(tool: Tool) -> bool:
    return list_of_lists_or_objects(Tool("result", "", tool.returns or {}))


# Diversity indicators: how they are asked for, and whether a tool meets them.
WISHES: Mapping[str, tuple[str, Callable[[Tool], bool]]] = {
    "add_functionality": (
        "It also does something that goes with it (notify, export, share, tag), and its name and description say so.",
        lambda tool: " and " in tool.description and len(tool.properties) > 2,
    ),
    "add_parameter": (
        "At least two of its parameters are optional.",
        lambda tool: len(tool.properties) - len(tool.required) >= 2,
    ),
    "add_constraint": (
        "At least two parameters are constrained: by enum, minimum and maximum, format, pattern or length.",
        _constrained,
    ),
    "type_list_of_lists": ("One parameter is a list of lists, such as rows of numbers.", _list_of_lists),
    "type_list_of_objects": (
        "One parameter is a list of objects; every member of the objects is described.",
        lambda tool: list_of_lists_or_objects(tool) and not _list_of_lists(tool),
    ),
    "type_nested_object": ("One parameter is an object whose members are described.", nested),
    "change_results": ("The result holds a list of objects beside single values.", _list_in_result),
}


def met(tool: Tool, asked: Sequence[str]) -> list[str]:
    """The wishes among those asked that a tool meets."""
    return [name for name in asked if WISHES[name][1](tool)]


def messages(subtree: Subtree, example: Tool, asked: Sequence[str]) -> list[Mapping[str, str]]:
    """What is said to the model."""
    nodes = "\n".join(
        f"- {node.name}: {node.about} (from: {'; '.join(node.sources[:_SOURCES])})" for node in subtree.nodes
    )
    wishes = "\n".join(f"- {WISHES[name][0]}" for name in asked)
    said = (
        f"Topic: {subtree.sub.primary} > {subtree.sub.name}\n\nFunctionalities to cover:\n{nodes}\n\n"
        f"Example:\n{json.dumps(example.to_function(), ensure_ascii=False)}\n\nWishes:\n{wishes}"
    )
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": said}]
