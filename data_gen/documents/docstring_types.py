"""Types of Python parameters as JSON Schema: annotations, and the free text of docstrings such as "int or None"."""

from __future__ import annotations

import ast
import re
from typing import Any

Schema = dict[str, Any]

_SPELLINGS: tuple[tuple[str, Schema], ...] = (
    ("str|string|text|path|path-like|path_like|pathlike|filename|strs|strings|str list", {"type": "string"}),
    ("int|integer|ints|integers|positive int|non-negative int", {"type": "integer"}),
    ("float|floats|number|numbers|numeric|scalar|real|real number", {"type": "number"}),
    ("bool|boolean|bools|booleans", {"type": "boolean"}),
    ("dict|dictionary|mapping|dict-like", {"type": "object"}),
    ("datetime|timestamp|datetime.datetime", {"type": "string", "format": "date-time"}),
    ("date|datetime.date", {"type": "string", "format": "date"}),
    ("list|tuple|sequence|iterable|set|list-like", {"type": "array", "items": {}}),
)
_WORDS: dict[str, Schema] = {word: schema for words, schema in _SPELLINGS for word in words.split("|")}
_ARRAY = re.compile(
    r"(?:\(?[\w, ]*\)? ?)?(?:\d-?d(?:imensional)? )?"
    r"(?:(?:masked |numpy |np\.|numeric )?(?:nd)?array(?:[_ -]?like)?s?|array_like|vector|matrix)\b(.*)",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"(?:a |an )?(?:array[_-]?like|list|tuple|sequence|iterable|set|container|collection|list-like|\d-tuple|ndarray|"
    r"array)s? of (?:\d+ )?(.+)", re.IGNORECASE
)  # fmt: skip
_ELEMENTS = (("boolean", r"\bbool"), ("integer", r"\bint(?:eger)?s?\b"), ("string", r"\bstr"))
_SHAPE = re.compile(r"\(([^()]*)\)")
_VALUES = re.compile(r"\{([^{}]*)\}")
_ONE_VALUE = re.compile(r"""\s*(?:'([^']*)'|"([^"]*)"|([-+]?\d+(?:\.\d+)?)|(True|False|None))\s*""")
_ASIDE = re.compile(
    r",?\s*(?:optional|required|keyword[- ]only|positional[- ]only|default\b.*|"
    r"\(?(?:by )?defaults? (?:to|is|=).*)"
    r"\s*\Z",
    re.I,
)
_BETWEEN = re.compile(r",?\s+or\s+|\s*\|\s*|,\s*")
LONGEST = 300


def type_of_text(text: str) -> Schema | None:
    """The schema of a docstring's type; None when a call in JSON cannot hold such a value.

    "int or None, optional" -> integer; "{'a', 'b'}" -> enum; "array_like of shape (n, m)" -> arrays of numbers in an
    array; "callable" -> None.
    """
    text = " ".join(text.replace("`", "").replace("*", "").split())[:LONGEST].rstrip(".")
    for _ in range(3):
        text = _ASIDE.sub("", text).strip(" ,")
    if not text:
        return None
    values = _VALUES.search(text)
    if values:
        return _enum(values[1]) or None
    several = _SEVERAL.fullmatch(text)
    if several:
        head = re.split(r" or |, ", several[1])[0].strip(" .")
        if "shape" in head and not head.lower().startswith(("int", "float", "str", "bool", "number")):
            return _array(several[1])
        inner = type_of_text(head.split(" of shape")[0].split(" with ")[0])
        if inner is None:
            return None
        return {"type": "array", "items": inner}
    if text.lower() in _WORDS:
        return dict(_WORDS[text.lower()])
    array = _ARRAY.fullmatch(text)
    if array and " or " not in text.split("(")[0]:
        return _array(text)
    return _alternatives(text)


def _alternatives(text: str) -> Schema | None:
    """The first of "int, str or callable" that JSON can hold; scalars of several types together."""
    parts = [part.strip() for part in _BETWEEN.split(re.sub(r"\([^()]*\)", "", text)) if part.strip()]
    parts = [part for part in parts if part.lower() not in ("none", "null", "nan", "optional")]
    found: list[Schema] = []
    for part in parts[:8] if len(parts) > 1 or parts != [text] else ():
        schema = type_of_text(part)
        if schema is not None:
            found.append(schema)
    if not found:
        return None
    kinds = list(dict.fromkeys(str(schema["type"]) for schema in found if set(schema) == {"type"}))
    scalars = [kind for kind in kinds if kind in ("string", "integer", "number", "boolean")]
    if "number" in scalars and "integer" in scalars:
        scalars.remove("integer")
    if scalars and len(kinds) == len(found) and set(kinds) <= {*scalars, "integer"}:
        return {"type": scalars if len(scalars) > 1 else scalars[0]}
    return found[0]


