"""Whether the calls of a dialog fit its tools, and whether answers hold calls that cannot be read.

The full rule layer is `toolace verify`; this is what an audit asks before GPU time is spent. Schemas come from other
people's files: nothing is fetched, and no pattern runs longer than a moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import regex
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend

from toolace.calls import Call, parse_calls
from toolace.dialogs import Dialog
from toolace.tools import Schema, Tool, map_schema

Finding = tuple[str, str]  # rule, evidence

# References may lead outside or around in circles, these others search again and again: such parts are not judged.
_UNJUDGED = ("$ref", "$dynamicRef", "$recursiveRef", "unevaluatedProperties", "unevaluatedItems", "patternProperties")
_PATTERN_SECONDS = 0.05


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, str) or not isinstance(pattern, str):
        return
    try:
        fits = regex.search(pattern, instance, timeout=_PATTERN_SECONDS)
    except (regex.error, TimeoutError, RecursionError):
        return  # says nothing about the call
    if not fits:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _multiple_of(validator: Any, step: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """In decimal, as JSON writes numbers: 2.3 is a multiple of 0.1, although their floats disagree."""
    if isinstance(instance, (int, float)) and not isinstance(instance, bool):
        try:
            fits = Decimal(repr(instance)) % Decimal(repr(step)) == 0
        except ArithmeticError:  # a quotient of more digits than decimals have
            fits = False
        if not fits:
            yield ValidationError(f"{instance!r} is not a multiple of {step!r}")


_extend: Any = extend  # jsonschema does not say its type
_Validator = _extend(Draft202012Validator, {"pattern": _pattern, "multipleOf": _multiple_of})


def call_findings(dialog: Dialog) -> Iterator[Finding]:
    """Yields what is wrong with the calls of a dialog: rules call.tool, call.arguments, call.text."""
    tools = {tool.name: tool for tool in dialog.tools}
    for i, message in enumerate(dialog.messages):
        if message.role != "assistant":
            continue
        if message.content and not message.calls:
            yield from _unread(message.content, f"message {i}", tools)
        for call in message.calls:
            tool = tools.get(call.name)
            if tool is None:
                offered = f"the {len(tools)} tools" if tools else "no tools could be read"
                yield "call.tool", f"message {i} calls {call.name!r}, which is not on offer ({offered})"
                continue
            for problem in argument_problems(call, tool):
                yield "call.arguments", f"message {i} calls {call.name}: {problem}"


def argument_problems(call: Call, tool: Tool) -> list[str]:
    """What is wrong with the arguments of a call, by the tool's JSON Schema; at most eight."""
    schema = tool.parameters
    known = tool.properties
    open_ = not known or schema.get("additionalProperties") or any(key in schema for key in _UNJUDGED)
    problems = [] if open_ else [f"has no parameter {name!r}" for name in call.arguments if name not in known]
    validator = _validator(json.dumps(schema, sort_keys=True, default=str))
    if isinstance(validator, str):
        return [*problems, validator]
    try:
        for error in validator.iter_errors(call.arguments):
            place = ".".join(map(str, error.absolute_path))
            message = f"{place}: {error.message}" if place else error.message
            if "Additional properties" not in message:  # said above
                problems.append(message[:200])
            if len(problems) >= 8:
                break
    except (RecursionError, TypeError, ValueError, ArithmeticError) as error:
        problems.append(f"cannot be judged by its schema ({type(error).__name__})")
    return problems[:8]


@lru_cache(maxsize=8192)
def _validator(text: str) -> Any:
    """The validator of a schema, or what is wrong with the schema as text."""
    try:
        schema = map_schema(json.loads(text), _judged)
        _Validator.check_schema(schema)
    except SchemaError as error:
        return f"its schema is not valid: {error.message[:160]}"
    except (RecursionError, ValueError, TypeError) as error:
        return f"its schema cannot be read ({type(error).__name__})"
    return _Validator(schema)


def _judged(node: Schema) -> Schema:
    if not any(key in node for key in _UNJUDGED):
        return node
    return {} if "$ref" in node else {k: v for k, v in node.items() if k not in (*_UNJUDGED, "additionalProperties")}


def _unread(text: str, where: str, tools: Mapping[str, Tool]) -> Iterator[Finding]:
    """Text that is meant as calls but is none: broken call lists, or calls beside words."""
    if "(" not in text:
        return
    parsed = parse_calls(text)
    meant = text.lstrip().startswith("[") or any(call.name in tools for call in parsed.calls)
    if parsed.calls and meant:
        problem = parsed.problems[0].detail if parsed.problems else "calls without brackets"
        yield "call.text", f"{where} holds calls that cannot be read ({problem}): {text[:80]!r}"
