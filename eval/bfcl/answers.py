"""Answers: one model's result files in a run folder, asked for once, question by question, resumable after a kill."""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from eval.asking import AnswerModel, Dialog
from eval.bfcl.categories import AGENTIC, MULTI_TURN
from eval.bfcl.data import Data, Prompt
from eval.bfcl.generation import Apis, make_dialog
from eval.bfcl.memory import Memories, told_path
from eval.settings import EvaluateSettings
from toolace.embedded import resolve_model
from toolace.rows import Row, RowLog, read_rows, sha256, write_json, write_rows
from toolace.runs import versions

# Settings that do not change an answer, or that `_facts` holds in another form.
_NO_FACTS = ("models", "categories", "limit", "data_folder")
_NO_SERVER_FACTS = ("api_key_env", "concurrency", "timeout")
# What a model on a server knows nothing of.
_LOCAL_FACTS = ("batch_size", "dtype", "vllm")
# Multi-turn dialogs open at a time, in batches: enough to fill batches of similar length, few to be lost by a kill.
BATCHES_OPEN = 4


class Answers:
    """What one model answers.

    Args:
        settings: with the categories named one by one.
        data: the questions.
        folder: the run folder; answers are in `eval/result` below it.
        name: the model's name in tables.
        model: where it is.
        seed: of the sample of questions.
    """

    def __init__(self, settings: EvaluateSettings, data: Data, folder: Path, name: str, model: str, seed: int) -> None:
        self.settings, self.data, self.folder, self.name, self.model = settings, data, folder, name, model
        self.chosen = {c: sample(data, c, settings.limit.get(c), seed) for c in settings.categories}
        self.paths = {c: data.category(c).path(folder / "eval" / "result", name) for c in settings.categories}
        # Conversations that fill a memory before it is asked about.
        self.told = {
            c: told_path(path, data.category(c)) for c, path in self.paths.items() if data.category(c).kind == AGENTIC
        }

    @property
    def files(self) -> list[str]:
        """The result files, relative to the run folder."""
        return [str(path.relative_to(self.folder)) for path in self.paths.values()]

    @property
    def facts(self) -> dict[str, Any]:
        """Everything that decides the answers: two generations with the same facts are the same generation."""
        return {**self._facts(), "asked": {name: _digest(ids) for name, ids in self.chosen.items()}}

    def _facts(self) -> dict[str, Any]:
        facts = {key: value for key, value in asdict(self.settings).items() if key not in _NO_FACTS}
        facts["server"] = {key: value for key, value in facts["server"].items() if key not in _NO_SERVER_FACTS}
        weights: list[Path] = []
        packages: tuple[str, ...] = ("bfcl-eval",)
        if self.settings.backend == "server":
            facts = {key: value for key, value in facts.items() if key not in _LOCAL_FACTS}
        else:
            packages = ("torch", "transformers", "vllm", "bfcl-eval")
            place = Path(resolve_model(self.model))
            weights = sorted(place.glob("*.safetensors")) if place.is_dir() else []
        return {
            **facts,
            "model": self.model,
            "weights": {path.name: sha256(path) for path in weights},
            "packages": versions(packages),
        }

    def ask(self) -> dict[str, int]:
        """Asks what is not answered yet, each answer on disk as soon as it is there; returns counts.

        Raises:
            InputError: the model cannot be loaded or asked; what was answered stays and is not asked again.
        """
        self._start_over_if_changed()
        logs = {c: RowLog(path) for c, path in self.paths.items()}
        wanted = {c: set(ids) - logs[c].seen for c, ids in self.chosen.items()}
        try:
            self._ask_all(wanted, logs)
        finally:
            for log in logs.values():
                log.close()
        cut_off = 0
        for c, path in self.paths.items():
            order = {id_: i for i, id_ in enumerate(self.chosen[c])}
            rows = sorted((row for _, row in read_rows(path)), key=lambda row: order[row["id"]])
            cut_off += sum(_longest(row) >= self.settings.max_new_tokens for row in rows)
            write_rows(path, rows)
        return {"asked": sum(map(len, self.chosen.values())), "cut_off": cut_off}

    def _ask_all(self, wanted: Mapping[str, set[str]], logs: Mapping[str, RowLog]) -> None:
        native = self.settings.mode == "native"
        missing = [(c, p) for c, ids in wanted.items() if ids for p in self.data.prompts(c, native, only=ids)]
        total = sum(map(len, self.chosen.values()))
        open_ = sum(map(len, wanted.values()))
        with tqdm(total=total, initial=total - open_, desc=f"answers of {self.name}", unit="answer") as bar:
            if not open_:
                return
            backend, apis = open_model(self.settings, self.model), Apis()
            try:
                for several in (False, True):
                    part = [(c, p) for c, p in missing if (self.data.category(c).kind == MULTI_TURN) == several]
                    at_once = BATCHES_OPEN * self.settings.batch_size if several else None
                    dialogs = self._dialogs(part, native, apis)
                    for rows in backend.lead(dialogs, self.settings.max_new_tokens, at_once):
                        for c in logs:
                            logs[c].append([row for category, row in rows if category == c])
                        bar.update(len(rows))
                self._ask_memories(wanted, logs, backend, apis, bar)
            finally:
                apis.close()

    def _ask_memories(
        self,
        wanted: Mapping[str, set[str]],
        logs: Mapping[str, RowLog],
        backend: AnswerModel,
        apis: Apis,
        bar: Any,
    ) -> None:
        settings = self.settings
        memories = Memories(
            self.data, settings.mode == "native", settings.tool_role, backend, apis, settings.max_new_tokens,
            BATCHES_OPEN * settings.batch_size,
        )  # fmt: skip
        for c in self.told:
            if wanted[c]:
                for rows in memories.ask(c, wanted[c], self.told[c]):
                    logs[c].append(rows)
                    bar.update(len(rows))

    def _dialogs(
        self, part: Sequence[tuple[str, Prompt]], native: bool, apis: Apis
    ) -> Iterable[Dialog[tuple[str, Row]]]:
        for category, prompt in part:
            dialog = make_dialog(self.data, category, prompt, native, self.settings.tool_role, apis)
            yield _with_category(category, dialog)

    def _start_over_if_changed(self) -> None:
        """Answers of another model or setting, or from elsewhere, are put aside; of the same one they are kept.

        So are answers to questions that are in another sample: what was asked is not asked again.
        """
        note = self.folder / "eval" / "result" / self.name.replace("/", "_") / "generation.json"
        facts = json.loads(json.dumps({**self._facts(), "asked": {}}, default=str))
        same = {**_noted(note), "asked": {}} == facts
        for path in () if same else (*self.told.values(), *self.paths.values()):
            if path.is_file():
                _put_aside(path)
        for c, path in self.paths.items():
            if path.is_file():
                self._keep_chosen(c, path)
        facts["asked"] = {**(_noted(note).get("asked") or {} if same else {})}
        facts["asked"] |= {c: _digest(ids) for c, ids in self.chosen.items()}
        write_json(note, facts)

    def _keep_chosen(self, category: str, path: Path) -> None:
        """Leaves only answers to the questions that are asked; whoever wants the others finds the whole file beside."""
        log = RowLog(path)  # cuts off a line that a kill left half
        log.close()
        wanted = set(self.chosen[category])
        if log.seen <= wanted:
            return
        rows = [row for _, row in read_rows(path) if row.get("id") in wanted]
        _put_aside(path)
        write_rows(path, rows)


