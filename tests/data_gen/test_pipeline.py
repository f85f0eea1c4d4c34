from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from data_gen import pipeline
from data_gen.cli import generate, make
from data_gen.dataset import DatasetPlan
from data_gen.decontamination import reject_overlaps
from data_gen.dialog_generation.generation import DialogSettings
from data_gen.documents import aws, google
from data_gen.pipeline import run_pipeline
from data_gen.settings import GenerateSettings, ToolSettings
from data_gen.tool_synthesis.benchmark import benchmark_requests
from data_gen.tool_synthesis.candidates import sampled
from toolace import Dialog, InputError, Message, read_dialogs
from toolace.llm_settings import LlmSettings
from toolace.recipe import load_recipe
from toolace.rows import read_json, read_rows, sha256
from toolace.runs import Run

FILES = (
    "tools.jsonl",
    "rejected_tools.jsonl",
    "dialogs.jsonl",
    "verified.jsonl",
    "rejected.jsonl",
    "train.jsonl",
)
SMALL = GenerateSettings(
    tools=ToolSettings(everyday=True, aws=2, google=2, per_service=3),
    dialogs=DialogSettings(count=60, everyday_share=0.7),
)
RECIPE = """
name: small
seed: 5
generate:
  tools: {aws: 2, google: 2, per_service: 3}
  dialogs: {count: 60, everyday_share: 0.7}
"""


def digests(folder: Path) -> dict[str, str]:
    return {name: sha256(folder / name) for name in FILES}


def times(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in FILES}


def rows(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(path)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the small settings; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("small")
    run_pipeline(Run(folder), SMALL, 5)
    return folder


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(run, tmp_path / "run"))


def test_a_run_leaves_its_files_and_a_manifest_of_them(run: Path) -> None:
    stages = read_json(run / "manifest.json")["stages"]
    whole = [name for name in stages if not name.startswith("documents ")]
    assert whole == ["tools", "dialogs", "verify", "dataset"]
    recorded = {name: digest for stage in stages.values() for name, digest in stage["outputs"].items()}
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    assert files == {*recorded, "manifest.json"} and set(FILES) < files
    assert recorded == {name: sha256(run / name) for name in recorded}
    for stage in stages.values():
        assert stage["settings"] and stage["versions"]["toolace"] and stage["seconds"] >= 0


def test_no_row_is_lost_at_any_stage(run: Path) -> None:
    stages = read_json(run / "manifest.json")["stages"]
    tools, dialogs, verify = (stages[name]["counts"] for name in ("tools", "dialogs", "verify"))
    assert tools["in"] == tools["kept"] + tools["rejected"]
    assert tools["kept"] == len(rows(run / "tools.jsonl")) and tools["kept"] > 390
    assert tools["rejected"] == len(rows(run / "rejected_tools.jsonl"))
    assert dialogs["made"] == verify["in"] == len(rows(run / "dialogs.jsonl")) == 60
    assert sum(dialogs["types"].values()) == 60
    assert verify["in"] == verify["kept"] + verify["rejected"]
    dataset = stages["dataset"]["counts"]
    assert verify["kept"] == len(rows(run / "verified.jsonl")) == dataset["in"] == dataset["rows"] + dataset["left_out"]
    assert dataset["left_out"] == len(rows(run / "left_out.jsonl"))
    assert verify["rejected"] == len(rows(run / "rejected.jsonl")) == sum(verify["rules"].values())
    assert len(rows(run / "train.jsonl")) == dataset["rows"]


def test_every_rejected_row_says_why(run: Path) -> None:
    for name in ("rejected_tools.jsonl", "rejected.jsonl"):
        for row in rows(run / name):
            assert row["verdict"]["rule"] and row["verdict"]["evidence"]


def test_tools_come_from_all_three_sources(run: Path) -> None:
    packages = {row["source"]["package"] for row in rows(run / "tools.jsonl")}
    assert packages == {"toolace", "botocore", "google-api-python-client"}


def test_a_second_run_reuses_everything_and_changes_no_byte(copy: Path) -> None:
    before, manifest = times(copy), (copy / "manifest.json").read_bytes()
    records = run_pipeline(Run(copy), SMALL, 5)
    assert all(record.get("reused") for record in records.values())
    assert times(copy) == before
    assert (copy / "manifest.json").read_bytes() == manifest


