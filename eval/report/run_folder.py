"""Reads what a run folder holds. Every part may be missing; the report then leaves it out and says so."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.rows import Row, read_json, read_rows

Verdicts = dict[str, dict[str, dict[str, Row]]]
Outputs = dict[str, dict[str, dict[str, str]]]


@dataclass
class RunFolder:
    """The parts of one run.

    Attributes:
        name: the folder's name.
        shown: the folder as it was typed, for the commands on the page.
        results: the object of `results.json`, or None.
        verdicts, outputs: verdict rows and raw texts by model, category and id.
        training: rows of the training log that hold a step and a loss.
        kept: verified dialogs, or None; `rejected`: rejected ones by rule.
        stages: name, seconds and counts of each finished stage, in order.
        commands: commands that the manifest names.
        versions: packages and their versions.
        missing: one sentence for each part that is not there.
    """

    name: str
    shown: str
    results: dict[str, Any] | None = None
    verdicts: Verdicts = field(default_factory=dict)
    outputs: Outputs = field(default_factory=dict)
    training: list[Row] = field(default_factory=list)
    kept: int | None = None
    rejected: Counter[str] = field(default_factory=Counter)
    stages: list[tuple[str, float, dict[str, Any]]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def protocol(self) -> str:
        """The benchmark protocol of the scores."""
        return _protocol(self.results)


def _protocol(results: dict[str, Any] | None) -> str:
    """The protocol that the scores name; all of a run's scores have the same."""
    rows = (results or {}).get("rows") or [{}]
    return str(rows[0].get("protocol") or "v4")


def read_run(folder: Path) -> RunFolder:
    """Reads a run folder.

    Raises:
        InputError: the folder is not there, or a file in it is broken (named with its line).
    """
    if not folder.is_dir():
        raise InputError("is not a run folder", where=folder, fix="Give a folder such as runs/demo.")
    name = folder.resolve().name
    run = RunFolder(name, folder.as_posix() if not folder.is_absolute() else name)
    _read_scores(run, folder)
    _read_training(run, folder)
    _read_data(run, folder)
    _read_manifest(run, folder)
    return run


def _read_scores(run: RunFolder, folder: Path) -> None:
    scores, verdicts, outputs = (folder / "eval" / name for name in ("results.json", "verdicts.jsonl", "result"))
    if scores.exists():
        run.results = read_json(scores)
        if not isinstance(run.results, dict) or not isinstance(run.results.get("rows"), list):
            raise InputError("holds no scores", where=scores, fix="Write it again with toolace score.")
        run.versions.update(run.results.get("versions") or {})
    else:
        run.missing.append("Benchmark scores: eval/results.json is not in the run folder.")
    if verdicts.exists():
        for number, row in read_rows(verdicts):
            if not all(isinstance(row.get(key), str) for key in ("model", "category", "id")):
                fix = "Write it again with toolace score."
                raise InputError("a verdict without model, category or id", where=f"{verdicts}:{number}", fix=fix)
            run.verdicts.setdefault(row["model"], {}).setdefault(row["category"], {})[row["id"]] = row
    for model, category, id_, text in _raw_outputs(outputs, run.protocol):
        run.outputs.setdefault(model, {}).setdefault(category, {})[id_] = text
    if not (run.verdicts and run.outputs):
        run.missing.append("Sample answers: eval/verdicts.jsonl or eval/result is not in the run folder.")


def _raw_outputs(folder: Path, protocol: str) -> Iterator[tuple[str, str, str, str]]:
    if not any(folder.rglob("*_result.json")):
        return
    from eval.bfcl.protocols import find_protocol
    from eval.bfcl.scoring import find_results

    for file in find_results(folder, find_protocol(protocol)):
        for _, row in read_rows(file.path):
            yield file.model, file.category.name, str(row.get("id")), _as_text(row.get("result"))


def _as_text(result: Any) -> str:
    """An answer of several turns one step a line, the turns set apart; anything else as it is."""
    if not isinstance(result, list):
        return str(result)
    turns = [turn if isinstance(turn, list) else [turn] for turn in result]
    return "\n\n".join("\n".join(map(str, turn)) for turn in turns)


def _read_training(run: RunFolder, folder: Path) -> None:
    path = folder / "train" / "log.jsonl"
    rows = [row for _, row in read_rows(path)] if path.exists() else []
    run.training = [row for row in rows if _finite(row.get("step")) and _finite(row.get("loss"))]
    if not run.training:
        run.missing.append("Training loss: train/log.jsonl is not in the run folder, or holds no loss.")


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _read_data(run: RunFolder, folder: Path) -> None:
    kept, rejected = folder / "verified.jsonl", folder / "rejected.jsonl"
    if kept.exists():
        run.kept = sum(1 for _ in read_rows(kept))
    if rejected.exists():
        for _, row in read_rows(rejected):
            verdict = row.get("verdict")
            run.rejected[str(verdict.get("rule")) if isinstance(verdict, dict) else "no rule given"] += 1
    if run.kept is None and not run.rejected:
        run.missing.append("Verification: verified.jsonl and rejected.jsonl are not in the run folder.")


def _read_manifest(run: RunFolder, folder: Path) -> None:
    path = folder / "manifest.json"
    manifest = read_json(path) if path.exists() else {}
    stages = manifest.get("stages") if isinstance(manifest, dict) else None
    if not isinstance(stages, dict) or not stages:
        run.missing.append("Time per stage: manifest.json is not in the run folder, or names no stage.")
        stages = {}
    for name, record in stages.items():
        if isinstance(record, dict) and _finite(record.get("seconds")):
            run.stages.append((str(name), float(record["seconds"]), dict(record.get("counts") or {})))
            run.versions.update(record.get("versions") or {})
            run.commands += [record["command"]] if isinstance(record.get("command"), str) else []
    if isinstance(manifest, dict):
        run.versions.update(manifest.get("versions") or {})
        run.commands += [command for command in manifest.get("commands") or [] if isinstance(command, str)]
