"""SDG with language models as a stage: many dialogs at once, each written down when it is finished, none made twice.

`dialogs.log.jsonl` gets one row for every scene that has ended, with its dialog or with the reasons why there is none;
`journal.sqlite` holds every answer before it is used. A run that was killed goes on from both: finished dialogs are
taken from the log, the others are played again from the journal, and only what was never answered is asked.

A dialog that the server failed has not ended: it is not in the log, and the next run plays it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.dialog_generation.agents import AssistantAgent, Cast, Rejected, Scene, ToolAgent, UserAgent
from data_gen.dialog_generation.conversation import Conversation, Counted
from data_gen.dialog_generation.generation import DialogSettings
from data_gen.dialog_generation.llm_assistant import LlmAssistantPlayer
from data_gen.dialog_generation.llm_tool import LlmToolPlayer
from data_gen.dialog_generation.llm_user import LlmUserPlayer
from data_gen.dialog_generation.mix import Achieved, check_pool
from data_gen.dialog_generation.offline_players import OfflineAssistantPlayer, OfflineToolPlayer, OfflineUserPlayer
from data_gen.dialog_generation.scenes import again, at_level, draw_scenes
from data_gen.dialog_generation.self_guided import Guidance, Scorer
from data_gen.verification.verdict import Verdict
from toolace import Dialog, InputError, Tool, write_dialogs
from toolace.chat import BadAnswer, CallFailed, ChatError, ChatModel, ChatStopped
from toolace.fan_out import Progress, run_all
from toolace.journal import Journal
from toolace.llm import Llm
from toolace.llm_settings import LlmSettings
from toolace.rows import RowLog, write_json, write_rows

LOG = "dialogs.log.jsonl"
OUTPUTS = ("dialogs.jsonl", "rejected_dialogs.jsonl", "mix.json")
# Settings of a server that say how it is asked, not what: a changed limit makes no dialog anew.
_LIMITS = (
    "base_url api_key_env concurrency requests_per_minute tokens_per_minute max_calls max_tokens_total max_cost "
    "price_in price_out timeout"
)
# our choice: a dialog that the server failed in so many runs, while it answered others, is one it cannot answer.
_PATIENCE = 3
Row = dict[str, Any]


@dataclass(frozen=True)
class Stopped:
    """Why a run ended before all dialogs were made, and how many are missing."""

    why: str
    missing: int


def deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Plain dialog settings without what does not decide the dialogs: limits, budgets, addresses."""
    llm = settings.get("llm") or {}
    agents = settings.get("agents") or {}
    return {
        **settings,
        "llm": {key: value for key, value in llm.items() if key not in _LIMITS.split()},
        "agents": {key: value for key, value in agents.items() if key != "concurrency"},
    }


def make_llm_dialogs(
    folder: Path,
    tools: Sequence[Tool],
    settings: DialogSettings,
    seed: int,
    fingerprint: str,
    scorer: Scorer | None = None,
) -> dict[str, Any]:
    """Makes `dialogs.jsonl`, `rejected_dialogs.jsonl` and `mix.json` in a run folder; returns counts for the manifest.

    Args:
        fingerprint: of all that decides the dialogs; a log of another one is begun anew, the journal stays.
        scorer: the model to be tuned, for self-guidance; needed when `settings.guidance` is set.

    Raises:
        InputError: settings that cannot be met, no dialog could be kept, or the run was stopped (interrupted, budget
            spent, access refused); the files then hold what is finished, and the same command goes on.
    """
    settings.check()
    if settings.llm is None:
        fix = "Give generate.dialogs.llm with base_url and model."
        raise InputError("players: llm needs a server", where="generate.dialogs.llm", fix=fix)
    check_pool(tools, settings)
    scenes = draw_scenes(tools, settings, seed)
    log = _open_log(folder / LOG, fingerprint)
    stage = _Stage(folder, settings, log)
    try:
        if settings.guidance is None:
            stage.play(scenes)
            chosen = {scene.id: scene for scene in scenes}
        else:
            if scorer is None:
                fix = "Name the model to be tuned, or remove generate.dialogs.guidance."
                raise InputError("guidance has no scorer", where="generate.dialogs.guidance", fix=fix)
            chosen = stage.guide(scenes, Guidance(settings.guidance, scorer, folder))
    finally:
        log.close()
    return stage.write(scenes, chosen, settings)


def _open_log(path: Path, fingerprint: str) -> RowLog:
    """The log of a run; its first row says what decides its dialogs."""
    log = RowLog(path)
    if log.rows and log.rows[0].get("run") != fingerprint:
        log.close()
        path.unlink()
        log = RowLog(path)
    if not log.rows:
        log.append([{"id": "", "run": fingerprint}])
    return log


