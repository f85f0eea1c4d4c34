import pytest

from toolace.calls import Call
from toolace.dialogs import Dialog, Message, number_calls, write_dialogs
from toolace.embedded import prepare
from toolace.errors import InputError
from toolace.formats import from_any
from toolace.rows import read_rows
from toolace.tools import Tool
from toolace_train.data import REJECTED, load_training_set
from toolace_train.model import load_tokenizer
from toolace_train.over_length import distractors, without_distractors
from toolace_train.rendering import Renderer
from toolace_train.settings import DataSettings


def tool(name):
    schema = {"type": "object", "properties": {"x": {"type": "string", "description": "a value " * 5}}}
    return Tool(name, f"Does {name}.", schema)


def dialog(called=("t3",), request="Do it.", count=12):
    calls = tuple(Call(name, {"x": "v"}) for name in called)
    messages = number_calls([Message("user", request), Message("assistant", "" if calls else "No.", calls)])
    return Dialog("d", "", tuple(tool(f"t{i:02d}" if i > 9 else f"t{i}") for i in range(count)), messages, {})


def test_called_and_mentioned_tools_stay_and_the_last_goes_first():
    assert distractors(dialog(("t3", "t7"), "Is t11 better?", 12)) == [10, 9, 8, 6, 5, 4, 2, 1, 0]


def test_a_dialog_that_calls_nothing_keeps_one_tool():
    assert distractors(dialog((), count=3)) == [2, 1]


@pytest.mark.parametrize("fitting", range(1, 12))
def test_no_more_tools_are_removed_than_needed(fitting):
    shorter, removed = without_distractors(dialog(), lambda it: len(it.tools) <= fitting)
    assert len(shorter.tools) == fitting and removed == 12 - fitting
    assert "t3" in {tool.name for tool in shorter.tools}


def test_what_cannot_fit_is_not_changed():
    assert without_distractors(dialog(), lambda it: False) == (None, 11)
    assert without_distractors(dialog(("t0",), count=1), lambda it: True) == (None, 0)


def lengths(tmp_path, **settings):
    long = dialog(("t3",), "word " * 700)
    write_dialogs(tmp_path / "rows.jsonl", [dialog(), long, dialog(count=4)])
    data = DataSettings(files=(str(tmp_path / "rows.jsonl"),), max_length=400, **settings)
    return load_training_set(data, Renderer(load_tokenizer(str(prepare()))), folder=tmp_path / "run")


def test_rows_that_are_too_long_are_dropped_and_kept_with_the_reason(tmp_path):
    rows = lengths(tmp_path)
    assert (rows.rows, rows.kept, rows.rejected) == (3, 1, {"over_length": 2})
    assert len(rows.dropped) == 2 and rows.cut > 800
    kept = [row for _, row in read_rows(tmp_path / "run" / REJECTED)]
    assert "over data.max_length 400" in kept[0]["verdict"]["evidence"]
    assert from_any(kept[0]) == dialog()


def test_tools_that_nobody_calls_are_removed_until_a_row_fits(tmp_path):
    rows = lengths(tmp_path, over_length="truncate_tools")
    assert (rows.kept, rows.shortened, rows.rejected) == (2, 1, {"over_length": 1})
    assert 0 < rows.removed < 11
    text = load_tokenizer(str(prepare())).decode(rows.trees[0].input_ids)
    assert '"t0"' in text and '"t3"' in text and '"t11"' not in text and len(rows.trees[0].input_ids) <= 400
    assert f"1 rows fit after {rows.removed} unused tools were removed" in rows.report()
    [kept] = [row for _, row in read_rows(tmp_path / "run" / REJECTED)]
    assert "without its 11 unused tools still" in kept["verdict"]["evidence"] and len(kept["tools"]) == 12


def test_or_the_run_stops_at_the_first(tmp_path):
    with pytest.raises(InputError, match=r"rows.jsonl \(d\): has \d+ tokens, over data.max_length 400"):
        lengths(tmp_path, over_length="error")
