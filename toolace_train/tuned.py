"""What a finished training run left behind: weights, the base they belong to, and the prompt that was trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from toolace.errors import InputError
from toolace.rows import read_json
from toolace_train.settings import DataSettings, DataSource, ModelSettings

STAGE = "train"
T = TypeVar("T")


@dataclass(frozen=True)
class Tuned:
    """A trained model as its run folder describes it.

    Attributes:
        run: the run folder.
        weights: `run/adapter` or `run/model`; the stock tokenizer files lie in it too.
        kind: `adapter` (LoRA on a base) or `model` (all weights).
        facts: what decided the weights: sections `model`, `lora`, `quantization`, `data`, `train` of the recipe, as the
            manifest keeps them.
        record: the manifest's record of the training (`counts`, `seconds`, `command`, `versions`).
        manifest: the whole manifest.
    """

    run: Path
    weights: Path
    kind: Literal["adapter", "model"]
    facts: Mapping[str, Any]
    record: Mapping[str, Any]
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def model(self) -> ModelSettings:
        """The section `model` it was trained with."""
        return _known(ModelSettings, self.facts.get("model") or {})

    @property
    def data(self) -> DataSettings:
        """The section `data` it was trained with; see `data_settings`."""
        return data_settings(self.facts)

    @property
    def quantized(self) -> bool:
        """Whether the base was quantised while the adapter was trained (QLoRA)."""
        return bool(self.facts.get("quantization"))

    @property
    def name(self) -> str:
        """Name of the run, for file names and titles."""
        return self.run.resolve().name


def read_tuned(folder: str | Path) -> Tuned:
    """Reads a run folder.

    Raises:
        InputError: the folder is no run, or its training is not finished.
    """
    run = Path(folder)
    fix = "Name the folder of a finished run; `accelerate launch RECIPE` makes one."
    if not (run / "manifest.json").is_file():
        raise InputError("holds no manifest.json of a run", where=run, fix=fix)
    manifest = read_json(run / "manifest.json")
    stages = manifest.get("stages") if isinstance(manifest, dict) else None
    record = stages.get(STAGE) if isinstance(stages, dict) else None
    if not isinstance(record, dict) or not isinstance(record.get("settings"), dict):
        raise InputError("holds no finished training", where=run, fix=fix)
    adapter, model = run / "adapter", run / "model"
    if (adapter / "adapter_config.json").is_file():
        return Tuned(run, adapter, "adapter", record["settings"], record, manifest)
    if (model / "config.json").is_file():
        return Tuned(run, model, "model", record["settings"], record, manifest)
    raise InputError("holds neither adapter/ nor model/", where=run, fix="Run the training again.")


def data_settings(facts: Mapping[str, Any]) -> DataSettings:
    """The section `data` out of a manifest.

    Raises:
        InputError: it names no files.
    """
    data = facts.get("data") or {}
    if not isinstance(data, Mapping) or not data.get("files"):
        raise InputError("the manifest names no training files", fix="Name a file of rows with --rows.")
    known = _known(DataSettings, data)
    files = [_known(DataSource, entry) if isinstance(entry, Mapping) else entry for entry in known.files]
    return dataclasses.replace(known, files=files)


def _known(cls: type[T], values: Mapping[str, Any]) -> T:
    """The dataclass with those values that it has fields for: a manifest may come from an older version."""
    names = {each.name for each in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return cls(**{key: value for key, value in values.items() if key in names})
