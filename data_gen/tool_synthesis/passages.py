"""Passages: what a speciation agent reads, an overview of each service and the passages of manuals (paper Sec. 2.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_gen.documents import local
from data_gen.documents.document import Document
from data_gen.documents.markdown import is_passage
from data_gen.documents.overview import service_overview
from data_gen.embedding import embed
from data_gen.tool_synthesis.candidates import Candidate
from data_gen.tool_synthesis.speciation import Place
from data_gen.tool_synthesis.taxonomy import SubDomain

# our choice: sub-domains that the agent is shown to choose from; of 390 names a small model reads the first few.
NEAR = 12
# What of a passage is embedded, in tokens of the embedding model.
_TOKENS = 128

Embedding = Callable[..., Any]


@dataclass(frozen=True)
class Passage:
    """One text for the agent.

    Attributes:
        key: of the service, or the manual passage's id.
        title: of the service or manual.
        text: Markdown.
        source: what the tree names as the source, "package version, file".
        near: indices of the sub-domains that the offline player holds likeliest, best first.
        place: index of the sub-domain where the offline player puts most of its operations, -1 for nowhere.
    """

    key: str
    title: str
    text: str
    source: str
    near: tuple[int, ...]
    place: int


def by_service(candidates: Sequence[Candidate]) -> dict[str, list[int]]:
    """Service -> indices of its candidates, services in the order in which they come."""
    found: dict[str, list[int]] = {}
    for i, candidate in enumerate(candidates):
        found.setdefault(candidate.leaf.service, []).append(i)
    return found


def passages_of(
    candidates: Sequence[Candidate],
    places: Sequence[Place],
    manuals: Sequence[Document],
    subs: Sequence[SubDomain],
    embedding: Embedding = embed,
) -> list[Passage]:
    """One passage for each service, then one for each manual passage.

    Args:
        candidates: tools of all services.
        places: where the offline player puts each of them.
        manuals: Documents without structure.
        subs: the sub-domains that `places` counts.
        embedding: texts to unit vectors, see `data_gen.embedding.embed`.
    """
    services = by_service(candidates)
    votes = [Counter(places[i].sub for i in found if places[i].sub >= 0) for found in services.values()]
    votes += [Counter()] * len(manuals)
    documents = [[_document(candidates[i]) for i in found] for found in services.values()]
    texts = [(key, found[0], service_overview(found)) for key, found in zip(services, documents, strict=True)]
    texts += [(document.id, document, document.text) for document in manuals]
    near = _near([f"{document.title}. {text}" for _, document, text in texts], votes, subs, embedding)
    return [
        Passage(key, document.title, text, _source(document), ranked, ranked[0] if voted else -1)
        for (key, document, text), ranked, voted in zip(texts, near, votes, strict=True)
    ]


def manual_passages(files: Sequence[str]) -> Iterator[Document]:
    """The passages of Markdown manuals among a user's own files; what cannot be read was told when it was gathered."""
    for place in files:
        yield from filter(is_passage, local.read_path(place, lambda problem: None))


def _document(candidate: Candidate) -> Document:
    """The tool as the Document it was made from, as far as an overview needs it."""
    tool, service = candidate.tool, candidate.leaf.service
    source: Mapping[str, str] = tool.source
    title = service.removeprefix(f"{source.get('provider') or source.get('package')}/")
    structure = {"name": tool.name, "description": tool.description}
    return Document(tool.id, title, tool.description, tool.path or (title,), structure, source, tool.licence)


def _source(document: Document) -> str:
    source = document.source
    package = source.get("provider") or f"{source.get('package', '')} {source.get('version', '')}"
    return f"{package.strip()}, {source.get('file', '')}".strip(", ") or document.title


def _near(
    texts: Sequence[str], votes: Sequence[Counter[int]], subs: Sequence[SubDomain], embedding: Embedding
) -> list[tuple[int, ...]]:
    """For each text the likeliest sub-domains: those its operations were placed in, then the nearest in meaning."""
    if not texts:
        return []
    topics = embedding([f"{sub.name}. {sub.primary}. {', '.join(sub.words)}" for sub in subs])
    scores = embedding([text[:2_000] for text in texts], _TOKENS) @ topics.T
    found = []
    for row, voted in zip(scores, votes, strict=True):
        placed = [sub for sub, _ in sorted(voted.items(), key=lambda item: (-item[1], item[0]))][: NEAR // 2]
        meant = [int(sub) for sub in (-row).argsort(kind="stable")[:NEAR]]
        found.append(tuple(dict.fromkeys([*placed, *meant]))[:NEAR])
    return found
