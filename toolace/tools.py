"""Tool: one API definition whose parameters are a JSON Schema (draft 2020-12) object.

Data sets write the same thing in two dialects. BFCL and ToolACE say `dict`, `float`, `tuple` and `any`, xLAM and others
say `str`, `int`, `bool`, `list`; `Tool.from_json` reads all of them and `to_dialect` writes the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toolace.errors import InputError

Schema = dict[str, Any]

_TO_SCHEMA = {
    "dict": "object",
    "hashmap": "object",
    "map": "object",
    "float": "number",
    "double": "number",
    "decimal": "number",
    "int": "integer",
    "long": "integer",
    "str": "string",
    "char": "string",
    "bool": "boolean",
    "list": "array",
    "tuple": "array",
    "set": "array",
    "arraylist": "array",
    "none": "null",
}
_TO_DIALECT = {"object": "dict", "number": "float"}
_TYPES = {"object", "array", "string", "integer", "number", "boolean", "null"}

# Where JSON Schema holds a schema, a list of schemas, or a mapping of names to schemas.
_ONE = ("items", "additionalProperties", "contains", "not", "if", "then", "else", "propertyNames")
_MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def map_schema(schema: Any, change: Any) -> Any:
    """Rebuilds a schema bottom-up, calling `change(node)` on every sub-schema (a dict) and on the root."""
    if not isinstance(schema, Mapping):
        return schema
    node = dict(schema)
    for key in _ONE:
        if key in node:
            value = node[key]
            node[key] = [map_schema(v, change) for v in value] if isinstance(value, list) else map_schema(value, change)
    for key in _MANY:
        if isinstance(node.get(key), list):
            node[key] = [map_schema(value, change) for value in node[key]]
    for key in _NAMED:
        if isinstance(node.get(key), Mapping):
            node[key] = {name: map_schema(value, change) for name, value in node[key].items()}
    return change(node)


def _type_to_schema(node: Schema) -> Schema:
    kind = node.get("type")
    if isinstance(kind, str):
        plain = kind.strip().lower()
        if plain in ("any", "object|any", ""):
            node.pop("type")
        else:
            node["type"] = _TO_SCHEMA.get(plain, plain if plain in _TYPES else kind)
    elif isinstance(kind, list):
        node["type"] = [_TO_SCHEMA.get(item, item) if isinstance(item, str) else item for item in kind]
    return node


def _type_to_dialect(node: Schema) -> Schema:
    kind = node.get("type")
    if isinstance(kind, str) and kind in _TO_DIALECT:
        node["type"] = _TO_DIALECT[kind]
    elif isinstance(kind, list):
        node["type"] = [_TO_DIALECT.get(item, item) if isinstance(item, str) else item for item in kind]
    return node


def read_schema(schema: Any) -> Schema:
    """Turns a parameter schema of any known dialect into JSON Schema 2020-12."""
    result: Schema = map_schema(schema, _type_to_schema)
    return result


@dataclass(frozen=True)
class Tool:
    """One callable API.

    Attributes:
        name: as the model must write it; may hold dots and, in foreign data, spaces.
        description: what the API does.
        parameters: JSON Schema of the arguments, `{"type": "object", "properties": ..., "required": [...]}`.
        returns: JSON Schema of the result, or None when the document does not say.
        id, domain, path, origin, source, licence: provenance; empty for tools read from other people's data.
    """

    name: str
    description: str
    parameters: Schema
    returns: Schema | None = None
    id: str = ""
    domain: str = ""
    path: tuple[str, ...] = ()
    origin: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""

    @property
    def properties(self) -> dict[str, Schema]:
        """Parameter name to its schema, in the order of the document."""
        return dict(self.parameters.get("properties") or {})

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the parameters that a call must give."""
        names = self.parameters.get("required")
        return tuple(names) if isinstance(names, list | tuple) else ()

    @classmethod
    def from_json(cls, row: Any) -> Tool:
        """Reads a row of `tools.jsonl`, an OpenAI tool, a bare function object, or a BFCL / ToolACE function document.

        Raises:
            InputError: no name, or parameters that are not a schema object.
        """
        if not isinstance(row, Mapping):
            raise InputError(f"a tool is a {type(row).__name__}, not an object", fix="Write each tool as an object.")
        inner = row.get("function")
        if row.get("type") == "function" and isinstance(inner, Mapping):
            row = inner
        name = row.get("name")
        if not isinstance(name, str) or not name.strip():
            raise InputError("a tool has no name", fix='Give every tool a "name".')
        path = row.get("path")
        parameters = row.get("parameters", row.get("arguments", row.get("inputSchema")))
        return cls(
            name=name,
            description=str(row.get("description") or ""),
            parameters=_read_parameters(parameters, name),
            returns=read_schema(row["returns"]) if isinstance(row.get("returns"), Mapping) else None,
            id=str(row.get("id") or ""),
            domain=str(row.get("domain") or ""),
            path=tuple(map(str, path)) if isinstance(path, list | tuple) else (),
            origin=str(row.get("origin") or ""),
            source=dict(row.get("source") or {}) if isinstance(row.get("source"), Mapping) else {},
            licence=str(row.get("licence") or ""),
        )

    def to_json(self) -> dict[str, Any]:
        """The row of `tools.jsonl`."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
            "returns": self.returns,
            "domain": self.domain,
            "path": list(self.path),
            "origin": self.origin,
            "source": dict(self.source),
            "licence": self.licence,
        }

    def to_function(self) -> dict[str, Any]:
        """What a model is shown: name, description, parameters (and returns when known), as JSON Schema."""
        shown = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {**shown, "returns": self.returns} if self.returns is not None else shown

    def to_openai(self) -> dict[str, Any]:
        """The OpenAI form, `{"type": "function", "function": {...}}`."""
        return {"type": "function", "function": self.to_function()}

    def to_dialect(self) -> dict[str, Any]:
        """What a model is shown, in BFCL's and ToolACE's dialect: `dict` for object, `float` for number."""
        shown: dict[str, Any] = map_function(self.to_function(), _type_to_dialect)
        return shown


def map_function(function: dict[str, Any], change: Any) -> dict[str, Any]:
    """Applies `map_schema` to a function object's `parameters` and `returns`."""
    return {k: map_schema(v, change) if k in ("parameters", "returns") else v for k, v in function.items()}


