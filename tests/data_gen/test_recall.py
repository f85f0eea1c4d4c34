from __future__ import annotations

import random
from collections import Counter
from functools import cache

import pytest
from pools import everyday_pool

from data_gen.dialog_generation.generation import DialogSettings, generate
from data_gen.verification.faults import FAULTS, GROUNDING, PARTIAL, STRUCTURAL
from data_gen.verification.recall import clean, measure, table
from data_gen.verification.rules import RULES, check
from toolace import Dialog

SETTINGS = {"results": 0.7, "system_prompts": {"bfcl_v4": 2, "default": 1, "plain": 1, "short": 1}}

# Where an answer was cut cannot be told when what is left could be one ("Done: title", an address).
LEAST = {"answer_cut_anywhere": 0.95}


@cache
def made(count: int, seed: int) -> tuple[Dialog, ...]:
    return tuple(generate(everyday_pool()[0], DialogSettings(count=count, **SETTINGS), seed))


def shortfalls(count: int, least: int) -> list[str]:
    results = measure(clean(made(count, 71)), seed=7)
    wanted = {STRUCTURAL: 0.99, GROUNDING: 0.90, PARTIAL: 0.25}
    counted = [result for result in results if result.injected >= least]
    assert len(counted) >= 40
    return [f"{r.fault} {r.share:.3f} {r.missed}" for r in counted if r.share < LEAST.get(r.fault, wanted[r.group])]


def test_faults_of_every_kind_are_caught() -> None:
    assert shortfalls(250, 20) == []


@pytest.mark.slow
def test_faults_of_every_kind_in_a_thousand_dialogs_are_caught() -> None:
    assert shortfalls(1000, 50) == []


def test_fresh_clean_dialogs_are_kept() -> None:
    dialogs = made(600, 72)
    rejected = [(dialog.id, check(dialog)) for dialog in dialogs if not check(dialog).kept]
    assert len(rejected) < 0.005 * len(dialogs), rejected


def test_a_fault_changes_a_copy_and_the_same_seed_makes_the_same_fault() -> None:
    row = made(250, 71)[3].to_json()
    before = repr(row)
    for fault in FAULTS.values():
        first, second = (fault.into(row, random.Random(5)) for _ in range(2))
        assert first == second and first != row
    assert repr(row) == before


def test_there_are_more_than_25_kinds_and_they_reach_most_rules() -> None:
    assert len(FAULTS) >= 25
    rules = Counter[str]()
    for result in measure(clean(made(250, 71))[:60], seed=3):
        rules.update(result.rules)
    assert len(set(rules) & set(RULES)) >= 20


def test_the_table_has_a_line_for_each_kind() -> None:
    results = measure(clean(made(250, 71))[:5], faults=["wrong_type", "empty_turn"])
    assert [line.split("|")[1].strip() for line in table(results).splitlines()[2:]] == ["wrong type", "empty turn"]
