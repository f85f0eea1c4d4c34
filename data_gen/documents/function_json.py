"""Function definitions in JSON: OpenAI tools, BFCL and ToolACE functions, rows of `tools.jsonl`, and MCP tool lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_gen.documents.document import Document
from data_gen.documents.limits import PARAMETER_LIMITS, RESULT_LIMITS
from data_gen.documents.loading import Report, parse, read_bytes
from data_gen.documents.mcp import mcp_tools
from data_gen.documents.openapi_schema import SchemaReader, TooLarge, parameter_name
from data_gen.documents.plain_text import TOOL_CHARACTERS, opening, plain
from data_gen.documents.references import References
from data_gen.documents.spelled_out import parameter_text
from toolace import InputError, Tool
from toolace.rows import strict_json

# Lines of a JSON Lines file that show whether it holds functions.
LOOKED_AT = 50
# Where a row of a data set keeps its function definitions.
_HOLDERS = ("tools", "function", "functions")


def is_function(value: Any) -> bool:
    """Whether a parsed value is a function definition of one of the known dialects."""
    if not isinstance(value, Mapping):
        return False
    inner = value.get("function") if isinstance(value.get("function"), Mapping) else value
    assert isinstance(inner, Mapping)
    return isinstance(inner.get("name"), str) and any(
        key in inner for key in ("parameters", "arguments", "inputSchema", "description")
    )


def functions_of(value: Any) -> list[Any] | None:
    """The function definitions a parsed file holds, None when it is of another kind."""
    if isinstance(value, list):
        return value if value and any(map(is_function, value[:20])) else None
    if not isinstance(value, Mapping):
        return None
    for key in _HOLDERS:
        listed = value.get(key)
        if isinstance(listed, list) and any(map(is_function, listed[:20])):
            return listed
    return [value] if is_function(value) else None


def read_file(path: Path, report: Report) -> Iterator[Document]:
    """Yields the definitions of a JSON, YAML or JSON Lines file; broken ones go to `report`, the others go on."""
    if path.suffix == ".jsonl":
        yield from _lines(path, report)
        return
    try:
        value = parse(read_bytes(path), str(path))
    except InputError as error:
        report(error)
        return
    yield from read(value, str(path), report)


def read(value: Any, file: str, report: Report) -> Iterator[Document]:
    """Yields the definitions of a parsed value: one, a list, an object with a list, or an MCP answer."""
    listed = mcp_tools(value)
    listed = functions_of(value) if listed is None else listed
    if listed is None:
        fix = "A function has a name, a description and parameters."
        report(InputError("holds no function definitions", where=file, fix=fix))
        return
    title = Path(file).stem
    for number, row in enumerate(listed):
        yield from _one(row, title, file, f"{file} (function {number + 1})", report)


def _lines(path: Path, report: Report) -> Iterator[Document]:
    try:
        raw = read_bytes(path)
    except InputError as error:
        report(error)
        return
    told: Counter[str] = Counter()

    def once(error: InputError) -> None:
        told[error.what] += 1
        if told[error.what] == 1:
            report(error)

    yield from _rows(raw, path, once)
    for what, count in told.items():
        if count > 1:
            report(InputError(f"{count - 1:,} more lines have the same fault: {what}", where=path, fix="Repair them."))


def holds_functions(path: Path) -> bool:
    """Whether one of the first lines of a JSON Lines file holds a function definition, or none can be read."""
    try:
        lines = [line for line in read_bytes(path).split(b"\n", LOOKED_AT)[:LOOKED_AT] if line.strip()]
    except InputError:
        return True  # its reader says why
    readable = False
    for line in lines:
        try:
            row = strict_json(line.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            continue
        readable = True
        if mcp_tools(row) is not None or functions_of(row) is not None:
            return True
    return not readable


def _rows(raw: bytes, path: Path, report: Report) -> Iterator[Document]:
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = strict_json(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except (ValueError, RecursionError) as error:
            problem = str(error) or type(error).__name__
            report(InputError(f"is not JSON ({problem})", where=place, fix="Put one JSON object on each line."))
            continue
        listed = mcp_tools(row) or functions_of(row) or [row]
        for one in listed:
            yield from _one(one, path.stem, str(path), place, report)


def _one(row: Any, title: str, file: str, place: str, report: Report) -> Iterator[Document]:
    try:
        yield document_of(row, title, file)
    except InputError as error:
        report(InputError(error.what, where=place, fix=error.fix))
    except TooLarge:
        report(InputError("its schema is too large to be shown", where=place, fix="Let it refer to itself less."))
    except RecursionError:
        report(InputError("its schema is nested too deeply", where=place, fix="Simplify it."))


def document_of(row: Any, title: str, file: str) -> Document:
    """One definition as a Document, its schema resolved and cut to the limits of a prompt.

    Raises:
        InputError: no name, or a schema that is none.
    """
    tool = Tool.from_json(row)
    inner = row["function"] if isinstance(row.get("function"), Mapping) else row
    returns = tool.returns if tool.returns is not None else inner.get("outputSchema")
    name = ".".join(parameter_name(part, ()) for part in tool.name.strip().split(".") if part) or "function"
    structure: dict[str, Any] = {
        "name": name,
        "description": opening(tool.description[:3_000], TOOL_CHARACTERS, 3),
        "parameters": _parameters(tool.parameters),
        "returns": _returns(returns),
    }
    source = {"package": "", "version": "", "file": file, **{k: str(v) for k, v in tool.source.items()}}
    source["operation"] = tool.name
    parameters, by_name = _described(structure["parameters"])
    structure["parameters"] = parameters
    if by_name:
        source["described_by_name"] = ", ".join(by_name)
    path = tool.path or ((tool.domain,) if tool.domain else ("Other", title))
    return Document(
        f"function:{title}:{name}", title, plain(tool.description[:4_000]), path, structure, source, tool.licence
    )


def _parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    reader = SchemaReader(References(parameters))
    schema = reader.schema((parameters, ""), PARAMETER_LIMITS)
    schema.pop("description", None)
    return schema if "properties" in schema else {"type": "object", "properties": {}}


def _described(parameters: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Parameters without a description are given what their names say, as those of an OpenAPI file are."""
    properties: dict[str, Any] = {}
    by_name: list[str] = []
    for name, schema in parameters["properties"].items():
        said = "" if schema.get("description") else parameter_text(name, schema, "")
        properties[name] = {**schema, "description": said} if said else schema
        by_name += [name] if said else []
    return {**parameters, "properties": properties}, by_name


def _returns(returns: Any) -> dict[str, Any] | None:
    if not isinstance(returns, dict):
        return None
    schema = SchemaReader(References(returns)).schema((returns, ""), RESULT_LIMITS)
    return schema or None
