"""What experts said: opinions on single dialogs, and the files that a run of the model layer leaves behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.verification.judging import source
from data_gen.verification.ledger import Ledger
from data_gen.verification.verdict import Verdict
from toolace import Dialog
from toolace.chat import Usage
from toolace.rows import Row, dumps, write_rows, write_text


@dataclass(frozen=True)
class Opinion:
    """What one expert said of one dialog.

    Attributes:
        expert: its id.
        votes: "pass" or "fail", as many as the model gave; empty when it could not be heard.
        evidence, where: of the first vote of the majority.
        error: why it could not be heard; "" when it was.
        tokens: what the answers cost.
        asked_again: how often an unusable answer was asked for again.
    """

    expert: str
    votes: tuple[str, ...]
    evidence: str = ""
    where: str = ""
    error: str = ""
    tokens: int = 0
    asked_again: int = 0

    @property
    def failed(self) -> bool:
        """Whether more than half of the votes are against the dialog."""
        return 2 * self.votes.count("fail") > len(self.votes)

    @property
    def split(self) -> bool:
        """Whether the votes disagree."""
        return len(set(self.votes)) > 1

    def to_json(self, id_: str) -> Row:
        """A row of `opinions.jsonl`."""
        return {
            "id": id_,
            "expert": self.expert,
            "votes": list(self.votes),
            "evidence": self.evidence,
            "where": self.where,
            "error": self.error,
            "tokens": self.tokens,
        }


@dataclass
class Judgement:
    """What the experts said of a dialog.

    Attributes:
        verdict: None when an expert could not be heard before any other failed the dialog.
        opinions: in the order asked.
    """

    verdict: Verdict | None
    opinions: list[Opinion]

    @property
    def cost(self) -> dict[str, int]:
        """Questions and tokens."""
        return {"expert_calls": len(self.opinions), "expert_tokens": sum(opinion.tokens for opinion in self.opinions)}


class Results:
    """What came of the dialogs, in order."""

    def __init__(self) -> None:
        self.kept: list[Row] = []
        self.rejected: list[Row] = []
        self.undecided: list[Row] = []
        self.opinions: list[Row] = []
        self.rules: Counter[str] = Counter()
        self.moved: Counter[tuple[str, str, str]] = Counter()
        self.cost: Counter[tuple[str, str]] = Counter()
        self.asked: Counter[str] = Counter()
        self.unheard: Counter[str] = Counter()
        self.several: Counter[str] = Counter()
        self.split: Counter[str] = Counter()
        self.usage = Usage()

    def add(self, row: Row, dialog: Dialog, judgement: Judgement | None, error: str) -> None:
        """Sorts a dialog in; without a judgement it is undecided."""
        for opinion in judgement.opinions if judgement else ():
            self._count(opinion)
            self.opinions.append(opinion.to_json(dialog.id))
        verdict = judgement.verdict if judgement else None
        if judgement is None or verdict is None:
            why = error or next((o.error for o in (judgement.opinions if judgement else ()) if o.error), "not asked")
            self.undecided.append({**row, "undecided": why})
        elif verdict.kept:
            self.kept.append(row)
        else:
            self.rejected.append({**row, "verdict": verdict.to_json(), "cost": judgement.cost})
            self.rules[verdict.rule] += 1
            self.moved[(dialog.type, source(dialog), verdict.rule)] += 1
            for unit, amount in judgement.cost.items():
                self.cost[(verdict.rule, unit)] += amount

    def _count(self, opinion: Opinion) -> None:
        self.usage += Usage(0, opinion.tokens)
        self.asked[opinion.expert] += 1
        self.unheard[opinion.expert] += not opinion.votes
        self.several[opinion.expert] += len(opinion.votes) > 1
        self.split[opinion.expert] += opinion.split


def finish(folder: Path, results: Results, stopped: str) -> dict[str, Any]:
    """Writes the files and the ledger, and returns the counts; see `experts.verify_folder`."""
    total = len(results.kept) + len(results.rejected) + len(results.undecided)
    write_rows(folder / "opinions.jsonl", results.opinions)
    write_rows(folder / "undecided.jsonl", results.undecided)
    rejected = folder / "rejected.jsonl"
    before = rejected.read_text(encoding="utf-8") if rejected.exists() else ""
    write_text(rejected, [before, *(dumps(row) + "\n" for row in results.rejected)])
    write_rows(folder / "verified.jsonl", results.kept)
    if (folder / "ledger.json").exists():
        ledger = Ledger.read(folder)
        for (kind, origin, rule), count in sorted(results.moved.items()):
            ledger = ledger.moved({(kind, origin): count}, rule)
        cost = Counter(ledger.cost)
        cost.update(results.cost)
        Ledger(ledger.tally, cost).write(folder)
    return {
        "in": total,
        "kept": len(results.kept),
        "rejected": len(results.rejected),
        "undecided": len(results.undecided),
        "rules": dict(sorted(results.rules.items())),
        "asked": dict(sorted(results.asked.items())),
        "unheard": {name: count for name, count in sorted(results.unheard.items()) if count},
        "disagreement": {
            name: round(results.split[name] / count, 4) for name, count in sorted(results.several.items()) if count
        },
        "tokens": results.usage.tokens,
        "stopped": stopped,
    }
