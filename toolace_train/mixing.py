"""Which rows of each source are taken: all, a number, or as many as its weight asks for. Seeded, no row twice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

from toolace.errors import InputError
from toolace_train.settings import DataSource


def check_amounts(sources: Sequence[DataSource]) -> None:
    """Refuses entries that say two things, or nothing that can be drawn.

    Raises:
        InputError: names the entry.
    """
    for source in sources:
        where = f"data.files ({source.path})"
        if source.weight is not None and source.rows is not None:
            raise InputError("has both weight and rows", where=where, fix="Give one of them.")
        if source.weight is not None and not 0 < source.weight < float("inf"):
            raise InputError(f"weight is {source.weight:g}", where=where, fix="Give a number above 0.")
        if source.rows is not None and source.rows < 1:
            raise InputError(f"rows is {source.rows}", where=where, fix="Give a whole number of at least 1.")


def amounts(sources: Sequence[DataSource], available: Sequence[int]) -> list[int]:
    """How many rows of each source are taken.

    Weighted sources share the largest total in which none needs more rows than it has: weights 3 and 1 over sources of
    900 and 1,000 rows give 900 and 300.

    Raises:
        InputError: a source has fewer rows than the entry wants.
    """
    taken = []
    # Exact fractions: with floats 0.1 + 0.2 shares a row less than 0.3 does.
    weights = [Fraction(str(source.weight)) for source in sources if source.weight is not None]
    whole = sum(weights, Fraction(0))
    total = min(
        (
            Fraction(count) * whole / Fraction(str(source.weight))
            for source, count in zip(sources, available, strict=True)
            if source.weight is not None
        ),
        default=Fraction(0),
    )
    for source, count in zip(sources, available, strict=True):
        if source.weight is not None:
            taken.append(int(total * Fraction(str(source.weight)) / whole))
        elif source.rows is None:
            taken.append(count)
        elif source.rows <= count:
            taken.append(source.rows)
        else:
            where = f"data.files ({source.path})"
            raise InputError(f"wants {source.rows} rows of {count}", where=where, fix="Lower rows, or leave it out.")
    return taken


def drawn(source: DataSource, place: int, count: int, taken: int, seed: int) -> set[int] | None:
    """Numbers of the rows that are taken, from 0; None for all. The same source, place and seed give the same rows."""
    if taken == count:
        return None
    return set(random.Random(f"{seed} {place} {source.path} {source.split}").sample(range(count), taken))
