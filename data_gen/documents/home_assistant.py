"""Home Assistant: the services of its integrations, read from the wheel, which is never installed."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_gen.documents import safe_yaml
from data_gen.documents.corpora import HOME_ASSISTANT, corpus_file
from data_gen.documents.document import Document
from data_gen.documents.limits import keep_enum
from data_gen.documents.loading import Report
from data_gen.documents.naming import identifier
from data_gen.documents.openapi_schema import parameter_name
from data_gen.documents.plain_text import PARAMETER_CHARACTERS, TOOL_CHARACTERS, opening, plain
from data_gen.documents.spelled_out import parameter_text
from toolace import InputError

Schema = dict[str, Any]

LICENCE = "Apache-2.0"
DOMAIN = "Smart home"
_SERVICES = re.compile(r"homeassistant/components/(\w+)/services\.yaml")
_KEY = re.compile(r"\[%key:component::(\w+)::([\w:]+?)%\]")


def read(report: Report, *, wheel: Path | None = None) -> Iterator[Document]:
    """Yields the services, integration by integration.

    Args:
        report: takes what cannot be read.
        wheel: the package's file; the pinned one, fetched if need be, when None.

    Raises:
        InputError: the wheel cannot be fetched or is none.
    """
    wheel = wheel or corpus_file(HOME_ASSISTANT)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                match = _SERVICES.fullmatch(name)
                if match:
                    yield from _Integration(archive, match[1], name).documents(report)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"is no wheel ({error})", where=wheel, fix="Delete it; it is fetched again.") from None


class _Integration:
    """One integration on its way to Documents."""

    def __init__(self, archive: zipfile.ZipFile, name: str, file: str) -> None:
        self.archive, self.name, self.file = archive, name, file
        self.strings = self._json("strings.json", name) or self._json("translations/en.json", name)
        manifest = self._json("manifest.json", name)
        self.title = str(manifest.get("name") or name.replace("_", " ").capitalize())

    def _json(self, file: str, integration: str) -> Mapping[str, Any]:
        try:
            value = json.loads(self.archive.read(f"homeassistant/components/{integration}/{file}"))
        except (KeyError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def documents(self, report: Report) -> Iterator[Document]:
        try:
            services = safe_yaml.load(self.archive.read(self.file).decode("utf-8"))
        except (ValueError, UnicodeDecodeError) as error:
            report(InputError(f"is not YAML ({error})", where=self.file, fix="Fetch the package again."))
            return
        for service, spec in services.items() if isinstance(services, dict) else ():
            yield self._document(service, spec if isinstance(spec, dict) else {})

    def _document(self, service: str, spec: Mapping[str, Any]) -> Document:
        words = _dig(self.strings, "services", service)
        name, text = (self._text(words.get(key) or spec.get(key)) for key in ("name", "description"))
        properties: Schema = {}
        required: list[str] = []
        target = self._target(spec.get("target"))
        if target:
            properties["entity_id"] = target
            required.append("entity_id")
        fields = spec.get("fields")
        for field, given in fields.items() if isinstance(fields, dict) else ():
            given = given if isinstance(given, dict) else {}
            own = parameter_name(field, properties)
            properties[own] = self._field(field, given, _dig(words, "fields", field))
            if given.get("required") is True:
                required.append(own)
        description = opening(text or name, TOOL_CHARACTERS)
        if len(description) < 20:
            description = f"{description.rstrip('.')} ({self.title})."
        parameters: Schema = {"type": "object", "properties": properties}
        structure = {
            "name": f"{identifier(self.name)}.{identifier(service)}",
            "description": description,
            "parameters": {**parameters, "required": required} if required else parameters,
            "returns": None,
        }
        source = {
            "package": HOME_ASSISTANT.package, "version": HOME_ASSISTANT.version, "file": self.file,
            "operation": service, "category": DOMAIN,
        }  # fmt: skip
        path = (DOMAIN, self.title, service.replace("_", " "))
        id_ = f"home_assistant:{self.name}:{service}"
        return Document(id_, self.title, plain(text or name), path, structure, source, LICENCE)

    def _text(self, value: Any) -> str:
        """A text, with references to other integrations' texts followed once or twice."""
        text = value if isinstance(value, str) else ""
        for _ in range(3):
            match = _KEY.search(text)
            if not match:
                break
            strings = self.strings if match[1] == self.name else self._json("strings.json", match[1])
            found = _dig(strings, *match[2].split("::"))
            text = text[: match.start()] + (found if isinstance(found, str) else "") + text[match.end() :]
        return text

    def _target(self, target: Any) -> Schema:
        """Most services act on entities that the caller names: `light.kitchen`."""
        if not isinstance(target, dict):
            return {}
        entity = target.get("entity")
        entity = entity[0] if isinstance(entity, list) and entity else entity
        domain = entity.get("domain") if isinstance(entity, dict) else None
        domain = domain[0] if isinstance(domain, list) and domain else domain
        if not isinstance(domain, str):
            return {"type": "string", "description": f"ID of the {self.title} entity to act on."}
        said = f"ID of the {domain.replace('_', ' ')} entity to act on, such as {domain}.living_room."
        return {"type": "string", "pattern": rf"^{domain}\.[a-z0-9_]+$", "description": said}

    def _field(self, name: str, given: Mapping[str, Any], words: Any) -> Schema:
        words = words if isinstance(words, dict) else {}
        schema = _selected(given.get("selector"))
        said = opening(self._text(words.get("description") or given.get("description")), PARAMETER_CHARACTERS)
        said = said or parameter_text(name, schema, "", given.get("example"))
        default = given.get("default")
        if isinstance(default, (bool, int, float, str)) and _fits(default, schema):
            schema["default"] = default
        return {**schema, "description": said} if said else schema


