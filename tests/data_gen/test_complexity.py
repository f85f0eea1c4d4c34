from __future__ import annotations

import json
import math
import random
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from llm_double import LlmDouble
from pools import everyday_pool
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from data_gen.dialog_generation import complexity
from data_gen.dialog_generation.complexity import Keep, Loss, app, discard, score_file
from data_gen.dialog_generation.generation import DialogSettings, generate
from data_gen.dialog_generation.local_scorer import LocalScorer
from data_gen.dialog_generation.server_scorer import ServerScorer
from toolace import Dialog, InputError, Message, write_dialogs
from toolace.embedded import prepare
from toolace.formats import to_toolace
from toolace.llm_settings import LlmSettings
from toolace.rendering import IGNORED
from toolace.rows import read_rows

FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with the embedded model's tokenizer."""
    made = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, initializer_range=0.3, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(made)
    for name in FILES:
        shutil.copyfile(prepare() / name, made / name)
    return made


@cache
def dialogs() -> tuple[Dialog, ...]:
    """Some that share a prompt and some that do not, of every type, with one and several turns."""
    pool = list(everyday_pool()[0])
    alone = generate(pool, DialogSettings(count=8), 5)
    shared = generate(pool, DialogSettings(count=16, per_tool_list=4), 6)
    made = [*alone, *(replace(dialog, id=f"s{dialog.id}") for dialog in shared)]
    random.Random(3).shuffle(made)
    return tuple(made)


@pytest.fixture(scope="module")
def scorer(folder: Path) -> LocalScorer:
    return LocalScorer(str(folder))


def plain(scorer: LocalScorer, model: Any, dialog: Dialog) -> tuple[float, int]:
    """Eq. (1) as it is written: one dialog, one forward, all logits."""
    row = scorer.renderer.render(to_toolace(dialog), dialog.id)
    with torch.inference_mode():
        logs = model(torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
    at = [i for i, label in enumerate(row.labels) if label != IGNORED]
    return -sum(float(logs[i - 1, row.labels[i]]) for i in at) / len(at), len(at)


def test_the_batched_loss_is_that_of_a_plain_forward(folder: Path, scorer: LocalScorer) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    found = scorer.losses(dialogs())
    assert [loss.id for loss in found] == [dialog.id for dialog in dialogs()]
    for loss, dialog in zip(found, dialogs(), strict=True):
        expected, tokens = plain(scorer, model, dialog)
        assert loss.tokens == tokens
        assert loss.loss == pytest.approx(expected, abs=1e-3)
    assert len({round(loss.loss, 3) for loss in found}) > 16


def test_the_order_and_the_company_of_a_dialog_do_not_change_its_loss(scorer: LocalScorer) -> None:
    together = scorer.score(dialogs())
    backwards = scorer.score(dialogs()[::-1])[::-1]
    alone = [scorer.score([dialog])[0] for dialog in dialogs()]
    assert together == pytest.approx(backwards, abs=1e-4) and together == pytest.approx(alone, abs=1e-4)


def test_the_file_holds_one_loss_a_line_in_the_order_of_the_dialogs(folder: Path, tmp_path: Path) -> None:
    write_dialogs(tmp_path / "d.jsonl", dialogs())
    assert app([str(tmp_path / "d.jsonl"), "--model", str(folder)]) == 0
    rows = [row for _, row in read_rows(tmp_path / "d.losses.jsonl")]
    assert [row["id"] for row in rows] == [dialog.id for dialog in dialogs()]
    assert all(set(row) == {"id", "loss", "tokens"} and row["loss"] > 0 and row["tokens"] > 0 for row in rows)
    assert not list(tmp_path.glob("*.part"))


class Counting:
    """An evaluator that counts what it is asked, and stops when it is told to."""

    def __init__(self, identity: str = "a", stop_after: int = 10**9) -> None:
        self.identity, self.stop_after, self.asked = identity, stop_after, []

    def losses(self, asked: Any, keep: Keep = discard) -> list[Loss]:
        if len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        found = []
        for place, dialog in enumerate(asked):
            self.asked.append(dialog.id)
            found.append(Loss(dialog.id, self.loss_of(dialog), 3))
            keep(place, found[-1])
        return found

    def loss_of(self, dialog: Dialog) -> float:
        return float(len(dialog.messages))

    def score(self, asked: Any) -> list[float]:
        return [loss.loss for loss in self.losses(asked)]


def test_a_killed_run_scores_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complexity, "CHUNK", 8)
    write_dialogs(tmp_path / "d.jsonl", dialogs())
    first, second = Counting(stop_after=16), Counting()
    with pytest.raises(KeyboardInterrupt):
        score_file(tmp_path / "d.jsonl", tmp_path / "l.jsonl", first)
    assert not (tmp_path / "l.jsonl").exists()
    found = score_file(tmp_path / "d.jsonl", tmp_path / "l.jsonl", second)
    assert len(first.asked) == 16 and sorted(first.asked + second.asked) == sorted(d.id for d in dialogs())
    assert [loss.loss for loss in found] == [len(d.messages) for d in dialogs()]


