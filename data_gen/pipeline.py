"""The data pipeline: documents -> tools -> dialogs -> verified dialogs -> training rows, each stage a file on disk."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from data_gen.dialog_generation.generation import generate
from data_gen.documents import aws, everyday, google
from data_gen.documents.document import Document
from data_gen.settings import GenerateSettings, ToolSettings, plain
from data_gen.tool_synthesis.benchmark import benchmark_requests
from data_gen.tool_synthesis.pool import build_pool, read_pool, write_pool
from data_gen.verification.verdict import Verdict
from data_gen.verification.verify import verify_file
from toolace import Dialog, InputError, read_dialogs, write_dialogs
from toolace.formats import to_toolace
from toolace.rows import read_rows, write_rows
from toolace.runs import Run, code_digest, versions

# What is installed decides the tools, the prompts and the decontamination.
CORPORA = ("botocore", "google-api-python-client", "bfcl-eval")


def _code() -> list[str]:
    """Fingerprints of the code that decides what the files hold."""
    return [code_digest("data_gen"), code_digest("toolace")]


def make_tools(run: Run, settings: ToolSettings, seed: int) -> dict[str, Any]:
    """TSS: `tools.jsonl` and `rejected_tools.jsonl`."""

    def work() -> dict[str, int]:
        counts = write_pool(run.folder, *build_pool(documents(settings, seed)))
        return {str(key): int(value) for key, value in counts.items()}

    facts = {"tools": plain(settings), "seed": seed, "corpora": versions(CORPORA), "code": _code()}
    return run.stage("tools", work, settings=facts, outputs=["tools.jsonl", "rejected_tools.jsonl"])


def documents(settings: ToolSettings, seed: int) -> Iterator[Document]:
    """The documents the settings name: everyday ones first, then a sample of each service."""
    if settings.everyday:
        yield from everyday.read()
    services: dict[str, list[Document]] = defaultdict(list)
    for document in chain(
        aws.read(settings.aws, seed=seed) if settings.aws else (),
        google.read(settings.google, seed=seed) if settings.google else (),
    ):
        services[f"{document.source['package']}/{document.title}"].append(document)
    for name, found in services.items():
        chosen = random.Random(f"{seed}/{name}").sample(range(len(found)), min(settings.per_service, len(found)))
        yield from (found[i] for i in sorted(chosen))


def make_dialogs(run: Run, settings: GenerateSettings, seed: int) -> dict[str, Any]:
    """SDG: `dialogs.jsonl`, from the run's `tools.jsonl`."""
    pool = run.folder / "tools.jsonl"

    def work() -> dict[str, Any]:
        counts: Counter[str] = Counter()

        def counted() -> Iterator[Dialog]:
            for dialog in generate(read_pool(pool), settings.dialogs, seed):
                counts[dialog.type] += 1
                yield dialog

        total = write_dialogs(run.folder / "dialogs.jsonl", counted())
        return {"made": total, "types": dict(counts)}

    facts = {"dialogs": plain(settings.dialogs), "seed": seed, "corpora": versions(CORPORA), "code": _code()}
    return run.stage("dialogs", work, settings=facts, inputs=[pool], outputs=["dialogs.jsonl"])


def make_verified(run: Run) -> dict[str, Any]:
    """DLV: `verified.jsonl` and `rejected.jsonl`; dialogs whose requests stand in a benchmark are rejected too."""
    dialogs = run.folder / "dialogs.jsonl"

    def work() -> dict[str, Any]:
        counts = verify_file(dialogs, run.folder)
        return _without_benchmark(run.folder, counts)

    facts = {"corpora": versions(CORPORA), "code": _code()}
    return run.stage("verify", work, settings=facts, inputs=[dialogs], outputs=["verified.jsonl", "rejected.jsonl"])


def _without_benchmark(folder: Path, counts: dict[str, Any]) -> dict[str, Any]:
    """Moves verified dialogs that share wording with a benchmark question to the rejected ones."""
    known = benchmark_requests()
    kept, moved = [], []
    for dialog in read_dialogs(folder / "verified.jsonl"):
        # One by one: two turns of a dialog are no run of words, and a short question is only found whole.
        said = (message.content for message in dialog.messages if message.role == "user")
        evidence = next(filter(None, map(known.overlaps, said)), None)
        if evidence:
            verdict = Verdict.reject("decontamination.request", evidence, "user")
            moved.append({**dialog.to_json(), "verdict": verdict.to_json()})
        else:
            kept.append(dialog)
    if moved:
        rejected = [row for _, row in read_rows(folder / "rejected.jsonl")]
        write_rows(folder / "rejected.jsonl", [*rejected, *moved])
        write_dialogs(folder / "verified.jsonl", kept)
        counts["rules"] = {**counts["rules"], "decontamination.request": len(moved)}
    counts["kept"], counts["rejected"] = counts["kept"] - len(moved), counts["rejected"] + len(moved)
    assert counts["in"] == counts["kept"] + counts["rejected"]
    return counts


def make_dataset(run: Run, settings: GenerateSettings) -> dict[str, Any]:
    """`train.jsonl`: verified dialogs in ToolACE form."""
    verified = run.folder / "verified.jsonl"

    def work() -> dict[str, int]:
        rows = (to_toolace(_shown(dialog, settings)) for dialog in read_dialogs(verified))
        count = write_rows(run.folder / "train.jsonl", rows)
        if not count:
            fix = "Read rejected.jsonl for the reasons, and change generate.dialogs."
            raise InputError("no dialog passed verification", where=run.folder / "rejected.jsonl", fix=fix)
        return {"rows": count}

    facts = {"dataset": plain(settings.dataset), "code": _code()}
    return run.stage("dataset", work, settings=facts, inputs=[verified], outputs=["train.jsonl"])


def _shown(dialog: Dialog, settings: GenerateSettings) -> Dialog:
    if settings.dataset.show_returns:
        return dialog
    return replace(dialog, tools=tuple(replace(tool, returns=None) for tool in dialog.tools))


def run_pipeline(run: Run, settings: GenerateSettings, seed: int) -> dict[str, dict[str, Any]]:
    """All stages in order; finished ones are not done again. Returns each stage's record."""
    return {
        "tools": make_tools(run, settings.tools, seed),
        "dialogs": make_dialogs(run, settings, seed),
        "verify": make_verified(run),
        "dataset": make_dataset(run, settings),
    }
