"""Verdict: what a filter says of a row, with the evidence, so that every rejected row can be argued with."""

from __future__ import annotations

from dataclasses import dataclass

EVIDENCE_LIMIT = 300


@dataclass(frozen=True)
class Verdict:
    """Outcome of a filter.

    Attributes:
        kept: whether the row stays.
        rule: id of the rule that rejects it, such as `call.required_given`; empty when kept.
        evidence: what was found, quoted and short; empty when kept.
        where: the place in the row, such as `messages[2].calls[0].city`; empty when it is the whole row.
    """

    kept: bool
    rule: str = ""
    evidence: str = ""
    where: str = ""

    @classmethod
    def reject(cls, rule: str, evidence: str, where: str = "") -> Verdict:
        """A rejection; evidence beyond 300 characters is cut, and lone surrogates are made printable."""
        plain = evidence.encode("utf-8", "backslashreplace").decode("utf-8")
        if len(plain) > EVIDENCE_LIMIT:
            plain = plain[: EVIDENCE_LIMIT - 3] + "..."
        return cls(False, rule, plain, where.encode("utf-8", "backslashreplace").decode("utf-8")[:EVIDENCE_LIMIT])

    def to_json(self) -> dict[str, str]:
        """The `verdict` of a row in `rejected.jsonl`."""
        return {"rule": self.rule, "evidence": self.evidence, "where": self.where}


KEPT = Verdict(True)


def quoted(value: object) -> str:
    """A value as evidence shows it; its type when it is too large or too deep to be written."""
    try:
        return repr(value)[:EVIDENCE_LIMIT]
    except (ValueError, RecursionError):  # more digits than Python writes, or more levels
        return f"a {type(value).__name__} too large to show"
