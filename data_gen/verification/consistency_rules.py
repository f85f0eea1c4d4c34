"""Rules on results, refusals and the dialog's type (paper, Table 4: data-sample consistency)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from data_gen.verification.identity import remembered_last
from data_gen.verification.registry import CONSISTENCY, Finding, rule
from data_gen.verification.schemas import compile_once
from toolace.dialogs import Dialog, Message


@remembered_last
def _answered(dialog: Dialog) -> tuple[tuple[int, Message, list[Message]], ...]:
    """Each calling turn that is followed by results: (index of the first result, the calls, the results)."""
    return tuple(_find_answered(dialog.messages))


def _find_answered(messages: Sequence[Message]) -> Iterator[tuple[int, Message, list[Message]]]:
    for i, message in enumerate(messages):
        if message.calls:
            results = []
            for later in messages[i + 1 :]:
                if later.role != "tool":
                    break
                results.append(later)
            if results:
                yield i + 1, message, results


def _pairs(calling: Message, results: Sequence[Message]) -> list[tuple[int, Message]]:
    """(index of the call it answers, result) by call id, else by position; -1 when there is no such call."""
    ids = {id_: j for j, id_ in enumerate(calling.call_ids)}
    pairs = []
    for position, result in enumerate(results):
        by_place = position if position < len(calling.calls) else -1
        pairs.append((by_place if result.call_id is None else ids.get(result.call_id, -1), result))
    return pairs


@rule("result.count", CONSISTENCY)
def result_count(dialog: Dialog) -> Iterator[Finding]:
    """When calls are answered, there are as many results as calls, each to one call."""
    for at, calling, results in _answered(dialog):
        if len(results) != len(calling.calls):
            yield f"{len(results)} results of {len(calling.calls)} calls", f"messages[{at}]"
            continue
        given = [result.call_id for result in results if result.call_id is not None]
        for id_ in sorted({id_ for id_ in given if given.count(id_) > 1}):
            yield f"two results of the call {id_!r}", f"messages[{at}]"


@rule("result.name", CONSISTENCY)
def result_name(dialog: Dialog) -> Iterator[Finding]:
    """A result names the API that was called, and answers a call of the turn before."""
    for at, calling, results in _answered(dialog):
        called = {call.name for call in calling.calls}
        for offset, (j, result) in enumerate(_pairs(calling, results)):
            where = f"messages[{at + offset}]"
            if result.name is not None and result.name not in called:
                yield f"a result of {result.name!r}, but {', '.join(sorted(called))} was called", where
            elif j < 0 and result.call_id is not None:
                yield f"a result of the call {result.call_id!r}, which is not in the turn before", where
            elif j >= 0 and result.call_id is not None and result.name not in (None, calling.calls[j].name):
                yield f"a result of {result.name!r} to a call of {calling.calls[j].name!r}", where


@rule("result.order", CONSISTENCY)
def result_order(dialog: Dialog) -> Iterator[Finding]:
    """Results stand in the order of the calls: most formats tell them apart by nothing else."""
    for at, calling, results in _answered(dialog):
        names = [result.name for result in results]
        called = [call.name for call in calling.calls]
        if [j for j, _ in _pairs(calling, results)] != list(range(len(results))) and len(results) == len(called):
            yield "results are not in the order of their calls", f"messages[{at}]"
        elif None not in names and names != called and sorted(map(str, names)) == sorted(called):
            yield f"results of {', '.join(map(str, names))} to calls of {', '.join(called)}", f"messages[{at}]"


@rule("result.schema", CONSISTENCY)
def result_schema(dialog: Dialog) -> Iterator[Finding]:
    """A result fits what the tool's definition says it returns; an object with an `error` fits any."""
    returns = {tool.name: tool.returns for tool in dialog.tools if tool.returns}
    if not returns:
        return
    for at, calling, results in _answered(dialog):
        for offset, (j, result) in enumerate(_pairs(calling, results)):
            definition = returns.get(calling.calls[j].name) if j >= 0 else None
            problem = _misfit(result.content, definition) if definition else ""
            if problem:
                yield problem, f"messages[{at + offset}]"


def _misfit(content: str, definition: dict[str, Any]) -> str:
    """Why a result does not fit; text that is no JSON, or reads as another type, may stand for a string."""
    compiled = compile_once(definition)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = content
    if isinstance(value, dict) and "error" in value:
        return ""
    known = definition.get("properties")
    if isinstance(value, dict) and value and isinstance(known, dict) and known and not value.keys() & known.keys():
        return f"a result with {', '.join(map(repr, list(value)[:4]))}, none of which the definition returns"
    errors = compiled.errors(value)
    if errors and not isinstance(value, str) and not compiled.errors(content):
        return ""
    if not errors:
        return ""
    path, _, evidence = errors[0]
    place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
    return f"result{place}: {evidence}"


_REFUSAL = re.compile(
    r"\A\W*(?:(?:i['’]?m|i am|we['’]?re) (?:very |so |really )?(?:sorry|afraid)|sorry|apologies|unfortunately|"
    r"i (?:can['’]?t|cannot|can not|won['’]?t|am unable|am not able)|(?:that|this) (?:is not|isn['’]t) possible|"
    r"not possible|no\b)",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\b(?:because|since|as (?:none|no|there|i|the)|due to|lack\w*|miss\w*|need\w*|requir\w*|provid\w*|without|none of|"
    r"no (?:\w+ ){0,3}(?:tools?|functions?|apis?)|not (?:have|cover|support|available|relevant|suit\w*|find|found)|"
    r"don['’]?t have|doesn['’]?t|does not|do not|only|outside|unavailable|beyond|error|fail\w*|instead|could you|"
    r"please|which|what|tools?|functions?|apis?|invalid|unknown|not found)\b|\?",
    re.IGNORECASE,
)
# our choice: a longer text than a dozen words explains itself somehow, and a rule should not judge how.
_REFUSAL_WORDS = 12


@rule("refusal.has_reason", CONSISTENCY)
def refusal_reason(dialog: Dialog) -> Iterator[Finding]:
    """A short refusal of a request says why: what is missing, or that no tool fits."""
    for i, message in enumerate(dialog.messages):
        after_result = i > 0 and dialog.messages[i - 1].role == "tool"
        text = "" if message.role != "assistant" or message.calls or after_result else message.content
        match = _REFUSAL.match(text[:200])
        if match and len(text.split()) <= _REFUSAL_WORDS and not _REASON.search(text, match.end()):
            yield f"a refusal without a reason: {text!r}", f"messages[{i}]"


@rule("dialog.type", CONSISTENCY)
def dialog_type(dialog: Dialog) -> Iterator[Finding]:
    """The calls agree with the type: single has one call in each calling turn, parallel a turn with several,
    dependent several calling turns, non_tool_use none. Dialogs without a type pass."""
    counts = [len(message.calls) for message in dialog.messages if message.calls]
    if dialog.type == "single" and (not counts or max(counts) > 1):
        yield f"type single, but calls by turn are {counts or 'none'}", ""
    if dialog.type == "parallel" and (not counts or max(counts) < 2):
        yield f"type parallel, but calls by turn are {counts or 'none'}", ""
    if dialog.type == "dependent" and len(counts) < 2:
        yield f"type dependent, but calls by turn are {counts or 'none'}", ""
    if dialog.type == "non_tool_use" and counts:
        yield f"type non_tool_use, but {sum(counts)} calls", ""
    if dialog.type not in ("", "single", "parallel", "dependent", "non_tool_use"):
        yield f"unknown type {dialog.type!r}", ""