def _read_parameters(parameters: Any, name: str) -> Schema:
    if parameters is None or parameters == {} or parameters == []:
        return {"type": "object", "properties": {}}
    if not isinstance(parameters, Mapping):
        kind = type(parameters).__name__
        raise InputError(f"parameters of tool {name!r} are a {kind}", fix="Write them as a JSON Schema object.")
    # xLAM writes {"city": {"type": "str", "description": ..., "default": ...}} with no wrapper at all; one of its
    # parameters may be called "type".
    wrapped = isinstance(parameters.get("type"), str | list) or "properties" in parameters or "$ref" in parameters
    if not wrapped and all(isinstance(value, Mapping) for value in parameters.values()):
        return _unwrapped(parameters)
    schema = read_schema(parameters)
    if not isinstance(schema.get("properties", {}), Mapping):
        raise InputError(f"properties of tool {name!r} are not an object", fix="Write name: schema pairs.")
    return schema


def _unwrapped(parameters: Mapping[str, Any]) -> Schema:
    properties, required = {}, []
    for key, value in parameters.items():
        schema = dict(value)
        kind = str(schema.get("type", ""))
        optional = kind.endswith(", optional") or "default" in schema
        schema["type"] = kind.removesuffix(", optional")
        properties[key] = read_schema(schema)
        if not optional:
            required.append(key)
    return {"type": "object", "properties": properties, "required": required}
