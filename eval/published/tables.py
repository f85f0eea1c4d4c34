"""Reads the published scores: tables of others with their source, as rows that stand beside ours."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from toolace.rows import Row

HERE = Path(__file__).parent
# Scores on data that were changed after a protocol's: shown below its own, under what is different about them.
OTHER_DATA = {"v3-2024": "v3-later"}


@cache
def _tables(benchmark: str) -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where PyYAML was built with libyaml
    content: list[dict[str, Any]] = yaml.load((HERE / f"{benchmark}.yaml").read_text(encoding="utf-8"), Loader=loader)
    return content


def published_rows(protocol: str, benchmark: str = "bfcl") -> list[Row]:
    """Scores that others printed: `{"model", "protocol", "source", "date", "note", "scores": {column: value}}`.

    Those by the protocol come first; then those on data that were changed since, whose `protocol` is another one.
    Columns have the names of our aggregates; one that a source does not print is left out. `note` is "" where there
    is nothing to say.
    """
    wanted = [protocol] + ([OTHER_DATA[protocol]] if protocol in OTHER_DATA else [])
    return [
        {
            "model": row["model"],
            "protocol": name,
            "source": table["source"],
            "date": str(table["date"]),
            "note": str(table.get("note", "")),
            "scores": {
                column: value
                for column, value in zip(table["columns"], row["scores"], strict=True)
                if value is not None
            },
        }
        for name in wanted
        for table in _tables(benchmark)
        if table["protocol"] == name
        for row in table["rows"]
    ]
