"""Balance: which candidates become the pool, so that every sub-domain has its share, real APIs first, evolved to fill.

Sub-domains are filled level by level: each one takes its next tool before any takes another, from its services in turn.
Documented APIs come first, up to half of the pool; evolved ones then lift the sub-domains that have fewest.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from tqdm import tqdm

from data_gen.tool_synthesis.candidates import Candidate
from data_gen.tool_synthesis.evolution import OfflineEvolution
from data_gen.tool_synthesis.gates import GATES, BenchmarkGate, PoolGate, judge
from data_gen.tool_synthesis.pool import Rejected
from data_gen.tool_synthesis.speciation import Place
from data_gen.tool_synthesis.taxonomy import SubDomain
from data_gen.verification.verdict import Verdict
from toolace import Tool

# our choice: half of the pool is documented, as far as there are documents. More would be more cloud operations; topics
# of everyday life would have none.
REAL_SHARE = 0.5


@dataclass
class Pool:
    """The outcome: kept tools by sub-domain, and everything that was rejected, with its reason."""

    kept: dict[str, list[Tool]] = field(default_factory=lambda: defaultdict(list))
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def tools(self) -> list[Tool]:
        """All kept tools, sub-domain by sub-domain."""
        return [tool for tools in self.kept.values() for tool in tools]


def place(
    candidates: Sequence[Candidate], places: Sequence[Place], subs: Sequence[SubDomain]
) -> tuple[dict[str, list[Candidate]], list[Rejected]]:
    """Candidates by sub-domain, their paths set to where they stand in the tree, and those that fit nowhere."""
    found: dict[str, list[Candidate]] = defaultdict(list)
    nowhere: list[Rejected] = []
    for candidate, where in zip(candidates, places, strict=True):
        sub = subs[where.nearest]
        if where.sub < 0:
            evidence = f"fits no sub-domain; the nearest is {sub.name} ({where.score:.2f})"
            nowhere.append((candidate.tool, Verdict.reject("tree.nowhere", evidence, "description")))
            continue
        node = candidate.leaf.topic.replace("_", " ").strip().lower() or candidate.leaf.title.lower()
        tool = replace(candidate.tool, domain=sub.name, path=(sub.primary, sub.name, node))
        found[sub.name].append(Candidate(tool, candidate.leaf))
    return found, nowhere


class _Queue:
    """What one sub-domain can still offer."""

    def __init__(
        self, sub: SubDomain, candidates: Sequence[Candidate], written: Sequence[Tool], seed: int, *, evolve: bool
    ) -> None:
        self.sub = sub
        self.taken = 0
        self.evolution = OfflineEvolution(sub, seed)
        self.real = iter(_by_service(candidates, random.Random(f"{seed}/balance/{sub.name}")))
        self.evolved = chain(written, self.evolution.propose() if evolve else ())


def _by_service(candidates: Sequence[Candidate], rng: random.Random) -> Iterator[Tool]:
    """Candidates of different services in turn, services and their operations in drawn order."""
    services: dict[str, list[Tool]] = defaultdict(list)
    for candidate in candidates:
        services[candidate.leaf.service].append(candidate.tool)
    queues = [services[name] for name in sorted(services)]
    rng.shuffle(queues)
    for queue in queues:
        rng.shuffle(queue)
    while queues:
        for queue in queues:
            yield queue.pop()
        queues = [queue for queue in queues if queue]


def fill(
    subs: Sequence[SubDomain],
    candidates: Mapping[str, Sequence[Candidate]],
    count: int,
    seed: int,
    *,
    evolve: bool,
    benchmark: Callable[[Tool], Verdict] | None = None,
    written: Mapping[str, Sequence[Tool]] | None = None,
) -> Pool:
    """Fills the sub-domains: documented APIs first, then evolved ones where there are fewest.

    Args:
        subs: the sub-domains to fill.
        candidates: by sub-domain; each has passed the gates that look at one tool.
        count: tools wanted, 0 for everything that the documents offer.
        seed: of the recipe.
        evolve: whether evolved tools are made too.
        benchmark: keeps benchmark functions out of what is evolved; BFCL's when None.
        written: by sub-domain, tools that a model has evolved: they come before those that are evolved offline.
    """
    made = written or {}
    queues = [_Queue(s, candidates.get(s.name, ()), made.get(s.name, ()), seed, evolve=evolve) for s in subs]
    # Which words are rare is learnt from what will come: all documented tools, and some evolved ones of each topic.
    first = (tool for sub in subs if evolve for tool in islice(OfflineEvolution(sub, seed).propose(), 20))
    in_pool = PoolGate(chain((candidate.tool for found in candidates.values() for candidate in found), first))
    with tqdm(total=count or None, desc="pool", unit=" tools") as bar:
        filling = _Filling(queues, in_pool, bar)
        evolving = evolve or bool(written)
        documented = round(count * REAL_SHARE) if evolving else count
        filling.level(lambda queue: queue.real, (), documented or None)
        if evolving:
            filling.level(lambda queue: queue.evolved, (*GATES, benchmark or BenchmarkGate()), count or None)
            # Where the documents offer more than their share and evolution ended early, they fill the rest.
            filling.level(lambda queue: queue.real, (), count or None)
    return filling.pool


class _Filling:
    """One pool being filled, level by level: the sub-domains with the fewest tools take one each, then the next few."""

    def __init__(self, queues: Sequence[_Queue], in_pool: PoolGate, bar: tqdm[Any]) -> None:
        self.queues, self.in_pool, self.bar = queues, in_pool, bar
        self.pool = Pool()
        self.made = 0

    def level(
        self, source: Callable[[_Queue], Iterator[Tool]], gates: Sequence[Callable[[Tool], Verdict]], total: int | None
    ) -> None:
        """Takes tools from one source of each sub-domain until there are `total` in all, or the source is exhausted."""
        going = [queue for queue in self.queues if total is None or self.made < total]
        height = min((queue.taken for queue in going), default=0)
        while going:
            height += 1
            left = []
            for queue in going:
                if total is not None and self.made >= total:
                    return
                if queue.taken >= height or self._take(queue, source(queue), gates):
                    left.append(queue)
            going = left

    def _take(self, queue: _Queue, source: Iterator[Tool], gates: Sequence[Callable[[Tool], Verdict]]) -> bool:
        """Takes the source's next tool that passes; False when there is none left."""
        for tool in source:
            verdict = judge(tool, gates)
            if verdict.kept:
                verdict = self.in_pool(tool)
            if verdict.kept:
                self.in_pool.add(tool)
                queue.evolution.buffer.add(tool)
                queue.taken += 1
                self.pool.kept[queue.sub.name].append(tool)
                self.made += 1
                self.bar.update()
                return True
            self.pool.rejected.append((tool, verdict))
        return False
