"""The one error a user is meant to read: what was wrong, where, and what to do."""

from __future__ import annotations

from pathlib import Path


class InputError(Exception):
    """Bad usage or bad input. Printed as one line on stderr; the process ends with exit code 2.

    Args:
        what: what is wrong, without a final full stop.
        where: file, `file:line` or row id; empty when there is no place to name.
        fix: what the reader should do about it; a sentence.
    """

    def __init__(self, what: str, *, where: str | Path = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, str(where), fix
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f". {self.fix}" if self.fix else ""
        return " ".join(f"{place}{self.what}{advice}".split())
