"""`toolace dialogs` with players of llm: the stage in the run folder, and the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from llm_double import LlmDouble
from scripted_brain import TOOLS, brain

from data_gen import pipeline
from data_gen.dialog_generation.generation import DialogSettings
from data_gen.dialog_generation.llm_generation import deciding
from data_gen.dialog_generation.player_settings import AgentSettings, GuidanceSettings
from data_gen.settings import GenerateSettings, plain
from toolace import InputError, read_dialogs
from toolace.embedded import prepare
from toolace.llm_settings import LlmSettings
from toolace.recipe import load_recipe
from toolace.rows import write_rows
from toolace.runs import Run

RECIPE = """
name: agents
out: {out}
seed: 3
generate:
  dialogs:
    count: 12
    players: llm
    llm: {{base_url: "{url}", model: double, seed: 1, concurrency: 8}}
    agents: {{samples: 3, agreement: 0.6, disagreement: mask, tool: offline}}
    non_tool_use: {{irrelevant: 1, no_tools: 1}}
"""


def settings_of(url: str, **changes: object) -> GenerateSettings:
    llm = LlmSettings(base_url=url, model="double", seed=1)
    return GenerateSettings(dialogs=DialogSettings(count=12, players="llm", llm=llm, **changes))  # type: ignore[arg-type]


def run_with_tools(folder: Path) -> Run:
    write_rows(folder / "tools.jsonl", (tool.to_json() for tool in TOOLS))
    return Run(folder)


def test_the_settings_are_keys_of_a_recipe(tmp_path: Path) -> None:
    with LlmDouble(brain) as double:
        path = tmp_path / "agents.yaml"
        path.write_text(RECIPE.format(out=tmp_path / "run", url=double.url), encoding="utf-8")
        recipe = load_recipe(str(path), [])
        settings = recipe.settings("generate", GenerateSettings)
        record = pipeline.make_dialogs(run_with_tools(tmp_path / "run"), settings, recipe.seed)
    assert settings.dialogs.agents == AgentSettings(samples=3, agreement=0.6, disagreement="mask", tool="offline")
    assert record["counts"]["made"] == len(list(read_dialogs(tmp_path / "run" / "dialogs.jsonl"))) >= 11
    assert record["counts"]["types"].keys() == {"declared", "achieved"}
    assert set(record["outputs"]) == {"dialogs.jsonl", "rejected_dialogs.jsonl", "mix.json"}


def test_a_stage_that_an_outage_ended_is_gone_on_with_and_not_done_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolace.endpoint.backoff", lambda repeat: 0.001)
    run = run_with_tools(tmp_path)
    failing = LlmDouble(brain, faults=lambda body, _: "503" if failing.calls > 40 else "")
    with failing, pytest.raises(InputError, match="5 calls in a row failed, the last one: 503"):
        pipeline.make_dialogs(run, settings_of(failing.url), 3)
    with LlmDouble(brain) as double:
        record = pipeline.make_dialogs(Run(tmp_path), settings_of(double.url), 3)
    assert not record.get("reused") and record["counts"]["made"] == 12 and record["counts"]["not_made"] == 0


def test_a_finished_stage_is_not_done_again_and_limits_do_not_make_it_new(tmp_path: Path) -> None:
    run = run_with_tools(tmp_path)
    with LlmDouble(brain) as double:
        pipeline.make_dialogs(run, settings_of(double.url), 3)
        asked = sum(double.asked.values())
        llm = LlmSettings(base_url="http://127.0.0.1:1", model="double", seed=1, concurrency=7, max_calls=5)
        other = GenerateSettings(dialogs=DialogSettings(count=12, players="llm", llm=llm))
        assert pipeline.make_dialogs(run, other, 3)["reused"]
        assert sum(double.asked.values()) == asked


def test_another_model_or_vote_makes_new_dialogs() -> None:
    def facts(model: str = "m", **agents: object) -> str:
        llm = LlmSettings("http://127.0.0.1:1", model)
        settings = DialogSettings(players="llm", llm=llm, agents=AgentSettings(**agents))  # type: ignore[arg-type]
        return json.dumps(deciding(plain(settings)))

    assert facts() == facts(concurrency=3)
    assert len({facts(), facts("other"), facts(samples=5), facts(agreement=1.0), facts(tool="offline")}) == 5


def test_a_stage_that_was_stopped_is_not_recorded_as_finished(tmp_path: Path) -> None:
    run = run_with_tools(tmp_path)
    with LlmDouble(brain) as double:
        llm = LlmSettings(base_url=double.url, model="double", seed=1, max_calls=20)
        stopped = GenerateSettings(dialogs=DialogSettings(count=12, players="llm", llm=llm))
        with pytest.raises(InputError, match="stopped"):
            pipeline.make_dialogs(run, stopped, 3)
        assert "dialogs" not in run.manifest["stages"]
        assert pipeline.make_dialogs(run, settings_of(double.url), 3)["counts"]["made"] >= 11
        assert not double.repeated()


def test_verification_takes_the_dialogs_and_keeps_them_all(tmp_path: Path) -> None:
    run = run_with_tools(tmp_path)
    with LlmDouble(brain) as double:
        pipeline.make_dialogs(run, settings_of(double.url), 3)
    from data_gen.verification.verify import verify_file

    counts = verify_file(tmp_path / "dialogs.jsonl", tmp_path)
    assert counts["rejected"] == 0 and counts["kept"] >= 11


def test_a_wrong_key_names_the_nearest_one(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text(RECIPE.format(out=tmp_path, url="http://127.0.0.1:1").replace("samples:", "sample:"), "utf-8")
    with pytest.raises(InputError, match="Did you mean 'samples'"):
        load_recipe(str(path), []).settings("generate", GenerateSettings)


def test_guidance_reads_its_range_from_the_recipe() -> None:
    settings = DialogSettings(players="llm", llm=LlmSettings("http://x", "m"), guidance=GuidanceSettings(0.2, 0.9))
    settings.check()
    with pytest.raises(InputError, match="rounds"):
        DialogSettings(guidance=GuidanceSettings(0.2, 0.9, rounds=0)).check()


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of one layer with the embedded model's tokenizer: a model to be tuned that knows nothing."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("random")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=8192, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(prepare() / name, folder / name)
    return folder


@pytest.mark.parametrize("players", ["llm", "offline"])
def test_guidance_scores_with_the_model_that_the_recipe_names(players: str, tmp_path: Path, random_model: Path) -> None:
    from data_gen.dialog_generation.local_scorer import LocalScorer

    guidance = GuidanceSettings(low=0.0, high=2.0, rounds=1, model=str(random_model))
    with LlmDouble(brain) as double:
        llm = LlmSettings(base_url=double.url, model="double", seed=1)
        dialogs = DialogSettings(count=8, players=players, llm=llm, guidance=guidance)  # type: ignore[arg-type]
        pipeline.make_dialogs(run_with_tools(tmp_path), GenerateSettings(dialogs=dialogs), 3)
    made = list(read_dialogs(tmp_path / "dialogs.jsonl"))
    told = [dialog.meta["guidance"] for dialog in made]
    scored = LocalScorer(str(random_model)).score(made)
    assert len(made) >= 6 and all(abs(a["loss"] - b) < 1e-3 for a, b in zip(told, scored, strict=True))
    # Nothing that a random model finds is in the range, so that the user is asked for something simpler.
    assert min(scored) > 5 and {told_one["rounds"][0]["asked"] for told_one in told} == {"simpler"}
    summary = json.loads((tmp_path / "guidance.json").read_text(encoding="utf-8"))
    assert summary["range"] == [0.0, 2.0] and summary["were_outside"] == len(made)
