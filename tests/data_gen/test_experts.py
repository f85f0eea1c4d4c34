from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from clean_dialogs import ROWS, dialogs
from llm_double import Body, LlmDouble

from data_gen.verification.expert_questions import EXPERTS, VERDICT
from data_gen.verification.experts import ExpertSettings, judge, verify_with_experts
from data_gen.verification.experts_cli import app, table
from data_gen.verification.judging import digest
from data_gen.verification.ledger import Ledger
from data_gen.verification.verify import verify_file
from toolace import Dialog, InputError
from toolace.chat import BadAnswer, ChatReply, ChatRequest, Choice, Usage
from toolace.llm_settings import LlmSettings
from toolace.rows import read_rows


def said(verdict: str, evidence: str = "the city", where: str = "turn 1") -> str:
    return json.dumps({"evidence": evidence, "where": where, "verdict": verdict})


def expert_of(body: Body) -> str:
    return next(name for name, expert in EXPERTS.items() if body["messages"][0]["content"].startswith(expert.question))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "dialogs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, {"no": "dialog"}]), encoding="utf-8")
    verify_file(path, tmp_path, ledger=True)
    return tmp_path


def ids(path: Path) -> list[str]:
    return [row["id"] for _, row in read_rows(path)] if path.read_text() else []


def llm(double: LlmDouble, **settings: Any) -> LlmSettings:
    return LlmSettings(base_url=double.url, model="double", concurrency=8, timeout=5, **settings)


def test_each_expert_is_shown_what_its_question_is_about_and_no_other() -> None:
    by_id = {dialog.id: dialog for dialog in dialogs()}
    asked = {id_: {name for name, expert in EXPERTS.items() if expert.view(dialog)} for id_, dialog in by_id.items()}
    assert asked["none-1"] == {"repetition", "consistency"}
    assert asked["nested-1"] == {"repetition", "consistency", "hallucination"}
    assert asked["single-1"] == set(EXPERTS)
    messages = EXPERTS["hallucination"].messages(by_id["single-1"]) or []
    shown = json.loads(messages[1]["content"])
    assert [function["name"] for function in shown["functions"]] == ["weather.forecast"]
    assert shown["conversation"][1]["calls"][0]["arguments"]["city"] == "Sao Paulo"


def test_a_verdict_is_checked_by_schema_and_a_fail_needs_evidence() -> None:
    assert VERDICT.fault({"evidence": "x", "where": "", "verdict": "pass"}) is None
    assert VERDICT.fault({"evidence": " ", "where": "", "verdict": "fail"}) is not None
    assert VERDICT.fault({"evidence": "x", "where": "", "verdict": "maybe"}) is not None


def test_dialogs_that_fail_are_rejected_with_rule_evidence_and_cost(folder: Path) -> None:
    def answer(body: Body) -> str:
        bad = expert_of(body) == "hallucination" and "Casa Lola" in body["messages"][1]["content"]
        return said("fail", "table B12 was never said", "turn 2") if bad else said("pass")

    with LlmDouble(answer) as double:
        counts = verify_with_experts(folder, ExpertSettings(), llm(double))
    assert counts["in"] == len(ROWS) and counts["kept"] == len(ROWS) - 1 and counts["undecided"] == 0
    assert counts["rules"] == {"expert.hallucination": 1}
    (row,) = [
        row for _, row in read_rows(folder / "rejected.jsonl") if row["id" if "id" in row else "no"] == "nested-1"
    ]
    assert row["verdict"]["rule"] == "expert.hallucination"
    assert "1 of 1 votes" in row["verdict"]["evidence"] and "B12" in row["verdict"]["evidence"]
    assert row["verdict"]["where"] == "turn 2" and row["cost"]["expert_calls"] == 2
    ledger = Ledger.read(folder)
    assert ledger.counts()["expert.hallucination"] == 1 and ledger.total == len(ROWS) + 1
    assert ("expert.hallucination", "expert_tokens") in ledger.cost
    opinions = [row for _, row in read_rows(folder / "opinions.jsonl")]
    assert len(opinions) == sum(counts["asked"].values()) and all(o["votes"] and o["evidence"] for o in opinions)
    # Order: an expert after the one that failed is not asked any more.
    assert [o["expert"] for o in opinions if o["id"] == "nested-1"] == ["repetition", "hallucination"]


