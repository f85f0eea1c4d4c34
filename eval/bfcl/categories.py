"""The categories of BFCL, in each of its versions: where data and result files lie and how an answer is judged."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from toolace.errors import InputError

GROUPS = ("non_live", "live", "multi_turn", "agentic", "format_sensitivity")
# How an answer is judged.
AST = "ast"  # calls are compared with gold
IRRELEVANCE = "irrelevance"  # no call is wanted
RELEVANCE = "relevance"  # any call is wanted
EXECUTABLE = "executable"  # calls are executed and results compared; where that needs a network, calls with gold calls
MULTI_TURN = "multi_turn"  # calls act on simulated APIs, whose states are compared
AGENTIC = "agentic"  # the last message has to hold the answer


@dataclass(frozen=True)
class Category:
    """One category of one version of the benchmark.

    Attributes:
        name: as in the official file names of that version.
        group: the official folder of its result files below the model's; "" where a version has no such folders.
        kind: one of the words above.
        language: `python`, `java` or `javascript`; decides decoder and type rules.
        version: what file names begin with.
        subfolder: folders between the group's and the result file.
    """

    name: str
    group: str
    kind: str = AST
    language: str = "python"
    version: str = "BFCL_v4"
    subfolder: str = ""

    @property
    def file_name(self) -> str:
        """Name of the category's result file."""
        return f"{self.version}_{self.name}_result.json"

    @property
    def data_name(self) -> str:
        """Name of the category's questions, and of its gold answers."""
        return f"{self.version}_{self.name}.json"

    def path(self, result_dir: Path, model: str) -> Path:
        """The official place of a model's result file; slashes in a model name become underscores, as upstream."""
        return result_dir / model.replace("/", "_") / self.group / self.subfolder / self.file_name


def _four(prefix: str, version: str, group: str, suffix: str = "", kind: str = AST) -> list[Category]:
    names = ("simple", "multiple", "parallel", "parallel_multiple")
    endings = ("", suffix, suffix, suffix)
    return [
        Category(f"{prefix}{name}{end}", group, kind, version=version) for name, end in zip(names, endings, strict=True)
    ]


_MULTI_TURN = ("base", "miss_func", "miss_param", "long_context")
_V3, _V1 = "BFCL_v3", "gorilla_openfunctions_v1_test"

_V4_TABLE = [
    Category("simple_python", "non_live"),
    Category("simple_java", "non_live", language="java"),
    Category("simple_javascript", "non_live", language="javascript"),
    Category("multiple", "non_live"),
    Category("parallel", "non_live"),
    Category("parallel_multiple", "non_live"),
    Category("irrelevance", "non_live", IRRELEVANCE),
    *_four("live_", "BFCL_v4", "live"),
    Category("live_irrelevance", "live", IRRELEVANCE),
    Category("live_relevance", "live", RELEVANCE),
    *(Category(f"multi_turn_{name}", "multi_turn", MULTI_TURN) for name in _MULTI_TURN),
    *(Category(f"web_search_{name}", "agentic", AGENTIC) for name in ("base", "no_snippet")),
    *(
        Category(f"memory_{name}", "agentic", AGENTIC, subfolder=f"memory/{name}")
        for name in ("kv", "vector", "rec_sum")
    ),
    # Retired in April 2025; their data are still in the package, and no official v4 score counts them.
    *_four("exec_", "BFCL_v4", "non_live", kind=EXECUTABLE),
    Category("rest", "non_live", EXECUTABLE),
]
_V3_TABLE = [
    Category("simple", "", version=_V3),
    Category("java", "", language="java", version=_V3),
    Category("javascript", "", language="javascript", version=_V3),
    *_four("", _V3, "")[1:],
    Category("irrelevance", "", IRRELEVANCE, version=_V3),
    *_four("exec_", _V3, "", kind=EXECUTABLE),
    Category("rest", "", EXECUTABLE, version=_V3),
    *_four("live_", _V3, ""),
    Category("live_irrelevance", "", IRRELEVANCE, version=_V3),
    Category("live_relevance", "", RELEVANCE, version=_V3),
    *(Category(f"multi_turn_{name}", "", MULTI_TURN, version=_V3) for name in _MULTI_TURN),
]
_V1_TABLE = [
    Category("simple", "", version=_V1),
    Category("java", "", language="java", version=_V1),
    Category("javascript", "", language="javascript", version=_V1),
    *_four("", _V1, "", "_function")[1:],
    *_four("executable_", _V1, "", "_function", EXECUTABLE),
    Category("rest", "", EXECUTABLE, version=_V1),
    Category("relevance", "", IRRELEVANCE, version=_V1),  # so called then; no call is wanted
]
TABLES: dict[str, dict[str, Category]] = {
    "v4": {category.name: category for category in _V4_TABLE},
    "v3-2024": {category.name: category for category in _V3_TABLE},
    "v1-2024": {category.name: category for category in _V1_TABLE},
}
CATEGORIES = TABLES["v4"]

# What an evaluation runs when nothing else is asked for: the non-live Python categories, 1,240 questions in v4.
DEFAULT_CATEGORIES = ("simple_python", "multiple", "parallel", "parallel_multiple", "irrelevance")
# The four in which the right answer is a call; their unweighted mean is the aggregate `call_mean`.
CALL_CATEGORIES = DEFAULT_CATEGORIES[:4]


def category(name: str, *, where: str | Path = "", protocol: str = "v4") -> Category:
    """Looks a category of a protocol up.

    Raises:
        InputError: unknown name; the nearest known one is suggested.
    """
    table = TABLES[protocol]
    if name in table:
        return table[name]
    if name == "format_sensitivity":
        what = "category format_sensitivity is in no score of the leaderboard and is not scored here"
        raise InputError(what, where=where, fix="Keep its file out of the folder given here.")
    near = difflib.get_close_matches(name, table, n=1)
    fix = f"Did you mean {near[0]}?" if near else f"Use one of {', '.join(table)}."
    raise InputError(f"unknown BFCL category {name!r} in protocol {protocol}", where=where, fix=fix)
