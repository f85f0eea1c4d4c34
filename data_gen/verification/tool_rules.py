"""Rules on the tools of a dialog (paper, Table 4: API definition clarity)."""

from __future__ import annotations

from collections.abc import Iterator

from data_gen.verification.identity import remembered, remembered_last
from data_gen.verification.registry import CLARITY, Finding, rule
from data_gen.verification.schemas import compile_once, properties_of, required_of
from toolace.dialogs import Dialog
from toolace.tools import Tool

# our choice: "Add" says nothing that the name does not; the shortest useful description in real documents is longer.
DESCRIPTION_CHARACTERS = 8


@rule("tool.fields", CLARITY)
def fields(dialog: Dialog) -> Iterator[Finding]:
    """A tool has a name on one line, and parameters that are an object whose required names are properties."""
    for i, tool in _doubtful(dialog):
        for evidence in _fields_wrong(tool):
            yield evidence, f"tools[{i}]"


@remembered_last
def _doubtful(dialog: Dialog) -> tuple[tuple[int, Tool], ...]:
    """The tools that some rule on tools has something against, with their places."""
    return tuple((i, tool) for i, tool in enumerate(dialog.tools) if not _is_fine(tool))


@remembered
def _is_fine(tool: Tool) -> bool:
    if any(True for _ in _fields_wrong(tool)) or not _says_something(tool):
        return False
    return not any(compile_once(part).problem for part in (tool.parameters, tool.returns) if part is not None)


def _fields_wrong(tool: Tool) -> Iterator[str]:
    if not tool.name.strip() or tool.name != tool.name.strip() or not tool.name.isprintable():
        yield f"the name {tool.name!r} is empty or not on one line"
    schema = tool.parameters
    if schema.get("type", "object") != "object":
        yield f"parameters of {tool.name!r} are of type {schema.get('type')!r}, not object"
    if not isinstance(schema.get("properties", {}), dict) or not isinstance(schema.get("required", []), list):
        yield f"properties or required of {tool.name!r} are of the wrong type"
    for name in required_of(schema):
        if name not in properties_of(schema):
            yield f"{tool.name!r} requires {name!r}, which is no property"


@rule("tool.unique_names", CLARITY)
def unique_names(dialog: Dialog) -> Iterator[Finding]:
    """No two tools on offer have the same name."""
    seen: set[str] = set()
    for i, tool in enumerate(dialog.tools):
        if tool.name in seen:
            yield f"a second tool is called {tool.name!r}", f"tools[{i}]"
        seen.add(tool.name)


@rule("tool.described", CLARITY)
def described(dialog: Dialog) -> Iterator[Finding]:
    """A tool says what it does, in words other than its name."""
    for i, tool in _doubtful(dialog):
        if not _says_something(tool):
            yield f"the description of {tool.name!r} is {tool.description.strip()!r}", f"tools[{i}].description"


def _says_something(tool: Tool) -> bool:
    text = tool.description.strip()
    return len(text) >= DESCRIPTION_CHARACTERS and _letters(text) != _letters(tool.name)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


@rule("tool.schema", CLARITY)
def schema(dialog: Dialog) -> Iterator[Finding]:
    """Parameters and results are valid JSON Schema 2020-12, with patterns that Python reads."""
    for i, tool in _doubtful(dialog):
        for part, definition in (("parameters", tool.parameters), ("returns", tool.returns)):
            problem = compile_once(definition).problem if definition is not None else ""
            if problem:
                yield f"{tool.name!r}: {problem}", f"tools[{i}].{part}"
