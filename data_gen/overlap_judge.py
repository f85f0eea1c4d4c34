"""What rows of a file share with benchmarks, row by row, in any process: dialogs, tools, and rows of other shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from data_gen.benchmark_items import Item, downloaded, installed, items_of, read_folder
from data_gen.overlap import Functions, Overlap, Requests
from data_gen.verification.judging import READABLE, Judged, parsed_line, source
from data_gen.verification.reading import read_dialog
from data_gen.verification.row_files import Numbered
from data_gen.verification.verdict import Verdict
from toolace import Dialog, InputError, Tool
from toolace.rows import Row, dumps

RULE = "decontamination."


class Decontaminator:
    """Knows the items of benchmarks; compares dialogs and tools with them.

    Args:
        items: requests and functions.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        known = list(items)
        self.sizes = Counter(
            (item.benchmark, "tools" if isinstance(item.content, Tool) else "requests") for item in known
        )
        self.requests, self.functions = Requests(known), Functions(known)
        self._tools: dict[int, tuple[Tool, Overlap | None]] = {}

    def tool(self, tool: Tool) -> Overlap | None:
        """The overlap of a tool; remembered, since tools come again in dialog after dialog."""
        known = self._tools.get(id(tool))
        if known is None or known[0] is not tool:
            if len(self._tools) > 65_536:
                self._tools.clear()
            known = self._tools[id(tool)] = (tool, self.functions.overlap(tool))
        return known[1]

    def dialog(self, dialog: Dialog) -> Iterator[tuple[str, Overlap]]:
        """(place, overlap) of every user turn and tool of a dialog that a benchmark has.

        Turns are looked at one by one: two turns are no run of words.
        """
        for i, message in enumerate(dialog.messages):
            found = self.requests.overlap(message.content) if message.role == "user" else None
            if found:
                yield f"messages[{i}]", found
        for i, tool in enumerate(dialog.tools):
            found = self.tool(tool)
            if found:
                yield f"tools[{i}]", found


def folders(data: Sequence[str | Path] = ()) -> tuple[Path, ...]:
    """The folders of benchmarks beside the installed BFCL: its versions that were downloaded, and those given."""
    return tuple(dict.fromkeys((*downloaded(), *map(Path, data))))


def known_benchmarks(data: Sequence[str | Path] = ()) -> Decontaminator:
    """The installed BFCL and the benchmarks of `folders`, read once.

    Raises:
        InputError: bfcl-eval is not installed, or a folder holds no benchmark.
    """
    return _known(folders(data))


@lru_cache(maxsize=4)
def _known(data: tuple[Path, ...]) -> Decontaminator:
    return Decontaminator(chain(_installed(), *(read_folder(folder) for folder in data)))


@cache
def _installed() -> tuple[Item, ...]:
    return tuple(installed())


class Compared(NamedTuple):
    """A row that was compared: its id, type and source, what overlaps, and the texts by place."""

    id: str
    type: str
    source: str
    overlaps: list[tuple[str, Overlap]]
    texts: dict[str, str]


