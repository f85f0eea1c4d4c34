"""The API context tree: primary domains, sub-domains, functionalities, each with its sources (paper Fig. 9)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data_gen.tool_synthesis.subtrees import Node
from data_gen.tool_synthesis.taxonomy import SubDomain
from toolace import Tool

# Sources named at one node; beyond these a node says how many there are.
SOURCES = 5


def tree_of(
    tools: Iterable[Tool], subs: Sequence[SubDomain] = (), read: Mapping[str, Sequence[Node]] | None = None
) -> dict[str, Any]:
    """The tree of a pool as one JSON object.

    Args:
        tools: the pool; a tool stands under its path.
        subs: sub-domains whose functions are nodes even where no tool has come of them yet.
        read: sub-domain -> functionalities that a model read out of documents; nodes too.

    Returns:
        {"name", "tools", "children": [...]} with three levels below the root; a leaf is {"name", "tools", "sources"}:
        sources are texts "package version, file", the most frequent first. Beside them stands "counts": the nodes of
        each level.
    """
    counts: dict[tuple[str, ...], int] = Counter()
    sources: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for sub in subs:
        for function in sub.functions:
            node = (sub.primary, sub.name, function.title)
            counts[node] += 0
            sources[node][f"toolace, taxonomy of {sub.primary}"] += 1
        for known in (read or {}).get(sub.name, ()):
            counts[sub.primary, sub.name, known.name] += 0
            sources[sub.primary, sub.name, known.name].update(known.sources)
    for tool in tools:
        path = node_of(tool)
        counts[path] += 1
        sources[path][source_of(tool)] += 1
    root: dict[str, Any] = {"name": "APIs", "tools": sum(counts.values()), "children": []}
    for path, number in counts.items():
        inner = root
        for name in path[:-1]:
            inner = _child(inner, name)
            inner["tools"] += number
        named = sources[path].most_common(SOURCES)
        more = len(sources[path]) - len(named)
        leaf = {"name": path[-1], "tools": number, "sources": [name for name, _ in named]}
        inner["children"].append({**leaf, "more_sources": more} if more else leaf)
    levels = [len({path[: depth + 1] for path in counts if len(path) > depth}) for depth in range(3)]
    root["counts"] = dict(zip(("primary_domains", "sub_domains", "functionalities"), levels, strict=True))
    return root


def node_of(tool: Tool) -> tuple[str, ...]:
    """Where a tool stands: three names, made up from domain and name where its path is shorter."""
    path = tool.path[:3] or (tool.domain or "APIs",)
    return path if len(path) == 3 else (*path, *(tool.domain or path[-1], tool.name)[len(path) - 1 :])[:3]


def source_of(tool: Tool) -> str:
    """ "package version, file" of a tool's document."""
    source = tool.source
    package = f"{source.get('package', 'unknown')} {source.get('version', '')}".strip()
    return f"{package}, {source.get('file', '')}".removesuffix(", ")


def _child(node: dict[str, Any], name: str) -> dict[str, Any]:
    # Paths come sub-domain by sub-domain, so the child looked for is mostly the last one.
    children = node["children"]
    for child in reversed(children):
        if child["name"] == name and "children" in child:
            found: dict[str, Any] = child
            return found
    made: dict[str, Any] = {"name": name, "tools": 0, "children": []}
    children.append(made)
    return made
