"""Adaptation: a Document becomes a Tool, keeping where it came from (paper, Section 2.1)."""

from __future__ import annotations

from data_gen.documents import everyday
from data_gen.documents.document import Document
from data_gen.documents.spelled_out import described_inside
from toolace import InputError, Tool

REAL = "real"
EVOLVED = "evolved"


def to_tool(document: Document) -> Tool:
    """The tool a document describes; its domain is the document's sub-domain, the second name of the path.

    Raises:
        InputError: the document has no name or no parameter object.
    """
    structure = document.structure
    try:
        tool = Tool.from_json(structure)
    except InputError as error:
        raise InputError(error.what, where=document.id, fix=error.fix) from None
    path, source = document.path, dict(document.source)
    parameters, by_name = described_inside(tool.parameters)
    if by_name:
        # As readers note it: their descriptions only spell their names out.
        source["described_by_name"] = ", ".join(filter(None, [source.get("described_by_name"), *by_name]))
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=parameters,
        returns=tool.returns,
        id=document.id,
        domain=path[1] if len(path) > 1 else (path[0] if path else document.title),
        path=path,
        # What this project wrote itself documents no service that exists.
        origin=EVOLVED if document.source.get("package") == everyday.PACKAGE else REAL,
        source=source,
        licence=document.licence,
    )
