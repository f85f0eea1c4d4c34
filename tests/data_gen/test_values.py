from __future__ import annotations

import random
import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data_gen.dialog_generation import kinds
from data_gen.dialog_generation.kinds import by_kind, kind_of
from data_gen.dialog_generation.sentences import and_list
from data_gen.dialog_generation.structures import draw_any
from data_gen.dialog_generation.values import NoValue, Value, draw, drawable, fits, quoted_text
from data_gen.verification.schemas import compile_schema

KINDS = sorted({*kinds._book()["lists"], *kinds._book()["joined"], *kinds._MADE})
seeds = st.integers(0, 10_000)
whole = st.integers(-200_000, 200_000)
real = st.floats(-50_000, 50_000).map(lambda x: round(x, 3))


def conforms(value: Any, schema: dict[str, Any]) -> bool:
    wrapped = {"type": "object", "properties": {"value": schema}}
    compiled = compile_schema(wrapped)
    assert not compiled.problem
    return not list(compiled.errors({"value": value}))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_text_that_varies(kind: str) -> None:
    rng = random.Random(3)
    texts = [by_kind(kind, rng) for _ in range(60)]
    assert all(text and text == text.strip() and "  " not in text for text in texts)
    assert len(set(texts)) >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_holds_nothing_twice(kind: str) -> None:
    listed = kinds._book()["lists"].get(kind, [])
    assert len(set(listed)) == len(listed)


def test_what_results_are_made_of_exists() -> None:
    assert set(kinds._book()["results"].values()) <= set(KINDS)
    assert all(isinstance(word, str) for word in kinds._book()["results"])  # YAML reads a bare no as False


@st.composite
def numbers(draw_: Any, values: Any, kind: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": kind}
    low, high = sorted((draw_(values), draw_(values)))
    for key, bound in (("minimum", low), ("maximum", high)):
        if draw_(st.booleans()):
            exclusive = draw_(st.booleans())
            spec[f"exclusive{key.capitalize()}" if exclusive else key] = bound
    if draw_(st.booleans()):
        spec["multipleOf"] = draw_(st.sampled_from([1, 2, 3, 5, 20, 250] if kind == "integer" else [0.5, 0.1, 0.25, 2]))
    return spec


def empty(spec: dict[str, Any]) -> bool:
    """Whether no number fits, worked out independently."""
    step = Fraction(str(spec.get("multipleOf", 1 if spec["type"] == "integer" else Fraction(1, 10**9))))
    low = spec.get("minimum", spec.get("exclusiveMinimum"))
    high = spec.get("maximum", spec.get("exclusiveMaximum"))
    if low is None or high is None:
        return False
    first = -(-Fraction(str(low)) // step)
    if "exclusiveMinimum" in spec and first * step == Fraction(str(low)):
        first += 1
    last = Fraction(str(high)) // step
    if "exclusiveMaximum" in spec and last * step == Fraction(str(high)):
        last -= 1
    return first > last


@settings(max_examples=300, deadline=None)
@given(spec=st.one_of(numbers(whole, "integer"), numbers(real, "number")), seed=seeds)
def test_numbers_keep_within_bounds_and_on_their_step(spec: dict[str, Any], seed: int) -> None:
    try:
        value = draw(spec, random.Random(seed), "amount")
    except NoValue:
        span = spec.get("maximum", spec.get("exclusiveMaximum", 1e9)) - spec.get(
            "minimum", spec.get("exclusiveMinimum", 0)
        )
        assert empty(spec) or span <= 2 * spec.get("multipleOf", 1e-3), "there is a number, and it was not found"
        return
    assert conforms(value.argument, spec), (value, spec)
    assert not isinstance(value.argument, bool)
    if spec["type"] == "integer":
        assert type(value.argument) is int
    assert float(value.text.replace(",", "")) == value.argument


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        ({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 6}, {4, 5}),
        ({"type": "integer", "minimum": 0.5, "maximum": 2.5}, {1, 2}),
        ({"type": "integer", "maximum": -58}, set(range(-118, -57))),
        ({"type": "integer", "minimum": 7, "maximum": 30, "multipleOf": 10}, {10, 20, 30}),
        ({"type": "number", "minimum": 1.3, "maximum": 2.6, "multipleOf": 0.5}, {1.5, 2, 2.5}),
        ({"type": "integer", "multipleOf": 250, "maximum": 600}, {250, 500}),
        ({"type": ["null", "integer"], "minimum": 4, "maximum": 5}, {4, 5}),
    ],
)
def test_all_and_only_the_numbers_of_a_range_are_drawn(spec: dict[str, Any], allowed: set[float]) -> None:
    rng = random.Random(0)
    drawn = {draw(spec, rng).argument for _ in range(1500)}
    assert drawn == allowed


