"""Tool self-evolution synthesis as a whole: documents -> candidates -> places in the tree -> pool (paper Sec. 2.1)."""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_gen.settings import ToolSettings, plain
from data_gen.tool_synthesis.balance import Pool, fill, place
from data_gen.tool_synthesis.candidates import Candidate, gather, read_candidates, read_problems, read_rejected
from data_gen.tool_synthesis.figures import figures_of
from data_gen.tool_synthesis.paraphrases import without_paraphrases
from data_gen.tool_synthesis.pool import Rejected, distinct
from data_gen.tool_synthesis.report import report_of
from data_gen.tool_synthesis.subtrees import Node
from data_gen.tool_synthesis.taxonomy import SubDomain, taxonomy
from data_gen.tool_synthesis.tree import tree_of
from data_gen.tool_synthesis.treemap import treemap
from data_gen.verification.verdict import Verdict
from toolace import InputError, Tool
from toolace.rows import Row, write_json, write_rows, write_text
from toolace.runs import Run

if TYPE_CHECKING:
    from data_gen.tool_synthesis.llm_players import LlmPlayers

REJECTED = "rejected_tools.jsonl"
OUTPUTS = ("tools.jsonl", REJECTED, "tree.json", "pool.json", "report.md", "treemap.svg")
# Paraphrases are found once the pool is full; so many more tools are taken that it is full without them.
SPARE = 1.06


