"""A child process for what the official code executes, or parses with code that a hostile text can hang or crash.

Java and JavaScript answers (their regular expressions take exponential time on some texts, tree-sitter's printer may
exhaust the C stack), multi-turn answers and executable ones. None of that can be stopped inside a process. The child
reads one job a line on stdin and writes one reply a line; when a reply does not come in time, or the child dies, that
job is refused and a new child takes the next. How long a job may take is counted in CPU seconds, so that a busy machine
changes no verdict; the clock on the wall is the last resort.
"""

from __future__ import annotations

import gc
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from eval.bfcl.judging import Item, invalid, judge, refused
from toolace.rows import Row

COLLECT_EVERY = 50_000  # allocations between searches for garbage in the child, which makes little
SECONDS = 20.0  # for one reply; the first one pays for the start of the child as well
MEMORIES = "memories"  # the child's argument
CPU_SECONDS = 2.0  # of the child, for one job: the longest right answer takes a hundredth


class Worker:
    """Starts its child process when the first job comes; close it when done.

    Args:
        seconds: for one reply.
        memories: the child is to keep memories (of the agentic categories), which take time to import.
    """

    def __init__(self, seconds: float = SECONDS, memories: bool = False) -> None:
        self._seconds, self._memories = seconds, memories
        self._process: subprocess.Popen[str] | None = None
        self._replies: queue.Queue[str] = queue.Queue()

    def judge_all(self, items: Sequence[Item]) -> Iterator[Row]:
        """The verdicts of `judging.judge`, in order, or `guard:refused` where one does not come in time."""
        done = 0
        while done < len(items):
            for reply in self._stream([["judge", *item.to_json()] for item in items[done:]]):
                done += 1
                yield reply if reply is not None else refused(self._late())

    def run_calls(
        self, entry: dict[str, Any], before: Sequence[Sequence[str]], calls: Sequence[str]
    ) -> list[str] | None:
        """Results of `simulation.run_calls`; None when they do not come in time."""
        results: list[str] | None = next(self._stream([["run", entry, before, calls]]))
        return results

    def memory_content(self, entry: dict[str, Any], before: Sequence[Sequence[str]]) -> str | None:
        """`simulation.memory_content`; None when it does not come in time."""
        content: str | None = next(self._stream([["memory", entry, before]]))
        return content

    def _late(self) -> str:
        limit = f"{CPU_SECONDS:g} s of CPU or {self._seconds:g} s in all"
        return f"the official code did not answer in {limit}, or crashed"

    def _stream(self, jobs: Sequence[Any]) -> Iterator[Any]:
        """Replies in order; None, and then the end, for the first job that has none."""
        process = self._process or self._start()
        assert process.stdin is not None
        threading.Thread(target=_write, args=(process.stdin, jobs), daemon=True).start()
        for _ in jobs:
            try:
                line = self._replies.get(timeout=self._seconds)
            except queue.Empty:
                line = ""
            if not line:
                self.close()
                yield None
                return
            yield json.loads(line)

    def close(self) -> None:
        """Ends the child process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._replies = queue.Queue()

    def _start(self) -> subprocess.Popen[str]:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "eval.bfcl.worker", *([MEMORIES] if self._memories else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path},
        )
        threading.Thread(target=_listen, args=(self._process, self._replies), daemon=True).start()
        return self._process


def _write(stdin: IO[str], jobs: Sequence[Any]) -> None:
    """Hands jobs over; a child that ended takes no more."""
    try:
        for job in jobs:
            stdin.write(json.dumps(job) + "\n")
        stdin.flush()
    except (OSError, ValueError):
        pass


def _listen(process: subprocess.Popen[str], replies: queue.Queue[str]) -> None:
    """Passes the child's lines on; an empty line says that it ended."""
    assert process.stdout is not None
    for line in process.stdout:
        replies.put(line)
    replies.put("")


def serve() -> None:
    """The child: replies until stdin ends. What the official code prints does not mix with the replies."""
    from eval.bfcl import bridge, executable
    from eval.bfcl.sandbox import close_sandbox

    replies, sys.stdout = sys.stdout, io.StringIO()
    bridge.decode_ast("[f(a=1)]")  # imports what opens files to write before the sandbox is closed
    bridge.simulated_apis()
    if MEMORIES in sys.argv:
        bridge.memory_apis()
    if executable.package_installed():
        executable.prepare()
    close_sandbox()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # when it runs out, the system ends this process
        reply = json.dumps(_reply(*json.loads(line)))
        signal.setitimer(signal.ITIMER_PROF, 0)
        replies.write(reply + "\n")
        replies.flush()


def _reply(kind: str, *arguments: Any) -> Any:
    if kind == "run":
        from eval.bfcl.simulation import run_calls

        return run_calls(*arguments)
    if kind == "memory":
        from eval.bfcl.simulation import memory_content

        return memory_content(*arguments)
    try:
        return judge(Item(*arguments))
    except Exception as error:  # whatever the official code raises would end an official run
        return invalid("checker:raised", [f"the official checker raises {type(error).__name__}: {error}"])


if __name__ == "__main__":
    serve()
