"""AWS: the operations of every service in the installed botocore, one Document each."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_gen.documents.document import Document
from data_gen.documents.limits import (
    IGNORED,
    PAGING,
    PARAMETER_LIMITS,
    RESULT_LIMITS,
    Limits,
    keep_enum,
    keep_pattern,
    trimmed,
)
from data_gen.documents.naming import identifier, singular, snake, styled
from data_gen.documents.plain_text import PARAMETER_CHARACTERS, TOOL_CHARACTERS, opening, plain
from data_gen.documents.services import Draw, choose, every, is_dotted, kind_of, package_folder
from toolace import InputError

Shape = Mapping[str, Any]
Schema = dict[str, Any]

LICENCE = "Apache-2.0"
_WITHDRAWN = re.compile(
    r"deprecated|no longer (?:available|supported|accepting)|discontinued|end of support", re.IGNORECASE
)
_CAMEL = re.compile(r"\b[A-Za-z]+[a-z0-9][A-Z][A-Za-z0-9]*\b")
_SCALARS = {
    "string": "string", "character": "string", "boolean": "boolean", "integer": "integer", "long": "integer",
    "float": "number", "double": "number", "bigdecimal": "number", "biginteger": "integer",
}  # fmt: skip


def services() -> list[str]:
    """Short names of all services, `translate`.

    Raises:
        InputError: botocore is not installed.
    """
    folder, _ = package_folder("botocore", "data", "botocore")
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())


def read(services: Sequence[str] | int | None = None, *, seed: int = 0, draw: Draw = every) -> Iterator[Document]:
    """Yields the operations that are not deprecated, service by service; a service is parsed when its turn comes.

    Args:
        services: short names; or how many, of as many kinds as possible; or None for all.
        seed: decides which services a count means.
        draw: which operations of a service are read.

    Raises:
        InputError: botocore is not installed, or has no such service.
    """
    folder, version = package_folder("botocore", "data", "botocore")
    known = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    for name in choose(known, services, seed, "botocore"):
        path = _newest(folder / name)
        if path is not None:
            place = f"botocore/data/{path.relative_to(folder)}"
            yield from _Service(name, _model(path), place, version).documents(draw)


def _newest(folder: Path) -> Path | None:
    """The service model of the newest API version; versions are dates, so names sort by age."""
    models = sorted(folder.glob("*/service-2.json*"))
    return models[-1] if models else None


def _model(path: Path) -> Mapping[str, Any]:
    try:
        raw = path.read_bytes()
        model: Mapping[str, Any] = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot be read ({error})", where=path, fix="Install botocore again.") from None
    return model


class _Service:
    """One service model on its way to Documents."""

    def __init__(self, name: str, model: Mapping[str, Any], file: str, version: str) -> None:
        self.name, self.model = name, model
        self.shapes: Mapping[str, Shape] = model["shapes"]
        self.title = _title(model["metadata"], name)
        members = (member for shape in self.shapes.values() for member in shape.get("members", {}))
        self.mentioned = {name for name in (*members, *model["operations"]) if "_" in snake(name)}
        self.source = {"package": "botocore", "version": version, "file": file}

    def documents(self, draw: Draw) -> Iterator[Document]:
        """The service's operations by name, deprecated and streaming ones left out."""
        known = []
        for name, operation in sorted(self.model["operations"].items()):
            text = operation.get("documentation") or ""
            if not (operation.get("deprecated") or _WITHDRAWN.search(plain(text)[:200]) or self._streams(operation)):
                known.append((name, operation, text))
        for place in draw("botocore", self.title, len(known)):
            yield self._document(*known[place])

    def _streams(self, operation: Mapping[str, Any]) -> bool:
        """Whether it sends or gives events bit by bit, which is no function call."""
        for side in ("input", "output"):
            shape = self.shapes.get(operation.get(side, {}).get("shape", ""), {})
            members = shape.get("members", {}).values()
            if any(self.shapes.get(member["shape"], {}).get("eventstream") for member in members):
                return True
        return False

    def _document(self, name: str, operation: Mapping[str, Any], text: str) -> Document:
        action = snake(name)
        entrance, output = (operation.get(side, {}).get("shape") for side in ("input", "output"))
        returns = self._structure(self.shapes[output], (output,), RESULT_LIMITS) if output else {}
        structure = {
            "name": styled(self.name, action, dotted=is_dotted(self.name)),
            "description": self._said(text, TOOL_CHARACTERS),
            "parameters": self._parameters(entrance),
            "returns": returns if returns.get("properties") else None,
        }
        noun = singular(action.partition("_")[2]).replace("_", " ")
        path = (kind_of(self.name), self.title, noun) if noun else (kind_of(self.name), self.title)
        source = {**self.source, "operation": name}
        return Document(f"aws:{self.name}:{name}", self.title, plain(text), path, structure, source, LICENCE)

    def _said(self, text: str, limit: int) -> str:
        """The opening of a text, with members and operations named as they are written here."""

        def own_name(match: re.Match[str]) -> str:
            return snake(match.group()) if match.group() in self.mentioned else match.group()

        said = _CAMEL.sub(own_name, opening(text, limit))
        # Underscores make names longer; then there is room for a sentence less.
        return said if len(said) <= limit else _CAMEL.sub(own_name, opening(text, limit - 20))[:limit]

    def _parameters(self, shape_name: str | None) -> Schema:
        if shape_name is None:
            return {"type": "object", "properties": {}}
        shape = self.shapes[shape_name]
        required = set(shape.get("required") or ())
        members = {}
        for name, member in shape.get("members", {}).items():
            header = member.get("location") in ("header", "headers")
            token = member.get("idempotencyToken") or self.shapes[member["shape"]].get("idempotencyToken")
            if not token and (name in required or not (header or snake(name) in IGNORED)):
                members[name] = member
        schema = self._structure({**shape, "members": members}, (shape_name,), PARAMETER_LIMITS)
        return {"properties": {}, **schema} if "properties" not in schema else schema

    def _structure(self, shape: Shape, above: tuple[str, ...], limits: Limits) -> Schema:
        """An object schema; `above` holds the shapes that it is part of, itself last."""
        members = {
            name: member
            for name, member in shape.get("members", {}).items()
            if limits.described or snake(name) not in PAGING
        }
        required = [name for name in shape.get("required") or () if name in members]
        wanted = [name for name in members if name in required or not self._left_out(members[name], above, limits)]
        properties: Schema = {}
        for name in trimmed(wanted, required, limits.properties):
            properties.setdefault(identifier(name), self._member(members[name], above, limits))
        schema: Schema = {"type": "object", "properties": properties} if properties else {"type": "object"}
        needed = [identifier(name) for name in required if identifier(name) in properties]
        if needed and limits.described:
            schema["required"] = list(dict.fromkeys(needed))
        if shape.get("union") and properties and limits.described:
            schema["minProperties"] = schema["maxProperties"] = 1
        return schema

    def _left_out(self, member: Shape, above: tuple[str, ...], limits: Limits) -> bool:
        """Optional members that are deprecated, raw bytes, hold themselves again, or lie too deep to be described."""
        name = member["shape"]
        chain = {name}
        while self.shapes[name]["type"] in ("list", "map"):
            name = self.shapes[name]["member" if self.shapes[name]["type"] == "list" else "value"]["shape"]
            if name in chain:
                return True
            chain.add(name)
        shape = self.shapes[name]
        too_deep = shape["type"] == "structure" and self._depth(above) >= limits.depth
        return bool(member.get("deprecated")) or shape["type"] == "blob" or bool(chain & set(above)) or too_deep

    def _depth(self, above: tuple[str, ...]) -> int:
        return sum(self.shapes[name]["type"] == "structure" for name in above)

    def _member(self, member: Shape, above: tuple[str, ...], limits: Limits) -> Schema:
        schema = self._schema(member["shape"], above, limits)
        if limits.described:
            text = member.get("documentation") or self.shapes[member["shape"]].get("documentation") or ""
            description = self._said(text, PARAMETER_CHARACTERS)
            if description:
                schema = {**schema, "description": description}
        return schema

    def _schema(self, name: str, above: tuple[str, ...], limits: Limits) -> Schema:
        shape = self.shapes[name]
        kind = shape["type"]
        if kind == "structure":
            if shape.get("document") or name in above or self._depth(above) >= limits.depth:
                return {"type": "object"}
            return self._structure(shape, (*above, name), limits)
        if kind in ("list", "map"):
            inner_name = shape["member" if kind == "list" else "value"]["shape"]
            inner = {} if inner_name in above else self._schema(inner_name, (*above, name), limits)
            if kind == "map":
                return {"type": "object", "additionalProperties": inner or True}
            schema: Schema = {"type": "array", "items": inner}
            return {**schema, **_bounds(shape, "minItems", "maxItems")} if limits.described else schema
        if kind == "timestamp":
            return {"type": "string", "format": "date-time"}
        if kind == "blob":
            return {"type": "string", "contentEncoding": "base64"}
        return self._scalar(shape, _SCALARS.get(kind, "string"), limits)

    def _scalar(self, shape: Shape, kind: str, limits: Limits) -> Schema:
        schema: Schema = {"type": kind}
        if not limits.described:
            return schema
        if shape.get("enum"):
            return {**schema, **keep_enum(shape["enum"])}
        if kind == "string":
            return {**schema, **_bounds(shape, "minLength", "maxLength"), **keep_pattern(shape.get("pattern"))}
        return {**schema, **_bounds(shape, "minimum", "maximum")}


def _title(metadata: Mapping[str, Any], name: str) -> str:
    """What the service is called; internal names such as AWSMarketplaceMetering are taken apart."""
    title = " ".join(str(metadata.get("serviceFullName") or name).split())
    return title if " " in title else re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=AWS)(?=[A-Z][a-z])", " ", title)


def _bounds(shape: Shape, low: str, high: str) -> Schema:
    """Bounds as JSON Schema words; those that any value meets are left out."""
    found: Schema = {}
    least, most = shape.get("min"), shape.get("max")
    counted = low != "minimum"
    if least is not None and not (counted and least <= 0):
        found[low] = int(least) if counted else least
    if most is not None and most < 2**31 - 1:
        found[high] = int(most) if counted else most
    return found
