from __future__ import annotations

import copy
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from clean_dialogs import ROWS
from hub_double import HubDouble

from data_gen.dataset import DatasetPlan, app, make_dataset, shares
from data_gen.duplicates import Fingerprint, judge_duplicates
from data_gen.hub import app as publish_app
from data_gen.hub import plan, publish
from data_gen.verification.ledger import Ledger
from data_gen.verification.verify import verify_file
from toolace import Dialog, InputError
from toolace.formats import FORMATS, from_any
from toolace.rows import read_rows, sha256

CITIES = ("Oslo", "Rome", "Lima", "Kyoto", "Quito", "Bern", "Cairo", "Perth", "Turin", "Leeds")


def dialog(number: int, kind: str, source: str = "everyday") -> dict[str, Any]:
    """Requests that are all different, and calls where the type wants them."""
    city, tool = CITIES[number % 10], copy.deepcopy(ROWS[0]["tools"][0])
    words = " ".join(f"{CITIES[(number * k + k) % 10]}{(number * 7919 * k) % 997}" for k in range(1, 9))
    made = {
        "id": "call_0",
        "type": "function",
        "function": {"name": tool["name"], "arguments": {"city": city, "note": {"k": number}}},
    }
    answer = (
        {"role": "assistant", "content": "", "tool_calls": [made]}
        if kind == "single"
        else {"role": "assistant", "content": "None of the tools fits."}
    )
    messages = [{"role": "user", "content": f"Weather of {city}, note {words}?"}, answer]
    return {
        "id": f"d-{number}",
        "type": kind,
        "tools": [tool],
        "messages": messages,
        "meta": {"source": source, "n": number},
    }


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    made = [dialog(i, "single" if i % 4 else "non_tool_use", "aws" if i % 5 == 0 else "everyday") for i in range(200)]
    return write(tmp_path / "verified.jsonl", made)


def test_the_mix_has_the_wanted_sizes_and_every_other_row_has_a_reason(tmp_path: Path, rows: Path) -> None:
    out = tmp_path / "set"
    counts = make_dataset([rows], out, DatasetPlan(sizes={"single": 100, "non_tool_use": 20, "dependent": 5}), seed=1)
    assert counts["types"] == {"non_tool_use": 20, "single": 100}
    assert counts["short"] == {"dependent": 5}
    assert counts["in"] == counts["rows"] + counts["left_out"] == 200
    left = [row for _, row in read_rows(out / "left_out.jsonl")]
    assert len(left) == 80 and {row["verdict"]["rule"] for row in left} == {"mix.size"}
    assert sum(1 for _ in read_rows(out / "train.jsonl")) == 120


def test_splits_are_stratified_by_type_and_source(tmp_path: Path, rows: Path) -> None:
    out = tmp_path / "set"
    counts = make_dataset([rows], out, DatasetPlan(validation=0.2, test=0.1, formats=["trl"]), seed=1)
    assert counts["splits"] == {"train": 140, "validation": 40, "test": 20}
    from datasets import load_dataset

    held = load_dataset(str(out), "trl", split="validation", cache_dir=str(tmp_path / "cache"))
    assert Counter(held["type"]) == {"single": 30, "non_tool_use": 10}
    assert Counter(json.loads(meta)["source"] for meta in held["meta"]) == {"everyday": 32, "aws": 8}


def test_no_row_is_in_two_splits_and_the_same_seed_gives_the_same_bytes(tmp_path: Path, rows: Path) -> None:
    plan_ = DatasetPlan(total=150, validation=0.1, formats=["toolace"])
    for name in ("a", "b"):
        make_dataset([rows], tmp_path / name, plan_, seed=4)
    for name in ("train.jsonl", "validation.jsonl", "README.md", "left_out.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes().replace(
            b"pretty_name: b", b"pretty_name: a"
        )
    train, held = (
        {json.dumps(row) for _, row in read_rows(tmp_path / "a" / f)} for f in ("train.jsonl", "validation.jsonl")
    )
    assert not train & held
    make_dataset([rows], tmp_path / "c", plan_, seed=5)
    assert (tmp_path / "c" / "train.jsonl").read_bytes() != (tmp_path / "a" / "train.jsonl").read_bytes()


