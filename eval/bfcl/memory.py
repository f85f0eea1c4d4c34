"""Memory categories: what a model is told first, conversation after conversation, and what it is asked about it then.

A scenario has five to ten conversations in which the model may write things down by calls, each seeing the memory as
the one before left it. Then questions are put, each to the memory as the last conversation left it. Nothing is kept
but the answers: a memory is filled by executing their calls again, so that a run can be resumed after any of them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.asking import AnswerModel, Dialog
from eval.bfcl import bridge
from eval.bfcl.categories import Category
from eval.bfcl.data import Data
from eval.bfcl.generation import Apis, several_turns
from eval.bfcl.judging import is_empty_step, step_calls
from eval.bfcl.scoring import PREREQUISITE
from toolace.errors import InputError
from toolace.rows import Row, RowLog, read_rows, write_rows

# memory_vector needs an embedding model that is downloaded; web_search a network and a key.
OFFLINE = ("memory_kv", "memory_rec_sum")


def check_installed(name: str) -> None:
    """Whether the memory of a category can be kept.

    Raises:
        InputError: the package with its search is not installed.
    """
    if name == "memory_kv" and importlib.util.find_spec("rank_bm25") is None:
        raise InputError("memory_kv needs the package rank_bm25", fix=f"Run: pip install {bridge.PACKAGE}")


def told_path(answers: Path, kind: Category) -> Path:
    """The official file of the conversations, beside that of a category's answers."""
    return answers.with_name(kind.file_name.replace("_result", f"{PREREQUISITE}_result"))


@dataclass(frozen=True)
class Memories:
    """How the questions of memory categories are put.

    Attributes:
        data: the protocol's questions.
        native: the functions are given as tools.
        tool_role: role of messages that tell results in prompting mode.
        backend: who answers.
        apis: where calls are executed.
        max_new_tokens: longest single answer.
        at_once: most dialogs open at a time.
    """

    data: Data
    native: bool
    tool_role: str
    backend: AnswerModel
    apis: Apis
    max_new_tokens: int
    at_once: int

    def ask(self, name: str, ids: Collection[str], path: Path) -> Iterable[list[Row]]:
        """Tells what is not told yet, and yields rows of the questions with these ids as they are answered.

        Args:
            name: the category.
            ids: of the questions.
            path: file of the conversations; each is on disk as soon as it is over.
        """
        rows = self.data.memory_rows(name)
        asked = [row for row in rows if row["id"] in ids]
        wanted = {row["scenario"] for row in asked}
        chains: dict[str, list[dict[str, Any]]] = {scenario: [] for scenario in sorted(wanted)}
        for row in rows:
            if PREREQUISITE in row["id"] and row["scenario"] in wanted:
                chains[row["scenario"]].append(row)
        told = self._tell(list(chains.values()), path)
        steps = {scenario: self._steps(chain, told) for scenario, chain in chains.items()}
        yield from self._lead([(row, steps[row["scenario"]]) for row in asked])

    def _tell(self, chains: Sequence[Sequence[dict[str, Any]]], path: Path) -> dict[str, Row]:
        """Leads the conversations, the first of all scenarios at once, then the second; returns their rows by id."""
        log = RowLog(path)
        told = {row["id"]: row for row in log.rows}
        try:
            for number in range(max(map(len, chains), default=0)):
                due = [chain for chain in chains if len(chain) > number and chain[number]["id"] not in told]
                for rows in self._lead([(chain[number], self._steps(chain[:number], told)) for chain in due]):
                    log.append(rows)
                    told |= {row["id"]: row for row in rows}
        finally:
            log.close()
        order = {row["id"]: i for i, row in enumerate(row for chain in chains for row in chain)}
        write_rows(path, sorted((row for _, row in read_rows(path)), key=lambda row: order.get(row["id"], len(order))))
        return told

    def _lead(self, due: Sequence[tuple[dict[str, Any], list[list[str]]]]) -> Iterable[list[Row]]:
        dialogs = (self._dialog(row, before) for row, before in due)
        yield from self.backend.lead(dialogs, self.max_new_tokens, self.at_once)

    def _dialog(self, row: dict[str, Any], before: list[list[str]]) -> Dialog[Row]:
        entry = {"id": row["id"], "initial_config": {}, "involved_classes": row["involved_classes"]}
        prompt = self.data.memory_prompt(row, self.apis.memory_content(entry, before), self.native)
        return (yield from several_turns(self.data, prompt, self.native, self.tool_role, self.apis, before))

    def _steps(self, chain: Iterable[Mapping[str, Any]], told: Mapping[str, Row]) -> list[list[str]]:
        """The calls of conversations, step by step, as they were executed."""
        steps = []
        for step in (step for row in chain for turn in told[row["id"]]["result"] for step in turn):
            try:
                calls = step_calls(step, self.native, self.data.protocol)
            except bridge.Undecodable:
                continue
            if not is_empty_step(calls):
                steps.append(calls)
        return steps