def _selected(selector: Any) -> Schema:
    """The JSON Schema of what a selector lets a person choose."""
    kind, options = next(iter(selector.items())) if isinstance(selector, dict) and selector else ("text", None)
    options = options if isinstance(options, dict) else {}
    schema = _one(kind, options)
    if options.get("multiple") is True and kind != "select":
        return {"type": "array", "items": schema}
    return schema


def _one(kind: str, options: Mapping[str, Any]) -> Schema:
    if kind == "number":
        return _number(options)
    if kind == "select":
        return _select(options)
    if kind in ("color_rgb", "color_temp"):
        colour: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}}
        return {**colour, "minItems": 3, "maxItems": 3} if kind == "color_rgb" else {"type": "integer", "minimum": 1}
    if kind == "duration":
        unit: Schema = {"type": "integer", "minimum": 0}
        members = {word: {**unit, "description": f"{word.capitalize()}."} for word in ("hours", "minutes", "seconds")}
        return {"type": "object", "properties": members}
    if kind == "location":
        axes = ("latitude", "longitude")
        members = {word: {"type": "number", "description": f"{word.capitalize()} in degrees."} for word in axes}
        return {"type": "object", "properties": members, "required": list(axes)}
    return dict(_PLAIN.get(kind, {"type": "string"}))


_PLAIN: Mapping[str, Schema] = {
    "boolean": {"type": "boolean"},
    "object": {"type": "object"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
}


def _number(options: Mapping[str, Any]) -> Schema:
    low, high, step = (options.get(word) for word in ("min", "max", "step"))
    whole = all(type(value) is int or value is None for value in (low, high, step))
    schema: Schema = {"type": "integer" if whole else "number"}
    if type(low) in (int, float):
        schema["minimum"] = low
    if type(high) in (int, float):
        schema["maximum"] = high
    return schema


def _select(options: Mapping[str, Any]) -> Schema:
    listed = options.get("options")
    values = [entry.get("value") if isinstance(entry, dict) else entry for entry in listed or () if entry is not None]
    schema: Schema = {"type": "string", **keep_enum([str(value) for value in values if value not in (None, "")])}
    return {"type": "array", "items": schema} if options.get("multiple") is True else schema


def _fits(value: Any, schema: Schema) -> bool:
    kinds = {"boolean": bool, "integer": int, "number": (int, float), "string": str}
    kind: Any = kinds.get(str(schema.get("type")))
    same = kind is not None and isinstance(value, kind) and (not isinstance(value, bool) or kind is bool)
    return same and ("enum" not in schema or value in schema["enum"])


def _dig(value: Any, *keys: str) -> Any:
    """A member of nested objects; an empty object when there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if value is not None else {}