def test_large_numbers_are_mostly_round_and_sometimes_written_with_commas() -> None:
    rng = random.Random(1)
    drawn = [draw({"type": "integer", "minimum": 1000, "maximum": 900_000}, rng) for _ in range(400)]
    assert sum(value.argument % 50 == 0 for value in drawn) > 200
    commas = [value for value in drawn if "," in value.text]
    assert 40 < len(commas) < 200
    assert all(int(value.text.replace(",", "")) == value.argument for value in drawn)


@given(seed=seeds, low=st.integers(0, 12), extra=st.integers(0, 20))
@settings(max_examples=100, deadline=None)
def test_texts_respect_their_length(seed: int, low: int, extra: int) -> None:
    spec = {"type": "string", "minLength": low, "maxLength": low + extra}
    try:
        text = draw(spec, random.Random(seed), "label").argument
    except NoValue:
        assert extra < 16 or low > 9  # the book's texts have 4 to 30 characters
        return
    assert low <= len(text) <= low + extra


def test_a_resource_name_is_made_from_its_pattern() -> None:
    spec = {"type": "string", "pattern": "^projects/[^/]+/locations/[^/]+$"}
    names = {draw(spec, random.Random(seed), "parent").argument for seed in range(30)}
    assert all(re.fullmatch(r"projects/[a-z]+-[a-z]+/locations/[a-z]+-[a-z]+", name) for name in names)
    assert len(names) > 20


@pytest.mark.parametrize(
    "pattern",
    [
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}",
        r"^\d{12}$",
        r"^[a-z]+$",
        r"^[A-Z]{1,3}-\d+$",
        r"^\d{5}$",
        r"^[a-z]+-[a-z]+$",
        r"@",
        r"^https://",
        r"^[a-z]+\d+$",
        r"\p{Lu}",
    ],
)
def test_texts_fit_their_pattern(pattern: str) -> None:
    rng = random.Random(4)
    for _ in range(30):
        assert re.search(
            pattern.replace(r"\p{Lu}", "[A-Z]"), draw({"type": "string", "pattern": pattern}, rng).argument
        )


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "string", "pattern": r"^(?=.{90})[a-z]+:\d{12}$"},
        {"type": "string", "pattern": "^$"},
        {"type": "string", "minLength": 500},
        {"type": "string", "format": "date", "pattern": r"^\d{8}$"},
        {"type": "string", "pattern": "("},
        {"enum": []},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 10},
        {"type": "number", "minimum": 0.1, "maximum": 0.4, "multipleOf": 0.5},
        {"type": "object", "properties": {}},
        {"type": "array", "items": {"type": "string", "pattern": "^$"}},
        {"type": "array", "items": {"enum": ["one"]}, "minItems": 2},
    ],
)
def test_what_nothing_fits_has_no_value_and_is_not_drawable(spec: dict[str, Any]) -> None:
    for seed in range(20):
        with pytest.raises(NoValue):
            draw(spec, random.Random(seed), "value")
    assert not drawable(spec)


@pytest.mark.parametrize("kind", ["date", "time", "date-time", "email", "uri", "uuid", "ipv4"])
def test_formats_are_kept(kind: str) -> None:
    rng = random.Random(2)
    spec = {"type": "string", "format": kind}
    values = [draw(spec, rng, "anything") for _ in range(200)]
    assert all(conforms(value.argument, spec) for value in values)
    spoken = {value.text == value.argument for value in values}
    assert spoken == ({True, False} if kind == "date" else {True})


def test_a_spoken_date_is_the_date() -> None:
    from datetime import datetime

    rng = random.Random(8)
    spoken = [v for v in (draw({"type": "string", "kind": "date"}, rng) for _ in range(300)) if v.text != v.argument]
    assert 20 < len(spoken) < 120
    for value in spoken:
        assert datetime.strptime(value.text, "%B %d, %Y").date().isoformat() == value.argument


@given(
    seed=seeds, low=st.integers(0, 4), extra=st.integers(0, 4), kind=st.sampled_from(["city", "person", "id", "month"])
)
@settings(max_examples=200, deadline=None)
def test_lists_have_no_text_twice_and_keep_their_counts(seed: int, low: int, extra: int, kind: str) -> None:
    assume(low + extra > 0)
    spec = {"type": "array", "items": {"type": "string", "kind": kind}, "minItems": low, "maxItems": low + extra}
    value = draw(spec, random.Random(seed), "things")
    assert max(low, 1) <= len(value.argument) <= low + extra
    assert len(set(value.argument)) == len(value.argument)
    assert value.text == and_list(value.argument)


