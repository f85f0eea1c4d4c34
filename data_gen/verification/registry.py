"""Rule, and the decorator that puts one into the registry: a rule is a small function over one Dialog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from toolace.dialogs import Dialog

# The four aspects of the paper's Table 4 (Appendix B).
CLARITY = "API definition clarity"
EXECUTABILITY = "function-calling executability"
CORRECTNESS = "dialog correctness"
CONSISTENCY = "data-sample consistency"

# What a rule found: the evidence, and where in the dialog.
Finding = tuple[str, str]
Judge = Callable[[Dialog], Iterator[Finding]]


@dataclass(frozen=True)
class Rule:
    """One check of the rule layer.

    Attributes:
        id: `<subject>.<property>`, as it stands in verdicts.
        aspect: the aspect of the paper's Table 4 it belongs to.
        says: what must hold, from the function's docstring.
        findings: yields every violation; nothing when the dialog is fine. Never raises.
    """

    id: str
    aspect: str
    says: str
    findings: Judge


REGISTRY: dict[str, Rule] = {}


def rule(id_: str, aspect: str) -> Callable[[Judge], Judge]:
    """Registers the decorated function under an id."""

    def register(findings: Judge) -> Judge:
        if id_ in REGISTRY:
            raise ValueError(f"two rules are called {id_}")
        REGISTRY[id_] = Rule(id_, aspect, (findings.__doc__ or "").strip(), findings)
        return findings

    return register
