from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pools import everyday_pool, mixed_pool

from data_gen.dialog_generation.generation import DialogSettings, generate
from data_gen.verification.rules import check_all
from toolace import Dialog, InputError, Tool, write_dialogs
from toolace.formats import to_toolace
from toolace.rows import sha256, write_rows


def everyday_tools() -> list[Tool]:
    return list(everyday_pool()[0])


def made(settings: DialogSettings, seed: int, tools: list[Tool] | None = None) -> list[Dialog]:
    return list(generate(tools or everyday_tools(), settings, seed))


def test_every_everyday_dialog_passes_every_rule() -> None:
    dialogs = made(DialogSettings(count=1500, everyday_share=1.0), 21)
    failures = [(d.id, verdicts[0].rule, verdicts[0].evidence) for d in dialogs if (verdicts := check_all(d))]
    assert failures == []


def test_nearly_every_dialog_over_a_mixed_pool_passes_every_rule() -> None:
    dialogs = made(DialogSettings(count=1500, everyday_share=0.5), 22, list(mixed_pool()))
    real = sum(not tool.id.startswith("everyday:") for d in dialogs for tool in d.tools)
    assert real > 500
    failures = [(d.id, verdicts[0].rule, verdicts[0].evidence) for d in dialogs if (verdicts := check_all(d))]
    assert len(failures) <= 0.02 * len(dialogs), failures


@pytest.mark.parametrize("count", [1, 7, 100, 333])
def test_the_mix_is_the_declared_one_up_to_rounding(count: int) -> None:
    types = {"single": 5, "parallel": 3, "dependent": 1, "non_tool_use": 2}
    counts = Counter(d.type for d in made(DialogSettings(count=count, types=types), 3))
    assert counts.total() == count
    for kind, weight in types.items():
        assert abs(counts[kind] - count * weight / 11) < 1


def test_a_type_of_weight_zero_never_comes() -> None:
    types = {"single": 1, "parallel": 0, "dependent": 0, "non_tool_use": 0}
    assert {d.type for d in made(DialogSettings(count=120, types=types), 3)} == {"single"}


def test_shares_come_out_as_declared() -> None:
    settings = DialogSettings(count=800, types={"single": 1}, results=0.25, answered=0.2, turns={1: 1}, errors=0.0)
    dialogs = made(settings, 9)
    asked = sum(d.messages[1].role == "assistant" and not d.messages[1].calls for d in dialogs)
    ended = sum(d.messages[-1].calls != () for d in dialogs)
    assert 0.15 < asked / 800 < 0.25
    assert 0.70 < ended / 800 < 0.80


def test_candidates_everyday_share_and_tool_lists() -> None:
    settings = DialogSettings(count=600, candidates={3: 1}, everyday_share=0.5, per_tool_list=1, types={"single": 1})
    dialogs = made(settings, 4, list(mixed_pool()))
    assert {len(d.tools) for d in dialogs} == {3}
    assert all(len({tool.name for tool in d.tools}) == 3 for d in dialogs)
    everyday = sum(d.tools[0].id.startswith("everyday:") for d in dialogs) / 600
    assert 0.42 < everyday < 0.58
    shared = made(replace(settings, per_tool_list=6, count=60), 4)
    lists = [tuple(tool.name for tool in d.tools) for d in shared]
    assert all(len(set(lists[i : i + 6])) == 1 for i in range(0, 60, 6)) and len(set(lists)) == 10


def test_every_tool_is_used_before_one_is_first_twice() -> None:
    count = len(everyday_tools())
    dialogs = made(DialogSettings(count=count, candidates={1: 1}, types={"single": 1}, answered=0.0), 8)
    used = {d.tools[0].name for d in dialogs}
    assert len(used) >= 0.98 * count


def digest(folder: Path, seed: int) -> str:
    path = folder / f"{seed}.jsonl"
    write_dialogs(path, generate(everyday_tools(), DialogSettings(count=150), seed))
    return sha256(path)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    assert digest(tmp_path, 1) == digest(tmp_path, 1)
    assert digest(tmp_path, 1) != digest(tmp_path, 2)


