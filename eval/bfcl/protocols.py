"""Protocols: which version of the questions is asked, and by which rules and formulas answers are scored.

| name | questions | stands behind |
| --- | --- | --- |
| `v4` | the installed bfcl-eval package | today's leaderboard |
| `v3-2024` | gorilla 7c0efb12, October 2024 | the paper's Tables 2 and 6 to 9 |
| `v1-2024` | gorilla 3d89d603, August 2024 | the paper's Figures 3 to 8 |

What official verdicts of 2024 did otherwise than those of bfcl-eval 2026.3.23, found by reading both:

* The decoder took brackets and quotes off both ends of the text before it parsed, so `[[f(a=1)]]` and `['f(a=1)']`
  were calls, and `[ f(a=1)]`, which is parsed today, was not.
* Multi-turn (until 30 October 2024): states are compared, results of calls are not; a turn whose gold is empty is
  skipped, and what the model calls in it is not executed. A check that the model calls nothing there was written, but
  the function it asked takes every list of call lists for empty, so that it never failed an answer. We report what it
  would have said as `abstained`.
* v1: gold of several calls is one mapping with numbered names, and a function's document is the first whose name is a
  part of the numbered one. (A dictionary argument also needed exactly the keys of gold; gold of v1 has no optional
  keys, so that today's rule says the same.)

The checker of single calls is the same in both of September 2024 and today.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eval.bfcl.categories import CALL_CATEGORIES, DEFAULT_CATEGORIES, TABLES, Category
from toolace.errors import InputError


@dataclass(frozen=True)
class Protocol:
    """One way to ask and score.

    Attributes:
        name: as it is printed beside every score.
        categories: by name, in the order of tables.
        default_categories: those that are asked when a recipe names none: the single-turn Python ones.
        call_categories: those whose unweighted mean is `call_mean`.
        historical: questions are downloaded or read from a folder; they are not in an installed package.
        metric: of multi-turn answers: `state`, or `state_and_response`.
        unpassable: ids that no right answer can pass (found by replaying gold): gold and function document contradict
            each other, gold is malformed, or a parameter's name (`class`) cannot be decoded.
    """

    name: str
    categories: Mapping[str, Category]
    default_categories: tuple[str, ...]
    call_categories: tuple[str, ...]
    historical: bool
    metric: str
    unpassable: frozenset[str]


V4 = Protocol(
    "v4",
    TABLES["v4"],
    DEFAULT_CATEGORIES,
    CALL_CATEGORIES,
    historical=False,
    metric="state_and_response",
    unpassable=frozenset(
        ("live_simple_106-63-0", "live_simple_112-68-0", "live_multiple_862-181-3", "live_multiple_964-207-0")
    ),
)
_V3_CALLS = ("simple", "multiple", "parallel", "parallel_multiple")
V3_2024 = Protocol(
    "v3-2024",
    TABLES["v3-2024"],
    (*_V3_CALLS, "irrelevance"),
    _V3_CALLS,
    historical=True,
    metric="state",
    unpassable=frozenset(
        (
            "javascript_5",
            "parallel_multiple_179",
            "live_simple_106-63-0",
            "live_simple_112-68-0",
            "live_multiple_189-83-0",
            "live_multiple_486-147-1",
            "live_multiple_487-147-2",
            "live_multiple_859-181-0",
            "live_multiple_862-181-3",
            "live_multiple_905-186-2",
            "live_multiple_906-186-3",
            "live_multiple_964-207-0",
        )
    ),
)
_V1_CALLS = ("simple", "multiple_function", "parallel_function", "parallel_multiple_function")
V1_2024 = Protocol(
    "v1-2024",
    TABLES["v1-2024"],
    (*_V1_CALLS, "relevance"),
    _V1_CALLS,
    historical=True,
    metric="state",
    unpassable=frozenset(("javascript_5", "parallel_multiple_function_179")),
)
PROTOCOLS = {protocol.name: protocol for protocol in (V4, V3_2024, V1_2024)}


def find_protocol(name: str, where: str = "--protocol") -> Protocol:
    """Looks a protocol up.

    Raises:
        InputError: unknown name.
    """
    if name not in PROTOCOLS:
        raise InputError(f"unknown protocol {name!r}", where=where, fix=f"Use {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
