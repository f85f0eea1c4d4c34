"""A real training with all that decides a prompt, exported and checked: what is served is what was trained."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from small_export import make_small_model
from test_serve_check import LLAMA_SERVER, Double, checked

from toolace.cli import main
from toolace.embedded import prepare
from toolace.recipe import load_recipe
from toolace.rows import write_json, write_rows
from toolace_train.export_files import with_values
from toolace_train.local_answers import LocalModel
from toolace_train.model import load_tokenizer
from toolace_train.prompts import kept_rows, prompts_of, trained_rows
from toolace_train.rendering import Renderer
from toolace_train.sft import train
from toolace_train.tuned import read_tuned

QWEN3 = Path(find_spec("trl").origin).parent / "chat_templates" / "qwen3.jinja"
RECIPE = """
name: whole
out: {out}
seed: 5
model: {{model_name_or_path: {model}, dtype: float32}}
lora: {{r: 4, lora_alpha: 8, target_modules: all-linear{lora}}}
data:
  files: [{{path: {rows}, rows: 12}}]
  max_length: 700
  over_length: truncate_tools
  share_prefix: true
  global_batch_size: 4
  chat_template_kwargs: {{enable_thinking: false}}
  rendering: {rendering}
train: {{learning_rate: 1.0e-3, max_steps: 2, report_to: none}}
monitor: {{held_out: 2, every_steps: 9, max_new_tokens: 2}}
"""


def tool(name, words="w"):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": words, "parameters": parameters}}


def row(number, **last):
    city = f"City{number}"
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": json.dumps({"city": city})}}
    messages = [
        {"role": "user", "content": f"Weather in {city}?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": f"It is sunny in {city}.", **last},
    ]
    return {"id": f"r{number}", "messages": messages, "tools": [tool("weather")]}


def make_rows(folder):
    """Twelve rows: one whose last answer is masked, one too long with its spare tools, and one with a broken turn."""
    rows = [row(number) for number in range(12)]
    rows[3] = row(3, weight=0)
    rows[5]["tools"] += [tool(f"spare_{number}", "many words " * 8) for number in range(20)]
    rows[7]["messages"][0]["content"] = "<|im_start|>"
    folder.mkdir()
    write_rows(folder / "a.jsonl", rows[:6])
    write_rows(folder / "b.jsonl", rows[6:])
    return folder


def trained_run(folder, rendering="toolace", lora="", template=QWEN3):
    base = make_small_model(folder / "base", max_position_embeddings=4096)
    shutil.copyfile(template, base / "chat_template.jinja")
    text = RECIPE.format(
        out=folder / "run", model=base, rows=make_rows(folder / "rows"), rendering=rendering, lora=lora
    )
    (folder / "r.yaml").write_text(text, encoding="utf-8")
    assert train(load_recipe(folder / "r.yaml"), str(base)) == 0
    assert main(["export", str(folder / "run"), "--gguf", "none"]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained_run(tmp_path_factory.mktemp("toolace"))


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return trained_run(tmp_path_factory.mktemp("native"), "native")


@pytest.fixture
def copy(run, tmp_path):
    """A run of its own, to be broken."""
    return Path(shutil.copytree(run, tmp_path / "run"))


class Served(Double):
    """A double of vLLM that also shows tools, and reads calls as a parser of its own would."""

    def __init__(self, run, calls=None):
        super().__init__("vllm", LocalModel(run / "export"))
        self.calls = calls
        self.run = run

    def post(self, path, body):
        tokenizer = self.local.tokenizer
        messages = [dict(message) for message in body.get("messages", ())]
        for message in messages:
            message["tool_calls"] = [
                {
                    "type": "function",
                    "function": {**call["function"], "arguments": json.loads(call["function"]["arguments"])},
                }
                for call in message.get("tool_calls", ())
            ] or None
        self.render = lambda _: tokenizer.apply_chat_template(
            messages, tools=body.get("tools"), tokenize=False, add_generation_prompt=True
        )
        reply = super().post(path, body)
        if self.calls and reply and "choices" in reply:
            called = [{"id": "x", "type": "function", "function": call} for call in self.calls]
            reply["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": called}
        return reply


def trained(run):
    tuned = read_tuned(run)
    renderer = Renderer(load_tokenizer(str(run / "export")))
    rows = trained_rows(tuned.data, renderer, tuned.facts, run, tuned.record["counts"])
    return tuned, renderer, rows


def test_the_rows_that_are_checked_are_those_that_were_trained_token_by_token(run):
    tuned, renderer, rows = trained(run)
    assert rows.kept
    counts = tuned.record["counts"]
    assert sum(len(row.input_ids) for row in rows.rows) == counts["tokens"]
    assert counts["held_out"] == 2 and counts["rows"] == 12
    sources = {row.source.split("(")[1].rstrip(")") for row in rows.rows}
    assert sources < {f"r{number}" for number in range(12)} and "r7" not in sources
    again = trained_rows(tuned.data, renderer, tuned.facts, None, {})
    assert not again.kept  # without the run's own tokens the same rows are rendered once more
    assert [(row.source, row.input_ids, row.labels) for row in again.rows] == [
        (row.source, row.input_ids, row.labels) for row in rows.rows
    ]


def test_tokens_kept_by_another_start_of_the_run_are_not_taken_for_the_trained_ones(run):
    tuned, renderer, _ = trained(run)
    counts = {**tuned.record["counts"], "tokens": 7}
    assert kept_rows(tuned.data, renderer, tuned.facts, run, counts) is None


def test_a_server_given_nothing_but_the_export_s_template_passes(run, capsys):
    with Served(run) as server:
        code, result = checked(run, server.url, capsys, "--n", "20")
    assert code == 0, result
    assert result["prompts_equal"] == result["rows"] > 8
    assert (result["trained"], result["answers_of"]) == ("tokens kept by the run", "base and adapter")
    # The trained prompt without thoughts was really what was served, and no client had to ask for it.
    assert all("chat_template_kwargs" not in body for _, body in server.asked)
    prompt = server.render(None)
    assert prompt.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_the_turn_that_is_asked_for_is_the_last_that_is_trained_where_later_ones_are_masked(run):
    tuned, renderer, rows = trained(run)
    prompts = {prompt.source.split("(")[1]: prompt for prompt in prompts_of(rows.rows, tuned.data, renderer)}
    masked = prompts["r3)"]
    assert masked.messages[-1]["role"] == "user" and masked.answer.endswith('[weather(city="City3")]<|im_end|>')
    shortened = prompts["r5)"]
    assert "spare_0" in shortened.text and "spare_19" not in shortened.text
    assert prompts["r6)"].messages[-1]["role"] == "tool"


def test_the_adapter_carries_the_template_that_was_trained_with(run):
    head = "{%- set enable_thinking = false %}\n"
    template = (run / "adapter" / "chat_template.jinja").read_text()
    assert template == head + QWEN3.read_text() == (run / "export" / "chat_template.jinja").read_text()
    messages = [{"role": "user", "content": "hi"}]
    text = load_tokenizer(str(run / "adapter")).apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, enable_thinking=True
    )
    assert text.endswith("<think>\n\n</think>\n\n")  # even for a client that asks for thoughts


def test_the_card_shows_a_prompt_of_the_training_although_its_rows_are_a_folder(run):
    card = (run / "export" / "README.md").read_text()
    assert "Weather in City" in card and "made-up" not in card


def refused(run, capsys):
    capsys.readouterr()
    code = main(["serve-check", str(run), "--base_url", "http://127.0.0.1:9", "--n", "3"])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("toolace:")]
    assert code == 2 and len(lines) == 1
    return lines[0]


def test_a_template_changed_after_the_export_is_refused(copy, capsys):
    path = copy / "export" / "chat_template.jinja"
    path.write_text("<|im_start|>system\nYou are a pirate.<|im_end|>\n" + path.read_text())
    assert "chat_template.jinja: is not the chat template that was trained with" in refused(copy, capsys)


def test_a_template_changed_before_the_export_is_refused_by_the_tokens_of_the_training(copy, capsys):
    path = copy / "adapter" / "chat_template.jinja"
    head, rest = path.read_text().split("\n", 1)
    path.write_text(f"{head}\n<|im_start|>system\nYou are a pirate.<|im_end|>\n{rest}")
    assert main(["export", str(copy), "--gguf", "none"]) == 0
    shutil.rmtree(copy / "export")
    assert main(["export", str(copy), "--gguf", "none"]) == 0
    line = refused(copy, capsys)
    assert "the chat template does not write what was trained: token" in line and "pirate" in line


def test_a_tokenizer_changed_after_the_export_is_refused(copy, capsys):
    path = copy / "export" / "tokenizer_config.json"
    write_json(path, {**json.loads(path.read_text()), "chat_template": "another"})
    assert "tokenizer_config.json: is not the file that the export was made with" in refused(copy, capsys)


def test_an_export_of_weights_that_were_trained_again_is_refused(copy, capsys):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["stages"]["train"]["outputs"]["adapter/adapter_model.safetensors"] = "other"
    write_json(copy / "manifest.json", manifest)
    assert "was exported from other weights than the run holds now" in refused(copy, capsys)


def test_wrong_weights_in_the_export_fail_although_server_and_export_agree(copy, capsys):
    from safetensors.torch import load_file, save_file

    path = copy / "export" / "model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"] *= -1
    save_file(weights, path, metadata={"format": "pt"})
    with Served(copy) as server:  # it answers with the export's own weights
        code, result = checked(copy, server.url, capsys, "--noise", "0.001")
    assert code == 1 and result["prompts_equal"] == 3 and result["largest_gap"] > 0.001


def test_an_export_without_its_run_is_checked_by_rows_rendered_again(run, tmp_path, capsys):
    alone = Path(shutil.copytree(run / "export", tmp_path / "moved"))
    with Served(run) as server:
        code, result = checked(alone, server.url, capsys)
        assert code == 0 and (result["trained"], result["answers_of"]) == ("rows rendered again", "export")
        code, result = checked(alone, server.url, capsys, "--run", str(run))
    assert code == 0 and (result["trained"], result["answers_of"]) == ("tokens kept by the run", "base and adapter")


def test_rows_that_are_named_are_prepared_as_those_of_the_training(run, tmp_path, capsys):
    rows = [row(100, weight=0), row(101)]
    rows[1]["tools"] += [tool(f"spare_{number}", "many words " * 8) for number in range(20)]
    write_rows(tmp_path / "others.jsonl", [*rows, {"id": "broken", "messages": [{"role": "user", "content": "x"}]}])
    with Served(run) as server:
        code, result = checked(run, server.url, capsys, "--rows", str(tmp_path / "others.jsonl"), "--n", "9")
    assert code == 0 and result["trained"] == "rows rendered again" and result["prompts_equal"] == result["rows"] >= 2


def test_rows_that_changed_since_the_training_are_told(copy, capsys, tmp_path):
    rows = read_tuned(copy).data.files[0].path
    moved = Path(rows).rename(tmp_path / "away")
    try:
        assert "no such file of training rows" in refused(copy, capsys)
        other = Path(shutil.copytree(moved, rows))
        for path in other.glob("*.jsonl"):
            path.write_text(path.read_text().replace("Weather in", "Rain in"))
        assert "does not write what was trained" in refused(copy, capsys)
        shutil.rmtree(other)
    finally:
        moved.rename(rows)


def test_native_tools_and_calls_are_served_as_trained(native, capsys):
    with Served(native) as server:
        code, result = checked(native, server.url, capsys, "--n", "20")
    assert code == 0 and result["prompts_equal"] == result["rows"] > 8 and result["proof"] == "tokens"
    # Qwen3's rows are a sequence a turn, a call or words; the masked one is the call alone.
    assert result["trained_calls"] and result["trained_words"]
    assert result["trained_calls"] + result["trained_words"] == result["rows"]


@pytest.fixture
def calling(monkeypatch):
    """A local model that has learnt its calls."""
    text = '<tool_call>\n{"name": "weather", "arguments": {"city": "City1"}}\n</tool_call>'
    monkeypatch.setattr(LocalModel, "greedy", lambda self, ids, most: [*self.tokens(text), 2])


def test_calls_that_the_server_has_parsed_are_compared_as_calls(native, calling, capsys):
    with Served(native, calls=[{"name": "weather", "arguments": '{"city": "City1"}'}]) as server:
        code, result = checked(native, server.url, capsys)
    assert code == 0 and result["answers_equal"] == result["calls_equal"] == result["answers_with_calls"] == 3
    assert result["largest_gap"] == 0
    assert result["calls_right"] < result["trained_calls"]  # City1 is right for one row at most
    assert result["words_right"] == 0  # and never for a turn in words


def test_a_wrong_call_of_the_server_is_neither_equal_nor_right(native, calling, capsys):
    with Served(native, calls=[{"name": "delete_all", "arguments": "{}"}]) as server:
        code, result = checked(native, server.url, capsys, "--noise", "0.0001")
    assert code == 1 and result["answers_with_calls"] == 3
    assert result["calls_equal"] == result["answers_equal"] == result["calls_right"] == 0
    assert result["largest_gap"] > 0.0001


def test_an_olora_adapter_is_exported_as_it_was_trained(tmp_path, capsys):
    run = trained_run(tmp_path, lora=", init_lora_weights: olora")
    with Served(run) as server:
        code, result = checked(run, server.url, capsys, "--noise", "0.001")
    assert code == 0 and result["answers_of"] == "base and adapter" and result["answers_equal"] == 3


@pytest.mark.parametrize(
    "values",
    [
        {"enable_thinking": False},
        {"date_string": '26 "Jul" 2024 \\ ü 🌧\n%} {{'},
        {"a": 1, "b": 1.5, "c": None, "d": [1, "x", True], "e": {"k": [False]}},
        {"not-a-name": 1, "if": 2, "x": float("nan")},
    ],
    ids=str,
)
def test_a_template_with_its_variables_renders_as_with_them_given(values):
    tokenizer = load_tokenizer(str(prepare()))
    template = "\n  {% for m in messages %}{{ m['content'] }}{% if x is defined %}[{{ x }}]{% endif %}\n{% endfor %}"
    for name in values:
        if name.isidentifier() and name != "if":
            template += f"{{{{ {name} }}}}|{{% if {name} is none %}}none{{% endif %}}"
    messages = [{"role": "user", "content": "hi"}]
    known = {name: value for name, value in values.items() if name != "if"}
    wanted = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **known)
    baked = with_values(template, values)
    assert tokenizer.apply_chat_template(messages, chat_template=baked, tokenize=False) == wanted
    assert with_values(baked, values) == baked  # the adapter's template has them already


@pytest.mark.skipif(not LLAMA_SERVER, reason="set TOOLACE_LLAMA_SERVER to llama.cpp's llama-server")
@pytest.mark.parametrize("rendering", ["toolace", "native"])
def test_llama_cpp_s_server_shows_the_variables_of_the_template_as_trained(request, rendering, capsys):
    folder = request.getfixturevalue("run" if rendering == "toolace" else "native")
    assert main(["export", str(folder), "--gguf", "f32"]) == 0
    capsys.readouterr()
    words = ["--server", "llama.cpp", "--binary", LLAMA_SERVER, "--n", "20", "--max_new_tokens", "8", "--json"]
    assert main(["serve-check", str(folder), *words]) == 0, capsys.readouterr().out
    result = json.loads(capsys.readouterr().out)
    assert result["proof"] == "tokens" and result["prompts_equal"] == result["rows"] > 8
