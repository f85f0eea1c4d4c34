"""Quality gates of the pool: each looks at one Tool and says kept, or why not, in a Verdict."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from data_gen.documents.naming import snake
from data_gen.documents.openapi_noise import is_paging
from data_gen.documents.spelled_out import LEAST
from data_gen.tool_synthesis.benchmark import BenchmarkFunctions, benchmark_functions, benchmark_requests
from data_gen.tool_synthesis.similarity import SimilarityIndex, bigrams, words_and_parameters, words_of
from data_gen.verification.schemas import compile_schema
from data_gen.verification.verdict import KEPT, Verdict
from toolace import Tool

__all__ = ["GATES", "OWN_GATES", "BenchmarkGate", "Gate", "PoolGate", "benchmark_requests", "judge"]

Gate = Callable[[Tool], Verdict]

# our choice: fewer than 20 characters hardly say anything; with more than 12 parameters, a request that gives a fair
# part of them is no sentence any more.
DESCRIPTION_CHARACTERS = 20
NAME_CHARACTERS = 80
PARAMETERS = 12
# our choice: about 2,000 tokens, beyond which a few candidate tools fill a training prompt; 97 % of real tools are
# below.
DEFINITION_CHARACTERS = 8_000
NEAR_DUPLICATE = 0.7

_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_PARAMETER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_WITHDRAWN = re.compile(
    r"\b(?:deprecated|discontinued|no longer (?:supported|available)|do not use|for internal use)\b", re.I
)


def name_gate(tool: Tool) -> Verdict:
    """The name and those of the parameters are identifiers that Python can read in a call; a tool's may hold dots."""
    keywords = [part for part in tool.name.split(".") if keyword.iskeyword(part)]
    if keywords or not _NAME.fullmatch(tool.name) or len(tool.name) > NAME_CHARACTERS:
        return Verdict.reject(
            "tool.name", f"{tool.name!r} is no identifier of up to {NAME_CHARACTERS} characters", "name"
        )
    for name in tool.properties:
        if not _PARAMETER.fullmatch(name) or keyword.iskeyword(name):
            return Verdict.reject("tool.name", f"the parameter {name!r} is no identifier", "parameters")
    return KEPT


def description_gate(tool: Tool) -> Verdict:
    """The description says something: 20 characters or more, other than the name, of an API that still exists."""
    text = tool.description.strip()
    if len(text) < DESCRIPTION_CHARACTERS:
        return Verdict.reject(
            "tool.description", f"{text!r} has fewer than {DESCRIPTION_CHARACTERS} characters", "description"
        )
    if set(words_of(text)) <= set(words_of(tool.name)):
        return Verdict.reject("tool.description", f"{text!r} only repeats the name", "description")
    if _WITHDRAWN.search(text):
        return Verdict.reject("tool.description", f"withdrawn: {text!r}", "description")
    return KEPT


def said_gate(tool: Tool) -> Verdict:
    """There is a description, however short: "Adds two numbers." is enough for an API of one's own."""
    text = tool.description.strip()
    return KEPT if len(text) >= LEAST else Verdict.reject("tool.description", "there is no description", "description")


_SIGN_IN = re.compile(
    r"(?:^|_)(?:log_?in|log_?out|sign_?(?:in|out)|authenticate)(?:_user|_and_.*|_with_.*)?$|(?:^|_)auth_(?:revoke|test|login)$|"
    r"(?:^|_)(?:get|create|refresh|revoke|request|generate|obtain|issue)_(?:\w+_)?(?:bearer|oauth2?|auth|access|refresh)_?token"
)
_CREDENTIAL = re.compile(
    r"(?:api_?key|api_?secret|consumer_?(?:key|secret)|client_?secret|access_?token|auth_?token|bearer_?token|"
    r"session_?token|refresh_?token|secret_?key|private_?key|app_?secret)"
)
_OWN_TOKEN = re.compile(r"\b(?:auth\w*|access|api|bearer|session) (?:token|key)|\bjwt\b", re.I)


