"""Keeps hostile calls from the official executors, which hand the text of a call to Python's `eval` or `exec`.

Allowed is a call of a function on offer, whose arguments are literals or, again, such calls, and whose numbers do not
make it run for minutes (`power(9, 10**9)`: see `COSTS`). That covers every call that a well-meaning model writes. A
name that Python could not resolve there is left to the official code, which reports a NameError before it looks at an
argument; any other name (`open`, `__import__`, `json.dump`) is refused unexecuted.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Collection
from typing import Any

from eval.bfcl.guard import MAX_BITS

MAX_CALL = 100_000  # characters of one call
MAX_EXPONENT = 64  # of a power in the text of a function that a model passes; gold goes up to 5
MAX_DEGREE = 4_096  # product of all exponents there, since a power may be raised to a power
MAX_DIGITS = 10_000  # that are asked for; milliseconds of work
MAX_TERMS = 10_000  # of a product or a sequence; its last number has at most 36,000 digits
_LITERALS = (
    ast.Expression, ast.Call, ast.keyword, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.UnaryOp, ast.USub,
    ast.UAdd, ast.Load,
)  # fmt: skip
# Most calls are as plain as this: literals and flat lists of them, by keyword or not.
_LITERAL = r"""(?:'[^'\\\n]*'|"[^"\\\n]*"|-?\d{1,18}(?:\.\d{0,18})?|True|False|None)"""
_ARGUMENT = rf"(?:\w+ ?= ?)?(?:{_LITERAL}|\[(?:{_LITERAL}(?:, ?|(?=\])))*\])"
_PLAIN_CALL = re.compile(rf"(\w+)\((?:{_ARGUMENT}(?:, ?|(?=\))))*\)")
_FORMULA = (ast.Lambda, ast.arguments, ast.arg, ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop, ast.Name, ast.Load)


def inspect_call(text: str, allowed: Collection[str], resolvable: Collection[str]) -> str | None:
    """Says why a call must not be executed; None when it may.

    Args:
        text: one call, as the official code executes it.
        allowed: functions on offer.
        resolvable: names that the executing module and function know beside Python's own.
    """
    if len(text) > MAX_CALL:
        return f"a call of {len(text):,} characters"
    plain = _PLAIN_CALL.fullmatch(text)
    if plain and plain.group(1) in allowed and plain.group(1) not in COSTS:
        return None
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return None  # the official code fails on it in the same way
    except (MemoryError, RecursionError):
        return "a call nested too deeply"
    functions: set[ast.AST] = set()
    for node in ast.walk(tree):  # breadth first, so a call comes before its function's name
        if isinstance(node, ast.Call):
            reason = _inspect_function(node.func, allowed, resolvable) or _inspect_cost(node)
            if reason:
                return reason
            functions.update(ast.walk(node.func))
        elif node not in functions:
            reason = _inspect_literal(node, resolvable)
            if reason:
                return reason
    return None


def _inspect_function(function: ast.AST, allowed: Collection[str], resolvable: Collection[str]) -> str | None:
    if isinstance(function, ast.Name) and function.id in allowed:
        return None
    root = function
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name):
        return f"a call of {type(root).__name__}, which is no name"
    if _known(root.id, resolvable):
        return f"a call of {ast.unparse(function)[:80]}, which is not on offer"
    return None


def _inspect_cost(call: ast.Call) -> str | None:
    """Says why numbers among a call's arguments are too large for it; a call as argument is left to time limits."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name not in COSTS:
        return None
    parameters, is_too_much = COSTS[name]
    given = dict(zip(parameters, map(_number, call.args), strict=False))
    given |= {str(keyword.arg): _number(keyword.value) for keyword in call.keywords}
    try:
        too_much = is_too_much(*(given.get(parameter, 0) for parameter in parameters))
    except (ArithmeticError, ValueError):  # infinities
        too_much = False
    return f"a {name} too large to be computed" if too_much else None


def _number(node: ast.AST) -> Any:
    """A literal number; 0, which costs nothing, for anything else."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return 0
    return value if isinstance(value, int | float) else 0


def _is_large_power(base: Any, exponent: Any) -> bool:
    """Whether a power has more than 4,300 digits, of which Python would refuse to print it. Floats cost nothing."""
    return isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS


def _over(limit: int) -> Callable[..., bool]:
    return lambda *values: any(abs(value) > limit for value in values)


# Functions of the simulated and executed APIs that numbers can keep busy for minutes: their parameters that count, in
# the order of their definitions, and whether such values are too much.
COSTS: dict[str, tuple[tuple[str, ...], Callable[..., bool]]] = {
    "power": (("base", "exponent"), _is_large_power),
    "logarithm": (("value", "base", "precision"), lambda value, base, precision: abs(precision) > MAX_DIGITS),
    "square_root": (("number", "precision"), lambda number, precision: abs(precision) > MAX_DIGITS),
    "round_number": (("number", "decimal_places"), lambda number, places: abs(places) > MAX_DIGITS),
    "math_factorial": (("n",), _over(MAX_TERMS)),
    "calc_binomial_probability": (("n", "k", "p"), _over(MAX_TERMS)),
    "calculate_permutations": (("n", "k"), _over(MAX_TERMS)),
    "get_fibonacci_sequence": (("n",), _over(MAX_TERMS)),
    "get_fibonacci_number": (("n",), _over(MAX_TERMS)),
    "calculate_future_value": (
        ("present_value", "interest_rate", "periods"),
        lambda _, rate, periods: _is_large_power(1 + rate, periods),
    ),
}


def _inspect_literal(node: ast.AST, resolvable: Collection[str]) -> str | None:
    if isinstance(node, ast.Name):
        return f"the name {node.id} as a value" if _known(node.id, resolvable) else None
    if not isinstance(node, _LITERALS):
        return f"code in an argument: {type(node).__name__}"
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value.bit_length() > MAX_BITS:
        return f"an integer of {node.value.bit_length():,} bits"
    return None


def _known(name: str, resolvable: Collection[str]) -> bool:
    return name in resolvable or hasattr(builtins, name)


def inspect_formula(text: str) -> str | None:
    """Says why the text of a function (`lambda x: 3*x**2`), which an API evaluates, must not be; None when it may."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return "a function that is no Python expression"
    if not isinstance(tree, ast.Lambda):
        return f"a function given as {type(tree).__name__}, not as lambda"
    names = {argument.arg for argument in tree.args.args}
    degree = 1.0
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if not isinstance(node.value, int | float):
                return "a function that holds more than numbers"
        elif not isinstance(node, _FORMULA):
            return f"code in a function: {type(node).__name__}"
        elif isinstance(node, ast.Name) and node.id not in names:
            return f"the name {node.id} in a function"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow | ast.LShift):
            power = node.right
            value = power.value if isinstance(power, ast.Constant) else None
            if not isinstance(value, int | float) or abs(value) > MAX_EXPONENT:
                return f"a power above {MAX_EXPONENT} in a function"
            degree *= max(1.0, abs(value))
            if degree > MAX_DEGREE:
                return "powers of powers in a function"
    return None
