"""What a pool is made of, in numbers: Table 1's row, origins, depth, types, constraints, licences, domains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from data_gen.tool_synthesis.adaptation import REAL
from data_gen.tool_synthesis.taxonomy import SubDomain
from toolace import Tool

Schema = Mapping[str, Any]
CONSTRAINTS = (
    "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format", "pattern",
    "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties",
)  # fmt: skip
# What the pool's own acceptance counts as a constraint: an enum, a range, a format or a pattern.
TELLING_CONSTRAINTS = frozenset(
    ("enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format", "pattern")
)


def schemas(tool: Tool) -> Iterator[Schema]:
    """Every schema inside a tool's parameters, at every depth."""
    for schema in tool.properties.values():
        yield from _inside(schema)


def _inside(schema: Any) -> Iterator[Schema]:
    if not isinstance(schema, Mapping):
        return
    yield schema
    for inner in (schema.get("properties") or {}).values():
        yield from _inside(inner)
    for key in ("items", "additionalProperties"):
        yield from _inside(schema.get(key))
    for key in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(key) or ():
            yield from _inside(inner)


def _is_object(schema: Any) -> bool:
    return isinstance(schema, Mapping) and (schema.get("type") == "object" or "properties" in schema)


def nested(tool: Tool) -> bool:
    """A parameter is, or holds, an object (paper Table 1, "nested")."""
    return any(map(_is_object, schemas(tool)))


def list_of_lists_or_objects(tool: Tool) -> bool:
    """A parameter is, or holds, a list of lists or a list of objects (paper Sec. 2.1)."""
    for schema in schemas(tool):
        items = schema.get("items")
        if isinstance(items, Mapping) and (items.get("type") == "array" or _is_object(items)):
            return True
    return False


def constrained(tool: Tool) -> bool:
    """A parameter has an enum, a range, a format or a pattern."""
    return any(TELLING_CONSTRAINTS & set(schema) for schema in schemas(tool))


def depth(tool: Tool) -> int:
    """Objects and lists within each other, the deepest; 0 for scalars alone."""

    def below(schema: Any) -> int:
        if not isinstance(schema, Mapping):
            return 0
        inner = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
        own = _is_object(schema) or schema.get("type") == "array"
        return own + max(map(below, inner), default=0)

    return max(map(below, tool.properties.values()), default=0)


def figures_of(tools: Sequence[Tool], subs: Sequence[SubDomain] = ()) -> dict[str, Any]:
    """All figures of a pool as one JSON object; shares are percentages of the tools, rounded to 0.01.

    Args:
        tools: the pool.
        subs: the taxonomy, to know which sub-domains are cloud topics; none when the pool is not placed on it.
    """
    domains = Counter(tool.domain for tool in tools)
    cloud = {sub.name for sub in subs if sub.cloud}
    counts: dict[str, Any] = {
        "apis": len(tools),
        "domains": len(domains),
        "domains_with_10_or_more": sum(number >= 10 for number in domains.values()),
        "smallest_domain": min(domains.values(), default=0),
        "largest_domain_share": _share(max(domains.values(), default=0), len(tools)),
        "real": sum(tool.origin == REAL for tool in tools),
        "evolved": sum(tool.origin != REAL for tool in tools),
        "shares": {name: _share(sum(map(test, tools)), len(tools)) for name, test in _SHARES.items()},
        "depth": _table(depth(tool) for tool in tools),
        "parameters": _table(len(tool.properties) for tool in tools),
        "types": _table(_type(schema) for tool in tools for schema in tool.properties.values()),
        "constraints": dict.fromkeys(CONSTRAINTS, 0) | _constraints(tools),
        "packages": _table(f"{tool.source.get('package', '')} {tool.source.get('version', '')}" for tool in tools),
        "licences": _table(tool.licence or "none stated" for tool in tools),
    }
    if subs:
        everyday = sum(tool.domain not in cloud for tool in tools)
        counts["shares"]["everyday_domains"] = _share(everyday, len(tools))
    return counts


_SHARES: Mapping[str, Callable[[Tool], bool]] = {
    "nested_parameters": nested,
    "lists_of_lists_or_objects": list_of_lists_or_objects,
    "constrained": constrained,
    "with_results": lambda tool: bool(tool.returns),
    "with_required": lambda tool: bool(tool.required),
    "permissive_licence": lambda tool: _is_permissive(tool.licence),
}


def _is_permissive(licence: str) -> bool:
    from data_gen.documents.licences import is_permissive

    return is_permissive(licence)


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _table(values: Any) -> dict[str, int]:
    counted = Counter(values)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))
    return {str(value): number for value, number in ordered}


def _constraints(tools: Sequence[Tool]) -> dict[str, int]:
    """Keyword -> tools with a parameter that has it."""
    found: Counter[str] = Counter()
    for tool in tools:
        found.update({key for schema in schemas(tool) for key in CONSTRAINTS if key in schema})
    return dict(found)


def _type(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = "/".join(map(str, kind))
    if kind == "array":
        items = schema.get("items")
        inner = items.get("type") if isinstance(items, Mapping) else None
        return f"array of {inner or 'anything'}"
    return str(kind or "anything")
