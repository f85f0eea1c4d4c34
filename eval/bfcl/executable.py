"""Executable answers: really executed by the official checker where no network is needed, else compared with gold.

The checker, its functions and the answers come from the PyPI package `nvidia-bfcl`, which keeps what bfcl-eval dropped.
Of 240 questions 134 need no network. The other 106, and the 70 about REST services, have a verdict by a named proxy:
the decoded calls equal gold's, argument by argument. Proxy and executed verdicts are never summed under one name.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from typing import Any

from eval.bfcl.execution_guard import inspect_call, inspect_formula
from eval.bfcl.guard import constant_value
from toolace.errors import InputError

PACKAGE = "nvidia-bfcl==25.6.1"
# Not its dependencies: it needs `requests` alone here, and pins versions that other packages of ours do not agree with.
COMMAND = f"pip install --no-deps {PACKAGE}"
NETWORK = frozenset(
    (
        "convert_currency", "find_term_on_urban_dictionary", "get_active_covid_case_by_country",
        "get_company_name_by_stock_name", "get_coordinate_by_ip_address", "get_coordinates_from_city",
        "get_covid_death_by_country", "get_movie_director", "get_movie_rating", "get_price_by_amazon_ASIN",
        "get_product_name_by_amazon_ASIN", "get_rating_by_amazon_ASIN", "get_stock_history",
        "get_stock_price_by_stock_name", "get_time_zone_by_coord", "get_weather_data", "get_zipcode_by_ip_address",
        "retrieve_city_based_on_zipcode", "retrieve_holiday_by_year", "requests.get",
    )
)  # fmt: skip


def runs_offline(gold: Sequence[str]) -> bool:
    """Whether no call of gold needs a network."""
    return all(call.split("(")[0].strip() not in NETWORK for call in gold)


def package_installed() -> bool:
    """Whether the package that executes is there; without it all executable verdicts are by proxy."""
    return importlib.util.find_spec("bfcl") is not None


def check_executed(category: str, gold: Sequence[str], types: Sequence[str], calls: list[str]) -> dict[str, Any]:
    """Executes gold and the model's calls, and compares: `{"valid", "error_type", "error"}`; runs in the child.

    Args:
        category: its name, which decides whether several calls are compared in any order.
        gold: gold's call texts.
        types: how each result is compared (`exact_match`, ...).
        calls: the model's call texts.

    Raises:
        InputError: the package is not installed.
    """
    checker, functions = _checker()
    offered = frozenset(name for name, value in vars(functions).items() if callable(value) and name not in NETWORK)
    for call in calls:
        reason = _inspect(call, offered, frozenset(vars(functions)))
        if reason:
            return {"valid": False, "error_type": "guard:refused", "error": [reason]}
    expected = {
        "execution_result": [_result_of(call, functions) for call in gold],
        "execution_result_type": list(types),
    }
    verdict = checker.executable_checker_non_rest(calls, expected, category)
    if verdict["valid"]:
        return {"valid": True, "error_type": None, "error": None}
    return {"valid": False, "error_type": verdict["error_type"], "error": verdict["error"]}


def _inspect(call: str, offered: frozenset[str], known: frozenset[str]) -> str | None:
    try:
        tree = ast.parse(call, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return "a call that is no Python expression"  # `exec`, unlike `eval`, would run several statements
    reason = inspect_call(call, offered, known)
    if reason:
        return reason
    for node in ast.walk(tree):
        # `estimate_derivative` evaluates the text of a function.
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "estimate_derivative":
            for value in [*node.args, *(keyword.value for keyword in node.keywords)]:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    reason = reason or inspect_formula(value.value)
    return reason


def _result_of(call: str, functions: Any) -> Any:
    """The result of one of gold's calls, in the form the official runner keeps it (tuples become lists)."""
    tree = ast.parse(call, mode="eval").body
    assert isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)
    arguments = [_value(value) for value in tree.args]
    keywords = {str(keyword.arg): _value(keyword.value) for keyword in tree.keywords}
    result = getattr(functions, tree.func.id)(*arguments, **keywords)
    return list(result) if isinstance(result, tuple) else result


def _value(node: ast.AST) -> Any:
    """A literal, or arithmetic on numbers: one gold has `p=1/6`."""
    return constant_value(node) if isinstance(node, ast.BinOp) else ast.literal_eval(node)


def prepare() -> None:
    """Imports the package, which a closed sandbox would not let."""
    _checker()


@cache
def _checker() -> tuple[Any, Any]:
    """The official checker and the module of its functions.

    Raises:
        InputError: the package is not installed.
    """
    if not package_installed():
        raise InputError("the executable categories need the package nvidia-bfcl", fix=f"Run: {COMMAND}")
    room = "bfcl.eval_checker.executable_eval"
    checker = importlib.import_module(f"{room}.executable_checker")
    return checker, importlib.import_module(f"{room}.data.executable_python_function")


def same_calls(gold: Sequence[dict[str, Any]], calls: Sequence[dict[str, Any]]) -> bool:
    """The proxy: as many calls as gold, each equal to one of gold's in name and all arguments, in any order."""
    wanted = list(gold)
    for call in calls:
        if call not in wanted:
            return False
        wanted.remove(call)
    return not wanted


def with_names(text: str, decoded: dict[str, Any], functions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One of gold's calls with its positional arguments, which the decoder drops, under their parameters' names."""
    tree = ast.parse(text.strip(), mode="eval").body
    (name, arguments), *_ = decoded.items()
    document = next((function for function in functions if function["name"] == name), None)
    if not isinstance(tree, ast.Call) or document is None:
        return decoded
    names = list(document["parameters"]["properties"])
    given = {key: _value(value) for key, value in zip(names, tree.args, strict=False)}
    return {name: {**given, **arguments}}
