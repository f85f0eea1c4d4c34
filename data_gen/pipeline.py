"""The data pipeline: documents -> tools -> dialogs -> verified dialogs -> training rows, each stage a file on disk."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_gen.dataset import make_dataset
from data_gen.decontamination import folders, reject_overlaps
from data_gen.dialog_generation.generation import write_offline
from data_gen.dialog_generation.guided_offline import write_guided
from data_gen.settings import GenerateSettings, ToolSettings, plain
from data_gen.tool_synthesis.pool import read_pool
from data_gen.tool_synthesis.synthesis import OUTPUTS, build
from data_gen.verification.verify import verify_file
from toolace import InputError
from toolace.rows import sha256
from toolace.runs import Run, code_digest, command_line, versions

VERIFIED = (
    "verified.jsonl", "rejected.jsonl", "ledger.json", "ledger.md", "ledger.svg", "decontamination.json",
    "decontamination.md",
)  # fmt: skip
# What is installed decides the tools, the prompts and the decontamination.
CORPORA = ("botocore", "google-api-python-client", "bfcl-eval")


def _code() -> list[str]:
    """Fingerprints of the code that decides what the files hold."""
    return [code_digest("data_gen"), code_digest("toolace")]


def make_tools(run: Run, settings: ToolSettings, seed: int) -> dict[str, Any]:
    """TSS: `tools.jsonl`, `rejected_tools.jsonl`, `tree.json`, and the report with its treemap."""
    settings.check()
    facts = {
        "tools": plain(settings), "seed": seed, "corpora": versions((*CORPORA, *settings.docstrings)), "code": _code(),
        "files": {place: _digest(Path(place)) for place in settings.files},
    }  # fmt: skip

    def work() -> dict[str, Any]:
        return build(run, settings, seed, facts)

    outputs = [*OUTPUTS, *(("proposals.jsonl",) if settings.llm else ())]
    known = run.finished("tools", settings=facts, outputs=outputs)
    if known and known["counts"].get("unfinished"):
        # A server that failed or a budget that was spent left questions open: they are asked now, the others are not.
        start = time.monotonic()
        return run.record("tools", work(), time.monotonic() - start, settings=facts, outputs=outputs)
    return run.stage("tools", work, settings=facts, outputs=outputs)


def _digest(place: Path) -> str:
    """What tells whether documents have changed: a file's content; names, sizes and times of a folder's files.

    An address has no digest: what it answered once stands until another run folder is taken.
    """
    if place.is_file():
        return sha256(place)
    if not place.is_dir():
        return ""
    found = sorted((str(path), path.stat()) for path in place.rglob("*") if path.is_file())
    facts = [(name, status.st_size, status.st_mtime_ns) for name, status in found]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def make_dialogs(run: Run, settings: GenerateSettings, seed: int) -> dict[str, Any]:
    """SDG: `dialogs.jsonl`, from the run's `tools.jsonl`; with language models `rejected_dialogs.jsonl` too."""
    if settings.dialogs.players == "llm":
        return _make_llm_dialogs(run, settings, seed)
    pool = run.folder / "tools.jsonl"

    def work() -> dict[str, Any]:
        tools, dialogs = read_pool(pool), settings.dialogs
        if dialogs.guidance is not None:
            return write_guided(run.folder, tools, dialogs, seed, _scorer(dialogs.guidance.model))
        return write_offline(run.folder / "dialogs.jsonl", tools, dialogs, seed)

    facts = {"dialogs": plain(settings.dialogs), "seed": seed, "corpora": versions(CORPORA), "code": _code()}
    return run.stage("dialogs", work, settings=facts, inputs=[pool], outputs=["dialogs.jsonl"])


def _scorer(model: str) -> Any:
    from data_gen.dialog_generation.local_scorer import LocalScorer  # torch is for those who score

    return LocalScorer(model)