def secret_gate(tool: Tool) -> Verdict:
    """It signs nobody in and takes no credentials of the caller's: those are no part of a request."""
    name = "_".join(words_of(tool.name))
    if _SIGN_IN.search(name):
        return Verdict.reject("tool.credentials", f"{tool.name!r} signs somebody in or out", "name")
    for parameter, schema in tool.properties.items():
        own, text = snake(parameter), str(schema.get("description") or "") if isinstance(schema, Mapping) else ""
        if _CREDENTIAL.fullmatch(own) or (own in ("token", "jwt") and _OWN_TOKEN.search(text)):
            return Verdict.reject("tool.credentials", f"{parameter!r} is a credential", f"parameters.{parameter}")
    return KEPT


def paging_gate(tool: Tool) -> Verdict:
    """It takes something else than the pages of its answer."""
    if tool.properties and all(is_paging(name, schema) for name, schema in tool.properties.items()):
        names = ", ".join(tool.properties)
        return Verdict.reject("tool.paging", f"takes nothing but pages of its answer: {names}", "parameters")
    return KEPT


def named_only_gate(tool: Tool) -> Verdict:
    """Of several parameters, at least half have a description that says more than their name.

    "ID of the model." says enough, and so does a name beside a list of values; "Action." and "Link type." do not.
    """
    repeated = [
        name
        for name, schema in tool.properties.items()
        if isinstance(schema, Mapping)
        and not {"enum", "format", "properties"} & set(schema)
        and words_of(str(schema.get("description") or "")) == words_of(name)
    ]
    if len(repeated) > 1 and 2 * len(repeated) > len(tool.properties):
        shown = ", ".join(repeated[:4])
        return Verdict.reject("tool.named_only", f"descriptions only repeat the names: {shown}", "parameters")
    return KEPT


def schema_gate(tool: Tool) -> Verdict:
    """Parameters and results are valid JSON Schema 2020-12, and patterns compile."""
    for part, schema in (("parameters", tool.parameters), ("returns", tool.returns)):
        problem = compile_schema(schema).problem if schema is not None else ""
        if problem:
            rule = "tool.pattern" if problem.startswith("pattern") else "tool.schema"
            return Verdict.reject(rule, problem, part)
    return KEPT


def count_gate(tool: Tool) -> Verdict:
    """One to twelve parameters at the top."""
    count = len(tool.properties)
    if not 1 <= count <= PARAMETERS:
        return Verdict.reject("tool.parameter_count", f"{count} parameters, not 1 to {PARAMETERS}", "parameters")
    return KEPT


def required_gate(tool: Tool) -> Verdict:
    """Every required name is a property, at every depth."""
    for path, schema in _objects(tool.parameters):
        properties = schema.get("properties") or {}
        lost = [name for name in schema.get("required") or () if name not in properties]
        if lost:
            return Verdict.reject("tool.required", f"requires {lost[0]!r}, which is no property", f"parameters{path}")
    return KEPT


def described_gate(tool: Tool) -> Verdict:
    """Every parameter is described, at every depth."""
    for path, schema in _objects(tool.parameters):
        for name, member in (schema.get("properties") or {}).items():
            said = member.get("description") if isinstance(member, Mapping) else ""
            if len(str(said or "").strip()) < LEAST:
                where = f"parameters{path}.{name}"
                return Verdict.reject("tool.parameters_described", f"{name!r} has no description", where)
    return KEPT


def binary_gate(tool: Tool) -> Verdict:
    """No required parameter takes raw bytes: nobody says those in a request."""
    for path, schema in _objects(tool.parameters):
        for name in schema.get("required") or ():
            if "contentEncoding" in (schema.get("properties") or {}).get(name, {}):
                return Verdict.reject("tool.binary", f"{name!r} takes raw bytes", f"parameters{path}.{name}")
    return KEPT


def size_gate(tool: Tool) -> Verdict:
    """The definition, as a model is shown it, has at most 8,000 characters."""
    size = len(json.dumps(tool.to_function(), ensure_ascii=False))
    if size > DEFINITION_CHARACTERS:
        return Verdict.reject("tool.size", f"{size} characters, more than {DEFINITION_CHARACTERS}")
    return KEPT


