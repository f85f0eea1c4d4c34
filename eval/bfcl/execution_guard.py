"""Keeps hostile calls from the official executors, which hand the text of a call to Python's `eval` or `exec`.

Allowed is a call of a function on offer, whose arguments are literals or, again, such calls. That covers every call
that a well-meaning model writes. A name that Python could not resolve there is left to the official code, which
reports a NameError before it looks at an argument; any other name (`open`, `__import__`, `json.dump`) is refused
unexecuted.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Collection

from eval.bfcl.guard import MAX_BITS

MAX_CALL = 100_000  # characters of one call
MAX_EXPONENT = 64  # of a power in the text of a function that a model passes; gold goes up to 5
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
    if plain and plain.group(1) in allowed:
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
            reason = _inspect_function(node.func, allowed, resolvable)
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
    return None
