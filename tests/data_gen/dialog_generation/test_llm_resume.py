"""A run that is killed loses nothing and repeats nothing; one that is interrupted ends cleanly."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from llm_double import LlmDouble
from scripted_brain import TOOLS, brain, number_of

from data_gen.dialog_generation.generation import DialogSettings
from data_gen.dialog_generation.llm_generation import make_llm_dialogs
from data_gen.dialog_generation.player_settings import AgentSettings
from toolace import InputError
from toolace.journal import Journal
from toolace.llm_settings import LlmSettings
from toolace.rows import read_rows

HERE = Path(__file__).parent
COUNT = 40
# 5 % errors and 5 % bad JSON.
FAULTS = {"500": 0.02, "429": 0.02, "dropped": 0.01, "bad_json": 0.05}
CHILD = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from test_llm_resume import run
run({url!r}, Path({folder!r}))
"""


def run(url: str, folder: Path) -> int:
    settings = DialogSettings(
        count=COUNT, players="llm", llm=LlmSettings(base_url=url, model="double", seed=1, concurrency=16),
        agents=AgentSettings(concurrency=20),
    )  # fmt: skip
    made: int = make_llm_dialogs(folder, TOOLS, settings, 5, "same")["made"]
    return made


def child(url: str, folder: Path) -> subprocess.Popen[bytes]:
    path = [str(HERE.parents[2]), str(HERE.parents[1]), str(HERE)]
    code = CHILD.format(path=path, url=url, folder=str(folder))
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)


def journalled(folder: Path) -> int:
    """Answers that are in the journal, as another process sees them."""
    with contextlib.suppress(sqlite3.Error), sqlite3.connect(folder / "journal.sqlite", timeout=10) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0])
    return 0


def wait_for(folder: Path, answers: int) -> None:
    until = time.monotonic() + 60
    while journalled(folder) < answers:
        assert time.monotonic() < until, "the child makes no progress"
        time.sleep(0.01)


def test_kill_9_in_the_middle_repeats_no_finished_call_and_loses_or_doubles_no_dialog(tmp_path: Path) -> None:
    with LlmDouble(brain, latency=0.02, faults=FAULTS, seed=2) as double:
        for answers in (30, 90):  # killed, gone on with, killed again
            process = child(double.url, tmp_path)
            wait_for(tmp_path, answers)
            process.kill()
            process.wait()
            time.sleep(0.1)  # what the server still works on
        kept, answered = journalled(tmp_path), double.calls
        assert answered - kept <= 2 * 16  # only what was in flight at a kill was answered and not kept
        made = run(double.url, tmp_path)
        assert double.calls - answered == journalled(tmp_path) - kept  # every call after it brought something new
    with LlmDouble(brain) as undisturbed:
        run(undisturbed.url, tmp_path / "undisturbed")
    ids = [row["id"] for _, row in read_rows(tmp_path / "dialogs.jsonl")]
    keys = [row["id"] for _, row in read_rows(tmp_path / "dialogs.log.jsonl") if row["id"]]
    assert len(ids) == len(set(ids)) == made >= COUNT - 2
    assert len(keys) == len(set(keys)) == COUNT
    # What was cut short became what it would have been, but for dialogs of which an attempt failed for good.
    whole = {row["id"]: row["messages"] for _, row in read_rows(tmp_path / "undisturbed" / "dialogs.jsonl")}
    same = sum(row["messages"] == whole.get(row["id"]) for _, row in read_rows(tmp_path / "dialogs.jsonl"))
    assert same >= 0.9 * COUNT


