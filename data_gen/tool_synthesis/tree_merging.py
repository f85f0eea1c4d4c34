"""Merging: from what an agent proposed of every passage to one tree, each proposal accepted or rejected with a reason.

Names that mean the same become one node: equal after normalising, or near in meaning. Between "surely the same" and
"surely another" lie doubtful pairs of topics; those are put to the model, one question for each cluster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_gen.tool_synthesis.passages import Embedding, Passage
from data_gen.tool_synthesis.proposals import proposal_row, unfinished_row
from data_gen.tool_synthesis.speciation import tokens
from data_gen.tool_synthesis.subtrees import Node, own_nodes
from data_gen.tool_synthesis.taxonomy import SubDomain
from data_gen.tool_synthesis.tree_answers import (
    canonical,
    domain_name,
    judge_domain,
    judge_functionality,
    judge_place,
    plain,
    vocabulary_of,
)
from data_gen.verification.verdict import KEPT, Verdict
from toolace.rows import Row

# our choice: cosine similarity of names. Of the taxonomy's own 75,855 pairs of names one is above 0.8 ("Football",
# "American Football") and sixteen are above 0.7; names of one topic in other words lie between 0.6 and 0.96.
SAME, DOUBTFUL = 0.8, 0.6
# The same for functionalities of one sub-domain; the nearest different ones of the taxonomy have 0.78.
SYNONYM = 0.8
# A topic that no more can be done with is no topic of its own.
FEWEST = 3
_CANDIDATES = 4


@dataclass(frozen=True)
class Answer:
    """What became of one passage: the answer's JSON, or why there is none, for good or until the next run."""

    passage: Passage
    value: Mapping[str, Any] | None
    refused: str = ""
    unfinished: str = ""


@dataclass(frozen=True)
class Doubt:
    """A question for the model: are these new names one of the known topics in other words?"""

    names: tuple[str, ...]
    reason: str
    known: tuple[str, ...]


