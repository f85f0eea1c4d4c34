"""Speciation, the offline player: every documented API finds its place among the 390 sub-domains (paper Sec. 2.1).

A sub-domain is known by its words, its functions and its terms; an API by its service, its tag and its own text. Three
measures are added up: words in common (TF-IDF), meaning (sentence embeddings), and the sub-domain's telling words. They
are taken of the operation, of its tag within the service and of the service as a whole: operations of a calendar belong
together even where one of them only says "Deletes an access control rule". What fits nowhere is said to fit nowhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_gen.documents.naming import singular
from data_gen.embedding import embed
from data_gen.tool_synthesis.similarity import words_of
from data_gen.tool_synthesis.taxonomy import SubDomain

# Weights of the measures and of the three levels, chosen on a labelled sample (docs/tool_pool.md).
WORDS_IN_COMMON = 1.0
MEANING = 1.5
TELLING = 0.8
TAG = 0.8
SERVICE = 1.2
# Below this score nothing is known of where an API belongs.
THRESHOLD = 0.8
SUPPORT = 0.5
MEANT = 0.35
# Operations from which a service has parts of its own, and a tag is one.
LARGE_SERVICE, LARGE_TAG = 20, 3
CHUNK = 4096

_STOP_WORDS = (
    "a an and are as at be by can for from has have if in into is it its may more must no not of on one or other our "
    "set such that the their them then there these they this to under use used user using value via was were when "
    "where which will with without you your get list create update delete add remove return returns retrieve id ids "
    "name names type types all any new given specified request response api apis data object objects resource "
    "resources field fields string number parameter parameters service services endpoint call information details "
    "current existing based available only also each e g see v1 v2 v3 post put patch ref true false default s"
)
_STOP = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True)
class Leaf:
    """What speciation needs to know of one API.

    Attributes:
        service: key of the service it belongs to; its operations are placed together as far as they agree.
        title: the service's name, with category and provider.
        topic: tag or resource.
        text: name and description of the operation.
    """

    service: str
    title: str
    topic: str
    text: str


@dataclass(frozen=True)
class Place:
    """Where an API belongs.

    Attributes:
        sub: index of the sub-domain, -1 when nothing fits.
        score: how well it fits; below `THRESHOLD` nothing does.
        nearest: index of the best sub-domain, fitting or not.
    """

    sub: int
    score: float
    nearest: int


def tokens(text: str) -> list[str]:
    """The telling words of a text in singular form."""
    return [singular(word) for word in words_of(text) if word not in _STOP and len(word) > 1 and not word.isdigit()]


class Speciation:
    """Places APIs among sub-domains.

    Args:
        subs: the sub-domains.
        leaves: all APIs that will be placed: how rare a word is, is learnt from them.
        embedding: texts to unit vectors, see `data_gen.embedding.embed`.
    """

    def __init__(
        self, subs: Sequence[SubDomain], leaves: Sequence[Leaf], embedding: Callable[[Sequence[str]], Any] = embed
    ) -> None:
        from sklearn.feature_extraction.text import TfidfTransformer

        self.subs, self.leaves, self._embedding = subs, leaves, embedding
        topics = [_topic_words(sub) for sub in subs]
        self._columns = {word: i for i, word in enumerate(sorted({word for topic in topics for word in topic}))}
        own = self._counts(Counter(tokens(f"{leaf.topic} {leaf.text}")) for leaf in leaves)
        self._weights = TfidfTransformer(sublinear_tf=True).fit(own)
        self._own = self._weights.transform(own)
        self._topics = self._weights.transform(self._counts(topics)).T.tocsr()
        self._topic_meaning = embedding([f"{sub.name}. {sub.primary}. {', '.join(sub.words)}" for sub in subs])
        self._telling = _telling(subs)

    def places(self) -> list[Place]:
        """One place for each leaf, in their order."""
        in_service = Counter(leaf.service for leaf in self.leaves)
        in_tag = Counter((leaf.service, leaf.topic) for leaf in self.leaves)

        def tag(leaf: Leaf) -> tuple[str, ...]:
            key = (leaf.service, leaf.topic)
            # A small service is about one thing, and of a rare tag its operations say more than its name.
            return key if in_service[leaf.service] >= LARGE_SERVICE and in_tag[key] >= LARGE_TAG else (leaf.service,)

        services, meant_by_service, service_of = self._groups(lambda leaf: (leaf.service,), lambda leaf: leaf.title)
        tags, meant_by_tag, tag_of = self._groups(tag, lambda leaf: f"{leaf.topic}. {leaf.title}")
        found: list[Place] = []
        for start in range(0, len(self.leaves), CHUNK):
            chunk = slice(start, min(start + CHUNK, len(self.leaves)))
            scores = WORDS_IN_COMMON * np.asarray((self._own[chunk] @ self._topics).todense())
            for row, leaf in enumerate(self.leaves[chunk]):
                scores[row] += TELLING * self._told(leaf.text)
            support = TAG * tags[tag_of[chunk]] + SERVICE * services[service_of[chunk]]
            scores += support
            for row, nearest in enumerate(scores.argmax(axis=1).tolist()):
                score = float(scores[row, nearest])
                # One word places nothing ("Migration Hub" is no wildlife): service or tag must mean the topic as well.
                i = start + row
                meant = max(meant_by_service[service_of[i], nearest], meant_by_tag[tag_of[i], nearest])
                fits = score >= THRESHOLD and float(support[row, nearest]) >= SUPPORT and float(meant) >= MEANT
                found.append(Place(nearest if fits else -1, round(score, 3), nearest))
        return found

    def _groups(self, key: Callable[[Leaf], tuple[str, ...]], text: Callable[[Leaf], str]) -> tuple[Any, Any, Any]:
        """What leaves with the same key say together and are called.

        Returns:
            (scores, cosine similarities of what they are called: both (groups, subs); the group of each leaf).
        """
        members: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for i, leaf in enumerate(self.leaves):
            members[key(leaf)].append(i)
        group_of = np.empty(len(self.leaves), dtype=np.int64)
        texts = [text(self.leaves[found[0]]) for found in members.values()]
        meaning = np.clip(self._embedding(texts) @ self._topic_meaning.T, 0, None)
        scores = MEANING * meaning**2
        for row, (called, found) in enumerate(zip(texts, members.values(), strict=True)):
            group_of[found] = row
            together = np.asarray(self._own[found].mean(axis=0))
            length = np.linalg.norm(together)
            if length:
                scores[row] += WORDS_IN_COMMON * np.asarray((together / length) @ self._topics)[0]
            scores[row] += TELLING * self._told(called)
        return scores, meaning, group_of

    def _told(self, text: str) -> Any:
        """(subs,): how much of a sub-domain's telling words a text has; a word of many sub-domains tells little."""
        scores = np.zeros(len(self.subs), dtype=np.float32)
        words = [singular(word) for word in words_of(text)]
        for size in (1, 2, 3):
            for phrase in {" ".join(words[i : i + size]) for i in range(len(words) - size + 1)}:
                for sub, weight in self._telling.get(phrase, ()):
                    scores[sub] += weight
        return scores / (1 + scores)

    def _counts(self, texts: Iterable[Counter[str]]) -> Any:
        """Sparse (texts, words) counts of the words that sub-domains speak of."""
        from scipy.sparse import csr_matrix

        ends, columns, values = [0], [], []
        for words in texts:
            known = [(self._columns[word], times) for word, times in words.items() if word in self._columns]
            columns += [column for column, _ in known]
            values += [times for _, times in known]
            ends.append(len(columns))
        return csr_matrix((values, columns, ends), shape=(len(ends) - 1, len(self._columns)), dtype=np.float32)


def _topic_words(sub: SubDomain) -> Counter[str]:
    """How often a sub-domain speaks of each word: its name and telling words weigh most."""
    words: Counter[str] = Counter()
    for text, weight in _texts(sub):
        for word in tokens(text):
            words[word] += weight
    return words


def _texts(sub: SubDomain) -> Iterator[tuple[str, int]]:
    yield sub.name, 8
    yield sub.primary, 1
    yield " ".join(sub.words), 6
    yield " ".join(entity.name.replace("_", " ") for entity in sub.entities.values()), 4
    for function in sub.functions:
        yield f"{function.title} {function.about}", 2
    for term in sub.terms.values():
        yield term.about, 1


def _telling(subs: Sequence[SubDomain]) -> dict[str, list[tuple[int, float]]]:
    """Phrase -> the sub-domains that name it among their words, each with its weight."""
    named: dict[str, set[int]] = defaultdict(set)
    for i, sub in enumerate(subs):
        for phrase in (sub.name, *sub.words):
            named[" ".join(singular(word) for word in words_of(phrase))].add(i)
    return {phrase: [(i, 0.5 / len(found)) for i in sorted(found)] for phrase, found in named.items() if phrase}