def test_losses_of_another_model_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complexity, "CHUNK", 8)
    write_dialogs(tmp_path / "d.jsonl", dialogs())
    with pytest.raises(KeyboardInterrupt):
        score_file(tmp_path / "d.jsonl", tmp_path / "l.jsonl", Counting("a", stop_after=16))
    other = Counting("b")
    score_file(tmp_path / "d.jsonl", tmp_path / "l.jsonl", other)
    assert len(other.asked) == len(dialogs())


def test_a_dialog_without_a_finite_loss_is_named_and_costs_no_other(tmp_path: Path) -> None:
    odd = dialogs()[5].id

    class Overflowing(Counting):
        def loss_of(self, dialog: Dialog) -> float:
            return math.inf if dialog.id == odd else 1.0

    write_dialogs(tmp_path / "d.jsonl", dialogs())
    first, second = Overflowing(), Counting()
    with pytest.raises(InputError, match=f"{odd}: the loss is inf"):
        score_file(tmp_path / "d.jsonl", tmp_path / "l.jsonl", first)
    score_file(tmp_path / "d.jsonl", tmp_path / "l.jsonl", second)
    assert first.asked[-1] == odd and sorted(first.asked[:-1] + second.asked) == sorted(d.id for d in dialogs())


def test_a_refused_dialog_costs_no_loss_that_a_server_has_told(folder: Path, tmp_path: Path) -> None:
    write_dialogs(tmp_path / "d.jsonl", dialogs())
    with LlmDouble(faults=lambda body, _: "400" if len(double.asked) > 7 else "") as double:
        scorer = ServerScorer(LlmSettings(double.url, "m", concurrency=3), str(folder))
        with pytest.raises(InputError, match="cannot be scored"):
            score_file(tmp_path / "d.jsonl", tmp_path / "l.jsonl", scorer)
        told = double.statuses[200]
        assert told >= 7 and double.calls < len(dialogs())
        double.faults = None
        found = score_file(tmp_path / "d.jsonl", tmp_path / "l.jsonl", scorer)
        assert double.statuses[200] == len(dialogs()) == len(found)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--tokenizer", "/nope", "--concurrency", "-3"], "--tokenizer, --concurrency have no meaning without"),
        (["--api_key_env", "FOO"], "--api_key_env have no meaning without --base_url"),
        (["--base_url", "http://127.0.0.1:9/v1", "--dtype", "float16"], "--dtype has no meaning with --base_url"),
        (["--base_url", "http://127.0.0.1:9/v1", "--concurrency", "0"], "concurrency is 0"),
        (["--dtype", "int8"], "unknown dtype 'int8'"),
        (["--dtype", "Tensor"], "unknown dtype 'Tensor'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    folder: Path, tmp_path: Path, options: list[str], told: str
) -> None:
    write_dialogs(tmp_path / "d.jsonl", dialogs()[:1])
    with pytest.raises(InputError, match=told) as error:
        app([str(tmp_path / "d.jsonl"), "--model", str(folder), *options])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "d.losses.jsonl").exists()


