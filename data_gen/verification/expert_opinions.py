"""What experts said: opinions on single dialogs, written down one by one, and what came of all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.verification.judging import source
from data_gen.verification.moving import Moving
from data_gen.verification.verdict import Verdict
from toolace import Dialog
from toolace.rows import Row, RowLog, dumps

# our choice: a server that is down says the same of every dialog; the first words tell kinds of failure apart.
_REASON = 160


@dataclass(frozen=True)
class Opinion:
    """What one expert said of one dialog.

    Attributes:
        expert: its id.
        votes: "pass" or "fail", as many as the model gave; empty when it could not be heard.
        evidence, where: of the first vote of the majority.
        error: why it could not be heard; "" when it was.
        unreached: whether the server, not the model, is why; the other experts are not asked then.
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
    unreached: bool = False

    @property
    def failed(self) -> bool:
        """Whether more than half of the votes are against the dialog."""
        return 2 * self.votes.count("fail") > len(self.votes)

    @property
    def split(self) -> bool:
        """Whether the votes disagree."""
        return len(set(self.votes)) > 1

    def to_json(self, id_: str, digest: str) -> Row:
        """A row of `opinions.jsonl`."""
        return {
            "id": id_,
            "digest": digest,
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
        verdict: None when an expert could not be heard and none failed the dialog.
        opinions: in the order asked.
    """

    verdict: Verdict | None
    opinions: list[Opinion]

    @property
    def cost(self) -> dict[str, int]:
        """Questions and tokens."""
        return {"expert_calls": len(self.opinions), "expert_tokens": sum(opinion.tokens for opinion in self.opinions)}

    @property
    def problem(self) -> str:
        """Why the dialog is undecided, as far as opinions say."""
        return next((f"{o.expert}: {o.error}" for o in self.opinions if o.error), "not asked")


class OpinionLog:
    """`opinions.jsonl`: every opinion is on the disk as soon as it is there, whatever becomes of the run.

    A later run adds what it hears that is not there yet; of lines about the same dialog and expert the last counts.
    """

    def __init__(self, folder: Path) -> None:
        self._log = RowLog(folder / "opinions.jsonl", key="id")
        self._known = {dumps(row) for row in self._log.rows}
        self._log.rows.clear()
        self.asked: Counter[str] = Counter()
        self.unheard: Counter[str] = Counter()
        self.several: Counter[str] = Counter()
        self.split: Counter[str] = Counter()
        self.tokens = 0

    def add(self, opinion: Opinion, id_: str, digest: str) -> None:
        """Writes an opinion down and counts it."""
        self.tokens += opinion.tokens
        self.asked[opinion.expert] += 1
        self.unheard[opinion.expert] += not opinion.votes
        self.several[opinion.expert] += len(opinion.votes) > 1
        self.split[opinion.expert] += opinion.split
        row = opinion.to_json(id_, digest)
        line = dumps(row)
        if line not in self._known:
            self._known.add(line)
            self._log.append([row])

    def close(self) -> None:
        """Closes the file."""
        self._log.close()

    def to_json(self) -> dict[str, Any]:
        """`asked`, `unheard`, `disagreement` and `tokens` of the counts."""
        return {
            "asked": dict(sorted(self.asked.items())),
            "unheard": {name: count for name, count in sorted(self.unheard.items()) if count},
            "disagreement": {
                name: round(self.split[name] / count, 4) for name, count in sorted(self.several.items()) if count
            },
            "tokens": self.tokens,
        }


class Results:
    """What came of the dialogs, sorted into the new files of the folder as they come.

    Args:
        moving: the new files.
    """

    def __init__(self, moving: Moving) -> None:
        self.moving = moving
        self.kept = self.rejected = self.undecided = 0
        self.rules: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        moving.begin("undecided.jsonl")

    def add(self, row: Row, dialog: Dialog, judgement: Judgement | None, error: str) -> None:
        """Sorts a dialog in; without a verdict it is undecided."""
        verdict = judgement.verdict if judgement else None
        if judgement is None or verdict is None:
            why = error or (judgement.problem if judgement else "not asked")
            self.moving.write("undecided.jsonl", dumps({**row, "undecided": why}) + "\n")
            self.undecided += 1
            self.reasons[why[:_REASON]] += 1
        elif verdict.kept:
            self.moving.keep(dumps(row) + "\n")
            self.kept += 1
        else:
            line = dumps({**row, "verdict": verdict.to_json(), "cost": judgement.cost}) + "\n"
            self.moving.reject(line, (dialog.type, source(dialog), verdict.rule))
            self.rejected += 1
            self.rules[verdict.rule] += 1
            for unit, amount in judgement.cost.items():
                self.moving.cost[(verdict.rule, unit)] += amount

    def to_json(self) -> dict[str, Any]:
        """`in`, `kept`, `rejected`, `undecided`, `rules` and `reasons` of the counts."""
        return {
            "in": self.kept + self.rejected + self.undecided,
            "kept": self.kept,
            "rejected": self.rejected,
            "undecided": self.undecided,
            "rules": dict(sorted(self.rules.items())),
            "reasons": dict(self.reasons.most_common(10)),
        }
