from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_gen.documents import local
from data_gen.documents.document import Document
from data_gen.documents.markdown import PASSAGE_CHARACTERS, is_passage, sections
from data_gen.documents.markdown import read as read_markdown
from toolace import InputError

SPEC = """
openapi: 3.0.0
info: {title: %s}
paths:
  /users/{id}:
    get: {summary: Gets one user of many., parameters: [{name: id, in: path, required: true, schema: {type: string}}]}
"""
MCP = {
    "jsonrpc": "2.0",
    "result": {
        "tools": [
            {
                "name": "read-file",
                "description": "Reads a file from the disk.",
                "inputSchema": {
                    "type": "object",
                    "properties": {"path": {"$ref": "#/$defs/Path"}},
                    "required": ["path"],
                    "$defs": {"Path": {"type": "string", "description": "Where it is."}},
                },
                "outputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
            },
            {"description": "has no name", "inputSchema": {}},
        ]
    },
}
FUNCTION = {
    "name": "math.add",
    "description": "Adds.",
    "parameters": {"type": "dict", "properties": {"a": {"type": "float"}}},
}
PYTHON = '''
def area(width: float, height: float = 1.5) -> float:
    """Area of a rectangle.

    Args:
        width: How wide it is.
        height: How high it is.
    """
    raise SystemExit("is never run")


raise SystemExit("is never imported")
'''


def read(place: Path) -> tuple[list[Document], list[InputError]]:
    problems: list[InputError] = []
    return list(local.read_path(place, problems.append)), problems


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_folder_of_every_kind_is_read_and_the_broken_ones_are_told(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", SPEC % "First")
    write(tmp_path / "deep" / "b.yml", SPEC % "Second")
    write(tmp_path / "mcp.json", MCP)
    write(tmp_path / "functions.jsonl", json.dumps(FUNCTION) + "\n")
    write(tmp_path / "shapes.py", PYTHON)
    write(tmp_path / "manual.md", "# Manual\n\nHow to use it, told in a sentence that is long enough.\n")
    write(tmp_path / "broken.yaml", "a: [1\n")
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    write(tmp_path / "package.json", {"name": 3})
    documents, problems = read(tmp_path)
    names = {document.structure.get("name", "passage") for document in documents}
    assert names == {"get_user", "second.get_user", "read_file", "math.add", "shapes.area", "passage"}
    told = "\n".join(map(str, problems))
    assert all(part in told for part in ("broken.yaml", "latin.json", "has no name", "package.json"))
    assert len({document.id for document in documents}) == len(documents)


def test_parts_that_a_description_refers_to_are_no_problem(tmp_path: Path) -> None:
    write(tmp_path / "api.yaml", (SPEC % "Split").replace("{type: string}", "{$ref: 'parts/id.yaml#/Id'}"))
    write(tmp_path / "parts" / "id.yaml", "Id: {type: integer}\n")
    documents, problems = read(tmp_path)
    assert not problems
    assert documents[0].structure["parameters"]["properties"]["id"]["type"] == "integer"


def test_mcp_references_are_resolved_and_results_kept(tmp_path: Path) -> None:
    document = read(write(tmp_path / "m.json", MCP))[0][0]
    assert document.structure["parameters"]["properties"] == {"path": {"type": "string", "description": "Where it is."}}
    assert document.structure["returns"] == {"type": "object", "properties": {"text": {"type": "string"}}}


def test_functions_of_every_dialect_are_read(tmp_path: Path) -> None:
    rows = [FUNCTION, {"type": "function", "function": FUNCTION}, {"tools": [FUNCTION]}]
    for number, row in enumerate(rows):
        document = read(write(tmp_path / f"{number}.json", row))[0][0]
        assert document.structure["parameters"]["properties"]["a"]["type"] == "number"


def test_a_broken_row_does_not_hide_the_next_function(tmp_path: Path) -> None:
    path = write(tmp_path / "f.json", [FUNCTION, {"name": "x", "parameters": 3}, 7, {**FUNCTION, "name": "math.sub"}])
    documents, problems = read(path)
    assert [document.structure["name"] for document in documents] == ["math.add", "math.sub"]
    assert [problem.where for problem in problems] == [f"{path} (function 2)", f"{path} (function 3)"]


@pytest.mark.parametrize(("name", "content"), [("a.zip", "PK"), ("a.txt", "hello"), ("a.json", "[1, 2]")])
def test_a_file_of_no_known_kind_says_which_are_known(tmp_path: Path, name: str, content: str) -> None:
    documents, problems = read(write(tmp_path / name, content))
    assert not documents and len(problems) == 1 and problems[0].fix


def test_a_broken_line_does_not_hide_the_next(tmp_path: Path) -> None:
    documents, problems = read(write(tmp_path / "f.jsonl", "{broken\n\n" + json.dumps(FUNCTION) + "\n"))
    assert [document.structure["name"] for document in documents] == ["math.add"]
    assert [problem.where for problem in problems] == [f"{tmp_path / 'f.jsonl'}:1"]


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "lost.yaml")


