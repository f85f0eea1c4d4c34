"""Google: the methods of every API in googleapiclient's static discovery documents, one Document each."""

from __future__ import annotations

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
from data_gen.documents.naming import action_name, identifier, singular, snake, styled
from data_gen.documents.plain_text import PARAMETER_CHARACTERS, TOOL_CHARACTERS, opening, plain
from data_gen.documents.services import Draw, choose, every, is_dotted, kind_of, package_folder
from toolace.rows import read_json

Schema = dict[str, Any]

LICENCE = "Apache-2.0"
# More top-level parameters than this, and the request body is one parameter instead of being spread out.
SPREAD = 12
# Stands among the names of the schemas that hold a schema, once for every object.
_LEVEL = "{}"

_FILE = re.compile(r"(.+?)[._]?(v\d[\w.]*|alpha|beta|preview)")
_STABLE = re.compile(r"v(\d+)(?:\.(\d+))?(?:configuration|management)?")
_REQUIRED = re.compile(
    r"\A\W*required\b(?! when| if| for (?!\w+\.(?:insert|create))| only)|this is a required field", re.IGNORECASE
)
_OUTPUT_ONLY = re.compile(r"\A\W*(?:@outputonly|\[?output[ _-]only)|this is a read-only\b", re.IGNORECASE)
_WITHDRAWN = re.compile(r"\bdeprecated\b|no longer (?:available|supported)|\bobsolete\b|\bturned down\b", re.IGNORECASE)
_FORMATS = {"date-time": "date-time", "google-datetime": "date-time", "date": "date"}


def services() -> list[str]:
    """Short names of all APIs, `calendar`, `admin.directory`.

    Raises:
        InputError: google-api-python-client is not installed.
    """
    return sorted(_files(_folder()[0]))


def read(services: Sequence[str] | int | None = None, *, seed: int = 0, draw: Draw = every) -> Iterator[Document]:
    """Yields the methods that are not deprecated, API by API; a document is parsed when its turn comes.

    Args:
        services: short names; or how many, of as many kinds as possible; or None for all.
        seed: decides which services a count means.
        draw: which operations of a service are read.

    Raises:
        InputError: google-api-python-client is not installed, or has no such API.
    """
    folder, version = _folder()
    files = _files(folder)
    for name in choose(sorted(files), services, seed, "google-api-python-client"):
        place = f"googleapiclient/discovery_cache/documents/{files[name].name}"
        yield from _Api(name, read_json(files[name]), place, version).documents(draw)


def _folder() -> tuple[Path, str]:
    return package_folder("googleapiclient", "discovery_cache/documents", "google-api-python-client")


def _files(folder: Path) -> dict[str, Path]:
    """API name to the document of its newest stable version, or its newest one when none is stable."""
    best: dict[str, tuple[tuple[Any, ...], Path]] = {}
    for path in sorted(folder.glob("*.json")):
        match = _FILE.fullmatch(path.stem)
        if match:
            name, version = match.groups()
            stable = _STABLE.fullmatch(version)
            age = (1, int(stable[1]), int(stable[2] or 0), "") if stable else (0, *_age(version))
            if name not in best or age >= best[name][0]:
                best[name] = (age, path)
    return {name: path for name, (_, path) in best.items()}


def _age(version: str) -> tuple[int, int, str]:
    number = re.match(r"v(\d+)", version)
    return int(number[1]) if number else 0, 0, version