def build(run: Run, settings: ToolSettings, seed: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Builds the pool and writes `OUTPUTS` into the run folder.

    Args:
        run: the run folder; finished shares of the documents in it are not read again.
        settings: which documents, and what pool.
        seed: decides everything that is drawn.
        facts: what else decides the result, for the manifest.

    Returns:
        Counts: in = kept + rejected; evolved proposals count as in.

    Raises:
        InputError: a source cannot be read, a domain does not exist, or there is no tool at all.
    """
    wanted = chosen(taxonomy(), settings.domains) if settings.taxonomy else ()
    _withdraw(run.folder)
    # Which model reads the documents later on does not change what they are.
    counts = gather(
        run, settings, seed, {**facts, "tools": plain(replace(settings, llm=None, llm_roles=(), llm_apis=0))}
    )
    _tell(read_problems(run, settings, seed))
    candidates = list(read_candidates(run, settings, seed))
    proposals: dict[str, Any] = {}
    if settings.llm:
        from data_gen.tool_synthesis.llm_players import LlmPlayers

        with LlmPlayers(run.folder, settings, settings.llm, seed) as players:
            made = _placed(candidates, wanted, settings, seed, players)
        proposals = {"proposals": players.counts(), "unfinished": players.unfinished}
    elif settings.taxonomy:
        made = _placed(candidates, wanted, settings, seed)
    else:
        made = _Made(*distinct([candidate.tool for candidate in candidates]))
    tools, rejected = made.tools, made.rejected
    refused = chain(read_rejected(run, settings, seed), ({**t.to_json(), "verdict": v.to_json()} for t, v in rejected))
    if not tools:
        count = write_rows(run.folder / REJECTED, refused)
        fix = f"{REJECTED} says why for each of {count}." if count else "Name documents that hold APIs."
        raise InputError("no document became a tool", where=run.folder, fix=fix)
    short = shortage(len(tools), made.subs, settings)
    _tell([short] if short else [])
    rules = write_all(run.folder, tools, refused, made.subs, made.read, short)
    total = counts["documents"] + sum(tool.id.startswith("evolved:") for tool in tools)
    total += sum(tool.id.startswith("evolved:") for tool, _ in rejected)
    sums = {"in": total, "kept": len(tools), "rejected": sum(rules.values()), "problems": counts["problems"]}
    assert sums["in"] == sums["kept"] + sums["rejected"], f"a tool was lost on the way: {sums}"
    wanted_too = {"wanted": settings.count} if short else {}
    return {**sums, **wanted_too, **proposals, "rules": rules}


def _withdraw(folder: Path) -> None:
    """Takes an earlier run's outputs away: beside the rejects of a run that fails they would pass for its own."""
    for name in OUTPUTS:
        (folder / name).unlink(missing_ok=True)


def shortage(made: int, subs: Sequence[SubDomain], settings: ToolSettings) -> str:
    """What to tell when there are fewer tools than were wanted, "" when there are enough."""
    if made >= settings.count:
        return ""
    topics = f"{len(subs)} domain{'' if len(subs) == 1 else 's'}"
    why = (
        f"the documents and the vocabulary of {topics} are used up" if settings.evolve else "the documents are used up"
    )
    fix = "Ask for more domains or documents." if settings.evolve else "Name more documents, or set evolve: true."
    return f"{made:,} of {settings.count:,} tools wanted: {why}. {fix}"


@dataclass(frozen=True)
class _Made:
    """A pool, everything that did not get into it, its sub-domains, and what a model read of their functionalities."""

    tools: list[Tool]
    rejected: list[Rejected]
    subs: Sequence[SubDomain] = ()
    read: Mapping[str, Sequence[Node]] = field(default_factory=dict)


def chosen(subs: Sequence[SubDomain], names: Sequence[str]) -> tuple[SubDomain, ...]:
    """The sub-domains that are named, or whose primary domain is; all when nothing is named.

    Raises:
        InputError: a name that is neither.
    """
    known = {name.lower(): name for sub in subs for name in (sub.primary, sub.name)}
    for name in names:
        if name.lower() not in known:
            near = difflib.get_close_matches(name.lower(), known, n=1)
            fix = f"Did you mean {known[near[0]]!r}?" if near else "See the files of data_gen/tool_synthesis/taxonomy."
            raise InputError(f"there is no domain {name!r}", where="generate.tools.domains", fix=fix)
    asked = {name.lower() for name in names}
    return tuple(sub for sub in subs if not asked or sub.name.lower() in asked or sub.primary.lower() in asked)


def _tell(problems: Iterable[str]) -> None:
    for problem in problems:
        print(f"toolace: {problem}", file=sys.stderr)


def _placed(
    candidates: Sequence[Candidate],
    subs: Sequence[SubDomain],
    settings: ToolSettings,
    seed: int,
    players: LlmPlayers | None = None,
) -> _Made:
    """The balanced pool; `players` play the roles that a model has in it."""
    from data_gen.tool_synthesis.speciation import Speciation

    # Places are found among all sub-domains: with a few of them alone, everything would be forced into those.
    everything: Sequence[SubDomain] = taxonomy()
    read: Mapping[str, Sequence[Node]] = {}
    places = Speciation(everything, [candidate.leaf for candidate in candidates]).places() if candidates else []
    if players:
        tree, places = players.speciation(candidates, places, everything)
        candidates = players.named(candidates, tree)
        subs, read = [*subs, *_asked_for(tree.subs[len(everything) :], settings)], tree.nodes
        everything = tree.subs
    found, nowhere = place(candidates, places, everything)
    names = {sub.name for sub in subs}
    elsewhere = [
        (c.tool, Verdict.reject("tree.not_asked_for", f"belongs to {name}", "domain"))
        for name, group in found.items() if name not in names for c in group
    ]  # fmt: skip
    asked = {name: group for name, group in found.items() if name in names}
    aim = round(settings.count * SPARE) if settings.paraphrase and settings.count else settings.count
    written = players.evolution(tree, asked, subs) if players else {}
    pool = fill(subs, asked, aim, seed, evolve=settings.evolve, written=written)
    tools, paraphrases = _trimmed(pool, settings)
    taken = {id(tool) for tool in pool.tools} | {id(tool) for tool, _ in pool.rejected}
    offered = [*((name, c.tool) for name, group in asked.items() for c in group)]
    offered += [(name, tool) for name, group in written.items() for tool in group]
    spare = [
        (tool, Verdict.reject("pool.full", f"{name} has its tools already", "domain"))
        for name, tool in offered if id(tool) not in taken
    ]  # fmt: skip
    return _Made(tools, [*nowhere, *elsewhere, *pool.rejected, *paraphrases, *spare], subs, read)


def _asked_for(subs: Sequence[SubDomain], settings: ToolSettings) -> list[SubDomain]:
    """Of the sub-domains that a model found those that belong to a primary domain that is asked for."""
    asked = {name.lower() for name in settings.domains}
    return [sub for sub in subs if not asked or sub.primary.lower() in asked]


def _trimmed(pool: Pool, settings: ToolSettings) -> tuple[list[Tool], list[Rejected]]:
    """The pool without paraphrases, and no larger than wanted: the fullest sub-domains give up their last tools."""
    groups = list(pool.kept.values())
    removed: list[Rejected] = []
    if settings.paraphrase:
        groups, removed = without_paraphrases(groups, settings.paraphrase)
    over = sum(map(len, groups)) - settings.count if settings.count else 0
    while over > 0:
        longest = max(map(len, groups))
        for group in groups:
            if over > 0 and len(group) == longest:
                tool = group.pop()
                removed.append((tool, Verdict.reject("pool.full", f"{tool.domain} has its tools already", "domain")))
                over -= 1
    return [tool for group in groups for tool in group], removed


def write_all(
    folder: Path,
    tools: Sequence[Tool],
    rejected: Iterable[Row],
    subs: Sequence[SubDomain],
    read: Mapping[str, Sequence[Node]] | None = None,
    short: str = "",
) -> dict[str, int]:
    """Writes the pool, its tree, figures, report and picture; returns how many tools each rule rejected.

    `short` says that there are fewer tools than were wanted, and why.
    """
    rules: Counter[str] = Counter()

    def counted() -> Iterable[Row]:
        for row in rejected:
            rules[row["verdict"]["rule"]] += 1
            yield row

    write_rows(folder / REJECTED, counted())
    ordered = dict(sorted(rules.items(), key=lambda item: (-item[1], item[0])))
    tree, figures = tree_of(tools, subs, read), figures_of(tools, subs)
    write_json(folder / "tree.json", tree)
    write_json(folder / "pool.json", {**figures, "rejected": ordered})
    write_text(folder / "report.md", report_of(tools, figures, tree, ordered, subs, short))
    write_text(folder / "treemap.svg", treemap(tree))
    write_rows(folder / "tools.jsonl", (tool.to_json() for tool in tools))
    return ordered
