"""Pools of tools for the tests of dialog generation: the everyday documents, and those with some real ones."""

from __future__ import annotations

from functools import cache

from data_gen.documents import everyday
from data_gen.documents.document import Document
from data_gen.pipeline import documents
from data_gen.settings import ToolSettings
from data_gen.tool_synthesis.pool import build_pool
from data_gen.verification.verdict import Verdict
from toolace import Tool


@cache
def everyday_documents() -> tuple[Document, ...]:
    return tuple(everyday.read())


@cache
def everyday_pool() -> tuple[tuple[Tool, ...], tuple[tuple[Tool, Verdict], ...]]:
    kept, rejected = build_pool(everyday_documents())
    return tuple(kept), tuple(rejected)


@cache
def mixed_pool() -> tuple[Tool, ...]:
    kept, _ = build_pool(documents(ToolSettings(everyday=True, aws=8, google=8, per_service=6), seed=17))
    return tuple(kept)