def _noted(note: Path) -> dict[str, Any]:
    """What was written when the model was asked last; nothing when that cannot be read."""
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _put_aside(path: Path) -> None:
    """Renames answers that are not of this generation, and says so: they may have cost money."""
    number = 1
    while (aside := path.with_name(f"{path.name}.{number}.bak")).exists():
        number += 1
    path.rename(aside)
    print(f"toolace: answers of another model, setting or sample are kept as {aside}", file=sys.stderr)


def _with_category(category: str, dialog: Dialog[Row]) -> Dialog[tuple[str, Row]]:
    row = yield from dialog
    return category, row


def _longest(row: Row) -> float:
    """The most tokens of any step of an answer."""
    counts = row.get("output_token_count", 0)
    if not isinstance(counts, list):
        return float(counts)
    return max((count for turn in counts for count in turn), default=0)


def _digest(ids: Sequence[str]) -> str:
    """A short fingerprint of which questions are asked."""
    return hashlib.sha256(json.dumps(list(ids)).encode()).hexdigest()[:16]


def sample(data: Data, category: str, limit: int | None, seed: int) -> list[str]:
    """Ids of the questions to ask, in the official order: all of them, or a sample that depends on the seed alone."""
    ids = [row["id"] for row in data.questions(category)]
    if limit is None or limit >= len(ids):
        return ids
    kept = set(random.Random(f"{seed}/{category}").sample(ids, limit))
    return [id_ for id_ in ids if id_ in kept]


def open_model(settings: EvaluateSettings, model: str) -> AnswerModel:
    """The backend that the settings name, ready to be asked.

    Raises:
        InputError: it is not installed, or the model cannot be loaded.
    """
    if settings.backend == "server":
        from eval.server_model import ServerModel

        return ServerModel(model, settings.server, settings.temperature)
    if settings.backend == "vllm":
        from eval.vllm_model import VllmModel

        return VllmModel(model, settings.dtype, settings.temperature, settings.vllm)
    from eval.models import LocalModel

    return LocalModel(model, settings.dtype, settings.batch_size)
