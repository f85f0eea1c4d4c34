"""A child process for Java and JavaScript answers, whose official parsers a hostile text can hang or crash.

Their regular expressions take exponential time on some texts, tree-sitter's printer may exhaust the C stack; neither
can be stopped inside a process. The child reads one question a line on stdin and writes one verdict a line; when it
takes too long or dies, that answer is refused and a new child judges the next. Python answers do not need it.
"""

from __future__ import annotations

import io
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

SECONDS = 20.0  # for one answer; the first one pays for the start of the child as well


class Worker:
    """Starts its child process when the first answer comes; close it when done."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None
        self._replies: queue.Queue[str] = queue.Queue()

    def judge(self, category: str, functions: list[dict[str, Any]], text: str, answer: list[Any]) -> dict[str, Any]:
        """The verdict of `scoring.judge_calls`, or `guard:refused` when it does not come in time."""
        process = self._process or self._start()
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps([category, functions, text, answer]) + "\n")
            process.stdin.flush()
            reply = self._replies.get(timeout=self._seconds)
        except (queue.Empty, OSError):
            reply = ""
        if reply:
            verdict: dict[str, Any] = json.loads(reply)
            return verdict
        evidence = f"the official checker did not answer in {self._seconds:g} s, or crashed"
        self.close()
        return {"valid": False, "error_type": "guard:refused", "error": [evidence]}

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
            [sys.executable, "-m", "eval.bfcl.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path},
        )
        threading.Thread(target=_listen, args=(self._process, self._replies), daemon=True).start()
        return self._process


def _listen(process: subprocess.Popen[str], replies: queue.Queue[str]) -> None:
    """Passes the child's lines on; an empty line says that it ended."""
    assert process.stdout is not None
    for line in process.stdout:
        replies.put(line)
    replies.put("")


def serve() -> None:
    """The child: answers until stdin ends. What the official code prints does not mix with the answers."""
    from eval.bfcl.scoring import judge_calls

    answers, sys.stdout = sys.stdout, io.StringIO()
    for line in sys.stdin:
        verdict = judge_calls(*json.loads(line))
        answers.write(json.dumps(verdict) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
