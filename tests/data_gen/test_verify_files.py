from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clean_dialogs import FORECAST, ROWS

from data_gen.tool_synthesis.benchmark import data_folder
from data_gen.verification.bfcl_rows import answers_beside, from_bfcl, is_answered
from data_gen.verification.judging import digest
from data_gen.verification.ledger import Ledger
from data_gen.verification.reading import read_dialog
from data_gen.verification.rules import check_all
from data_gen.verification.verify import app, verify_file
from toolace import Call, Dialog, InputError
from toolace.formats import FORMATS, from_any
from toolace.pair_rows import python_type
from toolace.rows import read_rows


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def wrong(row: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(row))
    calls = next(m for m in changed["messages"] if m.get("tool_calls"))["tool_calls"]
    calls[0]["function"]["arguments"]["colour"] = "blue"
    return changed


@pytest.mark.parametrize("jobs", [2, 3])
def test_several_processes_write_the_same_bytes_in_the_same_order(tmp_path: Path, jobs: int) -> None:
    rows = [{**row, "id": f"{i}"} for i in range(700) for row in (ROWS[i % 6], {"x": i})]
    rows[5] = wrong(rows[4])
    path = write(tmp_path / "rows.jsonl", rows)
    one = verify_file(path, tmp_path / "one", jobs=1, ledger=True)
    assert verify_file(path, tmp_path / "many", jobs=jobs, ledger=True) == one
    for name in ("verified.jsonl", "rejected.jsonl", "ledger.json", "ledger.md", "ledger.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()


def test_a_broken_line_is_rejected_by_name_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", list(ROWS) * 300)
    number = len(ROWS) * 300 + 1
    with path.open("ab") as stream:
        stream.write(b'{"id": \n' + json.dumps(ROWS[0]).encode() + b"\n")
    for jobs in (1, 2):
        counts = verify_file(path, tmp_path / str(jobs), jobs=jobs)
        assert counts["in"] == number + 1 and counts["rules"]["row.readable"] == 1
    rejected = [row for _, row in read_rows(tmp_path / "2" / "rejected.jsonl")]
    (broken,) = [row for row in rejected if row["verdict"]["rule"] == "row.readable"]
    assert broken["text"] == '{"id": ' and broken["verdict"]["where"] == f"rows.jsonl:{number}"


def test_parquet_is_judged_as_its_rows_are(tmp_path: Path) -> None:
    rows = [FORMATS["trl"].to_row(Dialog.from_json(row)) for row in ROWS]
    plain = [{**row, **{key: json.dumps(row[key]) for key in ("tools", "meta", "messages")}} for row in rows]
    pq.write_table(pa.Table.from_pylist(plain), tmp_path / "rows.parquet")
    write(tmp_path / "rows.jsonl", rows)
    lines, table = (verify_file(tmp_path / f"rows.{end}", tmp_path / end) for end in ("jsonl", "parquet"))
    assert table == lines


def test_files_change_together_or_not_at_all(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", list(ROWS))
    out = tmp_path / "out"
    (out / "rejected.jsonl").mkdir(parents=True)
    (out / "verified.jsonl").write_text("old\n")
    with pytest.raises(InputError, match="cannot be written"):
        verify_file(path, out, ledger=True)
    assert (out / "verified.jsonl").read_text() == "old\n"
    assert sorted(each.name for each in out.iterdir()) == ["rejected.jsonl", "verified.jsonl"]


def test_rows_are_read_as_convert_reads_them_in_every_format() -> None:
    for row in ROWS:
        dialog = Dialog.from_json(row)
        shown = [row, *(form.to_row(dialog) for form in FORMATS.values())]
        for variant in shown:
            text = json.loads(json.dumps(variant))
            assert read_dialog(text) == from_any(text)


def test_a_broken_row_is_refused_with_the_words_of_convert() -> None:
    broken: list[Any] = [
        {"messages": [{"role": "ghost"}], "tools": []},
        {"messages": [], "tools": [5]},
        {"messages": [], "tools": [{"name": ""}]},
        {"messages": [], "tools": [], "meta": 5},
        {"id": "x", "messages": "no", "tools": []},
        {"neither": 1},
        7,
    ]
    for row in broken:
        with pytest.raises(InputError) as ours:
            read_dialog(row)
        with pytest.raises(InputError) as theirs:
            from_any(row)
        assert ours.value.what == theirs.value.what


def test_a_row_is_written_as_a_dialog_even_when_it_came_in_another_order_of_keys(tmp_path: Path) -> None:
    row = dict(reversed(list(ROWS[0].items())))
    verify_file(write(tmp_path / "rows.jsonl", [row]), tmp_path / "out")
    ((_, kept),) = list(read_rows(tmp_path / "out" / "verified.jsonl"))
    assert Dialog.from_json(kept) == Dialog.from_json(ROWS[0])


def test_a_number_that_json_cannot_hold_is_not_written_as_it_stands(tmp_path: Path) -> None:
    for text in ("NaN", "Infinity", "1e999"):
        kept = json.loads(json.dumps(Dialog.from_json(ROWS[0]).to_json()))
        line = json.dumps({**kept, "meta": {"x": 5}}).replace('"x": 5', f'"x": {text}')
        path = tmp_path / "rows.jsonl"
        path.write_text(line + "\n", encoding="utf-8")
        assert verify_file(path, tmp_path / "out")["rules"] == {"row.readable": 1}


XLAM = {
    "id": 7,
    "query": "Which numbers from 3, 4 and 9 are even, and is 11 prime? Answer for 2 users.",
    "tools": json.dumps(
        [
            {
                "name": "filter_even",
                "description": "Keeps the even numbers of a list.",
                "parameters": {
                    "numbers": {"type": "List[int]", "description": "Numbers."},
                    "users": {"type": "int, optional", "description": "How many users."},
                    "mode": {"type": "Optional[str]", "description": "How.", "default": "fast"},
                },
            },
            {
                "name": "is_prime",
                "description": "Says whether a number is prime.",
                "parameters": {"number": {"type": "int", "description": "Number."}},
            },
        ]
    ),
    "answers": json.dumps(
        [
            {"name": "filter_even", "arguments": {"numbers": [3, 4, 9], "users": 2}},
            {"name": "is_prime", "arguments": {"number": 11}},
        ]
    ),
}


def test_xlam_rows_are_checked_with_the_types_that_python_names() -> None:
    assert check_all(read_dialog(XLAM)) == []
    answers = json.loads(str(XLAM["answers"]))
    answers[0]["arguments"]["numbers"] = [3, "4", 9]
    found = check_all(read_dialog({**XLAM, "answers": json.dumps(answers)}))
    assert [verdict.where for verdict in found] == ["messages[1].calls[0].numbers[1]"]
    del answers[1]["arguments"]["number"]
    assert "call.required_given" in {v.rule for v in check_all(read_dialog({**XLAM, "answers": answers}))}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("str", {"type": "string"}),
        ("List[List[float]]", {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
        ("Dict[str, int]", {"type": "object"}),
        ("Optional[int]", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ("Union[int, float]", {"anyOf": [{"type": "integer"}, {"type": "number"}]}),
        ("Tuple[int, str]", {"type": "array"}),
        ("Callable[[int], bool]", {}),
        ("Any", {}),
        ("List[" * 50 + "int" + "]" * 50, {}),
    ],
)
def test_types_of_python(text: str, schema: Any) -> None:
    assert python_type(text) == schema


GLAIVE = {
    "system": "SYSTEM: You are a helpful assistant with access to the following functions. Use them if required -\n"
    + json.dumps({k: FORECAST[k] for k in ("name", "description", "parameters")}, indent=4),
    "chat": "USER: Weather in Oslo for 3 days?\n\n\nASSISTANT: <functioncall> "
    '{"name": "weather.forecast", "arguments": \'{"city": "Oslo", "days": 3}\'} <|endoftext|>\n\n\n'
    'FUNCTION RESPONSE: {"city": "Oslo", "high": 4}\n\n\nASSISTANT: It will reach 4 degrees. <|endoftext|>\n',
}


def test_glaive_chats_are_read_with_their_quoted_arguments() -> None:
    dialog = read_dialog(GLAIVE)
    assert [message.role for message in dialog.messages] == ["user", "assistant", "tool", "assistant"]
    assert dialog.messages[1].calls == (Call("weather.forecast", {"city": "Oslo", "days": 3}),)
    assert dialog.messages[3].content == "It will reach 4 degrees."
    assert check_all(dialog) == []
    with pytest.raises(InputError, match="no JSON"):
        read_dialog({**GLAIVE, "chat": "USER: x\n\nASSISTANT: <functioncall> {broken"})


CATEGORIES = (
    "simple_python", "simple_java", "simple_javascript", "multiple", "parallel", "parallel_multiple", "live_simple",
    "live_multiple", "live_parallel", "live_parallel_multiple",
)  # fmt: skip


def test_bfcls_own_gold_answers_pass_at_97_percent(tmp_path: Path) -> None:
    total = kept = 0
    for category in CATEGORIES:
        counts = verify_file(data_folder() / f"BFCL_v4_{category}.json", tmp_path / category, jobs=1)
        total, kept = total + counts["in"], kept + counts["kept"]
    assert total == 2501
    assert kept / total >= 0.97


def test_a_bfcl_answer_is_one_of_those_accepted_and_what_may_be_left_out_is() -> None:
    path = data_folder() / "BFCL_v4_simple_python.json"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    dialogs = [from_bfcl(is_answered(path, rows[i], answers_beside(path))) for i in (0, 14)]
    calls = [dialog.messages[-1].calls for dialog in dialogs]
    assert calls[0] == (Call("calculate_triangle_area", {"base": 10, "height": 5, "unit": "units"}),)
    assert calls[1] == (Call("calculate_derivative", {"function": "3x**2 + 2x - 1"}),)  # x_value may be left out


def test_a_bfcl_question_with_a_wrong_answer_is_rejected_and_one_without_is_not_readable(tmp_path: Path) -> None:
    question = {"id": "q-1", "question": [[{"role": "user", "content": "Weather of Oslo?"}]], "function": [FORECAST]}
    answers = write(
        tmp_path / "answers.jsonl", [{"id": "q-1", "ground_truth": [{"weather.forecast": {"city": ["Rome"]}}]}]
    )
    path = write(tmp_path / "questions.jsonl", [question, {**question, "id": "q-2"}])
    counts = verify_file(path, tmp_path / "out", answers=answers)
    assert counts["rules"] == {"row.readable": 1, "grounding.value": 1}
    with pytest.raises(InputError, match="ground_truth"):
        verify_file(path, tmp_path / "out", answers=path)


def test_messages_of_every_age_are_read() -> None:
    call = {"name": "weather.forecast", "arguments": '{"city": "Oslo", "days": 3}'}
    row = {
        "functions": [FORECAST],
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Weather in Oslo"}, {"type": "text", "text": "for 3 days?"}],
            },
            {"role": "assistant", "content": None, "function_call": call},
            {"role": "function", "name": "weather.forecast", "content": '{"city": "Oslo", "high": 4}'},
            {"role": "assistant", "content": "It will reach 4 degrees."},
        ],
    }
    dialog = read_dialog(row)
    assert [message.role for message in dialog.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert dialog.messages[1].content == "Weather in Oslo\nfor 3 days?"
    assert check_all(dialog) == []


def test_an_empty_list_of_answers_is_an_answer_without_a_call() -> None:
    dialog = read_dialog({**XLAM, "answers": "[]"})
    assert dialog.messages[-1].role == "assistant" and not dialog.messages[-1].calls
    assert check_all(dialog) == []


def test_gold_of_older_releases_is_read_an_object_of_calls_and_calls_as_code() -> None:
    question = {"id": "java_3", "question": "Weather of Oslo for 3 days?", "function": FORECAST}
    wanted = (Call("weather.forecast", {"city": "Oslo", "days": 3}),)
    accepted = {"weather.forecast": {"city": ["Oslo"], "days": [3]}}
    for gold in (
        accepted,
        [accepted],
        ["weather.forecast(city='Oslo', days=3)"],
        [["weather.forecast(city='Oslo', days=3)"]],
    ):
        assert read_dialog({**question, "ground_truth": gold}).messages[-1].calls == wanted
    assert read_dialog({**question, "ground_truth": ["weather.forecast('Oslo')"]}).messages[-1].calls[0].arguments == {
        "city": "Oslo"
    }
    assert not read_dialog({**question, "id": "live_irrelevance_3"}).messages[-1].calls
    with pytest.raises(InputError, match="no call"):
        read_dialog({**question, "ground_truth": ["weather of Oslo"]})


@pytest.mark.parametrize("name", ["irrelevance", "multi_turn_base"])
def test_questions_without_a_call_and_conversations_are_read_from_bfcls_folder(tmp_path: Path, name: str) -> None:
    counts = verify_file(data_folder() / f"BFCL_v4_{name}.json", tmp_path, jobs=1)
    assert counts["rules"].get("row.readable", 0) == 0
    assert name != "irrelevance" or counts["kept"] == counts["in"] == 240


def test_an_unreadable_row_is_told_with_its_line_and_more_processes_than_cores_are_not_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "rows.jsonl", [ROWS[0], {"x": 1}])
    assert app([str(path), "--out", str(tmp_path / "out"), "--jobs", "9999"]) == 0
    assert "--jobs 9999 is more than there are cores" in capsys.readouterr().err
    ((_, row),) = list(read_rows(tmp_path / "out" / "rejected.jsonl"))
    assert row["verdict"]["where"] == "rows.jsonl:2"


def test_what_a_person_said_goes_before_any_rule_and_is_about_the_dialog_and_not_its_id(tmp_path: Path) -> None:
    bad = Dialog.from_json(wrong(ROWS[0])).to_json()
    good = Dialog.from_json(ROWS[1]).to_json()
    path = write(tmp_path / "rows.jsonl", [bad, good, {**bad, "id": "twin"}, ROWS[2]])
    reviews = write(
        tmp_path / "reviews.jsonl",
        [
            {"id": "?", "digest": digest(bad), "keep": True, "note": "", "rule": ""},
            {"id": "?", "digest": digest(good), "keep": False, "note": "dull", "rule": ""},
        ],
    )
    words = [str(path), "--out", str(tmp_path / "out"), "--reviews", str(reviews), "--json"]
    assert app(words) == 0
    assert [row["id"] for _, row in read_rows(tmp_path / "out" / "verified.jsonl")] == [
        bad["id"],
        "twin",
        ROWS[2]["id"],
    ]
    ((_, row),) = list(read_rows(tmp_path / "out" / "rejected.jsonl"))
    assert row["verdict"]["rule"] == "review.rejected"


def test_the_ledger_counts_what_each_rule_saw_by_type_and_source_and_what_it_cost(tmp_path: Path) -> None:
    rows = [{**row, "meta": {"source": "ours", "cost": {"tokens": 40}}} for row in (*ROWS, wrong(ROWS[0]))]
    verify_file(write(tmp_path / "rows.jsonl", [*rows, {"x": 1}]), tmp_path, ledger=True)
    ledger = Ledger.read(tmp_path)
    rates = {rate["rule"]: rate for rate in ledger.rates()}
    assert rates["row.readable"] == {"rule": "row.readable", "seen": 8, "rejected": 1, "passed": 87.5}
    assert rates["call.no_unknown_parameter"]["seen"] == 7 and rates["grounding.value"]["seen"] == 6
    assert {group["name"]: (group["in"], group["kept"]) for group in ledger.groups(1)} == {"": (1, 0), "ours": (7, 6)}
    assert ledger.cost == {("call.no_unknown_parameter", "tokens"): 40.0}
    text = (tmp_path / "ledger.md").read_text(encoding="utf-8")
    assert "| call.no_unknown_parameter | 7 | 1 | 85.71 |" in text and "40 tokens" in text
    import xml.etree.ElementTree as Tree

    picture = Tree.fromstring((tmp_path / "ledger.svg").read_text(encoding="utf-8"))
    labels = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "call.no_unknown_parameter" in labels and "14.29" in labels


def test_a_ledger_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="no ledger"):
        Ledger.read(tmp_path)
    with pytest.raises(InputError, match="not of these rows"):
        Ledger({("single", "", ""): 1}).moved({("single", ""): 2}, "x")


@pytest.mark.parametrize("jobs", ["-1", "x"])
def test_bad_numbers_of_processes_are_refused(tmp_path: Path, jobs: str) -> None:
    path = write(tmp_path / "rows.jsonl", list(ROWS))
    with pytest.raises((InputError, SystemExit)):
        app([str(path), "--jobs", jobs])
