"""The schemas inside parameters and bodies, by media type, and what a whole body is called as one parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from data_gen.documents.naming import identifier
from data_gen.documents.schema_parts import Parts

# Most like the arguments of a call first; what none of them matches is a stream of bytes.
_MEDIA = (
    re.compile(r"application/json"),
    re.compile(r"(?:application|text)/[\w.+-]*json"),
    re.compile(r"application/x-www-form-urlencoded"),
    re.compile(r"multipart/form-data"),
    re.compile(r"\*/\*|(?:application|text)/[\w.+*-]*(?:xml|yaml|\*)"),
    re.compile(r"text/.*"),
)


def parameter_schema(node: Mapping[str, Any]) -> Any:
    """OpenAPI 3 keeps a parameter's schema apart, Swagger 2 writes it into the parameter."""
    if "schema" in node:
        return node["schema"] if isinstance(node["schema"], dict) else {}
    content = node.get("content")
    if isinstance(content, dict):
        return of_media(content) or {}
    return {key: value for key, value in node.items() if key not in ("name", "in", "required", "description")}


def of_media(content: Mapping[str, Any]) -> Any:
    """The schema of the media type that is most like a call's arguments; None when all are bytes."""
    for pattern in _MEDIA:
        for kind, media in content.items():
            if pattern.fullmatch(str(kind).partition(";")[0].strip().lower()) and isinstance(media, dict):
                return media.get("schema")
    return None


def body_name(parts: Parts) -> str:
    """A parameter name for a whole body: the name of its schema."""
    for key in sorted(parts.keys):
        name = re.sub(r"(?:Request|Dto|DTO|Model|Input|Body|Payload|Schema)+\Z", "", key.rpartition("/")[2])
        own = identifier(name.rpartition(".")[2])
        if 3 <= len(own) <= 40 and own.isascii():
            return own
    return "items" if parts.kind == "array" else "body"


def body_text(name: str, schema: Mapping[str, Any]) -> str:
    """A description for a body of which the document says nothing."""
    spoken = name.replace("_", " ")
    if name in ("body", "items"):
        return "The items to be sent." if name == "items" else "The content of the request."
    return f"The {spoken}, with the fields to be set." if schema.get("type") == "object" else f"The {spoken}."
