"""JSON Schema 2020-12 validation of hostile data: compiled once per schema, no network, bounded time.

Four things in a schema can make a validator slow or talk to the outside: a regular expression that backtracks without
end, references that multiply, choices within choices, and references to other documents. Patterns are matched with a
time limit, references are counted, giant schemas refused, and nothing is ever fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from data_gen.verification.formats import FORMAT_CHECKER
from data_gen.verification.identity import lazy, remembered
from data_gen.verification.patterns import compiled, matches
from data_gen.verification.plain_checks import Check, compile_check, never

REFERENCE_LIMIT = 500
ERROR_LIMIT = 20
# our choice: the largest definition of a pool of 20,000 real APIs has 7,600 characters; a megabyte of nested choices
# takes ten seconds to try.
SCHEMA_CHARACTERS = 100_000


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and isinstance(pattern, str):
        found = matches(pattern, instance)
        if found is None:
            yield ValidationError(f"the pattern {pattern!r} cannot be applied to {instance!r}")
        elif not found:
            yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, subschema in patterns.items():
            for key, value in instance.items():
                found = matches(pattern, key)
                if found is None:
                    yield ValidationError(f"the pattern {pattern!r} cannot be applied to {key!r}")
                elif found:
                    yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = schema.get("patternProperties") or {}
    extras = [key for key in instance if key not in schema.get("properties", {})]
    extras = [key for key in extras if not any(matches(pattern, key) for pattern in patterns)]
    if isinstance(allowed, dict):
        for key in extras:
            yield from validator.descend(instance[key], allowed, path=key)
    elif allowed is False and extras:
        yield ValidationError(f"{extras[0]!r} is not a known property")


def _multiple_of(validator: Any, step: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """In decimal, as numbers are written in JSON: 1.4 is a multiple of 0.05, although their floats disagree."""
    if isinstance(instance, (int, float)) and not isinstance(instance, bool):
        try:
            fits = Decimal(repr(instance)) % Decimal(repr(step)) == 0
        except ArithmeticError:  # a quotient of more digits than decimals have
            fits = False
        if not fits:
            yield ValidationError(f"{instance!r} is not a multiple of {step!r}")


def _counted_reference() -> Any:
    """A `$ref` keyword that gives up after 500 references within one validation."""
    left = [REFERENCE_LIMIT]
    original = Draft202012Validator.VALIDATORS["$ref"]

    def follow(validator: Any, reference: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        left[0] -= 1
        if left[0] < 0:
            raise RecursionError("references without end")
        yield from original(validator, reference, instance, schema)

    return follow, left


_KEYWORDS = {
    "multipleOf": _multiple_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
}
_extend: Any = extend  # jsonschema does not say its type
_Validator = _extend(Draft202012Validator, _KEYWORDS)
# Keywords that would search again with unbounded patterns, or follow references behind the counter's back.
_REFUSED = ('"$dynamicRef"', '"$recursiveRef"', '"unevaluatedProperties"', '"unevaluatedItems"')


def properties_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Name to schema of an object schema's members; empty when it has none or they are no object."""
    properties = schema.get("properties")
    if type(properties) is dict:
        return properties
    return {str(name): inner for name, inner in properties.items()} if isinstance(properties, Mapping) else {}


def required_of(schema: Mapping[str, Any]) -> list[str]:
    """Names that an object schema requires; empty when it requires none or does not say so in a list of names."""
    required = schema.get("required")
    if not required:
        return []
    return [name for name in required if isinstance(name, str)] if isinstance(required, (list, tuple)) else []


class CompiledSchema:
    """One schema, ready to judge values.

    Attributes:
        problem: why the schema itself is unusable; empty when it is a valid schema.
        surely_fits: True means that a value is JSON and has no errors, False that it may have some.
    """

    def __init__(self, schema: Mapping[str, Any], text: str) -> None:
        self.schema = schema
        self.problem = "" if _plainly_valid(schema, 0) else _meta_problem(schema, text)
        self._refers = '"$ref"' in text
        self._left: list[int] | None = None

    # Most tools of a data set are offered and never called: what judges values is made for the first value.

    @lazy
    def surely_fits(self) -> Check:
        """The quick check of this schema."""
        return never if self.problem else compile_check(self.schema)

    @lazy
    def _validator(self) -> Any:
        kind: Any = _Validator
        if self._refers:
            follow, self._left = _counted_reference()
            kind = _extend(_Validator, {"$ref": follow})
        return kind(self.schema, format_checker=FORMAT_CHECKER, registry=Registry())

    def errors(self, value: Any) -> list[tuple[tuple[Any, ...], str, str]]:
        """What is wrong with a JSON value: (path to it, keyword that fails, one line of evidence); at most 20."""
        if self.problem or self.surely_fits(value):
            return []
        validator, found = self._validator, []
        if self._left is not None:
            self._left[0] = REFERENCE_LIMIT
        try:
            for error in validator.iter_errors(value):
                found.append((tuple(error.absolute_path), str(error.validator), error.message))
                if len(found) == ERROR_LIMIT:
                    break
        except Exception as error:  # a schema may ask for anything; what jsonschema cannot decide is not accepted
            found.append(((), "schema", f"the definition cannot be applied ({type(error).__name__})"))
        return found


