"""Paraphrases: tools of one sub-domain that say the same in other words, found by sentence embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from data_gen.embedding import embed
from data_gen.tool_synthesis.pool import Rejected
from data_gen.tool_synthesis.speciation import tokens
from data_gen.verification.verdict import Verdict
from toolace import Tool

# our choice: what differs between two tools is said early; fewer tokens are read in half the time.
TOKENS = 40


def without_paraphrases(
    pool: Sequence[Sequence[Tool]], threshold: float, embedding: Callable[..., Any] = embed
) -> tuple[list[list[Tool]], list[Rejected]]:
    """Removes from each group the tools that paraphrase an earlier one of it.

    Two tools with other parameters or without a word in common are no paraphrases, however alike they sound to the
    model; that leaves one tool in three to be embedded.

    Args:
        pool: groups of tools, such as sub-domains.
        threshold: cosine similarity of name and description from which two tools say the same.
        embedding: texts to unit vectors, see `data_gen.embedding.embed`.

    Returns:
        (groups without them, the removed ones with their reasons).
    """
    pairs = [(group, _alike(group)) for group in pool]
    asked = {id(group[i]): group[i] for group, found in pairs for pair in found for i in pair}
    vectors = (
        dict(zip(asked, embedding([_text(tool) for tool in asked.values()], TOKENS), strict=True)) if asked else {}
    )
    kept_groups: list[list[Tool]] = []
    removed: list[Rejected] = []
    for group, found in pairs:
        gone: dict[int, Verdict] = {}
        for later, earlier in found:
            if later in gone or earlier in gone:
                continue
            similarity = float(vectors[id(group[later])] @ vectors[id(group[earlier])])
            if similarity >= threshold:
                evidence = f"{similarity:.2f} similar in meaning to {group[earlier].id or group[earlier].name}"
                gone[later] = Verdict.reject("pool.paraphrase", evidence, "description")
        kept_groups.append([tool for i, tool in enumerate(group) if i not in gone])
        removed += [(group[i], verdict) for i, verdict in gone.items()]
    return kept_groups, removed


def _alike(group: Sequence[Tool]) -> list[tuple[int, int]]:
    """(later, earlier) of tools that may be paraphrases: half of the parameters and a third of the words in common."""
    names = [set(tool.properties) for tool in group]
    words = [set(tokens(f"{tool.name} {tool.description}")) for tool in group]
    return [
        (later, earlier)
        for later in range(len(group))
        for earlier in range(later)
        if 2 * len(names[later] & names[earlier]) >= len(names[later] | names[earlier])
        and 3 * len(words[later] & words[earlier]) >= len(words[later] | words[earlier])
    ]


def _text(tool: Tool) -> str:
    return f"{tool.name.replace('_', ' ').replace('.', ' ')}: {tool.description}"