def test_exact_and_near_duplicates_are_left_out_and_the_first_is_kept(tmp_path: Path) -> None:
    first, other = dialog(1, "single"), dialog(2, "single")
    near = copy.deepcopy(first)
    near["messages"][0]["content"] = (
        first["messages"][0]["content"].replace("note", "notes", 1) + " Thanks a lot to you all"
    )
    long = [f"w{i}" for i in range(60)]
    a, b = dialog(3, "single"), dialog(3, "single")
    a["messages"][0]["content"], b["messages"][0]["content"] = " ".join(long), " ".join([*long[:-1], "end"])
    path = write(tmp_path / "v.jsonl", [first, other, {**first, "id": "again"}, near, a, b])
    counts = make_dataset([path], tmp_path / "set", DatasetPlan(formats=[]))
    assert counts["reasons"] == {"duplicate.exact": 1, "duplicate.near": 1}
    left = {row["verdict"]["rule"]: row["id"] for _, row in read_rows(tmp_path / "set" / "left_out.jsonl")}
    assert left == {"duplicate.exact": "again", "duplicate.near": "d-3"}


def test_with_similarity_1_only_exact_duplicates_are_found() -> None:
    made = [Dialog.from_json(row) for row in (dialog(1, "single"), dialog(1, "single"), dialog(2, "single"))]
    kept = [verdict.kept for verdict in judge_duplicates(map(Fingerprint.of, made), near=1)]
    assert kept == [True, False, True]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_parquet_loads_with_plain_datasets_and_reads_back_as_the_dialogs(tmp_path: Path, rows: Path, name: str) -> None:
    from datasets import load_dataset

    make_dataset([rows], tmp_path / "set", DatasetPlan(formats=[name], show_returns=True))
    table = load_dataset(str(tmp_path / "set"), name, split="train", cache_dir=str(tmp_path / "cache"))
    assert len(table) == 200
    wanted = [FORMATS[name].from_row(FORMATS[name].to_row(Dialog.from_json(row))) for _, row in read_rows(rows)]
    got = [from_any(row) for row in table]
    assert [d.messages for d in got] == [d.messages for d in wanted]
    assert [[t.to_function() for t in d.tools] for d in got] == [[t.to_function() for t in d.tools] for d in wanted]


def test_json_lines_load_with_plain_datasets(tmp_path: Path, rows: Path) -> None:
    from datasets import load_dataset

    make_dataset([rows], tmp_path / "set", DatasetPlan(formats=[]))
    file = str(tmp_path / "set" / "train.jsonl")
    table = load_dataset("json", data_files=file, split="train", cache_dir=str(tmp_path / "cache"))
    assert set(table.column_names) == {"system", "conversations"} and len(table) == 200


OVERLAP = {
    "rows": 203,
    "overlapping": 3,
    "benchmarks": {"BFCL v4": 3},
    "compared_with": {"BFCL v4": {"requests": 9}},
}


def checked(rows: Path, folder: Path) -> Path:
    """A folder as verification and decontamination leave it: three rows were rejected for their overlap."""
    verify_file(rows, folder, ledger=True)
    ledger = Ledger.read(folder)
    Ledger(ledger.tally + Counter({("single", "aws", "decontamination.request.same"): 3})).write(folder)
    (folder / "decontamination.json").write_text(json.dumps(OVERLAP), encoding="utf-8")
    (folder / "decontamination.md").write_text("# Overlap with benchmarks\n", encoding="utf-8")
    return folder / "verified.jsonl"


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def test_the_card_says_what_is_in_it_how_it_was_checked_and_how_to_make_it_again(tmp_path: Path, rows: Path) -> None:
    verified = checked(rows, tmp_path / "set")
    facts = {"name": "Weather talk", "command": "toolace generate r.yaml", "recipe": {"seed": 3}}
    counts = make_dataset([verified], tmp_path / "set", DatasetPlan(validation=0.1), facts=facts, seed=3)
    assert set(counts["types"]) == {"non_tool_use"} and counts["rows"] == 50
    card = card_of(tmp_path / "set")
    header = yaml.safe_load(card.split("---\n")[1])
    assert [config["config_name"] for config in header["configs"]] == ["toolace", "trl"]
    assert header["size_categories"] == ["n<1K"] and header["pretty_name"] == "Weather talk"
    for text in (
        "| non_tool_use | 45 | 5 |",
        "checked by rules",
        "grounding.value",
        "3 of 203 dialogs",
        "Not compared with: API-Bank",
        "No language model judged",
        "not stated",
        "toolace generate r.yaml",
        "seed: 3",
    ):
        assert text in card, text


