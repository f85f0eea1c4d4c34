"""What models write is read without being evaluated, and what we write is read back the same."""

from __future__ import annotations

import ast
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolace import Call, InputError, parse_calls, render_calls
from toolace.calls import NAME_LIMIT
from toolace.literals import DEPTH_LIMIT, PROBLEM_LIMIT


def arguments(text: str) -> dict[str, Any]:
    """The arguments of `[f(TEXT)]`, which must be read without a problem."""
    parsed = parse_calls(f"[f({text})]")
    assert parsed.ok, parsed.problems
    return parsed.calls[0].arguments


def kinds(text: str) -> list[str]:
    return [problem.kind for problem in parse_calls(text).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it'", "it"),
        ('"it"', "it"),
        ('"""two\nlines "quoted" """', 'two\nlines "quoted" '),
        ("'''it's'''", "it's"),
        (r'"a\n\t\r\\\"\'\/"', "a\n\t\r\\\"'/"),
        (r'"\x41\u0042\U00000043\104\N{DEGREE SIGN}"', "ABCD°"),
        (r'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (r'"\ud83d\U0000de00"', "\ud83d\ude00"),
        (r'"\q \x4 \u12 \UFFFFFFFF \N{no such letter}"', r"\q \x4 \u12 \UFFFFFFFF \N{no such letter}"),
        ('"a\\\nb"', "ab"),
        (r'r"\d+"', r"\d+"),
        ("u'x'", "x"),
        (r"""r"\n" '\n' "c" """, "\\n\nc"),
        ("'a' \"b\"\n'c'", "abc"),
        ("True", True),
        ("true", True),
        ("False", False),
        ("false", False),
        ("None", None),
        ("null", None),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b101", 5),
        ("0", 0),
        ("-3", -3),
        ("+3", 3),
        ("1e5", 1e5),
        ("1E-2", 0.01),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.25", -0.25),
        ("[1, 'a', [], {},]", [1, "a", [], {}]),
        ("(1, 2)", [1, 2]),
        ("(1,)", [1]),
        ("()", []),
        ("(1)", 1),
        ('{"a": {"b": [1]}, c: 2, 3: "x", 1.5: 4, True: 5}', {"a": {"b": [1]}, "c": 2, "3": "x", "1.5": 4, "True": 5}),
        ('{r"a": 1,}', {"a": 1}),
    ],
)
def test_values_of_python_and_json_are_read(text: str, value: Any) -> None:
    assert arguments(f"a={text}") == {"a": value}
    assert type(arguments(f"a={text}")["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a=1+2", "expression"),
        ("a=-x", "expression"),
        ("a=[1][0]", "expression"),
        ("a='x' if y else 'z'", "syntax"),
        ("a=f'{x}'", "expression"),
        ("a=2024-01-01", "expression"),
        ("a={(1, 2): 3}", "expression"),
        ("a={None: [1]}['x']", "expression"),
        ("a={[1]: 3}", "expression"),
        ("a={'x' 1}", "expression"),
        ("a=dict(b=1)", "nested_call"),
        ("a=[g(1)]", "nested_call"),
        ("a={1, 2}", "set_literal"),
        ("a={'x'}", "set_literal"),
        ("a=NaN", "not_json_value"),
        ("a=-Infinity", "not_json_value"),
        ("a=inf", "not_json_value"),
        ("a=1e999", "not_json_value"),
        ("a=b'x'", "not_json_value"),
        ("a=007", "bad_number"),
        ("a=1__0", "bad_number"),
        ("a=5km", "bad_number"),
        ("a=1.2.3", "bad_number"),
        ("a=" + "9" * 5000, "bad_number"),
        ("a=0x" + "f" * 4200, "bad_number"),
        ("a=%", "syntax"),
        ("a=,", "syntax"),
        ("a=1 b=2", "syntax"),
        ("a=10:30", "expression"),
        ("a=" + "[" * (DEPTH_LIMIT + 1) + "]" * (DEPTH_LIMIT + 1), "too_deep"),
        ("1", "positional_argument"),
        ("**[1]", "positional_argument"),
    ],
)
def test_what_is_no_value_is_a_problem_and_the_argument_is_left_out(text: str, kind: str) -> None:
    parsed = parse_calls(f"[f({text}, z=9), g(b=1)]")
    assert parsed.problems[0].kind == kind
    assert parsed.calls == (Call("f", {"z": 9}), Call("g", {"b": 1})) or "b=2" in text
    assert not parsed.ok


