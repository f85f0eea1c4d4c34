"""BFCL questions with their possible answers, read as dialogs: the benchmark's own gold, in the form rules can judge.

An answer of BFCL lists the values that are accepted for each argument, an empty text among them when the argument may
be left out. The dialog holds the first value that fits the definition and was said in the question; without one the
argument is left out if it may be (and the call then is not one that was made already), and else holds the first value.
Java and JavaScript questions take arguments as source text, as the benchmark's own preparation of them says: there a
text may stand for a value of any type.

Of conversations the first turn is read: what later turns build on is the state of a simulated world, which no rule
knows. Questions that no function fits (irrelevance) have no gold; theirs is an answer without a call.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_gen.verification.bfcl_turns import functions_of, written_calls
from data_gen.verification.grounding import is_grounded
from data_gen.verification.heard import Heard
from data_gen.verification.schemas import compile_schema, properties_of, required_of
from data_gen.verification.text import leaves
from toolace import Call, Dialog, InputError, Message, Tool
from toolace.dialogs import number_calls
from toolace.pair_rows import NO_CALL
from toolace.rows import read_rows


def is_bfcl(row: Any) -> bool:
    """Whether a row is a question of BFCL: turns of messages, and function documents."""
    if not isinstance(row, Mapping) or "question" not in row or "messages" in row:
        return False
    return "function" in row or "involved_classes" in row


def answers_beside(path: Path) -> dict[str, Any]:
    """Answers by id of `possible_answer/<same name>`, where BFCL keeps them; empty when there is no such file."""
    return read_answers(found) if (found := path.parent / "possible_answer" / path.name).is_file() else {}


def read_answers(path: Path) -> dict[str, Any]:
    """`ground_truth` by question id.

    Raises:
        InputError: the file cannot be read, or a line of it has no id or no ground_truth.
    """
    answers = {}
    for number, row in read_rows(path):
        if "id" not in row or "ground_truth" not in row:
            fix = "Give a file of BFCL's possible_answer folder."
            raise InputError("has no id and ground_truth", where=f"{path}:{number}", fix=fix)
        answers[str(row["id"])] = row["ground_truth"]
    return answers


def from_bfcl(row: Mapping[str, Any]) -> Dialog:
    """The question's first turn and its answer as one dialog.

    Raises:
        InputError: there is no answer, or question, functions or answer are not of BFCL's form.
    """
    id_ = str(row.get("id") or "")
    listed = row.get("function")
    if listed is None:
        raise InputError("a BFCL question has no functions", where=id_, fix="Read it from its folder, by file.")
    functions = tuple(Tool.from_json(item) for item in (listed if isinstance(listed, list) else [listed]))
    if _SOURCE.search(id_):
        functions = tuple(dataclasses.replace(tool, parameters=_or_source(tool.parameters)) for tool in functions)
    asked = [Message.from_json(message) for message in _first_turn(row["question"])]
    answer = _answer(row.get("ground_truth"), id_, functions, asked)
    return Dialog(id_, "", functions, number_calls([*asked, answer]), {"source": "bfcl"})


# Ids of Java and JavaScript questions: simple_java_3, javascript_12.
_SOURCE = re.compile(r"(?:\A|_)java(?:script)?_")


def _answer(truth: Any, id_: str, functions: Sequence[Tool], asked: Sequence[Message]) -> Message:
    """The assistant's turn that a gold answer stands for."""
    if truth in (None, []) and "irrelevance" in id_:
        return Message("assistant", NO_CALL)
    if isinstance(truth, Mapping):  # the first release: calls of different names in one object
        truth = [{name: values} for name, values in truth.items()]
    if not isinstance(truth, list) or not truth:
        fix = "Give the answers with --answers, or leave the questions without one out."
        raise InputError("a BFCL question has no answer", where=id_, fix=fix)
    if isinstance(truth[0], list):
        truth = truth[0]
        if not truth:  # the turn wants a question back
            return Message("assistant", NO_CALL)
    if isinstance(truth[0], str):
        return Message("assistant", "", tuple(written_calls(truth, functions)))
    chooser = _Chooser([Heard(message.content) for message in asked])
    parameters = {tool.name: tool.parameters for tool in functions}
    calls: list[Call] = []
    for item in truth:
        for name, values in _named(item):
            call = Call(name, chooser.members(values, parameters.get(name, {})))
            if call in calls:
                call = Call(name, chooser.members(values, parameters.get(name, {}), leave_out=False))
            calls.append(call)
    return Message("assistant", "", tuple(calls))