def _objects(schema: Any, path: str = "") -> Iterable[tuple[str, Mapping[str, Any]]]:
    """(path, schema) of every object schema inside a schema, itself first."""
    if not isinstance(schema, Mapping):
        return
    if "properties" in schema or "required" in schema:
        yield path, schema
    for name, inner in (schema.get("properties") or {}).items():
        yield from _objects(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        yield from _objects(schema.get(key), f"{path}[]")
    for key in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(key) or ():
            yield from _objects(inner, path)


# Cheap first. The pool's own gates (names, near-duplicates) and the benchmark's come after these.
GATES: tuple[Gate, ...] = (
    name_gate,
    description_gate,
    count_gate,
    schema_gate,
    required_gate,
    described_gate,
    named_only_gate,
    paging_gate,
    secret_gate,
    binary_gate,
    size_gate,
)
# Of a user's own API: everything but the pool's taste.
_TASTE = (named_only_gate, paging_gate, secret_gate)
OWN_GATES: tuple[Gate, ...] = tuple(
    said_gate if gate is description_gate else gate for gate in GATES if gate not in _TASTE
)


def judge(tool: Tool, gates: Iterable[Gate] = GATES) -> Verdict:
    """The first rejection, or kept."""
    for gate in gates:
        verdict = gate(tool)
        if not verdict.kept:
            return verdict
    return KEPT


class BenchmarkGate:
    """Rejects tools that are a benchmark's function in other words.

    Raises:
        InputError: on making one without functions when bfcl-eval is not installed.
    """

    def __init__(self, functions: BenchmarkFunctions | None = None) -> None:
        self.functions = functions or benchmark_functions()

    def __call__(self, tool: Tool) -> Verdict:
        """Kept when there is no overlap."""
        evidence = self.functions.overlap(tool)
        return Verdict.reject("benchmark.function", evidence) if evidence else KEPT


def _spoken(tool: Tool) -> tuple[str, frozenset[str]]:
    """Domain and words of a name: `holidays.searchHolidays` and `search_holidays` say the same."""
    return tool.domain, frozenset(words_of(tool.name))


class PoolGate:
    """Rejects a tool whose name is taken in the pool, or that nearly repeats one in it.

    Near-duplicates have 70 % of their word pairs in name and description in common, or 70 % of their words in name,
    description and parameter names.

    Args:
        tools: all candidates, to know which words are rare among them.
        by_words: whether two names of the same words, in any order and spelling, are one name within a domain.
    """

    def __init__(self, tools: Iterable[Tool], *, by_words: bool = True) -> None:
        self._names: dict[str, str] = {}
        self._by_words = by_words
        self._spoken: dict[tuple[str, frozenset[str]], str] = {}
        known = list(tools)
        self._phrases = SimilarityIndex(NEAR_DUPLICATE, map(bigrams, known))
        self._words = SimilarityIndex(NEAR_DUPLICATE, map(words_and_parameters, known))

    def __call__(self, tool: Tool) -> Verdict:
        """Kept when it is new; `add` must then be called."""
        name = tool.name.lower()
        if name in self._names:
            return Verdict.reject("pool.name_taken", f"{tool.name!r} is the name of {self._names[name]}", "name")
        spoken = self._spoken.get(_spoken(tool)) if self._by_words else None
        if spoken:
            return Verdict.reject("pool.name_taken", f"{tool.name!r} has the words of {spoken} in its domain", "name")
        found = self._phrases.find(bigrams(tool)) or self._words.find(words_and_parameters(tool))
        if found:
            return Verdict.reject("pool.near_duplicate", f"{found[1]:.2f} similar to {found[0]}", "description")
        return KEPT

    def add(self, tool: Tool) -> None:
        """Takes a kept tool into account."""
        self._names[tool.name.lower()] = tool.id or tool.name
        self._spoken.setdefault(_spoken(tool), tool.id or tool.name)
        self._phrases.add(tool.id or tool.name, bigrams(tool))
        self._words.add(tool.id or tool.name, words_and_parameters(tool))
