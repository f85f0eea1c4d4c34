from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolace.chat import CallFailed, ChatStopped
from toolace.errors import InputError
from toolace.journal import Entry, Journal, key_of


def test_an_answer_is_asked_for_once_over_all_runs(tmp_path: Path) -> None:
    path, asked = tmp_path / "deep" / "journal.sqlite", []

    async def ask() -> Entry:
        asked.append(1)
        return Entry({"text": "Grüße \ud800"}, 3, 4, "user agent", "d-1")

    async def work() -> list[tuple[Entry, bool]]:
        with Journal(path) as journal:
            return [await journal.once(key_of({"a": 1}), ask), await journal.once(key_of({"a": 1}), ask)]

    (first, reused), (second, reused_2) = asyncio.run(work())
    (third, reused_3), _ = asyncio.run(work())
    assert len(asked) == 1 and (reused, reused_2, reused_3) == (False, True, True)
    assert first == second == third == Entry({"text": "Grüße \ud800"}, 3, 4, "user agent", "d-1")


def test_requests_are_one_when_their_json_is_and_differ_in_any_value() -> None:
    assert key_of({"a": [1, "é"], "b": None}) == key_of({"b": None, "a": [1, "é"]})
    assert key_of(1, {"a": "2", "b": "3"}) == key_of(1, {"b": "3", "a": "2"})  # written out before
    assert len({key_of(1), key_of(1, {"a": "2"}), key_of(1, {"a": "3"}), key_of(1, {"b": "2"})}) == 4
    assert len({key_of(value) for value in ({"a": 1}, {"a": 2}, {"a": "1"}, {"b": 1}, {"a": [1]})}) == 5


def test_equal_requests_in_flight_are_asked_once(tmp_path: Path) -> None:
    asked = []

    async def ask() -> Entry:
        asked.append(1)
        await asyncio.sleep(0.01)
        return Entry("text")

    async def work() -> list[tuple[Entry, bool]]:
        with Journal(tmp_path / "j") as journal:
            return await asyncio.gather(*(journal.once(b"k", ask) for _ in range(50)))

    results = asyncio.run(work())
    assert len(asked) == 1
    assert sum(not reused for _, reused in results) == 1 and {entry.answer for entry, _ in results} == {"text"}


def test_a_failed_call_fails_for_all_who_wait_and_is_not_kept(tmp_path: Path) -> None:
    async def fails() -> Entry:
        await asyncio.sleep(0.01)
        raise CallFailed("no answer")

    async def works() -> Entry:
        return Entry(1)

    async def work() -> None:
        with Journal(tmp_path / "j") as journal:
            both = await asyncio.gather(journal.once(b"k", fails), journal.once(b"k", fails), return_exceptions=True)
            assert [type(error) for error in both] == [CallFailed, CallFailed]
            assert await journal.once(b"k", works) == (Entry(1), False)

    asyncio.run(work())


def test_a_call_whose_asker_is_cancelled_is_finished_and_kept(tmp_path: Path) -> None:
    async def ask() -> Entry:
        await asyncio.sleep(0.05)
        return Entry("paid for")

    async def work() -> None:
        with Journal(tmp_path / "j") as journal:
            first, second = (asyncio.create_task(journal.once(b"k", ask)) for _ in range(2))
            await asyncio.sleep(0.01)
            first.cancel()
            assert (await second)[0].answer == "paid for"
            third = asyncio.create_task(journal.once(b"l", ask))
            await asyncio.sleep(0.01)
            third.cancel()
            await journal.settled()
            kept = journal.get(b"l")
            assert kept is not None and kept.answer == "paid for"

    asyncio.run(work())


def test_the_first_of_two_answers_stays(tmp_path: Path) -> None:
    async def work() -> None:
        with Journal(tmp_path / "j") as one, Journal(tmp_path / "j") as other:
            await one.put(b"k", Entry("first"))
            await other.put(b"k", Entry("second"))
            assert one.get(b"k") == other.get(b"k") == Entry("first")

    asyncio.run(work())


def test_costs_are_summed_by_stage(tmp_path: Path) -> None:
    async def work() -> None:
        with Journal(tmp_path / "j") as journal:
            for number in range(6):
                stage = ("user", "tool")[number % 2]
                await journal.put(bytes([number]), Entry("text", 10 * number, 1, stage, "odd \ud800 label"))
            assert journal.totals() == {
                "user": {"calls": 3, "prompt_tokens": 60, "completion_tokens": 3},
                "tool": {"calls": 3, "prompt_tokens": 90, "completion_tokens": 3},
            }

    asyncio.run(work())


