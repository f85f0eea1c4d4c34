"""The model layer of dual-layer verification (paper, Section 2.3): experts vote on what the rules have kept.

Experts are asked in order and a dialog is rejected by the first that fails it. A dialog on which the model could not be
heard (its answers were unusable, the server failed, the budget is spent) is neither kept nor rejected: it stands in
`undecided.jsonl`, and a later run with the same journal asks only what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_gen.verification.expert_opinions import Judgement, Opinion, OpinionLog, Results
from data_gen.verification.expert_questions import EXPERTS, VERDICT, Expert
from data_gen.verification.judging import PERSON_REJECTED, digest
from data_gen.verification.moving import Moving
from data_gen.verification.reading import read_dialog
from data_gen.verification.verdict import KEPT, Verdict
from toolace import Dialog, InputError
from toolace.chat import BadAnswer, CallFailed, ChatError, ChatModel, ChatRequest, Sampling
from toolace.fan_out import Progress, run_all
from toolace.rows import Row, read_rows

STAGE = "experts"


@dataclass(frozen=True)
class ExpertSettings:
    """Which experts are asked, and how often.

    Attributes:
        experts: in the order in which they are asked; our choice: the cheapest question first.
        votes: answers wanted of each expert that is not in `votes_of`; an odd number. More than half decide.
        votes_of: expert -> votes, where it differs.
        temperature: of the votes when there are several; one vote is drawn at 0.
    """

    experts: Sequence[str] = ("repetition", "hallucination", "consistency", "tool_response")
    votes: int = 1
    votes_of: Mapping[str, int] = field(default_factory=dict)
    temperature: float = 0.7

    def check(self) -> None:
        """Raises InputError for experts that do not exist and votes that cannot be counted."""
        where = "generate.experts"
        for name in (*self.experts, *self.votes_of):
            if name not in EXPERTS:
                fix = f"Use {', '.join(EXPERTS)}."
                raise InputError(f"the expert {name!r} does not exist", where=where, fix=fix)
        for name in self.experts:
            if self.wanted(name) < 1 or self.wanted(name) % 2 == 0:
                fix = "Give an odd number, so that there is a majority."
                raise InputError(f"{self.wanted(name)} votes of {name}", where=where, fix=fix)
        if not self.experts or len(set(self.experts)) < len(self.experts):
            raise InputError("experts are missing or named twice", where=where, fix="Name each once.")

    def wanted(self, name: str) -> int:
        """Votes wanted of an expert."""
        return self.votes_of.get(name, self.votes)


async def ask(expert: Expert, dialog: Dialog, model: ChatModel, votes: int, temperature: float) -> Opinion | None:
    """Asks one expert about a dialog; None when the question does not arise.

    Raises:
        ChatStopped: no later question can be asked either.
    """
    messages = expert.messages(dialog)
    if messages is None:
        return None
    sampling = Sampling(temperature=temperature if votes > 1 else 0.0, n=votes)
    try:
        reply = await model.chat(
            ChatRequest(messages, VERDICT, sampling, stage=STAGE, label=f"{dialog.id}/{expert.id}")
        )
    except BadAnswer as error:
        return Opinion(expert.id, (), error=str(error), tokens=error.usage.tokens)
    except CallFailed as error:
        return Opinion(expert.id, (), error=str(error), unreached=True)
    found = [choice.parsed for choice in reply.choices]
    given = tuple(str(value["verdict"]) for value in found)
    winner = "fail" if 2 * given.count("fail") > len(given) else "pass"
    first = next(value for value in found if value["verdict"] == winner)
    return Opinion(
        expert.id,
        given,
        str(first["evidence"]),
        str(first["where"]),
        tokens=reply.usage.tokens,
        asked_again=reply.repeats,
    )


async def judge(
    dialog: Dialog, model: ChatModel, settings: ExpertSettings, heard: Callable[[Opinion], None] | None = None
) -> Judgement:
    """Asks the experts in order, up to the first that fails the dialog.

    An expert whose answer cannot be used does not end it: another may still fail the dialog for sure. A server that
    does not answer does: it would not answer the next question either.

    Args:
        heard: told every opinion at once, so that none is lost when a later question ends the run.

    Raises:
        ChatStopped: no later question can be asked either.
    """
    opinions: list[Opinion] = []
    for name in settings.experts:
        opinion = await ask(EXPERTS[name], dialog, model, settings.wanted(name), settings.temperature)
        if opinion is None:
            continue
        opinions.append(opinion)
        if heard is not None:
            heard(opinion)
        if opinion.votes and opinion.failed:
            votes = f"{opinion.votes.count('fail')} of {len(opinion.votes)} votes"
            return Judgement(Verdict.reject(f"expert.{name}", f"{votes}: {opinion.evidence}", opinion.where), opinions)
        if opinion.unreached:
            break
    unheard = any(not opinion.votes for opinion in opinions)
    return Judgement(None if unheard else KEPT, opinions)


async def verify_folder(
    folder: str | Path,
    model: ChatModel,
    settings: ExpertSettings,
    *,
    concurrency: int = 64,
    meter: Any = None,
    reviews: Mapping[str, bool] | None = None,
) -> dict[str, Any]:
    """Asks about every dialog of `verified.jsonl`; moves those that fail to `rejected.jsonl`.

    Writes `verified.jsonl`, `rejected.jsonl` (with `cost`), `undecided.jsonl` and, when there is one, the ledger; they
    change only when all is done. `opinions.jsonl` grows with every answer.

    Args:
        folder: where the rule layer wrote.
        model: who is asked.
        settings: which questions.
        concurrency: dialogs in work at a time.
        meter: of the model, for the bar.
        reviews: what people said of dialogs, by digest (`reviews.read_reviews`); those are not asked about.

    Returns:
        `{"in", "kept", "rejected", "undecided", "rules", "reasons": {why undecided: dialogs}, "asked": {expert:
        dialogs}, "unheard": {expert: dialogs}, "disagreement": {expert: share of dialogs with split votes}, "tokens",
        "stopped"}`; in = kept + rejected + undecided.

    Raises:
        InputError: a file cannot be read, a row is no dialog, or the ledger is of other rows.
    """
    settings.check()
    folder = Path(folder)
    said = reviews or {}
    rows = _open(folder)
    progress = Progress("dialogs", None, meter, accepted=lambda judgement: bool(judgement.verdict))
    log = OpinionLog(folder)

    async def work(pair: tuple[Row, Dialog]) -> Judgement:
        dialog = pair[1]
        name = digest(dialog.to_json())
        if name in said:
            return Judgement(KEPT if said[name] else PERSON_REJECTED, [])
        return await judge(dialog, model, settings, lambda opinion: log.add(opinion, dialog.id, name))

    try:
        with Moving(folder) as moving:
            results = Results(moving)
            outcomes = run_all(rows, work, concurrency, progress)
            async for outcome in outcomes:
                if outcome.error is not None and not isinstance(outcome.error, ChatError):
                    raise outcome.error
                results.add(*outcome.item, outcome.value, str(outcome.error or ""))
            for row, dialog in rows:  # what was not taken any more
                results.add(row, dialog, None, outcomes.stopped)
    finally:
        log.close()
    return {**results.to_json(), **log.to_json(), "stopped": outcomes.stopped}


def _open(folder: Path) -> Iterator[tuple[Row, Dialog]]:
    """The kept dialogs, then those that an earlier run left undecided, unless rules have kept them anew since."""
    kept: set[tuple[str, str]] = set()
    for row, dialog in _rows(folder / "verified.jsonl"):
        kept.add((dialog.id, digest(dialog.to_json())))
        yield row, dialog
    path = folder / "undecided.jsonl"
    if path.exists() and path.stat().st_size:
        for row, dialog in _rows(path):
            if (dialog.id, digest(dialog.to_json())) not in kept:
                yield {key: value for key, value in row.items() if key != "undecided"}, dialog


def _rows(path: Path) -> Iterator[tuple[Row, Dialog]]:
    for number, row in read_rows(path):
        try:
            yield row, read_dialog(row)
        except InputError as error:
            raise InputError(error.what, where=f"{path}:{number}", fix=error.fix) from None


def verify_with_experts(
    folder: str | Path,
    settings: ExpertSettings,
    llm: Any,
    journal: str | Path | None = None,
    reviews: Mapping[str, bool] | None = None,
) -> dict[str, Any]:
    """`verify_folder` with a server: opens the journal and the connections, and runs to the end.

    Args:
        folder: where the rule layer wrote.
        settings: which questions.
        llm: `toolace.llm_settings.LlmSettings` of the server.
        journal: file in which answers are kept; `journal.sqlite` in the folder when None.
        reviews: what people said of dialogs, by digest.
    """
    from toolace.journal import Journal
    from toolace.llm import Llm

    async def run() -> dict[str, Any]:
        with Journal(Path(journal or Path(folder) / "journal.sqlite")) as kept:
            async with Llm(llm, kept) as model:
                return await verify_folder(
                    folder, model, settings, concurrency=llm.concurrency, meter=model.meter, reviews=reviews
                )

    return asyncio.run(run())
