"""Questions, gold answers and prompts of a protocol, in one shape whatever the version they come from.

A question is `{"id", "question": [[message, ...] for each turn], "function": [document, ...]}`; executable ones also
have `ground_truth` (call texts) and `execution_result_type`, multi-turn ones `initial_config`, `involved_classes` and,
where functions are held back, `missed_function`.
"""

from __future__ import annotations

from collections.abc import Container
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from eval.bfcl import bridge, historical
from eval.bfcl.categories import AGENTIC, AST, EXECUTABLE, MULTI_TURN, Category, category
from eval.bfcl.protocols import Protocol, find_protocol
from toolace.errors import InputError

Message = dict[str, Any]


@dataclass(frozen=True)
class Prompt:
    """One question as a model is asked it.

    Attributes:
        id: the official id.
        messages: what is said before the model's first answer; in prompting mode the functions are in it.
        functions: function documents as the official generation shows them, with the language hint.
        later_turns: user messages of the turns after the first; a turn in which functions are added is empty.
        added: number of a turn -> documents of the functions that are added then.
        entry: what the simulated APIs need to start: `id`, `initial_config` and `involved_classes`; {} when
            single-turn.
    """

    id: str
    messages: list[Message]
    functions: list[dict[str, Any]]
    later_turns: list[list[Message]] = field(default_factory=list)
    added: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    entry: dict[str, Any] = field(default_factory=dict)


