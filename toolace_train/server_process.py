"""A server started for a check and ended with it: llama.cpp's, or transformers' own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from toolace.errors import InputError
from toolace_train.servers import Connection

HOST = "127.0.0.1"
_POLL = 0.2  # seconds


def llama_cpp_command(binary: str, gguf: Path, template: Path, context: int, port: int) -> list[str]:
    """The command line of llama.cpp's server for one chat at a time.

    Raises:
        InputError: there is no such program.
    """
    found = shutil.which(binary)
    if found is None:
        fix = "Build llama.cpp's llama-server and name it with --binary."
        raise InputError("no such program", where=binary, fix=fix)
    threads = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    command = [found, "-m", str(gguf), "--jinja", "--chat-template-file", str(template), "-c", str(context)]
    return [*command, "-np", "1", "-t", threads, "--host", HOST, "--port", str(port)]


def transformers_command(folder: Path, port: int, dtype: str) -> list[str]:
    """The command line of `transformers serve`, in a precision under torch's name.

    Raises:
        InputError: this environment has no such command.
    """
    program = Path(sys.executable).with_name("transformers")
    found = str(program) if program.exists() else shutil.which("transformers")
    if found is None:
        raise InputError("there is no command `transformers`", fix="pip install 'transformers[serving]'")
    return [found, "serve", str(folder), "--dtype", dtype, "--host", HOST, "--port", str(port)]


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, patience: float) -> Iterator[Connection]:
    """Starts a server, waits until it is healthy, and ends it.

    Args:
        command: its command line.
        port: where it listens.
        patience: seconds to wait for it, and for each of its answers.

    Raises:
        InputError: it ends, or is not ready in time; the last line it wrote is told.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            connection = Connection(f"http://{HOST}:{port}", patience)
            deadline = time.monotonic() + patience
            while not _healthy(connection):
                if process.poll() is not None:
                    raise _failed(command, f"ended with code {process.returncode}", output)
                if time.monotonic() > deadline:
                    raise _failed(command, f"is not ready after {patience:g} s", output)
                time.sleep(_POLL)
            yield connection
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _healthy(connection: Connection) -> bool:
    try:
        health = connection.get("/health")
    except InputError:
        return False
    return isinstance(health, dict) and health.get("status") == "ok"


def _failed(command: Sequence[str], what: str, output: object) -> InputError:
    output.seek(0)  # type: ignore[attr-defined]
    lines = output.read().decode("utf-8", "replace").strip().splitlines()  # type: ignore[attr-defined]
    errors = [line for line in lines if "rror" in line]
    said = (errors or lines or ["nothing"])[-1][:200]
    return InputError(f"the server {what} ({said})", where=command[0], fix="Start it by hand to see more.")
