"""One operation of an API description: its parameters and body as one JSON Schema, its result, and what it does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from data_gen.documents.limits import PARAMETER_LIMITS, RESULT_LIMITS, Limits, trimmed
from data_gen.documents.naming import snake
from data_gen.documents.openapi_content import body_name, body_text, of_media, parameter_schema
from data_gen.documents.openapi_noise import Noise
from data_gen.documents.openapi_schema import (
    VISITS,
    Schema,
    SchemaReader,
    TooLarge,
    described,
    first_sentences,
    parameter_name,
)
from data_gen.documents.plain_text import PARAMETER_CHARACTERS, TOOL_CHARACTERS
from data_gen.documents.references import References
from data_gen.documents.schema_parts import Raw
from data_gen.documents.spelled_out import parameter_text
from toolace import InputError

METHODS = ("get", "post", "put", "patch", "delete")
# More top-level parameters than this, and the request body is one parameter instead of being spread out; optional
# ones beyond it are left out.
SPREAD = 12
# our choice: a definition has 8,000 characters at most to pass the gates; this leaves room for what stands around it.
CHARACTERS = 7_400
# Tried one after the other until the definition is short enough.
_LIMITS = (
    PARAMETER_LIMITS,
    replace(PARAMETER_LIMITS, depth=3, properties=16),
    replace(PARAMETER_LIMITS, depth=2, properties=12),
    replace(PARAMETER_LIMITS, depth=1),
)
_SUCCESS = ("200", "201", "202", "203", "206", "2XX", "2xx")


class Unfit(Exception):
    """The operation is no function call: it takes a stream of bytes, for example; the text says why."""


@dataclass(frozen=True)
class Operation:
    """An operation read.

    Attributes:
        described_by_name: parameters of which the document says nothing, so that their description spells the name out.
    """

    parameters: Schema
    returns: Schema | None
    description: str
    described_by_name: tuple[str, ...]


@dataclass(frozen=True)
class _Given:
    """A parameter before it is converted."""

    name: str
    raw: Raw
    required: bool
    text: str


class OperationReader:
    """Reads the operations of one description.

    Attributes:
        spent: schemas visited for the last operation.
    """

    def __init__(self, root: Mapping[str, Any], references: References) -> None:
        self.root, self.references = root, references
        self.base = references.base
        self.schemas = SchemaReader(references)
        self.noise = Noise(root)
        self.spent = 0

    def follow(self, node: Any) -> Any:
        """The value a `$ref` object of the root document stands for; any other value as it is."""
        return self._follow((node, self.base))[0]

    def _follow(self, raw: Raw) -> Raw:
        node, base = raw
        if isinstance(node, dict) and "$ref" in node:
            node, base, _ = self.references.follow(node["$ref"], base)
        return node, base

    def read(self, method: str, path: str, item: Mapping[str, Any], operation: Mapping[str, Any]) -> Operation:
        """Reads one operation, with less depth if it would be too long for a prompt.

        Raises:
            InputError: an unresolved reference, or a part of the wrong type.
            Unfit: it cannot be called as a function.
        """
        self.spent = 0
        given = list(self._given(item, operation))
        returns = self._returns(operation)
        parameters: Schema | None = None
        for limits in _LIMITS:
            try:
                parameters, by_name = self._parameters(given, operation, path, limits)
            except TooLarge:
                continue
            finally:
                self._count()
            if len(json.dumps(parameters)) + len(json.dumps(returns)) <= CHARACTERS:
                break
        if parameters is None:
            raise InputError("its schemas are too large to be shown", fix="Let them refer to each other less.")
        return Operation(parameters, returns, _description(operation), tuple(by_name))

    def _count(self) -> None:
        self.spent += VISITS - max(self.schemas.visits, 0)
        self.schemas.visits = VISITS

    def _given(self, item: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[_Given]:
        """Path and query parameters, and the form fields of Swagger 2; those of the operation override the path's."""
        found: dict[tuple[str, str], Raw] = {}
        for holder in (item, operation):
            listed = holder.get("parameters")
            if listed is not None and not isinstance(listed, list):
                raise InputError(f"parameters are a {type(listed).__name__}, not a list", fix="Write them as a list.")
            for entry in listed or ():
                node, base = self._follow((entry, self.base))
                if not isinstance(node, dict) or not isinstance(node.get("name"), str):
                    raise InputError("a parameter has no name", fix='Give every parameter a "name".')
                found[node["name"], str(node.get("in"))] = (node, base)
        for (name, place), (node, base) in found.items():
            if place in ("path", "query", "formData") and not self.noise.is_parameter(
                name, node, parameter_schema(node)
            ):
                text = node.get("description")
                required = place == "path" or node.get("required") is True
                schema = (parameter_schema(node), base)
                yield _Given(name, schema, required, text if isinstance(text, str) else "")

    def _parameters(
        self, given: list[_Given], operation: Mapping[str, Any], path: str, limits: Limits
    ) -> tuple[Schema, list[str]]:
        properties: Schema = {}
        required: list[str] = []
        by_name: list[str] = []
        for one in given:
            name = one.name.removesuffix("[]")
            if {name, snake(name)} & {*properties, *map(snake, properties)}:
                continue  # `status` and `status[]` are one parameter in two spellings
            parts = self.schemas.parts(one.raw)
            schema = self.schemas.schema(one.raw, limits)
            own = parameter_name(name, properties)
            said = first_sentences(one.text, PARAMETER_CHARACTERS) or schema.get("description", "")
            schema.pop("description", None)
            if not said:
                said = parameter_text(one.name, schema, path, parts.keywords.get("example"))
                by_name.append(own)
            if one.required:
                required.append(own)
                schema.pop("default", None)  # what must be given has none
            elif len(schema.get("enum") or ()) == 1:
                continue  # nothing to choose
            properties[own] = {**schema, "description": said} if said else schema
        self._add_body(operation, path, limits, properties, required, by_name)
        kept = trimmed(list(properties), required, max(SPREAD, len(required)))
        schema = {"type": "object", "properties": {name: properties[name] for name in kept}}
        required = [name for name in required if name in kept]
        return {**schema, "required": required} if required else schema, [name for name in by_name if name in kept]

    def _add_body(
        self,
        operation: Mapping[str, Any],
        path: str,
        limits: Limits,
        properties: Schema,
        required: list[str],
        by_name: list[str],
    ) -> None:
        """The request body: its members beside the other parameters, or one parameter when it is large or no object."""
        body = self._body(operation)
        if body is None:
            return
        raw, needed, name, text = body
        parts = self.schemas.parts(raw)
        if parts.kind == "object" and parts.properties:
            members, wanted = self.schemas.members(parts, limits, parts.keys, 0)
            given = {*properties, *map(snake, properties)}
            fresh = {
                key: member
                for key, member in members.items()
                if not {key, snake(key)} & given
                and not self.noise.is_member(key, key in wanted, member.keywords.get("description"))
            }
            # Small, or so shallow now that one parameter would show nothing of it.
            if len(properties) + len(fresh) <= SPREAD or limits.depth == 1:
                for key, member in fresh.items():
                    schema = self.schemas.schema_of(member, limits, parts.keys, 1)
                    if not schema.get("description"):
                        said = parameter_text(key, schema, path, member.keywords.get("example"))
                        schema = {**schema, "description": said} if said else schema
                        by_name.append(key)
                    properties[key] = schema
                required += [key for key in wanted if key in fresh]
                return
        schema = self.schemas.schema(raw, limits)
        if schema == {"type": "object"} and not needed:
            return
        own = parameter_name(name or body_name(parts), properties)
        said = first_sentences(text, PARAMETER_CHARACTERS) or described(parts)
        properties[own] = {**schema, "description": said or body_text(own, schema)}
        if needed or parts.required:
            required.append(own)

    def _body(self, operation: Mapping[str, Any]) -> tuple[Raw, bool, str, str] | None:
        """(schema, whether it must be given, its name, what is said of it) of the request body."""
        for entry in operation.get("parameters") or ():
            node, base = self._follow((entry, self.base))
            if node.get("in") == "body":
                name = str(node.get("name") or "")
                name = "" if name.lower() in ("body", "request", "payload", "data", "model", "dto") else name
                return (
                    (node.get("schema"), base),
                    node.get("required") is True,
                    name,
                    str(node.get("description") or ""),
                )
        body, base = self._follow((operation.get("requestBody"), self.base))
        if body is None:
            return None
        if not isinstance(body, dict):
            raise InputError(
                f"the request body is a {type(body).__name__}, not an object", fix="Write it as an object."
            )
        content = body.get("content")
        if content is not None and not isinstance(content, dict):
            raise InputError("the request body's content is no object", fix="Write it as media type: schema.")
        schema = of_media(content or {})
        if schema is None:
            if content and body.get("required") is True:
                kinds = ", ".join(map(str, content))[:60].strip() or "of a kind that is not named"
                raise Unfit(f"its body must be {kinds}, which no call can hold")
            return None
        name = body.get("x-name") or operation.get("x-codegen-request-body-name") or ""
        name = name if isinstance(name, str) and name.lower() not in ("body", "request", "payload", "data") else ""
        return (schema, base), body.get("required") is True, name, str(body.get("description") or "")

    def _returns(self, operation: Mapping[str, Any]) -> Schema | None:
        """The shape of the first successful answer, None when it has none or too large a one."""
        responses = operation.get("responses")
        if not isinstance(responses, dict):
            return None
        stated = next((responses[code] for code in _SUCCESS if code in responses), None)
        answer, base = self._follow((stated, self.base))
        if not isinstance(answer, dict):
            return None
        content = answer.get("content")
        schema = of_media(content) if isinstance(content, dict) else answer.get("schema")
        if not isinstance(schema, dict):
            return None
        try:
            returns = self.schemas.schema((schema, base), RESULT_LIMITS)
        except TooLarge:
            return None
        finally:
            self._count()
        return returns if _says_something(returns) else None


def _description(operation: Mapping[str, Any]) -> str:
    """Summary and first sentences, once each."""
    summary, text = (operation.get(key) for key in ("summary", "description"))
    first = first_sentences(summary, TOOL_CHARACTERS, 1) if isinstance(summary, str) else ""
    rest = first_sentences(text, TOOL_CHARACTERS) if isinstance(text, str) else ""
    if not first or not rest:
        return first or rest
    head = re.sub(r"\W+", " ", first.lower()).strip()
    if re.sub(r"\W+", " ", rest.lower()).startswith(head):
        return rest
    assert isinstance(text, str)
    room = TOOL_CHARACTERS - len(first) - 1
    rest = first_sentences(text, room) if room >= 40 else ""
    return f"{first} {rest}".strip()


def _says_something(schema: Schema) -> bool:
    if schema.get("type") == "array":
        return bool(schema.get("items"))
    return bool(schema.get("properties")) or isinstance(schema.get("additionalProperties"), dict)