def _or_source(parameters: Mapping[str, Any]) -> dict[str, Any]:
    inner = {name: {"anyOf": [schema, {"type": "string"}]} for name, schema in properties_of(parameters).items()}
    return {**parameters, "properties": inner}


def _first_turn(question: Any) -> list[Any]:
    if isinstance(question, str):
        return [{"role": "user", "content": question}]
    turn = question[0] if isinstance(question, list) and question else None
    if isinstance(turn, Mapping):
        return list(question)
    if not isinstance(turn, list):
        raise InputError("question is no list of turns", fix="Give rows as BFCL publishes them.")
    return turn


def _named(item: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, accepted values by argument) of an answer."""
    if not isinstance(item, Mapping) or not all(isinstance(values, Mapping) for values in item.values()):
        raise InputError("an answer is not {name: {argument: values}}", fix="Give rows as BFCL publishes them.")
    yield from item.items()


class _Chooser:
    """Chooses among accepted values by what was said."""

    def __init__(self, said: Sequence[Heard]) -> None:
        self.said = said

    def members(
        self, values: Mapping[str, Any], schema: Mapping[str, Any], *, leave_out: bool = True
    ) -> dict[str, Any]:
        """An object of one value each; inside objects, too, each member has a list of accepted values."""
        known, needed = properties_of(schema), required_of(schema)
        chosen = {}
        for key, options in values.items():
            listed = options if isinstance(options, list) else [options]
            may_lack = "" in [option for option in listed if isinstance(option, str)] and key not in needed
            options_ = [option for option in listed if not (may_lack and option == "")]
            inner = known.get(key, {})
            options_ = [option for option in options_ if fits(option, inner)] or options_
            said = next((option for option in options_ if self._is_said(option, inner)), None)
            if said is None and (not options_ or (leave_out and may_lack)):
                continue
            default = inner.get("default") if isinstance(inner, Mapping) else None
            given = [option for option in options_ if option != ""] if key in needed else []
            usual = default if default in options_ else (given or options_)[0]
            chosen[key] = self._plain(usual if said is None else said, inner)
        return chosen

    def _is_said(self, value: Any, schema: Any) -> bool:
        """Whether every scalar in a value was said; booleans and texts that are empty say nothing."""
        found = [leaf for _, leaf in leaves(value)]
        claims = [leaf for leaf in found if leaf not in ("", None) and not isinstance(leaf, bool)]
        plain = schema if isinstance(schema, Mapping) and not isinstance(value, (list, Mapping)) else {}
        return bool(claims) and all(is_grounded(leaf, dict(plain), self.said) for leaf in claims)

    def _plain(self, value: Any, schema: Any) -> Any:
        schema = schema if isinstance(schema, Mapping) else {}
        if isinstance(value, Mapping):
            return self.members(value, schema)
        if isinstance(value, list):
            return [self._plain(item, schema.get("items")) for item in value]
        return value


def fits(option: Any, schema: Any) -> bool:
    """Whether an accepted scalar fits its parameter; objects and lists are choices inside, and are not judged whole."""
    return isinstance(option, (Mapping, list)) or not compile_schema(schema).errors(option)


def is_answered(path: Path, row: Any, answers: Mapping[str, Any]) -> Any:
    """The row with its answer and the functions of its classes, when it is a BFCL question and has them elsewhere."""
    if not is_bfcl(row):
        return row
    if answers and "ground_truth" not in row and str(row.get("id")) in answers:
        row = {**row, "ground_truth": answers[str(row["id"])]}
    return row if "function" in row else {**row, "function": functions_of(row, path.parent)}
