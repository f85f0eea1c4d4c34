"""Hand-written dialogs that nothing is wrong with: every type, nested values, results, several turns."""

from __future__ import annotations

from typing import Any

from toolace import Dialog

FORECAST: dict[str, Any] = {
    "name": "weather.forecast",
    "description": "Gives the forecast of a city for the coming days.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "City to look up."},
            "days": {"type": "integer", "description": "Days ahead.", "minimum": 1, "maximum": 14, "default": 5},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "Scale."},
            "from_day": {"type": "string", "format": "date", "description": "First day, YYYY-MM-DD."},
            "hourly": {"type": "boolean", "description": "Whether every hour is listed."},
        },
        "required": ["city"],
    },
    "returns": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "high": {"type": "number"}, "station_code": {"type": "string"}},
        "required": ["city"],
    },
}
ORDER: dict[str, Any] = {
    "name": "place_order",
    "description": "Orders dishes from a restaurant.",
    "parameters": {
        "type": "object",
        "properties": {
            "restaurant": {"type": "string", "description": "Name of the restaurant."},
            "items": {
                "type": "array",
                "minItems": 1,
                "description": "What to order.",
                "items": {
                    "type": "object",
                    "properties": {
                        "dish": {"type": "string", "description": "Dish."},
                        "quantity": {"type": "integer", "minimum": 1, "description": "How many."},
                    },
                    "required": ["dish", "quantity"],
                },
            },
            "budget": {"type": "number", "description": "Most to pay, in euros.", "exclusiveMinimum": 0},
            "email": {"type": "string", "format": "email", "description": "Where the receipt goes."},
            "table": {"type": "string", "pattern": "^[A-Z][0-9]{1,2}$", "description": "Table code."},
            "at": {"type": "string", "format": "time", "description": "Time, HH:MM."},
            "notes": {"type": "array", "items": {"type": "string"}, "description": "Wishes."},
            "level": {"enum": [1, 2, "extra"], "description": "How spicy."},
        },
        "required": ["restaurant", "items"],
    },
}
STATION: dict[str, Any] = {
    "name": "station_history",
    "description": "Shows past measurements of a weather station.",
    "parameters": {
        "type": "object",
        "properties": {"station_code": {"type": "string", "description": "Code of the station."}},
        "required": ["station_code"],
    },
    "returns": {"type": "object", "properties": {"years": {"type": "integer"}}},
}


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """An OpenAI tool call."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def _row(id_: str, kind: str, tools: list[Any], *messages: dict[str, Any]) -> dict[str, Any]:
    return {"id": id_, "type": kind, "tools": tools, "messages": list(messages), "meta": {}}


def user(text: str) -> dict[str, Any]:
    """A user turn."""
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    """An assistant turn of text."""
    return {"role": "assistant", "content": text}


def calls(*made: dict[str, Any]) -> dict[str, Any]:
    """An assistant turn of calls."""
    return {"role": "assistant", "content": "", "tool_calls": list(made)}


def result(name: str, content: str) -> dict[str, Any]:
    """A tool turn."""
    return {"role": "tool", "name": name, "content": content}


ROWS: tuple[dict[str, Any], ...] = (
    _row(
        "single-1",
        "single",
        [FORECAST, ORDER],
        user(
            "What will the weather be like in São Paulo for the next three days, in Celsius? Start on March 14, 2026."
        ),
        calls(call("weather.forecast", city="Sao Paulo", days=3, unit="celsius", from_day="2026-03-14", hourly=False)),
        result("weather.forecast", '{"city": "S\\u00e3o Paulo", "high": 29.5, "station_code": "SP-17"}'),
        said("It will reach 29.5 degrees in São Paulo."),
    ),
    _row(
        "nested-1",
        "single",
        [ORDER],
        {"role": "system", "content": "Receipts go to guest@example.com unless the guest says otherwise."},
        user(
            "At Casa Lola: two paella, 1 gazpacho, not over 1,250.50 euros, 7:30 pm, table B12, no onions, extra hot."
        ),
        calls(
            call(
                "place_order",
                restaurant="Casa Lola",
                items=[{"dish": "paella", "quantity": 2}, {"dish": "gazpacho", "quantity": 1}],
                budget=1250.5,
                email="guest@example.com",
                table="B12",
                at="19:30",
                notes=["no onions"],
                level="extra",
            )
        ),
    ),
    _row(
        "parallel-1",
        "parallel",
        [FORECAST, STATION],
        user("Compare the forecasts of Oslo and Bergen for 7 days."),
        calls(call("weather.forecast", city="Oslo", days=7), call("weather.forecast", city="Bergen", days=7)),
        result("weather.forecast", '{"city": "Oslo", "high": 12, "station_code": "OS-3"}'),
        result("weather.forecast", '{"error": "no data for this city"}'),
        said("Oslo reaches 12 degrees; there is no data for Bergen."),
        user("Thanks. And in Rome?"),
        calls(call("weather.forecast", city="Rome")),
    ),
    _row(
        "dependent-1",
        "dependent",
        [FORECAST, STATION],
        user("How many years of measurements has the station that makes Lima's forecast?"),
        calls(call("weather.forecast", city="Lima")),
        result("weather.forecast", '{"city": "Lima", "high": 24, "station_code": "LIM-204"}'),
        calls(call("station_history", station_code="LIM-204")),
        result("station_history", '{"years": 31}'),
        said("The station has 31 years of measurements."),
    ),
    _row(
        "none-1",
        "non_tool_use",
        [STATION],
        user("Can you translate my letter into French?"),
        said("I cannot do that: none of the tools at hand translates text."),
    ),
    _row(
        "asked-1",
        "single",
        [FORECAST],
        user("I need a forecast for the day after tomorrow, please."),
        said("For which city should I look it up?"),
        user("Kraków"),
        calls(call("weather.forecast", city="Kraków", days=5)),
    ),
)


def dialogs() -> list[Dialog]:
    """The rows as dialogs."""
    return [Dialog.from_json(row) for row in ROWS]
