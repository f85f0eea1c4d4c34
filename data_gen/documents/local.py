"""A user's own API documents: a file, a folder or an address, each file read by the reader of its kind.

What `toolace tools --from X` reads. Known are OpenAPI and Swagger (JSON, YAML), MCP tool lists, function definitions in
JSON or JSON Lines, Python source with docstrings, and Markdown manuals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from data_gen.documents import docstrings, function_json, markdown, openapi
from data_gen.documents.document import Document
from data_gen.documents.loading import Report, fetch, is_address, parse, read_bytes
from data_gen.documents.mcp import mcp_tools
from data_gen.documents.naming import snake
from data_gen.documents.references import References
from toolace import InputError

# our choice: files of a folder that are looked at; a checkout of a whole monorepo is a mistake to be told of.
FILES = 20_000
_DATA = frozenset((".json", ".yaml", ".yml", ".jsonl"))
_MANUALS = frozenset((".md", ".markdown", ".mdx"))
_ARCHIVES = frozenset((".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z"))
_HIDDEN = frozenset(("node_modules", "__pycache__", "site-packages"))
KINDS = "OpenAPI or Swagger (JSON, YAML), MCP tool lists, function JSON, Python source, Markdown"


def read_path(place: str | Path, report: Report) -> Iterator[Document]:
    """Yields the Documents of a file, of all files of a folder, or of an http(s) address; names are made distinct.

    Args:
        place: path or address.
        report: takes an InputError for each file or operation that cannot be read; the others go on.

    Raises:
        InputError: there is nothing at that place.
    """
    if is_address(place):
        documents = _address(str(place), report)
    else:
        path = Path(place)
        if not path.exists():
            raise InputError("does not exist", where=path, fix="Name a file, a folder or an http(s) address.")
        documents = _folder(path, report) if path.is_dir() else _file(path, report)
    yield from _distinct(documents)


def _file(path: Path, report: Report) -> Iterator[Document]:
    if path.suffix.lower() in _ARCHIVES:
        report(InputError("is an archive", where=path, fix="Unpack it and name the folder."))
        return
    reader = _reader(path, report, path.parent, [])
    if reader is None:
        report(InputError("is no API document of a known kind", where=path, fix=f"Known are {KINDS}."))
        return
    yield from reader


def _folder(folder: Path, report: Report) -> Iterator[Document]:
    """All files by name. Parts of descriptions that others refer to are no documents by themselves."""
    others: list[Path] = []
    found = False
    read: list[References] = []
    for path in _walk(folder):
        reader = _reader(path, report, folder, read)
        if reader is None:
            if path.suffix.lower() in _DATA | _ARCHIVES:
                others.append(path)
            continue
        found = True
        yield from reader
    parts = {file for references in read for file in references.files}
    others = [path for path in others if path.resolve() not in parts]
    if not found:
        report(InputError("holds no API document of a known kind", where=folder, fix=f"Known are {KINDS}."))
    elif others:
        names = ", ".join(str(path.relative_to(folder)) for path in others[:3]) + (", ..." if len(others) > 3 else "")
        what = f"{len(others)} files are no API documents by themselves and were passed over: {names}"
        report(InputError(what, where=folder, fix="Nothing to do if they are something else."))


def _walk(folder: Path) -> list[Path]:
    paths: list[Path] = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if not path.is_file() or any(part.startswith(".") or part in _HIDDEN for part in parts):
            continue
        paths.append(path)
        if len(paths) > FILES:
            raise InputError(
                f"holds more than {FILES:,} files", where=folder, fix="Name the folder of the API documents."
            )
    return paths


def _reader(path: Path, report: Report, folder: Path, read: list[References]) -> Iterator[Document] | None:
    """The Documents of one file, None when it is of no known kind; `read` gets the references it follows."""
    kind = path.suffix.lower()
    if kind == ".py":
        return docstrings.read_file(path, report)
    if kind in _MANUALS:
        return markdown.read_file(path, report)
    if kind == ".jsonl":
        return function_json.read_file(path, report) if function_json.holds_functions(path) else None
    if kind not in _DATA and kind:
        return None
    try:
        value = parse(read_bytes(path), str(path))
    except InputError as error:
        if not kind:
            return None
        report(error)
        return iter(())
    read.append(References(value, path, folder))
    return _value(value, str(path), report, read[-1])


def _value(value: Any, name: str, report: Report, references: References) -> Iterator[Document] | None:
    if openapi.is_openapi(value):
        return openapi.read(value, openapi.Publication(name), report, references)
    if mcp_tools(value) is not None or function_json.functions_of(value) is not None:
        return function_json.read(value, name, report)
    return None


def _address(address: str, report: Report) -> Iterator[Document]:
    raw = fetch(address)
    name = Path(urlsplit(address).path).name.lower()
    if name.endswith(tuple(_MANUALS)):
        return markdown.read(raw.decode("utf-8", "replace"), address)
    value = parse(raw, address)
    reader = _value(value, address, report, References(value))
    if reader is None:
        raise InputError("is no API document of a known kind", where=address, fix=f"Known are {KINDS}.")
    return reader


def _distinct(documents: Iterator[Document]) -> Iterator[Document]:
    """The same with ids and names of their own: two descriptions may both have an operation `get_user`."""
    ids: set[str] = set()
    names: dict[str, str] = {}
    for document in documents:
        structure = document.structure
        name = str(structure.get("name", ""))
        if name and names.setdefault(name, document.title) != document.title:
            name = f"{snake(document.title)[:28].strip('_') or 'api'}.{name}"
            name = _numbered(name, names)
            names[name] = document.title
            structure = {**structure, "name": name}
        id_ = _numbered(document.id, ids)
        ids.add(id_)
        yield (
            replace(document, id=id_, structure=structure)
            if id_ != document.id or structure != document.structure
            else document
        )


def _numbered(name: str, taken: Any) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
