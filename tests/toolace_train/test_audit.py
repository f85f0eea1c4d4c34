import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tiny_llama import row, write_training_rows

from toolace.calls import Call
from toolace.cli import main
from toolace.rows import read_rows, write_rows
from toolace.tools import Tool
from toolace_train.audit import RULES
from toolace_train.call_checks import argument_problems
from toolace_train.token_figures import percentile, token_histogram

ROOT = Path(__file__).parents[2]


def said(example, text):
    return {**example, "conversations": [example["conversations"][0], {"from": "assistant", "value": text}]}


def run(*words, capsys):
    code = main(["audit", *map(str, words)])
    return code, capsys.readouterr().out


def findings(folder):
    return [(found["where"].rsplit(":", 1)[1], found["rule"]) for _, found in read_rows(folder / "audit.jsonl")]


def test_every_kind_of_fault_is_found_at_its_line(tmp_path, capsys):
    special = row(5)
    special["conversations"][0]["value"] += "<|im_end|>"
    rows = [
        json.dumps(row(0)),
        json.dumps(said(row(1), '[weather(city="Oslo", days="two")]')),
        json.dumps(said(row(1), "[weather(days=2)]")),
        json.dumps(said(row(1), '[weather(city="Oslo", wind=3)]')),
        json.dumps(said(row(1), '[sunshine(city="Oslo")]')),
        json.dumps(said(row(1), '[weather(city="Oslo"), weather(city="Lima"')),
        json.dumps({"id": "again", **row(0)}),
        json.dumps({"system": "s", "conversations": [{"from": "user", "value": "hi"}]}),
        '{"system": "s", "conversations": [',
        json.dumps({"question": "hi"}),
        json.dumps(special),
        json.dumps(row(2, turns=9)),
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n")
    code, out = run(tmp_path / "rows.jsonl", "--max_length", 500, "--json", capsys=capsys)
    counts = json.loads(out)
    assert code == 0
    assert findings(tmp_path / "audit") == [
        ("2", "call.arguments"),
        ("3", "call.arguments"),
        ("4", "call.arguments"),
        ("5", "call.tool"),
        ("6", "call.text"),
        ("7", "row.duplicate"),
        ("8", "row.no_assistant"),
        ("9", "row.unreadable"),
        ("10", "row.unreadable"),
        ("11", "row.special_token"),
        ("12", "row.over_length"),
    ]
    assert counts["rows"] == 12 and counts["without_findings"] == 1
    assert counts["findings"]["call.arguments"] == 3 and set(counts["findings"]) <= set(RULES)
    evidence = [found["evidence"] for _, found in read_rows(tmp_path / "audit" / "audit.jsonl")]
    assert "'two' is not of type 'integer'" in evidence[0]
    assert "'city' is a required property" in evidence[1]
    assert "has no parameter 'wind'" in evidence[2]
    assert str(tmp_path / "rows.jsonl:1") in evidence[5]


def test_clean_rows_have_no_findings_and_their_tokens_are_those_of_training(tmp_path, capsys):
    from toolace.embedded import prepare
    from toolace_train.data import load_training_set
    from toolace_train.model import load_tokenizer
    from toolace_train.rendering import Renderer
    from toolace_train.settings import DataSettings

    file = write_training_rows(tmp_path / "rows.jsonl", 30, turns=2)
    code, out = run(file, "--strict", "--json", "--out", tmp_path / "found", capsys=capsys)
    counts = json.loads(out)
    rows = load_training_set(DataSettings(files=(str(file),)), Renderer(load_tokenizer(str(prepare()))))
    assert code == 0 and counts["findings"] == {} and (tmp_path / "found" / "audit.jsonl").read_text() == ""
    assert (counts["tokens"], counts["trained"]) == (rows.tokens, rows.trained)
    assert counts["trained_share"] == round(rows.trained / rows.tokens, 4)
    assert counts["length"]["longest"] == max(len(tree.input_ids) for tree in rows.trees)


def test_strict_ends_with_1_and_the_table_says_why(tmp_path, capsys):
    write_rows(tmp_path / "rows.jsonl", [row(0), row(0)])
    code, out = run(tmp_path / "rows.jsonl", "--strict", capsys=capsys)
    assert code == 1
    assert "2 rows: 1 without findings" in out and "row.duplicate" in out and "tokens.svg" in out


def test_a_recipe_is_audited_with_its_own_model_and_data(tmp_path, capsys):
    file = write_training_rows(tmp_path / "rows.jsonl", 3)
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"data: {{files: [{file}], max_length: 40, over_length: error}}\n")
    code, out = run(recipe, "--json", capsys=capsys)
    assert code == 0 and json.loads(out)["findings"] == {"row.over_length": 3}
    assert json.loads(run(recipe, "--json", "--max_length", 999, capsys=capsys)[1])["findings"] == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: no such file of training rows"),
        (["a.yaml", "b.jsonl"], "a recipe names its own data"),
        (["nowhere.jsonl", "--model", "./none"], "./none"),
        (["nowhere.jsonl", "--max_length", "0"], "--max_length is 0"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(words, message, capsys):
    assert main(["audit", *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and message in error[0]


def test_help_has_an_example():
    command = [sys.executable, "-m", "toolace", "audit", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and "toolace audit runs/demo/train.jsonl" in done.stdout


SCHEMA = {
    "type": "object",
    "properties": {
        "size": {"type": "number", "multipleOf": 0.1},
        "code": {"type": "string", "pattern": "^(a|aa)+$"},
        "kind": {"enum": ["x", 1]},
        "far": {"$ref": "https://example.com/schema.json"},
        "loop": {"$ref": "#"},
        "inner": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    },
}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"size": 2.3, "kind": 1, "far": 1, "loop": {"loop": {}}, "inner": {"n": 1}}, None),
        ({"size": 2.35}, "size: 2.35 is not a multiple of 0.1"),
        ({"kind": "y"}, "kind: 'y' is not one of ['x', 1]"),
        ({"inner": {"n": 1.5}}, "inner.n: 1.5 is not of type 'integer'"),
        ({"inner": {}}, "inner: 'n' is a required property"),
        ({"code": "b"}, "code: 'b' does not match '^(a|aa)+$'"),
        ({"code": "a" * 80 + "!"}, None),  # a pattern that would run for years says nothing
        ({"other": 1}, "has no parameter 'other'"),
    ],
)
def test_arguments_are_judged_by_the_schema_in_bounded_time(arguments, problem):
    found = argument_problems(Call("f", arguments), Tool("f", "", SCHEMA))
    assert found == ([problem] if problem else [])


def test_a_schema_that_is_none_is_told_as_such():
    [problem] = argument_problems(Call("f", {"a": 1}), Tool("f", "", {"properties": {"a": {"type": "banana"}}}))
    assert "its schema is not valid" in problem


def test_the_picture_is_svg_whose_bars_hold_all_rows():
    lengths, trained = [100, 110, 900, 2500], [10, 20, 90, 250]
    root = ElementTree.fromstring(token_histogram(lengths, trained, 2000, "Tokens <a row>"))
    tips = [node.text for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert tips[0].startswith("Tokens <a row>: 4 rows, 3,610 tokens, 10.2 % trained; median 110,")
    assert sum(int(tip.split(": ")[1].split(" rows")[0]) for tip in tips[1:]) == 4
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "max_length 2,000" in words
    assert ElementTree.fromstring(token_histogram([], [], 10, "none")) is not None


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 2), (0.75, 3), (0.76, 4), (1.0, 4), (0.01, 1)])
def test_percentiles_are_values_of_the_rows(share, wanted):
    assert percentile([1, 2, 3, 4], share) == wanted
