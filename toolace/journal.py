"""Journal: one SQLite file in which every paid answer is kept, so that what was asked once is never asked again.

An answer is in the file before anyone sees it. The file is in WAL mode with synchronous=NORMAL: a commit hands its
pages to the operating system, which keeps them however the process dies (kill -9, out of memory); only a power cut can
lose the last commits, and even then the file stays whole. Waiting for the disk at every commit would buy no more than
that, at a hundredth of the speed.

One thread writes and takes everything that waits into one transaction, so that the event loop never waits for a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from toolace.chat import ChatStopped
from toolace.errors import InputError
from toolace.rows import strict_json

# Marks the file as ours to SQLite ("tace"), and the shape of its table.
APPLICATION_ID = 0x74616365
VERSION = 2
_BATCH = 1_000

_TABLE = """CREATE TABLE answers (
    key BLOB PRIMARY KEY,            -- SHA-256 of the canonical request
    stage TEXT NOT NULL,
    label TEXT NOT NULL,
    answer TEXT NOT NULL,            -- JSON
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    at REAL NOT NULL                 -- Unix time
)"""

Ask = Callable[[], Awaitable["Entry"]]


# An encoder is made once: `json.dumps` makes one at every call that is given options.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def key_of(request: Any, written: Mapping[str, str] | None = None) -> bytes:
    """SHA-256 of the canonical JSON of a request: sorted keys, no spaces, ASCII.

    Args:
        written: what else belongs to the request, as canonical JSON text already: what stands in many requests is not
            written out for each. Its order does not matter.
    """
    digest = hashlib.sha256(_canonical(request).encode("ascii"))
    for name, text in sorted((written or {}).items()):
        digest.update(f"\n{name}:{text}".encode())  # JSON in one line holds no line break
    return digest.digest()


@dataclass(frozen=True)
class Entry:
    """A finished answer.

    Attributes:
        answer: any JSON value.
        stage, label: who asked and what for.
    """

    answer: Any
    prompt_tokens: int = 0
    completion_tokens: int = 0
    stage: str = ""
    label: str = ""


@dataclass(frozen=True)
class _Write:
    row: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


class Journal:
    """The file. Used in one event loop at a time; several processes may share the file.

    Args:
        path: made with its folder when it is not there.

    Raises:
        InputError: the file cannot be made, is not a journal, or is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._asking: dict[bytes, asyncio.Task[Entry]] = {}
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._reader = self._connect()
            self._prepare()
            self._writing = self._connect()
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from None
        except InputError:
            self._disconnect()
            raise
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA busy_timeout=60000")
        return connection

    def _prepare(self) -> None:
        """Makes the table in a new file; looks an old one over."""
        run = self._reader.execute
        if not run("PRAGMA schema_version").fetchone()[0]:
            run("PRAGMA journal_mode=WAL")
            run("BEGIN IMMEDIATE")
            if not run("PRAGMA schema_version").fetchone()[0]:  # no other process was faster
                run(f"PRAGMA application_id={APPLICATION_ID}")
                run(f"PRAGMA user_version={VERSION}")
                run(_TABLE)
            run("COMMIT")
        found = run("PRAGMA application_id").fetchone()[0], run("PRAGMA user_version").fetchone()[0]
        if found != (APPLICATION_ID, VERSION):
            fix = "Name another journal; this file is left as it is."
            raise InputError("is a SQLite file but not a journal of this version", where=self.path, fix=fix)
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        damage = run("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)

    def _unusable(self, error: Exception) -> InputError:
        self._disconnect()
        text = getattr(error, "strerror", None) or str(error)
        fix = "Move the file away (with its -wal and -shm files), or name another journal."
        return InputError(f"cannot be used as a journal ({text})", where=self.path, fix=fix)

    def get(self, key: bytes) -> Entry | None:
        """The finished answer to a request, None when there is none.

        Raises:
            InputError: the row is damaged.
        """
        select = "SELECT answer, prompt_tokens, completion_tokens, stage, label FROM answers WHERE key=?"
        try:
            row = self._reader.execute(select, (key,)).fetchone()
            return None if row is None else Entry(strict_json(row[0]), *row[1:])
        except (sqlite3.Error, ValueError, RecursionError) as error:
            fix = "Move the file away (with its -wal and -shm files)."
            raise InputError(f"the journal is damaged ({error})", where=self.path, fix=fix) from None

    async def put(self, key: bytes, entry: Entry) -> None:
        """Keeps an answer; returns when it is committed. The first answer to a request stays.

        Raises:
            ChatStopped: it cannot be written (the disk is full): what is asked from now on would be lost.
        """
        loop = asyncio.get_running_loop()
        text = json.dumps(entry.answer, allow_nan=False)
        # SQLite's text is UTF-8, which holds no lone surrogates; the answer's JSON is ASCII.
        stage, label = (name.encode("utf-8", "replace").decode() for name in (entry.stage, entry.label))
        row = (key, stage, label, text, entry.prompt_tokens, entry.completion_tokens, time.time())
        write = _Write(row, loop, loop.create_future())
        self._queue.put(write)
        await write.done

    async def once(self, key: bytes, ask: Ask) -> tuple[Entry, bool]:
        """The answer to a request, asked for only when it is not here and nobody is asking already.

        Args:
            key: of the request.
            ask: makes the call.

        Returns:
            The entry, and whether this caller got it without a call of its own.

        Raises:
            Whatever `ask` raises, to everyone who waits for it; nothing is kept then.
        """
        known = self.get(key)
        if known is not None:
            return known, True
        task, mine = self._asking.get(key), False
        if task is None:
            # A task of its own: when one who waits is cancelled, the call goes on for the others and into the file.
            task, mine = asyncio.ensure_future(self._ask(key, ask)), True
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        return await asyncio.shield(task), not mine

    async def _ask(self, key: bytes, ask: Ask) -> Entry:
        entry = await ask()
        await self.put(key, entry)
        return entry

    def _asked(self, key: bytes, task: asyncio.Task[Entry]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it when nobody waits any more

    def totals(self) -> dict[str, dict[str, int]]:
        """What each stage has cost over all runs: stage -> {"calls", "prompt_tokens", "completion_tokens"}."""
        select = "SELECT stage, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens) FROM answers GROUP BY stage"
        names = ("calls", "prompt_tokens", "completion_tokens")
        return {stage: dict(zip(names, sums, strict=True)) for stage, *sums in self._reader.execute(select)}

    async def settled(self) -> None:
        """Waits for the calls that nobody waits for any more, so that their answers are kept."""
        while self._asking:
            await asyncio.wait(list(self._asking.values()))

    def close(self) -> None:
        """Writes what waits and closes the file."""
        self._queue.put(None)
        self._thread.join()
        self._disconnect()

    def _disconnect(self) -> None:
        for connection in (getattr(self, "_reader", None), getattr(self, "_writing", None)):
            if connection is not None:
                connection.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_all(self) -> None:
        """The writing thread: everything that waits, in one transaction."""
        self._writing.execute("PRAGMA synchronous=NORMAL")
        ended = False
        while not ended:
            item = self._queue.get()
            batch: list[_Write] = []
            while True:
                if item is None:
                    ended = True
                else:
                    batch.append(item)
                if ended or len(batch) == _BATCH or self._queue.empty():
                    break
                item = self._queue.get()
            if batch:
                self._report(batch, self._commit(batch))

    def _commit(self, batch: list[_Write]) -> ChatStopped | None:
        try:
            self._writing.execute("BEGIN IMMEDIATE")
            insert = "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)"
            self._writing.executemany(insert, [write.row for write in batch])
            self._writing.execute("COMMIT")
        except (sqlite3.Error, ValueError) as error:  # ValueError: text that UTF-8 cannot hold
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
            return ChatStopped(f"{self.path}: the journal cannot be written ({error}). Make room on the disk.")
        return None

    @staticmethod
    def _report(batch: list[_Write], problem: ChatStopped | None) -> None:
        def tell(writes: list[_Write]) -> None:
            for write in writes:
                if write.done.done():  # nobody waits for it any more
                    continue
                if problem is None:
                    write.done.set_result(None)
                else:
                    write.done.set_exception(problem)

        loops: dict[asyncio.AbstractEventLoop, list[_Write]] = {}
        for write in batch:
            loops.setdefault(write.loop, []).append(write)
        for loop, writes in loops.items():
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(tell, writes)
