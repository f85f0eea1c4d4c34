"""Exact near-duplicate search by Jaccard similarity of word bigrams, fast enough for a whole pool on one core."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

from toolace import Tool

_WORD = re.compile(r"[a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# our choice: what differs between twins stands early; long descriptions end in the same boilerplate.
WORDS = 80

Bigrams = frozenset[tuple[str, str]]


def words_of(text: str) -> list[str]:
    """Lower-case words; `camelCase`, `snake_case` and `dotted.names` fall apart into theirs."""
    return _WORD.findall(_CAMEL.sub(" ", text).lower())


def bigrams(tool: Tool) -> Bigrams:
    """Word bigrams of name and description, the first 80 words."""
    words = words_of(f"{tool.name} {tool.description}")[:WORDS]
    return frozenset(pairwise(words)) or frozenset((word, word) for word in words)


def grams(text: str, size: int) -> set[str]:
    """Runs of `size` neighbouring words, each as one string."""
    words = words_of(text)
    return {" ".join(words[i : i + size]) for i in range(len(words) - size + 1)}


class SimilarityIndex:
    """Finds a set that is at least `threshold` similar among those added before.

    Two sets with Jaccard similarity t share one of the |x| - ceil(t |x|) + 1 first elements of either in any fixed
    order; taking rare elements first keeps the lists short (prefix filtering, so nothing is missed).

    Args:
        threshold: Jaccard similarity from which two sets count as near-duplicates.
        corpus: the sets that will be asked about or added, for the frequency of elements; any others work too.
    """

    def __init__(self, threshold: float, corpus: Iterable[Bigrams]) -> None:
        self.threshold = threshold
        self._frequency = Counter(bigram for set_ in corpus for bigram in set_)
        self._sets: list[tuple[str, Bigrams]] = []
        self._lists: dict[tuple[str, str], list[int]] = defaultdict(list)

    def add(self, key: str, set_: Bigrams) -> None:
        """Adds a set under a key that `find` gives back."""
        for element in self._prefix(set_):
            self._lists[element].append(len(self._sets))
        self._sets.append((key, set_))

    def find(self, set_: Bigrams) -> tuple[str, float] | None:
        """(key, similarity) of the first set added that is similar enough, or None."""
        candidates = sorted({i for element in self._prefix(set_) for i in self._lists.get(element, ())})
        for i in candidates:
            key, other = self._sets[i]
            common = len(set_ & other)
            similarity = common / (len(set_) + len(other) - common) if common else 0.0
            if similarity >= self.threshold:
                return key, similarity
        return None

    def _prefix(self, set_: Bigrams) -> list[tuple[str, str]]:
        ordered = sorted(set_, key=lambda element: (self._frequency[element], element))
        return ordered[: len(set_) - math.ceil(self.threshold * len(set_)) + 1]
