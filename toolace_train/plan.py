"""What a recipe would do, before a GPU is rented for it: rows, tokens, steps, parameters, memory, time. No weights."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from toolace.embedded import NAME, prepare
from toolace.errors import InputError
from toolace.recipe import Recipe
from toolace_train.advice import changes_that_fit
from toolace_train.architectures import architecture
from toolace_train.data import TrainingSet, load_training_set
from toolace_train.flops import Work, work
from toolace_train.hardware import Gpu, check_utilisation, gpu, gpus
from toolace_train.layouts import SINGLE, Layout, layout_of, layouts
from toolace_train.memory import Memory
from toolace_train.micro_batch import Micro, micro_of
from toolace_train.model import load_tokenizer, locate, template_text
from toolace_train.numerics import numerics_of
from toolace_train.parameters import Parameters, count_parameters
from toolace_train.quiet import quiet_libraries
from toolace_train.rendering import Renderer
from toolace_train.schedule import Schedule, schedule
from toolace_train.settings import DataSettings, ModelSettings
from toolace_train.sources import SUFFIXES, as_source
from toolace_train.training_keys import training_values

ROOT = Path(__file__).parents[1]
# our choice: torchtune's published speeds are 44 to 59 % of the peak on an A100 (docs/training_plan.md); ours is not
# compiled and was not measured on a GPU.
UTILISATION = 0.4


@dataclass(frozen=True)
class Assumptions:
    """What the command line says: the card, how many (None: as many as the accelerate config starts), its use."""

    gpu: str = "a100-80gb"
    devices: int | None = None
    utilisation: float = UTILISATION


@dataclass(frozen=True)
class MemoryRow:
    """A line of the memory table: devices, checkpointing, bytes on each, and whether this is what the recipe does."""

    layout: Layout
    checkpointing: bool
    memory: Memory
    fits: bool
    own: bool


@dataclass(frozen=True)
class Plan:
    """A recipe's plan. `rows`, `timing`, `passes` and `work` are None where the rows are not on this machine.

    Attributes:
        missing: the file of rows that is not there.
        passes: epochs, or the part of one that `max_steps` allows; work: operations of all of them.
        advice: changes with which the recipe would fit, best first; empty when it fits.
        notes: what a reader must know about the numbers.
    """

    recipe: Recipe
    name: str
    parameters: Parameters
    rows: TrainingSet | None
    missing: str
    timing: Schedule | None
    passes: float | None
    work: Work | None
    micro: Micro
    card: Gpu
    assumptions: Assumptions
    layout: Layout
    table: list[MemoryRow]
    advice: list[str]
    notes: list[str]

    @property
    def own(self) -> MemoryRow:
        """The line of the memory table that the recipe's accelerate config and settings give."""
        return next(row for row in self.table if row.own)

    def hours(self, rate: float, devices: int = 1) -> float | None:
        """Hours of all passes at `rate` peak operations a second on each of `devices`."""
        if self.work is None or self.passes is None:
            return None
        return self.work.total * self.passes / (rate * self.assumptions.utilisation * devices) / 3600

    def to_json(self) -> dict[str, Any]:
        """The plan as plain values; memory in bytes."""
        p, rows, timing = self.parameters, self.rows, self.timing
        return {
            "recipe": str(self.recipe.path),
            "model": self.name,
            "parameters": {"total": p.base, "trainable": p.trained, "share": p.trained / p.base},
            "data": {"missing": self.missing}
            if rows is None
            else {
                "rows": rows.rows,
                "used": rows.kept,
                "dropped": len(rows.dropped),
                "sequences": len(rows.trees),
                "tokens": rows.tokens,
                "trained": rows.trained,
                "computed": rows.computed,
            },
            "schedule": asdict(timing) if timing else None,
            "micro_batch": asdict(self.micro),
            "flops": None if self.work is None else {**asdict(self.work), "passes": self.passes},
            "gpu": {"key": self.assumptions.gpu, **asdict(self.card), "utilisation": self.assumptions.utilisation},
            "devices": self.layout.devices,
            "hours": self.hours(self.card.rate, self.layout.devices),
            "memory": [
                {
                    "config": row.layout.name,
                    "devices": row.layout.devices,
                    "gradient_checkpointing": row.checkpointing,
                    "recipe": row.own,
                    "fits": row.fits,
                    "bytes": {key: round(value) for key, value in asdict(row.memory).items()},
                    "total": round(row.memory.total),
                }
                for row in self.table
            ],
            "fits_on": [key for key, card in gpus().items() if card.holds(self.own.memory.total)],
            "advice": self.advice,
            "notes": self.notes,
        }