class OverlapJudge:
    """Judges the rows of a file by what they share with benchmarks; `judge_all` runs it in several processes.

    A row may be a dialog in any format that verification reads, a tool, a question of BFCL or a row of another
    benchmark: of what is no dialog, the requests and functions that stand in it are compared. One in which there is
    neither is rejected by `row.readable`. Rows are written as they were.

    Args:
        path: the file.
        known: the benchmarks.
        tools: whether a tool that overlaps is reason enough to reject a dialog; else only requests are.
    """

    def __init__(self, path: Path, known: Decontaminator, *, tools: bool = True) -> None:
        self.path, self.known, self.tools = path, known, tools

    def judge(self, rows: Iterable[Numbered]) -> Judged:
        """Judges lines or items. Notes are the overlaps, as rows of `overlap.jsonl`."""
        result = Judged()
        for number, raw in rows:
            try:
                text, row = parsed_line(self.path, number, raw) if isinstance(raw, bytes) else (dumps(raw), raw)
            except InputError as error:
                result.error = (error.what, error.where or f"{self.path}:{number}", error.fix)
                break
            self._judge_row(number, text, row, result)
        return result

    def _judge_row(self, number: int, text: str, row: Any, result: Judged) -> None:
        id_ = f"{self.path.stem}-{number}"
        try:
            compared = self._compare(id_, row)
        except (InputError, RecursionError) as error:
            problem = error.what if isinstance(error, InputError) else "nested too deep"
            verdict = Verdict.reject(READABLE, problem, f"{self.path.name}:{number}")
            result.rejected.append(_rejected(id_, text, row, verdict))
            result.tally[("", "", READABLE)] += 1
            return
        result.notes += [_note(number, compared, place, overlap) for place, overlap in compared.overlaps]
        places = [(place, overlap) for place, overlap in compared.overlaps if self.tools or place[:5] != "tools"]
        if not places:
            result.kept.append(text + "\n")
            result.tally[(compared.type, compared.source, "")] += 1
            return
        place, overlap = places[0]
        evidence = f"{overlap.benchmark} {overlap.item}: {overlap.evidence}"
        verdict = Verdict.reject(RULE + overlap.kind, evidence, place)
        result.rejected.append(_rejected(compared.id, text, row, verdict))
        result.tally[(compared.type, compared.source, verdict.rule)] += 1

    def _compare(self, id_: str, row: Any) -> Compared:
        if isinstance(row, Mapping) and isinstance(row.get("parameters"), Mapping) and "messages" not in row:
            tool = Tool.from_json(row)
            found = self.known.tool(tool)
            return Compared(tool.id or tool.name, "", "", [("", found)] if found else [], {"": _shown(tool)})
        try:
            dialog = read_dialog(row)
        except InputError as error:
            return self._compare_any(id_, row, error)
        texts = {f"messages[{i}]": message.content for i, message in enumerate(dialog.messages)}
        texts |= {f"tools[{i}]": _shown(tool) for i, tool in enumerate(dialog.tools)}
        pairs = list(self.known.dialog(dialog))
        return Compared(dialog.id or id_, dialog.type, source(dialog), pairs, texts)

    def _compare_any(self, id_: str, row: Any, error: InputError) -> Compared:
        """A row that is no dialog; `error` says why, and is raised when nothing in the row can be compared."""
        named = row.get("id") if isinstance(row, Mapping) else None
        compared = Compared(named if isinstance(named, str) and named else id_, "", "", [], {})
        for i, item in enumerate(items_of(row)):
            overlap: Overlap | None
            if isinstance(item.content, Tool):
                place, overlap = f"tools[{i}]", self.known.tool(item.content)
            else:
                place, overlap = f"requests[{i}]", self.known.requests.overlap(item.content)
            compared.texts[place] = _shown(item.content)
            compared.overlaps.extend([(place, overlap)] if overlap else [])
        if not compared.texts:
            raise error
        return compared


def _shown(content: str | Tool) -> str:
    return f"{content.name}: {content.description}" if isinstance(content, Tool) else content


def _note(number: int, compared: Compared, place: str, overlap: Overlap) -> Row:
    """A row of `overlap.jsonl`; `row` is the line (or item) of the file, which tells rows of one id apart."""
    return {
        "id": compared.id,
        "row": number,
        "where": place,
        "kind": overlap.kind,
        "benchmark": overlap.benchmark,
        "item": overlap.item,
        "evidence": overlap.evidence,
        "text": compared.texts[place][:300],
    }


def _rejected(id_: str, text: str, row: Any, verdict: Verdict) -> str:
    whole = {**row, "verdict": verdict.to_json()} if isinstance(row, Mapping) else None
    try:
        return dumps(whole or {"id": id_, "row": row, "verdict": verdict.to_json()}) + "\n"
    except (InputError, RecursionError):  # NaN, or nested too deep to be written again
        return dumps({"id": id_, "text": text, "verdict": verdict.to_json()}) + "\n"
