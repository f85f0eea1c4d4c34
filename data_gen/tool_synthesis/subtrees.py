"""Subtrees: which functionalities of the context tree one API covers, drawn with a diversity level (paper Sec. 2.1).

Adaptation gives every API a subtree of its own: one node makes a simple API, several make a detailed one. No two APIs
of a sub-domain get the same nodes, and nodes that few APIs cover come first, so that together they cover them all.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from data_gen.documents.naming import singular
from data_gen.tool_synthesis.similarity import words_of
from data_gen.tool_synthesis.taxonomy import SubDomain

# our choice: of eleven APIs five cover one node, three cover two, two cover three and one covers four. The paper names
# the diversity level and gives no distribution; most APIs that people document do one thing.
LEVELS = (5, 3, 2, 1)
# Draws after which the combinations of a sub-domain are held to be used up.
_DRAWS = 50
# A node that has a word in common with the first one is so much likelier to be the next for each such word.
_RELATED = 4


@dataclass(frozen=True)
class Node:
    """One functionality, a leaf of the tree.

    Attributes:
        name: a few words, verb first.
        about: one sentence.
        sources: texts "package version, file" of the documents that it was read from.
    """

    name: str
    about: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subtree:
    """What one API is to cover: 1 to 4 nodes of a sub-domain."""

    sub: SubDomain
    nodes: tuple[Node, ...]


def own_nodes(sub: SubDomain) -> list[Node]:
    """The functionalities that the taxonomy itself gives a sub-domain."""
    source = (f"toolace, taxonomy of {sub.primary}",)
    return [Node(function.title, function.about, source) for function in sub.functions]


class Subtrees:
    """Draws subtrees of one sub-domain, none twice.

    Args:
        sub: the sub-domain.
        nodes: its functionalities.
        seed: decides the draws, together with the sub-domain's name.
    """

    def __init__(self, sub: SubDomain, nodes: Sequence[Node], seed: int) -> None:
        self.sub, self.nodes = sub, tuple(nodes)
        self._rng = random.Random(f"{seed}/subtrees/{sub.name}")
        self._words = [_telling(node, sub) for node in self.nodes]
        self._covered = [0] * len(self.nodes)
        self._drawn: set[frozenset[int]] = set()

    def sample(self) -> Subtree | None:
        """The next subtree; None when there are no nodes or no new combinations of them."""
        if not self.nodes:
            return None
        for _ in range(_DRAWS):
            level = self._rng.choices(range(1, len(LEVELS) + 1), LEVELS)[0]
            chosen = self._choose(min(level, len(self.nodes)))
            if frozenset(chosen) not in self._drawn:
                self._drawn.add(frozenset(chosen))
                for i in chosen:
                    self._covered[i] += 1
                return Subtree(self.sub, tuple(self.nodes[i] for i in chosen))
        return None

    def _choose(self, level: int) -> list[int]:
        """`level` nodes: the first among those covered least, the others preferably related to it."""
        rarest = min(self._covered)
        # Now and then any node, or the last combinations of the rarest ones would be drawn for ever.
        free = [i for i, times in enumerate(self._covered) if times == rarest or self._rng.random() < 0.2]
        chosen = [self._rng.choice(free)]
        while len(chosen) < level:
            others = [i for i in range(len(self.nodes)) if i not in chosen]
            weights = [1 + _RELATED * len(self._words[i] & self._words[chosen[0]]) for i in others]
            chosen.append(self._rng.choices(others, weights)[0])
        return chosen


def _telling(node: Node, sub: SubDomain) -> frozenset[str]:
    """Words that tell a node from its neighbours: not those of the sub-domain's name, nor short ones."""
    common = {singular(word) for word in words_of(f"{sub.name} {sub.primary}")}
    words = {singular(word) for word in words_of(f"{node.name} {node.about}")}
    return frozenset(word for word in words - common if len(word) > 3)