def test_the_deepest_allowed_value_is_read() -> None:
    value = arguments("a=" + "[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT)["a"]
    assert json.dumps(value) == "[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT


@pytest.mark.parametrize("word", ["celsius", "New York", "en-US", "Unit.CELSIUS", "True-ish", "TRUE"])
def test_a_bare_word_is_taken_as_text_and_reported(word: str) -> None:
    parsed = parse_calls(f"[f(unit={word}, n=1)]")
    assert parsed.calls == (Call("f", {"unit": word, "n": 1}),)
    assert [(p.kind, p.at) for p in parsed.problems] == [("bare_word", 8)]


def test_positional_arguments_are_named_by_position() -> None:
    parsed = parse_calls("[f(a=1, 'x', Paris)]")
    assert parsed.calls == (Call("f", {"a": 1}),)
    assert [p.detail for p in parsed.problems] == ["argument 2 has no name", "argument 3 has no name"]


def test_the_last_of_a_repeated_argument_is_kept() -> None:
    parsed = parse_calls('[f(a=1, a=2, **{"a": 3})]')
    assert parsed.calls == (Call("f", {"a": 3}),)
    assert [p.kind for p in parsed.problems] == ["repeated_argument"] * 2
    assert kinds("[f(a={'k': 1, 'k': 2})]") == ["repeated_argument"]


def test_argument_names_that_are_no_identifiers() -> None:
    assert arguments('min-rating=4, filter[x]="a", a.b=3, from = 1') == {
        "min-rating": 4,
        "filter[x]": "a",
        "a.b": 3,
        "from": 1,
    }
    assert arguments('**{"odd key": 1, "": 2}, b=3') == {"odd key": 1, "": 2, "b": 3}


@pytest.mark.parametrize(
    "name",
    [
        "g.h", "Market Trends API", "Get Stock (US)", "Driver's License Check", "v1/users:list", "TV (US (all)) Guide",
        "3D-Model #7", "search (city's map) now", "获取天气", "/users/all",
    ],
)  # fmt: skip
def test_names_of_published_apis_are_read_and_written(name: str) -> None:
    text = f"[{name}(a='(x)', b=[1]), {name}()]"
    assert parse_calls(text).calls == (Call(name, {"a": "(x)", "b": [1]}), Call(name, {}))
    assert parse_calls(text).ok
    assert parse_calls(render_calls(parse_calls(text).calls)) == parse_calls(text)


def test_a_name_is_at_most_200_characters_long() -> None:
    assert parse_calls(f"[{'x' * NAME_LIMIT}(a=1)]").ok
    assert parse_calls(f"[{'x' * (NAME_LIMIT + 1)}(a=1)]").calls == ()


def test_text_around_is_kept_and_is_a_problem() -> None:
    parsed = parse_calls("Let me see [1]:\n[f(a=1)] Done.")
    assert (parsed.calls, parsed.before, parsed.after) == ((Call("f", {"a": 1}),), "Let me see [1]:\n", " Done.")
    assert [p.kind for p in parsed.problems] == ["text_around"]
    assert parse_calls("[f(a=1)]x").problems[0].at == 8
    assert parse_calls(" \n[f(a=1)]\n").ok


def test_a_fence_around_everything_is_no_text_around() -> None:
    for text in ("```python\n[f(a=1)]\n```", "```\n[f(a=1)]```\n", "```[f(a=1)]```", "```\nf(a=1)\n```"):
        assert parse_calls(text).ok, text
    assert kinds("Here:\n```\n[f(a=1)]\n```") == ["text_around"]
    assert parse_calls("```\n[f(a=celsius)]```").problems[0].at == len("```\n[f(a=")


def test_calls_without_brackets_must_be_the_whole_text() -> None:
    parsed = parse_calls("f(a=1), g.h()")
    assert parsed.ok and not parsed.bracketed
    assert parsed.calls == (Call("f", {"a": 1}), Call("g.h", {}))
    assert kinds("f(a=1)\ng(b=2)") == ["missing_comma"]
    assert kinds('f("x")') == ["positional_argument"]
    assert kinds("f(a=1, b='x") == ["unterminated"]
    for prose in ("Call f(a=1)", "f(a=1) is what I would call", "f(x)", "f('a", "f(a=1), Some Api(b=2)", "(f(a=1)"):
        assert parse_calls(prose).calls == (), prose


@pytest.mark.parametrize(
    "text",
    ["", "  ", "Hello.", "I can't (sorry) do that [1].", "[link](url)", "[item(s)] of it", "See [a (b), c] (d).",
     "[1, 2]",
     "[", "[(", "f(", "[see foo(", "x [see foo() and more", "[{'a': 1}]", "```\nHello\n```"],
)  # fmt: skip
def test_prose_holds_no_calls_and_no_problems(text: str) -> None:
    parsed = parse_calls(text)
    assert (parsed.calls, parsed.before, parsed.after, parsed.problems, parsed.ok) == ((), text, "", (), False)


def test_an_empty_list_holds_no_calls() -> None:
    parsed = parse_calls("[]")
    assert (parsed.calls, parsed.problems, parsed.bracketed, parsed.ok) == ((), (), True, False)


@pytest.mark.parametrize(
    ("text", "calls", "kind"),
    [
        ("[f(a=1, b='xy", (Call("f", {"a": 1}),), "unterminated"),
        ("[f(a=1), g(", (Call("f", {"a": 1}), Call("g", {})), "unterminated"),
        ("[f(a=1)", (Call("f", {"a": 1}),), "unterminated"),
        ("[f(a=[1, {'x': 2", (Call("f", {}),), "unterminated"),
        ("[f(a={'x", (Call("f", {}),), "unterminated"),
        ("[f(a={'x'", (Call("f", {}),), "unterminated"),
        ("[f(a={'x': 1", (Call("f", {}),), "unterminated"),
        ("[f(a=[1", (Call("f", {}),), "unterminated"),
        ("[f(a=", (Call("f", {}),), "unterminated"),
        ("[f(a=1]", (Call("f", {"a": 1}),), "unterminated"),
        ("[f(a=1) hm hm]", (Call("f", {"a": 1}),), "missing_comma"),
        ("[f(a=1); g(b=2)]", (Call("f", {"a": 1}), Call("g", {"b": 2})), "missing_comma"),
        ("[f(a=1), 'x']", (Call("f", {"a": 1}),), "syntax"),
    ],
)
def test_a_list_that_breaks_off_is_reported_with_what_could_be_read(
    text: str, calls: tuple[Call, ...], kind: str
) -> None:
    parsed = parse_calls(text)
    assert parsed.calls == calls
    assert parsed.problems[0].kind == kind


def test_a_whole_list_is_preferred_to_a_broken_one_before_it() -> None:
    parsed = parse_calls("[f(a=1) hm] then [g(b=2)]")
    assert (parsed.calls, parsed.before) == ((Call("g", {"b": 2}),), "[f(a=1) hm] then ")


def test_a_list_of_bare_words_is_calls_only_when_it_is_the_whole_text() -> None:
    assert parse_calls("[get_weather(Paris)]").calls == (Call("get_weather", {}),)
    assert kinds("[get_weather(Paris)]") == ["positional_argument"]
    assert parse_calls("the [item(s)]").calls == ()


def test_an_apostrophe_in_a_broken_argument_does_not_hide_the_next_one() -> None:
    assert parse_calls("[f(driver's license, a=1), g(b='x')]").calls == (Call("f", {"a": 1}), Call("g", {"b": "x"}))


def test_commas_at_the_end_are_allowed() -> None:
    assert parse_calls("[f(a=1,), g(),]").calls == (Call("f", {"a": 1}), Call("g", {}))


def test_reading_gives_up_after_many_problems() -> None:
    assert len(parse_calls("[f(" + "x," * 5000 + "a=1)]").problems) <= PROBLEM_LIMIT + 2
    assert kinds("[" + "f(a=x)," * 5000 + "]")[-1] == "given_up"


# --- writing ---------------------------------------------------------------------------------------------------------


def test_calls_are_written_as_python_literals() -> None:
    call = Call("f", {"s": 'a "b" é\n\x00\ud800', "n": -1, "x": 1.5, "t": True, "l": [1, None], "d": {"k k": False}})
    expected = r'[f(s="a \"b\" é\n\x00\ud800", n=-1, x=1.5, t=True, l=[1, None], d={"k k": False}), g()]'
    assert render_calls([call, Call("g", {})]) == expected
    assert render_calls([Call("f", {"a": 1, "b-c": 2, "": 3, "d": 4})]) == '[f(a=1, **{"b-c": 2, "": 3}, d=4)]'
    assert render_calls([]) == "[]"
    assert Call("f", {"a": 1}).to_json() == {"name": "f", "arguments": {"a": 1}}


@pytest.mark.parametrize(
    "bad",
    [float("nan"), float("inf"), {1}, (1,), object(), {1: 2}, 10**5000, [[float("nan")]], b"x"],
    ids=lambda v: str(type(v)),
)
def test_values_that_are_not_json_cannot_be_written(bad: Any) -> None:
    with pytest.raises(InputError):
        render_calls([Call("f", {"a": bad})])


def test_values_nested_deeper_than_is_read_cannot_be_written() -> None:
    value: Any = 1
    for _ in range(DEPTH_LIMIT):
        value = [value]
    assert parse_calls(render_calls([Call("f", {"a": value})])).calls[0].arguments == {"a": value}
    with pytest.raises(InputError, match="nested more than"):
        render_calls([Call("f", {"a": [value]})])


@pytest.mark.parametrize(
    "name", ["", " f", "f ", 'a"b', "a=b", "a,b", "f(", "f)", "a(b", "a\nb", "x" * 201, "[f", "f ('a)"]
)
def test_names_that_could_not_be_read_back_cannot_be_written(name: str) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        render_calls([Call(name, {})])


def test_arguments_must_be_an_object_with_text_keys() -> None:
    with pytest.raises(InputError, match="are a list"):
        render_calls([Call("f", [1])])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is no text"):
        render_calls([Call("f", {1: 2})])  # type: ignore[dict-item]


ANY_TEXT = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(
    ["\ud83d\ude00", "a\\'\"b", "\\N{x}", "'''"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.from_regex(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", fullmatch=True) | st.text(
    "ab (')./-:é1", min_size=1, max_size=12
)
CALLS = st.lists(
    st.builds(Call, NAMES, st.dictionaries(st.from_regex(r"[a-z_]\w*", fullmatch=True) | ANY_TEXT, JSON, max_size=4)),
    min_size=1,
    max_size=4,
)


@given(CALLS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_what_is_written_is_read_back_the_same(calls: list[Call]) -> None:
    try:
        text = render_calls(calls)
    except InputError as error:
        assert "cannot be written as a call" in str(error)
        return
    parsed = parse_calls(text)
    assert parsed.ok and parsed.bracketed
    assert list(parsed.calls) == calls
    assert repr([list(c.arguments.items()) for c in parsed.calls]) == repr([list(c.arguments.items()) for c in calls])


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}_[a-z]{1,3}", fullmatch=True), JSON, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_python_reads_what_is_written_alike(values: dict[str, Any]) -> None:
    tree = ast.parse(render_calls([Call("f", values)]), mode="eval").body
    assert isinstance(tree, ast.List) and isinstance(tree.elts[0], ast.Call)
    assert {k.arg: ast.literal_eval(k.value) for k in tree.elts[0].keywords} == values


HOSTILE_PIECES = st.sampled_from(
    [
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        '"',
        "'",
        "\\",
        ",",
        "=",
        "f(a=1)",
        "[f(",
        "a=",
        "**{",
        '"""',
        ":",
        ";",
        " ",
        "\n",
        "```",
        "f",
        "1",
        "1e",
        "-",
        "é",
    ]
)


@given(st.text(st.characters(codec=None), max_size=200) | st.lists(HOSTILE_PIECES, max_size=60).map("".join))
@settings(max_examples=500, deadline=1000)
def test_any_text_is_read_without_a_crash(text: str) -> None:
    parsed = parse_calls(text)
    assert all(0 <= problem.at <= len(text) for problem in parsed.problems)
    if not parsed.calls:
        assert parsed.before in (text, "") and not parsed.ok
    if not parsed.problems and "```" not in text and parsed.calls and parsed.bracketed:
        assert text.startswith(parsed.before) and text.endswith(parsed.after)


@given(CALLS, st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_call_list_is_read_without_a_crash(calls: list[Call], data: st.DataObject) -> None:
    try:
        text = render_calls(calls)
    except InputError:
        return
    at = data.draw(st.integers(0, len(text)))
    width = data.draw(st.integers(0, 3))
    damaged = text[:at] + data.draw(HOSTILE_PIECES | st.just("")) + text[at + width :]
    parsed = parse_calls(damaged)
    assert parsed.ok or parsed.problems or not parsed.calls


@pytest.mark.parametrize(
    "piece",
    ["[a(", "(", "[f(a=[", '[f(a={"a":', "[f(a='", "[f(a=1,", "[f(a=1),", "f(", "a(b)", "[a(b)",
     "[ ", "\\'", "```", ",", "[f(,", "**{", "[f(a=b,", "'", "[f(a='\\", "((a)", "[f(a=[b,"],
)  # fmt: skip
def test_hostile_text_takes_linear_time(piece: str) -> None:
    size = 200_000
    start = time.process_time()
    for text in (
        piece * (size // len(piece)),
        "[f(a=" + piece * (size // len(piece)),
        "[f(" + piece * (size // len(piece)) + ")]",
    ):
        parse_calls(text)
    assert time.process_time() - start < 5  # about 0.2 s; quadratic time would take minutes


@pytest.mark.parametrize("piece", ["[a(", "(", "[f(a='"])
def test_a_megabyte_of_hostile_text_takes_seconds_at_most(piece: str) -> None:
    start = time.process_time()
    parse_calls(piece * (1_000_000 // len(piece)))
    assert time.process_time() - start < 10


def test_thousands_of_calls_are_read_in_a_second() -> None:
    text = '[get_weather.now(city="New York", days=3, unit="celsius")]'
    start = time.process_time()
    for _ in range(2000):
        parse_calls(text)
    assert time.process_time() - start < 1.0
