"""Places in the tree: what a document is about decides, its service helps, and what fits nowhere is said to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from data_gen.tool_synthesis.speciation import Leaf, Place, Speciation, tokens
from data_gen.tool_synthesis.taxonomy import taxonomy

LEAVES = (
    Leaf(
        "spoonacular", "spoonacular API spoonacular com", "Recipes", "search_recipes Search for recipes by ingredients"
    ),
    Leaf("vivino", "Vivino wines", "wines", "get_wine_rating Gets what drinkers think of a wine and its vintage"),
    Leaf(
        "weatherbit", "Weatherbit weatherbit io Location", "Forecast", "get_forecast Returns a daily weather forecast"
    ),
    Leaf("calendar", "Google Calendar API", "event", "list_events Returns events on the specified calendar"),
    Leaf("calendar", "Google Calendar API", "acl", "delete_acl Deletes an access control rule"),
    Leaf("s3", "Amazon Simple Storage Service", "bucket", "create_bucket Creates a new S3 bucket to store objects in"),
    Leaf("stripe", "Stripe API stripe com Payment", "charges", "create_charge Charges a credit card for a payment"),
    Leaf("kraken", "Xyz", "", "frobnicate_quux Frobnicates the quux"),
)
EXPECTED = (
    "Recipes", "Wine", "Weather Forecasts", "Calendars", "Calendars", "Object Storage", "Payment Processing", None
)  # fmt: skip


@pytest.fixture(scope="module")
def places() -> list[Place]:
    return Speciation(taxonomy(), LEAVES).places()


@pytest.mark.parametrize(("number", "name"), enumerate(EXPECTED))
def test_an_api_stands_where_a_reader_would_put_it(places: list[Place], number: int, name: str | None) -> None:
    found = places[number]
    assert (taxonomy()[found.sub].name if found.sub >= 0 else None) == name, taxonomy()[found.nearest].name


def test_places_are_the_same_each_time(places: list[Place]) -> None:
    assert Speciation(taxonomy(), LEAVES).places() == places


def test_without_meaning_words_alone_decide() -> None:
    def blind(texts: Sequence[str]) -> Any:
        return np.zeros((len(texts), 3), dtype=np.float32)

    found = Speciation(taxonomy(), LEAVES[:1], blind).places()
    assert taxonomy()[found[0].nearest].name == "Recipes"


def test_tokens_are_singular_and_tell_something() -> None:
    assert tokens("List all theRecipes by_ingredient (v2), 42 ids") == ["recipe", "ingredient"]
