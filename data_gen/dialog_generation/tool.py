"""The offline tool agent: simulated results that fit the API's return schema and the call's arguments (Sec. 2.2)."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from data_gen.dialog_generation.values import draw
from toolace import Call, Tool

_ERRORS = (
    "no entry matches these arguments",
    "the service is busy, try again later",
    "the request timed out",
    "this combination of arguments is not supported",
)


class OfflineTool:
    """Answers calls from the tool's schema, seeded. Arguments that come back under the same name come back unchanged."""

    def __init__(self, rng: random.Random, error_rate: float = 0.0) -> None:
        self.rng = rng
        self.error_rate = error_rate

    def answer(self, tool: Tool, call: Call, forced: Mapping[str, Any] | None = None) -> str:
        """JSON text of the result; with `error_rate` an `{"error": ...}` object.

        Args:
            forced: members of the result that the dialog needs, by property name, wherever they are in the schema.
        """
        if forced is None and self.rng.random() < self.error_rate:
            return json.dumps({"error": self.rng.choice(_ERRORS)})
        schema = tool.returns or {"type": "object", "properties": {"status": {"const": "ok"}}}
        known = {**call.arguments, **(forced or {})}
        return json.dumps(self._value(schema, "", known, 0), ensure_ascii=False)

    def _value(self, schema: Mapping[str, Any], name: str, known: Mapping[str, Any], depth: int) -> Any:
        kind = schema.get("type")
        if name in known and _fits(known[name], kind):
            return known[name]
        if kind == "object" or "properties" in schema:
            inner = list((schema.get("properties") or {}).items())[: 6 if depth else 8]
            return {key: self._value(sub, key, known, depth + 1) for key, sub in inner}
        if kind == "array" and depth < 4:
            items = schema.get("items") or {"type": "string"}
            count = (
                self.rng.choice((1, 2, 2, 3)) if items.get("type") in ("object", "array") else self.rng.randint(2, 3)
            )
            return [self._value(items, name.rstrip("s"), known if i == 0 else {}, depth + 1) for i in range(count)]
        return draw(schema, self.rng, name).argument


def _fits(value: Any, kind: Any) -> bool:
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    return kind in types and isinstance(value, types[kind]) and (kind == "boolean" or not isinstance(value, bool))
