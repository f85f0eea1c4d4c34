from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clean_dialogs import ROWS
from overlap_sample import COPIES, OWN

from data_gen.benchmark_items import Item, read_folder
from data_gen.decontamination import (
    Decontaminator,
    app,
    decontaminate_file,
    known_benchmarks,
    reject_overlaps,
)
from data_gen.tool_synthesis.benchmark import data_folder
from data_gen.verification.ledger import Ledger
from data_gen.verification.verify import verify_file
from toolace import InputError, Tool
from toolace.rows import read_rows


@pytest.fixture(scope="module")
def bfcl() -> Decontaminator:
    return known_benchmarks()


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def asked(text: str, id_: str) -> dict[str, Any]:
    answer = {"role": "assistant", "content": "None of the tools can do that."}
    messages = [{"role": "user", "content": text}, answer]
    return {"id": id_, "type": "non_tool_use", "tools": [ROWS[0]["tools"][1]], "messages": messages, "meta": {}}


def test_the_labelled_sample_is_told_apart_with_a_precision_of_98_percent(bfcl: Decontaminator) -> None:
    caught = [text for _, text in COPIES if bfcl.requests.overlap(text)]
    wrong = [text for text in OWN if bfcl.requests.overlap(text)]
    assert len(COPIES) + len(OWN) >= 120
    assert len(caught) / (len(caught) + len(wrong)) >= 0.98, wrong
    assert len(caught) / len(COPIES) >= 0.95, [text for _, text in COPIES if text not in caught]


def test_the_copies_of_the_sample_are_of_questions_that_bfcl_asks() -> None:
    files = [data_folder() / f"BFCL_v4_{name}.json" for name in ("simple_python", "live_simple", "multiple")]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    assert {id_ for id_, _ in COPIES} <= {json.loads(line)["id"] for line in lines}


def test_every_question_of_bfcl_overlaps_with_itself(bfcl: Decontaminator) -> None:
    rows = [json.loads(line) for line in (data_folder() / "BFCL_v4_multiple.json").open(encoding="utf-8")]
    texts = [message["content"] for row in rows for message in row["question"][0] if message["role"] == "user"]
    assert all(bfcl.requests.overlap(text) for text in texts)
    functions = [Tool.from_json(function) for row in rows for function in row["function"]]
    found = [bfcl.tool(function) for function in functions]
    assert all(found)
    assert {overlap.kind for overlap in found if overlap} == {"tool.name"}


FUNCTION = {
    "name": "parcel.track_shipment",
    "description": "Follows a parcel on its way through the sorting centres of the carrier until it is delivered.",
    "parameters": {
        "type": "object",
        "properties": {
            "tracking_code": {"type": "string", "description": "Code on the label."},
            "carrier": {"type": "string", "description": "Who carries it."},
            "with_photos": {"type": "boolean", "description": "Whether photos are shown."},
        },
        "required": ["tracking_code"],
    },
}


def one(tool: dict[str, Any], **changed: Any) -> Tool:
    return Tool.from_json({**tool, **changed})


def test_a_tool_is_found_by_name_by_signature_and_by_description() -> None:
    known = Decontaminator([Item("B", "b-1", Tool.from_json(FUNCTION))])
    other = "Says where something is that was sent, as far as the scanners know it."
    fewer = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}
    by_name = known.tool(one(FUNCTION, description=other))
    by_signature = known.tool(one(FUNCTION, name="mail.look_up", description=other))
    by_words = known.tool(one(FUNCTION, name="mail.look_up", parameters=fewer))
    assert by_name and by_name.kind == "tool.name"
    assert by_signature and by_signature.kind == "tool.signature"
    assert by_words and by_words.kind == "tool.description"
    assert known.tool(one(FUNCTION, name="mail.look_up", description=other, parameters=fewer)) is None


def test_a_signature_of_common_parameters_is_nobodys() -> None:
    def tool(name: str, description: str) -> Tool:
        names = ("city", "date", "unit")
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
        return Tool.from_json({"name": name, "description": description, "parameters": schema})

    known = Decontaminator([Item("B", "b-1", tool("pollen_count", "Says how much pollen is in the air."))])
    assert known.tool(tool("tide_table", "Lists high and low water of a harbour.")) is None