def test_ten_thousand_answers_are_kept_in_a_few_seconds_by_hundreds_at_once(tmp_path: Path) -> None:
    answer = {"choices": [["word " * 200, "", "stop"]], "seconds": 0.1}

    async def work() -> float:
        with Journal(tmp_path / "j") as journal:

            async def some(worker: int) -> None:
                for number in range(50):
                    await journal.put(key_of([worker, number]), Entry(answer, 1, 2, "stage", "label"))

            start = time.perf_counter()
            await asyncio.gather(*(some(worker) for worker in range(200)))
            seconds = time.perf_counter() - start
            assert sum(stage["calls"] for stage in journal.totals().values()) == 10_000
            return seconds

    assert asyncio.run(work()) < 10  # 1,000 a second; ten times that on an idle core


CHILD = """
import asyncio, sys
from toolace.journal import Entry, Journal, key_of

async def work(path):
    with Journal(path) as journal:
        async def one(worker):
            for number in range(10**9):
                key = key_of([worker, number])
                await journal.put(key, Entry([worker, number]))
                sys.stdout.write(f"{worker} {number}\\n")
        await asyncio.gather(*(one(worker) for worker in range(50)))

sys.stdout.reconfigure(line_buffering=True)
asyncio.run(work(sys.argv[1]))
"""


def test_kill_9_loses_nothing_that_was_returned(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    for _ in range(2):  # killed, gone on with, killed again
        with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            told = [child.stdout.readline() for _ in range(3_000)]
            child.send_signal(signal.SIGKILL)
            told += [line for line in child.stdout if line.endswith("\n")]
        assert child.returncode == -signal.SIGKILL
        with Journal(path) as journal:
            for line in told:
                expected = [int(word) for word in line.split()]
                kept = journal.get(key_of(expected))
                assert kept is not None and kept.answer == expected


def fill(path: Path, count: int = 300) -> None:
    async def work() -> None:
        with Journal(path) as journal:
            entry = Entry("word " * 100)
            await asyncio.gather(*(journal.put(key_of(number), entry) for number in range(count)))

    asyncio.run(work())


def foreign_text(path: Path) -> None:
    path.write_text('{"id": "d-1", "messages": []}\n' * 100)


def foreign_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE notes (text)")


def another_version(path: Path) -> None:
    fill(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")


def cut_short(path: Path) -> None:
    fill(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    fill(path)
    data = bytearray(path.read_bytes())
    data[8192:40960] = b"\xff" * (40960 - 8192)
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [foreign_text, foreign_database, another_version, cut_short, overwritten])
def test_foreign_and_damaged_files_are_named_and_left_as_they_are(tmp_path: Path, spoil: object) -> None:
    path = tmp_path / "file"
    assert callable(spoil)
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(InputError) as told:
        Journal(path)
    assert str(path) in str(told.value) and "\n" not in str(told.value) and told.value.fix
    assert path.read_bytes() == before


def test_a_folder_or_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "j.sqlite"):
        with pytest.raises(InputError, match="cannot be used as a journal"):
            Journal(path)


def test_a_damaged_answer_is_told_and_not_used(tmp_path: Path) -> None:
    path = tmp_path / "j"
    fill(path, 3)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE answers SET answer='{\"half'")
    with Journal(path) as journal, pytest.raises(InputError, match="the journal is damaged"):
        journal.get(key_of(1))


def test_a_journal_that_cannot_be_written_stops_the_work(tmp_path: Path) -> None:
    async def work() -> None:
        with Journal(tmp_path / "j") as journal:
            journal._writing.execute("PRAGMA max_page_count=4")  # as if the disk were full
            with pytest.raises(ChatStopped, match="cannot be written"):
                await journal.put(b"k", Entry("word " * 100_000))
            journal._writing.execute("PRAGMA max_page_count=1000")
            await journal.put(b"l", Entry("text"))
            assert journal.get(b"k") is None and journal.get(b"l") == Entry("text")

    asyncio.run(work())


def test_a_copy_of_a_closed_journal_is_a_journal(tmp_path: Path) -> None:
    fill(tmp_path / "j")
    shutil.copy(tmp_path / "j", tmp_path / "copy")
    with Journal(tmp_path / "copy") as journal:
        entry = journal.get(key_of(299))
    assert entry is not None and json.dumps(entry.answer) == json.dumps("word " * 100)
