"""The API pool as a file, and the tools of a list that repeat none before them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_gen.tool_synthesis.gates import PoolGate
from data_gen.verification.verdict import Verdict
from toolace import Tool
from toolace.rows import load

Rejected = tuple[Tool, Verdict]


def distinct(tools: Sequence[Tool]) -> tuple[list[Tool], list[Rejected]]:
    """The tools whose name is not taken and that nearly repeat no earlier one, and the others with their reasons.

    Args:
        tools: in order of preference: of two near-duplicates the earlier one is kept.

    Returns:
        (kept, rejected); together all of them.
    """
    in_pool = PoolGate(tools, by_words=False)
    kept: list[Tool] = []
    rejected: list[Rejected] = []
    for tool in tools:
        verdict = in_pool(tool)
        if verdict.kept:
            in_pool.add(tool)
            kept.append(tool)
        else:
            rejected.append((tool, verdict))
    return kept, rejected


def read_pool(path: str | Path) -> list[Tool]:
    """Reads `tools.jsonl`; InputError names file, line and what is wrong."""
    return list(load(path, Tool.from_json))