def _make_llm_dialogs(run: Run, settings: GenerateSettings, seed: int) -> dict[str, Any]:
    from data_gen.dialog_generation import llm_generation  # its HTTP client is for those who use it

    pool = run.folder / "tools.jsonl"
    facts = {
        "dialogs": llm_generation.deciding(plain(settings.dialogs)), "seed": seed, "corpora": versions(CORPORA),
        "code": _code(),
    }  # fmt: skip

    def work() -> dict[str, Any]:
        fingerprint = run.fingerprint(facts, [pool])
        guidance = settings.dialogs.guidance
        scorer = None if guidance is None else _scorer(guidance.model)
        tools = read_pool(pool)
        return llm_generation.make_llm_dialogs(run.folder, tools, settings.dialogs, seed, fingerprint, scorer)

    return run.stage("dialogs", work, settings=facts, inputs=[pool], outputs=list(llm_generation.OUTPUTS))


def make_verified(run: Run, settings: GenerateSettings) -> dict[str, Any]:
    """DLV: `verified.jsonl`, `rejected.jsonl` and the ledger; what overlaps with a benchmark is rejected too."""
    dialogs = run.folder / "dialogs.jsonl"

    def work() -> dict[str, Any]:
        counts = verify_file(dialogs, run.folder, ledger=True)
        return reject_overlaps(run.folder, counts, settings.decontamination.data)

    facts = {
        "corpora": versions(CORPORA), "code": _code(), "decontamination": plain(settings.decontamination),
        # Earlier versions of BFCL count from when they were downloaded.
        "benchmarks": [folder.name for folder in folders(settings.decontamination.data)],
    }  # fmt: skip
    return run.stage("verify", work, settings=facts, inputs=[dialogs], outputs=list(VERIFIED))


def make_training_set(run: Run, settings: GenerateSettings, seed: int) -> dict[str, Any]:
    """`train.jsonl` in ToolACE form, the splits and formats of the plan as Parquet, and the data card."""
    verified = run.folder / "verified.jsonl"
    splits = ["train", *(name for name in ("validation", "test") if getattr(settings.dataset, name))]
    parquet = [f"{form}/{split}.parquet" for form in settings.dataset.formats for split in splits]
    files = [*(f"{split}.jsonl" for split in splits), "left_out.jsonl", "README.md", *parquet]

    def work() -> dict[str, Any]:
        with verified.open("rb") as stream:
            if not stream.read(1):
                fix = "Read rejected.jsonl for the reasons, and change generate.dialogs."
                raise InputError("no dialog passed verification", where=run.folder / "rejected.jsonl", fix=fix)
        facts = {
            "name": run.folder.name, "command": _command(sys.argv),
            "recipe": {"seed": seed, "generate": _published(plain(settings))},
        }  # fmt: skip
        return make_dataset([verified], run.folder, settings.dataset, seed=seed, facts=facts)

    facts = {"dataset": plain(settings.dataset), "seed": seed, "code": _code()}
    inputs = [verified, run.folder / "ledger.json", run.folder / "decontamination.json"]
    return run.stage("dataset", work, settings=facts, inputs=inputs, outputs=files)


def _command(argv: Sequence[str]) -> str:
    """The command that made the data set, with any folder of its own: the same rows have the same card."""
    words = list(argv)
    for i, word in enumerate(words):
        if word == "--out" and i + 1 < len(words):
            words[i + 1] = "FOLDER"
        elif word.startswith("--out="):
            words[i] = "--out=FOLDER"
    return command_line(words)


# Where a server stands and which variable holds its key is nobody's business but the maker's.
_PRIVATE = ("base_url", "api_key_env", "headers", "proxy")


def _published(settings: Any) -> Any:
    """Settings as the card shows them: without what is not set, and without the maker's servers."""
    if isinstance(settings, Mapping):
        shown = {key: _published(value) for key, value in settings.items() if key not in _PRIVATE}
        return {key: value for key, value in shown.items() if value is not None}
    return [_published(value) for value in settings] if isinstance(settings, (list, tuple)) else settings


def run_pipeline(run: Run, settings: GenerateSettings, seed: int) -> dict[str, dict[str, Any]]:
    """All stages in order; finished ones are not done again. Returns each stage's record."""
    return {
        "tools": make_tools(run, settings.tools, seed),
        "dialogs": make_dialogs(run, settings, seed),
        "verify": make_verified(run, settings),
        "dataset": make_training_set(run, settings, seed),
    }
