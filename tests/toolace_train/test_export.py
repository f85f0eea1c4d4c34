import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_export import TOKENS, make_adapter, make_run, make_small_model

from toolace.cli import main
from toolace.rows import write_json
from toolace_train.merging import merge, shards, tensors
from toolace_train.model_card import model_card
from toolace_train.serving import Serving, context_length
from toolace_train.tuned import read_tuned


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_small_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def run(base, tmp_path_factory):
    return make_run(base, tmp_path_factory.mktemp("tuned") / "tiny")


@pytest.fixture(scope="module")
def exported(run):
    assert main(["export", str(run)]) == 0
    return run / "export"


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != ".lock"}


def weights_of(folder):
    return dict(tensors(folder))


def peft_merged(base, adapter):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return PeftModel.from_pretrained(model, adapter).merge_and_unload().state_dict()


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}, {"use_dora": True}])
def test_merged_weights_are_those_that_peft_merges(base, tmp_path, options):
    adapter = make_adapter(base, tmp_path / "adapter", **options)
    target = tmp_path / "merged"
    target.mkdir()
    counts = merge(base, adapter, target, "float32")
    wanted, found = peft_merged(base, adapter), weights_of(target)
    assert ("tensor by tensor" in counts["how"]) == (not options.get("use_dora"))
    assert set(found) == set(weights_of(base))
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, wanted[name], rtol=0, atol=1e-6)
    changed = [name for name, tensor in weights_of(base).items() if not torch.equal(tensor, found[name])]
    assert len(changed) == 14  # seven matrices in each of two layers


def test_sharded_weights_stay_in_their_shards(base, tmp_path):
    cut, target = tmp_path / "cut", tmp_path / "merged"
    shutil.copytree(base, cut)
    whole = load_file(cut / "model.safetensors")
    (cut / "model.safetensors").unlink()
    names = sorted(whole)
    parts = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    for file, keys in parts.items():
        save_file({key: whole[key] for key in keys}, cut / file)
    where = {key: file for file, keys in parts.items() for key in keys}
    write_json(cut / "model.safetensors.index.json", {"metadata": {}, "weight_map": where})
    target.mkdir()
    merge(cut, make_adapter(base, tmp_path / "adapter"), target, "bfloat16")
    assert [path.name for path in shards(target)] == list(parts)
    index = json.loads((target / "model.safetensors.index.json").read_text())
    size = sum(tensor.numel() * 2 for tensor in whole.values())
    assert index == {"metadata": {"total_size": size}, "weight_map": where}
    assert {name: tuple(tensor.shape) for name, tensor in weights_of(target).items()} == {
        name: tuple(tensor.shape) for name, tensor in whole.items()
    }


def test_an_export_loads_as_a_model_in_the_recipe_s_precision_and_answers_as_base_plus_adapter(base, run, exported):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(exported, dtype="auto")
    assert model.dtype == torch.bfloat16
    wanted = peft_merged(base, run / "adapter")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, wanted[name].to(torch.bfloat16))


