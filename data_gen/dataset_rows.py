"""The two readings of a data set's rows, each in several processes: first fingerprints, then the rows as written.

Both are judges that `judge_all` runs chunk by chunk and in order, so the files are the same whatever the processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_gen.dataset_files import Extra, columns, packed, toolace_row
from data_gen.duplicates import Fingerprint
from data_gen.verification.judging import Judged, may_be_no_json, parsed_line, source
from data_gen.verification.reading import read_dialog
from data_gen.verification.row_files import Numbered
from data_gen.verification.verdict import Verdict
from toolace import Dialog, InputError, Tool
from toolace.prompt import is_read_back
from toolace.rows import dumps

NOT_STATED = "not stated"
BY_A_MODEL = "not stated, written by a language model"
# Verdicts of this stage: what an earlier data set had no room for may be in another one.
_OURS = ("mix.", "duplicate.")


@dataclass
class Entry:
    """What is remembered of a row between the two readings.

    Attributes:
        number: of the line or item in its file.
        extra: what it has that not every row has.
        split: "" when it is left out; `verdict` then says why.
    """

    number: int
    id: str
    type: str
    source: str
    licences: tuple[str, ...]
    extra: Extra
    verdict: Verdict
    split: str = ""


def licence_of(tool: Tool) -> str:
    """The licence of a tool's document; of one that a model wrote, that nobody states one."""
    written = isinstance(tool.source, Mapping) and bool(tool.source.get("model"))
    return tool.licence or (BY_A_MODEL if written else NOT_STATED)


class _Reader:
    """Reads the rows of a file as dialogs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def dialog(self, number: int, raw: Any) -> Dialog:
        """The dialog of a line or an item.

        Raises:
            InputError: it is none, or the row was rejected by verification.
        """
        where = f"{self.path}:{number}"
        text, row = parsed_line(self.path, number, raw) if isinstance(raw, bytes) else ("", raw)
        try:
            if may_be_no_json(text):
                dumps(row)
            dialog = read_dialog(row)
        except RecursionError:
            raise InputError("is nested too deep", where=where, fix="Repair the row.") from None
        except InputError as error:
            raise InputError(error.what, where=where, fix=error.fix) from None
        said = row.get("verdict") if isinstance(row, Mapping) else None
        rule = str(said.get("rule") or "") if isinstance(said, Mapping) else ""
        if rule and not rule.startswith(_OURS):
            fix = "Give verified.jsonl; what people keep all the same is kept by toolace verify --reviews."
            raise InputError(f"was rejected by {rule}", where=where, fix=fix)
        return dialog if dialog.id else replace(dialog, id=f"{self.path.stem}-{number}")


class FirstReading(_Reader):
    """Notes are (Entry, Fingerprint) of every row."""

    def judge(self, rows: Iterable[Numbered]) -> Judged:
        """Reads lines or items; the first that is no dialog ends it."""
        result = Judged()
        for number, raw in rows:
            try:
                dialog = self.dialog(number, raw)
            except InputError as error:
                result.error = (error.what, error.where, error.fix)
                break
            licences = tuple(sorted({licence_of(tool) for tool in dialog.tools}))
            listed = bool(dialog.tools) and not is_read_back(dialog.meta.get("prompt"))
            extra = Extra(bool(dialog.meta.get("masked")), listed)
            entry = Entry(number, dialog.id, dialog.type, source(dialog), licences, extra, Verdict(True))
            result.notes.append((entry, Fingerprint.of(dialog)))
        return result


@dataclass
class Written:
    """Rows as they are written: lines by split, tables (Arrow bytes) by format and split, and lines left out."""

    lines: dict[str, list[str]]
    tables: dict[tuple[str, str], bytes]
    left_out: list[str]


class SecondReading(_Reader):
    """Notes are one `Written` for each chunk.

    Args:
        path: the file.
        entries: by line, what is to become of the rows.
        formats: of the Parquet files.
        show_returns: whether tool lists hold what tools return.
        extra: what any row of the data set has.
    """

    def __init__(
        self, path: Path, entries: Mapping[int, Entry], formats: Sequence[str], *, show_returns: bool, extra: Extra
    ) -> None:
        super().__init__(path)
        self.entries, self.formats, self.show_returns, self.extra = entries, formats, show_returns, extra

    def judge(self, rows: Iterable[Numbered]) -> Judged:
        """Renders lines or items."""
        result, written = Judged(), Written({}, {}, [])
        waiting: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for number, raw in rows:
            try:
                entry = self.entries[number]
                dialog = replace(self.dialog(number, raw), id=entry.id)
                if not entry.split:
                    written.left_out.append(dumps({**dialog.to_json(), "verdict": entry.verdict.to_json()}) + "\n")
                    continue
                dialog = dialog if self.show_returns else _without_returns(dialog)
                written.lines.setdefault(entry.split, []).append(dumps(toolace_row(dialog, self.extra)) + "\n")
                for name in self.formats:
                    waiting.setdefault((name, entry.split), []).append(columns(name, dialog, self.extra))
            except KeyError:
                fix = "Let nothing write to it while the data set is made."
                result.error = ("has changed while it was read", f"{self.path}:{number}", fix)
                break
            except InputError as error:
                result.error = (error.what, error.where or f"{self.path}:{number}", error.fix)
                break
        written.tables = {key: packed(key[0], found, self.extra) for key, found in waiting.items()}
        result.notes.append(written)
        return result


def _without_returns(dialog: Dialog) -> Dialog:
    return replace(dialog, tools=tuple(replace(tool, returns=None) for tool in dialog.tools))
