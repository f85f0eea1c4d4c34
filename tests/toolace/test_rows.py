"""JSON Lines files: every error names the line, and a file is written whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolace.errors import InputError
from toolace.rows import RowLog, dumps, load, read_json, read_rows, sha256, write_json, write_rows, write_text


def test_an_input_error_is_one_line_with_place_and_advice() -> None:
    error = InputError("is\n broken", where=Path("a.jsonl"), fix="Repair  it.")
    assert str(error) == "a.jsonl: is broken. Repair it."
    assert str(InputError("is broken")) == "is broken"


def test_rows_are_read_with_their_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n  \n{"b": "\xc3\xa9"}')
    assert list(read_rows(path)) == [(1, {"a": 1}), (4, {"b": "é"})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": \xff}', r"a\.jsonl:2: is not UTF-8 \(byte 6\)"),
        (b"\n{'a': 1}", r"a\.jsonl:2: is not JSON"),
        (b'{"a": NaN}', r"a\.jsonl:1: is not JSON \(NaN"),
        (b"[" * 100_000, r"a\.jsonl:1: is not JSON"),
        (b"[1]", r"a\.jsonl:1: holds a JSON list, not an object"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(read_rows(path))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl: cannot be read"):
        list(read_rows(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match="is a folder"):
        list(read_rows(tmp_path))


def test_an_error_of_the_reader_is_told_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1}\n{"id": 2}\n')

    def build(row: dict[str, Any]) -> int:
        if row["id"] == 2:
            raise InputError("is bad", where="row 2", fix="Mend it.")
        return int(row["id"])

    rows = load(path, build)
    assert next(rows) == 1
    with pytest.raises(InputError, match=r"a\.jsonl:2 \(row 2\): is bad\. Mend it\."):
        next(rows)


def test_rows_are_written_readably_and_read_back(tmp_path: Path) -> None:
    rows = [{"a": "é\ud800"}, {"a": "日本"}, {"b": [1.5, None, True]}]
    assert write_rows(tmp_path / "new" / "a.jsonl", rows) == 3
    assert [row for _, row in read_rows(tmp_path / "new" / "a.jsonl")] == rows
    assert "日本" in (tmp_path / "new" / "a.jsonl").read_text(encoding="utf-8")
    assert dumps({"a": "é"}) == '{"a": "é"}'


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    for value in (float("nan"), float("-inf"), 10**5000):
        with pytest.raises(InputError, match="cannot be written as JSON"):
            dumps({"a": value})


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_text(path, "old")

    def rows() -> Iterator[dict[str, Any]]:
        yield {"a": 1}
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        write_rows(path, rows())
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/a\.jsonl: cannot be written"):
        write_rows(tmp_path / "file" / "a.jsonl", [])
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder: cannot be written"):
        write_text(tmp_path / "folder", "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    with pytest.raises(InputError, match="file/log: cannot be written"):
        RowLog(tmp_path / "file" / "log")


def test_one_json_document_is_written_and_read(tmp_path: Path) -> None:
    value = {"a": ["é", "\ud800"], "b": 1}
    assert read_json(write_json(tmp_path / "a.json", value)) == value
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match=r"bad\.json: is not JSON"):
        read_json(tmp_path / "bad.json")
    with pytest.raises(InputError, match="cannot be written as JSON"):
        write_json(tmp_path / "a.json", float("nan"))


@pytest.mark.parametrize("torn", [b'{"id": "c", "te', b'{"id": "c"}', b'{"id": \n', b"[1]\n", b'{"x": 1}\n'])
def test_a_log_cuts_a_torn_end_off_and_goes_on(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "logs" / "log.jsonl"
    log = RowLog(path)
    log.append([{"id": "a"}, {"id": "b", "text": "é"}])
    assert log.seen == {"a", "b"}
    log.close()
    with path.open("ab") as stream:
        stream.write(torn)
    log = RowLog(path)
    assert (log.seen, log.rows) == ({"a", "b"}, [{"id": "a"}, {"id": "b", "text": "é"}])
    log.append(row for row in [{"id": "c"}])
    log.close()
    assert log.seen == {"a", "b", "c"}
    assert [row["id"] for _, row in read_rows(path)] == ["a", "b", "c"]


@pytest.mark.parametrize("broken", [b"{x}\n", b'{"x": 1}\n', b"[1]\n"])
def test_a_log_never_throws_away_rows_behind_a_broken_line(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "log.jsonl"
    content = b'{"id": "a"}\n' + broken + b'{"id": "b"}\n'
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"log\.jsonl:2: "):
        RowLog(path)
    assert path.read_bytes() == content


def test_the_sum_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000)
    assert sha256(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()
