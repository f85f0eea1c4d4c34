"""The single-turn categories of BFCL v4: where their result files lie and how an answer is judged."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from toolace.errors import InputError

VERSION = "BFCL_v4"
GROUPS = ("non_live", "live", "multi_turn", "agentic", "format_sensitivity")


@dataclass(frozen=True)
class Category:
    """One category of the benchmark.

    Attributes:
        name: as in the official file names.
        group: the folder below the model's, `non_live` or `live`.
        kind: `ast` (a call is compared with gold), `irrelevance` (no call wanted) or `relevance` (any call wanted).
        language: `python`, `java` or `javascript`; decides decoder and type rules.
    """

    name: str
    group: str
    kind: str = "ast"
    language: str = "python"

    @property
    def file_name(self) -> str:
        """Name of the category's result file."""
        return f"{VERSION}_{self.name}_result.json"

    def path(self, result_dir: Path, model: str) -> Path:
        """The official place of a model's result file; slashes in a model name become underscores, as upstream."""
        return result_dir / model.replace("/", "_") / self.group / self.file_name


_TABLE = (
    Category("simple_python", "non_live"),
    Category("simple_java", "non_live", language="java"),
    Category("simple_javascript", "non_live", language="javascript"),
    Category("multiple", "non_live"),
    Category("parallel", "non_live"),
    Category("parallel_multiple", "non_live"),
    Category("irrelevance", "non_live", kind="irrelevance"),
    Category("live_simple", "live"),
    Category("live_multiple", "live"),
    Category("live_parallel", "live"),
    Category("live_parallel_multiple", "live"),
    Category("live_irrelevance", "live", kind="irrelevance"),
    Category("live_relevance", "live", kind="relevance"),
)
CATEGORIES: dict[str, Category] = {category.name: category for category in _TABLE}

# What an evaluation runs when nothing else is asked for: the non-live Python categories, 1,240 questions.
DEFAULT_CATEGORIES = ("simple_python", "multiple", "parallel", "parallel_multiple", "irrelevance")
# The four in which the right answer is a call; their unweighted mean is the aggregate `call_mean`.
CALL_CATEGORIES = DEFAULT_CATEGORIES[:4]


def category(name: str, *, where: str | Path = "") -> Category:
    """Looks a category up.

    Raises:
        InputError: unknown name (the nearest known one is suggested), or one that needs several turns.
    """
    if name in CATEGORIES:
        return CATEGORIES[name]
    if name.startswith(("multi_turn", "memory", "web_search", "format_sensitivity")):
        fix = "Score it with python -m bfcl_eval evaluate, and keep it out of the folder given here."
        raise InputError(f"category {name} is not single-turn and is not scored here", where=where, fix=fix)
    near = difflib.get_close_matches(name, CATEGORIES, n=1)
    fix = f"Did you mean {near[0]}?" if near else f"Use one of {', '.join(CATEGORIES)}."
    raise InputError(f"unknown BFCL category {name!r}", where=where, fix=fix)
