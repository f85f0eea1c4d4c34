"""Code in quotes and brackets: what a decoder takes off the ends of a text must not uncover what the guard let pass."""

from __future__ import annotations

import ast
import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.bfcl.bridge import Undecodable, decode_ast
from eval.bfcl.data import Data
from eval.bfcl.guard import _reached, as_decoder_read_in_2024, inspect_python
from toolace import InputError

PAYLOADS = ('f(a=__import__("os").system("touch {canary}")+0)', "f(a=open('{canary}','w')*1)", "f(a=9**9**9**9)")
WRAPS = (
    "{}",
    "[{}]",
    "'{}'",
    '"{}"',
    "['{}']",
    "'[{}]'",
    "`{}`",
    "```{}```",
    "[['{}']]",
    "'''{}'''",
    "`'{}'`",
    "'{}",
    "{}']",
)


@pytest.mark.parametrize("of_2024", [False, True], ids=["v4", "2024"])
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_wrapping_makes_code_run(tmp_path: Path, payload: str, wrap: str, of_2024: bool) -> None:
    canary = tmp_path / "canary"
    text = wrap.replace("{}", payload.replace("{canary}", str(canary)))
    with contextlib.suppress(Undecodable):
        decode_ast(text, of_2024=of_2024)
    assert not canary.exists()


@given(st.text(alphabet="f(a=1)+*'\"[]`\\ \n9", max_size=30))
def test_all_arithmetic_that_the_decoder_of_2024_would_reach_is_on_constants(text: str) -> None:
    if inspect_python(text, frozenset(), of_2024=True) is not None:
        return
    try:
        body = ast.parse(as_decoder_read_in_2024(text), mode="eval").body
    except (SyntaxError, ValueError):
        return
    for value in _reached(body):
        if isinstance(value, ast.BinOp):
            assert all(isinstance(node, _ARITHMETIC) for node in ast.walk(value))


_ARITHMETIC = (ast.BinOp, ast.UnaryOp, ast.Constant, ast.operator, ast.unaryop)


@pytest.mark.parametrize("text", ["[f(a='" + "x" * 100_001 + "')]", "[f(a=" + "[" * 2_000 + "1" + "]" * 2_000 + ")]"])
def test_a_call_too_large_to_read_is_no_abstention(text: str) -> None:
    refusal = inspect_python(text, frozenset())
    assert refusal is not None and refusal.is_call
    talk = inspect_python("I cannot help with that. " * 5_000, frozenset())
    assert talk is not None and not talk.is_call


def test_a_data_folder_for_todays_benchmark_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="v4 reads its questions from the installed package"):
        Data("v4", tmp_path)
