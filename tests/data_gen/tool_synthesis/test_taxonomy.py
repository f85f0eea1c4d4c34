"""The taxonomy: 30 x 13 topics whose vocabulary is whole, and files of it that are wrong are told of in one line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from data_gen.tool_synthesis.kinds import schema_of
from data_gen.tool_synthesis.taxonomy import code_of, plural, read_file, taxonomy
from data_gen.verification.schemas import compile_schema
from toolace import InputError

FILE = """
primary: Meals
domains:
  - name: Soups
    words: [soup, broth, ladle, stock, chowder, bisque, bouillon, consomme]
    terms:
      title: text; name of the soup; e.g. Minestrone
      litres: number 0..20; volume in litres
      spice: mild|hot; spice level of the soup
      stars: number 1..5; rating by guests
      cooked_on: date; day of cooking
      vegetable: text; name of the vegetable
      grams: integer 1..5000; weight in grams
      cut: dice|slice; way of cutting
      vegetables: list of carrot 1..9; vegetables in the soup
    entities:
      soup: title, litres, spice, stars*, cooked_on | search, create:cook, rate
      carrot: vegetable, grams, cut |
    functions:
FUNCTIONS
"""
FUNCTION = "      - {name}(soup_id, litres?) -> stars, vegetables | Warms a soup {name}.\n"


def written(tmp_path: Path, old: str = "", new: str = "", functions: int = 8) -> Path:
    lines = "".join(FUNCTION.format(name=f"warm_{chr(97 + i)}") for i in range(functions))
    text = FILE.replace("FUNCTIONS", lines.rstrip())
    assert old in text
    path = tmp_path / "meals.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_there_are_390_sub_domains_in_30_primary_ones_and_at_most_60_are_cloud_topics() -> None:
    subs = taxonomy()
    assert len({sub.name for sub in subs}) == len(subs) == 390
    assert Counter(Counter(sub.primary for sub in subs).values()) == {13: 30}
    assert 0 < sum(sub.cloud for sub in subs) <= 60


def test_the_tree_has_3000_functionalities_and_more_with_their_own_names_in_a_sub_domain() -> None:
    subs = taxonomy()
    assert sum(len(sub.functions) for sub in subs) >= 3_000
    for sub in subs:
        assert len({function.name for function in sub.functions}) == len(sub.functions)


def test_every_schema_of_the_vocabulary_is_valid() -> None:
    for sub in taxonomy():
        for name in [*sub.terms, *(f"{entity}_id" for entity in sub.entities)]:
            assert compile_schema(sub.described(name)).problem == "", (sub.name, name)


def test_a_sub_domain_is_read_as_it_is_written(tmp_path: Path) -> None:
    (sub,) = read_file(written(tmp_path))
    soup = sub.entities["soup"]
    assert (soup.plural, soup.computed, dict(soup.can)) == (
        "soups", {"stars"}, {"search": "search", "create": "cook", "rate": "rate"}
    )  # fmt: skip
    assert sub.functions[0].needs == ("soup_id",) and sub.functions[0].may == ("litres",)
    assert sub.schema("vegetables")["items"]["properties"]["grams"] == {
        "type": "integer", "minimum": 1, "maximum": 5000, "description": "weight in grams"
    }  # fmt: skip
    assert sub.schema("soup_id") == {"type": "string", "pattern": "^SOU-[0-9]{5}$"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("litres?)", "liters?)", "unknown term 'liters'"),
        ("      cut: dice|slice; way of cutting\n", "", "unknown term 'cut'"),
        ("mild|hot;", "mild|mild;", "holds? 'mild'|one twice"),
        ("number 0..20", "number 20..0", "is empty"),
        ("number 0..20", "numbr", "unknown kind 'numbr'"),
        ("volume in litres", "volume", "two words or more"),
        ("; name of the soup; e.g.", "; name of the soup; like", "the term title"),
        ("rate\n", "fly\n", "can 'fly'"),
        ("title, litres, spice, stars*, cooked_on", "title*, litres, spice", "no field to call it by"),
        ("title, litres, spice, stars*, cooked_on", "title, litres", "has 2 fields"),
        ("Warms a soup warm_a.", "Warm soup.", "third person"),
        ("warm_a(soup_id, litres?)", "warm_a()", "takes nothing"),
        ("warm_a(soup_id, litres?) ->", "warm_a soup_id ->", "the function"),
        ("warm_a(", "warm_b(", "functions"),
        ("search, create:cook", "nearby, statistics, create:cook", ""),
        (", bisque, bouillon, consomme", "", "5 words"),
        ("    terms:", "    terms:\n      extra: text; never used anywhere", "used nowhere"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line_that_names_file_and_sub_domain(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = written(tmp_path, old, new)
    if not said:
        assert read_file(path)
        return
    with pytest.raises(InputError, match=said) as raised:
        read_file(path)
    assert str(raised.value).startswith("meals.yaml, Soups: ") and "\n" not in str(raised.value)


def test_an_action_that_the_fields_do_not_offer_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "carrot: vegetable, grams, cut |", "carrot: vegetable, cut, title | alert")
    with pytest.raises(InputError, match="can alert, but has no number field"):
        read_file(path)


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        ("text", {"type": "string"}),
        ("date", {"type": "string", "format": "date"}),
        ("integer 1..5", {"type": "integer", "minimum": 1, "maximum": 5}),
        ("number ..5", {"type": "number", "maximum": 5}),
        ("number 0..5 step 0.5", {"type": "number", "minimum": 0, "maximum": 5, "multipleOf": 0.5}),
        ("a|b", {"type": "string", "enum": ["a", "b"]}),
        ("/^[A-Z]{3}$/", {"type": "string", "pattern": "^[A-Z]{3}$"}),
        ("list of text 1..3", {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3}),
        ("list of integer 1..3", {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 3}}),
        ("list of list of number", {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
    ],
)
def test_kinds_mean_json_schema(kind: str, schema: dict[str, object]) -> None:
    assert schema_of(kind, lambda _: None) == schema
    assert compile_schema(schema).problem == ""


def test_names_are_derived_by_the_rules_of_english() -> None:
    assert [plural(noun) for noun in ("city", "box", "dish", "tray", "recipe")] == [
        "cities", "boxes", "dishes", "trays", "recipes"
    ]  # fmt: skip
    assert [code_of(name) for name in ("recipe", "meal_plan", "ox")] == ["RCP", "MLPL", "OXX"]
