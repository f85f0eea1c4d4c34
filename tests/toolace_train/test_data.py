import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from tiny_llama import row, write_training_rows

from toolace.embedded import prepare
from toolace.errors import InputError
from toolace.formats import FORMATS, from_any
from toolace.recipe import load_recipe
from toolace.rows import read_rows, write_rows
from toolace_train import data as data_module
from toolace_train.data import PREPARED, REJECTED, load_training_set, to_dataset
from toolace_train.model import load_tokenizer
from toolace_train.rendering import IGNORED, Renderer
from toolace_train.sequences import digest_of
from toolace_train.settings import DataSettings, DataSource
from toolace_train.sources import local_files

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def renderer():
    return Renderer(load_tokenizer(str(prepare())))


def load(renderer, *files, seed=42, folder=None, **settings):
    return load_training_set(DataSettings(files=files, **settings), renderer, seed=seed, folder=folder)


def tokens(rows):
    return [(tree.input_ids, tree.labels) for tree in rows.trees]


@pytest.mark.parametrize("form", [*FORMATS, "dialog", "list", "parquet", "text_columns"])
def test_the_same_rows_give_the_same_tokens_in_every_format(renderer, tmp_path, form):
    write_training_rows(tmp_path / "toolace.jsonl", 4, turns=2)
    dialogs = [from_any(row(i, turns=2)) for i in range(4)]
    if form in FORMATS:
        rows = [FORMATS[form].to_row(dialog) for dialog in dialogs]
    else:
        rows = [dialog.to_json() for dialog in dialogs]
    path = tmp_path / "other.jsonl"
    if form == "list":
        path = tmp_path / "other.json"
        path.write_text(json.dumps(rows))
    elif form == "parquet":
        path = tmp_path / "other.parquet"
        flat = [{key: json.dumps(value) for key, value in one.items()} for one in rows]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(flat), path)
    elif form == "text_columns":
        write_rows(path, ({**one, "tools": json.dumps(one["tools"])} for one in rows))
    else:
        write_rows(path, rows)
    wanted = load(renderer, str(tmp_path / "toolace.jsonl"), rendering="toolace")
    found = load(renderer, str(path))
    if form == "hermes":  # its tools are JSON Schema text; the prompt's wording comes back as ours
        assert [tree.labels[-1] for tree in found.trees] == [tree.labels[-1] for tree in wanted.trees]
        assert found.trained == wanted.trained
    else:
        assert tokens(found) == tokens(wanted)


