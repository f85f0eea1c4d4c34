"""From what a model wrote to an answer that can be used: thought split off, JSON found, schema checked, fault told.

Model output is hostile text: its length, the places where JSON is looked for and the errors that are collected are all
bounded, and nothing is fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from toolace.chat import Choice
from toolace.errors import InputError
from toolace.rows import dumps, strict_json

# Longest answer that is read, in characters: some 250,000 tokens, more than any model writes at once.
TEXT_LIMIT = 1_000_000
# Longest part of a bad answer that is shown to the model when it is asked again, in characters.
SHOWN_LIMIT = 4_000
# Places in a text where a JSON value may start that are tried.
_ATTEMPTS = 32
_DETAIL_LIMIT = 300

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FENCE = re.compile(r"```[ \t]*(?:json|JSON)?[ \t]*\n")
_OPENING = re.compile(r"\s*<(think|thinking)>")
_CLOSING = re.compile(r"</(?:think|thinking)>")


class AnswerSchema:
    """The JSON that an answer must be. Make it once and use it for every request of its kind: it is compiled once.

    Args:
        name: what it is called to the server: letters, digits, `_` and `-`, at most 64.
        schema: JSON Schema 2020-12. The keywords `pattern` and `patternProperties` go to the server but are not checked
            here, since matching has no time limit; whoever needs them checked gives `check`.
        check: judges a value that fits the schema; returns what is wrong with it, in words that help the model to
            repair it, or "".

    Raises:
        InputError: a bad name, or no valid schema.
    """

    def __init__(self, name: str, schema: Mapping[str, Any], check: Callable[[Any], str] | None = None) -> None:
        if not _NAME.fullmatch(name):
            raise InputError(f"the answer schema's name {name!r} is not accepted by servers", fix="Use a-z, 0-9, _.")
        self.name, self.schema, self.check = name, dict(schema), check
        self.validator  # noqa: B018  # a wrong schema is found here, not in the middle of a run

    @cached_property
    def text(self) -> str:
        """The schema as JSON."""
        return dumps(self.schema)

    @cached_property
    def validator(self) -> Any:
        """The compiled schema."""
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import extend
        from referencing import Registry

        try:
            Draft202012Validator.check_schema(self.schema)
        except (SchemaError, RecursionError) as error:
            what = f"answer schema {self.name!r} is no JSON Schema ({getattr(error, 'message', error)})"
            raise InputError(what, fix="Correct it.") from None
        unchecked = ["pattern", "patternProperties"]
        if '"patternProperties"' in self.text:  # what is additional would be found by matching
            unchecked.append("additionalProperties")
        build: Any = extend  # jsonschema does not say its type
        kind = build(Draft202012Validator, {**dict.fromkeys(unchecked, _accept), "uniqueItems": _unique})
        return kind(self.schema, registry=Registry())  # an empty registry: references are never fetched

    @cached_property
    def response_format(self) -> dict[str, Any]:
        """What OpenAI-compatible servers are sent; `strict` where the schema is of the part that it allows."""
        described = {"name": self.name, "schema": self.schema, "strict": _closed(self.schema)}
        return {"type": "json_schema", "json_schema": described}

    @cached_property
    def sent(self) -> str:
        """`response_format` as JSON text: a schema is a third of a request, and is written out once."""
        return json.dumps(self.response_format)

    @cached_property
    def canonical(self) -> str:
        """Name and schema as canonical JSON, for the key of a request."""
        return json.dumps([self.name, self.schema], sort_keys=True, separators=(",", ":"), allow_nan=False)

    @cached_property
    def demand(self) -> str:
        """The schema in words, for models whose server does not enforce it."""
        return f"Answer with one JSON value that fits this JSON Schema, and with nothing else:\n{self.text}"

    def fault(self, value: Any) -> Fault | None:
        """What is wrong with a value."""
        try:
            error = next(self.validator.iter_errors(value), None)
        except Exception as problem:  # a reference that leads nowhere, or without end
            return Fault("schema", f"the schema {self.name} cannot be applied ({type(problem).__name__})")
        if error is not None:
            place = "".join(f"[{step!r}]" for step in error.absolute_path)
            return Fault("schema", _short(f"{place or 'the answer'}: {error.message}"))
        refused = self.check(value) if self.check else ""
        return Fault("refused_by_check", _short(refused)) if refused else None


def _accept(validator: Any, keyword: Any, value: Any, schema: Any) -> Iterator[Any]:
    return iter(())


def _unique(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
    """In linear time: jsonschema compares objects pair by pair."""
    from jsonschema.exceptions import ValidationError

    if wanted and isinstance(value, list) and len({json.dumps(v, sort_keys=True) for v in value}) < len(value):
        yield ValidationError("an item stands in the list twice")


def _closed(schema: Any) -> bool:
    """Whether every object in the schema lists all its members as required and allows no others."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "object" or "properties" in schema:
            members = schema.get("properties")
            if not isinstance(members, Mapping) or schema.get("additionalProperties") is not False:
                return False
            if set(schema.get("required") or ()) != set(members):
                return False
        return all(map(_closed, schema.values()))
    return all(map(_closed, schema)) if isinstance(schema, list) else True


