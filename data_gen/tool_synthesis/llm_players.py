"""LlmPlayers: the roles of tool synthesis that a language model plays in a run, on one server, journal and budget."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from data_gen.embedding import embed
from data_gen.settings import ToolSettings
from data_gen.tool_synthesis.balance import REAL_SHARE
from data_gen.tool_synthesis.candidates import Candidate
from data_gen.tool_synthesis.evolution_llm import SubDomainEvolution, evolve, levelled
from data_gen.tool_synthesis.passages import Embedding, by_service, manual_passages, passages_of
from data_gen.tool_synthesis.speciation import THRESHOLD, Place
from data_gen.tool_synthesis.speciation_llm import speciate
from data_gen.tool_synthesis.subtrees import own_nodes
from data_gen.tool_synthesis.taxonomy import SubDomain
from data_gen.tool_synthesis.tree_merging import ContextTree
from toolace import Tool
from toolace.journal import Journal
from toolace.llm import Llm
from toolace.llm_settings import LlmSettings
from toolace.rows import Row, write_rows

PROPOSALS = "proposals.jsonl"
JOURNAL = "journal.sqlite"
# An operation belongs to a functionality of its service from this cosine similarity; else to its tag, as offline.
_OWN_NODE = 0.4

T = TypeVar("T")


class LlmPlayers:
    """The agents of a run. A context manager; its methods block until all answers are there.

    Args:
        folder: the run folder: the journal and `proposals.jsonl` lie in it.
        settings: what pool, which server, which roles.
        server: `settings.llm`, which is not None.
        seed: of the recipe.
        embedding: texts to unit vectors.

    Raises:
        InputError: no key in the environment, or a file that is no journal.
    """

    def __init__(
        self, folder: Path, settings: ToolSettings, server: LlmSettings, seed: int, embedding: Embedding = embed
    ) -> None:
        self.folder, self.settings, self.seed, self.embedding = folder, settings, seed, embedding
        self.rows: list[Row] = []
        self._journal = Journal(folder / JOURNAL)
        self.model = Llm(server, self._journal)
        # One loop for all roles: they share the server's connections, its pace and the budget.
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> LlmPlayers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._run(self.model.__aexit__(kind, error, trace))
            self._run(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()
            self._journal.close()
            write_rows(self.folder / PROPOSALS, self.rows)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def speciation(
        self, candidates: Sequence[Candidate], places: Sequence[Place], subs: Sequence[SubDomain]
    ) -> tuple[ContextTree, list[Place]]:
        """The tree that the agent makes of all services and manuals, and where it puts the candidates.

        Args:
            candidates: all of them.
            places: the offline player's, which stand where the agent's are not accepted.
            subs: the taxonomy.
        """
        if "speciation" not in self.settings.llm_roles:
            return ContextTree(subs), list(places)
        manuals = list(manual_passages(self.settings.files))
        passages = passages_of(candidates, places, manuals, subs, self.embedding)
        tree = self._run(speciate(self.model, passages, subs, self.embedding))
        self.rows += tree.rows
        moved = list(places)
        for service, found in by_service(candidates).items():
            sub = tree.places.get(service)
            for i in found if sub is not None else ():
                moved[i] = Place(sub or 0, max(places[i].score, THRESHOLD), sub or 0)
        return tree, moved

    def named(self, candidates: Sequence[Candidate], tree: ContextTree) -> list[Candidate]:
        """The candidates, each under the functionality of its service that is nearest to what it says."""
        asked = [i for i, candidate in enumerate(candidates) if tree.of_service.get(candidate.leaf.service)]
        names = list(dict.fromkeys(n.name for nodes in tree.of_service.values() for n in nodes))
        if not asked:
            return list(candidates)
        index = {name: i for i, name in enumerate(names)}
        of_names = self.embedding(names)
        texts = [f"{candidates[i].tool.name.replace('_', ' ')}: {candidates[i].tool.description}" for i in asked]
        result = list(candidates)
        for i, vector in zip(asked, self.embedding(texts), strict=True):
            own = [node.name for node in tree.of_service[candidates[i].leaf.service]]
            scores = [float(vector @ of_names[index[name]]) for name in own]
            if max(scores) >= _OWN_NODE:
                leaf = replace(candidates[i].leaf, topic=own[scores.index(max(scores))])
                result[i] = Candidate(candidates[i].tool, leaf)
        return result

    def evolution(
        self, tree: ContextTree, found: Mapping[str, Sequence[Candidate]], subs: Sequence[SubDomain]
    ) -> dict[str, list[Tool]]:
        """New APIs by sub-domain, where documented ones are fewest.

        Args:
            tree: whose functionalities they cover.
            found: candidates by sub-domain.
            subs: the sub-domains to fill.
        """
        if "evolution" not in self.settings.llm_roles:
            return {}
        count = self.settings.count
        heights = _documented({sub.name: len(found.get(sub.name, ())) for sub in subs}, round(count * REAL_SHARE))
        total = self.settings.llm_apis or max(0, count - sum(heights.values()))
        evolutions = [
            self._evolution(sub, tree, [c.tool for c in found.get(sub.name, ())], wanted, subs)
            for sub, wanted in zip(subs, levelled(heights, total).values(), strict=True)
            if wanted
        ]
        made = self._run(evolve(self.model, evolutions))
        self.rows += made.rows
        return made.tools

    def _evolution(
        self, sub: SubDomain, tree: ContextTree, examples: Sequence[Tool], wanted: int, subs: Sequence[SubDomain]
    ) -> SubDomainEvolution:
        read = {node.name: node for node in tree.nodes.get(sub.name, ())}
        nodes = [read.pop(node.name, node) for node in own_nodes(sub)] + list(read.values())
        stand_in = sub if sub.functions else next(s for s in tree.subs if s.primary == sub.primary and s.functions)
        return SubDomainEvolution(sub, nodes, examples, wanted, self.seed, stand_in)

    def counts(self) -> dict[str, dict[str, int]]:
        """Kind of proposal -> in, accepted, rejected, unfinished; in is the sum of the others."""
        found: dict[str, Counter[str]] = {}
        for row in self.rows:
            became = {True: "accepted", False: "rejected", None: "unfinished"}[row["kept"]]
            found.setdefault(row["kind"], Counter())[became] += 1
        names = ("accepted", "rejected", "unfinished")
        return {kind: {"in": sum(c.values()), **{name: c[name] for name in names}} for kind, c in found.items()}

    @property
    def unfinished(self) -> int:
        """Proposals that the next run will ask for."""
        return sum(row["kept"] is None for row in self.rows)


def _documented(found: Mapping[str, int], total: int) -> dict[str, int]:
    """How many documented APIs of each sub-domain a pool will hold, filled level by level; all when `total` is 0."""
    if not total:
        return dict(found)
    height = 0
    while sum(min(n, height + 1) for n in found.values()) <= total and height < max(found.values(), default=0):
        height += 1
    return {name: min(n, height) for name, n in found.items()}
