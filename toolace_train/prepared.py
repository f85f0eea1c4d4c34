"""Rows ready to be trained on, and the file that keeps them: a run is tokenised once.

The file is written beside its final place and renamed, so that a killed process leaves the old one or none; its key
says which rows, settings, tokenizer and code it was made of.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.rows import dumps
from toolace.runs import code_digest, versions
from toolace_train.rendering import IGNORED, DialogRenderer, Rendered

# Files of this package that decide what a row becomes; the rest may change without a row being tokenised again.
_CODE = (
    "data.py",
    "mentions.py",
    "mixing.py",
    "native.py",
    "over_length.py",
    "prepared.py",
    "rendering.py",
    "sources.py",
)


@dataclass
class SourceCount:
    """What became of the rows of one entry of `data.files`."""

    name: str
    read: int = 0
    drawn: int = 0
    kept: int = 0


@dataclass
class PreparedRows:
    """What the rows of a recipe become.

    Attributes:
        rendered: sequences of the kept rows; usually one a row.
        kept: rows in them.
        sources: counts of each entry.
        rejected: the other rows, each with `source` and `verdict` {rule, evidence, where}.
        shortened, removed: rows that fit because tools were removed, and how many tools.
        cut: tokens of the rows that were too long.
    """

    rendered: list[Rendered] = field(default_factory=list)
    kept: int = 0
    sources: list[SourceCount] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    shortened: int = 0
    removed: int = 0
    cut: int = 0


def key_of(renderer: DialogRenderer, seed: int, digests: Sequence[str]) -> str:
    """A fingerprint of everything that decides what the rows become."""
    inner, settings = renderer.renderer, asdict(renderer.settings)
    settings.pop("global_batch_size")
    tokenizer = inner.tokenizer
    facts = {
        "settings": settings,
        "template": inner.template or tokenizer.chat_template,
        "values": inner.values,
        "tokenizer": hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        "special": tokenizer.special_tokens_map,
        "rows": list(digests),
        "seed": seed,
        "code": [code_digest("toolace"), *map(_digest, _CODE)],
        "versions": versions(("transformers", "tokenizers", "jinja2")),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _digest(name: str) -> str:
    return hashlib.sha256((Path(__file__).parent / name).read_bytes()).hexdigest()


def write_prepared(path: Path, rows: PreparedRows, key: str) -> None:
    """Writes the rows, whole or not at all.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    import numpy as np

    lengths = np.array([len(row.input_ids) for row in rows.rendered], dtype=np.int64)
    ids = np.fromiter((i for row in rows.rendered for i in row.input_ids), dtype=np.int32, count=int(lengths.sum()))
    trained = np.fromiter(
        (label != IGNORED for row in rows.rendered for label in row.labels), dtype=bool, count=len(ids)
    )
    prefixes = list(dict.fromkeys(row.prefix for row in rows.rendered))
    place = {prefix: i for i, prefix in enumerate(prefixes)}
    facts = {
        **{name: getattr(rows, name) for name in ("kept", "rejected", "shortened", "removed", "cut")},
        "key": key,
        "sources": [asdict(source) for source in rows.sources],
        "prefixes": prefixes,
        "prefix": [place[row.prefix] for row in rows.rendered],
        "source": [row.source for row in rows.rendered],
        "row": [row.row for row in rows.rendered],
    }
    text = np.frombuffer(dumps(facts).encode("utf-8"), dtype=np.uint8)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, facts=text, lengths=lengths, ids=ids, trained=np.packbits(trained))
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        fix = "Choose a folder you may write to, with space left."
        raise InputError(f"cannot be written ({error.strerror})", where=path, fix=fix) from None
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_prepared(path: Path, key: str) -> PreparedRows | None:
    """The rows, or None when the file is not there, of other rows or settings, or damaged."""
    import numpy as np

    try:
        with np.load(path) as file:
            facts = json.loads(file["facts"].tobytes())
            if facts["key"] != key:
                return None
            lengths, ids = file["lengths"], file["ids"].tolist()
            trained = np.unpackbits(file["trained"], count=len(ids)).tolist()
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error):
        return None  # whatever a torn or foreign file makes numpy say
    rendered, start = [], 0
    row_numbers = facts.get("row") or range(len(lengths))  # kept before rows were numbered: one sequence a row
    for number, length in enumerate(lengths.tolist()):
        own, end = ids[start : start + length], start + length
        labels = [token if on else IGNORED for token, on in zip(own, trained[start:end], strict=True)]
        source, prefix = facts["source"][number], facts["prefixes"][facts["prefix"][number]]
        rendered.append(Rendered(own, labels, source, prefix, row_numbers[number]))
        start = end
    sources = [SourceCount(**source) for source in facts["sources"]]
    counts = {name: facts[name] for name in ("kept", "rejected", "shortened", "removed", "cut")}
    return PreparedRows(rendered=rendered, sources=sources, **counts)
