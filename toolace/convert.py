"""`toolace convert FILE --to NAME`: a data set in another row format."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from toolace.errors import InputError
from toolace.formats import FORMATS, read_any
from toolace.rows import write_rows

_EXAMPLE = """example:
  toolace convert runs/demo/verified.jsonl --to sharegpt --out llama_factory/toolace.jsonl

formats:
"""


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace convert`."""
    formats = "".join(f"  {form.name:<10}{form.reader}\n" for form in FORMATS.values())
    result = argparse.ArgumentParser(
        prog="toolace convert",
        description="Converts dialogs in any of the formats (found out row by row) to one of them.",
        epilog=_EXAMPLE + formats,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("file", type=Path, help="JSON Lines, or a JSON file with one list")
    result.add_argument("--to", required=True, choices=list(FORMATS), help="format of the file that is written")
    result.add_argument("--out", type=Path, help="file to write (default: FILE's name with .NAME.jsonl beside it)")
    result.add_argument("--json", action="store_true", help="print one JSON object instead of a sentence")
    return result


def app(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code.

    Raises:
        InputError: the file or one of its rows cannot be read or converted; nothing is written then.
    """
    options = parser().parse_args(argv)
    to_row = FORMATS[options.to].to_row
    out = options.out or options.file.with_name(f"{options.file.stem}.{options.to}.jsonl")
    dialogs = read_any(options.file)
    first = next(dialogs, None)
    if first is None:
        raise InputError("holds no rows", where=options.file, fix="Give a file with one JSON object on each line.")
    count = write_rows(out, (to_row(dialog) for dialog in chain([first], dialogs)))
    if options.json:
        print(json.dumps({"file": str(options.file), "to": options.to, "out": str(out), "rows": count}))
    else:
        print(f"{count} dialogs of {options.file} written to {out} ({options.to})")
    return 0
