"""Multi-turn answers on the official simulated APIs: executed, and compared with gold; runs in the child process.

Instances of the official code live in a module's globals under names made of model and question, so that scoring the
same question twice in one process gives a wrong verdict: here every use has a name of its own and leaves nothing
behind.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from eval.bfcl import bridge
from eval.bfcl.execution_guard import inspect_call

Turns = Sequence[Sequence[Sequence[str]]]  # turn, step, call
_ATOMS = frozenset((str, int, float, bool, type(None)))
_numbers = itertools.count()


def check_turns(entry: dict[str, Any], gold: Sequence[Sequence[str]], turns: Turns, metric: str) -> dict[str, Any]:
    """Compares what calls did with what gold does: `{"valid", "error_type", "error"}`.

    Args:
        entry: `id`, `initial_config` and `involved_classes` of the question.
        gold: call texts by turn.
        turns: the model's call texts by turn and step; as many turns as gold.
        metric: `state_and_response` (today: states equal after every turn, and results of gold's calls among the
            model's) or `state` (September 2024). The latter has two fields more: `abstained`, where gold calls nothing
            in some turn, says that nothing was called there; and `stale` that gold calls a function that the installed
            simulated APIs no longer have.
    """
    known = _resolvable()
    allowed = _methods(tuple(entry["involved_classes"]))
    for call in (call for turn in turns for step in turn for call in step):
        reason = inspect_call(call, allowed, known)
        if reason:
            return {"valid": False, "error_type": "guard:refused", "error": [reason]}
    with _fresh_name() as name:
        if metric == "state":
            verdict = _check_states(entry, gold, turns, name)
            if not all(gold):
                verdict["abstained"] = not any(calls for calls, wanted in zip(turns, gold, strict=True) if not wanted)
            stale = any(call.split("(")[0].strip() not in allowed for wanted in gold for call in wanted)
            return {**verdict, "stale": stale}
        _, checker = _quick_apis()
        return _verdict(checker.multi_turn_checker(turns, gold, entry, "", name))


def _check_states(entry: dict[str, Any], gold: Sequence[Sequence[str]], turns: Turns, name: str) -> dict[str, Any]:
    """The rule of September 2024: turns without gold are skipped, and states are compared after each other turn."""
    _, checker = bridge.simulated_apis()
    for number, (wanted, steps) in enumerate(zip(gold, turns, strict=True)):
        if not wanted:
            continue
        if not steps:
            evidence = [f"Model response list is empty for turn {number}"]
            return {"valid": False, "error_type": "multi_turn:empty_turn_model_response", "error": evidence}
        _, expected = _execute(entry, list(wanted), f"{name}_ground_truth")
        found: dict[str, Any] = {}
        for step in steps:
            _, found = _execute(entry, list(step), name)
        verdict = checker.state_checker(found, expected)
        if not verdict["valid"]:
            return _verdict(verdict)
    return {"valid": True, "error_type": None, "error": None}


def _verdict(official: dict[str, Any]) -> dict[str, Any]:
    if official["valid"]:
        return {"valid": True, "error_type": None, "error": None}
    details = official.get("details") or {}
    changed = "".join(f" {key}: {value}." for key, value in (details.get("differences") or {}).items())
    missing = f" Missing: {details['missing_items']}." if details.get("missing_items") else ""
    return {
        "valid": False,
        "error_type": official["error_type"],
        "error": [official["error_message"] + changed + missing],
    }


def run_calls(entry: dict[str, Any], before: Sequence[Sequence[str]], calls: Sequence[str]) -> list[str]:
    """Results of calls, after those of the steps before were executed again on a fresh state.

    A call that the guard refuses has an error as its result, as a call that fails.
    """
    allowed, known = _methods(tuple(entry["involved_classes"])), _resolvable()
    with _fresh_name() as name:
        for step in before:
            _execute(entry, [call for call in step if not inspect_call(call, allowed, known)], name)
        results = []
        for call in calls:
            reason = inspect_call(call, allowed, known)
            if reason:
                results.append(f"Error during execution: {reason}")
            else:
                results += _execute(entry, [call], name)[0]
        return results


def memory_content(entry: dict[str, Any], before: Sequence[Sequence[str]]) -> str:
    """What a memory shows of itself in the system prompt, after the calls of the conversations before."""
    allowed, known = _methods(tuple(entry["involved_classes"])), _resolvable()
    with _fresh_name() as name:
        _, instances = _execute(entry, [], name)
        for step in before:
            _execute(entry, [call for call in step if not inspect_call(call, allowed, known)], name)
        (memory,) = instances.values()
        return str(memory._dump_core_memory_to_context())


def _execute(entry: dict[str, Any], calls: list[str], name: str) -> tuple[list[str], dict[str, Any]]:
    utils, _ = _quick_apis()
    category = entry["id"].rsplit("_", 1)[0]
    done: tuple[list[str], dict[str, Any]] = utils.execute_multi_turn_func_call(
        func_call_list=calls,
        initial_config=entry["initial_config"],
        involved_classes=entry["involved_classes"],
        model_name=name,
        test_entry_id=entry["id"],
        long_context="long_context" in category or "composite" in category,
        is_evaL_run=True,
    )
    return done


@cache
def _quick_apis() -> tuple[Any, Any]:
    """The official modules, with two functions of the standard library that they call exchanged for faster equals.

    For every step the official code asks `inspect` for the methods of every instance, and copies JSON with `copy`: half
    of the time of scoring. Classes keep their methods, so they are asked once.
    """
    utils, checker = bridge.simulated_apis()
    utils.inspect = types.SimpleNamespace(getmembers=_members, ismethod=inspect.ismethod)  # type: ignore[attr-defined]
    utils.copy = types.SimpleNamespace(deepcopy=_copy_json)  # type: ignore[attr-defined]
    return utils, checker


def _members(instance: Any, predicate: Any) -> list[tuple[str, Any]]:
    """What `inspect.getmembers` gives for the official code, which looks at the names alone."""
    return [(name, None) for name in _method_names(type(instance))]  # type: ignore[arg-type]


@cache
def _method_names(api: type) -> tuple[str, ...]:
    return tuple(name for name, _ in inspect.getmembers(api, inspect.isfunction))


def _copy_json(value: Any) -> Any:
    """A deep copy, quick where the value is JSON."""
    kind = type(value)
    if kind is dict:
        return {key: _copy_json(item) for key, item in value.items()}
    if kind is list:
        return [_copy_json(item) for item in value]
    return value if kind in _ATOMS else copy.deepcopy(value)


@contextmanager
def _fresh_name() -> Iterator[str]:
    """A model name that was never used; what is kept under it is removed afterwards."""
    utils, _ = bridge.simulated_apis()
    name = f"toolace{next(_numbers)}x"
    try:
        yield name
    finally:
        for key in [key for key in vars(utils) if key.startswith(name) and key.endswith("_instance")]:
            delattr(utils, key)


@cache
def _methods(classes: tuple[str, ...]) -> frozenset[str]:
    """Names of the public methods of some simulated APIs."""
    import importlib

    utils, _ = bridge.simulated_apis()
    names = set()
    for name in classes:
        api = getattr(importlib.import_module(utils.CLASS_FILE_PATH_MAPPING[name]), name)
        names |= {method for method in _method_names(api) if not method.startswith("_")}
    return frozenset(names)


@cache
def _resolvable() -> frozenset[str]:
    """Names that the official `eval` could see: those of its module and of its function."""
    utils, _ = bridge.simulated_apis()
    function = utils.execute_multi_turn_func_call.__code__
    return frozenset(vars(utils)) | frozenset(function.co_varnames) | frozenset(function.co_cellvars)
