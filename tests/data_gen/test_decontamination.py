from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clean_dialogs import ROWS
from overlap_sample import COPIES, COPIES_OTHER, OWN, OWN_OTHER
from overlap_tools import own_tools, tool_copies

from data_gen.benchmark_items import Item, read_folder
from data_gen.decontamination import (
    Decontaminator,
    app,
    decontaminate_file,
    folders,
    known_benchmarks,
    reject_overlaps,
)
from data_gen.text_words import run_length, words
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


def test_requests_in_other_scripts_are_told_apart_too(bfcl: Decontaminator) -> None:
    missed = [text for _, text in COPIES_OTHER if not bfcl.requests.overlap(text)]
    wrong = [text for text in OWN_OTHER if bfcl.requests.overlap(text)]
    assert not missed and not wrong


def test_each_check_of_tools_finds_what_it_is_for_and_none_of_our_own(bfcl: Decontaminator) -> None:
    checks = {"name": "tool.name", "parameters": "tool.signature", "description": "tool.description"}
    for kept, copies in tool_copies().items():
        assert len(copies) >= 20
        found = [bfcl.functions.overlap(tool, (checks[kept],)) for tool in copies]
        assert sum(map(bool, found)) >= 0.95 * len(copies), kept
    assert [tool.name for tool in own_tools() if bfcl.tool(tool)] == []


def test_the_copies_of_the_sample_are_of_questions_that_bfcl_asks() -> None:
    lines = [line for path in data_folder().glob("BFCL_v4_*.json") for line in path.open(encoding="utf-8")]
    ids = {json.loads(line)["id"] for line in lines if line.startswith("{") and '"question"' in line}
    assert {id_ for id_, _ in (*COPIES, *COPIES_OTHER)} <= ids


def test_words_of_any_script_are_compared_and_signs_of_scripts_without_spaces_one_by_one() -> None:
    assert words("getUserName Zürich été") == ["get", "user", "name", "zurich", "ete"]
    assert words("Погода в МОСКВЕ?") == ["погода", "в", "москве"]
    assert words("北京 weather") == ["北", "京", "weather"]
    assert run_length(words("上海目前的天气状况")) == 13 and run_length(words("날씨가 어떤지 알려줘")) == 8
    known = Decontaminator([Item("B", "b-1", "请帮我看看下个月的水费账单什么时候可以支付")])
    assert known.requests.overlap("你好！请帮我看看下个月的水费账单什么时候可以支付，谢谢")
    assert not known.requests.overlap("请帮我看看下个月的话剧票")


def test_a_turn_of_courtesy_is_nobodys_request() -> None:
    turns = ("Thank you very much!", "Yes, that is right.", "No, that's all, thanks.", "Okay great, thank you so much")
    known = Decontaminator([Item("B", str(i), turn) for i, turn in enumerate((*turns, "Tell me a joke"))])
    assert not any(known.requests.overlap(turn) for turn in turns)
    assert known.requests.overlap("tell me a joke!")


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


def test_a_ledger_of_other_rows_is_one_clear_error_and_no_file_has_changed(tmp_path: Path) -> None:
    path = write(tmp_path / "dialogs.jsonl", [asked(OWN[0], "own"), asked(COPIES[0][1], "copy")])
    counts = verify_file(path, tmp_path, ledger=True)
    Ledger({("single", "elsewhere", ""): 2}).write(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(InputError, match="ledger is not of these rows"):
        reject_overlaps(tmp_path, counts)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_rows_of_one_id_are_counted_as_the_rows_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", [asked(COPIES[0][1], "x"), asked(COPIES[1][1], "x"), asked(OWN[0], "x")])
    summary = decontaminate_file(path, tmp_path / "out")
    assert summary["overlapping"] == 2 and sum(summary["kinds"].values()) == 2
    assert summary["benchmarks"] == {"BFCL v4": 2}
    assert [row["row"] for _, row in read_rows(tmp_path / "out" / "overlap.jsonl")] == [1, 2]


def test_questions_of_a_benchmark_and_rows_of_other_shapes_are_compared_without_an_answer(tmp_path: Path) -> None:
    question = json.loads((data_folder() / "BFCL_v4_multiple.json").open(encoding="utf-8").readline())
    path = write(tmp_path / "odd.jsonl", [question, *API_BANK["level3.json"], {"query": OWN[3]}])
    summary = decontaminate_file(path, tmp_path / "out")
    assert (summary["rows"], summary["clean"], summary["overlapping"], summary["unreadable"]) == (3, 2, 1, 0)
    found = [row for _, row in read_rows(tmp_path / "out" / "overlap.jsonl")]
    assert {row["id"] for row in found} == {question["id"]}
    assert {row["kind"] for row in found} == {"request.same", "tool.name"}


def test_a_json_list_is_read_as_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "dialogs.json"
    path.write_text(json.dumps([asked(OWN[0], "own"), asked(COPIES[1][1], "copy")], indent=1), encoding="utf-8")
    summary = decontaminate_file(path, tmp_path / "out")
    assert (summary["rows"], summary["clean"]) == (2, 1)


def test_rows_that_cannot_be_compared_are_counted_and_kept_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "d.jsonl", [asked(OWN[0], "own"), {"id": "odd", "x": 1}, [1, 2]])
    assert app([str(path), "--out", str(tmp_path / "out"), "--strict"]) == 1
    assert "2 rows could not be compared" in capsys.readouterr().out
    rows = [row for _, row in read_rows(tmp_path / "out" / "unreadable.jsonl")]
    assert [row["verdict"]["where"] for row in rows] == ["d.jsonl:2", "d.jsonl:3"]
    assert rows[0]["id"] == "odd" and rows[1]["row"] == [1, 2]
    assert sum(1 for _ in read_rows(tmp_path / "out" / "clean.jsonl")) == 1


def test_the_report_names_a_benchmark_of_the_paper_that_was_not_compared_with(tmp_path: Path) -> None:
    (tmp_path / "api_bank").mkdir()
    (tmp_path / "api_bank" / "level3.json").write_text(json.dumps(API_BANK["level3.json"]), encoding="utf-8")
    path = write(tmp_path / "d.jsonl", [asked(API_BANK["level3.json"][0]["requirement"], "copy")])
    assert decontaminate_file(path, tmp_path / "without")["overlapping"] == 0
    assert "Not compared with API-Bank" in (tmp_path / "without" / "decontamination.md").read_text(encoding="utf-8")
    assert decontaminate_file(path, tmp_path / "with", [tmp_path / "api_bank"])["benchmarks"] == {"api_bank": 1}
    assert "Not compared" not in (tmp_path / "with" / "decontamination.md").read_text(encoding="utf-8")


def test_versions_of_bfcl_that_were_downloaded_are_compared_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "toolace" / "bfcl" / "bfcl_v1_2024"
    folder.mkdir(parents=True)
    write(folder / "questions.json", [{"id": "q", "question": OWN[5], "function": FUNCTION}])
    assert folders() == ()  # a download that was broken off
    (folder / "prompts.json").write_text("{}", encoding="utf-8")
    assert folders(["mine"]) == (folder, Path("mine"))
    assert known_benchmarks().requests.overlap(OWN[5])


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
