"""Hostile model text is never executed and never takes long."""

from __future__ import annotations

import hashlib
import inspect
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.bfcl import bridge
from eval.bfcl.guard import MAX_LENGTH, inspect_java_like, inspect_python

KNOWN = bridge._decoder_names()


def refusal(text: str) -> bridge.Undecodable:
    with pytest.raises(bridge.Undecodable) as caught:
        bridge.decode_ast(text)
    return caught.value


def test_the_guarded_decoder_is_the_one_that_was_read() -> None:
    """The guard follows the decoder's source case by case. When this fails, read the new source and the guard again."""
    decoder = bridge._official("bfcl_eval.model_handler.utils")
    source = inspect.getsource(decoder.resolve_ast_call) + inspect.getsource(decoder.resolve_ast_by_type)
    assert hashlib.sha256(source.encode()).hexdigest() == DECODER


DECODER = "e683259c396e89d3e45c47f1a0547c9a4339a556b34d04b6bc7c4bfe8d8541e6"


@pytest.mark.parametrize(
    "value",
    [
        "__import__('pathlib').Path({path!r}).write_text('x') + 0",
        "[__import__('pathlib').Path({path!r}).write_text('x') + 0]",
        "{{1: __import__('pathlib').Path({path!r}).write_text('x') + 0}}",
        "{{__import__('pathlib').Path({path!r}).write_text('x') + 0: 1}}",
        "(0, g(b=__import__('pathlib').Path({path!r}).write_text('x') + 0))",
        "[x for x in [__import__('pathlib').Path({path!r}).write_text('x')]] + []",
        "0 + (lambda: __import__('pathlib').Path({path!r}).write_text('x'))()",
        "f\"\"\"{{__import__('pathlib').Path({path!r}).write_text('x')}}\"\"\" + ''",
    ],
)
def test_nothing_in_an_argument_is_executed(value: str, tmp_path: Path) -> None:
    target = tmp_path / "executed"
    error = refusal(f"[f(a={value.format(path=str(target))})]")
    assert error.error_type == "guard:refused" and error.is_call
    assert not target.exists()


@pytest.mark.parametrize(
    "value",
    [
        "9**9**9",
        "{1: 9**9**9}",
        "2**999999",
        "1<<10**9",
        "'x'*10**9",
        "'%0999999999d' % 1",
        "[1]*10**9",
        "0x" + "f" * 9999,
    ],
)
def test_arithmetic_with_a_huge_result_is_refused_at_once(value: str) -> None:
    start = time.process_time()
    assert refusal(f"[f(a={value})]").error_type == "guard:refused"
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    "value", ["math.pi * 2", "x + 1", "a.b(c)[0] - 9**9**9", "1 / 0", "-(9**9**9)", "1.0e999 // 0"]
)
def test_what_is_certain_to_fail_upstream_has_upstreams_error_type(value: str) -> None:
    error = refusal(f"[f(a={value})]")
    assert error.error_type == "ast_decoder:decoder_failed" and not error.is_call


@pytest.mark.parametrize(
    ("text", "is_call"),
    [
        ("[f(a=" + "+".join("1" * 40_000) + ")]", True),
        ("[a" + ".b" * 49_000 + "()]", False),
        ("[f" + "()" * 40_000 + "]", True),
        ("[" + "-" * 90_000 + "1]", False),
        ("[" * 90_000, False),
        ("[{(" * 30_000, False),
        ("[f(a=f'{" + "-" * 90_000 + "1}' + '')]", True),
        ("[f(a=" + "lambda:" * 12_000 + "1)]", True),
        ("[f(a=" + "1 if 1 else " * 8_000 + "1)]", True),
        ("[f(a='" + "\\" * 90_000, True),
        ("[f(a=" + '"""' * 30_000 + ")]", True),
        ("[f(a=1)]" * 12_000, True),
        ("x " * (MAX_LENGTH // 2 + 1), False),
        ("[f(a=" + "1" * MAX_LENGTH + ")]", True),
        ("\x00", False),
        ("\ud800", False),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else str(value),
)
def test_hostile_texts_end_quickly_and_only_what_opens_as_a_call_is_one(text: str, is_call: bool) -> None:
    start = time.process_time()
    assert refusal(text).is_call == is_call
    assert time.process_time() - start < 2


def test_a_long_answer_within_the_limits_is_read() -> None:
    calls = ", ".join(f"f(a=[-{i}.5, 'x, (y] {i}'], b={{'k': {i}}})" for i in range(1_000))
    assert len(bridge.decode_ast(f"[{calls}]")) == 1_000


def test_java_text_is_bounded_in_length_and_white_space() -> None:
    assert inspect_java_like("[f(a=new HashMap<String, String>())]") is None
    assert inspect_java_like("x" * 5_000) and inspect_java_like("a" + " " * 100 + "b")


@settings(max_examples=300, deadline=2_000)
@given(st.text(st.sampled_from("[](){}'\"=,.:+-*/%fgab019 \\\n#lambdxin"), max_size=80))
def test_any_text_decodes_or_is_undecodable(text: str) -> None:
    try:
        decoded = bridge.decode_ast(text)
    except bridge.Undecodable:
        return
    assert isinstance(decoded, list)


@settings(max_examples=300, deadline=2_000)
@given(st.recursive(st.integers(-99, 99).map(str), lambda s: st.tuples(s, st.sampled_from("+-*/%"), s).map(" ".join)))
def test_plain_arithmetic_is_left_to_the_official_decoder_unless_it_fails(expression: str) -> None:
    found = inspect_python(f"[f(a={expression})]", KNOWN)
    try:
        eval(expression)
    except ArithmeticError:
        assert found and found.error_type == "ast_decoder:decoder_failed"
    else:
        assert found is None