def test_a_data_set_in_another_folder_takes_the_ledger_and_the_report_with_it(tmp_path: Path, rows: Path) -> None:
    verified = checked(rows, tmp_path / "run")
    make_dataset([verified], tmp_path / "set")
    card = card_of(tmp_path / "set")
    assert "grounding.value" in card and "3 of 203 dialogs" in card and "[ledger.md](ledger.md)" in card
    assert {"ledger.md", "ledger.svg", "decontamination.md"} <= {file.path for file in plan(tmp_path / "set")}


def test_a_ledger_of_other_rows_is_neither_told_nor_published(tmp_path: Path, rows: Path) -> None:
    verified = checked(rows, tmp_path / "set")
    lines = verified.read_text(encoding="utf-8").splitlines(keepends=True)
    verified.write_text("".join(lines[:-1]), encoding="utf-8")
    make_dataset([verified], tmp_path / "set")
    card = card_of(tmp_path / "set")
    assert "no ledger is of these rows" in card
    assert "grounding.value" not in card and "checked by rules" not in card and "3 of 203" not in card
    assert not {"ledger.md", "decontamination.md"} & {file.path for file in plan(tmp_path / "set")}


def test_dialogs_that_nobody_verified_are_not_called_verified(tmp_path: Path, rows: Path) -> None:
    make_dataset([rows], tmp_path / "set")
    assert "checked by rules" not in card_of(tmp_path / "set") and "verified dialogs" not in card_of(tmp_path / "set")


def test_rejected_rows_are_refused_and_rows_an_earlier_data_set_left_out_are_not(tmp_path: Path, rows: Path) -> None:
    rejected = {**dialog(1, "single"), "verdict": {"rule": "call.schema", "evidence": "x", "where": ""}}
    with pytest.raises(InputError, match=r"rejected.jsonl:1.*call.schema"):
        make_dataset([write(tmp_path / "rejected.jsonl", [rejected])], tmp_path / "set")
    make_dataset([rows], tmp_path / "first", DatasetPlan(total=150, formats=[]))
    assert make_dataset([tmp_path / "first" / "left_out.jsonl"], tmp_path / "second")["rows"] == 50


def test_the_card_says_that_tools_which_a_model_wrote_state_no_licence(tmp_path: Path) -> None:
    made = [dialog(i, "single") for i in range(3)]
    made[0]["tools"][0]["source"] = {"package": "toolace", "model": "some-model"}
    made[1]["tools"][0]["licence"] = "MIT"
    make_dataset([write(tmp_path / "v.jsonl", made)], tmp_path / "set")
    card = card_of(tmp_path / "set")
    for row in ("| not stated, written by a language model | 1 |", "| MIT | 1 |", "| not stated | 1 |"):
        assert row in card
    assert "the terms of that model" in card and yaml.safe_load(card.split("---\n")[1])["license"] == "other"


def test_the_command_in_the_card_is_the_one_that_was_typed(tmp_path: Path, rows: Path) -> None:
    words = [str(rows), "--out", str(tmp_path / "my set"), "--size", "single=10", "--validation", "0.5", "--seed", "3"]
    assert app(words) == 0
    assert f"toolace dataset {rows} --out '{tmp_path / 'my set'}' --size single=10 --validation 0.5 --seed 3" in (
        card_of(tmp_path / "my set")
    )