def test_the_majority_of_votes_decides_and_disagreement_is_counted(folder: Path) -> None:
    def answer(body: Body) -> Any:
        if "Lima" in body["messages"][1]["content"]:
            return [said("fail"), said("pass"), said("fail")]
        return (
            [said("fail"), said("pass"), said("pass")]
            if "Oslo" in body["messages"][1]["content"]
            else [said("pass")] * 3
        )

    with LlmDouble(answer) as double:
        counts = verify_with_experts(folder, ExpertSettings(experts=["consistency"], votes=3), llm(double))
    assert counts["rejected"] == 1 and "dependent-1" not in ids(folder / "verified.jsonl")
    assert "parallel-1" in ids(folder / "verified.jsonl")
    assert counts["disagreement"] == {"consistency": round(2 / len(ROWS), 4)}


def test_nothing_is_lost_and_nothing_asked_twice_on_a_bad_day(folder: Path) -> None:
    faults = {"429": 0.15, "500": 0.1, "dropped": 0.05, "bad_json": 0.15, "truncated": 0.1, "wrong_schema": 0.1}
    before = ids(folder / "verified.jsonl")
    with LlmDouble(lambda body: said("pass"), faults=faults, seed=3) as double:
        counts = verify_with_experts(folder, ExpertSettings(), llm(double, repeats=2))
        assert counts["in"] == counts["kept"] + counts["rejected"] + counts["undecided"] == len(ROWS)
        found = ids(folder / "verified.jsonl") + ids(folder / "undecided.jsonl")
        assert sorted(found) == sorted(before)
        assert not double.repeated()


def test_a_model_that_never_answers_properly_leaves_every_dialog_undecided_with_the_reason(folder: Path) -> None:
    with LlmDouble(lambda body: "I would rather talk about something else.") as double:
        counts = verify_with_experts(folder, ExpertSettings(experts=["repetition"]), llm(double))
    assert counts["undecided"] == len(ROWS) and counts["unheard"] == {"repetition": len(ROWS)}
    assert all("not_json" in row["undecided"] for _, row in read_rows(folder / "undecided.jsonl"))
    assert not (folder / "verified.jsonl").read_text()


def test_when_the_budget_is_spent_the_rest_is_undecided_and_a_second_run_asks_only_what_is_missing(
    folder: Path, tmp_path: Path
) -> None:
    first = folder / "first.jsonl"
    shutil.copy(folder / "verified.jsonl", first)
    with LlmDouble(lambda body: said("pass")) as double:
        settings = ExpertSettings(experts=["repetition", "consistency"])
        counts = verify_with_experts(folder, settings, llm(double, max_calls=5))
        assert counts["stopped"] and 0 < counts["undecided"] < len(ROWS) + 1
        assert counts["in"] == len(ROWS)
        again = verify_with_experts(folder, settings, llm(double))
        assert again["kept"] == len(ROWS) and not again["stopped"]
        assert double.calls == 2 * len(ROWS) and not double.repeated()


