"""`toolace convert` rewrites a file in another format, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toolace import Call, Dialog, InputError, Message, Tool, write_dialogs
from toolace.convert import app
from toolace.dialogs import number_calls
from toolace.formats import FORMATS, read_any


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tool = Tool("f", "d", {"type": "object", "properties": {"a": {"type": "number"}}})
    messages = number_calls([Message("user", "é?"), Message("assistant", "", (Call("f", {"a": 1.5}),))])
    write_dialogs(tmp_path / "d.jsonl", [Dialog(f"d-{i}", "single", (tool,), messages) for i in range(3)])
    return tmp_path / "d.jsonl"


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_converted_beside_itself(source: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app([str(source), "--to", name]) == 0
    out = source.with_name(f"d.{name}.jsonl")
    assert capsys.readouterr().out == f"3 dialogs of {source} written to {out} ({name})\n"
    assert [item.messages for item in read_any(out)] == [item.messages for item in read_any(source)]


def test_json_prints_one_object(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "x.jsonl"
    assert app([str(source), "--to", "trl", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(source), "to": "trl", "out": str(out), "rows": 3}
    assert len(out.read_text(encoding="utf-8").splitlines()) == 3


def test_a_row_that_cannot_be_read_leaves_no_file(source: Path) -> None:
    with source.open("a") as stream:
        stream.write("{}\n")
    with pytest.raises(InputError, match=r"d\.jsonl:4: "):
        app([str(source), "--to", "hermes"])
    assert [path.name for path in source.parent.iterdir()] == ["d.jsonl"]


def test_help_shows_an_example_and_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        app(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "toolace convert runs/demo/verified.jsonl --to sharegpt" in text
    assert all(f"  {name} " in text for name in FORMATS)


def test_an_unknown_format_is_bad_usage(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        app([str(source), "--to", "yaml"])
    assert stop.value.code == 2
    assert "yaml" in capsys.readouterr().err


def test_an_empty_file_and_a_number_too_large_are_refused_and_nothing_is_written(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(InputError, match=r"empty.jsonl: holds no rows"):
        app([str(empty), "--to", "trl"])
    huge = tmp_path / "huge.jsonl"
    call = '{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\\"a\\": 1e400}"}}'
    huge.write_text('{"messages": [{"role": "assistant", "content": "", "tool_calls": [' + call + "]}]}\n")
    with pytest.raises(InputError, match=r"huge.jsonl:1.*arguments of the call to 'f' are not JSON"):
        app([str(huge), "--to", "sharegpt"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.jsonl", "huge.jsonl"]