def test_the_files_are_the_same_with_one_process_and_with_several(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = rows.read_text(encoding="utf-8").splitlines(keepends=True)
    rows.write_text("".join([*lines[:90], "\n", *lines[90:]]), encoding="utf-8")
    for jobs in (1, 2):
        monkeypatch.setattr("data_gen.dataset.jobs_for", lambda path, jobs=jobs: jobs)
        monkeypatch.setattr("data_gen.verification.row_files.CHUNK_BYTES", 20_000)
        make_dataset([rows], tmp_path / str(jobs), DatasetPlan(total=150, validation=0.1), seed=2)
    names = [path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*") if path.suffix != ".md"]
    assert len([name for name in names if name.suffix]) == 7
    for name in names:
        if name.suffix:
            assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


def test_a_json_list_is_read_as_rows_too(tmp_path: Path, rows: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps([row for _, row in read_rows(rows)]), encoding="utf-8")
    counts = make_dataset([tmp_path / "list.json"], tmp_path / "set", DatasetPlan(formats=[]))
    assert counts["rows"] == 200


def test_turns_that_are_not_trained_on_are_marked_in_every_file_and_all_files_load(tmp_path: Path) -> None:
    from datasets import load_dataset

    made = [dialog(i, "single") for i in range(40)]
    made[30]["meta"]["masked"] = [1]
    make_dataset([write(tmp_path / "v.jsonl", made)], tmp_path / "set")
    file, cache = str(tmp_path / "set" / "train.jsonl"), str(tmp_path / "cache")
    lines = load_dataset("json", data_files=file, split="train", cache_dir=cache)
    parquet = load_dataset(str(tmp_path / "set"), "toolace", split="train", cache_dir=cache)
    for table in (lines, parquet):
        masked = [i for i, row in enumerate(table) if from_any(row).meta.get("masked")]
        assert masked == [30] and from_any(table[30]).meta["masked"] == [1]
    trl = load_dataset(str(tmp_path / "set"), "trl", split="train", cache_dir=cache)
    assert json.loads(trl[30]["meta"])["masked"] == [1]


def test_the_folder_alone_loads_and_arguments_keep_what_they_hold(tmp_path: Path) -> None:
    from datasets import load_dataset

    made = [dialog(i, "single") for i in range(3)]
    odd = {"city": "Oslo", "note": None, "list": [None, {"deep": [1, "a", None]}], "empty": {}}
    made[1]["messages"][1]["tool_calls"][0]["function"]["arguments"] = odd
    make_dataset([write(tmp_path / "v.jsonl", made)], tmp_path / "set", DatasetPlan(formats=["trl", "toolace"]))
    table = load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))["train"]
    assert "messages" in table.column_names and from_any(table[1]).messages[1].calls[0].arguments == odd
    # Rows without the odd members do not get them from their neighbour.
    assert set(from_any(table[0]).messages[1].calls[0].arguments) == {"city", "note"}


def test_a_second_run_leaves_nothing_of_the_first(tmp_path: Path, rows: Path) -> None:
    make_dataset([rows], tmp_path / "set", DatasetPlan(validation=0.1, formats=["trl", "hermes"]))
    make_dataset([rows], tmp_path / "set", DatasetPlan(formats=["trl"]))
    found = {str(path.relative_to(tmp_path / "set")) for path in (tmp_path / "set").rglob("*") if path.is_file()}
    assert found == {"README.md", "train.jsonl", "left_out.jsonl", "trl/train.parquet"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"validation": 1.5}, "share from 0 to 1"),
        ({"validation": 0.6, "test": 0.5}, "nothing to train on"),
        ({"formats": ["xml"]}, "unknown"),
        ({"total": 5, "sizes": {"single": 5}}, "Keep one"),
        ({"sizes": {"single": -1}}, "below 0"),
        ({"near": 0}, "near is 0"),
        ({"sizes": {"parallel": 5}}, "no dialog is left"),
    ],
)
def test_a_plan_that_cannot_be_is_one_clear_error(tmp_path: Path, rows: Path, settings: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_dataset([rows], tmp_path / "set", DatasetPlan(**settings))
    assert not (tmp_path / "set" / "train.jsonl").exists()


def test_a_file_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path, rows: Path) -> None:
    broken = write(tmp_path / "broken.jsonl", [{"id": "x", "messages": 5, "tools": []}])
    with pytest.raises(InputError, match=r"broken.jsonl:1"):
        make_dataset([rows, broken], tmp_path / "set")
    assert not (tmp_path / "set").exists() or not list((tmp_path / "set").iterdir())


