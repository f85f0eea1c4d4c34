from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clean_dialogs import ROWS

from data_gen.verification.verify import app, verify_file
from toolace import Dialog, InputError, read_dialogs
from toolace.formats import FORMATS


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def broken_rows() -> list[Any]:
    wrong_name = json.loads(json.dumps(ROWS[0]))
    wrong_name["messages"][1]["tool_calls"][0]["function"]["name"] = "forecast"
    no_name = {**ROWS[0], "id": "no-name"}
    no_name["messages"] = [ROWS[0]["messages"][0], {"role": "assistant", "tool_calls": [{"function": {}}]}]
    return [wrong_name, no_name, {"id": "prompt", "text": "no dialog"}, [1, 2], "text"]


def test_rows_in_are_rows_kept_and_rejected_each_with_a_verdict(tmp_path: Path) -> None:
    path = write(tmp_path / "dialogs.jsonl", [*ROWS, *broken_rows()])
    counts = verify_file(path, tmp_path / "out")
    kept, rejected = read(tmp_path / "out" / "verified.jsonl"), read(tmp_path / "out" / "rejected.jsonl")
    assert counts == {
        "in": len(ROWS) + 5,
        "kept": len(ROWS),
        "rejected": 5,
        "rules": {"row.readable": 4, "call.name_in_list": 1},
    }
    assert [row["id"] for row in kept] == [row["id"] for row in ROWS]
    assert {tuple(row["verdict"]) for row in rejected} == {("rule", "evidence", "where")}
    assert all(row["verdict"]["rule"] and row["verdict"]["evidence"] for row in rejected)
    assert rejected[0]["verdict"]["where"] == "messages[1].calls[0]"
    assert rejected[2]["text"] == "no dialog"
    assert rejected[3]["row"] == [1, 2]


def test_verified_rows_are_the_dialogs_that_went_in(tmp_path: Path) -> None:
    path = write(tmp_path / "dialogs.jsonl", list(ROWS))
    verify_file(path, tmp_path / "out")
    assert list(read_dialogs(tmp_path / "out" / "verified.jsonl")) == [Dialog.from_json(row) for row in ROWS]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_any_format_is_read_and_rows_without_an_id_get_one(tmp_path: Path, name: str) -> None:
    dialogs = [Dialog.from_json({**row, "id": ""}) for row in ROWS]
    path = write(tmp_path / "set.jsonl", [FORMATS[name].to_row(dialog) for dialog in dialogs])
    assert verify_file(path, tmp_path / "out")["kept"] == len(ROWS)
    assert [row["id"] for row in read(tmp_path / "out" / "verified.jsonl")] == [
        f"set-{i + 1}" for i in range(len(ROWS))
    ]


def test_a_json_file_with_one_list_is_read(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_text(json.dumps(list(ROWS), indent=1), encoding="utf-8")
    assert verify_file(path, tmp_path / "out")["in"] == len(ROWS)


def test_a_row_that_json_cannot_hold_again_is_kept_as_text(tmp_path: Path) -> None:
    line = json.dumps(ROWS[0]).replace('"days": 3', '"days": NaN')
    path = tmp_path / "dialogs.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    assert verify_file(path)["rules"] in ({"row.readable": 1}, {"call.schema": 1})
    (row,) = read(tmp_path / "rejected.jsonl")
    assert row["text"] == line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"id": \n{"id": "a"}\n', ":1"),
        (b'{\n  "id": "a"\n}\n', ":1"),
        (b'{"id": "\xff"}\n', "UTF-8"),
        (b"\x1f\x8b\x08\x00", "gunzip"),
        (b"PAR1 and nothing else", "Parquet"),
        (b"", "no rows"),
        (b"\n\n", "no rows"),
        (b"[]", "no rows"),
        (b"[1, 2", "JSON"),
    ],
)
def test_a_broken_file_is_an_error_that_names_it_and_leaves_nothing_behind(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "dialogs.jsonl"
    path.write_bytes(content)
    out = tmp_path / "out"
    with pytest.raises(InputError, match=said) as caught:
        verify_file(path, out)
    assert "dialogs.jsonl" in str(caught.value)
    assert not list(out.iterdir())


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(InputError):
            verify_file(path, tmp_path / "out")


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "rejected.jsonl", list(ROWS))
    before = path.read_bytes()
    with pytest.raises(InputError, match="--out"):
        verify_file(path)
    assert path.read_bytes() == before


def test_the_command_prints_a_table_or_one_object_and_ends_with_0_or_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = write(tmp_path / "clean.jsonl", list(ROWS))
    mixed = write(tmp_path / "mixed.jsonl", [*ROWS, *broken_rows()])
    assert app([str(clean), "--out", str(tmp_path / "a"), "--strict"]) == 0
    assert app([str(mixed), "--out", str(tmp_path / "b")]) == 0
    table = capsys.readouterr().out
    assert f"{len(ROWS) + 5} rows: {len(ROWS)} kept" in table
    assert "4  row.readable" in table
    assert app([str(mixed), "--out", str(tmp_path / "b"), "--strict", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["rejected"] == 5


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "mixed.jsonl", [*ROWS, *broken_rows()])
    for out in ("a", "b"):
        verify_file(path, tmp_path / out)
    for name in ("verified.jsonl", "rejected.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
