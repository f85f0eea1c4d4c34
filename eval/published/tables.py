"""Reads the published scores: tables of others with their source, as rows that stand beside ours."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from toolace.rows import Row

HERE = Path(__file__).parent


@cache
def _tables(benchmark: str) -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where PyYAML was built with libyaml
    content: list[dict[str, Any]] = yaml.load((HERE / f"{benchmark}.yaml").read_text(encoding="utf-8"), Loader=loader)
    return content


def published_rows(protocol: str, benchmark: str = "bfcl") -> list[Row]:
    """Scores that others printed by a protocol: `{"model", "protocol", "source", "date", "scores": {column: value}}`.

    Columns have the names of our aggregates; one that a source does not print is left out.
    """
    return [
        {
            "model": row["model"],
            "protocol": protocol,
            "source": table["source"],
            "date": str(table["date"]),
            "scores": {
                name: value for name, value in zip(table["columns"], row["scores"], strict=True) if value is not None
            },
        }
        for table in _tables(benchmark)
        if table["protocol"] == protocol
        for row in table["rows"]
    ]
