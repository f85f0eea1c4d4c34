"""Which checkpoint a run goes on from, and whose checkpoints those in its folder are."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.rows import write_json
from toolace.runs import Run

NOTE = "fingerprint.json"
# Files of this package that make weights of the rows; a checkpoint is not thrown away because a plan got another
# column. What makes the rows needs no place here: the facts hold a fingerprint of the rows themselves.
_CODE = (
    "attention.py",
    "callbacks.py",
    "model.py",
    "schedule.py",
    "sequences.py",
    "settings.py",
    "sft.py",
    "step_order.py",
    "trainer.py",
)
# What transformers, accelerate's FSDP and DeepSpeed call the states that a resumed run needs.
_STATES = {
    "optimizer": ("optimizer.*", "optimizer_*", "global_step*"),
    "scheduler": ("scheduler.pt", "global_step*"),
    "random numbers": ("rng_state*.pth",),
}


def training_code() -> str:
    """A fingerprint of the code that makes weights of the rows."""
    digest = hashlib.sha256()
    for name in _CODE:
        digest.update(name.encode() + b"\0" + (Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()[:16]


def last_checkpoint(run: Run, folder: Path, facts: Mapping[str, Any]) -> str | None:
    """The newest whole checkpoint of this very run, or None; half-written ones are removed.

    Args:
        run: the run folder.
        folder: where its checkpoints are.
        facts: everything that decides the weights.

    Raises:
        InputError: the checkpoints are of another recipe whose training is not finished: days of a GPU, perhaps; or
            the newest holds the weights alone.
    """
    facts = json.loads(json.dumps(facts, default=str))
    known = _read(folder / NOTE)
    whole = [path for path in _checkpoints(folder) if _read(path / "trainer_state.json") is not None]
    if known == facts:
        for path in _checkpoints(folder):
            if path not in whole:
                shutil.rmtree(path, ignore_errors=True)
        return _with_states(whole[-1]) if whole else None
    if whole and isinstance(known, dict) and not _is_finished(run, known):
        changed = ", ".join(_changes(known, facts))
        fix = f"Go on with the old values, name another folder with --out, or delete {folder} to begin anew."
        raise InputError(f"is a checkpoint of another recipe ({changed})", where=whole[-1], fix=fix)
    for path in _checkpoints(folder):
        shutil.rmtree(path, ignore_errors=True)
    (folder / "log.jsonl").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / NOTE, facts)
    return None


def _with_states(checkpoint: Path) -> str:
    """The checkpoint; without these states warm-up, moments and dropout would begin anew, and nobody would be told."""
    missing = [name for name, files in _STATES.items() if not any(any(checkpoint.glob(file)) for file in files)]
    if missing:
        what = f"holds no state of {', '.join(missing)}, so no run can go on from it as if it had not stopped"
        fix = "Delete this folder to go on from the checkpoint before it, or to begin anew when it is the only one."
        raise InputError(what, where=checkpoint, fix=fix)
    return str(checkpoint)


def _checkpoints(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("checkpoint-*") if path.name.split("-")[1].isdigit()]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]))


def _is_finished(run: Run, facts: Mapping[str, Any]) -> bool:
    """Whether the training that made the checkpoints has an adapter, so that they have done their work."""
    record = run.manifest["stages"].get("train")
    return bool(record) and record.get("settings") == facts.get("settings")


def _read(path: Path) -> Any:
    """The JSON of a file; None when it is not there or torn. transformers writes trainer_state.json last."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _changes(before: Mapping[str, Any], now: Mapping[str, Any], most: int = 4) -> Iterator[str]:
    """`train.learning_rate is 0.001, was 0.0001`: what differs, the first few."""
    old, new = dict(_leaves(before)), dict(_leaves(now))
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    for key in changed[:most]:
        yield f"{key} is {_short(new.get(key))}, was {_short(old.get(key))}"
    if len(changed) > most:
        yield f"and {len(changed) - most} more"


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            # The sections of the recipe stand under `settings`.
            yield from _leaves(inner, f"{name}.{key}" if name and name != "settings" else str(key))
    else:
        yield name, value


def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