def make_plan(recipe: Recipe, assumptions: Assumptions | None = None) -> Plan:
    """Plans a recipe. Raises InputError where training would, except that rows may be missing."""
    quiet_libraries()
    assumed = assumptions or Assumptions()
    card = gpu(assumed.gpu)
    check_utilisation(assumed.utilisation)
    settings, data = recipe.settings("model", ModelSettings), recipe.settings("data", DataSettings)
    name = settings.model_name_or_path
    training_values(recipe)
    parameters = count_parameters(recipe, name)
    layout = _layout(recipe, assumed.devices)
    rows, missing, notes = _rows(recipe, settings, data)
    timing = schedule(recipe, len(rows.trees) if rows else 1, layout.devices)
    micro = micro_of(rows, data, timing)
    passes, done = _work(recipe, parameters, rows, timing)
    table = _table(recipe, parameters, micro, timing, layout, card)
    own = next(row for row in table if row.own)
    return Plan(
        recipe=recipe,
        name=name,
        parameters=parameters,
        rows=rows,
        missing=missing,
        timing=timing if rows else None,
        passes=passes,
        work=done,
        micro=micro,
        card=card,
        assumptions=assumed,
        layout=layout,
        table=table,
        advice=[] if own.fits else changes_that_fit(recipe, micro, timing, layout, card),
        notes=notes,
    )


def _layout(recipe: Recipe, devices: int | None) -> Layout:
    """How the recipe would be started: its accelerate config, or the processes there are now."""
    config, world = recipe.values.get("accelerate_config"), int(os.environ.get("WORLD_SIZE", "1"))
    layout = SINGLE
    if config is not None:
        file = Path(str(config)) if Path(str(config)).is_file() else ROOT / str(config)
        if not file.is_file():
            raise InputError("no such accelerate config", where=str(config), fix="See accelerate_configs/.")
        layout = layout_of(file)
    wanted = devices or (world if world > 1 else layout.devices)
    if wanted < 1:
        raise InputError(f"is {wanted}", where="--devices", fix="Give a whole number of at least 1.")
    if layout.kind == "one" and wanted > 1:
        layout = layouts(wanted)[1]
    return layout if layout.kind == "one" else replace(layout, devices=wanted)


def _rows(recipe: Recipe, settings: ModelSettings, data: DataSettings) -> tuple[TrainingSet | None, str, list[str]]:
    """The rows, or None and the file or data set that is not to be had; and notes."""
    notes = []
    if recipe.mapping("quantization") and "bnb_4bit_quant_storage" not in recipe.mapping("quantization"):
        notes.append("fsdp2 and zero3 share 4-bit weights out only with quantization.bnb_4bit_quant_storage: bfloat16")
    paths = [as_source(entry).path for entry in data.files]
    files = [path for path in paths if Path(path).suffix in SUFFIXES or path.count("/") != 1]
    missing = next((path for path in files if not Path(path).expanduser().exists()), "")
    if missing:
        return None, missing, notes
    tokenizer, note = _tokenizer(settings.model_name_or_path)
    # Another model's turns are no special tokens to the embedded tokenizer; its own turns cost about as much.
    renderer = Renderer(tokenizer, None if note else template_text(settings))
    plain = replace(data, rendering="toolace", chat_template_kwargs={}) if note else data
    try:
        rows = load_training_set(plain, renderer, seed=recipe.seed)
    except InputError as error:
        if str(error.where) not in paths or str(error.where) in files:
            raise
        return None, str(error.where), notes  # a data set of the hub, and no network
    return rows, "", [*notes, note] if note else notes


def _tokenizer(name: str) -> tuple[Any, str]:
    """The model's tokenizer when it is on this machine, else the embedded model's and a note that says so."""
    from huggingface_hub import try_to_load_from_cache

    here = name == NAME or (architecture(name) is not None and name.startswith((".", "/")))
    cached = None if here or name.count("/") != 1 else try_to_load_from_cache(name, "tokenizer.json")
    if here:
        return load_tokenizer(locate(name)), ""
    if isinstance(cached, str):
        return load_tokenizer(name), ""
    note = f"tokens are counted with {NAME}'s tokenizer, since {name}'s is not on this machine: an estimate"
    return load_tokenizer(str(prepare())), note


def _work(
    recipe: Recipe, parameters: Parameters, rows: TrainingSet | None, timing: Schedule
) -> tuple[float | None, Work | None]:
    """How often the rows are passed over, and the operations of one pass."""
    if rows is None:
        return None, None
    train = recipe.mapping("train")
    passes = timing.epochs
    if train.get("max_steps", -1) > 0:
        passes = timing.steps * timing.global_batch / len(rows.trees)
    lengths = [len(tree.input_ids) for tree in rows.trees]
    return passes, work(parameters, lengths, rows.trained, bool(train.get("gradient_checkpointing", False)))


def _table(
    recipe: Recipe, parameters: Parameters, micro: Micro, timing: Schedule, own: Layout, card: Gpu
) -> list[MemoryRow]:
    wanted = bool(recipe.mapping("train").get("gradient_checkpointing", False))
    others = layouts(own.devices if own.devices > 1 else 8)
    every = [own if layout.name == own.name else layout for layout in others]
    table = []
    for layout in every:
        for checkpointing in (True, False):
            numbers = numerics_of(recipe, timing.accumulation, checkpointing)
            memory = micro.memory(parameters, numbers, layout)
            mine = layout.name == own.name and checkpointing == wanted
            table.append(MemoryRow(layout, checkpointing, memory, card.holds(memory.total), mine))
    return table
