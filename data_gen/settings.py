"""Section `generate` of a recipe: which documents, what dialogs, how the training rows are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from data_gen.dialog_generation.generation import DialogSettings


@dataclass(frozen=True)
class ToolSettings:
    """Which documents become tools.

    Attributes:
        everyday: whether this project's own everyday documents are read.
        aws: services of botocore: a number of them, chosen to be diverse, or their names.
        google: the same for Google's discovery documents.
        per_service: most tools kept of one AWS or Google service.
    """

    everyday: bool = True
    aws: int | Sequence[str] = 12
    google: int | Sequence[str] = 12
    per_service: int = 12


@dataclass(frozen=True)
class DatasetSettings:
    """How verified dialogs become `train.jsonl`.

    Attributes:
        show_returns: whether the tool lists in the prompts hold what the tools return.
    """

    show_returns: bool = False


@dataclass(frozen=True)
class GenerateSettings:
    """Section `generate`."""

    tools: ToolSettings = field(default_factory=ToolSettings)
    dialogs: DialogSettings = field(default_factory=DialogSettings)
    dataset: DatasetSettings = field(default_factory=DatasetSettings)


def plain(settings: Any) -> Mapping[str, Any]:
    """Settings as JSON, for manifests and fingerprints."""
    return asdict(settings)
