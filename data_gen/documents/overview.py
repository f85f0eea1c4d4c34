"""Service overviews: what a speciation agent reads of a service first, as one Markdown passage (paper, Section 2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from data_gen.documents.document import Document
from data_gen.documents.plain_text import cut, sentences

# our choice: with four characters a token about 3,500 tokens, so that passage and instruction fit into 4,096.
CHARACTERS = 13_000
TAGS = 40
OPERATIONS = 15
SENTENCE_CHARACTERS = 140
OTHER = "Other operations"


def services(documents: Iterable[Document]) -> dict[tuple[str, str], list[Document]]:
    """Documents by (provider or package, title), both in the order of the documents."""
    found: dict[tuple[str, str], list[Document]] = {}
    for document in documents:
        provider = document.source.get("provider") or document.source.get("package") or ""
        found.setdefault((provider, document.title), []).append(document)
    return found


def service_overview(documents: Sequence[Document], *, description: str = "") -> str:
    """One service: title, provider, category, and its operations by tag with their first sentence.

    Args:
        documents: operations of one service, at least one; passages of manuals are passed over.
        description: what its publisher says of the whole service, as far as it is known.

    Returns:
        Markdown of at most 13,000 characters. What does not fit is counted at the end.
    """
    first = documents[0]
    head = [f"# {first.title}", ""]
    provider = first.source.get("provider") or first.source.get("package")
    head += [f"Provider: {provider}"] if provider else []
    head.append(f"Category: {first.source.get('category') or first.path[0]}")
    if description:
        head += ["", cut(description, 1_500) if len(description) > 1_500 else description]
    lines = "\n".join(head)
    left = CHARACTERS - len(lines) - 40
    shown = 0
    total = sum(1 for document in documents if document.structure)
    kept: list[str] = []
    for line, counts in _lines(documents):
        if len(line) + 1 > left:
            break
        kept.append(line)
        left -= len(line) + 1
        shown += counts
    rest = f"\n\n{total - shown} more operations." if shown < total else ""
    return f"{lines}\n" + "\n".join(kept) + rest


def _lines(documents: Sequence[Document]) -> Iterator[tuple[str, int]]:
    """(line, operations it shows), tag by tag."""
    tags: dict[str, list[Document]] = {}
    for document in documents:
        if document.structure:
            tag = document.source.get("tag") or (document.path[2] if len(document.path) > 2 else OTHER)
            tags.setdefault(tag, []).append(document)
    # Nouns of single operations are no groups: together they read better.
    grouped: dict[str, list[Document]] = {}
    for tag, found in tags.items():
        grouped.setdefault(tag if len(found) > 1 or found[0].source.get("tag") else OTHER, []).extend(found)
    for tag, found in list(grouped.items())[:TAGS]:
        yield f"\n## {tag}", 0
        for document in found[:OPERATIONS]:
            said = sentences(str(document.structure.get("description") or ""))
            text = said[0] if said else ""
            text = cut(text, SENTENCE_CHARACTERS) if len(text) > SENTENCE_CHARACTERS else text
            yield f"- `{document.structure['name']}`: {text}".rstrip(": "), 1
