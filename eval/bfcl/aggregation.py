"""The leaderboard's formulas, one tree a protocol, from accuracies of categories to its columns.

Every column is a weighted mean of categories, so that a tree comes down to one weight a category. Where the original
weighs by numbers of questions, the numbers of scored answers are taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from eval.bfcl.categories import AGENTIC, EXECUTABLE, MULTI_TURN
from eval.bfcl.protocols import Protocol, find_protocol

PROXY = "_proxy"  # what is scored by gold's calls, where the original executes, carries this behind its name


@dataclass(frozen=True)
class Mean:
    """The mean of its parts: unweighted, by the numbers of answers, or by fixed shares that sum to 1."""

    parts: tuple[Mean | str, ...]
    by_answers: bool = False
    shares: tuple[float, ...] = ()


def _mean(*parts: Mean | str) -> Mean:
    return Mean(parts)


def _by_answers(*parts: Mean | str) -> Mean:
    return Mean(parts, by_answers=True)


def _calls(prefix: str, suffix: str = "") -> list[str]:
    return [f"{prefix}{name}{suffix}" for name in ("multiple", "parallel", "parallel_multiple")]


_SUBSETS = ("base", "miss_func", "miss_param", "long_context")
_MULTI_TURN = _mean(*(f"multi_turn_{name}" for name in _SUBSETS))
_IRRELEVANCE = _mean("irrelevance", "live_irrelevance")
_LIVE_AST = ("live_simple", *_calls("live_"))


def _v4() -> dict[str, Mean]:
    non_live = _mean(_mean("simple_python", "simple_java", "simple_javascript"), *_calls(""))
    live = _by_answers(*_LIVE_AST)
    agentic = _mean(
        _mean("web_search_base", "web_search_no_snippet"), _mean("memory_kv", "memory_vector", "memory_rec_sum")
    )
    overall = Mean((non_live, live, _IRRELEVANCE, _MULTI_TURN, agentic), shares=(0.1, 0.1, 0.1, 0.3, 0.4))
    return {
        "non_live": non_live,
        "live": live,
        "relevance": _mean("live_relevance"),  # shown, and in no overall score
        "irrelevance_mean": _IRRELEVANCE,
        "multi_turn": _MULTI_TURN,
        "agentic": agentic,
        "overall": overall,
    }


def _v3() -> dict[str, Mean]:
    simple = _mean("simple", "java", "javascript")
    executable: list[Mean | str] = [_mean("exec_simple", "rest"), *_calls("exec_")]
    non_live = _mean(simple, *_calls(""), *executable, "irrelevance")
    live = _by_answers(*_LIVE_AST, "live_irrelevance", "live_relevance")
    return {
        "non_live_ast": _mean(simple, *_calls("")),  # Table 2: Non-live(A)
        "non_live_exec": _mean(*executable),  # Table 2: Non-live(E)
        "non_live": non_live,
        "live": live,  # Table 2: Live(A), which includes relevance and irrelevance
        "multi_turn": _MULTI_TURN,
        "relevance": _mean("live_relevance"),
        "irrelevance_mean": _IRRELEVANCE,
        "overall": _mean(live, non_live, _MULTI_TURN),
    }


def _v1() -> dict[str, Mean]:
    simple = ("simple", "java", "javascript")
    several, executed = _calls("", "_function"), _calls("executable_", "_function")
    return {
        "ast": _mean(_by_answers(*simple), *several),  # Figure 3: AST
        "exec": _mean(_by_answers("executable_simple", "rest"), *executed),  # Figure 3: Exec
        "overall": _by_answers(*simple, *several, "executable_simple", "rest", *executed, "relevance"),
    }


_TREES = {"v4": _v4, "v3-2024": _v3, "v1-2024": _v1}


@cache
def columns(protocol: str) -> Mapping[str, Mean]:
    """The columns of a protocol by name, the overall score last."""
    return _TREES[find_protocol(protocol).name]()


def categories_of(node: Mean | str) -> list[str]:
    """The categories that a column is made of, in order."""
    return [node] if isinstance(node, str) else [name for part in node.parts for name in categories_of(part)]


def official_categories(protocol: Protocol) -> list[str]:
    """The categories that are in any column: all but those that a version has retired."""
    used = {name for node in columns(protocol.name).values() for name in categories_of(node)}
    return [name for name in protocol.categories if name in used]


def weights(node: Mean | str, sizes: Mapping[str, float]) -> dict[str, float]:
    """Weight of every category in a column; they sum to 1.

    Args:
        node: the column.
        sizes: numbers of scored answers. A category whose answers were scored by proxy stands under its name with
            `_proxy`, beside those that were executed; the two share the category's weight by their numbers.

    Raises:
        KeyError: a category that was not scored, named.
    """
    if isinstance(node, str):
        names = [name for name in (node, node + PROXY) if name in sizes]
        if not names:
            raise KeyError(node)
        return {name: sizes[name] / sum(sizes[other] for other in names) for name in names}
    parts = [weights(part, sizes) for part in node.parts]
    result: dict[str, float] = {}
    for part, share in zip(parts, _shares(node, parts, sizes), strict=True):
        for name, weight in part.items():
            result[name] = result.get(name, 0.0) + share * weight
    return result


def _shares(node: Mean, parts: Sequence[Mapping[str, float]], sizes: Mapping[str, float]) -> Sequence[float]:
    if node.shares:
        return node.shares
    if not node.by_answers:
        return [1 / len(parts)] * len(parts)
    counts = [sum(sizes[name] for name in part) for part in parts]
    return [count / sum(counts) for count in counts]


def column_values(protocol: str, accuracies: Mapping[str, float], sizes: Mapping[str, int]) -> dict[str, float]:
    """The columns that can be computed, from accuracies (0 to 100) and numbers of questions of categories."""
    values = {}
    for name, node in columns(protocol).items():
        if all(part in sizes for part in categories_of(node)):
            values[name] = sum(weight * accuracies[part] for part, weight in weights(node, sizes).items())
    return values


def groups(protocol: Protocol) -> dict[str, list[str]]:
    """Short names for several categories, as users may ask for them: `all`, `single_turn`, `multi_turn`, ..."""
    official = official_categories(protocol)
    kinds = {name: protocol.categories[name].kind for name in protocol.categories}
    single = [name for name in official if kinds[name] not in (MULTI_TURN, AGENTIC, EXECUTABLE)]
    return {
        "all": [name for name in official if kinds[name] != AGENTIC],
        "single_turn": single,
        "non_live": [name for name in single if not name.startswith("live_")],
        "live": [name for name in single if name.startswith("live_")],
        "executable": [name for name in protocol.categories if kinds[name] == EXECUTABLE],
        "multi_turn": [name for name in official if kinds[name] == MULTI_TURN],
        "memory": [name for name in ("memory_kv", "memory_rec_sum") if name in kinds],
    }