def test_a_server_that_only_fails_is_told_with_its_reason_and_every_dialog_stays(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with LlmDouble(faults={"500": 1.0}) as double:
        words = [str(folder), "--base_url", double.url, "--model", "double", "--concurrency", "2"]
        assert app(words) == 1
    printed = capsys.readouterr().out
    assert f"{len(ROWS)} undecided" in printed and "500" in printed
    rows = [row for _, row in read_rows(folder / "undecided.jsonl")]
    assert sorted(row["id"] for row in rows) == sorted(row["id"] for row in ROWS)
    assert any("500" in row["undecided"] for row in rows)


def test_opinions_that_were_heard_before_a_stop_are_on_the_disk_and_not_written_twice(folder: Path) -> None:
    settings = ExpertSettings(experts=["repetition", "consistency"])
    with LlmDouble(lambda body: said("pass")) as double:
        counts = verify_with_experts(folder, settings, llm(double, max_calls=5))
        first = [row for _, row in read_rows(folder / "opinions.jsonl")]
        # Five calls, five opinions: also those of dialogs whose next question was not asked any more.
        assert len(first) == 5 == sum(counts["asked"].values()) and counts["stopped"]
        verify_with_experts(folder, settings, llm(double))
    rows = [row for _, row in read_rows(folder / "opinions.jsonl")]
    assert rows[:5] == first and len(rows) == 2 * len(ROWS)
    assert len({(row["digest"], row["expert"]) for row in rows}) == len(rows)


def test_what_people_said_goes_before_any_expert(folder: Path) -> None:
    by_id = {row["id"]: digest(Dialog.from_json(row).to_json()) for row in ROWS}
    reviews = folder / "reviews.jsonl"
    lines = [{"digest": by_id["single-1"], "keep": True}, {"digest": by_id["none-1"], "keep": False}]
    reviews.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with LlmDouble(lambda body: said("fail")) as double:
        words = [str(folder), "--base_url", double.url, "--model", "double", "--reviews", str(reviews), "--json"]
        assert app(words) == 0
    assert ids(folder / "verified.jsonl") == ["single-1"]
    rules = {row.get("id"): row["verdict"]["rule"] for _, row in read_rows(folder / "rejected.jsonl")}
    assert rules["none-1"] == "review.rejected" and rules["dependent-1"] == "expert.repetition"
    assert not {"single-1", "none-1"} & {row["id"] for _, row in read_rows(folder / "opinions.jsonl")}
    assert Ledger.read(folder).counts()["review.rejected"] == 1


def test_a_ledger_of_other_rows_is_one_clear_error_and_no_row_has_moved(folder: Path) -> None:
    Ledger({("single", "elsewhere", ""): len(ROWS)}).write(folder)
    before = (folder / "verified.jsonl").read_bytes(), (folder / "rejected.jsonl").read_bytes()
    with LlmDouble(lambda body: said("fail")) as double, pytest.raises(InputError, match="ledger is not of these"):
        verify_with_experts(folder, ExpertSettings(), llm(double))
    assert ((folder / "verified.jsonl").read_bytes(), (folder / "rejected.jsonl").read_bytes()) == before
    assert not (folder / "undecided.jsonl").exists() and not list(folder.glob(".moving.*"))


def test_dialogs_that_rules_kept_again_are_not_asked_about_twice(folder: Path) -> None:
    settings = ExpertSettings(experts=["repetition"])
    with LlmDouble(lambda body: said("pass")) as double:
        assert verify_with_experts(folder, settings, llm(double, max_calls=2))["undecided"] == len(ROWS) - 2
        verify_file(folder / "dialogs.jsonl", folder, ledger=True)
        counts = verify_with_experts(folder, settings, llm(double))
    assert counts["in"] == counts["kept"] == len(ROWS) and not (folder / "undecided.jsonl").read_text()


class _Scripted:
    """A model whose answers are written down by expert."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    async def chat(self, request: ChatRequest) -> ChatReply:
        answer = self.answers[request.label.rpartition("/")[2]]
        if isinstance(answer, Exception):
            raise answer
        return ChatReply((Choice("", {"evidence": "e", "where": "w", "verdict": answer}),))


def test_an_expert_that_is_not_heard_does_not_hide_one_that_fails_the_dialog() -> None:
    dialog = dialogs()[0]
    unheard = BadAnswer("not_json", "no JSON", "", Usage(1, 1))
    settings = ExpertSettings(experts=["repetition", "consistency"])
    failed = asyncio.run(judge(dialog, _Scripted({"repetition": unheard, "consistency": "fail"}), settings))
    assert failed.verdict is not None and failed.verdict.rule == "expert.consistency"
    open_ = asyncio.run(judge(dialog, _Scripted({"repetition": unheard, "consistency": "pass"}), settings))
    assert open_.verdict is None and len(open_.opinions) == 2


@pytest.mark.parametrize(
    ("settings", "said_"),
    [
        ({"experts": ["oracle"]}, "does not exist"),
        ({"votes": 2}, "odd"),
        ({"experts": []}, "missing"),
        ({"votes_of": {"consistency": 4}}, "4 votes"),
    ],
)
def test_settings_that_cannot_be_counted_are_errors(settings: Any, said_: str) -> None:
    with pytest.raises(InputError, match=said_):
        ExpertSettings(**settings).check()


def test_the_command_prints_what_each_expert_did(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LlmDouble(lambda body: [said("pass")] * 3) as double:
        words = [str(folder), "--base_url", double.url, "--model", "double", "--votes", "3", "--experts", "consistency"]
        assert app(words) == 0
    printed = capsys.readouterr().out
    assert f"{len(ROWS)} dialogs: {len(ROWS)} kept" in printed
    assert f"consistency: asked about {len(ROWS)}, failed 0, unheard 0, votes split on 0.0 %" in printed


def test_an_expert_that_fails_most_of_what_rules_had_kept_is_told() -> None:
    counts = {"in": 12, "kept": 4, "rejected": 8, "undecided": 0, "tokens": 9, "asked": {"repetition": 12}}
    rest = {"rules": {"expert.repetition": 8}, "disagreement": {}, "unheard": {}, "reasons": {}, "stopped": ""}
    assert "repetition failed 8 of 12" in table({**counts, **rest})
    assert "measure the model" not in table({**counts, **rest, "rules": {"expert.repetition": 6}})
