"""Which services of a corpus to read: where it is installed, what kinds of services there are, and a sample."""

from __future__ import annotations

import difflib
import hashlib
import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import yaml

from toolace import InputError

OTHER = "Cloud operations"
# Which of a service's operations to read: (publisher, title, number of operations) -> their places, in order.
Draw = Callable[[str, str, int], Sequence[int]]


def every(publisher: str, title: str, count: int) -> Sequence[int]:
    """All operations of a service."""
    return range(count)


@cache
def _kinds() -> tuple[tuple[str, re.Pattern[str]], ...]:
    table = yaml.safe_load((Path(__file__).parent / "services.yaml").read_text(encoding="utf-8"))
    return tuple((entry["domain"], re.compile("|".join(entry["names"]))) for entry in table["kinds"])


def kind_of(service: str) -> str:
    """The primary domain of a service, from its short name."""
    return next((kind for kind, pattern in _kinds() if pattern.search(service)), OTHER)


def is_dotted(service: str) -> bool:
    """Whether a service's operations are named `service.operation`: half of the services, always the same."""
    return hashlib.sha256(service.encode()).digest()[0] % 2 == 0


def package_folder(module: str, inside: str, package: str) -> tuple[Path, str]:
    """(folder inside an installed package, its version), without importing it.

    Raises:
        InputError: the package is not installed.
    """
    spec = find_spec(module)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / inside
        if folder.is_dir():
            return folder, version(package)
    fix = f"It comes with toolace; install it again: pip install {package}."
    raise InputError(f"the package {package} is not installed, so its API documents cannot be read", fix=fix)


def choose(known: Sequence[str], services: Sequence[str] | int | None, seed: int, corpus: str) -> list[str]:
    """The services to read, in alphabetical order.

    Args:
        known: all services of the corpus.
        services: names; or how many, drawn so that as many kinds as possible take part; or None for all.
        seed: decides the draw.
        corpus: its name, for errors.

    Raises:
        InputError: a name that the corpus does not have.
    """
    if services is None:
        return sorted(known)
    if isinstance(services, int):
        if services < 0:
            raise InputError(f"{services} services of {corpus} are asked for", fix="Give a count of 0 or more.")
        return sorted(_sample(sorted(known), services, random.Random(f"{corpus} {seed}")))
    for name in services:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise InputError(
                f"{corpus} has no service {name!r}", fix=f"Did you mean {near[0]!r}?" if near else "Check the name."
            )
    return sorted(set(services))


def _sample(known: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """Takes one service of each kind in turn, kinds and services in drawn order."""
    by_kind: dict[str, list[str]] = {}
    for service in known:
        by_kind.setdefault(kind_of(service), []).append(service)
    kinds = sorted(by_kind)
    rng.shuffle(kinds)
    for kind in kinds:
        rng.shuffle(by_kind[kind])
    chosen: list[str] = []
    while len(chosen) < min(count, len(known)):
        for kind in kinds:
            if by_kind[kind] and len(chosen) < count:
                chosen.append(by_kind[kind].pop())
    return chosen