def test_a_server_scores_the_tokens_of_the_responses_only(folder: Path) -> None:
    chosen = dialogs()[:5]
    with LlmDouble() as server:
        scorer = ServerScorer(LlmSettings(server.url, "m"), str(folder))
        found = scorer.losses(chosen)
        texts = {body["prompt"]: server._scored(body) for body in server.bodies.values()}
    for loss, dialog in zip(found, chosen, strict=True):
        text, spans = scorer.renderer.spans(to_toolace(dialog), dialog.id)
        logprobs = texts[text]["choices"][0]["logprobs"]
        pairs = list(zip(logprobs["text_offset"], logprobs["token_logprobs"], strict=True))
        inside = [score for at, score in pairs if any(start <= at < end for start, end, _ in spans)]
        assert loss.tokens == len(inside)
        assert loss.loss == pytest.approx(-sum(inside) / len(inside))


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda answer: {}, "told no log-probabilities"),
        (lambda answer: {"choices": [{"text": "x"}]}, "told no log-probabilities"),
        (lambda answer: {"choices": [{"logprobs": None}]}, "told no log-probabilities"),
        (lambda answer: _with(answer, token_logprobs=["-1"]), "not a number a token"),
        (lambda answer: _with(answer, text_offset=[0, 2], token_logprobs=[None, -1.0]), "did not echo"),
        (lambda answer: _with(answer, token_logprobs=None), "told no log-probabilities"),
        (lambda answer: _nothing(answer), "no log-probabilities"),
    ],
)
def test_a_server_that_cannot_score_is_bad_input(
    folder: Path, spoil: Any, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = LlmDouble._scored
    monkeypatch.setattr(LlmDouble, "_scored", lambda self, body: spoil(scored(self, body)))
    with LlmDouble() as server:
        scorer = ServerScorer(LlmSettings(server.url, "m"), str(folder))
        with pytest.raises(InputError, match=what) as error:
            scorer.losses(dialogs()[:1])
    assert "\n" not in str(error.value) and "vLLM" in str(error.value)


def _with(answer: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"choices": [{"logprobs": {**answer["choices"][0]["logprobs"], **changes}}]}


def _nothing(answer: dict[str, Any]) -> dict[str, Any]:
    return _with(answer, token_logprobs=[None] * len(answer["choices"][0]["logprobs"]["tokens"]))


def test_a_server_that_is_not_there_is_bad_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolace.endpoint.backoff", lambda repeat: 0.0)
    scorer = ServerScorer(LlmSettings("http://127.0.0.1:9/v1", "m"), str(folder))
    with pytest.raises(InputError, match="cannot be asked"):
        scorer.losses(dialogs()[:1])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda d: replace(d, messages=d.messages[:1]), "no assistant turn"),
        (lambda d: replace(d, messages=(*d.messages[:1], Message("assistant", "a <|im_end|> b"))), "special token"),
        (lambda d: replace(d, messages=(Message("user", "word " * 5000), *d.messages[1:])), "the model reads 4096"),
    ],
)
def test_a_dialog_that_cannot_be_scored_is_bad_input(scorer: LocalScorer, change: Any, what: str) -> None:
    with pytest.raises(InputError, match=what) as error:
        scorer.losses([change(dialogs()[0])])
    assert dialogs()[0].id in str(error.value)


def test_what_is_no_model_no_file_and_no_precision_is_bad_input(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be loaded"):
        LocalScorer(str(tmp_path))
    with pytest.raises(InputError, match="unknown dtype"):
        LocalScorer(str(folder), "float99")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError):
        score_file(tmp_path / "empty.jsonl", tmp_path / "l.jsonl", Counting())
    with pytest.raises(InputError, match="would be replaced"):
        app([str(tmp_path / "x.jsonl"), "--model", str(folder), "--out", str(tmp_path / "x.jsonl")])


def test_the_summary_is_one_json_object(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dialogs(tmp_path / "d.jsonl", dialogs()[:4])
    app([str(tmp_path / "d.jsonl"), "--model", str(folder), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 4 and told["p10"] <= told["p50"] <= told["p90"]
