"""The verdict on one answer, by the rule of its category: `{"valid", "error_type", "error"}` and what the rule adds.

`error_type` and `error` (a list of sentences) are None when valid. What kinds of answers add: `strict` (irrelevance),
`abstained` (multi-turn of 2024), `method` (executable: `executed`, or `gold_call` for the proxy), and `calls_in_text`:
a text with calls from a model that calls natively, single-turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eval.bfcl import bridge, executable
from eval.bfcl.bridge import Undecodable
from eval.bfcl.categories import AGENTIC, AST, EXECUTABLE, MULTI_TURN, RELEVANCE, Category, category
from eval.bfcl.protocols import Protocol, find_protocol
from toolace.rows import Row

MAX_ERROR = 1_000  # characters kept of each message: an error may quote the whole of a model's text


@dataclass(frozen=True)
class Item:
    """One answer with what it is judged by.

    Attributes:
        protocol, category: names.
        question: the question's row.
        gold: what `Data.gold` has for it; None without gold.
        result: as in the result file: a text, native calls, or a list of turns of them.
        native: the model was given tools and answers with native calls.
    """

    protocol: str
    category: str
    question: dict[str, Any]
    gold: Any
    result: Any
    native: bool = False

    @property
    def kind(self) -> Category:
        """The category."""
        return category(self.category, protocol=self.protocol)

    def needs_child(self) -> bool:
        """Whether what judges it may hang, crash or execute: it is then run in a child process.

        So is all that is read as the decoder of 2024 did: our guard follows what it took off a text's ends, and should
        a case be missed, the child's sandbox is a second wall.
        """
        kind = self.kind
        if kind.kind == EXECUTABLE and self.is_executed():
            return True
        return kind.kind == MULTI_TURN or kind.language != "python" or find_protocol(self.protocol).historical

    def is_executed(self) -> bool:
        """Whether an executable question can be executed: it needs no network, and the package is there."""
        return executable.runs_offline(self.gold) and executable.package_installed()

    def to_json(self) -> list[Any]:
        """What the child process needs of it."""
        keys = ("id", "function", "initial_config", "involved_classes", "execution_result_type")
        wanted = keys if self.kind.kind != MULTI_TURN else ("id", "initial_config", "involved_classes")
        question = {key: self.question[key] for key in wanted if key in self.question}
        return [self.protocol, self.category, question, self.gold, self.result, self.native]


def judge(item: Item) -> Row:
    """The verdict on an answer."""
    verdict = _judge(item)
    if item.native and isinstance(item.result, str) and item.kind.kind not in (MULTI_TURN, AGENTIC):
        return {**verdict, "calls_in_text": True} if _holds_calls(item.result) else verdict
    return verdict


def _holds_calls(text: str) -> bool:
    from toolace.calls import parse_calls  # not at the top: the child process has no use for it

    parsed = parse_calls(text)
    return bool(parsed.calls) and bool(parsed.bracketed)


def _judge(item: Item) -> Row:
    kind, protocol = item.kind, find_protocol(item.protocol)
    if kind.kind == AST:
        return _judge_calls(item, kind, protocol)
    if kind.kind == MULTI_TURN:
        return _judge_turns(item, protocol)
    if kind.kind == EXECUTABLE:
        return _judge_executable(item, protocol)
    if kind.kind == AGENTIC:
        return _judge_last_message(item, protocol)
    return _judge_abstention(item, kind, protocol)


def refused(evidence: str) -> Row:
    """The verdict on an answer that no official code was shown."""
    return invalid("guard:refused", [evidence])


def _decode(item: Item, protocol: Protocol) -> list[dict[str, Any]]:
    if item.native:
        return bridge.decode_native(item.result)
    return bridge.decode_ast(_text(item.result), item.kind.language, protocol.historical)


def step_calls(result: Any, native: bool, protocol: Protocol) -> list[str]:
    """Calls of one step as the texts that the official code executes.

    Raises:
        Undecodable: the step holds no calls: it is talk.
    """
    if native:
        return bridge.native_call_texts(result)
    return bridge.call_texts(bridge.decode_ast(_text(result), of_2024=protocol.historical))


def _text(result: Any) -> str:
    if isinstance(result, str):
        return result
    raise Undecodable(f"the answer is a {type(result).__name__}, not text")


def _judge_calls(item: Item, kind: Category, protocol: Protocol) -> Row:
    """Upstream's rule where a call is wanted: the text decodes, has the form of calls, and agrees with gold."""
    try:
        decoded = _decode(item, protocol)
    except Undecodable as error:
        return invalid(error.error_type, [str(error)])
    if not bridge.is_call_list(decoded):
        return invalid("ast_decoder:decoder_wrong_output_format", ["Did not output in the specified format."])
    result = bridge.check_ast(item.question["function"], decoded, item.gold, kind, item.native)
    return valid() if result["valid"] else invalid(result["error_type"], result["error"])


def _judge_abstention(item: Item, kind: Category, protocol: Protocol) -> Row:
    """Upstream's rule where no call (irrelevance) or any call (relevance) is wanted: does the text decode to calls?

    A text that does not decode is an abstention for upstream, however much it looks like a call. `strict`, on
    irrelevance verdicts, says whether it is valid when an attempt to call is no abstention either.
    """
    evidence, error_type = "", ""
    try:
        has_call = not bridge.is_empty(_decode(item, protocol))
    except Undecodable as error:
        has_call, evidence, error_type = error.is_call, str(error), error.error_type
    if kind.kind == RELEVANCE:
        if has_call:
            return valid()
        return invalid(error_type if error_type.startswith("guard") else "relevance_error:decoder_failed", [evidence])
    if has_call:
        known = error_type or "irrelevance_error:decoder_success"
        return {**invalid(known, [evidence or "A call was decoded where none was wanted."]), "strict": False}
    text = item.result if isinstance(item.result, str) else ""
    return {**valid(), "strict": not attempts_call(text, item.question["function"])}


