"""Overlap of a request or a tool with a benchmark's: the same words, eight in a row, or nearly the same text.

Numbers are compared as one sign: a benchmark's question asked again with other numbers is still its question.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from data_gen.benchmark_items import Item
from data_gen.tool_synthesis.similarity import Bigrams, SimilarityIndex, bigrams, words_of
from toolace import Tool

GRAM = 8  # words in a row; our choice: shorter runs are turns of phrase, PaLM's and our own checks use eight
SIMILAR_REQUEST = 0.7  # Jaccard similarity of word pairs; our choice, by the labelled sample of the tests
SIMILAR_TOOL = 0.5
SHORT_REQUEST = 4  # a request of fewer words ("yes, please") is nobody's
# our choice: a run of eight words that stands in more requests of the benchmark is a turn of phrase, not a question.
COMMON = 12
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
    return ["0" if word.isdigit() else word for word in words_of(_NUMBER.sub(" 0 ", text))]


def _pairs(words: list[str]) -> Bigrams:
    return frozenset(pairwise(words))


class Requests:
    """The requests of benchmarks."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._whole: dict[str, Item] = {}
        distinct: dict[str, tuple[Item, list[str]]] = {}
        for item in items:
            if isinstance(item.content, str):
                words = masked(item.content)
                if len(words) >= SHORT_REQUEST:
                    distinct.setdefault(" ".join(words), (item, words))
        self._whole = {text: item for text, (item, _) in distinct.items()}
        counts = Counter(gram for _, words in distinct.values() for gram in set(_grams(words)))
        self._grams = {
            gram: item for item, words in distinct.values() for gram in _grams(words) if counts[gram] <= COMMON
        }
        sets = [(item, _pairs(words)) for item, words in distinct.values() if len(words) >= GRAM]
        self._index = SimilarityIndex(SIMILAR_REQUEST, (set_ for _, set_ in sets))
        self._by_key = {str(i): item for i, (item, _) in enumerate(sets)}
        for i, (_, set_) in enumerate(sets):
            self._index.add(str(i), set_)

    def __len__(self) -> int:
        return len(self._whole)

    def overlap(self, text: str) -> Overlap | None:
        """The first overlap of a text, or None."""
        words = masked(text)
        if len(words) < SHORT_REQUEST:
            return None
        same = self._whole.get(" ".join(words))
        if same is not None:
            return Overlap("request.same", same.benchmark, same.id, _short(same))
        for gram in _grams(words):
            known = self._grams.get(gram)
            if known is not None and _says_something(gram):
                return Overlap("request.words", known.benchmark, known.id, f"the words {gram!r} of {_short(known)}")
        found = self._index.find(_pairs(words)) if len(words) >= GRAM else None
        if found is None:
            return None
        known = self._by_key[found[0]]
        return Overlap("request.similar", known.benchmark, known.id, f"{found[1]:.2f} similar to {_short(known)}")


def _grams(words: list[str]) -> Iterator[str]:
    for i in range(len(words) - GRAM + 1):
        yield " ".join(words[i : i + GRAM])


_EMPTY_WORDS = (
    "the and for are you your our this that with from have has can could would will want like need please help get "
    "find give tell show know what how much many does should which where when who there some any use using "
    "don didn won more less than about just also been were was but not all"
)
_EMPTY = frozenset(re.split(" ", _EMPTY_WORDS))
# Texts that people take when they want any text.
_ANY_TEXT = ("quick brown fox", "lorem ipsum")


def _says_something(gram: str) -> bool:
    """Whether a run has three words of content; "i would like to know what is the" has none."""
    content = sum(len(word) > 2 and word not in _EMPTY for word in gram.split())
    return content >= 3 and not any(text in gram for text in _ANY_TEXT)


def _short(item: Item) -> str:
    return repr(str(item.content)[:120])


class Functions:
    """The functions of benchmarks."""

    def __init__(self, items: Iterable[Item]) -> None:
        distinct: dict[tuple[str, str], tuple[Item, Tool]] = {}
        for item in items:
            if isinstance(item.content, Tool):
                key = (item.content.name, item.content.description)
                distinct.setdefault(key, (item, item.content))
        self._tools = list(distinct.values())
        self._by_name: dict[str, list[tuple[Item, Tool]]] = {}
        self._by_signature: dict[frozenset[str], Item] = {}
        self._grams: dict[str, Item] = {}
        sets = [bigrams(tool) for _, tool in self._tools]
        self._index = SimilarityIndex(SIMILAR_TOOL, sets)
        counts = Counter(g for _, tool in self._tools for g in set(_grams(words_of(tool.description))))
        for i, (item, tool) in enumerate(self._tools):
            for name in _names(tool):
                self._by_name.setdefault(name, []).append((item, tool))
            if _is_telling(_signature(tool)):
                self._by_signature.setdefault(_signature(tool), item)
            for gram in _grams(words_of(tool.description)):
                if counts[gram] <= COMMON:
                    self._grams.setdefault(gram, item)
            self._index.add(str(i), sets[i])

    def __len__(self) -> int:
        return len(self._tools)

    def overlap(self, tool: Tool) -> Overlap | None:
        """The first overlap of a tool by name, by signature or by description; None when it is nobody's."""
        own = _signature(tool)
        for name in sorted(_names(tool)):
            for item, known in self._by_name.get(name, ()):
                theirs = _signature(known)
                if len(own & theirs) >= PARAMETER_SHARE * len(theirs) and bool(own) == bool(theirs):
                    shared = f"the name of {known.name!r} and {len(own & theirs)} of its {len(theirs)} parameters"
                    return Overlap("tool.name", item.benchmark, item.id, shared)
        same = self._by_signature.get(own)
        if same is not None:
            evidence = f"the parameters {', '.join(sorted(own))} of {_name(same)!r}"
            return Overlap("tool.signature", same.benchmark, same.id, evidence)
        for gram in _grams(words_of(tool.description)):
            item_ = self._grams.get(gram)
            if item_ is not None and _says_something(gram):
                evidence = f"the words {gram!r} of {_name(item_)!r}"
                return Overlap("tool.description", item_.benchmark, item_.id, evidence)
        found = self._index.find(bigrams(tool))
        if found is None:
            return None
        item, known = self._tools[int(found[0])]
        return Overlap("tool.description", item.benchmark, item.id, f"{found[1]:.2f} similar to {known.name!r}")


def _name(item: Item) -> str:
    return item.content.name if isinstance(item.content, Tool) else item.content


def _names(tool: Tool) -> set[str]:
    """The whole name and its last dotted part, letters and digits only; one-word verbs such as `search` say nothing."""
    whole, last = words_of(tool.name), words_of(tool.name.rpartition(".")[2])
    return {"".join(whole)} | ({"".join(last)} if len(last) > 1 else set()) - {""}


@lru_cache(maxsize=65_536)
def _plain(name: str) -> str:
    return " ".join(words_of(name))


def _signature(tool: Tool) -> frozenset[str]:
    return frozenset(_plain(name) for name in tool.properties)


def _is_telling(signature: frozenset[str]) -> bool:
    """Whether a set of parameter names is more than what many APIs have: three, of which two are its own."""
    return len(signature) >= SIGNATURE and len(signature - _GENERIC) >= SIGNATURE - 1
