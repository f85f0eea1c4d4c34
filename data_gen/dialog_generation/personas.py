"""Who users are, how they write, and how far their words are from an API's description: `personas.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def _book() -> Mapping[str, Any]:
    book: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("personas.yaml").read_text(encoding="utf-8"))
    return book


def people() -> Sequence[str]:
    """Who a user may be ("a nurse at the end of a night shift")."""
    return list(_book()["people"])


def manners() -> Sequence[str]:
    """How a user may write ("short and to the point, no greeting")."""
    return list(_book()["manners"])


def topics() -> Sequence[str]:
    """What a user who needs no tool may talk about."""
    return list(_book()["chat"])


def wording(level: int) -> str:
    """How to word a request at a level of self-guidance; levels beyond two are like two."""
    return str(_book()["wording"][max(-2, min(2, level))])
