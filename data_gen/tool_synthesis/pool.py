"""The API pool: documents in, distinct tools of checked quality out, every rejected one with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from data_gen.documents.document import Document
from data_gen.tool_synthesis.adaptation import to_tool
from data_gen.tool_synthesis.gates import GATES, BenchmarkGate, Gate, PoolGate, judge
from data_gen.verification.verdict import Verdict
from toolace import Tool
from toolace.rows import Row, load, write_rows

Rejected = tuple[Tool, Verdict]


def build_pool(
    documents: Iterable[Document], *, gates: Sequence[Gate] = GATES, benchmark: Gate | None = None
) -> tuple[list[Tool], list[Rejected]]:
    """Adapts documents and keeps the tools that pass every gate, in the order of the documents.

    Args:
        documents: what the readers yield; of two near-duplicates the earlier one is kept, so order is a preference.
        gates: judge one tool by itself, in this order.
        benchmark: keeps benchmark functions out; the functions of the installed BFCL when None.

    Returns:
        (kept, rejected); together as many as there were documents.

    Raises:
        InputError: bfcl-eval is not installed and no other benchmark gate is given.
    """
    return pool_of([to_tool(document) for document in documents], gates=gates, benchmark=benchmark)


def pool_of(
    tools: Sequence[Tool], *, gates: Sequence[Gate] = GATES, benchmark: Gate | None = None
) -> tuple[list[Tool], list[Rejected]]:
    """`build_pool` for tools that exist already, such as evolved ones."""
    in_pool = PoolGate(tools)
    all_gates: list[Gate] = [*gates, benchmark or BenchmarkGate(), in_pool]
    kept: list[Tool] = []
    rejected: list[Rejected] = []
    for tool in tools:
        verdict = judge(tool, all_gates)
        if verdict.kept:
            in_pool.add(tool)
            kept.append(tool)
        else:
            rejected.append((tool, verdict))
    assert len(kept) + len(rejected) == len(tools), "a tool was lost between the gates"
    return kept, rejected


def write_pool(folder: str | Path, kept: Sequence[Tool], rejected: Sequence[Rejected]) -> dict[str, int]:
    """Writes `tools.jsonl` and `rejected_tools.jsonl` into a folder; returns the counts."""
    folder = Path(folder)
    write_rows(folder / "rejected_tools.jsonl", _rejected_rows(rejected))
    write_rows(folder / "tools.jsonl", (tool.to_json() for tool in kept))
    return {"in": len(kept) + len(rejected), "kept": len(kept), "rejected": len(rejected)}


def _rejected_rows(rejected: Iterable[Rejected]) -> Iterator[Row]:
    for tool, verdict in rejected:
        yield {**tool.to_json(), "verdict": verdict.to_json()}


def read_pool(path: str | Path) -> list[Tool]:
    """Reads `tools.jsonl`; InputError names file, line and what is wrong."""
    return list(load(path, Tool.from_json))