@dataclass
class ContextTree:
    """The tree as the documents and the agent made it.

    Attributes:
        subs: the sub-domains, those of the taxonomy first and in its order.
        places: service -> index in `subs`, where the agent's proposal was accepted.
        nodes: sub-domain -> functionalities that documents speak of.
        of_service: service -> names of its own functionalities among them.
        rows: one for each proposal, `proposals.jsonl`.
    """

    subs: Sequence[SubDomain]
    places: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, list[Node]] = field(default_factory=dict)
    of_service: dict[str, list[Node]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


@dataclass
class _New:
    """A topic that the tree does not have, under the name it was first proposed with."""

    primary: str
    reason: str
    names: list[str]
    done: set[frozenset[str]] = field(default_factory=set)


class Merging:
    """Judges and merges the answers.

    Args:
        subs: the known sub-domains.
        answers: of all passages, in their order, which decides whose name a node gets.
        embedding: texts to unit vectors.
    """

    def __init__(self, subs: Sequence[SubDomain], answers: Sequence[Answer], embedding: Embedding) -> None:
        self.subs, self.answers, self.embedding = subs, answers, embedding
        self._known: dict[object, int] = {}
        for i, sub in enumerate(subs):
            self._known.setdefault(_form(sub.name), i)
        for i, sub in enumerate(subs):
            self._known[sub.name.lower()] = i
        self._evidence: dict[str, str] = {}
        self._new: list[_New] = []
        self._cluster_of: dict[str, _New] = {}
        self._doubts: list[Doubt] = []
        self._cluster()

    def doubts(self) -> list[Doubt]:
        """Clusters of new topics that may be a known one."""
        return self._doubts

    def _lookup(self, name: str) -> int | None:
        """The known sub-domain of that name, also in another form."""
        found = self._known.get(name.lower())
        return self._known.get(_form(name)) if found is None else found

    def _cluster(self) -> None:
        """Sorts the names of new topics: known in other words, one of a cluster, or a doubt."""
        proposed: dict[str, Mapping[str, Any]] = {}
        for answer in self.answers:
            name = domain_name(answer.value) if answer.value else ""
            if answer.value and self._lookup(name) is None and self._judged(name, answer.value).kept:
                proposed.setdefault(name, answer.value)
        if not proposed:
            return
        names = list(proposed)
        vectors = self.embedding(names)
        known = vectors @ self.embedding([sub.name for sub in self.subs]).T
        heads: list[int] = []
        for i, name in enumerate(names):
            nearest = int(known[i].argmax())
            if known[i][nearest] >= SAME:
                self._accept_as(name, nearest, f"{float(known[i][nearest]):.2f} similar in meaning")
                continue
            head = next((h for h in heads if float(vectors[i] @ vectors[h]) >= SAME), None)
            if head is not None:
                self._cluster_of[name] = self._cluster_of[names[head]]
                self._cluster_of[name].names.append(name)
                continue
            heads.append(i)
            value = proposed[name]
            self._cluster_of[name] = _New(value["primary"], plain(value["reason"]), [name])
            self._new.append(self._cluster_of[name])
        for i in heads:
            near = [int(k) for k in (-known[i]).argsort(kind="stable")[:_CANDIDATES] if known[i][k] >= DOUBTFUL]
            if near:
                new = self._cluster_of[names[i]]
                self._doubts.append(Doubt(tuple(new.names), new.reason, tuple(self.subs[k].name for k in near)))

    @staticmethod
    def _judged(name: str, value: Mapping[str, Any]) -> Verdict:
        return judge_domain(name, value["primary"], plain(value["reason"]))

    def _accept_as(self, name: str, sub: int, why: str) -> None:
        self._known[name.lower()] = sub
        self._evidence[name] = f"{why} to {self.subs[sub].name}"

    def tree(self, same: Mapping[str, str]) -> ContextTree:
        """The tree.

        Args:
            same: new topic -> known one, as the model answered the doubts.
        """
        by_name = {sub.name: i for i, sub in enumerate(self.subs)}
        for name, known in same.items():
            self._accept_as(name, by_name[known], "the model holds it to be equal")
        for answer in self.answers:
            self._count(answer)
        subs = [*self.subs]
        for new in self._new:
            if len(new.done) >= FEWEST and self._lookup(new.names[0]) is None:
                cloud = any(sub.cloud for sub in self.subs if sub.primary == new.primary)
                for name in new.names:
                    self._known[name.lower()] = len(subs)
                    self._evidence[name] = f"a new sub-domain of {new.primary}: {new.reason}"
                subs.append(SubDomain(new.names[0], new.primary, cloud, (), {}, {}, ()))
        tree = ContextTree(subs)
        wanted: dict[int, list[tuple[Answer, str, str, Row]]] = defaultdict(list)
        for answer in self.answers:
            self._place(answer, tree, wanted)
        for sub, proposals in wanted.items():
            self._merge(subs[sub], proposals, tree)
        return tree

    def _count(self, answer: Answer) -> None:
        """What can be done with each new topic, over all its passages."""
        new = self._cluster_of.get(domain_name(answer.value)) if answer.value else None
        if new is not None and answer.value:
            known = vocabulary_of(answer.passage.text)
            for name, about in _functionalities(answer.value):
                if judge_functionality(name, about, known).kept:
                    new.done.add(canonical(name)[1])

    def _place(self, answer: Answer, tree: ContextTree, wanted: dict[int, list[tuple[Answer, str, str, Row]]]) -> None:
        """The domain of one passage; its functionalities that can be accepted go to `wanted`."""
        passage, value = answer.passage, answer.value
        if value is None:
            tree.rows.append(_without_answer(answer))
            return
        name = domain_name(value)
        sub, verdict = self._lookup(name), self._judged(name, value)
        if sub is None and verdict.kept:
            verdict = Verdict.reject("domain.thin", f"{name!r} is new and has fewer than {FEWEST} functionalities")
        elif sub is not None and sub not in (passage.place, *range(len(self.subs), len(tree.subs))):
            verdict = judge_place(tree.subs[sub], f"{passage.title} {passage.text}")
            sub = sub if verdict.kept else None
        proposed = {"primary": value["primary"], "sub_domain": name, "reason": plain(value["reason"])}
        if sub is None:
            sub = passage.place
            tree.rows.append(proposal_row("domain", passage.key, proposed, verdict))
        else:
            evidence = self._evidence.get(name, "")
            if value["primary"] != tree.subs[sub].primary:
                evidence = f"it stands under {tree.subs[sub].primary}; {evidence}".rstrip("; ")
            tree.places[passage.key] = sub
            tree.rows.append(proposal_row("domain", passage.key, proposed, KEPT, evidence, tree.subs[sub]))
        known = vocabulary_of(passage.text)
        for title, about in _functionalities(value):
            verdict = judge_functionality(title, about, known)
            if verdict.kept and sub < 0:
                verdict = Verdict.reject("functionality.no_domain", "its document has no place in the tree")
            row = proposal_row("functionality", passage.key, {"name": title, "description": about}, verdict)
            tree.rows.append(row)
            if verdict.kept:
                wanted[sub].append((answer, title, about, row))

    def _merge(self, sub: SubDomain, proposals: Sequence[tuple[Answer, str, str, Row]], tree: ContextTree) -> None:
        """Functionalities of one sub-domain: new nodes, and other words for nodes that are there."""
        nodes = own_nodes(sub)
        own = len(nodes)
        forms = [canonical(node.name) for node in nodes]
        vectors = [*self.embedding([node.name for node in nodes])] if nodes else []
        vectors_of = self.embedding([title for _, title, _, _ in proposals])
        for (answer, title, about, row), vector in zip(proposals, vectors_of, strict=True):
            verb, form = canonical(title)
            found, evidence = _synonym(verb, form, vector, forms, vectors)
            source = answer.passage.source
            row["domain"] = sub.name
            if found is None:
                found = len(nodes)
                nodes.append(Node(title, about, (source,)))
                forms.append((verb, form))
                vectors.append(vector)
            else:
                node = nodes[found]
                nodes[found] = Node(node.name, node.about, tuple(dict.fromkeys((*node.sources, source))))
                row["evidence"] = f"the same as {node.name!r} ({evidence})"
            row["node"] = nodes[found].name
            mine = tree.of_service.setdefault(answer.passage.key, [])
            if all(node.name != nodes[found].name for node in mine):
                mine.append(nodes[found])
        # The taxonomy's own nodes that no document spoke of are known anyway.
        tree.nodes[sub.name] = [node for i, node in enumerate(nodes) if i >= own or len(node.sources) > 1]


def _without_answer(answer: Answer) -> Row:
    """The service keeps its place, and its line says so."""
    stays = "keeps the offline place" if answer.passage.place >= 0 else "has no place"
    if answer.refused:
        return proposal_row(
            "domain", answer.passage.key, None, Verdict.reject("llm.refused", f"{stays}: {answer.refused}")
        )
    return unfinished_row("domain", answer.passage.key, f"{stays}: {answer.unfinished or 'not asked'}")


def _synonym(
    verb: str, form: frozenset[str], vector: Any, forms: Sequence[tuple[str, frozenset[str]]], vectors: Sequence[Any]
) -> tuple[int | None, str]:
    """(index of the node that means the same, why); None when there is none."""
    best, similarity = None, SYNONYM
    for i, (other_verb, other) in enumerate(forms):
        if form == other:
            return i, "equal words"
        if verb and other_verb and verb != other_verb:
            continue
        near = float(vector @ vectors[i])
        if near >= similarity:
            best, similarity = i, near
    return best, f"{similarity:.2f} similar in meaning"


def _functionalities(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(_lower(plain(f["name"], 120).rstrip(".")), plain(f["description"])) for f in value["functionalities"]]


def _lower(name: str) -> str:
    """A name as the tree writes it, "Create DNS Zone" as "create DNS zone"."""
    return " ".join(
        word if word.isupper() and len(word) > 1 else word.lower() for word in name.replace("_", " ").split()
    )


def _form(name: str) -> frozenset[str]:
    """A topic's telling words; those of "Email services" are those of "Email"."""
    return frozenset(tokens(name)) or frozenset((name.lower(),))
