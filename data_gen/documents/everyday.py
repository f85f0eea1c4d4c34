"""Everyday API documents, written for this project: weather, travel, money, health, sports, maths and so on.

Corpora of real API documents are mostly about clouds and business; what people ask an assistant about is thin in them.
Each seed also says how a person would ask for it, which the offline user agent builds requests from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from data_gen.documents.document import Document

FOLDER = Path(__file__).parent / "everyday"
PACKAGE = "toolace"
# What a seed says to the user agent about a parameter; none of it is part of the tool.
HINTS = frozenset({"kind", "values", "say", "say_true", "say_false", "min_items", "max_items"})


@cache
def seeds() -> Mapping[str, Mapping[str, Any]]:
    """Document id to the seed as written, over all files in name order."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        domain = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        for seed in domain["tools"]:
            whole = {**seed, "domain": domain["domain"], "path": domain["path"], "file": path.name}
            found[f"everyday:{path.stem}:{seed['name']}"] = whole
    return found


def read() -> Iterator[Document]:
    """Yields one Document a seed, its parameters as plain JSON Schema."""
    for id_, seed in seeds().items():
        properties = {name: _schema(spec) for name, spec in seed["parameters"].items()}
        parameters: dict[str, Any] = {"type": "object", "properties": properties}
        if seed.get("required"):
            parameters["required"] = list(seed["required"])
        source = {
            "package": PACKAGE,
            "version": version(PACKAGE),
            "file": f"data_gen/documents/everyday/{seed['file']}",
            "operation": seed["name"],
        }
        structure = {
            "name": seed["name"],
            "description": seed["description"],
            "parameters": parameters,
            "returns": seed.get("returns"),
        }
        path = (*seed["path"], seed["name"])
        yield Document(id_, seed["domain"], seed["description"], path, structure, source, "Apache-2.0")


def _schema(spec: Mapping[str, Any]) -> dict[str, Any]:
    schema = {key: value for key, value in spec.items() if key not in HINTS}
    if schema.get("type") == "object":
        schema["properties"] = {name: _schema(inner) for name, inner in schema["properties"].items()}
    if isinstance(schema.get("items"), Mapping):
        schema["items"] = _schema(schema["items"])
    return schema