def test_shares_add_up_to_the_total() -> None:
    assert shares({"a": 1, "b": 1, "c": 1}, 10) == {"a": 4, "b": 3, "c": 3}
    assert shares({"a": 0.0}, 0) == {"a": 0}


def test_the_command_makes_a_data_set(tmp_path: Path, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(rows), "--out", str(tmp_path / "set"), "--size", "single=10", "--formats", "trl", "--json"]
    assert app(words) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 10
    with pytest.raises(InputError, match="TYPE=N"):
        app([str(rows), "--out", str(tmp_path / "x"), "--size", "single"])


def test_a_data_set_is_published_as_it_is_on_disk(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The hub's newer storage is another server; every hub still speaks LFS.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    folder = tmp_path / "set"
    make_dataset([rows], folder, DatasetPlan(validation=0.1))
    with HubDouble() as hub:
        done = publish(folder, "me/weather-talk", endpoint=hub.url, token="t0ken")
        assert done["repo"] == "me/weather-talk" and done["commit"] and hub.repos == {"me/weather-talk": True}
        sent = hub.files["me/weather-talk"]
        assert set(sent) == {file.path for file in plan(folder)}
        assert all(content == (folder / path).read_bytes() for path, content in sent.items())
        with pytest.raises(InputError, match="401"):
            publish(folder, "me/weather-talk", endpoint=hub.url, token="wrong")
    with pytest.raises(InputError, match="cannot be reached"):
        publish(folder, "me/weather-talk", endpoint="http://127.0.0.1:9", token="t0ken")


def test_without_push_nothing_is_sent_and_the_plan_names_every_file(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_dataset([rows], tmp_path / "set")
    with HubDouble() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert publish_app([str(tmp_path / "set"), "--repo", "me/x", "--json"]) == 0
        assert not hub.asked
    listed = json.loads(capsys.readouterr().out)["files"]
    assert {item["path"] for item in listed} == {
        "README.md",
        "train.jsonl",
        "toolace/train.parquet",
        "trl/train.parquet",
    }
    assert all(item["sha256"] == sha256(tmp_path / "set" / item["path"]) for item in listed)


def test_names_and_folders_that_cannot_be_published_are_errors(tmp_path: Path, rows: Path) -> None:
    with pytest.raises(InputError, match="no README"):
        plan(tmp_path)
    make_dataset([rows], tmp_path / "set")
    with pytest.raises(InputError, match="no name"):
        publish(tmp_path / "set", "a/b/c")
    (tmp_path / "set" / "trl" / "train.parquet").unlink()
    with pytest.raises(InputError, match="not there"):
        plan(tmp_path / "set")


def test_a_file_that_cannot_be_read_or_has_other_rows_than_the_card_says_is_not_published(
    tmp_path: Path, rows: Path
) -> None:
    make_dataset([rows], tmp_path / "set")
    parquet, lines = tmp_path / "set" / "trl" / "train.parquet", tmp_path / "set" / "train.jsonl"
    whole = parquet.read_bytes()
    parquet.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="no Parquet file"):
        plan(tmp_path / "set")
    # The footer is whole, a page in the middle is not.
    parquet.write_bytes(whole[:200] + bytes(400) + whole[600:])
    with pytest.raises(InputError, match="no Parquet file"):
        plan(tmp_path / "set")
    parquet.write_bytes(whole)
    first = lines.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]
    lines.write_text("".join(first), encoding="utf-8")
    with pytest.raises(InputError, match="holds 199 rows, and the card says 200"):
        plan(tmp_path / "set")


def test_building_a_data_set_does_not_import_the_hub_client() -> None:
    import subprocess

    code = (
        "import sys, data_gen.dataset, data_gen.hub; print('huggingface_hub' in sys.modules, 'pyarrow' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False False\n"
    )