@dataclass(frozen=True)
class Fault:
    """Why an answer cannot be used: the reasons are those of `BadAnswer`."""

    reason: str
    detail: str


def read_choice(text: str, thought: str, finish_reason: str, schema: AnswerSchema | None) -> Choice | Fault:
    """Judges one answer.

    Args:
        text: the message's content.
        thought: what the server delivered apart from it; "" when the thought, if any, stands in the content.
        finish_reason: the server's.
        schema: what was asked for.
    """
    if len(text) > TEXT_LIMIT:
        return Fault("too_long", f"the answer has {len(text)} characters, more than {TEXT_LIMIT}")
    if not thought:
        thought, text = split_thought(text)
    if finish_reason == "length":
        return Fault("truncated", "the answer was cut off at the limit of tokens")
    if finish_reason == "content_filter":
        return Fault("filtered", "the server's content filter cut the answer off")
    if not text.strip():
        return Fault("empty", "the answer is empty")
    if schema is None:
        return Choice(text, None, thought, finish_reason)
    try:
        value = find_json(text)
    except ValueError as error:
        return Fault("not_json", _short(f"the answer is not JSON ({error})"))
    return schema.fault(value) or Choice(text, value, thought, finish_reason)


def split_thought(text: str) -> tuple[str, str]:
    """(thought, answer) of a text that may begin with `<think>...</think>`.

    Some chat templates put the opening tag into the prompt, so that the text begins inside the thought. A thought that
    is not closed leaves no answer.
    """
    opening = _OPENING.match(text)
    closing = _CLOSING.search(text)
    if opening is None and (closing is None or text.lstrip()[:1] in ("{", "[", '"')):
        return "", text
    start = opening.end() if opening else 0
    if closing is None:
        return text[start:].strip(), ""
    return text[start : closing.start()].strip(), text[closing.end() :].strip()


def find_json(text: str) -> Any:
    """The JSON value in a text: all of it, what a Markdown fence holds, or the first object or list in prose.

    Raises:
        ValueError: there is none; the message says where the most promising place breaks off.
    """
    bare = text.strip()
    fence = _FENCE.search(bare)
    candidates = [bare]
    if fence:
        candidates.append(bare[fence.end() :].split("```", 1)[0].strip())
    problem = "it holds no object"
    for candidate in candidates:
        try:
            return strict_json(candidate)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        except ValueError as error:
            problem = str(error)
    found = _first_value(bare)
    if found is None:
        raise ValueError(problem)
    return found[0]


def _first_value(text: str) -> tuple[Any] | None:
    decoder = json.JSONDecoder(parse_constant=_refuse)
    for attempt, start in enumerate(re.finditer(r"[{\[]", text)):
        if attempt == _ATTEMPTS:
            break
        try:
            _, end = decoder.raw_decode(text, start.start())
            value = strict_json(text[start.start() : end])
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
            return (value,)
    return None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def with_demand(messages: Sequence[Mapping[str, str]], schema: AnswerSchema) -> list[dict[str, str]]:
    """The messages, with the schema in the system message (many chat templates allow only one, and only first)."""
    copied = [dict(message) for message in messages]
    if copied and copied[0].get("role") == "system":
        copied[0]["content"] = f"{copied[0]['content']}\n\n{schema.demand}"
        return copied
    return [{"role": "system", "content": schema.demand}, *copied]


def repair(text: str, fault: Fault, schema: AnswerSchema | None) -> list[dict[str, str]]:
    """The turns that show a model its bad answer and tell it what is wrong."""
    shown = text if len(text) <= SHOWN_LIMIT else f"{text[:SHOWN_LIMIT]} [...]"
    if fault.reason == "truncated":
        wish = "Answer again, complete and much shorter."
    else:
        wish = "Answer again."
    said = f"That answer cannot be used: {fault.detail}. {wish}" + (f" {schema.demand}" if schema else "")
    return [{"role": "assistant", "content": shown.strip() or "(no answer)"}, {"role": "user", "content": said}]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _DETAIL_LIMIT else f"{line[:_DETAIL_LIMIT]}..."
