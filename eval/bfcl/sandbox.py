"""Limits of the child process in which the official code executes what models wrote.

The guards decide what is executed; this is the second wall. It cannot be taken down again inside the process: limits of
memory and CPU time, no file written, and an audit hook that refuses what no official checker needs.
"""

from __future__ import annotations

import resource
import sys
from typing import Any

MEMORY = 2 << 30  # bytes of address space; the checkers need 0.1 GB
# Beginnings of audit events (docs.python.org, "Audit events table") that are refused.
REFUSED = (
    "socket.", "subprocess.", "os.", "shutil.", "ctypes.", "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.",
    "pty.", "signal.", "tempfile.", "gc.", "sqlite3.", "mmap.", "fcntl.", "winreg.", "msvcrt.",
)  # fmt: skip
NEEDED = frozenset(("os.listdir", "os.scandir"))  # the import system looks for modules
WRITING = frozenset("wax+")
_WRITE_FLAGS = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND


class Refused(PermissionError):
    """Something that the sandbox does not allow was tried."""


def close_sandbox() -> None:
    """Applies all limits to this process, for good."""
    sys.dont_write_bytecode = True
    for limit, value in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(limit)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        _, mode, flags = arguments
        if (isinstance(mode, str) and WRITING & set(mode)) or (isinstance(flags, int) and flags & _WRITE_FLAGS):
            raise Refused("writing files is not allowed here")
    elif event.startswith(REFUSED) and event not in NEEDED:
        raise Refused(f"{event} is not allowed here")
