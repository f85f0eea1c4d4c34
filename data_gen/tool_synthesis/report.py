"""The pool's report: `report.md` beside `tools.jsonl`, with the treemap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from data_gen.tool_synthesis.taxonomy import SubDomain
from toolace import Tool

# paper, Table 1
_TABLE_1 = (
    ("Gorilla", "1,645", "3", "–", "–", "–", "–"),
    ("ToolAlpaca", "3,938", "50", "–", "–", "–", "–"),
    ("ToolLLM", "16,464", "49", "–", "–", "✓", "–"),
    ("xLAM", "3,673", "21", "–", "✓", "–", "–"),
    ("ToolACE (paper)", "26,507", "390", "✓", "✓", "✓", "✓"),
)
_ROWS = 12


def report_of(
    tools: Sequence[Tool],
    figures: Mapping[str, Any],
    tree: Mapping[str, Any],
    rejected: Mapping[str, int],
    subs: Sequence[SubDomain],
    short: str = "",
) -> str:
    """The report as Markdown.

    Args:
        tools: the pool.
        figures: of `figures_of`.
        tree: of `tree_of`.
        rejected: rule -> number of tools it rejected.
        subs: the taxonomy when the pool is placed on it, else none.
        short: says that there are fewer tools than were wanted, and why.
    """
    shares = figures["shares"]
    lines = [
        "# API pool",
        "",
        f"{figures['apis']:,} tools in {figures['domains']} domains: {figures['real']:,} from documents of real APIs, "
        f"{figures['evolved']:,} written or evolved by this project.",
        "",
        *([f"**{short}**", ""] if short else ()),
        "![Share of each domain](treemap.svg)",
        "",
        "## Beside the paper's Table 1",
        "",
        "| data | APIs | domains | nested | parallel | dependent | multi-type |",
        "| --- | ---: | ---: | --- | --- | --- | --- |",
        *("| " + " | ".join(row) + " |" for row in _TABLE_1),
        f"| this pool | {figures['apis']:,} | {figures['domains']} | {shares['nested_parameters']:.1f} % of the tools "
        f"| {_dialogs(tools)} |",
        "",
        "Parallel, dependent and multi-type are properties of dialogs; a pool can say for how many tools there is "
        "another one in the domain, and for how many a required parameter stands in the result of another one.",
        "",
        "## Shape",
        "",
        "| share of the tools | % |",
        "| --- | ---: |",
        *(f"| {name.replace('_', ' ')} | {value:.1f} |" for name, value in shares.items()),
        f"| largest domain | {figures['largest_domain_share']:.2f} |",
        "",
        *_table("depth of parameters (objects and lists)", figures["depth"]),
        *_table("parameters of a tool", figures["parameters"]),
        *_table("type of a parameter", figures["types"]),
        *_table("tools with the constraint", figures["constraints"]),
        "## Where they come from",
        "",
        *_table("package", figures["packages"]),
        *_table("licence", figures["licences"]),
        "## Tree",
        "",
        "| level | nodes |",
        "| --- | ---: |",
        *(f"| {name.replace('_', ' ')} | {number:,} |" for name, number in tree["counts"].items()),
        "",
        *_domains(tree, tools, subs),
        "## Rejected",
        "",
        *_table("rule", rejected),
    ]
    return "\n".join(lines)


def _dialogs(tools: Sequence[Tool]) -> str:
    """How many tools can be called in parallel with, or after, another one of their domain."""
    by_domain: dict[str, list[Tool]] = {}
    for tool in tools:
        by_domain.setdefault(tool.domain, []).append(tool)
    parallel = dependent = 0
    for group in by_domain.values():
        given = Counter(name for tool in group for name in _members(tool.returns))
        parallel += len(group) if len(group) > 1 else 0
        dependent += sum(any(given[name] > (name in _members(t.returns)) for name in t.required) for t in group)
    return (
        f"{100 * parallel / len(tools):.1f} % | {100 * dependent / len(tools):.1f} % | all types"
        if tools
        else "– | – | –"
    )


def _members(schema: Any) -> set[str]:
    """Names of all members of a result, at every depth."""
    if not isinstance(schema, Mapping):
        return set()
    found = set(schema.get("properties") or ())
    for inner in (*(schema.get("properties") or {}).values(), schema.get("items")):
        found |= _members(inner)
    return found


def _table(title: str, counts: Mapping[str, int]) -> list[str]:
    shown = list(counts.items())
    more = sum(number for _, number in shown[_ROWS:])
    rows = [f"| {_cell(name)} | {number:,} |" for name, number in shown[:_ROWS]]
    return [f"| {title} | number |", "| --- | ---: |", *rows, *([f"| others | {more:,} |"] if more else []), ""]


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|")


def _domains(tree: Mapping[str, Any], tools: Sequence[Tool], subs: Sequence[SubDomain]) -> list[str]:
    real = Counter(tool.domain for tool in tools if tool.origin == "real")
    cloud = {sub.name for sub in subs if sub.cloud}
    lines = ["| primary domain | sub-domain | tools | real | functionalities |", "| --- | --- | ---: | ---: | ---: |"]
    for primary in tree["children"]:
        for sub in primary.get("children", ()):
            name = f"{sub['name']} (cloud)" if sub["name"] in cloud else sub["name"]
            functionalities = len(sub.get("children", ()))
            shown = (primary["name"], name, sub["tools"], real[sub["name"]], functionalities)
            lines.append("| " + " | ".join(_cell(cell) for cell in shown) + " |")
    return [*lines, ""]
