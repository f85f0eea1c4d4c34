"""Ledger: how many dialogs each rule let pass, by type and by source, as JSON, a table and a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from data_gen.verification.rules import RULES
from toolace import InputError
from toolace.rows import read_json, sha256, write_json, write_text

# Rules run in order and the first that fails decides: a rule has seen what no rule before it has rejected.
_BEFORE = ("row.readable", "review.rejected")

Key = tuple[str, str, str]


class Ledger:
    """Counts of a verification.

    Args:
        tally: rows by (dialog type, source, rule that rejected them; "" when kept).
        cost: what rejected rows had cost, by (rule, unit), as far as the rows say.

    Attributes:
        verified: SHA-256 of the `verified.jsonl` beside which it was written; "" when there was none. It tells a
            ledger of other rows from the right one.
    """

    def __init__(self, tally: Mapping[Key, int], cost: Mapping[tuple[str, str], float] | None = None) -> None:
        self.tally = Counter(dict(tally))
        self.cost = dict(cost or {})
        self.total = sum(tally.values())
        self.verified = ""

    def __add__(self, other: Ledger) -> Ledger:
        cost = dict(self.cost)
        for key, amount in other.cost.items():
            cost[key] = cost.get(key, 0.0) + amount
        return Ledger(self.tally + other.tally, cost)

    def counts(self) -> Counter[str]:
        """Rows by rule; "" for kept ones."""
        return self._by(2)

    def _by(self, part: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for key, count in self.tally.items():
            found[key[part]] += count
        return found

    def moved(self, rejected: Mapping[tuple[str, str], int], rule: str) -> Ledger:
        """The ledger after kept rows of these (type, source) were rejected by a later rule, such as decontamination.

        Raises:
            InputError: more rows than were kept: the ledger is of other rows.
        """
        tally = Counter(self.tally)
        for (kind, source), count in rejected.items():
            known = tally[(kind, source, "")]
            if known < count:
                what = f"{count} rows of type {kind!r} from {source!r} are to be rejected, the ledger knows of {known}"
                raise InputError(f"the ledger is not of these rows ({what})", fix="Run `toolace verify` again.")
            tally[(kind, source, "")] -= count
            tally[(kind, source, rule)] += count
        return Ledger({key: count for key, count in tally.items() if count}, self.cost)

    def rates(self) -> list[dict[str, Any]]:
        """For each rule in order: rows it saw, rows it rejected, pass rate in percent."""
        counts = self.counts()
        order = [*_BEFORE, *RULES]
        order += sorted(rule for rule in counts if rule and rule not in order)
        left, found = self.total, []
        for rule in order:
            if rule in RULES or counts[rule]:
                found.append(
                    {"rule": rule, "seen": left, "rejected": counts[rule], "passed": _rate(counts[rule], left)}
                )
            left -= counts[rule]
        return found

    def groups(self, part: int) -> list[dict[str, Any]]:
        """For each dialog type (part 0) or source (part 1): rows in, kept, pass rate in percent."""
        total = self._by(part)
        kept: Counter[str] = Counter()
        for key, count in self.tally.items():
            kept[key[part]] += count if not key[2] else 0
        return [
            {
                "name": name,
                "in": total[name],
                "kept": kept[name],
                "passed": _rate(total[name] - kept[name], total[name]),
            }
            for name in sorted(total)
        ]

    def to_json(self) -> dict[str, Any]:
        """`{"in", "kept", "rules", "types", "sources", "cells", "cost", "verified_sha256"}`."""
        cells = [
            {"type": kind, "source": source, "rule": rule, "rows": count}
            for (kind, source, rule), count in sorted(self.tally.items())
        ]
        cost = [{"rule": rule, "unit": unit, "amount": amount} for (rule, unit), amount in sorted(self.cost.items())]
        return {
            "in": self.total,
            "kept": self.counts()[""],
            "rules": self.rates(),
            "types": self.groups(0),
            "sources": self.groups(1),
            "cells": cells,
            "cost": cost,
            "verified_sha256": self.verified,
        }

    def markdown(self) -> str:
        """The tables of `ledger.md`."""
        kept = self.counts()[""]
        lines = [
            "# Verification ledger",
            "",
            f"{self.total} rows in, {kept} kept ({100 - _lost(self.total - kept, self.total):.2f} %).",
            "Rules run in this order; a rule sees what no rule before it rejected.",
            "",
            "| rule | seen | rejected | pass rate % |",
            "| --- | ---: | ---: | ---: |",
        ]
        lines += [f"| {r['rule']} | {r['seen']} | {r['rejected']} | {r['passed']:.2f} |" for r in self.rates()]
        for title, part in (("type", 0), ("source", 1)):
            lines += ["", f"| {title} | in | kept | pass rate % |", "| --- | ---: | ---: | ---: |"]
            lines += [
                f"| {g['name'] or 'unknown'} | {g['in']} | {g['kept']} | {g['passed']:.2f} |" for g in self.groups(part)
            ]
        if self.cost:
            lines += ["", "| rejected by | cost |", "| --- | --- |"]
            lines += [f"| {rule} | {amount:g} {unit} |" for (rule, unit), amount in sorted(self.cost.items())]
        return "\n".join(lines) + "\n"

    def svg(self) -> str:
        """A picture: for each rule that rejected something a bar of what it rejected, on a scale of percent."""
        return _bars([(rate["rule"], 100.0 - rate["passed"]) for rate in self.rates() if rate["rejected"]], self)

    def write(self, folder: str | Path) -> None:
        """Writes `ledger.json`, `ledger.md` and `ledger.svg`; to be done when `verified.jsonl` is there."""
        folder = Path(folder)
        self.verified = sha256(folder / "verified.jsonl") if (folder / "verified.jsonl").is_file() else ""
        write_json(folder / "ledger.json", self.to_json())
        write_text(folder / "ledger.md", self.markdown())
        write_text(folder / "ledger.svg", self.svg())

    @classmethod
    def read(cls, folder: str | Path) -> Ledger:
        """The ledger that `write` left in a folder.

        Raises:
            InputError: there is none, or it is broken.
        """
        path = Path(folder) / "ledger.json"
        row = read_json(path)
        try:
            tally = {(cell["type"], cell["source"], cell["rule"]): int(cell["rows"]) for cell in row["cells"]}
            cost = {(item["rule"], item["unit"]): float(item["amount"]) for item in row["cost"]}
        except (KeyError, TypeError, ValueError):
            raise InputError("is no ledger", where=path, fix="Run `toolace verify` again.") from None
        ledger = cls(tally, cost)
        ledger.verified = str(row.get("verified_sha256") or "")
        return ledger


def _lost(rejected: int, seen: int) -> float:
    return 100 * rejected / seen if seen else 0.0


def _rate(rejected: int, seen: int) -> float:
    return round(100 - _lost(rejected, seen), 4)


_BAR, _LABEL, _WIDTH = 22, 220, 720


def _bars(bars: Iterable[tuple[str, float]], ledger: Ledger) -> str:
    """An SVG of horizontal bars: rule, share of the rows it saw that it rejected."""
    rows = list(bars)
    height = 60 + _BAR * max(len(rows), 1)
    most = max((value for _, value in rows), default=0.0) or 1.0
    kept = ledger.counts()[""]
    title = f"{kept} of {ledger.total} rows kept; rejected by rule, % of the rows it saw"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{escape(title, quote=True)}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" fill="#1c2733">{escape(title)}</text>',
    ]
    for i, (name, value) in enumerate(rows):
        y = 44 + i * _BAR
        width = round((_WIDTH - _LABEL - 80) * value / most, 1)
        parts += [
            f'<text x="{_LABEL - 8}" y="{y + 13}" text-anchor="end" fill="#1c2733">{escape(name)}</text>',
            f'<rect x="{_LABEL}" y="{y}" width="{max(width, 1)}" height="{_BAR - 6}" rx="2" fill="#2f6f9f"/>',
            f'<text x="{_LABEL + max(width, 1) + 6}" y="{y + 13}" fill="#1c2733">{value:.2f}</text>',
        ]
    if not rows:
        parts.append('<text x="12" y="56" fill="#1c2733">Nothing was rejected.</text>')
    return "\n".join([*parts, "</svg>", ""])
