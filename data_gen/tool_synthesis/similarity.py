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
_ROUNDING = 1e-9

Bigrams = frozenset[tuple[str, ...]]


def words_of(text: str) -> list[str]:
    """Lower-case words; `camelCase`, `snake_case` and `dotted.names` fall apart into theirs."""
    return _WORD.findall(_CAMEL.sub(" ", text).lower())


def bigrams(tool: Tool) -> Bigrams:
    """Word bigrams of name and description, the first 80 words."""
    words = words_of(f"{tool.name} {tool.description}")[:WORDS]
    return frozenset(pairwise(words)) or frozenset((word, word) for word in words)


def words_and_parameters(tool: Tool) -> Bigrams:
    """The words of name, description and parameter names, whatever their order."""
    words = words_of(f"{tool.name} {tool.description}")[:WORDS]
    return frozenset((word,) for word in (*words, *words_of(" ".join(tool.properties))))


def grams(text: str, size: int) -> set[str]:
    """Runs of `size` neighbouring words, each as one string."""
    words = words_of(text)
    return {" ".join(words[i : i + size]) for i in range(len(words) - size + 1)}


class SimilarityIndex:
    """Finds a set that is at least `threshold` similar among those added before.

    Two sets x and y with Jaccard similarity t share one of the |x| - ceil(t |x|) + 1 first elements of either in any
    fixed order; taking rare elements first keeps the lists short (prefix filtering). Sets whose sizes differ too much,
    and those that share an element too late in the order, are passed over unseen (length and positional filtering,
    Xiao et al. 2008). Nothing is missed.

    Args:
        threshold: Jaccard similarity from which two sets count as near-duplicates.
        corpus: the sets that will be asked about or added, for the frequency of elements; any others work too.
    """

    def __init__(self, threshold: float, corpus: Iterable[Bigrams]) -> None:
        self.threshold = threshold
        self._frequency = Counter(element for set_ in corpus for element in set_)
        self._sets: list[tuple[str, Bigrams]] = []
        # element -> (place of the set, its size, how many elements it has from this one on)
        self._lists: dict[tuple[str, ...], list[tuple[int, int, int]]] = defaultdict(list)

    def add(self, key: str, set_: Bigrams) -> None:
        """Adds a set under a key that `find` gives back."""
        place, size = len(self._sets), len(set_)
        for position, element in enumerate(self._prefix(set_)):
            self._lists[element].append((place, size, size - position))
        self._sets.append((key, set_))

    def find(self, set_: Bigrams) -> tuple[str, float] | None:
        """(key, similarity) of the first set added that is similar enough, or None."""
        size, share = len(set_), self.threshold / (1 + self.threshold)
        low, high = self.threshold * size, size / self.threshold
        candidates: set[int] = set()
        for position, element in enumerate(self._prefix(set_)):
            rest = size - position
            for place, other, other_rest in self._lists.get(element, ()):
                # Met for the first time here, the two can share no more than what is left of either.
                if low <= other <= high and min(rest, other_rest) >= share * (size + other) - _ROUNDING:
                    candidates.add(place)
        for place in sorted(candidates):
            key, found = self._sets[place]
            common = len(set_ & found)
            similarity = common / (size + len(found) - common) if common else 0.0
            if similarity >= self.threshold:
                return key, similarity
        return None

    def _prefix(self, set_: Bigrams) -> list[tuple[str, ...]]:
        ordered = sorted(set_, key=lambda element: (self._frequency[element], element))
        return ordered[: len(set_) - math.ceil(self.threshold * len(set_)) + 1]