def _judge_turns(item: Item, protocol: Protocol) -> Row:
    """Upstream's rule for multi-turn answers: steps that do not decode are talk, the others act on the APIs."""
    from eval.bfcl.simulation import check_turns

    if not isinstance(item.result, list) or not all(isinstance(turn, list) for turn in item.result):
        return invalid("multi_turn:inference_error", ["The answer is not a list of turns."])
    if len(item.result) != len(item.gold):
        evidence = f"The answer has {len(item.result)} turns of {len(item.gold)}: the model was stopped."
        return invalid("multi_turn:force_terminated", [evidence])
    turns = []
    for turn in item.result:
        steps = []
        for step in turn:
            try:
                calls = step_calls(step, item.native, protocol)
            except Undecodable as error:
                if error.is_call:  # what the arguments would execute is refused, and with it the answer
                    return refused(str(error))
                continue
            if not is_empty_step(calls):
                steps.append(calls)
        turns.append(steps)
    verdict = check_turns(item.question, item.gold, turns, protocol.metric)
    return {**verdict, "error": verdict["error"] and [line[:MAX_ERROR] for line in verdict["error"]]}


def is_empty_step(calls: list[str]) -> bool:
    """Upstream's test that a step calls nothing."""
    return not calls or (len(calls) == 1 and not calls[0])


def _judge_executable(item: Item, protocol: Protocol) -> Row:
    """Executed and compared where that needs no network; else, by a proxy, the calls equal gold's."""
    offline = item.is_executed()
    method = {"method": "executed" if offline else "gold_call"}
    try:
        decoded = _decode(item, protocol)
        calls = bridge.native_call_texts(item.result) if item.native else bridge.call_texts(decoded)
    except Undecodable as error:
        known = "guard:refused" if error.error_type == "guard:refused" else "executable_decoder:decoder_failed"
        return {**invalid(known, [str(error)]), **method}
    if not calls:
        evidence = ["Did not output in the specified format."]
        return {**invalid("executable_decoder:wrong_output_format", evidence), **method}
    if offline:
        types = item.question["execution_result_type"]
        verdict = executable.check_executed(item.category, item.gold, types, calls)
        return {**(verdict if verdict["valid"] else invalid(verdict["error_type"], verdict["error"])), **method}
    functions = item.question["function"]
    gold = [executable.with_names(text, bridge.decode_ast(text)[0], functions) for text in item.gold]
    decoded = [
        {name.replace("requests_get", "requests.get"): given for name, given in call.items()} for call in decoded
    ]
    if executable.same_calls(gold, decoded):
        return {**valid(), **method}
    return {**invalid("executable_proxy:other_calls", ["The calls are not those of gold."]), **method}


def _judge_last_message(item: Item, protocol: Protocol) -> Row:
    """Upstream's rule for agentic answers: the last step that is no call mentions an accepted answer."""
    if not isinstance(item.result, list) or len(item.result) != 1 or not isinstance(item.result[0], list):
        return invalid("agentic:inference_error", ["The answer is not a list of one turn."])
    message = None
    for step in item.result[0]:
        try:
            talk = is_empty_step(step_calls(step, item.native, protocol))
        except Undecodable as error:
            talk = not error.is_call
        message = step if talk else message
    if not message:
        return invalid("agentic:no_last_message", ["No message that is not a call."])
    verdict = bridge.check_agentic(message, item.gold)
    return valid() if verdict["valid"] else invalid(verdict["error_type"], [verdict["error_message"]])


def attempts_call(text: str, functions: Iterable[Mapping[str, Any]]) -> bool:
    """Says whether an answer tries to call, decodable or not.

    It does when calls can be read in it, when an offered function's name is followed by an opening bracket and an
    argument (so `name()` in a sentence is a mention), or when it is given as `"name": "..."` in JSON.
    """
    for function in functions:
        if str(function.get("name", "")) not in text:
            continue
        name = re.escape(str(function.get("name", "")))
        if re.search(rf"(?<![\w.]){name}\s*\(\s*[^\s)]", text):
            return True
        if re.search(rf"""["'](?:name|function)["']\s*:\s*["']{name}["']""", text):
            return True
    return _holds_calls(text)


def valid() -> Row:
    """The verdict on a right answer."""
    return {"valid": True, "error_type": None, "error": None}


def invalid(error_type: str, error: Iterable[Any]) -> Row:
    """The verdict on a wrong answer, with sentences of a length that can be read."""
    sentences = [line[:MAX_ERROR] for item in error for line in _sentences(item)]
    return {"valid": False, "error_type": error_type, "error": sentences}


def _sentences(item: Any) -> list[str]:
    """The parallel checker nests `{"Model Result Index 0": {"sub_error": [...], ...}}` in its list of messages."""
    if not isinstance(item, Mapping):
        return [str(item)]
    return [f"{key}: {' '.join(map(str, value.get('sub_error', [])))}" for key, value in item.items()]