def test_the_bytes_do_not_depend_on_the_hash_seed_of_python(tmp_path: Path) -> None:
    code = (
        "import sys; from data_gen.dialog_generation.generation import *; from toolace import *; "
        "from data_gen.documents import everyday; from data_gen.tool_synthesis.adaptation import to_tool; "
        "tools = [to_tool(d) for d in everyday.read()]; "
        "write_dialogs(sys.argv[1], generate(tools, DialogSettings(count=120), 1))"
    )
    for name in ("0", "77"):
        env = {**os.environ, "PYTHONHASHSEED": name}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True, env=env, capture_output=True)
    assert sha256(tmp_path / "0") == sha256(tmp_path / "77")


def test_ids_are_unique_and_meta_says_where_a_dialog_comes_from() -> None:
    dialogs = made(DialogSettings(count=50, system_prompts={"short": 1, "default": 1}), 12)
    assert len({d.id for d in dialogs}) == 50
    assert all(d.meta["seed"] == 12 and d.meta["player"] == "offline" for d in dialogs)
    assert {d.meta.get("prompt", {}).get("style") for d in dialogs} == {None, "json_lines"}


def test_a_training_row_says_nothing_of_the_type(tmp_path: Path) -> None:
    dialogs = made(DialogSettings(count=200), 5)
    rows = [to_toolace(d) for d in dialogs]
    write_rows(tmp_path / "train.jsonl", rows)
    for dialog, line in zip(dialogs, (tmp_path / "train.jsonl").read_text().splitlines(), strict=True):
        row = json.loads(line)
        assert set(row) == {"system", "conversations"}
        assert all(set(turn) == {"from", "value"} for turn in row["conversations"])
        assert not re.search(r"non_tool_use|\bdependent\b|offline|dialog-\d", line)
        assert dialog.id not in line


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"count": 0}, "generate.dialogs"),
        ({"per_tool_list": 0}, "generate.dialogs"),
        ({"types": {"singel": 1}}, "Did you mean 'single'"),
        ({"types": {}}, "generate.dialogs.types"),
        ({"types": {"single": 0}}, "generate.dialogs.types"),
        ({"types": {"single": 2, "parallel": -1}}, "generate.dialogs.types"),
        ({"types": {"single": float("nan")}}, "generate.dialogs.types"),
        ({"types": {"single": float("inf")}}, "generate.dialogs.types"),
        ({"candidates": {0: 1}}, "generate.dialogs.candidates"),
        ({"turns": {0: 1}}, "generate.dialogs.turns"),
        ({"non_tool_use": {"irelevant": 1}}, "Did you mean 'irrelevant'"),
        ({"system_prompts": {"bfcl": 1}}, "Did you mean 'bfcl_v4'"),
        ({"results": 1.5}, "generate.dialogs.results"),
        ({"everyday_share": -0.1}, "generate.dialogs.everyday_share"),
        ({"optional": float("nan")}, "generate.dialogs.optional"),
    ],
)
def test_a_mix_that_cannot_be_is_bad_input(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError) as error:
        list(generate(everyday_tools(), replace(DialogSettings(count=5), **changes), 1))
    assert place in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["dependent", "non_tool_use"])
def test_a_pool_that_allows_no_dialog_of_a_type_is_bad_input(kind: str) -> None:
    lonely = [tool for tool in everyday_tools() if tool.name == "atlas.locate_place"]
    settings = DialogSettings(count=3, types={kind: 1}, non_tool_use={"irrelevant": 1})
    with pytest.raises(InputError, match=f"no dialog of type {kind}"):
        list(generate(lonely, settings, 1))


def test_an_empty_pool_is_bad_input() -> None:
    with pytest.raises(InputError, match="pool of tools is empty"):
        list(generate([], DialogSettings(count=1), 1))