def test_a_finished_run_is_not_played_again(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        run(double.url, tmp_path)
        before, calls = (tmp_path / "dialogs.jsonl").read_bytes(), sum(double.asked.values())
        run(double.url, tmp_path)
        assert sum(double.asked.values()) == calls
    assert (tmp_path / "dialogs.jsonl").read_bytes() == before


def test_ctrl_c_finishes_what_is_in_work_and_says_how_to_go_on(tmp_path: Path) -> None:
    with LlmDouble(brain, latency=0.02) as double:
        process = child(double.url, tmp_path)
        wait_for(tmp_path, 50)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert b"stopped (interrupted)" in errors and b"Run the same command again" in errors
        finished = [row["id"] for _, row in read_rows(tmp_path / "dialogs.jsonl")]
        assert 0 < len(finished) < COUNT
        assert run(double.url, tmp_path) >= COUNT - 1
        assert not double.repeated()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolace.endpoint.backoff", lambda repeat: 0.001)


def test_a_server_that_goes_away_costs_no_dialog(tmp_path: Path, impatient: None) -> None:
    double = LlmDouble(brain, latency=0.005, faults=lambda body, _: "dropped" if double.calls > 150 else "")
    with double, pytest.raises(InputError, match=r"5 calls in a row failed.*Run the same command again") as stop:
        run(double.url, tmp_path)
    finished = [row["id"] for _, row in read_rows(tmp_path / "dialogs.log.jsonl") if row["id"]]
    assert 0 < len(finished) < COUNT and f"for the other {COUNT - len(finished)}:" in str(stop.value)
    assert not list(read_rows(tmp_path / "rejected_dialogs.jsonl"))
    with LlmDouble(brain) as back:
        assert run(back.url, tmp_path) == COUNT
    with LlmDouble(brain) as undisturbed:
        run(undisturbed.url, tmp_path / "undisturbed")
    assert not set(double.answered) & set(back.answered), "nothing is asked twice"
    whole = (tmp_path / "undisturbed" / "dialogs.jsonl").read_bytes()
    assert (tmp_path / "dialogs.jsonl").read_bytes() == whole


def poisoned(body: dict[str, object], fault: str) -> str:
    """The fault, for one in about thirty requests, whenever it is made."""
    return fault if number_of(body) % 31 == 0 else ""


def test_a_dialog_that_the_server_always_fails_is_given_up_in_the_third_run(tmp_path: Path, impatient: None) -> None:
    with LlmDouble(brain, faults=lambda body, _: poisoned(body, "500")) as double:
        for _ in range(2):
            with pytest.raises(InputError, match=r"the server failed \d+ dialogs.*answered 500.*Run the same command"):
                run(double.url, tmp_path)
            assert not [row for _, row in read_rows(tmp_path / "rejected_dialogs.jsonl") if "500" in str(row)]
        assert 0 < run(double.url, tmp_path) <= COUNT
    rules = {row["verdict"]["rule"] for _, row in read_rows(tmp_path / "rejected_dialogs.jsonl")}
    assert "llm.call_failed" in rules


def test_a_request_that_is_refused_for_itself_ends_its_attempt_in_the_first_run(tmp_path: Path) -> None:
    with LlmDouble(brain, faults=lambda body, _: poisoned(body, "400")) as double:
        assert 0 < run(double.url, tmp_path) <= COUNT
    told = [row["verdict"]["evidence"] for _, row in read_rows(tmp_path / "rejected_dialogs.jsonl")]
    assert any("maximum context length" in line for line in told)


def test_a_torn_last_row_of_the_log_is_made_again(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        made = run(double.url, tmp_path)
        log = tmp_path / "dialogs.log.jsonl"
        log.write_bytes(log.read_bytes()[:-200])
        assert run(double.url, tmp_path) == made and not double.repeated()


def test_an_unreachable_journal_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, but long enough to be looked at " * 40)
    with LlmDouble(brain) as double, pytest.raises(InputError, match="cannot be used as a journal"):
        run(double.url, tmp_path)
    assert not double.asked


def test_totals_by_agent_stand_in_the_journal(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        run(double.url, tmp_path)
        with Journal(tmp_path / "journal.sqlite") as journal:
            totals = journal.totals()
        assert set(totals) == {"user", "assistant", "tool"}
        assert sum(stage["calls"] for stage in totals.values()) == double.calls
