"""What went wrong, in a dozen words: official error types of all categories under names that can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from toolace.rows import Row

CLASSES = {
    "no_call": "no call could be read where one was wanted",
    "unwanted_call": "called where no call was wanted",
    "wrong_count": "too few or too many calls",
    "wrong_function": "another function was called",
    "missing_argument": "an argument is missing",
    "unexpected_argument": "an argument that the function or gold does not have",
    "wrong_type": "an argument of another type",
    "wrong_value": "an argument with another value",
    "wrong_calls": "no call matches one of gold's",
    "wrong_result": "executed, with another result",
    "wrong_state": "the simulated APIs ended in another state",
    "missing_result": "results of gold's calls are missing",
    "stopped": "the answer ended before the last turn",
    "wrong_answer": "the last message does not hold the answer",
    "refused": "refused by the guard, or not done in time",
    "checker_failed": "the official checker itself fails on it",
}
_WHOLE = {
    "ast_decoder:decoder_failed": "no_call",
    "ast_decoder:decoder_wrong_output_format": "no_call",
    "executable_decoder:decoder_failed": "no_call",
    "executable_decoder:wrong_output_format": "no_call",
    "relevance_error:decoder_failed": "no_call",
    "irrelevance_error:decoder_success": "unwanted_call",
    "multi_turn:irrelevance_error:decoder_success": "unwanted_call",
    "multi_turn:empty_turn_model_response": "no_call",
    "multi_turn:instance_state_mismatch": "wrong_state",
    "multi_turn:execution_response_mismatch": "missing_result",
    "multi_turn:force_terminated": "stopped",
    "multi_turn:inference_error": "stopped",
    "agentic:inference_error": "stopped",
    "agentic:answer_not_found": "wrong_answer",
    "agentic:no_last_message": "wrong_answer",
    "executable_proxy:other_calls": "wrong_calls",
    "executable_checker:cannot_find_match": "wrong_calls",
    "value_error:exec_result_count": "wrong_count",
    "value_error:list_dict_count": "wrong_value",
    "checker:raised": "checker_failed",
    "guard:refused": "refused",
}
# What a type's last word says, in the order in which it is looked for.
_ENDINGS = {
    "wrong_count": "wrong_count",
    "wrong_func_name": "wrong_function",
    "missing_required": "missing_argument",
    "missing_optional": "missing_argument",
    "unexpected_param": "unexpected_argument",
    "cannot_find_match": "wrong_calls",
}
_BEGINNINGS = {"type_error": "wrong_type", "value_error": "wrong_value", "executable_checker": "wrong_result"}


def error_class(error_type: str) -> str:
    """The class of an official error type, or of one of ours; `checker_failed` for one that is not known."""
    if error_type in _WHOLE:
        return _WHOLE[error_type]
    beginning, _, ending = error_type.partition(":")
    return _ENDINGS.get(ending) or _BEGINNINGS.get(beginning) or "checker_failed"


def count_errors(verdicts: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Numbers of wrong answers `{"model", "category", "class", "n"}`, the most frequent class of a category first."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for verdict in verdicts:
        found = counts.setdefault((verdict["model"], verdict["category"]), Counter())
        if not verdict["valid"]:
            found[error_class(str(verdict.get("error_type")))] += 1
    return [
        {"model": model, "category": category, "class": name, "n": n}
        for (model, category), found in counts.items()
        for name, n in sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
