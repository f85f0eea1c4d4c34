"""`toolace verify FILE`: the rule layer on any data set; what passes and what does not, each in a file."""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_gen.verification.rules import RULES, check
from data_gen.verification.verdict import Verdict
from toolace import Dialog, InputError
from toolace.rows import dumps, read_json, write_text

READABLE = "row.readable"
_EXAMPLE = """example:
  toolace verify runs/demo/dialogs.jsonl --out checked

Rows may be in any format that toolace convert reads. verified.jsonl and rejected.jsonl hold them as dialogs; a rejected
one has a "verdict" with the rule, the evidence and the place. Rules, in the order they are tried:
"""


def verify_file(path: str | Path, out: str | Path | None = None) -> dict[str, Any]:
    """Checks every row; writes `verified.jsonl` and `rejected.jsonl`, both whole or not at all.

    Args:
        path: JSON Lines, or a JSON file with one list.
        out: folder for both files; that of `path` when None.

    Returns:
        `{"in", "kept", "rejected", "rules": {rule id: rows}}`.

    Raises:
        InputError: the file is missing or empty, a line of it is not JSON, or an output would replace it.
    """
    path = Path(path)
    folder = path.parent if out is None else Path(out)
    for name in ("verified.jsonl", "rejected.jsonl"):
        if (folder / name).resolve() == path.resolve():
            raise InputError(
                f"would be replaced by the new {name}", where=path, fix="Choose another folder with --out."
            )
    counts: Counter[str] = Counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as rejected:

        def kept_lines() -> Iterator[str]:
            for number, text, row in _rows(path):
                counts["in"] += 1
                line, verdict = judged(f"{path.stem}-{number}", text, row)
                if verdict.kept:
                    yield line
                else:
                    counts[verdict.rule] += 1
                    rejected.write(line)
            if not counts["in"]:
                raise InputError("holds no rows", where=path, fix="Give a file with one JSON object on each line.")

        written = _Counted(kept_lines())
        write_text(folder / "verified.jsonl", written)
        rejected.seek(0)
        write_text(folder / "rejected.jsonl", rejected)
    rules = {rule: counts[rule] for rule in (READABLE, *RULES) if counts[rule]}
    kept, rejected_rows = written.count, sum(rules.values())
    assert kept + rejected_rows == counts["in"], "a row was lost on the way"
    return {"in": counts["in"], "kept": kept, "rejected": rejected_rows, "rules": rules}


class _Counted:
    """Passes lines on and counts them."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self.count = lines, 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.count += 1
            yield line


def judged(id_: str, text: str, row: Any) -> tuple[str, Verdict]:
    """(the line to write, the verdict) of one row; `id_` is given to a dialog that has none.

    A row that is no dialog is written as it was. One that cannot be written again as JSON (it holds NaN, or is nested
    too deep) is written as text.
    """
    from toolace.formats import from_any

    try:
        dialog: Dialog = from_any(row)
    except InputError as error:
        return _unreadable(id_, text, row, error.what)
    except RecursionError:
        return _unreadable(id_, text, row, "nested too deep")
    dialog = dialog if dialog.id else dataclasses.replace(dialog, id=id_)
    verdict = check(dialog)
    written = dialog.to_json()
    try:
        return dumps(written if verdict.kept else {**written, "verdict": verdict.to_json()}) + "\n", verdict
    except (InputError, ValueError, RecursionError) as error:
        return _unreadable(id_, text, None, error.what if isinstance(error, InputError) else f"is no JSON ({error})")


def _unreadable(id_: str, text: str, row: Any, problem: str) -> tuple[str, Verdict]:
    verdict = Verdict.reject(READABLE, problem)
    whole = row if isinstance(row, dict) else {"id": id_, "row": row} if row is not None else {"id": id_, "text": text}
    try:
        return dumps({**whole, "verdict": verdict.to_json()}) + "\n", verdict
    except (InputError, ValueError, RecursionError):
        return dumps({"id": id_, "text": text, "verdict": verdict.to_json()}) + "\n", verdict


def _rows(path: Path) -> Iterator[tuple[int, str, Any]]:
    """(line or item number, its text, its value) of a JSON Lines file or a JSON list."""
    if path.is_dir():
        raise InputError("is a folder, a file is needed", where=path, fix="Name a file in it.")
    try:
        with path.open("rb") as stream:
            if _starts_list(path):
                for number, item in enumerate(read_json(path), 1):
                    yield number, repr(item)[:10_000], item
                return
            for number, raw in enumerate(stream, 1):
                if raw.strip():
                    yield number, *_parsed(raw, f"{path}:{number}")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, fix="Check the path.") from None


def _starts_list(path: Path) -> bool:
    """Whether the file is one JSON list; a file whose first line is a whole list is JSON Lines all the same."""
    with path.open("rb") as stream:
        first = next((line for line in stream if line.strip()), b"").strip()
        rest = next((line for line in stream if line.strip()), b"")
    if not first.startswith(b"["):
        return False
    try:
        return not rest or not isinstance(json.loads(first), list)
    except (ValueError, RecursionError):
        return True


def _parsed(raw: bytes, where: str) -> tuple[str, Any]:
    try:
        text = raw.decode("utf-8").strip().removeprefix("\ufeff")
        return text, json.loads(text)
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 (byte {error.start})", where=where, fix="Save the file as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        problem = str(error) or type(error).__name__
        raise InputError(f"is not JSON ({problem})", where=where, fix="Put one JSON object on each line.") from None


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace verify`."""
    rules = "".join(f"  {rule.id:<28}{' '.join(rule.says.split())}\n" for rule in RULES.values())
    result = argparse.ArgumentParser(
        prog="toolace verify",
        description="Checks every dialog of a file by the rules of dual-layer verification.",
        epilog=_EXAMPLE + rules,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("file", type=Path, help="JSON Lines, or a JSON file with one list")
    result.add_argument("--out", type=Path, help="folder for verified.jsonl and rejected.jsonl (default: beside FILE)")
    result.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    result.add_argument("--strict", action="store_true", help="exit with 1 when a row was rejected")
    return result


def app(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 0, or 1 with --strict when rows were rejected.

    Raises:
        InputError: see `verify_file`.
    """
    options = parser().parse_args(argv)
    counts = verify_file(options.file, options.out)
    folder = options.out or options.file.parent
    if options.json:
        print(json.dumps({"file": str(options.file), "out": str(folder), **counts}))
    else:
        print(table(counts))
        print(f"{folder / 'verified.jsonl'}, {folder / 'rejected.jsonl'}")
    return 1 if options.strict and counts["rejected"] else 0


def table(counts: dict[str, Any]) -> str:
    """Counts as lines of text: rows in, kept and rejected, and rejected by rule."""
    share = 100 * counts["kept"] / counts["in"]
    lines = [f"{counts['in']} rows: {counts['kept']} kept ({share:.1f} %), {counts['rejected']} rejected"]
    for rule, count in sorted(counts["rules"].items(), key=lambda pair: (-pair[1], pair[0])):
        lines.append(f"  {count:>7}  {rule}")
    return "\n".join(lines)
