"""Keeps hostile text from the official decoder, which executes some of what it reads.

What the decoder of bfcl-eval 2026.3.23 (`resolve_ast_call`, `resolve_ast_by_type`) does with an argument's value:

=====================================  =============================================================================
constant, list, tuple, dict            reads the value (dict keys too)
call with keyword arguments            goes on into its keyword values
arithmetic (`ast.BinOp`)               **`eval(ast.unparse(value))`**: any code, and `9**9**9` never ends
lambda                                 `eval(...)` is written, but the line before it always raises TypeError
call without keywords, subscript       turns it back into text, unevaluated
bare name                              its name as text
anything else                          raises
=====================================  =============================================================================

So arithmetic that the decoder would reach is allowed only on constants and with a bounded result. Beside that, length
and depth are bounded, since Python 3.10 may crash on a very deep tree, and tree-sitter (Java, JavaScript) on any.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

MAX_LENGTH = 100_000  # characters; twenty times the longest answer that 4,096 new tokens have given
MAX_DEPTH = 1_000  # nested nodes; Python's own limit is near 3,000
MAX_BITS = 14_284  # 4,300 digits, where Python refuses to print an integer
MAX_LENGTH_JAVA = 4_000  # gold answers have at most 500 characters
MAX_SPACES_JAVA = 64  # the official Java converter's patterns take time to the fourth power of a run of spaces

_OPERATORS = re.compile(r"[-+*/%@&|^<>]")
_CALL = re.compile(r"""[\s`'"\[]*[A-Za-z_][\w.]*\(""")
_STRINGS = re.compile(r"""('''|\"\"\")(?s:\\.|(?!\1).)*\1|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|#[^\n]*""")
_TOKENS = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Refusal:
    """Why a text is not given to the official decoder.

    Attributes:
        evidence: one sentence.
        error_type: `guard:refused`, or upstream's `ast_decoder:decoder_failed` when it is certain to fail there too.
        is_call: the text is a well-formed call; only what its arguments would execute is refused.
    """

    evidence: str
    error_type: str = "guard:refused"
    is_call: bool = False


class _Refused(Exception):
    """Carries a refusal out of the walk over a tree."""

    def __init__(self, evidence: str, error_type: str = "guard:refused", is_call: bool = True) -> None:
        self.refusal = Refusal(evidence, error_type, is_call)
        super().__init__(evidence)


def inspect_python(text: str, known: frozenset[str], of_2024: bool = False) -> Refusal | None:
    """Says why the official Python decoder must not see a text; None when it may.

    Args:
        text: the model's whole answer.
        known: names that the decoder's `eval` could resolve; arithmetic on any other name is certain to raise there.
        of_2024: the text is read as the decoder of 2024 did.
    """
    is_call = bool(_CALL.match(text[:MAX_DEPTH]))
    if len(text) > MAX_LENGTH:
        return Refusal(f"{len(text):,} characters, at most {MAX_LENGTH:,} are read", is_call=is_call)
    # Exactly what the decoder will parse: what it takes off the ends may have made a harmless string of code.
    code = as_decoder_read_in_2024(text) if of_2024 else _as_decoder_reads(text)
    if len(code) < MAX_DEPTH and not _has_operators(code):
        return None  # no arithmetic, no deep tree and no huge number is possible
    if len(code) > MAX_DEPTH and _depth_bound(code) > MAX_DEPTH:
        return Refusal(f"nested deeper than {MAX_DEPTH:,} levels", is_call=is_call)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None  # the decoder fails on it in the same way and executes nothing
    try:
        for node in _reached(body):
            _inspect_value(node, known)
    except _Refused as refused:
        return refused.refusal
    return None


def _has_operators(text: str) -> bool:
    """Whether there is an operator outside strings; in a text of several lines, anywhere.

    (A backslash at the end of a line continues a string there, which the pattern for strings does not follow.)
    """
    if not _OPERATORS.search(text):
        return False
    return "\n" in text or "\r" in text or bool(_OPERATORS.search(_STRINGS.sub(" s ", text)))


def inspect_java_like(text: str) -> Refusal | None:
    """Says why the official Java or JavaScript decoder must not see a text; None when it may."""
    if len(text) > MAX_LENGTH_JAVA:
        return Refusal(f"{len(text):,} characters, at most {MAX_LENGTH_JAVA:,} are read")
    if re.search(rf"\s{{{MAX_SPACES_JAVA + 1}}}", text):
        return Refusal(f"more than {MAX_SPACES_JAVA} spaces in a row")
    return None


def _as_decoder_reads(text: str) -> str:
    """The code that the decoder parses: it strips back-ticks and adds brackets before it looks at anything."""
    return _bracketed(text).strip().strip("'")


def as_decoder_read_in_2024(text: str) -> str:
    """The code that the decoder parsed until 2025: brackets and quotes were taken off both ends."""
    return _bracketed(text).strip("[]'")


def _bracketed(text: str) -> str:
    text = text.strip("`\n ")
    text = text if text.startswith("[") else "[" + text
    return text if text.endswith("]") else text + "]"


def _depth_bound(code: str) -> int:
    """An upper bound of the tree's depth, in one pass: symbols since the last comma, summed over the open brackets."""
    counts, total, most = [0], 0, 0
    for token in _TOKENS.finditer(_STRINGS.sub(_string_weight, code)):
        symbol = token.group()
        if symbol == ",":
            total -= counts[-1]
            counts[-1] = 0
            continue
        counts[-1] += 1
        total += 1
        if symbol in "([{":
            counts.append(0)
        elif symbol in ")]}" and len(counts) > 1:
            total -= counts.pop()
        most = max(most, total)
    return most


def _string_weight(match: re.Match[str]) -> str:
    """A string counts as one symbol, but the expressions inside an f-string count in full."""
    before = match.string[max(0, match.start() - 2) : match.start()].lower()
    return match.group()[1:-1] if before.endswith("f") or before[:1] == "f" else " s "


def _reached(body: ast.AST) -> Iterator[ast.AST]:
    """Yields every value that the decoder would look at, in the cases (and the order of cases) of its source."""
    if isinstance(body, ast.Call):
        todo = [keyword.value for keyword in body.keywords]
    else:
        calls = getattr(body, "elts", ())
        todo = [keyword.value for call in calls if isinstance(call, ast.Call) for keyword in call.keywords]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.List | ast.Tuple):
            todo += node.elts
        elif isinstance(node, ast.Dict):
            todo += [key for key in node.keys if key is not None] + node.values
        elif isinstance(node, ast.Call):
            todo += [keyword.value for keyword in node.keywords]