def test_tokenizer_files_are_stock_and_the_template_is_the_trained_one(base, exported, tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (exported / name).read_bytes() == (base / name).read_bytes()
    other = make_run(base, tmp_path / "llama3", chat_template="llama3")
    inline = other / "adapter" / "tokenizer_config.json"
    write_json(inline, {**json.loads(inline.read_text()), "chat_template": "the stock one"})
    tokenizer = other / "adapter" / "tokenizer.json"
    vocabulary = json.loads(tokenizer.read_text())
    extra = {"id": TOKENS, "content": "<|eot_id|>", "special": True, "normalized": False}
    extra |= {"single_word": False, "lstrip": False, "rstrip": False}
    vocabulary["added_tokens"].append(extra)
    tokenizer.write_text(json.dumps(vocabulary))
    assert main(["export", str(other), "--gguf", "none"]) == 0
    template = (other / "export" / "chat_template.jinja").read_text()
    assert "<|start_header_id|>" in template
    # Servers that read only tokenizer_config.json see the same one.
    assert json.loads((other / "export" / "tokenizer_config.json").read_text())["chat_template"] == template
    # The trained end of turn stops generation, although the base's own configuration does not name it.
    assert TOKENS in json.loads((other / "export" / "generation_config.json").read_text())["eos_token_id"]


def test_a_second_export_does_nothing_and_a_damaged_file_is_made_again(run, exported, capsys):
    capsys.readouterr()
    before = times(exported)
    assert main(["export", str(run)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert times(exported) == before
    gguf = exported / "tiny-bf16.gguf"
    whole = gguf.read_bytes()
    gguf.write_bytes(whole[:100])
    assert main(["export", str(run), "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert [name for name, stage in stages.items() if not stage.get("reused")] == ["gguf/bf16"]
    assert gguf.read_bytes() == whole
    assert not [path for path in exported.iterdir() if "making" in path.name]


def test_a_gguf_of_other_weights_does_not_stay(base, tmp_path):
    run = make_run(base, tmp_path / "run")
    assert main(["export", str(run), "--gguf", "f16,q8_0"]) == 0
    assert main(["export", str(run), "--gguf", "none"]) == 0
    assert (run / "export" / "run-f16.gguf").exists()
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["stages"]["train"]["outputs"] = {"adapter/adapter_model.safetensors": "trained again"}
    write_json(run / "manifest.json", manifest)
    assert main(["export", str(run), "--gguf", "f16"]) == 0
    assert [path.name for path in (run / "export").glob("*.gguf")] == ["run-f16.gguf"]
    assert "q8_0" not in (run / "export" / "README.md").read_text()


def test_a_killed_export_leaves_no_half_files_and_the_next_one_goes_on(base, tmp_path):
    run = make_run(base, tmp_path / "run")
    (run / "export" / ".making").mkdir(parents=True)
    (run / "export" / ".making" / "model.safetensors").write_bytes(b"half")
    (run / "export" / ".run-bf16.gguf.making").write_bytes(b"half")
    assert main(["export", str(run)]) == 0
    assert not (run / "export" / ".making").exists() and not (run / "export" / ".run-bf16.gguf.making").exists()


def test_the_card_names_base_data_recipe_prompt_servers_and_licence(run, exported):
    card = (exported / "README.md").read_text()
    header = card.split("---\n")[1]
    assert "library_name: transformers" in header and "function-calling" in header
    assert "base_model:" not in header  # the base is a folder of this machine, not a hub id
    for words in (
        "accelerate launch tiny.yaml",
        "<|im_start|>user\nWeather in",
        "rows 6",
        "loss 1.5",
        "learning_rate: 0.01",
        "--tool-call-parser pythonic",
        "llama-server -m",
        "arXiv 2409.00920",
        "## Licence",
        "Not evaluated in this run",
    ):
        assert words in card, words


def test_scores_of_the_run_stand_in_the_card(base, tmp_path):
    run = make_run(base, tmp_path / "scored")
    row = {"model": "tuned", "protocol": "v4", "name": "overall", "value": 41.25, "low": 38.0, "high": 44.5}
    write_json(run / "eval" / "results.json", {"rows": [], "aggregates": [row]})
    card = model_card(read_tuned(run), Serving(run, "toolace", "llama", 4096), {"how": "x", "parameters": 1}, "a ``` b")
    assert "| tuned | v4 | overall | 41.25 | 38.00 to 44.50 |" in card
    assert "````text\na ``` b\n````" in card


def test_a_quantised_base_is_said_to_be_merged_unquantised(base, tmp_path, capsys):
    run = make_run(base, tmp_path / "qlora", quantization={"load_in_4bit": True})
    assert main(["export", str(run), "--gguf", "none"]) == 0
    assert "merged into its unquantised weights" in capsys.readouterr().out
    assert "(QLoRA) and merged into the unquantised weights" in (run / "export" / "README.md").read_text()


def test_a_fully_tuned_model_is_exported_without_an_adapter(base, tmp_path):
    run = make_run(base, tmp_path / "full")
    shutil.rmtree(run / "adapter")
    shutil.copytree(base, run / "model")
    assert main(["export", str(run), "--gguf", "f16"]) == 0
    assert (run / "export" / "full-f16.gguf").exists()
    assert "All weights were trained" in (run / "export" / "README.md").read_text()


def test_an_adapter_can_stay_one(base, tmp_path):
    run = make_run(base, tmp_path / "kept")
    assert main(["export", str(run), "--no-merge"]) == 0
    export = run / "export"
    assert (export / "adapter_model.safetensors").read_bytes() == (
        run / "adapter/adapter_model.safetensors"
    ).read_bytes()
    assert not list(export.glob("*.gguf")) and "library_name: peft" in (export / "README.md").read_text()


def test_a_dry_push_lists_files_with_sizes_and_sends_nothing(run, exported, capsys):
    capsys.readouterr()
    assert main(["export", str(run), "--push", "me/tiny", "--dry_run", "--json"]) == 0
    push = json.loads(capsys.readouterr().out)["push"]
    listed = {file["path"]: file["bytes"] for file in push["files"]}
    assert push["pushed"] is False and push["private"] is True
    assert listed["model.safetensors"] == (exported / "model.safetensors").stat().st_size
    assert "README.md" in listed and "manifest.json" not in listed and ".lock" not in listed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: holds no manifest.json of a run"),
        (["RUN", "--gguf", "q5"], "unknown GGUF type 'q5'. Use f32, f16, bf16, q8_0 or none."),
        (["RUN", "--gguf", "f16", "--no-merge"], "a GGUF needs merged weights"),
        (["RUN", "--push", "a/b/c"], "'a/b/c' is no name of a repository"),
    ],
)
def test_bad_input_is_one_line_and_code_2(run, words, message, capsys):
    capsys.readouterr()
    assert main(["export", *(str(run) if word == "RUN" else word for word in words)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0]


def test_a_full_disk_is_found_before_anything_is_written(base, tmp_path, monkeypatch, capsys):
    run = make_run(base, tmp_path / "big")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    assert main(["export", str(run)]) == 2
    assert "GB are free" in capsys.readouterr().err
    assert not list((run / "export").glob("*.safetensors"))


def test_a_model_without_a_gguf_here_is_exported_without_one_unless_one_is_asked_for(base, tmp_path, capsys):
    other = tmp_path / "base"
    shutil.copytree(base, other)
    run = make_run(other, tmp_path / "run")
    config = json.loads((other / "config.json").read_text())
    write_json(other / "config.json", {**config, "model_type": "mistral"})
    assert main(["export", str(run), "--gguf", "f16"]) == 2
    assert "convert_hf_to_gguf.py" in capsys.readouterr().err and not list((run / "export").glob("*.safetensors"))
    assert main(["export", str(run)]) == 0
    assert "note: no GGUF" in capsys.readouterr().err
    assert "llama-server" not in (run / "export" / "README.md").read_text()


def test_a_base_quantised_on_disk_is_refused(base, tmp_path, capsys):
    other = tmp_path / "base"
    shutil.copytree(base, other)
    run = make_run(other, tmp_path / "run")
    config = json.loads((other / "config.json").read_text())
    write_json(other / "config.json", {**config, "quantization_config": {"load_in_4bit": True}})
    assert main(["export", str(run), "--gguf", "none"]) == 2
    assert "the base is quantised on disk" in capsys.readouterr().err


def test_the_command_says_how_it_is_used():
    words = [sys.executable, "-m", "toolace", "export", "--help"]
    root = Path(__file__).parents[2]
    done = subprocess.run(words, capture_output=True, text=True, cwd=root, env=dict(os.environ))
    assert done.returncode == 0 and "example: toolace export" in done.stdout


def test_context_is_twice_the_longest_trained_row_within_what_the_model_knows():
    assert context_length(8192, 131072) == 16384
    assert context_length(512, 131072) == 4096
    assert context_length(8192, 8192) == 8192


def test_native_tool_templates_get_the_parser_of_their_family():
    assert Serving(Path("x"), "native", "qwen2", 4096).parser == "hermes"
    assert Serving(Path("x"), "native", "llama", 4096).parser == "llama3_json"
    assert "--tool-call-parser" not in Serving(Path("x"), "native", "gemma", 4096).vllm()


def test_the_embedded_model_is_named_by_its_origin_in_the_card(tmp_path):
    run = make_run(make_small_model(tmp_path), tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["stages"]["train"]["settings"]["model"]["model_name_or_path"] = "embedded/SmolLM2-135M-Instruct"
    write_json(run / "manifest.json", manifest)
    card = model_card(read_tuned(run), Serving(run, "toolace", "llama", 4096), None, "p")
    assert "base_model: HuggingFaceTB/SmolLM2-135M-Instruct" in card and "license: apache-2.0" in card
