"""Other names of short values: currency signs and codes, countries, languages, units (the table is aliases.yaml)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from data_gen.verification.heard import Heard


@cache
def _table() -> dict[str, dict[str, list[Any]]]:
    loaded: dict[str, dict[str, list[Any]]] = yaml.safe_load(
        (Path(__file__).parent / "aliases.yaml").read_text(encoding="utf-8")
    )
    return loaded


def constants() -> dict[str, list[float]]:
    """Numbers that a word stands for: 52 for a deck."""
    return _table()["constants"]


@cache
def _aliases() -> tuple[dict[str, list[str]], dict[str, tuple[str, ...]]]:
    raw = _table()
    signs: dict[str, list[str]] = {}
    for sign, names in raw["signs"].items():
        for name in names:
            signs.setdefault(name, []).append(sign)
    return signs, {str(word): tuple(f" {other} " for other in others) for word, others in raw["words"].items()}


def alias_said(words: str, said: Sequence[Heard]) -> bool:
    """Whether a value, in normalised words, was said by a sign or another name that the table gives for it."""
    signs, others = _aliases()
    if any(sign in heard.lower for sign in signs.get(words, ()) for heard in said):
        return True
    return any(other in heard.words for other in others.get(words, ()) for heard in said)