def test_a_manual_is_cut_into_passages_under_their_headings() -> None:
    text = "# Top\n\nIntro that says something about the whole.\n\n## Part\n\n" + "A sentence of the part. " * 400
    documents = list(read_markdown(text, "manual.md"))
    assert documents[0].path == ("Top",)
    assert {document.path for document in documents[1:]} == {("Top", "Part")}
    assert len(documents) > 2 and all(is_passage(document) for document in documents)
    assert all(len(document.text) <= PASSAGE_CHARACTERS for document in documents)
    said = sum(document.text.count("A sentence of the part.") for document in documents)
    assert said >= 400 - len(documents)


def test_headings_in_code_are_code_and_underlined_headings_count() -> None:
    text = "Title\n=====\ntext\n```\n# comment\n```\nmore\n### Third\nend"
    assert [headings for headings, _ in sections(text)] == [[], ["Title"], ["Title", "Third"]]


def test_json_lines_without_tools_are_passed_over_in_one_line(tmp_path: Path) -> None:
    rows = "\n".join(json.dumps({"messages": [{"role": "user", "content": str(i)}]}) for i in range(300))
    (tmp_path / "train.jsonl").write_text(rows)
    (tmp_path / "users.yaml").write_text(SPEC % "Users")
    problems: list[InputError] = []
    assert len(list(local.read_path(tmp_path, problems.append))) == 1
    assert [problem.what for problem in problems] == [
        "1 files are no API documents by themselves and were passed over: train.jsonl"
    ]


def test_lines_with_the_same_fault_are_told_once_and_counted(tmp_path: Path) -> None:
    lines = [json.dumps(FUNCTION), *([json.dumps({"description": "has no name"})] * 40)]
    (tmp_path / "tools.jsonl").write_text("\n".join(lines))
    problems: list[InputError] = []
    assert len(list(local.read_path(tmp_path / "tools.jsonl", problems.append))) == 1
    assert [problem.what for problem in problems] == [
        "a tool has no name", "39 more lines have the same fault: a tool has no name"
    ]  # fmt: skip


@pytest.mark.parametrize("holder", ["parameters", "inputSchema"])
def test_an_undescribed_parameter_is_described_by_its_name_whatever_the_dialect(tmp_path: Path, holder: str) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "petId": {"type": "integer"}}}
    tool = {"name": "visit", "description": "Visits.", holder: schema}
    (tmp_path / "f.json").write_text(json.dumps({"tools": [tool]} if holder == "inputSchema" else [tool]))
    (document,) = local.read_path(tmp_path / "f.json", lambda problem: None)
    said = {name: one["description"] for name, one in document.structure["parameters"]["properties"].items()}
    assert said == {"city": "City.", "petId": "ID of the pet."}
    assert document.source["described_by_name"] == "city, petId"
