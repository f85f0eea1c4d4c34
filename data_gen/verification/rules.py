"""The rule layer of dual-layer verification (paper, Section 2.3 and Table 4), and running it on a dialog."""

from __future__ import annotations

from data_gen.verification import (  # noqa: F401  (importing a module registers its rules)
    call_rules,
    consistency_rules,
    dialog_rules,
    exchange_rules,
    grounding,
    prompt_rules,
    refusal_rules,
    text_rules,
    tool_rules,
)
from data_gen.verification.patterns import one_row
from data_gen.verification.registry import REGISTRY, Rule
from data_gen.verification.verdict import KEPT, Verdict
from toolace.dialogs import Dialog

# Cheap first, and structure before content: a later rule may assume what an earlier one has checked, but never crashes
# when it does not hold.
ORDER = (
    "dialog.fields",
    "dialog.role_order",
    "dialog.length",
    "dialog.type",
    "dialog.characters",
    "dialog.placeholders",
    "dialog.repetition",
    "dialog.complete",
    "dialog.prompt_kept",
    "tool.fields",
    "tool.unique_names",
    "tool.described",
    "tool.schema",
    "call.readable",
    "call.name_in_list",
    "call.required_given",
    "call.no_unknown_parameter",
    "call.repeated",
    "call.schema",
    "result.count",
    "result.name",
    "result.order",
    "result.schema",
    "refusal.has_reason",
    "refusal.needed",
    "grounding.value",
    "grounding.dependent",
    "grounding.exchanged",
)
RULES: dict[str, Rule] = {id_: REGISTRY[id_] for id_ in ORDER}
_FINDINGS = tuple((rule.id, rule.findings) for rule in RULES.values())


def check(dialog: Dialog) -> Verdict:
    """Runs the rules cheap-first and stops at the first failure; never raises on any dialog."""
    with one_row():
        for id_, findings in _FINDINGS:
            for evidence, where in findings(dialog):
                return Verdict.reject(id_, evidence, where)
    return KEPT


def check_all(dialog: Dialog) -> list[Verdict]:
    """Every violation of every rule, in the order of RULES; empty when the dialog is kept."""
    with one_row():
        found = [(rule.id, *finding) for rule in RULES.values() for finding in rule.findings(dialog)]
    return [Verdict.reject(*each) for each in found]