class _Stage:
    """One run of the stage: plays scenes, keeps rows."""

    def __init__(self, folder: Path, settings: DialogSettings, log: RowLog) -> None:
        self.folder, self.settings, self.log = folder, settings, log
        self.rows: dict[str, Row] = {row["id"]: row for row in log.rows if row["id"]}
        # key of a scene -> runs in which the server failed it
        self.failed: Counter[str] = Counter(row["failed"] for row in log.rows if "failed" in row)
        self.stopped: Stopped | None = None

    def play(self, scenes: Sequence[Scene]) -> None:
        """Plays the scenes that the log does not hold; sets `stopped` when not all could be."""
        waiting = [scene for scene in scenes if scene.key not in self.rows]
        if waiting and self.stopped is None:
            asyncio.run(self._play(waiting))

    async def _play(self, scenes: Sequence[Scene]) -> None:
        llm: LlmSettings | None = self.settings.llm
        assert llm is not None
        with Journal(self.folder / "journal.sqlite") as journal:
            async with Llm(llm, journal) as model:
                cast = cast_of(self.settings, Counted(model, llm.repeats))

                async def work(scene: Scene) -> Row:
                    final = self.failed[scene.key] >= _PATIENCE - 1
                    return await ended(scene, cast, self.settings, outages_end=final)

                progress = Progress("dialogs", len(scenes), model.meter, lambda row: row["dialog"] is not None)
                outcomes = run_all(scenes, work, self.settings.agents.concurrency, progress, ordered=False)
                finished: asyncio.Queue[Row | None] = asyncio.Queue()
                keeping = asyncio.ensure_future(self._keep(finished))
                lost: dict[str, str] = {}
                async for outcome in outcomes:
                    if isinstance(outcome.error, CallFailed):
                        lost[outcome.item.key] = str(outcome.error)
                    elif not isinstance(outcome.error, ChatStopped):
                        finished.put_nowait(outcome.value or _broken(outcome.item, outcome.error))
                    if keeping.done():  # the log cannot be written
                        outcomes.stop("the log cannot be written")
                finished.put_nowait(None)
                await keeping
                if lost and not outcomes.stopped:
                    self.log.append([{"id": "", "failed": key} for key in sorted(lost)])
                    outcomes.stop(f"the server failed {len(lost)} dialogs, the last one: {[*lost.values()][-1]}")
                missing = sum(scene.key not in self.rows for scene in scenes)
                if missing:
                    self.stopped = Stopped(outcomes.stopped, missing)

    async def _keep(self, finished: asyncio.Queue[Row | None]) -> None:
        """Writes rows down until None comes: all that wait at once, in a thread, so that nobody waits for the disk."""
        ended = False
        while not ended:
            batch = [await finished.get()]
            while not finished.empty():
                batch.append(finished.get_nowait())
            ended = None in batch
            rows = [row for row in batch if row is not None]
            await asyncio.to_thread(self.log.append, rows)
            self.rows |= {row["id"]: row for row in rows}

    def guide(self, scenes: Sequence[Scene], guidance: Guidance) -> dict[str, Scene]:
        """Plays in rounds, dialogs outside of the range harder or simpler; the scene that is taken, by dialog id."""
        by_id = {scene.id: scene for scene in scenes}

        def make(levels: Mapping[str, int]) -> dict[str, Dialog]:
            asked = [at_level(by_id[id_], level) for id_, level in levels.items()]
            self.play(asked)
            rows = {scene.id: self.rows.get(scene.key) for scene in asked}
            return {id_: Dialog.from_json(row["dialog"]) for id_, row in rows.items() if row and row["dialog"]}

        guided = guidance.guide(list(by_id), make)
        chosen = {}
        for id_, result in guided.items():
            scene = at_level(by_id[id_], result.level)
            chosen[id_] = scene
            row = self.rows[scene.key]
            row["dialog"]["meta"]["guidance"] = {"loss": round(result.loss, 4), "rounds": result.rounds}
            if not result.inside and guidance.settings.outside == "drop":
                low, high = guidance.settings.low, guidance.settings.high
                verdict = Verdict.reject("guidance.outside", f"loss {result.loss:.3f}, wanted {low} to {high}")
                row["rejected"] = [*row["rejected"], {**row["dialog"], "verdict": verdict.to_json()}]
                row["dialog"] = None
        return chosen

    def write(self, scenes: Sequence[Scene], chosen: Mapping[str, Scene], settings: DialogSettings) -> dict[str, Any]:
        """The files in the order of the scenes, and the counts; InputError when the run was stopped or kept nothing."""
        mix = Achieved()
        reasons: Counter[str] = Counter()

        def kept() -> Iterator[Dialog]:
            for scene in scenes:
                row = self.rows.get(chosen[scene.id].key) if scene.id in chosen else None
                if row and row["dialog"]:
                    dialog = Dialog.from_json(row["dialog"])
                    mix.add(dialog, row["kind"], row["turns"])
                    yield dialog

        def rejected() -> Iterator[Row]:
            for key in sorted(self.rows):
                for row in self.rows[key]["rejected"]:
                    reasons[row["verdict"]["rule"]] += 1
                    yield row

        made = write_dialogs(self.folder / "dialogs.jsonl", kept())
        failed = write_rows(self.folder / "rejected_dialogs.jsonl", rejected())
        report = mix.report(settings)
        write_json(self.folder / "mix.json", report)
        if self.stopped is not None:
            fix = f"Run the same command again for the other {self.stopped.missing}: nothing is asked twice."
            what = f"stopped ({self.stopped.why}) with {made} of {len(scenes)} dialogs made"
            raise InputError(what, where=self.folder / "dialogs.jsonl", fix=fix)
        if not made:
            fix = "Read the reasons there: the model may be too small, or the server wrong."
            raise InputError("no dialog could be kept", where=self.folder / "rejected_dialogs.jsonl", fix=fix)
        mix.warn(settings)
        return {
            "wanted": len(scenes),
            "made": made,
            "not_made": len(scenes) - made,
            "rejected_attempts": failed,
            "types": {name: report[name]["types"] for name in ("declared", "achieved")},
            "unmet": report["unmet"],
            "reasons": dict(reasons.most_common()),
        }


