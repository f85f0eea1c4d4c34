import json
from pathlib import Path

import pytest

from eval import evaluate
from eval.asking import Ask
from eval.bfcl.answers import sample
from eval.bfcl.data import Data
from eval.models import LocalModel, common_prefix
from eval.native_calls import read_native_calls
from eval.settings import EvaluateSettings
from toolace.errors import InputError
from toolace.rows import read_rows


@pytest.fixture(scope="module")
def smol():
    return LocalModel("embedded/SmolLM2-135M-Instruct", dtype="float32", batch_size=3)


QUESTIONS = [
    "What is the capital of France?",
    "Say hello.",
    "Write a sentence about a red fox in the snow, and then one about the sea in winter.",
    "What is 2 + 2?",
    "Name a colour.",
]
CONVERSATIONS = [
    [{"role": "system", "content": "You are brief."}, {"role": "user", "content": question}] for question in QUESTIONS
]


def answers_of(model, conversations, tokens=12):
    found = {a.index: a for batch in model.answer([Ask(c) for c in conversations], tokens) for a in batch}
    return [found[i] for i in range(len(conversations))]


def test_batches_with_a_shared_prefix_answer_as_one_by_one(smol):
    together = answers_of(smol, CONVERSATIONS)
    for conversation, answer in zip(CONVERSATIONS, together, strict=True):
        ids = smol.tokenizer.apply_chat_template(
            conversation, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        alone = smol.model.generate(**ids, max_new_tokens=12, do_sample=False)
        new = alone[0, ids["input_ids"].shape[1] :]
        assert answer.text == smol.tokenizer.decode(new, skip_special_tokens=True)
        assert answer.output_tokens == len(new)
        assert answer.input_tokens == ids["input_ids"].shape[1]
        assert answer.complete == (new[-1].item() == smol.tokenizer.eos_token_id)


def test_the_shared_beginning_leaves_every_row_a_token():
    assert common_prefix([[1, 2, 3], [1, 2, 3, 4]]) == 2
    assert common_prefix([[1, 2], [5, 2]]) == 0
    assert common_prefix([[7]]) == 0


def test_an_unknown_model_or_dtype_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="no model can be loaded"):
        LocalModel(str(tmp_path))
    with pytest.raises(InputError, match="unknown dtype 'float7'"):
        LocalModel("embedded/SmolLM2-135M-Instruct", dtype="float7")


RECIPE = """
out: {out}
seed: 3
evaluate:
  models: {{base: embedded/SmolLM2-135M-Instruct}}
  categories: [simple_python, irrelevance]
  limit: {{simple_python: 5, irrelevance: 4}}
  max_new_tokens: 6
  batch_size: 4
"""


