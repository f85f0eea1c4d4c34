"""Overlap of a request or a tool with a benchmark's: the same words, eight in a row, or nearly the same text.

Numbers are compared as one sign: a benchmark's question asked again with other numbers is still its question. Texts of
any script are compared (`text_words`). Each check can be asked alone, which is how its precision is measured.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from data_gen.benchmark_items import Item
from data_gen.text_words import is_sign, run_length, runs, words
from data_gen.tool_synthesis.similarity import WORDS, Bigrams, SimilarityIndex
from toolace import Tool

SIMILAR_REQUEST = 0.7  # Jaccard similarity of word pairs; our choice, by the labelled sample of the tests
SIMILAR_TOOL = 0.5
SHORT_REQUEST = 4  # a request of fewer words ("yes, please") is nobody's; of signs it takes two more
# our choice: a run of eight words that stands in more requests of the benchmark is a turn of phrase, not a question.
COMMON = 12
# our choice: in 60,000 of our own dialogs the eight runs with three words of content were phrases of the language or of
# the subject ("would you be able to send a message", "a mean of 0 and a standard deviation"), and no copies.
CONTENT = 4
PARAMETER_SHARE = 0.5
SIGNATURE = 3
# Parameters that APIs of all kinds have; a signature of these alone says nothing.
_GENERIC_NAMES = (
    "id,name,type,date,time,location,city,query,limit,page,unit,units,format,start,end,start date,end date,user id,"
    "token,country,language,category,description,value,text,title,status,email,amount,currency,number,key,url,year,"
    "month,day"
)
_GENERIC = frozenset(_GENERIC_NAMES.split(","))


@dataclass(frozen=True)
class Overlap:
    """What a text or a tool shares with a benchmark.

    Attributes:
        kind: `request.same`, `request.words`, `request.similar`, `tool.name`, `tool.signature` or `tool.description`.
        benchmark, item: which benchmark, and the id of its row.
        evidence: what is shared.
    """

    kind: str
    benchmark: str
    item: str
    evidence: str


_NUMBER = re.compile(r"\d+")


def masked(text: str) -> list[str]:
    """The words of a text, each number one sign."""
    return ["0" if word.isdigit() else word for word in words(_NUMBER.sub(" 0 ", text))]


def _pairs(found: list[str]) -> Bigrams:
    return frozenset(pairwise(found)) or frozenset((word, word) for word in found)


class Requests:
    """The requests of benchmarks."""

    CHECKS = ("request.same", "request.words", "request.similar")

    def __init__(self, items: Iterable[Item]) -> None:
        distinct: dict[str, tuple[Item, list[str]]] = {}
        for item in items:
            if isinstance(item.content, str):
                found = masked(item.content)
                if _is_request(found):
                    distinct.setdefault(" ".join(found), (item, found))
        self._whole = {text: item for text, (item, _) in distinct.items()}
        counts = Counter(run for _, found in distinct.values() for run in set(runs(found)))
        self._runs = {run: item for item, found in distinct.values() for run in runs(found) if counts[run] <= COMMON}
        sets = [(item, _pairs(found)) for item, found in distinct.values() if len(found) >= run_length(found)]
        self._index = SimilarityIndex(SIMILAR_REQUEST, (set_ for _, set_ in sets))
        self._by_key = {str(i): item for i, (item, _) in enumerate(sets)}
        for i, (_, set_) in enumerate(sets):
            self._index.add(str(i), set_)

    def __len__(self) -> int:
        return len(self._whole)

    def overlap(self, text: str, checks: Iterable[str] = CHECKS) -> Overlap | None:
        """The first overlap of a text by these checks, or None."""
        found = masked(text)
        if not _is_request(found):
            return None
        by_name = {"request.same": self._same, "request.words": self._shared, "request.similar": self._similar}
        return next((overlap for check in checks if (overlap := by_name[check](found))), None)

    def _same(self, found: list[str]) -> Overlap | None:
        known = self._whole.get(" ".join(found))
        return None if known is None else Overlap("request.same", known.benchmark, known.id, _short(known))

    def _shared(self, found: list[str]) -> Overlap | None:
        for run in runs(found):
            known = self._runs.get(run)
            if known is not None and _says_something(run):
                return Overlap("request.words", known.benchmark, known.id, f"the words {run!r} of {_short(known)}")
        return None

    def _similar(self, found: list[str]) -> Overlap | None:
        if len(found) < run_length(found) or _is_any_text(" ".join(found)):
            return None
        near = self._index.find(_pairs(found))
        if near is None:
            return None
        known = self._by_key[near[0]]
        return Overlap("request.similar", known.benchmark, known.id, f"{near[1]:.2f} similar to {_short(known)}")


_EMPTY_WORDS = (
    "the and for are you your our this that with from have has can could would will want like need please help get "
    "find give tell show know what how much many does should which where when who there some any use using "
    "don didn won more less than about just also been were was but not all"
)
_EMPTY = frozenset(re.split(" ", _EMPTY_WORDS))
# What people say beside their request; a benchmark of dialogs has turns of nothing else.
_COURTESY_WORDS = (
    "thank thanks very yes yeah sure okay correct right great good sorry nice perfect welcome bye goodbye hello hey "
    "too appreciate appreciated well see then now let"
)
_NO_CONTENT = _EMPTY | frozenset(re.split(" ", _COURTESY_WORDS))
# Texts that people take when they want any text.
_ANY_TEXT = ("quick brown fox", "lorem ipsum")


def _is_request(found: list[str]) -> bool:
    """Whether a turn asks for something: it is long enough, and more than courtesy."""
    signs = run_length(found) > run_length(())
    if len(found) < SHORT_REQUEST + (2 if signs else 0):
        return False
    return any((len(word) > 2 or not word.isascii()) and word not in _NO_CONTENT for word in found)


def _says_something(run: str) -> bool:
    """Whether a run has four words of content; "i would like to know what is the" has none."""
    found = run.split()
    if any(map(is_sign, found)):
        return len(set(found)) > len(found) // 2
    # Words of other scripts are shorter: most Korean and Arabic ones have two or three letters.
    content = sum(len(word) > (2 if word.isascii() else 1) and word not in _EMPTY for word in found)
    return content >= CONTENT and not _is_any_text(run)


def _is_any_text(text: str) -> bool:
    return any(known in text for known in _ANY_TEXT)


def _short(item: Item) -> str:
    return repr(str(item.content)[:120])


class Functions:
    """The functions of benchmarks."""

    CHECKS = ("tool.name", "tool.signature", "tool.description")

    def __init__(self, items: Iterable[Item]) -> None:
        distinct: dict[tuple[str, str, tuple[str, ...]], tuple[Item, Tool]] = {}
        for item in items:
            if isinstance(item.content, Tool):
                key = (item.content.name, item.content.description, tuple(item.content.properties))
                distinct.setdefault(key, (item, item.content))
        self._tools = list(distinct.values())
        self._by_name: dict[str, list[tuple[Item, Tool]]] = {}
        self._by_signature: dict[frozenset[str], Item] = {}
        self._runs: dict[str, Item] = {}
        texts = [words(tool.description) for _, tool in self._tools]
        sets = [_tool_pairs(tool) for _, tool in self._tools]
        self._index = SimilarityIndex(SIMILAR_TOOL, sets)
        # Descriptions that stand at several functions (of one API in two versions) count once.
        counts = Counter(run for text in {" ".join(text): text for text in texts}.values() for run in set(runs(text)))
        for i, (item, tool) in enumerate(self._tools):
            for name in _names(tool):
                self._by_name.setdefault(name, []).append((item, tool))
            if _is_telling(_signature(tool)):
                self._by_signature.setdefault(_signature(tool), item)
            for run in runs(texts[i]):
                if counts[run] <= COMMON:
                    self._runs.setdefault(run, item)
            self._index.add(str(i), sets[i])

    def __len__(self) -> int:
        return len(self._tools)

    def overlap(self, tool: Tool, checks: Iterable[str] = CHECKS) -> Overlap | None:
        """The first overlap of a tool by name, by signature or by description; None when it is nobody's."""
        by_name = {
            "tool.name": self._same_name,
            "tool.signature": self._same_signature,
            "tool.description": self._same_description,
        }
        return next((overlap for check in checks if (overlap := by_name[check](tool))), None)

    def _same_name(self, tool: Tool) -> Overlap | None:
        own = _signature(tool)
        for name in sorted(_names(tool)):
            for item, known in self._by_name.get(name, ()):
                theirs = _signature(known)
                if len(own & theirs) >= PARAMETER_SHARE * len(theirs) and bool(own) == bool(theirs):
                    shared = f"the name of {known.name!r} and {len(own & theirs)} of its {len(theirs)} parameters"
                    return Overlap("tool.name", item.benchmark, item.id, shared)
        return None

    def _same_signature(self, tool: Tool) -> Overlap | None:
        own = _signature(tool)
        same = self._by_signature.get(own)
        if same is None:
            return None
        evidence = f"the parameters {', '.join(sorted(own))} of {_name(same)!r}"
        return Overlap("tool.signature", same.benchmark, same.id, evidence)

    def _same_description(self, tool: Tool) -> Overlap | None:
        for run in runs(words(tool.description)):
            item = self._runs.get(run)
            if item is not None and _says_something(run):
                evidence = f"the words {run!r} of {_name(item)!r}"
                return Overlap("tool.description", item.benchmark, item.id, evidence)
        found = self._index.find(_tool_pairs(tool))
        if found is None:
            return None
        item, known = self._tools[int(found[0])]
        return Overlap("tool.description", item.benchmark, item.id, f"{found[1]:.2f} similar to {known.name!r}")


def _tool_pairs(tool: Tool) -> Bigrams:
    """Word pairs of name and description, the first 80 words."""
    return _pairs(words(f"{tool.name} {tool.description}")[:WORDS])


def _name(item: Item) -> str:
    return item.content.name if isinstance(item.content, Tool) else item.content


def _names(tool: Tool) -> set[str]:
    """The whole name and its last dotted part, letters and digits only; one-word verbs such as `search` say nothing."""
    whole, last = words(tool.name), words(tool.name.rpartition(".")[2])
    return {"".join(whole)} | ({"".join(last)} if len(last) > 1 else set()) - {""}


@lru_cache(maxsize=65_536)
def _plain(name: str) -> str:
    return " ".join(words(name))


def _signature(tool: Tool) -> frozenset[str]:
    return frozenset(_plain(name) for name in tool.properties)


def _is_telling(signature: frozenset[str]) -> bool:
    """Whether a set of parameter names is more than what many APIs have: three, of which two are its own."""
    return len(signature) >= SIGNATURE and len(signature - _GENERIC) >= SIGNATURE - 1
