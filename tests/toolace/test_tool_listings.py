from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from toolace import Dialog, Message, Tool
from toolace.calls import Call
from toolace.formats import from_toolace, to_toolace
from toolace.prompt import write_tools
from toolace.tool_listings import LISTINGS

WEATHER = Tool(
    "sky.weather",
    'Weather of a city, "now" & later <soon>.',
    {
        "type": "object",
        "properties": {
            "days": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many days."},
            "city": {"type": "string", "description": "Which city, e.g. São Paulo."},
        },
        "required": ["city"],
    },
    {"type": "object", "properties": {"high": {"type": "number"}}},
)
NOTHING = Tool("ping", "Says that it is there.", {"type": "object", "properties": {}})


def test_the_yaml_list_is_the_functions() -> None:
    assert yaml.safe_load(LISTINGS["yaml"]([WEATHER, NOTHING])) == [WEATHER.to_function(), NOTHING.to_function()]


def test_the_xml_list_parses_and_holds_everything() -> None:
    root = ElementTree.fromstring(LISTINGS["xml"]([WEATHER, NOTHING]))
    first, second = root
    assert [first.get("name"), second.get("name")] == ["sky.weather", "ping"]
    assert first.findtext("description") == WEATHER.description
    days, city = first.findall("parameter")
    assert days.attrib == {"name": "days", "type": "integer", "required": "false"}
    assert city.get("required") == "true" and '"maximum": 9' in (days.text or "")


@pytest.mark.parametrize("style", LISTINGS)
def test_every_listing_says_names_descriptions_bounds_and_results(style: str) -> None:
    text = write_tools([WEATHER, NOTHING], style)
    for said in ("sky.weather", "ping", "city", "days", "How many days.", "São Paulo", "maximum", "9", "high"):
        assert said in text, (style, said)


def test_the_python_list_has_required_parameters_first() -> None:
    assert "def sky.weather(city: str, days: int = None) -> dict:" in LISTINGS["python"]([WEATHER])


@pytest.mark.parametrize("style", LISTINGS)
def test_a_row_with_such_a_list_comes_back_word_for_word(style: str) -> None:
    messages = (
        Message("user", "Oslo?"),
        Message("assistant", calls=(Call("sky.weather", {"city": "Oslo"}),), call_ids=("c",)),
    )
    prompt = {"before": "Call these.\n", "after": "\n", "style": style}
    row = to_toolace(Dialog("d", "single", (WEATHER, NOTHING), messages, {"prompt": prompt}))
    back = from_toolace(row)
    assert to_toolace(back) == row
    assert [tool.to_function() for tool in back.tools] == [WEATHER.to_function(), NOTHING.to_function()]
    assert back.meta["prompt"] == prompt
