from __future__ import annotations

import copy
import json
import random
import string
from pathlib import Path
from typing import Any

import pytest
from clean_dialogs import ROWS
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.verification.judging import READABLE, Judge
from data_gen.verification.plain_checks import compile_check
from data_gen.verification.recall import FAULTS
from data_gen.verification.reviews import read_reviews
from data_gen.verification.rules import RULES
from data_gen.verification.schemas import CompiledSchema, compile_schema

Path_ = tuple[Any, ...]
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2.5, 1e308, -0.0, 10**25, "", " ", "a", "\x00", "\ud800", "<city>", "[f(", "$ref",
    "2026-13-45", "x" * 3000, "9" * 400, "{" * 200, [], {}, [[]], [None], {"": None}, {"type": "object"}, {"$ref": "#"},
    {"enum": [1, True]}, {"pattern": "(a+)+$"}, {"name": "f"}, {"role": "tool"}, {"function": {"name": 5}},
    {"anyOf": 3}, "weather.forecast",
)  # fmt: skip


def places(value: Any, path: Path_ = ()) -> list[Path_]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def mutated(rng: random.Random) -> Any:
    """A clean row, sometimes with a seeded fault, and then one to five of its values replaced, removed or exchanged."""
    row: Any = copy.deepcopy(rng.choice(ROWS))
    if rng.random() < 0.3:
        row = rng.choice(list(FAULTS.values())).into(row, rng) or row
    for _ in range(rng.randrange(1, 6)):
        known = places(row)
        if not known:
            return row
        *above, last = rng.choice(known)
        holder = row
        for key in above:
            holder = holder[key]
        kind = rng.randrange(6)
        if kind == 0 and isinstance(holder, dict):
            holder[rng.choice(list(string.ascii_letters) + list(holder))] = holder.pop(last)
        elif kind == 1:
            del holder[last]
        elif kind == 2:
            holder[last] = [holder[last]] * rng.randrange(4)
        elif kind == 3 and isinstance(holder[last], str) and holder[last]:
            at = rng.randrange(len(holder[last]))
            holder[last] = holder[last][:at] + rng.choice(string.printable) + holder[last][at + 1 :]
        else:
            holder[last] = copy.deepcopy(rng.choice(ODD))
    return row


def judge_mutated(count: int, seed: int) -> set[str]:
    judge, rng, seen = Judge(Path("rows.jsonl")), random.Random(seed), set()
    for number in range(count):
        row = mutated(rng)
        text = json.dumps(row)
        line, verdict, _ = judge.row(f"r-{number}", text, row)
        written = json.loads(line)
        assert line.endswith("\n") and line.count("\n") == 1
        assert verdict.kept or (written["verdict"]["rule"] == verdict.rule and verdict.evidence)
        seen.add(verdict.rule)
    return seen


def test_mutated_rows_are_judged_and_never_crash() -> None:
    seen = judge_mutated(3_000, 5)
    assert READABLE in seen and "" in seen and len(seen & set(RULES)) >= 18


@pytest.mark.slow
def test_a_hundred_thousand_mutated_rows_are_judged_and_never_crash() -> None:
    assert len(judge_mutated(100_000, 6) & set(RULES)) >= 22


@pytest.mark.parametrize("seed", range(3))
def test_broken_bytes_give_an_error_of_the_file_or_a_verdict(seed: int) -> None:
    rng = random.Random(seed)
    judge = Judge(Path("rows.jsonl"))
    for number in range(300):
        raw = bytearray(json.dumps(rng.choice(ROWS)).encode())
        for _ in range(rng.randrange(1, 4)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        judged = judge.judge([(number, bytes(raw))])
        assert judged.error is not None or len(judged.kept) + len(judged.rejected) == 1


_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-20, 20), st.integers(), st.floats(allow_nan=False), st.text(max_size=6),
    st.sampled_from(["2026-03-14", "a@b.cd", "10:30", "ab"]),
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner)),
    max_leaves=6,
)
_WORDS: dict[str, Any] = {
    "enum": st.lists(_SCALARS, min_size=1, max_size=3),
    "minimum": st.integers(-5, 5),
    "exclusiveMaximum": st.floats(-5, 5),
    "multipleOf": st.sampled_from([1, 2, 0.5]),
    "minLength": st.integers(0, 4),
    "maxLength": st.integers(0, 4),
    "pattern": st.sampled_from(["^a", "b$", "[0-9]+"]),
    "format": st.sampled_from(["date", "email", "time", "nonsense"]),
    "minItems": st.integers(0, 2),
    "uniqueItems": st.booleans(),
    "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
    "default": _SCALARS,
    "const": _SCALARS,
    "title": st.text(max_size=3),
}
_TYPES = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
_SCHEMAS = st.recursive(
    st.fixed_dictionaries({}, optional={"type": _TYPES, **_WORDS}),
    lambda inner: st.fixed_dictionaries(
        {"type": st.one_of(_TYPES, st.lists(_TYPES, min_size=1, max_size=2, unique=True))},
        optional={
            **_WORDS,
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "additionalProperties": st.one_of(st.booleans(), inner),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
        },
    ),
    max_leaves=5,
)


@settings(max_examples=600, deadline=None)
@given(_SCHEMAS, _VALUES)
def test_the_quick_check_never_accepts_what_the_validator_does_not(schema: dict[str, Any], value: Any) -> None:
    compiled = CompiledSchema(schema, json.dumps(schema))
    if compiled.problem or not compile_check(schema)(value):
        return
    compiled.surely_fits = lambda _: False  # so that the validator itself is asked
    assert compiled.errors(value) == [], (schema, value)


def test_the_quick_check_accepts_what_tools_are_called_with() -> None:
    schema = compile_schema(ROWS[1]["tools"][0]["parameters"])
    arguments = ROWS[1]["messages"][2]["tool_calls"][0]["function"]["arguments"]
    assert schema.surely_fits(arguments)
    assert not schema.surely_fits({**arguments, "budget": float("nan")})
    assert not schema.surely_fits({**arguments, "items": [{"dish": "paella"}]})


def test_reviews_that_are_none_are_errors(tmp_path: Path) -> None:
    from toolace import InputError

    path = tmp_path / "reviews.jsonl"
    for line in ('{"digest": "x"}', '{"keep": true}', '{"digest": "", "keep": true}', '{"digest": "x", "keep": "yes"}'):
        path.write_text(line + "\n", encoding="utf-8")
        with pytest.raises(InputError, match=r"reviews.jsonl:1"):
            read_reviews(path)