def _array(text: str) -> Schema:
    """An array of numbers, or of arrays for a shape of two, when a shape is stated."""
    shape = _SHAPE.search(text)
    dimensions = len([part for part in shape[1].split(",") if part.strip()]) if shape else 1
    two = re.search(r"\b2-?d\b|\bmatrix\b", text, re.IGNORECASE) is not None
    kind = (
        "integer"
        if re.search(r"\bints?\b|\bintegers?\b", text)
        else "string"
        if re.search(r"\bstr", text)
        else "number"
    )
    kind = "boolean" if re.search(r"\bbool", text) else kind
    schema: Schema = {"type": kind}
    for _ in range(min(max(dimensions, 2 if two else 1), 3)):
        schema = {"type": "array", "items": schema}
    return schema


def _enum(text: str) -> Schema:
    values: list[Any] = []
    for part in text.split(","):
        match = _ONE_VALUE.fullmatch(part)
        if not match:
            continue
        single, double, number, constant = match.groups()
        if number is not None:
            values.append(float(number) if "." in number else int(number))
        elif constant is not None:
            values += {"True": [True], "False": [False]}.get(constant, [])
        else:
            values.append(single if single is not None else double)
    kinds = {type(value) for value in values}
    if not values or len(kinds) > 1:
        return {}
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    kind = names[kinds.pop()]
    return {"type": "boolean"} if kind == "boolean" else {"type": kind, "enum": list(dict.fromkeys(values))}


_ANNOTATED: dict[str, Schema] = {
    "str": {"type": "string"}, "int": {"type": "integer"}, "float": {"type": "number"}, "bool": {"type": "boolean"},
    "Path": {"type": "string"}, "PathLike": {"type": "string"}, "UUID": {"type": "string", "format": "uuid"},
    "datetime": {"type": "string", "format": "date-time"}, "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"}, "Decimal": {"type": "number"}, "dict": {"type": "object"},
    "Dict": {"type": "object"}, "Mapping": {"type": "object"},
}  # fmt: skip
_LISTS = frozenset(
    ["list", "List", "Sequence", "Iterable", "Collection", "tuple", "Tuple", "set", "Set", "frozenset", "FrozenSet"]
)


def type_of_annotation(node: ast.expr | None, level: int = 0) -> Schema | None:
    """The schema of an annotation, read and never evaluated; None when there is none that JSON can hold."""
    if node is None or level > 6:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) <= LONGEST:
        try:
            return type_of_annotation(ast.parse(node.value, mode="eval").body, level + 1)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([*_flat(node)], level)
    if isinstance(node, ast.Subscript):
        return _generic(_last_name(node.value), node.slice, level)
    name = _last_name(node)
    if name in _LISTS:
        return {"type": "array", "items": {}}
    return dict(_ANNOTATED[name]) if name in _ANNOTATED else None


def _generic(name: str, inner: ast.expr, level: int) -> Schema | None:
    parts = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    if name in ("Optional", "Union"):
        return _union(parts, level)
    if name in ("Annotated", "Final", "Required", "NotRequired"):
        return type_of_annotation(parts[0], level + 1)
    if name == "Literal":
        values = [part.value for part in parts if isinstance(part, ast.Constant) and part.value is not None]
        return _enum(", ".join(repr(value) for value in values if not isinstance(value, bytes))) or None
    if name in _LISTS:
        items = type_of_annotation(parts[0], level + 1)
        return {"type": "array", "items": items} if items is not None else None
    if name in ("dict", "Dict", "Mapping") and len(parts) == 2:
        values_schema = type_of_annotation(parts[1], level + 1)
        return {"type": "object", "additionalProperties": values_schema} if values_schema else {"type": "object"}
    return None


def _union(parts: list[ast.expr], level: int) -> Schema | None:
    found = [schema for part in parts if (schema := type_of_annotation(part, level + 1)) is not None]
    kinds = [
        schema["type"] for schema in found if set(schema) == {"type"} and schema["type"] not in ("object", "array")
    ]
    if len(found) > 1 and len(kinds) == len(found):
        kinds = [kind for kind in dict.fromkeys(kinds) if kind != "integer" or "number" not in kinds]
        return {"type": kinds if len(kinds) > 1 else kinds[0]}
    return found[0] if found else None


def _flat(node: ast.expr) -> list[ast.expr]:
    parts: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and len(parts) < 20:
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