def compile_schema(schema: Any) -> CompiledSchema:
    """The compiled form of a schema; equal schemas share one, told apart by their JSON text."""
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return _unusable(f"is not JSON ({error})")
    return _compiled(text)


@remembered
def compile_once(schema: Any) -> CompiledSchema:
    """`compile_schema` for schemas that nobody changes, such as a Tool's: the same object is looked up by identity."""
    return compile_schema(schema)


@lru_cache(maxsize=32_768)
def _compiled(text: str) -> CompiledSchema:
    if len(text) > SCHEMA_CHARACTERS:
        return _unusable(f"has {len(text)} characters, more than {SCHEMA_CHARACTERS}")
    schema = json.loads(text)
    if not isinstance(schema, dict):
        return _unusable(f"is a JSON {type(schema).__name__}, not an object")
    return CompiledSchema(schema, text)


def _unusable(problem: str) -> CompiledSchema:
    result = CompiledSchema({}, "{}")
    result.problem = problem
    return result


def _meta_problem(schema: Mapping[str, Any], text: str) -> str:
    refused = [name for name in _REFUSED if name in text]
    if refused:
        return f"uses {refused[0].strip(chr(34))}, which tool definitions have no use for"
    problem = _pattern_problem(schema)
    if problem:
        return problem
    try:
        Draft202012Validator.check_schema(dict(schema), format_checker=FORMAT_CHECKER)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path))
        return f"{place or 'schema'}: {error.message}"
    except (RecursionError, OverflowError, ValueError) as error:
        return f"cannot be checked ({type(error).__name__})"
    return ""


def _pattern_problem(schema: Any) -> str:
    stack = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, Mapping):
            pattern = node.get("pattern")
            if isinstance(pattern, str) and compiled(pattern) is None:
                return f"pattern {pattern!r} is no Python regular expression"
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    return ""


_TYPES = frozenset(("object", "array", "string", "integer", "number", "boolean", "null"))
_TEXTS = frozenset(("description", "title", "format"))
_COUNTS = frozenset(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"))
_NUMBERS = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
_FREE = frozenset(("default", "const"))
# Every other keyword of the vocabularies: the meta-schema itself is asked. Words outside them mean nothing to it.
_RARE_WORDS = (
    "$schema $id $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment $defs definitions dependencies "
    "$recursiveRef $recursiveAnchor prefixItems contains minContains maxContains patternProperties propertyNames "
    "dependentSchemas dependentRequired if then else allOf anyOf oneOf not unevaluatedItems unevaluatedProperties "
    "examples deprecated readOnly writeOnly contentEncoding contentMediaType contentSchema"
)
_RARE = frozenset(_RARE_WORDS.split())


def _plainly_valid(schema: Any, depth: int) -> bool:
    """Whether a schema uses only common keywords, each rightly: such a one needs no meta-schema, which costs 5 ms."""
    if not isinstance(schema, dict) or depth > 30:
        return False
    return all(_plain_keyword(key, value, depth) for key, value in schema.items())


def _plain_keyword(key: str, value: Any, depth: int) -> bool:
    if key == "type":
        return isinstance(value, str) and value in _TYPES
    if key in _TEXTS:
        return isinstance(value, str)
    if key == "properties":
        return isinstance(value, dict) and all(_plainly_valid(inner, depth + 1) for inner in value.values())
    if key in ("items", "additionalProperties"):
        return isinstance(value, bool) or _plainly_valid(value, depth + 1)
    if key == "required":
        return isinstance(value, list) and all(isinstance(v, str) for v in value) and len(set(value)) == len(value)
    if key == "enum":
        return isinstance(value, list)
    if key == "pattern":
        return isinstance(value, str) and compiled(value) is not None
    if key in _COUNTS:
        return type(value) is int and value >= 0
    if key in _NUMBERS:
        return type(value) in (int, float)
    if key == "multipleOf":
        return type(value) in (int, float) and value > 0
    if key == "uniqueItems":
        return isinstance(value, bool)
    return key in _FREE or key not in _RARE