def _inspect_value(node: ast.AST, known: frozenset[str]) -> None:
    if isinstance(node, ast.UnaryOp):
        node = node.operand if isinstance(node.operand, ast.Constant) else node  # the decoder fails on all others
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value.bit_length() > MAX_BITS:
        raise _Refused(f"an integer of {node.value.bit_length():,} bits")
    if isinstance(node, ast.Lambda):
        raise _Refused("a lambda as a value", "ast_decoder:decoder_failed", is_call=False)
    if isinstance(node, ast.BinOp):
        unknown = _certain_name_error(node, known)
        if unknown:
            evidence = f"arithmetic on the unknown name {unknown!r}"
            raise _Refused(evidence, "ast_decoder:decoder_failed", is_call=False)
        try:
            constant_value(node)
        except (ArithmeticError, ValueError, TypeError) as error:
            evidence = f"arithmetic that fails ({error})"
            raise _Refused(evidence, "ast_decoder:decoder_failed", is_call=False) from None


_PLAIN = (
    ast.BinOp, ast.UnaryOp, ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.keyword, ast.List,
    ast.Tuple, ast.operator, ast.unaryop, ast.expr_context,
)  # fmt: skip


def _certain_name_error(node: ast.BinOp, known: frozenset[str]) -> str:
    """The first name that evaluation would stumble over for certain: nothing here is skipped or binds names."""
    nodes = list(ast.walk(node))
    if not all(isinstance(part, _PLAIN) for part in nodes):
        return ""
    return next((part.id for part in nodes if isinstance(part, ast.Name) and part.id not in known), "")


def constant_value(node: ast.AST) -> Any:
    """Computes arithmetic on constants with a bounded result; raises _Refused for everything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | complex | str):
        return _bounded(node.value)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _SIGNS:
        return _SIGNS[type(node.op)](_number(constant_value(node.operand)))
    if isinstance(node, ast.BinOp):
        left, right = constant_value(node.left), constant_value(node.right)
        if isinstance(left, str) and isinstance(right, str) and isinstance(node.op, ast.Add):
            return left + right
        if type(node.op) in _ARITHMETIC:
            return _bounded(_ARITHMETIC[type(node.op)](_number(left), _number(right)))
    raise _Refused(f"arithmetic that would be executed: {type(node).__name__}")


def _number(value: Any) -> Any:
    if isinstance(value, str):
        raise _Refused("arithmetic on text")
    return value


def _bounded(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise _Refused(f"an integer of {value.bit_length():,} bits")
    return value


def _power(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int) and max(left.bit_length(), 1) * abs(right) > MAX_BITS:
        raise _Refused("a power of more than 4,300 digits")
    return left**right


def _shift(left: Any, right: Any) -> Any:
    if isinstance(right, int) and right > MAX_BITS:
        raise _Refused("a shift by more than 4,300 digits")
    return left << right


_SIGNS: dict[type, Callable[[Any], Any]] = {ast.UAdd: lambda a: +a, ast.USub: lambda a: -a, ast.Invert: lambda a: ~a}
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: _power,
    ast.LShift: _shift,
    ast.RShift: lambda a, b: a >> b,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitOr: lambda a, b: a | b,
    ast.BitXor: lambda a, b: a ^ b,
}
