"""MCP, the Model Context Protocol: tool lists as a server answers `tools/list`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def mcp_tools(value: Any) -> list[Any] | None:
    """The tools of an answer as function definitions, None when the value is no MCP tool list.

    Read are the JSON-RPC answer (`result.tools`), the bare result (`tools`) and a list of tools. A tool's `annotations`
    say nothing that a caller passes; its `title` stands in when there is no description.
    """
    if isinstance(value, Mapping) and isinstance(value.get("result"), Mapping):
        value = value["result"]
    listed = value.get("tools") if isinstance(value, Mapping) else value
    if not isinstance(listed, list) or not any(isinstance(tool, Mapping) and "inputSchema" in tool for tool in listed):
        return None
    return [_function(tool) for tool in listed]


def _function(tool: Any) -> Any:
    if not isinstance(tool, Mapping):
        return tool
    annotations = tool.get("annotations")
    title = tool.get("title") or (annotations.get("title") if isinstance(annotations, Mapping) else "")
    return {
        "name": tool.get("name"),
        "description": tool.get("description") or title or "",
        "parameters": tool.get("inputSchema"),
        "returns": tool.get("outputSchema"),
    }
