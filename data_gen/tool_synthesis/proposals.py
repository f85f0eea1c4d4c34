"""`proposals.jsonl`: one line for everything a model proposed, or was to propose, with what became of it and why."""

from __future__ import annotations

from typing import Any

from data_gen.tool_synthesis.taxonomy import SubDomain
from data_gen.verification.verdict import Verdict
from toolace.rows import Row


def proposal_row(
    kind: str, key: str, proposed: Any, verdict: Verdict, evidence: str = "", sub: SubDomain | None = None
) -> Row:
    """One line of `proposals.jsonl`; "kept" is null where the next run will ask."""
    row = {"kind": kind, "of": key, "proposed": proposed, "kept": verdict.kept, "rule": verdict.rule}
    return {**row, "evidence": verdict.evidence or evidence, "domain": sub.name if sub else ""}


def unfinished_row(kind: str, key: str, why: str) -> Row:
    """The line of a proposal that was not made."""
    return {**proposal_row(kind, key, None, Verdict.reject("llm.unfinished", why)), "kept": None}
