"""Candidates: the tools that the documents of every source make, judged one by one, a file for each share of the work.

Reading the corpora is most of the work of a large pool, so shares are read in several processes, and a share that is
finished is not read again after a crash.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_gen.documents import aws, docstrings, everyday, google, home_assistant, local, openapi_directory
from data_gen.documents.document import Document
from data_gen.documents.licences import is_permissive
from data_gen.documents.loading import Report, told
from data_gen.documents.markdown import is_passage
from data_gen.settings import ToolSettings
from data_gen.tool_synthesis.adaptation import to_tool
from data_gen.tool_synthesis.gates import GATES, OWN_GATES, BenchmarkGate, Gate, judge
from data_gen.tool_synthesis.speciation import Leaf
from data_gen.verification.verdict import Verdict
from toolace import InputError, Tool
from toolace.rows import read_rows, write_rows
from toolace.runs import Run

# Publishers whose APIs are so many that they would be most of any pool.
VENDORS = frozenset(("botocore", "google-api-python-client", "azure.com", "microsoft.com", "windows.net"))
# The largest corpus is read in so many shares.
SHARES = 6
FOLDER = "candidates"
# Services of a corpus up to which one process reads everything.
SMALL = 50


# Shares of a user's own documents; what one wrote oneself is judged more leniently than a stranger's corpus.
_OWN = "files-"


@dataclass(frozen=True)
class Candidate:
    """A tool that passed the gates, and what speciation needs to know of it."""

    tool: Tool
    leaf: Leaf


Reader = Callable[[Report], Iterator[Document]]


def sources(settings: ToolSettings, seed: int) -> dict[str, Reader]:
    """Name -> reader of each share that the settings ask for, in the order of preference.

    Raises:
        InputError: a setting that no source understands.
    """
    found: dict[str, Reader] = {}
    draw = partial(drawn, settings, seed)
    for number, place in enumerate(settings.files):
        found[f"{_OWN}{number}"] = partial(local.read_path, place)
    if settings.everyday:
        found["everyday"] = lambda report: everyday.read()
    if settings.home_assistant:
        found["home_assistant"] = home_assistant.read
    if settings.docstrings:
        found["docstrings"] = partial(docstrings.read_packages, list(settings.docstrings))
    if settings.openapi_directory:
        for share in range(SHARES):
            found[f"openapi_directory-{share}"] = partial(
                openapi_directory.read,
                limit_providers=_wanted(settings.openapi_directory),
                seed=seed,
                share=(share, SHARES),
                draw=draw,
            )
    if settings.aws:
        found["aws"] = lambda report: aws.read(_wanted(settings.aws), seed=seed, draw=draw)
    if settings.google:
        found["google"] = lambda report: google.read(_wanted(settings.google), seed=seed, draw=draw)
    return found


def _wanted(value: int | str | Any) -> Any:
    """What the readers take: None for all, a count, or names."""
    return None if value == "all" else value


def drawn(settings: ToolSettings, seed: int, publisher: str, title: str, count: int) -> Sequence[int]:
    """Which operations of a service are read at all: what a sample will not hold need not be converted."""
    most = min(_most(publisher, settings), count)
    return sorted(random.Random(f"{seed}/{publisher}/{title}").sample(range(count), most))


def sampled(documents: Iterable[Document], settings: ToolSettings, seed: int) -> Iterator[Document]:
    """At most so many documents of each service, drawn by the seed; services in the order in which they come."""
    services: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        services[service_of(document)].append(document)
    for name, found in services.items():
        source = found[0].source
        most = _most(source.get("provider") or source["package"], settings)
        chosen = random.Random(f"{seed}/{name}").sample(range(len(found)), min(most, len(found)))
        yield from (found[i] for i in sorted(chosen))


def service_of(document: Document) -> str:
    """Key of the service a document belongs to."""
    source = document.source
    return f"{source.get('provider') or source['package']}/{document.title}"


def _most(publisher: str, settings: ToolSettings) -> int:
    if publisher == everyday.PACKAGE:
        return 1_000_000
    return settings.per_service if publisher in VENDORS else settings.per_other_service


def gather(run: Run, settings: ToolSettings, seed: int, facts: dict[str, Any]) -> dict[str, int]:
    """Makes every share's files in the folder `candidates`, in several processes; finished shares are left alone.

    Args:
        run: the run folder.
        settings: which sources to read.
        seed: decides what is drawn of a service.
        facts: everything else that decides the result, for the manifest.

    Returns:
        Counts over all shares: documents, candidates, rejected, problems.

    Raises:
        InputError: a source cannot be read at all.
    """
    shares = list(sources(settings, seed))
    (run.folder / FOLDER).mkdir(exist_ok=True)
    todo = [name for name in shares if not run.finished(f"documents {name}", settings=facts, outputs=_files(name))]
    with tqdm(total=len(todo), desc="documents", unit="share", disable=not todo) as bar:
        for name, (seconds, counts) in _read(todo, settings, seed, run.folder / FOLDER):
            run.record(f"documents {name}", counts, seconds, settings=facts, outputs=_files(name))
            bar.update()
    stages = run.manifest["stages"]
    found = [stages[f"documents {name}"]["counts"] for name in shares]
    return {key: sum(counts[key] for counts in found) for key in ("documents", "candidates", "rejected", "problems")}


def _read(
    todo: Sequence[str], settings: ToolSettings, seed: int, folder: Path
) -> Iterator[tuple[str, tuple[float, dict[str, int]]]]:
    """Shares and what came of them; in processes of their own when there is enough to read to pay for starting them."""
    sizes = (settings.aws, settings.google, settings.openapi_directory)
    if not any(size == "all" or (isinstance(size, int) and size > SMALL) for size in sizes):
        yield from ((name, _share(name, settings, seed, folder)) for name in todo)
        return
    count = max(1, min(len(todo), os.cpu_count() or 1))
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as processes:
        jobs = {name: processes.submit(_share, name, settings, seed, folder) for name in todo}
        yield from ((name, job.result()) for name, job in jobs.items())


def _files(name: str) -> list[str]:
    return [f"{FOLDER}/{name}{part}.jsonl" for part in ("", ".rejected", ".problems")]


def _share(name: str, settings: ToolSettings, seed: int, folder: Path) -> tuple[float, dict[str, int]]:
    """Reads one share and writes its candidates, rejected tools and problems; runs in a process of its own."""
    from time import monotonic

    start = monotonic()
    problems: list[InputError] = []
    reader = sources(settings, seed)[name]
    gate = BenchmarkGate()
    kept: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for document in sampled(reader(problems.append), settings, seed):
        if is_passage(document):
            continue
        tool = to_tool(document)
        verdict = _judged(tool, settings, gate, OWN_GATES if name.startswith(_OWN) else GATES)
        if verdict.kept:
            kept.append({"tool": tool.to_json(), "leaf": asdict(leaf_of(document, tool))})
        else:
            rejected.append({**tool.to_json(), "verdict": verdict.to_json()})
    stem = folder / name
    write_rows(f"{stem}.jsonl", kept)
    write_rows(f"{stem}.rejected.jsonl", rejected)
    lines = told(problems)
    write_rows(f"{stem}.problems.jsonl", ({"problem": line} for line in lines))
    counts = {
        "documents": len(kept) + len(rejected), "candidates": len(kept), "rejected": len(rejected),
        "problems": len(lines),
    }  # fmt: skip
    return monotonic() - start, counts


def _judged(tool: Tool, settings: ToolSettings, benchmark: BenchmarkGate, gates: Sequence[Gate]) -> Verdict:
    if settings.licence == "permissive" and not is_permissive(tool.licence):
        return Verdict.reject("tool.licence", f"{tool.licence or 'no licence'} is stated, no permissive one", "licence")
    return judge(tool, (*gates, benchmark))


def leaf_of(document: Document, tool: Tool) -> Leaf:
    """What speciation needs to know of a document."""
    source = document.source
    categories = (part.strip() for part in source.get("category", "").split(","))
    telling = (part for part in categories if part.lower() not in _IDLE_CATEGORIES)
    about = " ".join((document.title, _IDLE_HOSTS.sub(" ", source.get("provider", "")), *telling))
    topic = source.get("tag") or (document.path[-1] if len(document.path) > 1 else "")
    title = " ".join(_IDLE_TITLE.sub(" ", about.replace(".", " ")).split())
    return Leaf(service_of(document), title or document.title, topic, f"{tool.name} {tool.description}")


# What titles, hosts and categories say of no topic: that it is an API, whose it is, who hosts its page, and the
# categories that a collection gives by default.
_IDLE_TITLE = re.compile(
    r"\b(?:rest|apis?|swagger|openapi|specifications?|json|docs?|v\d+|amazon|aws|google|azure|microsoft)\b",
    re.IGNORECASE,
)
_IDLE_HOSTS = re.compile(r"\b(?:github\.io|local|com|org|net|io|gov|apisetu)\b")
_IDLE_CATEGORIES = frozenset(("open data", "developer tools", "cloud", "enterprise", "analytics", "tools", "hosting"))


def read_candidates(run: Run, settings: ToolSettings, seed: int) -> Iterator[Candidate]:
    """All candidates, in the order of preference of their sources."""
    times: Counter[str] = Counter()
    for name in sources(settings, seed):
        for _, row in read_rows(run.folder / FOLDER / f"{name}.jsonl"):
            tool = Tool.from_json(row["tool"])
            times[tool.id] += 1
            # Two editions of a description may name an operation alike; a row's id is its own.
            if times[tool.id] > 1:
                tool = replace(tool, id=f"{tool.id}#{times[tool.id]}")
            yield Candidate(tool, Leaf(**row["leaf"]))


def read_rejected(run: Run, settings: ToolSettings, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of all tools that a gate rejected by themselves."""
    names = sources(settings, seed)
    return chain.from_iterable((row for _, row in read_rows(run.folder / FOLDER / f"{name}.rejected.jsonl")) for name in names)  # fmt: skip  # noqa: E501


def read_problems(run: Run, settings: ToolSettings, seed: int) -> Iterator[str]:
    """One line for each document that could not be read."""
    for name in sources(settings, seed):
        for _, row in read_rows(run.folder / FOLDER / f"{name}.problems.jsonl"):
            yield str(row["problem"])
