from __future__ import annotations

import html.parser
import io
import json
from pathlib import Path
from typing import Any

import pytest
from clean_dialogs import ROWS

from data_gen.review import agreement, app, ask, sample, shown
from data_gen.verification.judging import digest
from data_gen.verification.reviews import read_reviews
from data_gen.verification.verify import verify_file
from toolace import InputError
from toolace.rows import RowLog, read_rows


def broken(row: dict[str, Any], id_: str, **arguments: Any) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(row))
    next(m for m in changed["messages"] if m.get("tool_calls"))["tool_calls"][0]["function"]["arguments"].update(
        arguments
    )
    return {**changed, "id": id_}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    wrong = [broken(ROWS[0], f"unknown-{i}", colour=i) for i in range(6)] + [broken(ROWS[0], "range", days=99)]
    rows = [*ROWS, *wrong, {"no": "dialog"}]
    path = tmp_path / "dialogs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    verify_file(path, tmp_path)
    return tmp_path


def test_half_of_the_sample_was_rejected_and_rare_rules_are_in_it(folder: Path) -> None:
    chosen = sample(folder, 6, seed=1)
    rules = [candidate.rule for candidate in chosen]
    assert len(chosen) == 6 and rules.count("") == 3
    assert {"call.schema", "call.no_unknown_parameter"} <= set(rules)
    assert [c.digest for c in sample(folder, 6, seed=1)] == [c.digest for c in chosen]
    assert {c.rule for c in sample(folder, 4, rule="call.schema")} == {"call.schema"}
    assert {c.rule for c in sample(folder, 4, rule="kept")} == {""}
    with pytest.raises(InputError, match="no dialog to review"):
        sample(folder, 4, rule="dialog.length")


def test_rows_that_could_not_be_read_are_not_offered(folder: Path) -> None:
    unreadable = {"id": "odd", "messages": [{"role": "nobody"}], "tools": [], "verdict": {"rule": "row.readable"}}
    with (folder / "rejected.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(unreadable) + "\n")
    assert "odd" not in {candidate.id for candidate in sample(folder, 50)}
    with pytest.raises(InputError, match="no dialog to review"):
        sample(folder, 4, rule="row.readable")


def test_what_was_said_of_a_dialog_of_another_type_is_not_said_of_this_one() -> None:
    row = dict(ROWS[0])
    assert digest(row) != digest({**row, "type": "parallel"}) and digest(row) == digest({**row, "id": "other"})


def test_answers_are_written_at_once_and_verify_obeys_them(folder: Path) -> None:
    chosen = sample(folder, 4, seed=2)
    words = iter(["k looks fine", "what?", "r wrong city", "s", "q"])
    log = RowLog(folder / "reviews.jsonl", key="digest")
    texts: list[str] = []
    counts = ask(chosen, log, answer=lambda prompt: next(words), say=texts.append)
    log.close()
    assert dict(counts) == {"kept": 1, "rejected": 1, "skipped": 1}
    assert any("Write k, r, s or q" in text for text in texts)
    rows = [row for _, row in read_rows(folder / "reviews.jsonl")]
    assert [(row["keep"], row["note"]) for row in rows] == [(True, "looks fine"), (False, "wrong city")]
    before = verify_file(folder / "dialogs.jsonl", folder / "a")
    after = verify_file(folder / "dialogs.jsonl", folder / "b", reviews=read_reviews(folder / "reviews.jsonl"))
    expected = before["kept"] + (rows[0]["rule"] != "") - (rows[1]["rule"] == "")
    assert after["kept"] == expected


def test_a_review_that_was_broken_off_goes_on_where_it_was(folder: Path) -> None:
    chosen = sample(folder, 3, seed=2)

    answers = ["k"]

    def first_only(prompt: str) -> str:
        if not answers:
            raise EOFError
        return answers.pop()

    log = RowLog(folder / "reviews.jsonl", key="digest")
    assert dict(ask(chosen, log, answer=first_only, say=lambda text: None)) == {"kept": 1}
    log.close()
    log = RowLog(folder / "reviews.jsonl", key="digest")
    assert dict(ask(chosen, log, answer=lambda prompt: "r", say=lambda text: None)) == {"rejected": 2}
    log.close()


def test_no_escape_sequence_of_a_dialog_reaches_the_terminal(folder: Path) -> None:
    candidate = sample(folder, 1, rule="kept")[0]
    candidate.row["messages"][0]["content"] = "\x1b[2Jgone\x07"
    assert "\x1b" not in shown(candidate) and "\\x1b[2Jgone\\x07" in shown(candidate)


class _Scripts(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._open: dict[str, str | None] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = dict(attrs) if tag == "script" else None
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)


def test_the_page_holds_the_dialogs_as_data_and_nothing_of_them_as_markup(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    row = json.loads(json.dumps(ROWS[0]))
    row["messages"][0]["content"] += hostile
    (folder / "verified.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert app([str(folder), "--html", str(folder / "review.html"), "--count", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dialogs"] == 3
    text = (folder / "review.html").read_text(encoding="utf-8")
    assert "<img" not in text and text.count("<script") == 2
    parser = _Scripts()
    parser.feed(text)
    data = json.loads(parser.scripts[0][1])
    assert any(hostile in turn["text"] for dialog in data for turn in dialog["turns"])
    assert all(dialog["digest"] for dialog in data)
    assert "script-src 'sha256-" in text and "http" not in text.replace("http-equiv", "")


def test_the_summary_says_how_often_people_agreed_with_each_rule(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"digest": "a", "keep": True, "rule": ""},
        {"digest": "b", "keep": True, "rule": "call.schema"},
        {"digest": "c", "keep": False, "rule": "call.schema"},
        {"digest": "a", "keep": False, "rule": ""},
    ]
    path = folder / "reviews.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    wanted = {"": {"agreed": 0, "overruled": 1}, "call.schema": {"agreed": 1, "overruled": 1}}
    assert agreement(folder, path) == wanted
    assert app([str(folder), "--summary", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rules"] == wanted


def test_without_a_terminal_there_is_nobody_to_ask(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(InputError, match="nobody to ask"):
        app([str(folder)])
    with pytest.raises(InputError, match="--count"):
        app([str(folder), "--count", "0"])