def test_a_folder_is_all_its_files_in_order_and_each_source_is_counted(renderer, tmp_path):
    write_training_rows(tmp_path / "b.jsonl", 3)
    (tmp_path / "a.json").write_text(json.dumps([row(9)]))
    (tmp_path / "notes.txt").write_text("no rows")
    write_training_rows(tmp_path.parent / "single.jsonl", 2)
    single = str(tmp_path.parent / "single.jsonl")
    rows = load(renderer, str(tmp_path), single)
    assert [Path(tree.sources[0].split(" (")[0]).name for tree in rows.trees] == ["a.json", *["b.jsonl"] * 3] + [
        "single.jsonl"
    ] * 2
    assert [(s.name, s.read, s.drawn, s.kept) for s in rows.sources] == [(str(tmp_path), 4, 4, 4), (single, 2, 2, 2)]
    assert [path.name for path in local_files([str(tmp_path), DataSource(single)])] == [
        "a.json",
        "b.jsonl",
        "single.jsonl",
    ]
    assert rows.report()[0] == f"{tmp_path}: 4 of 4 rows drawn, 4 used"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "data.files: names no rows"),
        (("nowhere.jsonl",), "nowhere.jsonl: no such file of training rows"),
        (("runs/nowhere.jsonl",), "no such file of training rows"),
        (("{empty}",), "holds no file that ends with .jsonl, .json, .parquet"),
        (("{bad}/x.parquet",), "is no Parquet file"),
        ((DataSource("{rows}", weight=1.0, rows=3),), "has both weight and rows"),
        ((DataSource("{rows}", rows=99),), "wants 99 rows of 4"),
        ((DataSource("{rows}", weight=0.0),), "weight is 0"),
    ],
)
def test_places_without_rows_are_named(renderer, tmp_path, files, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.parquet").write_bytes(b"PAR1 no")
    write_training_rows(tmp_path / "rows.jsonl", 4)
    places = {"empty": tmp_path / "empty", "bad": tmp_path / "bad", "rows": tmp_path / "rows.jsonl"}
    entries = [
        entry.format(**places)
        if isinstance(entry, str)
        else DataSource(entry.path.format(**places), entry.weight, entry.rows)
        for entry in files
    ]
    with pytest.raises(InputError) as caught:
        load(renderer, *entries)
    assert message in str(caught.value)


def test_a_data_set_of_the_hub_without_network_is_one_line(renderer, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError) as caught:
        load(renderer, "Team-ACE/ToolACE-nowhere")
    assert str(caught.value).startswith("Team-ACE/ToolACE-nowhere: is neither a file or folder here nor a data set")


def test_rows_of_a_hub_data_set_are_read_like_those_of_a_file(renderer, tmp_path, monkeypatch):
    import datasets

    asked = []

    def give(path, name=None, split=None):
        asked.append((path, name, split))
        return datasets.Dataset.from_list([row(i) for i in range(5)])

    monkeypatch.setattr(datasets, "load_dataset", give)
    write_training_rows(tmp_path / "rows.jsonl", 5)
    rows = load(renderer, DataSource("me/rows", split="train[:5]", name="small"), folder=tmp_path / "run")
    assert asked == [("me/rows", "small", "train[:5]")]
    assert tokens(rows) == tokens(load(renderer, str(tmp_path / "rows.jsonl")))
    assert load(renderer, DataSource("me/rows", split="train[:5]", name="small"), folder=tmp_path / "run").reused


def test_the_fingerprint_of_a_training_set_is_that_of_its_sequences(renderer, tmp_path):
    file = write_training_rows(tmp_path / "rows.jsonl", 6)
    first = digest_of(load(renderer, str(file)).trees)
    copied = tmp_path / "elsewhere.jsonl"
    copied.write_bytes(file.read_bytes())
    assert digest_of(load(renderer, str(copied)).trees) == first  # neither names nor places matter
    write_rows(file, [row(i) for i in (1, 0, 2, 3, 4, 5)])
    assert digest_of(load(renderer, str(file)).trees) != first
    write_rows(file, [{**row(i), **({"system": "Call no functions."} if i == 3 else {})} for i in range(6)])
    assert digest_of(load(renderer, str(file)).trees) != first


def test_the_entries_of_a_recipe_may_be_paths_or_mappings(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("data: {files: [a.jsonl, {path: b.jsonl, weight: 2}, {path: me/c, rows: 5, split: test}]}\n")
    data = load_recipe(path).settings("data", DataSettings)
    wanted = ("a.jsonl", DataSource("b.jsonl", weight=2.0), DataSource("me/c", rows=5, split="test"))
    assert data.files == wanted
    path.write_text("data: {files: [{path: b.jsonl, weigth: 2}]}\n")
    with pytest.raises(InputError, match=r"unknown key 'weigth'\. Did you mean 'weight'"):
        load_recipe(path)


def test_masked_turns_are_not_trained_and_the_last_alone_when_asked(renderer, tmp_path):
    example = row(1, turns=3)
    said = [turn for turn in example["conversations"] if turn["from"] == "assistant"]
    said[0]["train"] = False
    write_rows(tmp_path / "rows.jsonl", [example])
    [tree] = load(renderer, str(tmp_path / "rows.jsonl")).trees
    decode = renderer.tokenizer.decode
    trained = decode([label for label in tree.labels if label != IGNORED])
    assert trained == "".join(turn["value"] + "<|im_end|>" for turn in said[1:])
    [tree] = load(renderer, str(tmp_path / "rows.jsonl"), train_on="last").trees
    assert decode([label for label in tree.labels if label != IGNORED]) == said[-1]["value"] + "<|im_end|>"
    for turn in said:
        turn["train"] = False
    write_rows(tmp_path / "rows.jsonl", [example, row(2)])
    rows = load(renderer, str(tmp_path / "rows.jsonl"))
    assert rows.kept == 1 and rows.rejected == {"masked": 1}


def test_a_row_that_cannot_be_trained_on_is_kept_with_the_reason_and_the_rest_is_trained(renderer, tmp_path):
    bad = row(1)
    bad["conversations"][0]["value"] += "<|im_end|>"
    silent = {"system": "", "conversations": [{"from": "user", "value": "hi"}]}
    write_rows(tmp_path / "rows.jsonl", [row(0), bad, silent, row(2)])
    rows = load(renderer, str(tmp_path / "rows.jsonl"), folder=tmp_path / "run")
    assert (rows.rows, rows.kept, rows.rejected) == (4, 2, {"special_token": 1, "no_assistant": 1})
    kept = [one for _, one in read_rows(tmp_path / "run" / REJECTED)]
    assert [one["verdict"]["rule"] for one in kept] == ["special_token", "no_assistant"]
    assert kept[0]["verdict"]["where"].endswith("rows.jsonl:2")
    assert "'<|im_end|>'" in kept[0]["verdict"]["evidence"]
    assert from_any(kept[0]).messages[-1].calls  # the row itself is there
    write_rows(tmp_path / "rows.jsonl", [bad])
    with pytest.raises(InputError, match=r"nothing is left.*1 of 1 rows: special_token, such as .*rows.jsonl"):
        load(renderer, str(tmp_path / "rows.jsonl"))


def test_rows_are_tokenised_once(renderer, tmp_path, monkeypatch):
    file = write_training_rows(tmp_path / "rows.jsonl", 6, turns=2)
    run = tmp_path / "run"
    first = load(renderer, str(file), folder=run, share_prefix=True)
    assert not first.reused

    def never(*_):
        raise AssertionError("tokenised again")

    with monkeypatch.context() as patch:
        patch.setattr(data_module.RowMaker, "make", never)
        again = load(renderer, str(file), folder=run, share_prefix=True)
    assert again.reused
    assert again.trees == first.trees
    assert (again.rows, again.trained, again.sources) == (first.rows, first.trained, first.sources)
    for changed in ({"train_on": "last"}, {"max_length": 300}, {"rendering": "toolace", "share_prefix": False}):
        assert not load(renderer, str(file), folder=run, **changed).reused
    load(renderer, str(file), folder=run)
    write_training_rows(file, 7, turns=2)
    assert load(renderer, str(file), folder=run).rows == 7


def test_a_damaged_file_of_tokens_is_made_again(renderer, tmp_path):
    file, run = write_training_rows(tmp_path / "rows.jsonl", 3), tmp_path / "run"
    first = load(renderer, str(file), folder=run)
    whole = (run / PREPARED).read_bytes()
    for broken in (b"", whole[: len(whole) // 2], b"x" * 100):
        (run / PREPARED).write_bytes(broken)
        again = load(renderer, str(file), folder=run)
        assert not again.reused and again.trees == first.trees
    assert load(renderer, str(file), folder=run).reused


def test_a_run_killed_while_it_tokenises_starts_again(tmp_path):
    file, run = write_training_rows(tmp_path / "rows.jsonl", 3000), tmp_path / "run"
    script = (
        "import sys; from toolace_train.data import load_training_set; from toolace_train.model import load_tokenizer\n"
        "from toolace.embedded import prepare; from toolace_train.rendering import Renderer\n"
        "from toolace_train.settings import DataSettings\n"
        f"rows = load_training_set(DataSettings(files=({str(file)!r},)), Renderer(load_tokenizer(str(prepare()))), "
        f"folder={str(run)!r})\nprint(rows.rows, rows.reused)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    killed = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and killed.poll() is None and not (run / ".train_rows.lock").exists():
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert killed.returncode == -signal.SIGKILL and not (run / PREPARED).exists()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["3000", "False"], done.stderr
    assert sorted(path.name for path in run.iterdir()) == [".train_rows.lock", REJECTED, PREPARED]


def test_the_data_set_has_a_column_of_lengths(renderer, tmp_path):
    file = write_training_rows(tmp_path / "rows.jsonl", 4)
    rows = load(renderer, str(file), share_prefix=True)
    table = to_dataset(rows.trees)
    assert table["length"] == [len(tree.input_ids) for tree in rows.trees]
    assert table[0]["input_ids"] == rows.trees[0].input_ids and table[0]["branches"] == rows.trees[0].branches
    assert table[0]["labels"] == rows.trees[0].labels
