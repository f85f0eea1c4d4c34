"""Lists of tools as people write them besides JSON: YAML, XML, Markdown, Python signatures.

A model that has seen one format of a tool list only has learnt the format with the task. These are written, not
parsed: a toolace row with such a list has its tools in a column as well (`toolace.formats`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import yaml

from toolace.tools import Tool

Schema = Mapping[str, Any]


def yaml_list(tools: Sequence[Tool]) -> str:
    """The function objects as a YAML list."""
    functions = json.loads(json.dumps([tool.to_function() for tool in tools]))  # plain types, no shared objects
    return yaml.safe_dump(functions, sort_keys=False, allow_unicode=True, width=10**6).rstrip("\n")


def xml_list(tools: Sequence[Tool]) -> str:
    """`<tools>` with a `<tool>` each; a parameter's schema beside its name, type and description stands as JSON."""
    return "\n".join(["<tools>", *(line for tool in tools for line in _xml(tool)), "</tools>"])


def _xml(tool: Tool) -> Iterator[str]:
    yield f"  <tool name={quoteattr(tool.name)}>"
    yield f"    <description>{escape(tool.description)}</description>"
    for name, schema in tool.properties.items():
        needed = "true" if name in tool.required else "false"
        head = f"    <parameter name={quoteattr(name)} type={quoteattr(_type(schema))} required={quoteattr(needed)}>"
        yield head + escape(_said(schema)) + "</parameter>"
    if tool.returns is not None:
        yield f"    <returns>{escape(json.dumps(tool.returns, ensure_ascii=False))}</returns>"
    yield "  </tool>"


def markdown_list(tools: Sequence[Tool]) -> str:
    """A heading for each tool, and a list of its parameters."""
    return "\n\n".join("\n".join(_markdown(tool)) for tool in tools)


def _markdown(tool: Tool) -> Iterator[str]:
    yield f"### {tool.name}"
    yield tool.description
    if tool.properties:
        yield "\nParameters:"
    for name, schema in tool.properties.items():
        needed = "required" if name in tool.required else "optional"
        said = _said(schema)
        yield f"- `{name}` ({_type(schema)}, {needed})" + (f": {said}" if said else "")
    if tool.returns is not None:
        yield f"\nReturns: `{json.dumps(tool.returns, ensure_ascii=False)}`"


def python_list(tools: Sequence[Tool]) -> str:
    """Signatures with docstrings; names with dots stay as they are called, since nothing here is run."""
    return "\n\n".join("\n".join(_python(tool)) for tool in tools)


_PYTHON = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "array": "list", "object": "dict"}


def _python(tool: Tool) -> Iterator[str]:
    ordered = sorted(tool.properties.items(), key=lambda pair: pair[0] not in tool.required)
    parts = []
    for name, schema in ordered:
        hint = _PYTHON.get(_type(schema), "Any")
        parts.append(f"{name}: {hint}" if name in tool.required else f"{name}: {hint} = None")
    returned = _PYTHON.get(_type(tool.returns), "Any") if tool.returns is not None else "Any"
    yield f"def {tool.name}({', '.join(parts)}) -> {returned}:"
    yield f'    """{tool.description}'
    if ordered:
        yield "\n    Args:"
    for name, schema in ordered:
        yield f"        {name}: {_said(schema)}".rstrip()
    if tool.returns is not None:
        yield f"\n    Returns:\n        {json.dumps(tool.returns, ensure_ascii=False)}"
    yield '    """'


def _type(schema: Schema) -> str:
    kind = schema.get("type", "any")
    return kind if isinstance(kind, str) else "|".join(map(str, kind)) if isinstance(kind, list) else "any"


def _said(schema: Schema) -> str:
    """A parameter's description, and what else its schema asks for, as JSON: nothing of it may be lost."""
    rest = {key: value for key, value in schema.items() if key not in ("type", "description")}
    parts = (str(schema.get("description") or ""), json.dumps(rest, ensure_ascii=False) if rest else "")
    return " ".join(part for part in parts if part)


LISTINGS = {"yaml": yaml_list, "xml": xml_list, "markdown": markdown_list, "python": python_list}