def test_another_run_of_the_same_settings_has_the_same_bytes(run: Path, tmp_path: Path) -> None:
    run_pipeline(Run(tmp_path / "again"), SMALL, 5)
    assert digests(tmp_path / "again") == digests(run)


def test_another_seed_makes_every_stage_again(copy: Path) -> None:
    assert redone(copy, SMALL, seed=6) == ["tools", "dialogs", "verify", "dataset"]


def test_another_seed_makes_other_dialogs(run: Path, tmp_path: Path) -> None:
    run_pipeline(Run(tmp_path / "other"), SMALL, 6)
    assert digests(tmp_path / "other")["dialogs.jsonl"] != digests(run)["dialogs.jsonl"]


def redone(folder: Path, settings: GenerateSettings, seed: int = 5) -> list[str]:
    return [name for name, record in run_pipeline(Run(folder), settings, seed).items() if not record.get("reused")]


def test_changed_settings_redo_only_what_depends_on_them(copy: Path) -> None:
    from dataclasses import replace

    shown = replace(SMALL, dataset=DatasetPlan(show_returns=True))
    assert redone(copy, shown) == ["dataset"]
    assert "returns" in rows(copy / "train.jsonl")[0]["system"]
    more = replace(shown, dialogs=replace(SMALL.dialogs, count=61))
    assert redone(copy, more) == ["dialogs", "verify", "dataset"]
    fewer = replace(more, tools=replace(SMALL.tools, aws=1))
    assert redone(copy, fewer) == ["tools", "dialogs", "verify", "dataset"]


@pytest.mark.parametrize(
    ("name", "stage"),
    [("tools.jsonl", "tools"), ("dialogs.jsonl", "dialogs"), ("rejected.jsonl", "verify"), ("train.jsonl", "dataset")],
)
@pytest.mark.parametrize("harm", ["altered", "removed"])
def test_a_tampered_output_is_made_again(copy: Path, run: Path, name: str, stage: str, harm: str) -> None:
    if harm == "altered":
        with (copy / name).open("a", encoding="utf-8") as stream:
            stream.write("{}\n")
    else:
        (copy / name).unlink()
    # What comes after a stage reads the same bytes as before, so it stands.
    assert redone(copy, SMALL) == [stage]
    assert digests(copy) == digests(run)


def test_a_broken_manifest_is_one_line(copy: Path) -> None:
    (copy / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match=r"manifest\.json: is no manifest"):
        run_pipeline(Run(copy), SMALL, 5)