def test_answers_are_asked_once_and_resumed_after_a_kill(tmp_path, monkeypatch, capsys):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(RECIPE.format(out=tmp_path / "run"))
    assert evaluate.app([str(recipe), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [(row["category"], row["n"]) for row in results["rows"] if not row["category"].endswith("_strict")][:2] == [
        ("simple_python", 5),
        ("irrelevance", 4),
    ]
    path = tmp_path / "run" / "eval" / "result" / "base" / "non_live" / "BFCL_v4_simple_python_result.json"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    # Killed while the third answer was written: two whole lines and a torn one are on disk, and no finished stage.
    path.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    manifest = tmp_path / "run" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["stages"].clear()
    manifest.write_text(json.dumps(content))
    asked = []
    original = LocalModel.answer

    def counting(self, asks, max_new_tokens):
        asked.append(len(asks))
        return original(self, asks, max_new_tokens)

    monkeypatch.setattr(LocalModel, "answer", counting)
    assert evaluate.app([str(recipe)]) == 0
    assert asked == [3]
    ids = [row["id"] for _, row in read_rows(path)]
    assert ids == [json.loads(line)["id"] for line in lines]
    capsys.readouterr()
    assert evaluate.app([str(recipe)]) == 0
    assert asked == [3]


def test_another_setting_starts_the_answers_over(tmp_path, capsys):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(RECIPE.format(out=tmp_path / "run"))
    words = ["--evaluate.categories", "[irrelevance]", "--evaluate.limit", "{irrelevance: 2}"]
    assert evaluate.app([str(recipe), *words]) == 0
    assert evaluate.app([str(recipe), *words, "--evaluate.max_new_tokens", "3"]) == 0
    path = tmp_path / "run" / "eval" / "result" / "base" / "non_live" / "BFCL_v4_irrelevance_result.json"
    assert {row["output_token_count"] for _, row in read_rows(path)} == {3}


def test_the_sample_of_questions_depends_on_the_seed_alone():
    data = Data()
    first, again, other = (sample(data, "multiple", 20, seed) for seed in (1, 1, 2))
    assert first == again and first != other and len(set(first)) == 20
    assert sample(data, "multiple", 10_000, 1) == sample(data, "multiple", None, 1)


def test_categories_may_be_named_in_groups_and_the_default_depends_on_the_protocol():
    for protocol, names, count in (("v4", (), 5), ("v4", ("live", "multi_turn"), 10), ("v1-2024", ("all",), 12)):
        assert len(evaluate.named_categories(EvaluateSettings(protocol=protocol, categories=names))) == count
    assert evaluate.named_categories(EvaluateSettings(protocol="v1-2024"))[-1] == "relevance"


def test_a_model_is_evaluated_without_a_recipe_with_the_same_settings(tmp_path, capsys):
    words = ["--evaluate.categories", "[irrelevance]", "--evaluate.max_new_tokens", "2", "--limit", "2", "--json"]
    assert evaluate.app(["embedded/SmolLM2-135M-Instruct", *words, "--out", str(tmp_path)]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["model"], row["category"], row["n"]) == ("SmolLM2-135M-Instruct", "irrelevance", 2)
    with pytest.raises(InputError, match="unexpected argument --train"):
        evaluate.app(["embedded/SmolLM2-135M-Instruct", "--train.learning_rate", "1"])


def test_native_mode_needs_a_template_with_tools(smol):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    with pytest.raises(InputError, match="takes no tools"):
        list(smol.answer([Ask(CONVERSATIONS[0], tools)], 4))


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>', [("f", {"a": 1})]),
        ('<|python_tag|>{"name": "f", "parameters": {}}', [("f", {})]),
        ('[{"name": "f", "arguments": {}}, {"name": "g", "arguments": {"b": [2]}}]', [("f", {}), ("g", {"b": [2]})]),
        ("I cannot do that.", None),
        ('<tool_call>{"name": "f"', None),
        ('{"answer": 3}', None),
        ("[" * 100_000, None),
        ("[]", None),
    ],
)
def test_native_calls_are_read_from_a_local_models_text(text, calls):
    found = read_native_calls(text)
    assert (found and [(call["name"], json.loads(call["arguments"])) for call in found]) == calls


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--evaluate.categories", "[memory_vector]"], "memory_vector is not asked here, only scored"),
        (["--evaluate.backend", "server"], "needs an address"),
        (["--evaluate.backend", "vlm"], "not one of"),
        (["--benchmarks", "bfc"], "unknown benchmark 'bfc'"),
        (["--protocol", "v9"], "v9"),
        (["--limit", "0"], "--limit is 0"),
        (["--evaluate.limit", "{irrelevance: -3}"], "irrelevance is -3"),
        (["--evaluate.models", "{a/b: m, a_b: m}"], "would share the folder a_b"),
        (["--evaluate.models", '{"..": m}'], "cannot be a folder's name"),
        (["--evaluate.batch_sise", "4"], "Did you mean 'batch_size'"),
        (["--evaluate.categories", "[simple_pythn]"], "simple_pyth"),
    ],
)
def test_bad_input_is_named(tmp_path, words, message):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(RECIPE.format(out=tmp_path / "run"))
    with pytest.raises(InputError, match=message.replace("[", r"\[")):
        evaluate.app([str(recipe), *words])
    assert not Path(tmp_path / "run").exists()
