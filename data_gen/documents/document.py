"""Document: one API as its publisher describes it, with where it came from and under which licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Document:
    """One documented API.

    Attributes:
        id: unique over all sources, `<source>:<service>:<operation>`.
        title: name of the service or domain it belongs to.
        text: what the publisher says of the API, plain text.
        path: [primary domain, sub-domain, functionality...], as far as the source tells.
        structure: {"name", "description", "parameters": JSON Schema, "returns": JSON Schema or None}.
        source: {"package", "version", "file", "operation"}.
        licence: SPDX id of the document's text, "" when not stated.
    """

    id: str
    title: str
    text: str
    path: tuple[str, ...]
    structure: Mapping[str, Any]
    source: Mapping[str, str]
    licence: str
