"""Pools of tools for the tests of dialog generation: the everyday documents, and those with some real ones."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import chain

from data_gen.documents import aws, everyday, google
from data_gen.documents.document import Document
from data_gen.settings import ToolSettings
from data_gen.tool_synthesis.adaptation import to_tool
from data_gen.tool_synthesis.candidates import sampled
from data_gen.tool_synthesis.gates import GATES, BenchmarkGate, judge
from data_gen.tool_synthesis.pool import distinct
from data_gen.verification.verdict import Verdict
from toolace import Tool


def build_pool(documents: Iterable[Document]) -> tuple[list[Tool], list[tuple[Tool, Verdict]]]:
    """What the stage does with documents, in memory: adapt, judge, keep what is distinct."""
    benchmark = BenchmarkGate()
    judged = [(tool, judge(tool, (*GATES, benchmark))) for tool in map(to_tool, documents)]
    kept, twins = distinct([tool for tool, verdict in judged if verdict.kept])
    return kept, [*((tool, verdict) for tool, verdict in judged if not verdict.kept), *twins]


@cache
def everyday_documents() -> tuple[Document, ...]:
    return tuple(everyday.read())


@cache
def everyday_pool() -> tuple[tuple[Tool, ...], tuple[tuple[Tool, Verdict], ...]]:
    kept, rejected = build_pool(everyday_documents())
    return tuple(kept), tuple(rejected)


@cache
def mixed_pool() -> tuple[Tool, ...]:
    services = chain(everyday.read(), aws.read(8, seed=17), google.read(8, seed=17))
    kept, _ = build_pool(sampled(services, ToolSettings(per_service=6), 17))
    return tuple(kept)
