"""The tools of the labelled sample, built from BFCL's functions: copies that keep one thing of them, and our own."""

from __future__ import annotations

from typing import Any

from overlap_sample import OWN_TOOLS, TOOLS

from data_gen.benchmark_items import installed
from toolace import Tool

# A sentence that is put behind a description, as people do who adapt a function.
_BEHIND = " Results are given in the order in which they were recorded."


def _tool(name: str, description: str, parameters: str) -> Tool:
    properties = {key: {"type": "string", "description": f"The {key.replace('_', ' ')}."} for key in parameters.split()}
    schema = {"type": "object", "properties": properties, "required": parameters.split()[:1]}
    return Tool.from_json({"name": name, "description": description, "parameters": schema})


def own_tools() -> list[Tool]:
    """Tools that are nobody's but ours."""
    return [*(_tool(*row[1:]) for row in TOOLS), *(_tool(*row) for row in OWN_TOOLS)]


def tool_copies() -> dict[str, list[Tool]]:
    """Copies by what they keep of the benchmark's function: `name`, `parameters` or `description`."""
    functions: dict[str, Tool] = {}
    for item in installed():
        if isinstance(item.content, Tool):
            functions.setdefault(item.content.name, item.content)
    copies: dict[str, list[Tool]] = {"name": [], "parameters": [], "description": []}
    for known, name, description, parameters in TOOLS:
        theirs, own = functions[known], _tool(name, description, parameters)
        half = list(theirs.properties)[: (len(theirs.properties) + 1) // 2]
        kept = {key: theirs.properties[key] for key in half} | own.properties
        copies["name"].append(_with(own, name=_spelled(known), parameters={"type": "object", "properties": kept}))
        copies["parameters"].append(_with(own, parameters=theirs.parameters))
        copies["description"].append(_with(own, description=theirs.description + _BEHIND))
    return copies


def _with(tool: Tool, **changed: Any) -> Tool:
    return Tool.from_json({**tool.to_json(), **changed})


def _spelled(name: str) -> str:
    """`get_current_loc` as `getCurrentLoc`: another house's style."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
