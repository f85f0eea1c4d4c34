"""Duplicates among dialogs: the same conversation, or nearly the same words in the user's turns and the calls."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from zlib import crc32

from data_gen.tool_synthesis.similarity import SimilarityIndex
from data_gen.verification.verdict import KEPT, Verdict
from toolace import Dialog

# our choice: at nine tenths of the word pairs two requests differ in one value out of many, and teach the same.
NEAR = 0.9


@dataclass(frozen=True)
class Fingerprint:
    """What duplicates are found by.

    Attributes:
        id: of the dialog.
        exact: hash of the tool names and of everything said and called.
        pairs: hashes of neighbouring words of the user's turns and the calls: 32-bit numbers, so that those of many
            dialogs can be sent between processes and held in memory.
    """

    id: str
    exact: bytes
    pairs: array[int]

    @classmethod
    def of(cls, dialog: Dialog) -> Fingerprint:
        """The fingerprint of a dialog."""
        turns = [(m.role, m.content, [call.to_json() for call in m.calls]) for m in dialog.messages]
        text = json.dumps([sorted(tool.name for tool in dialog.tools), turns], sort_keys=True, default=str)
        spoken = [m.content for m in dialog.messages if m.role == "user"]
        made = [json.dumps(call.to_json(), default=str) for m in dialog.messages for call in m.calls]
        words = " ".join([*spoken, *made]).lower().encode("utf-8", "surrogatepass").split()
        pairs = {crc32(b" ".join(pair)) for pair in pairwise(words)} or {crc32(word) for word in words}
        exact = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return cls(dialog.id, exact, array("I", sorted(pairs)))


def judge_duplicates(fingerprints: Iterable[Fingerprint], near: float = NEAR) -> Iterator[Verdict]:
    """A verdict for each fingerprint, in order: of dialogs that are alike the first is kept.

    Args:
        fingerprints: read once, in full, before the first verdict.
        near: Jaccard similarity of word pairs from which two dialogs are near-duplicates; 1 finds exact ones only.
    """
    known = list(fingerprints)
    seen: dict[bytes, str] = {}
    index: Any = SimilarityIndex(near, (_elements(fingerprint) for fingerprint in known)) if near < 1 else None
    for fingerprint in known:
        if fingerprint.exact in seen:
            yield Verdict.reject("duplicate.exact", f"the same as {seen[fingerprint.exact]}")
            continue
        seen[fingerprint.exact] = fingerprint.id
        pairs = frozenset(fingerprint.pairs) if index is not None else frozenset()
        found = index.find(pairs) if pairs else None
        if found is not None:
            yield Verdict.reject("duplicate.near", f"{found[1]:.2f} similar to {found[0]}")
            continue
        if index is not None:
            index.add(fingerprint.id, pairs)
        yield KEPT


def _elements(fingerprint: Fingerprint) -> Any:
    """The index takes sets of anything that has an order."""
    return fingerprint.pairs
