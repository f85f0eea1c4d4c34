"""BFCL's rows of several turns and its gold that is written as code: `cd(folder='docs')` rather than accepted values.

Rows of several turns name classes (`involved_classes`) whose functions stand in documents beside the questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from toolace import Call, InputError, Tool
from toolace.calls import parse_calls
from toolace.rows import read_rows

# Where the package keeps the functions of each class.
_DOCUMENTS = {
    "GorillaFileSystem": "gorilla_file_system", "MathAPI": "math_api", "MessageAPI": "message_api",
    "TwitterAPI": "posting_api", "PostingAPI": "posting_api", "TicketAPI": "ticket_api", "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking", "VehicleControlAPI": "vehicle_control", "WebSearchAPI": "web_search",
    "MemoryAPI_kv": "memory_kv", "MemoryAPI_vector": "memory_vector", "MemoryAPI_rec_sum": "memory_rec_sum",
}  # fmt: skip


def functions_of(row: Mapping[str, Any], folder: Path) -> list[Any]:
    """The functions of the classes that a row names, from `multi_turn_func_doc` in the folder; less those it excludes.

    Raises:
        InputError: a class has no document there.
    """
    classes, left_out = row.get("involved_classes"), row.get("excluded_function") or ()
    found: list[Any] = []
    for name in classes if isinstance(classes, list) else ():
        file = folder / "multi_turn_func_doc" / f"{_DOCUMENTS.get(str(name), 'none')}.json"
        if not file.is_file():
            fix = "Keep BFCL's folder multi_turn_func_doc beside the questions."
            raise InputError(f"the functions of {name!r} are not at hand", fix=fix)
        found += [function for function in _document(file) if function.get("name") not in left_out]
    return found


@lru_cache(maxsize=64)
def _document(file: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(file)]


def written_calls(texts: Sequence[Any], tools: Sequence[Tool]) -> list[Call]:
    """The calls of gold that is code, an argument without a name given the parameter's at its place.

    Raises:
        InputError: a text is no call.
    """
    return [_call(text, {tool.name: tool for tool in tools}) for text in texts]


def _call(text: Any, tools: Mapping[str, Tool]) -> Call:
    parsed = parse_calls(text) if isinstance(text, str) else None
    if parsed is not None and parsed.problems and parsed.calls:
        name, opening, rest = text.partition("(")
        tool = tools.get(name.strip())
        first = next(iter(tool.properties), "") if tool else ""
        parsed = parse_calls(f"{name}{opening}{first}={rest}")
    if parsed is None or not parsed.ok or len(parsed.calls) != 1:
        raise InputError(f"an answer is no call: {str(text)[:60]!r}", fix="Give rows as BFCL publishes them.")
    return parsed.calls[0]