def test_numbers_of_a_list_may_repeat_unless_they_must_differ() -> None:
    items = {"type": "integer", "minimum": 1, "maximum": 3}
    rng = random.Random(0)
    free = [draw({"type": "array", "items": items, "minItems": 3, "maxItems": 3}, rng).argument for _ in range(50)]
    assert any(len(set(found)) < 3 for found in free)
    unique = {"type": "array", "items": items, "minItems": 3, "maxItems": 3, "uniqueItems": True}
    for _ in range(50):
        try:
            assert sorted(draw(unique, rng).argument) == [1, 2, 3]
        except NoValue:
            continue


def test_an_enum_is_said_with_spaces_and_passed_as_it_is() -> None:
    assert draw({"type": "string", "enum": ["window_seat"]}, random.Random(0)) == Value("window_seat", "window seat")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("updateMask", "name"),
        ("capacity", "name"),
        ("profile", "name"),
        ("context", "name"),
        ("startDate", "date"),
        ("city", "city"),
        ("homeCity", "city"),
        ("fileName", "file"),
        ("clusterIdentifier", "id"),
        ("user_email", "email"),
        ("displayName", "name"),
    ],
)
def test_a_name_says_its_kind_by_whole_words(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_an_identifier_never_looks_like_a_blank() -> None:
    rng = random.Random(0)
    prefixes = {by_kind("id", rng).split("-")[0] for _ in range(60_000)}
    assert len(prefixes) > 8_000 and not prefixes & {"TBD", "TBA", "XXX", "NAN"}


def test_fits_looks_at_length_format_and_pattern() -> None:
    assert fits("2026-03-14", {"format": "date", "maxLength": 10, "pattern": "^2026"})
    assert not fits("2026-03-14", {"maxLength": 9})
    assert not fits("2026-13-14", {"format": "date"})
    assert not fits("2025-03-14", {"pattern": "^2026"})


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "kind": "person"},
        "age": {"type": "integer", "minimum": 20, "maximum": 70},
        "town": {"type": "string", "kind": "city"},
    },
    "required": ["name"],
}


def say(spec: Any, value: Value) -> str:
    return f"<{value.text}>"


@given(seed=seeds, share=st.floats(0, 1), most=st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_objects_give_what_is_required_and_no_more_than_allowed(seed: int, share: float, most: int) -> None:
    spec = {**PERSON, "maxProperties": most}
    value = draw_any(spec, "guest", random.Random(seed), share, say)
    assert "name" in value.argument and len(value.argument) <= most
    assert conforms(value.argument, spec)
    assert all(f"<{member}>" in value.text for member in value.argument.values())


def test_an_object_of_optional_members_is_never_empty() -> None:
    spec = {**PERSON, "required": []}
    assert all(draw_any(spec, "guest", random.Random(seed), 0.0, say).argument for seed in range(50))


@pytest.mark.parametrize(
    ("first", "second"), [("min_units", "max_units"), ("startYear", "endYear"), ("from_x", "to_x")]
)
def test_a_pair_is_never_backwards(first: str, second: str) -> None:
    member = {"type": "integer", "minimum": 0, "maximum": 50}
    spec = {"type": "object", "properties": {second: member, first: member}, "required": [first, second]}
    for seed in range(60):
        found = draw_any(spec, "range", random.Random(seed), 1.0, say).argument
        assert found[first] <= found[second]


def test_sentences_are_quoted_and_names_are_not() -> None:
    assert quoted_text("Are dogs welcome?") == '"Are dogs welcome?"'
    assert quoted_text("Hope this is useful - nothing in it is secret").startswith('"Hope')
    assert quoted_text("La La Land") == "La La Land"


def test_a_file_name_is_made_of_words_whatever_its_pattern_allows() -> None:
    spec = {"type": "string", "pattern": "^[A-Za-z0-9_-]{3,40}$", "description": "File name, e.g. monthly_overview."}
    found = {draw(spec, random.Random(i), "file_name").argument for i in range(40)}
    assert len(found) > 10 and all(re.fullmatch(r"[a-z]+_[a-z0-9]+", one) for one in found)


def test_a_code_of_letters_stays_as_it_is_shown() -> None:
    spec = {"type": "string", "pattern": "^[A-Z]{3}/[A-Z]{3}$", "description": "Pair, e.g. EUR/USD."}
    assert {draw(spec, random.Random(i), "pair_name").argument for i in range(20)} == {"EUR/USD"}
