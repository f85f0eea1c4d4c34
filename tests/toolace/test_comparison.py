import pytest

from toolace.calls import Call
from toolace.comparison import same_calls, same_value
from toolace.native_calls import read_native_calls


def test_calls_made_together_have_no_order_but_each_counts():
    one, two = Call("f", {"a": 1}), Call("g", {"b": [1, {"c": "x"}]})
    assert same_calls([one, two], [two, one]) and same_calls([], [])
    assert not same_calls([one, one], [one, two])
    assert not same_calls([one], [one, one])
    assert not same_calls([one], [])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (5, 5.0, True),
        (True, 1, False),
        (False, 0.0, False),
        (True, True, True),
        ("5", 5, False),
        ("Oslo", "oslo", False),
        ([1, 2], [2, 1], False),
        ({"a": [True]}, {"a": [1]}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        (None, None, True),
        (None, False, False),
    ],
)
def test_values_are_equal_as_json_values_are(one, other, same):
    assert same_value(one, other) is same and same_value(other, one) is same
    assert same_calls([Call("f", {"x": one})], [Call("f", {"x": other})]) is same


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (
            '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>\n'
            '<tool_call>{"name": "g", "arguments": "{}"}</tool_call>',
            (Call("f", {"a": 1}), Call("g", {})),
        ),
        ('<|python_tag|>{"name": "f", "parameters": {"a": "x"}}', (Call("f", {"a": "x"}),)),
        ('[{"name": "f"}, {"name": "g"}]', (Call("f", {}), Call("g", {}))),
        ("It is 21 degrees.", ()),
        ('<tool_call>{"name": "f"}</tool_call><tool_call>{"name": </tool_call>', ()),
        ('{"name": "f", "arguments": [1]}', ()),
        ('{"name": "f", "arguments": {"a": NaN}}', ()),
        ("[" * 100_000, ()),
    ],
)
def test_native_calls_are_read_and_broken_ones_are_none(text, calls):
    assert read_native_calls(text) == calls