def test_other_code_makes_the_stages_again(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_code", lambda: ["another"])
    assert redone(copy, SMALL) == ["tools", "dialogs", "verify", "dataset"]


def recipe_file(folder: Path) -> Path:
    path = folder / "small.yaml"
    path.write_text(RECIPE)
    return path


def command(recipe: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "toolace", "generate", str(recipe), "--out", str(out)]


@pytest.mark.parametrize("after", ["tools.jsonl", "dialogs.jsonl"])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(run: Path, tmp_path: Path, after: str) -> None:
    recipe, out = recipe_file(tmp_path), tmp_path / "out"
    child = subprocess.Popen(command(recipe, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (out / after).exists() and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "it was done before it could be killed"
    assert not (out / "train.jsonl").exists()
    done = subprocess.run(command(recipe, out), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert digests(out) == digests(run)
    stages = {name.partition(" ")[0] for name in read_json(out / "manifest.json")["stages"]}
    assert stages == {"documents", "tools", "dialogs", "verify", "dataset"}


def test_an_out_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(command(recipe_file(tmp_path), tmp_path / "file" / "run"), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "Not a directory" in done.stderr and "--out" in done.stderr
    assert done.stdout == ""


def test_json_output_is_one_object_and_nothing_else(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate([str(recipe_file(tmp_path)), "--out", str(copy), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["dialogs"]["made"] == 60 and counts["verify"]["in"] == 60


def test_the_lines_say_what_was_done_before(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate([str(recipe_file(tmp_path)), "--out", str(copy)])
    lines = capsys.readouterr().out.splitlines()
    assert sum("(done before)" in line for line in lines) == 4
    assert lines[-1] == f"written: {copy}"


def test_tools_and_dialogs_stop_where_they_are_told(tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file(tmp_path), ["--generate.tools.aws=0", "--generate.tools.google=0"])
    assert set(make("tools", recipe, tmp_path / "run")) == {"tools"}
    assert not (tmp_path / "run" / "dialogs.jsonl").exists()
    records = make("dialogs", recipe, tmp_path / "run")
    assert records["tools"]["reused"] and records["dialogs"]["counts"]["made"] == 60
    assert not (tmp_path / "run" / "verified.jsonl").exists()


def test_a_recipe_without_the_section_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("name: x\n")
    with pytest.raises(InputError, match="has no section generate"):
        generate([str(tmp_path / "r.yaml")])


def test_settings_that_cannot_be_met_are_found_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"generate\.dialogs\.results"):
        generate([str(recipe_file(tmp_path)), "--out", str(tmp_path / "run"), "--generate.dialogs.results=2"])
    assert not (tmp_path / "run").exists()


def test_no_documents_are_one_line(tmp_path: Path) -> None:
    settings = GenerateSettings(tools=ToolSettings(everyday=False, aws=0, google=0))
    with pytest.raises(InputError, match="no document became a tool"):
        run_pipeline(Run(tmp_path), settings, 1)


def test_a_service_gives_no_more_tools_than_allowed() -> None:
    services = chain(aws.read(3, seed=9), google.read(2, seed=9))
    chosen = sampled(services, ToolSettings(per_service=4), 9)
    counts = Counter((document.source["package"], document.title) for document in chosen)
    assert {package for package, _ in counts} == {"botocore", "google-api-python-client"}
    assert len(counts) >= 4 and set(counts.values()) <= {1, 2, 3, 4} and max(counts.values()) == 4


def test_the_card_of_a_run_says_what_it_was_checked_against_and_how_to_make_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["toolace", "generate", "my recipe.yaml", "--out", "here"])
    llm = LlmSettings("http://10.0.0.7/v1", "some-model", api_key_env="MY_KEY")
    tools = replace(SMALL.tools, aws=0, google=0)
    settings = replace(SMALL, tools=tools, dialogs=replace(SMALL.dialogs, count=30, llm=llm))
    run_pipeline(Run(tmp_path / "run"), settings, 5)
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "checked by rules and compared with benchmarks" in card and "| BFCL v4 |" in card
    assert "toolace generate 'my recipe.yaml' --out FOLDER" in card
    assert "count: 30" in card and "some-model" in card
    assert "10.0.0.7" not in card and "MY_KEY" not in card  # the maker's servers are the maker's business


def test_a_dialog_with_a_benchmark_question_is_moved_to_the_rejected_ones(tmp_path: Path) -> None:
    known = benchmark_requests()
    question = next(text for text in known._grams.values() if len(text.split()) > 12)
    short = next(text for text in known._whole.values() if len(text.split()) >= 3)
    ours = "Please look up when beetroot can be planted in the area of Ghent"
    texts = {"long": (question,), "second": (ours, question), "short": (ours, short), "ours": (ours,)}
    dialogs = []
    for id_, said in texts.items():
        turns = [turn for text in said for turn in (Message("user", text), Message("assistant", "I cannot."))]
        dialogs.append(Dialog(id_, "non_tool_use", (), tuple(turns)))
    from toolace import write_dialogs

    write_dialogs(tmp_path / "verified.jsonl", dialogs)
    (tmp_path / "rejected.jsonl").write_text('{"id": "before", "verdict": {"rule": "x", "evidence": "y"}}\n')
    counts = reject_overlaps(tmp_path, {"in": 5, "kept": 4, "rejected": 1, "rules": {"x": 1}})
    assert [dialog.id for dialog in read_dialogs(tmp_path / "verified.jsonl")] == ["ours"]
    assert [row["id"] for row in rows(tmp_path / "rejected.jsonl")] == ["before", "long", "second", "short"]
    assert counts["in"] == 5 and counts["kept"] == 1 and counts["rejected"] == 4
    assert sum(n for rule, n in counts["rules"].items() if rule.startswith("decontamination.request")) == 3
