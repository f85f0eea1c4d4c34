"""Judging the rows of a file one by one, in this process or in several, in order and with the same bytes either way."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import json
import multiprocessing
import os
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from data_gen.verification.bfcl_rows import is_answered
from data_gen.verification.reading import read_dialog
from data_gen.verification.row_files import Numbered
from data_gen.verification.rules import check
from data_gen.verification.verdict import KEPT, Verdict
from toolace import Dialog, InputError
from toolace.rows import dumps

READABLE = "row.readable"
REVIEWED = "review.rejected"
PERSON_REJECTED = Verdict.reject(REVIEWED, "a person rejected it")
# What the ledger counts by: (dialog type, source, id of the rule that rejected or "").
Tally = Counter[tuple[str, str, str]]


@dataclass
class Judged:
    """What came of some rows, in order.

    Attributes:
        kept, rejected: lines to write.
        tally: how many rows of each type and source each rule rejected ("" for kept ones).
        cost: what the rejected rows had cost to make, by rule and unit, as far as the rows say.
        notes: what a judge tells beside its verdicts.
        error: why reading ended: what, where, fix. Nothing after it was judged.
    """

    kept: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Counter)
    cost: dict[tuple[str, str], float] = field(default_factory=dict)
    notes: list[Any] = field(default_factory=list)
    error: tuple[str, str, str] | None = None


class RowJudge(Protocol):
    """Whoever judges the rows of a file, in any process.

    Attributes:
        path: the file.
    """

    path: Path

    def judge(self, rows: Iterable[Numbered]) -> Judged:
        """Judges lines (bytes) or items (parsed values)."""
        ...


def parsed_line(path: Path, number: int, raw: bytes) -> tuple[str, Any]:
    """(text, value) of a line.

    Raises:
        InputError: it is not UTF-8 or not JSON.
    """
    where = f"{path}:{number}"
    try:
        text = raw.decode("utf-8").strip().removeprefix("\ufeff")
        return text, json.loads(text)
    except UnicodeDecodeError as error:
        fix = "Save the file as UTF-8."
        raise InputError(f"is not UTF-8 (byte {error.start})", where=where, fix=fix) from None
    except (ValueError, RecursionError) as error:
        problem = str(error) or type(error).__name__
        raise InputError(f"is not JSON ({problem})", where=where, fix="Put one JSON object on each line.") from None


class Judge:
    """Judges rows of one file.

    Args:
        path: the file, for ids of rows without one and for errors.
        answers: of BFCL questions, by id.
        reviews: True or False for rows a person kept or rejected, by `digest`.
    """

    def __init__(
        self, path: Path, answers: Mapping[str, Any] | None = None, reviews: Mapping[str, bool] | None = None
    ) -> None:
        self.path, self.answers, self.reviews = path, answers or {}, reviews or {}

    def judge(self, rows: Iterable[Numbered]) -> Judged:
        """Judges lines (bytes) or items (parsed values)."""
        result = Judged()
        for number, raw in rows:
            try:
                is_line = isinstance(raw, bytes)
                text, row = parsed_line(self.path, number, raw) if is_line else (repr(raw)[:10_000], raw)
            except InputError as error:
                if number == 1:  # not one bad row: another kind of file
                    result.error = (error.what, error.where, error.fix)
                    break
                place = f"{self.path.name}:{number}"
                text = raw.decode("utf-8", "replace").rstrip("\n")
                line, verdict = _unreadable(f"{self.path.stem}-{number}", text, None, error.what, place)
                dialog = None
            else:
                line, verdict, dialog = self.row(f"{self.path.stem}-{number}", text, row)
            (result.kept if verdict.kept else result.rejected).append(line)
            result.tally[(dialog.type if dialog else "", source(dialog), verdict.rule)] += 1
            for unit, amount in _cost(dialog).items() if not verdict.kept else ():
                result.cost[(verdict.rule, unit)] = result.cost.get((verdict.rule, unit), 0.0) + amount
        return result

    def row(self, id_: str, text: str, row: Any) -> tuple[str, Verdict, Dialog | None]:
        """(the line to write, the verdict, the dialog) of one row; `id_` is given to a dialog that has none.

        A row that is no dialog is written as it was. One that cannot be written again as JSON (it holds NaN, or is
        nested too deep) is written as text.
        """
        try:
            dialog = read_dialog(is_answered(self.path, row, self.answers))
        except InputError as error:
            fix = f". {error.fix}" if error.fix else ""
            return (*_unreadable(id_, text, row, error.what + fix, self._place(id_)), None)
        except RecursionError:
            return (*_unreadable(id_, text, row, "nested too deep", self._place(id_)), None)
        dialog = dialog if dialog.id else dataclasses.replace(dialog, id=id_)
        written = dialog.to_json()
        verdict = self._verdict(dialog, written)
        # A row of ours is written as it stands: most of the work of writing is done.
        if verdict.kept and written == row and not may_be_no_json(text):
            return text + "\n", verdict, dialog
        try:
            shown = written if verdict.kept else {**written, "verdict": verdict.to_json()}
            return dumps(shown) + "\n", verdict, dialog
        except (InputError, ValueError, RecursionError) as error:
            problem = error.what if isinstance(error, InputError) else f"is no JSON ({error})"
            return (*_unreadable(id_, text, None, problem, self._place(id_)), dialog)

    def _place(self, id_: str) -> str:
        """File and line (or item) of the row that was given this id."""
        return f"{self.path.name}:{id_.rpartition('-')[2]}"

    def _verdict(self, dialog: Dialog, written: Mapping[str, Any]) -> Verdict:
        said = self.reviews.get(digest(written)) if self.reviews else None
        if said is None:
            return check(dialog)
        return KEPT if said else PERSON_REJECTED


# Numbers of so many digits may overflow.
_GIANT = re.compile(r"[0-9][eE]\+?[0-9]{3}")


def may_be_no_json(text: str) -> bool:
    """Whether Python may have read what JSON has not: NaN, infinities, numbers that overflow to one."""
    return "NaN" in text or "Infinity" in text or _GIANT.search(text) is not None


def digest(row: Mapping[str, Any]) -> str:
    """A fingerprint of a dialog's type, tools and messages, to find it again whatever its id; 16 hexadecimal digits.

    The type is judged too: what was said of a dialog with a wrong one does not hold for the same with the right one.
    """
    try:
        text = json.dumps([row.get("type") or "", row.get("tools"), row.get("messages")], sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return ""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source(dialog: Dialog | None) -> str:
    """Where a dialog comes from: what its meta says, else the corpus of its first tool; "" when unknown."""
    if dialog is None:
        return ""
    said = dialog.meta.get("source")
    if isinstance(said, str):
        return said
    first = dialog.tools[0].id if dialog.tools else ""
    return first.partition(":")[0] if ":" in first else ""


def _cost(dialog: Dialog | None) -> dict[str, float]:
    """Calls, tokens and money that `meta.cost` says the dialog has cost."""
    cost = dialog.meta.get("cost") if dialog else None
    if not isinstance(cost, Mapping):
        return {}
    return {str(k): v for k, v in cost.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}


def _unreadable(id_: str, text: str, row: Any, problem: str, where: str) -> tuple[str, Verdict]:
    verdict = Verdict.reject(READABLE, problem, where)
    whole = row if isinstance(row, dict) else {"id": id_, "row": row} if row is not None else {"id": id_, "text": text}
    try:
        return dumps({**whole, "verdict": verdict.to_json()}) + "\n", verdict
    except (InputError, ValueError, RecursionError):
        return dumps({"id": id_, "text": text, "verdict": verdict.to_json()}) + "\n", verdict


def judge_all(judge: RowJudge, chunks: Iterable[list[Numbered]], jobs: int) -> Iterator[Judged]:
    """Judges chunk after chunk, in order; with more than one job in that many processes.

    Raises:
        InputError: the file is of another kind; raised after everything before it was yielded.
    """
    for result in map(judge.judge, chunks) if jobs < 2 else _parallel(judge, chunks, jobs):
        yield result
        if result.error:
            what, where, fix = result.error
            raise InputError(what, where=where, fix=fix)


_judge: RowJudge | None = None


def _begin(judge: RowJudge) -> None:
    """Sets a worker up."""
    global _judge
    _judge = judge
    # Tools and schemas live as long as the worker; the collector need not look at them again and again.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _work(rows: list[Numbered]) -> Judged:
    assert _judge is not None
    return _judge.judge(rows)


def _parallel(judge: RowJudge, chunks: Iterable[list[Numbered]], jobs: int) -> Iterator[Judged]:
    # A worker that is forked starts in milliseconds; where that is not to be had, they start anew.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if "fork" in methods and os.name == "posix" else None)
    waiting: deque[Future[Judged]] = deque()
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(judge,)) as pool:
        try:
            for chunk in chunks:
                waiting.append(pool.submit(_work, chunk))
                if len(waiting) > 3 * jobs:  # what is read ahead is bounded
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            fix = "Try again with --jobs 1."
            raise InputError("a worker process was ended", where=judge.path, fix=fix) from None
        finally:
            for future in waiting:
                future.cancel()