def cast_of(settings: DialogSettings, model: ChatModel) -> Cast:
    """Who plays, as the settings say."""
    agents = settings.agents
    drawn = OfflineUserPlayer(settings.optional)
    user: UserAgent = drawn
    if agents.user == "llm":
        user = LlmUserPlayer(model, settings.optional, drawn if agents.assistant == "offline" else None)
    assistant: AssistantAgent = OfflineAssistantPlayer()
    if agents.assistant == "llm":
        assistant = LlmAssistantPlayer(model, agents.samples)
    tool: ToolAgent = LlmToolPlayer(model) if agents.tool == "llm" else OfflineToolPlayer()
    return Cast(user, assistant, tool)


async def ended(scene: Scene, cast: Cast, settings: DialogSettings, *, outages_end: bool = False) -> Row:
    """The log's row of a scene: its dialog, or None after all attempts, and every attempt that failed.

    Args:
        outages_end: whether a call that the server failed ends the attempt, as a refused one does.

    Raises:
        ChatStopped, CallFailed: it is neither made nor rejected; the next run goes on with it.
    """
    rejected: list[Row] = []
    for attempt in range(settings.agents.attempts):
        tried = again(scene, attempt) if attempt else scene
        conversation = Conversation(tried, cast, settings.agents)
        try:
            dialog = await conversation.play()
        except ChatStopped:
            raise
        except (Rejected, ChatError) as error:
            if isinstance(error, CallFailed) and error.outage and not outages_end:
                raise
            rejected.append({**conversation.dialog().to_json(), "verdict": _verdict(error).to_json()})
            continue
        return _row(scene, dialog.to_json(), rejected, conversation.turns)
    return _row(scene, None, rejected, 0)


def _row(scene: Scene, dialog: Row | None, rejected: Sequence[Row], turns: int) -> Row:
    named = [{**row, "id": f"{scene.key}/{i}"} for i, row in enumerate(rejected)]
    return {"id": scene.key, "kind": scene.aims[0].kind, "turns": turns, "dialog": dialog, "rejected": named}


def _broken(scene: Scene, error: Exception | None) -> Row:
    """The row of a scene whose work raised what it should not: kept with the reason, so that the others go on."""
    dialog = Dialog(scene.id, scene.type, scene.tools, (), scene.meta).to_json()
    verdict = Verdict.reject("dialog.failed", f"{type(error).__name__}: {error}")
    return _row(scene, None, [{**dialog, "verdict": verdict.to_json()}], 0)


def _verdict(error: Rejected | ChatError) -> Verdict:
    if isinstance(error, Rejected):
        return Verdict.reject(error.rule, error.evidence, error.where)
    if isinstance(error, BadAnswer):
        return Verdict.reject(f"llm.{error.reason}", f"{error.detail}; the answer was {error.text[:120]!r}")
    status = error.status if isinstance(error, CallFailed) else 0
    return Verdict.reject("llm.call_failed", f"status {status}: {error}" if status else str(error))
