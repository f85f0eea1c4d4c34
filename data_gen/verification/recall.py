"""Recall of the verifier, measured: seeded faults in clean dialogs, and what share of each kind is caught."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from data_gen.verification import (  # noqa: F401  (importing registers their faults)
    alternative_faults,
    dialog_faults,
    exchange_faults,
    grounding_faults,
)
from data_gen.verification.faults import FAULTS, Fault, Row
from data_gen.verification.rules import check
from toolace import Dialog, InputError


@dataclass
class Recall:
    """How one kind of fault fared.

    Attributes:
        fault, group: see `faults.Fault`.
        injected, caught: dialogs.
        rules: how often each rule was the one that caught it.
        missed: ids of dialogs in which it passed, at most ten.
    """

    fault: str
    group: str
    injected: int = 0
    caught: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Caught of injected, 0 to 1; 1 when nothing could be injected."""
        return self.caught / self.injected if self.injected else 1.0


def clean(dialogs: Iterable[Dialog]) -> list[Dialog]:
    """The dialogs that the rules keep: faults are injected into these."""
    return [dialog for dialog in dialogs if check(dialog).kept]


def measure(dialogs: Sequence[Dialog], seed: int = 0, faults: Iterable[str] = FAULTS) -> list[Recall]:
    """Injects each fault into each dialog that has a place for it, and checks the result.

    A row that is no dialog any more (an argument list of the wrong type) counts as caught by `row.readable`.
    """
    rows = [dialog.to_json() for dialog in dialogs]
    return [_measure(FAULTS[name], rows, seed) for name in faults]


def _measure(kind: Fault, rows: Sequence[Row], seed: int) -> Recall:
    result = Recall(kind.id, kind.group)
    for row in rows:
        changed = kind.into(row, random.Random(f"{seed}/{kind.id}/{row['id']}"))
        if changed is None:
            continue
        result.injected += 1
        try:
            rule = check(Dialog.from_json(changed)).rule
        except InputError:
            rule = "row.readable"
        if rule:
            result.caught += 1
            result.rules[rule] += 1
        elif len(result.missed) < 10:
            result.missed.append(str(row["id"]))
    return result


def table(results: Iterable[Recall]) -> str:
    """A Markdown table: kind, group, dialogs it was injected into, recall, the rules that caught it."""
    lines = ["| fault | group | injected | recall | caught by |", "| --- | --- | ---: | ---: | --- |"]
    for result in results:
        rules = ", ".join(f"{rule} {count}" for rule, count in result.rules.most_common(3))
        name = result.fault.replace("_", " ")
        lines.append(f"| {name} | {result.group} | {result.injected} | {result.share:.3f} | {rules} |")
    return "\n".join(lines)
