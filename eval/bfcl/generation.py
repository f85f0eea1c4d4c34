"""BFCL questions as dialogs: one answer, or turns in which the model calls simulated APIs until it stops calling.

The loop of a multi-turn question is the official one: a step is an answer; when calls can be decoded from it they are
executed and their results are told, and the next step follows; when none can, the turn is over. After twenty steps
with calls the model is stopped, and the missing turns make the answer wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

from eval.asking import Answer, Ask, Dialog
from eval.bfcl import bridge
from eval.bfcl.categories import MULTI_TURN
from eval.bfcl.data import Data, Prompt
from eval.bfcl.judging import is_empty_step, step_calls
from eval.bfcl.worker import Worker
from toolace.errors import InputError
from toolace.rows import Row

MOST_STEPS = 20  # of one turn; BFCL, all versions
LATE = "Error during execution: not done in time"


class Apis:
    """The simulated APIs behind all dialogs of a run, in one child process; safe to use from several threads."""

    def __init__(self, worker: Worker | None = None) -> None:
        self._worker, self._lock = worker or Worker(memories=True), Lock()

    def run(self, entry: dict[str, Any], before: Sequence[Sequence[str]], calls: Sequence[str]) -> list[str] | None:
        """Results of calls after the steps before them; None when they do not come in time."""
        with self._lock:
            return self._worker.run_calls(entry, before, calls)

    def memory_content(self, entry: dict[str, Any], before: Sequence[Sequence[str]]) -> str:
        """What a memory shows of itself after the steps before.

        Raises:
            InputError: it does not come in time.
        """
        with self._lock:
            content = self._worker.memory_content(entry, before)
        if content is None:
            fix = "Run the command again; what was answered is kept."
            raise InputError(f"the memory of {entry['id']} could not be filled in time", fix=fix)
        return content

    def close(self) -> None:
        """Ends the child process."""
        self._worker.close()


def make_dialog(data: Data, category: str, prompt: Prompt, native: bool, tool_role: str, apis: Apis) -> Dialog[Row]:
    """A question as a dialog that returns its row of the result file.

    Args:
        data: the protocol's questions.
        category: the question's category.
        prompt: the question.
        native: the functions are given as tools, and calls come as native calls.
        tool_role: role of the messages that tell results in prompting mode.
        apis: where calls of multi-turn questions are executed.
    """
    if data.category(category).kind == MULTI_TURN:
        return several_turns(data, prompt, native, tool_role, apis)
    return _single(prompt, native)


def _single(prompt: Prompt, native: bool) -> Dialog[Row]:
    answer = yield Ask(prompt.messages, bridge.as_tools(prompt.functions) if native else None)
    return {
        "id": prompt.id,
        "result": _result(answer),
        "input_token_count": answer.input_tokens,
        "output_token_count": answer.output_tokens,
        "latency": answer.seconds,
    }


def _result(answer: Answer) -> Any:
    """An answer as official result files hold it: text, or a list of `{name: arguments as JSON text}`."""
    if answer.calls is None:
        return answer.text
    return [{call["name"]: call["arguments"]} for call in answer.calls]


def several_turns(
    data: Data, prompt: Prompt, native: bool, tool_role: str, apis: Apis, before: Sequence[list[str]] = ()
) -> Dialog[Row]:
    """A dialog of several turns; `before`: calls, step by step, that the APIs have executed already."""
    messages = [dict(message) for message in prompt.messages]
    functions = list(prompt.functions)
    row: dict[str, Any] = {"id": prompt.id, "result": []}
    counts: dict[str, list[list[float]]] = {"input_token_count": [], "output_token_count": [], "latency": []}
    done = list(before)
    for number in range(1 + len(prompt.later_turns)):
        if number:
            messages += prompt.later_turns[number - 1]
        if number in prompt.added:
            functions += prompt.added[number]
            messages.append(data.added_functions_message(prompt.added[number], native))
        steps: list[Any] = []
        row["result"].append(steps)
        for values in counts.values():
            values.append([])
        while len(steps) <= MOST_STEPS:
            answer = yield Ask(messages, bridge.as_tools(functions) if native else None)
            steps.append(_result(answer))
            for name, value in _costs(answer).items():
                counts[name][-1].append(value)
            messages.append(_assistant(answer))
            try:
                calls = step_calls(steps[-1], native, data.protocol)
            except bridge.Undecodable:
                break
            if is_empty_step(calls):
                break
            messages += _tell(prompt.entry, answer, calls, done, tool_role, apis)
        else:
            break
    return {**row, **counts}


def _costs(answer: Answer) -> dict[str, float]:
    return {
        "input_token_count": answer.input_tokens,
        "output_token_count": answer.output_tokens,
        "latency": answer.seconds,
    }


def _assistant(answer: Answer) -> dict[str, Any]:
    if answer.calls is None:
        return {"role": "assistant", "content": answer.text}
    calls = [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for call in answer.calls
    ]
    return {"role": "assistant", "content": answer.text or None, "tool_calls": calls}


def _tell(
    entry: dict[str, Any], answer: Answer, calls: list[str], done: list[list[str]], tool_role: str, apis: Apis
) -> list[dict[str, Any]]:
    """Executes a step and returns the messages that tell its results; the step joins those that are done."""
    results = apis.run(entry, done, calls)
    if results is None:
        results = [LATE] * len(calls)
    else:
        done.append(calls)
    if answer.calls is None:
        return [
            {"role": tool_role, "name": call, "content": result} for call, result in zip(calls, results, strict=True)
        ]
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": result}
        for call, result in zip(answer.calls, results, strict=False)
    ]