API_BANK = {
    "test.json": [
        {
            "file": "x.jsonl",
            "id": 3,
            "instruction": "Input: \nUser: User's utterence\nAPI descriptions:\n"
            + json.dumps(
                {
                    "name": "RenewLibraryCard",
                    "description": "Renews the card of a reader of the library.",
                    "input_parameters": {"card_number": {"type": "str", "description": "Number."}},
                }
            ),
            "input": "User: My card ran out, could you renew it for another year?\nAI: Which?\nGenerate API Request:\n",
            "expected_output": "API-Request: [RenewLibraryCard(card_number='7')]",
        }
    ],
    "level3.json": [{"requirement": "Cancel the magazine that I never read and tell them why.", "apis": []}],
}


def test_api_bank_is_read_in_its_forms_and_bfcl_of_another_version_from_a_folder(tmp_path: Path) -> None:
    for name, rows in API_BANK.items():
        (tmp_path / name).write_text(json.dumps(rows), encoding="utf-8")
    write(tmp_path / "talk.jsonl", [{"role": "User", "text": "Is there still a seat on the last ferry?"}])
    write(
        tmp_path / "bfcl.json",
        [{"id": "q-1", "question": "Which bus goes to the old harbour today?", "function": FUNCTION}],
    )
    items = list(read_folder(tmp_path, "local"))
    assert {item.content for item in items if isinstance(item.content, str)} == {
        "My card ran out, could you renew it for another year?",
        "Cancel the magazine that I never read and tell them why.",
        "Is there still a seat on the last ferry?",
        "Which bus goes to the old harbour today?",
    }
    tools = [item.content for item in items if isinstance(item.content, Tool)]
    assert {tool.name for tool in tools} == {"RenewLibraryCard", "parcel.track_shipment"}
    assert next(item.id for item in items if item.id == "q-1")


def test_a_file_is_parted_into_overlapping_and_clean_rows_with_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [asked(OWN[0], "own"), asked(COPIES[1][1], "copy"), asked("Yes, please.", "short")]
    path = write(tmp_path / "dialogs.jsonl", rows)
    assert app([str(path), "--out", str(tmp_path / "out"), "--json", "--strict"]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["rows"], summary["clean"], summary["overlapping"]) == (3, 2, 1)
    assert summary["compared_with"]["BFCL v4"]["requests"] > 4000
    (overlap,) = [row for _, row in read_rows(tmp_path / "out" / "overlap.jsonl")]
    assert overlap["id"] == "copy" and overlap["where"] == "messages[0]"
    assert overlap["item"].startswith("simple_python") and overlap["kind"].startswith("request.")
    assert [row["id"] for _, row in read_rows(tmp_path / "out" / "clean.jsonl")] == ["own", "short"]
    report = (tmp_path / "out" / "decontamination.md").read_text(encoding="utf-8")
    assert "1 of 3 rows" in report and "roots of a quadratic" in report


def test_a_pool_of_tools_is_compared_too(tmp_path: Path) -> None:
    functions = json.loads((data_folder() / "BFCL_v4_simple_python.json").open(encoding="utf-8").readline())["function"]
    path = write(tmp_path / "tools.jsonl", [functions[0], FUNCTION])
    summary = decontaminate_file(path, tmp_path / "out")
    assert summary["kinds"] == {"tool.name": 1}


def test_verified_dialogs_that_overlap_move_to_the_rejected_ones_and_the_ledger_follows(tmp_path: Path) -> None:
    path = write(tmp_path / "dialogs.jsonl", [asked(OWN[0], "own"), asked(COPIES[0][1], "copy"), {"no": "dialog"}])
    counts = verify_file(path, tmp_path, ledger=True)
    after = reject_overlaps(tmp_path, counts)
    assert (after["in"], after["kept"], after["rejected"]) == (3, 1, 2)
    rules = {row["verdict"]["rule"] for _, row in read_rows(tmp_path / "rejected.jsonl")}
    assert rules == set(after["rules"]) and any(rule.startswith("decontamination.request") for rule in rules)
    ledger = Ledger.read(tmp_path)
    assert ledger.total == 3 and ledger.counts()[""] == 1


@pytest.mark.parametrize(
    ("content", "said"), [("", "no rows"), ('{"id": 1\n', "not JSON"), ('{"x": 1}\n', "is no dialog")]
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        decontaminate_file(path, tmp_path / "out")


def test_a_folder_without_a_benchmark_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(InputError, match="no requests and no functions"):
        list(read_folder(tmp_path))
    with pytest.raises(InputError, match="no folder"):
        list(read_folder(tmp_path / "none"))
