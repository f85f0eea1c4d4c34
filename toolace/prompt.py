"""How a list of tools stands in a system prompt: written in a known style, and found again in other people's text.

`Dialog.meta["prompt"]` = {"before", "after", "style"} says how: before + `write_tools(tools, style)` + after. Without
it `DEFAULT_PROMPT` is used. A list in no known style is kept as it is ("style": "verbatim", "text": ...), so that a row
comes back byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from toolace.errors import InputError
from toolace.literals import LiteralReader, Unreadable
from toolace.tool_listings import LISTINGS
from toolace.tools import Tool

Prompt = Mapping[str, str]

DEFAULT_PROMPT: Prompt = MappingProxyType(
    {
        "before": (
            "You may call the functions listed below to help with the user's request.\n"
            "When one or more of them fit, answer only with the calls, written as "
            "[func_name(param=value, other_param=value), other_func(param=value)], and nothing else.\n"
            "When none of them fits, or a required parameter is missing from the conversation, "
            "do not call: say so in a short sentence and name what is missing.\n"
            "The functions, in JSON:\n"
        ),
        "after": "",
        "style": "json",
    }
)

_LIST_START = re.compile(r"\[\s*\{")
_LINE_START = re.compile(r"^\{", re.MULTILINE)
# Places in a system text where a list may start that are tried: a foreign file must not make reading slow.
_ATTEMPTS = 32


def _dialect(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    return [tool.to_dialect() for tool in tools]


# In the order in which reading tries them. `json_indent4` escapes non-ASCII letters because BFCL v4's prompts do.
STYLES: Mapping[str, Callable[[Sequence[Tool]], str]] = MappingProxyType(
    {
        "json": lambda tools: json.dumps(_dialect(tools), ensure_ascii=False),
        "json_indent4": lambda tools: json.dumps(_dialect(tools), indent=4),
        "repr": lambda tools: repr(_dialect(tools)),
        "json_schema": lambda tools: json.dumps([tool.to_function() for tool in tools], ensure_ascii=False),
        "json_lines": lambda tools: "\n".join(json.dumps(item, ensure_ascii=False) for item in _dialect(tools)),
    }
)


def write_tools(tools: Sequence[Tool], style: str) -> str:
    """The tool list as text.

    Raises:
        InputError: the style is none of `STYLES` and `LISTINGS`.
    """
    write = STYLES.get(style) or LISTINGS.get(style)
    if write is None:
        fix = f"Use one of {', '.join((*STYLES, *LISTINGS))}."
        raise InputError(f"the prompt style {style!r} is unknown", fix=fix)
    return write(tools)


def write_system(plain: str, tools: Sequence[Tool], prompt: Any) -> str:
    """The system text: the plain instructions, a blank line, and the prompt with the tool list.

    Args:
        plain: a leading system message's text, "" for none.
        prompt: `Dialog.meta["prompt"]`, or None. Without tools and without a prompt there is only the plain text.

    Raises:
        InputError: the prompt is not {"before", "after", "style"}.
    """
    if prompt is None and not tools:
        return plain
    prompt = DEFAULT_PROMPT if prompt is None else prompt
    keys = ("before", "after", "style")
    if not isinstance(prompt, Mapping) or not all(isinstance(prompt.get(key), str) for key in keys):
        raise InputError("meta.prompt is not {before, after, style}", fix="Give the three texts or leave it out.")
    written = prompt["before"] + _list_text(tools, prompt) + prompt["after"]
    return f"{plain}\n\n{written}" if plain else written


def _list_text(tools: Sequence[Tool], prompt: Prompt) -> str:
    if prompt["style"] != "verbatim":
        return write_tools(tools, prompt["style"])
    text = prompt.get("text", "")
    kept = find_tools(text)
    # Tools that were changed since the row was read must not be shown as they were.
    if kept and [tool.to_function() for tool in kept[2]] == [tool.to_function() for tool in tools]:
        return text
    return write_tools(tools, "json")


def read_system(text: str) -> tuple[str, tuple[Tool, ...], dict[str, str] | None]:
    """Takes a system text apart: (plain instructions, tools, prompt); the inverse of `write_system`.

    The prompt is None when it is `DEFAULT_PROMPT` or when there are no tools (all of the text is then plain).
    """
    found = _after_default(text) or find_tools(text)
    if found is None:
        return text, (), None
    start, end, tools = found
    before, after, plain = text[:start], text[end:], ""
    default = DEFAULT_PROMPT["before"]
    if after == DEFAULT_PROMPT["after"] and before.endswith("\n\n" + default):
        plain, before = before[: -len(default) - 2], default
    listed = text[start:end]
    prompt = {"before": before, "after": after, "style": _style(tools, listed)}
    if prompt["style"] == "verbatim":
        prompt["text"] = listed
    return plain, tools, None if prompt == DEFAULT_PROMPT else prompt


def is_read_back(prompt: Any) -> bool:
    """Whether `read_system` finds the tools in a system text of this prompt; for the rest see `locate`."""
    return not isinstance(prompt, Mapping) or prompt.get("style") not in LISTINGS


def locate(text: str, tools: Sequence[Tool]) -> dict[str, str] | None:
    """The prompt of a system text whose tools are known and are listed in a style of `LISTINGS`; None when not."""
    for style, write in LISTINGS.items():
        before, listed, after = text.partition(write(tools))
        if listed:
            return {"before": before, "after": after, "style": style}
    return None


def _style(tools: Sequence[Tool], text: str) -> str:
    return next((name for name, write in STYLES.items() if write(tools) == text), "verbatim")


def _after_default(text: str) -> tuple[int, int, tuple[Tool, ...]] | None:
    start = text.rfind(DEFAULT_PROMPT["before"])
    if start < 0:
        return None
    start += len(DEFAULT_PROMPT["before"])
    found = _tools_at(text, start) if text.startswith("[", start) else _lines_at(text, start)
    return (start, *found) if found else None


def find_tools(text: str) -> tuple[int, int, tuple[Tool, ...]] | None:
    """The first list of tools in a text as (start, end, tools): a JSON list, a Python one, or one object a line."""
    for match, _ in zip(_LIST_START.finditer(text), range(_ATTEMPTS), strict=False):
        if found := _tools_at(text, match.start()):
            return match.start(), *found
    for match, _ in zip(_LINE_START.finditer(text), range(_ATTEMPTS), strict=False):
        if found := _lines_at(text, match.start()):
            return match.start(), *found
    return None


def _tools_at(text: str, start: int) -> tuple[int, tuple[Tool, ...]] | None:
    value, end = read_value(text, start)
    tools = _as_tools(value)
    return (end, tools) if tools else None


def _lines_at(text: str, start: int) -> tuple[int, tuple[Tool, ...]] | None:
    tools: list[Tool] = []
    end = start
    while text.startswith("{", start):
        value, stop = read_value(text, start)
        one = _as_tools([value])
        if not one:
            break
        tools.extend(one)
        end = stop
        start = stop + 1 if text.startswith("\n", stop) else len(text)
    return (end, tuple(tools)) if tools else None


def _as_tools(value: Any) -> tuple[Tool, ...]:
    """The tools of a parsed list; empty when any item is something else (an example call, a result)."""
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        return ()
    for item in value:
        inner = item.get("function") if isinstance(item.get("function"), Mapping) else item
        if "results" in inner or not any(key in inner for key in ("parameters", "description", "inputSchema")):
            return ()
    try:
        return tuple(Tool.from_json(item) for item in value)
    except InputError:
        return ()


def read_value(text: str, start: int) -> tuple[Any, int]:
    """The JSON or Python literal that starts there and the position after it; (None, start) when there is none."""
    try:
        value, end = _JSON.raw_decode(text, start)
        return value, end
    except (ValueError, RecursionError):
        pass
    reader = LiteralReader(text)
    try:
        value, end = reader.value(start)
    except Unreadable:
        return None, start
    return (value, end) if not reader.problems else (None, start)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse)


def read_json_text(text: str) -> Any:
    """Parses strict JSON text (no NaN).

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None