class Data:
    """The questions of one protocol.

    Args:
        protocol: its name.
        folder: where files of 2024 are read from; see `historical.data_folder`. `v4` comes from the package.

    Raises:
        InputError: unknown protocol, or its questions cannot be found.
    """

    def __init__(self, protocol: str | Protocol = "v4", folder: str | Path | None = None) -> None:
        self.protocol = protocol if isinstance(protocol, Protocol) else find_protocol(protocol)
        if folder is not None and not self.protocol.historical:
            what = f"{self.protocol.name} reads its questions from the installed package"
            raise InputError(what, where=folder, fix="Leave --data out, or name another --protocol.")
        self._given = folder
        self._questions: dict[str, list[dict[str, Any]]] = {}

    @cached_property
    def folder(self) -> Path:
        """The folder of the questions."""
        if self.protocol.historical:
            return historical.data_folder(self.protocol.name, self._given)
        return bridge.data_folder()

    def category(self, name: str, where: str | Path = "") -> Category:
        """Looks a category up."""
        return category(name, where=where, protocol=self.protocol.name)

    def questions(self, name: str) -> list[dict[str, Any]]:
        """Questions with the original parameter types, as scoring needs them, in the official order; read once."""
        if name not in self._questions:
            self._questions[name] = self._read_questions(self.category(name))
        return self._questions[name]

    def _read_questions(self, kind: Category) -> list[dict[str, Any]]:
        if not self.protocol.historical:
            return _package_questions(kind)
        rows = historical.read_checked(self.folder, kind.data_name, self.protocol.name)
        return [_as_today(row) for row in rows] if self.protocol.name == "v1-2024" else rows

    def gold(self, name: str) -> dict[str, Any]:
        """Accepted answers by id; {} for categories that have none.

        `[{"f": {"a": [1, 2]}}]` where calls are compared ("" among the values of a parameter: it may be left out), call
        texts where they are executed, call texts by turn in multi-turn, texts of answers in agentic categories.
        """
        kind = self.category(name)
        if kind.kind == EXECUTABLE:
            return self._executable_gold(kind)
        if kind.kind not in (AST, MULTI_TURN, AGENTIC):
            return {}
        if not self.protocol.historical:
            return _package_gold(kind)
        file = f"possible_answer/{kind.data_name}"
        rows = historical.read_checked(self.folder, file, self.protocol.name)
        gold = {row["id"]: row["ground_truth"] for row in rows}
        if self.protocol.name == "v1-2024":
            functions = {question["id"]: question["function"] for question in self.questions(name)}
            gold = {id_: _gold_as_today(answer, functions[id_]) for id_, answer in gold.items()}
        return gold

    def _executable_gold(self, kind: Category) -> dict[str, Any]:
        if kind.name == "rest":
            calls = bridge.rest_gold()
            ids = [question["id"] for question in self.questions("rest")]
            return {id_: [call] for id_, call in zip(ids, calls, strict=True)}
        if self.protocol.historical:
            return {question["id"]: question["ground_truth"] for question in self.questions(kind.name)}
        rows = bridge.read_jsonl(f"unused_datasets/possible_answer/{kind.data_name}")
        return {row["id"]: row["ground_truth"] for row in rows}

    def prompts(self, name: str, native: bool = False, only: Container[str] | None = None) -> list[Prompt]:
        """Questions as a model is asked them, in the official order.

        Args:
            name: the category.
            native: the functions go to the model as tools, so they are in no message.
            only: ids of the questions that are wanted; all without it.
        """
        kind = self.category(name)
        if kind.kind == AGENTIC:
            return []
        rows = self.questions(name) if self.protocol.historical else _package_prompts(kind)
        rows = [row for row in rows if only is None or row["id"] in only]
        if self.protocol.historical or kind.kind == EXECUTABLE:
            rows = [{**row, "function": bridge.with_language_hint(row["function"], kind.language)} for row in rows]
        return [self._prompt(row, native) for row in rows]

    def memory_rows(self, name: str) -> list[dict[str, Any]]:
        """Rows of a memory category as prompts show them, with those of the conversations that fill the memory."""
        return bridge.load_entries(name, for_prompts=True, with_prerequisites=True)

    def memory_prompt(self, row: dict[str, Any], content: str, native: bool) -> Prompt:
        """A row of a memory category as a model is asked it, with what the memory shows of itself."""
        turns = bridge.with_memory(row["question"], row["id"], row["scenario"], content)
        return self._prompt({**row, "question": turns, "initial_config": {}}, native)

    def _prompt(self, row: dict[str, Any], native: bool) -> Prompt:
        first, *later = deepcopy(row["question"])
        entry = {key: row[key] for key in ("id", "initial_config", "involved_classes") if "involved_classes" in row}
        added = {int(turn): functions for turn, functions in (row.get("missed_function") or {}).items()}
        messages = first if native else self._with_functions(first, row["function"], row["id"])
        return Prompt(row["id"], messages, row["function"], later, added, entry)

    def _with_functions(self, messages: list[Message], functions: list[dict[str, Any]], id_: str) -> list[Message]:
        if not self.protocol.historical:
            return bridge.system_prompt(messages, functions, id_)
        if self.protocol.name == "v1-2024":
            asked = self._texts["user_prompt"].format(user_prompt=messages[0]["content"], functions=str(functions))
            return [_message("system", self._texts["system_prompt"]), _message("user", asked)]
        text = self._texts["system_prompt"].format(functions=functions)
        if messages[0]["role"] == "system":
            return [_message("system", f"{text}\n\n{messages[0]['content']}"), *messages[1:]]
        return [_message("system", text), *messages]

    def added_functions_message(self, functions: list[dict[str, Any]], native: bool) -> Message:
        """The user message of a turn in which functions that were held back are added."""
        if self.protocol.historical and not native:
            return _message("user", self._texts["added_functions_prompting"].format(functions=functions))
        return _message("user", bridge.added_functions_prompt(functions, native))

    @cached_property
    def _texts(self) -> dict[str, str]:
        return historical.read_prompts(self.folder, self.protocol.name)


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _package_questions(kind: Category) -> list[dict[str, Any]]:
    if kind.kind == EXECUTABLE:
        rows = bridge.read_jsonl(f"unused_datasets/question/{kind.data_name}")
        gold = bridge.read_jsonl(f"unused_datasets/possible_answer/{kind.data_name}")
        types = {row["id"]: row.get("execution_result_type", []) for row in gold}
        return [{**row, "execution_result_type": types[row["id"]]} for row in rows]
    if kind.kind == MULTI_TURN:
        return bridge.read_jsonl(kind.data_name)  # without the function documents, which scoring does not need
    return bridge.load_entries(kind.name, for_prompts=False)


def _package_prompts(kind: Category) -> list[dict[str, Any]]:
    return _package_questions(kind) if kind.kind == EXECUTABLE else bridge.load_entries(kind.name, for_prompts=True)


def _package_gold(kind: Category) -> dict[str, Any]:
    gold = bridge.load_gold(kind.name)
    if kind.kind != AGENTIC:
        return {row["id"]: row["ground_truth"] for row in gold}
    # Variants of a category share their gold, whose ids name none of them; the order is the same.
    ids = [row["id"] for row in bridge.load_entries(kind.name, for_prompts=False)]
    return {id_: row["ground_truth"] for id_, row in zip(ids, gold, strict=True)}


def _as_today(row: dict[str, Any]) -> dict[str, Any]:
    """A question of v1, where a single function is no list and a question is plain text."""
    function = row["function"]
    return {
        **row,
        "question": [[_message("user", row["question"])]],
        "function": function if isinstance(function, list) else [function],
    }


def _gold_as_today(answer: dict[str, Any], functions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gold of v1 as a list of calls, named as v1's checker finds the function: the first name that is a part."""
    calls = []
    for key, arguments in answer.items():
        name = functions[0]["name"] if len(answer) == len(functions) == 1 else key
        name = next((function["name"] for function in functions if function["name"] in key), name)
        calls.append({name: arguments})
    return calls