class _Api:
    """One discovery document on its way to Documents."""

    def __init__(self, name: str, root: Mapping[str, Any], file: str, version: str) -> None:
        self.name, self.root = name, root
        self.schemas: Mapping[str, Mapping[str, Any]] = root.get("schemas", {})
        title = " ".join(str(root.get("title") or name).split())
        self.title = title if title.startswith(("Google", "YouTube")) else f"Google {title}"
        self.source = {"package": "google-api-python-client", "version": version, "file": file}
        self.common = set(root.get("parameters", {}))

    def documents(self, draw: Draw) -> Iterator[Document]:
        """The API's methods by id, deprecated and media ones left out; their names are unique within the API."""
        methods = sorted(_methods(self.root), key=lambda pair: (len(pair[0]), pair[0], pair[1]["id"]))
        taken: dict[str, str] = {}
        known = []
        for chain, method in methods:
            text = method.get("description") or ""
            if method.get("deprecated") or _WITHDRAWN.search(plain(text)[:200]):
                continue
            action = action_name(chain, method["id"].rpartition(".")[2], taken)
            taken[action] = method["id"]
            known.append((chain, method, action, text))
        for place in draw("google-api-python-client", self.title, len(known)):
            yield self._document(*known[place])

    def _document(self, chain: tuple[str, ...], method: Mapping[str, Any], action: str, text: str) -> Document:
        response = method.get("response", {}).get("$ref")
        returns = self._schema({"$ref": response}, (), RESULT_LIMITS) if response in self.schemas else {}
        structure = {
            "name": styled(self.name, action, dotted=is_dotted(self.name)),
            "description": opening(text, TOOL_CHARACTERS),
            "parameters": self._parameters(method),
            "returns": returns if returns.get("properties") else None,
        }
        noun = [singular(snake(chain[-1])).replace("_", " ")] if chain else []
        source = {**self.source, "operation": method["id"]}
        path = (kind_of(self.name), self.title, *noun)
        id_ = f"google:{self.name}:{method['id'].partition('.')[2]}"
        return Document(id_, self.title, plain(text), path, structure, source, LICENCE)

    def _parameters(self, method: Mapping[str, Any]) -> Schema:
        """Path and query parameters, then the body: spread out, or one parameter when it is large."""
        properties: Schema = {}
        required: list[str] = []
        for name, raw in self._ordered(method):
            own = identifier(name)
            given = raw.get("required") or _REQUIRED.search(raw.get("description") or "")
            if name in self.common or _is_withdrawn(raw) or (own in IGNORED and not given):
                continue
            properties.setdefault(own, self._schema(raw, (), PARAMETER_LIMITS))
            required += [own] if given and own not in required else []
        body = method.get("request", {}).get("$ref")
        if body in self.schemas:
            self._add_body(body, method["id"], properties, required)
        schema: Schema = {"type": "object", "properties": properties}
        return {**schema, "required": required} if required else schema

    def _ordered(self, method: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
        """Parameters in the document's own order of the required ones, then the others by name."""
        raw: Mapping[str, Any] = method.get("parameters", {})
        first = [name for name in method.get("parameterOrder", ()) if name in raw]
        return [(name, raw[name]) for name in [*first, *(name for name in raw if name not in first)]]

    def _add_body(self, name: str, method: str, properties: Schema, required: list[str]) -> None:
        schema = self._schema({"$ref": name}, (), PARAMETER_LIMITS, method)
        members: Schema = schema.get("properties", {})
        given = {*properties, *IGNORED, *(("name",) if "parent" in properties else ())}
        fresh = {key: value for key, value in members.items() if key not in given}
        if len(properties) + len(fresh) <= SPREAD:
            properties.update(fresh)
            required += [key for key in schema.get("required", ()) if key in fresh and key not in required]
            return
        schema = self._schema({"$ref": name}, (_LEVEL,), PARAMETER_LIMITS, method)
        whole = self.schemas[name]
        parameter = identifier(re.sub(r"\A(?:Google\w*?V\d+\w*?(?=[A-Z]))|(?:Request)\Z", "", name)) or "body"
        text = opening(whole.get("description") or "", PARAMETER_CHARACTERS)
        spoken = parameter.replace("_", " ")
        parameter = f"{parameter}_resource" if parameter in properties else parameter
        described = text or f"The {spoken}, with the fields to be set."
        properties.setdefault(parameter, {**schema, "description": described})
        required.append(parameter)

    def _schema(self, raw: Mapping[str, Any], above: tuple[str, ...], limits: Limits, method: str = "") -> Schema:
        """JSON Schema of a discovery schema; `above` holds the named schemas it is part of."""
        text = raw.get("description") or ""
        reference = raw.get("$ref")
        if reference:
            if reference in above or reference not in self.schemas:
                schema: Schema = {"type": "object"}
            else:
                schema = self._schema(self.schemas[reference], (*above, reference), limits, method)
                schema.pop("description", None)
            text = text or self.schemas.get(reference, {}).get("description") or ""
        elif raw.get("repeated"):
            schema = {"type": "array", "items": self._plain({**raw, "repeated": False}, above, limits, method)}
            schema["items"].pop("description", None)
        else:
            schema = self._plain(raw, above, limits, method)
        if limits.described:
            said = opening(text, PARAMETER_CHARACTERS)
            if said:
                schema = {**schema, "description": said}
        return schema

    def _plain(self, raw: Mapping[str, Any], above: tuple[str, ...], limits: Limits, method: str) -> Schema:
        kind = raw.get("type")
        if kind == "array":
            return {"type": "array", "items": self._schema(raw.get("items") or {}, above, limits, method)}
        if kind == "object" or "properties" in raw:
            return self._object(raw, above, limits, method)
        if kind not in ("string", "integer", "number", "boolean"):
            return {}
        return _scalar(raw, kind, limits)

    def _object(self, raw: Mapping[str, Any], above: tuple[str, ...], limits: Limits, method: str) -> Schema:
        members: Mapping[str, Mapping[str, Any]] = raw.get("properties") or {}
        depth = 1 + above.count(_LEVEL)
        if not members:
            other = raw.get("additionalProperties")
            inner = self._schema(other, (*above, _LEVEL), limits) if other and depth < limits.depth else None
            return {"type": "object", "additionalProperties": inner} if inner else {"type": "object"}
        required = [name for name, member in members.items() if limits.described and _is_required(member, method)]
        wanted = [
            name
            for name, member in members.items()
            if not self._left_out(snake(name), member, above, limits, depth) or name in required
        ]
        properties: Schema = {}
        for name in trimmed(wanted, required, limits.properties):
            properties.setdefault(identifier(name), self._schema(members[name], (*above, _LEVEL), limits))
        if not properties:
            return {"type": "object"}
        schema: Schema = {"type": "object", "properties": properties}
        needed = list(dict.fromkeys(identifier(n) for n in required if identifier(n) in properties))
        return {**schema, "required": needed} if needed else schema

    def _left_out(
        self, name: str, member: Mapping[str, Any], above: tuple[str, ...], limits: Limits, depth: int
    ) -> bool:
        """Members that are deprecated, set by the server, transport, raw bytes, recursive, or too deep to describe."""
        text = member.get("description") or ""
        if name in PAGING or name in ("page_size", "page_token") or _is_withdrawn(member):
            return True
        if limits.described and (
            member.get("readOnly") or _OUTPUT_ONLY.search(text) or name in ("id", "creation_timestamp")
        ):
            return True
        target = member
        while target.get("type") == "array":
            target = target.get("items") or {}
        if target.get("format") == "byte":
            return True
        inner = target.get("$ref")
        holds = bool(inner) or bool(target.get("properties"))
        return (inner in above) or (holds and depth >= limits.depth)


def _is_withdrawn(raw: Mapping[str, Any]) -> bool:
    return bool(raw.get("deprecated") or _WITHDRAWN.search((raw.get("description") or "")[:120]))


def _is_required(member: Mapping[str, Any], method: str) -> bool:
    """By the description's first word, or the annotation that names the methods a member is required in."""
    listed = (member.get("annotations") or {}).get("required") or ()
    return method in listed or (bool(_REQUIRED.search(member.get("description") or "")) and not member.get("readOnly"))


def _scalar(raw: Mapping[str, Any], kind: str, limits: Limits) -> Schema:
    # 64-bit integers travel as strings in JSON; in a call they are integers.
    is_long = kind == "string" and raw.get("format") in ("int64", "uint64")
    schema: Schema = {"type": "integer" if is_long else kind}
    if not limits.described:
        return schema
    if raw.get("format") in _FORMATS:
        schema["format"] = _FORMATS[raw["format"]]
    if raw.get("format") == "byte":
        schema["contentEncoding"] = "base64"
    if raw.get("enum"):
        idle = [
            value for value in raw["enum"] if not re.search(r"(?i:unspecified\Z|undefined\Z)|\AUNKNOWN\Z|\A\Z", value)
        ]
        schema.update(keep_enum(idle))
    if schema["type"] == "string":
        schema.update(keep_pattern(raw.get("pattern")))
    for word in ("minimum", "maximum"):
        if word in raw and re.fullmatch(r"-?\d{1,9}(\.\d+)?", str(raw[word])):
            schema[word] = float(raw[word]) if "." in str(raw[word]) else int(raw[word])
    schema.update(_default(raw, schema))
    return schema


def _default(raw: Mapping[str, Any], schema: Schema) -> Schema:
    """The default in its own type; discovery documents write all of them as strings."""
    value, kind = raw.get("default"), schema["type"]
    if not isinstance(value, str) or value == "" or ("enum" in schema and value not in schema["enum"]):
        return {}
    if kind == "boolean":
        return {"default": value == "true"} if value in ("true", "false") else {}
    if kind in ("integer", "number"):
        return {"default": int(value)} if re.fullmatch(r"-?\d{1,9}", value) else {}
    return {"default": value}


def _methods(
    node: Mapping[str, Any], chain: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """(resource names, method) of every method that takes and gives JSON."""
    for method in node.get("methods", {}).values():
        yield chain, method
    for name, resource in node.get("resources", {}).items():
        yield from _methods(resource, (*chain, name))
