"""Reviews: what people said of single dialogs, as JSON Lines that `toolace verify --reviews` obeys.

`{"id", "digest", "keep": true|false, "note", "rule"}` a line; the digest, not the id, says which dialog is meant. The
paper has its verification "overseen by human experts" (Section 2.3).
"""

from __future__ import annotations

from pathlib import Path

from toolace import InputError
from toolace.rows import read_rows


def read_reviews(path: str | Path) -> dict[str, bool]:
    """Whether to keep a dialog, by digest; the last line about a dialog counts.

    Raises:
        InputError: the file cannot be read, or a line has no digest and keep.
    """
    found: dict[str, bool] = {}
    for number, row in read_rows(path):
        digest, keep = row.get("digest"), row.get("keep")
        if not isinstance(digest, str) or not digest or not isinstance(keep, bool):
            fix = 'Write {"digest": "...", "keep": true or false} as toolace review does.'
            raise InputError("has no digest and keep", where=f"{path}:{number}", fix=fix)
        found[digest] = keep
    return found
