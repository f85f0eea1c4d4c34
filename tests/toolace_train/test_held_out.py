import dataclasses
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tiny_llama import make_tiny_llama, row, write_training_rows

from toolace.calls import Call
from toolace.embedded import prepare
from toolace.errors import InputError
from toolace.rows import write_rows
from toolace_train.data import load_training_set
from toolace_train.greedy import answers
from toolace_train.held_out import calls_in, hold_out, score
from toolace_train.model import load_tokenizer
from toolace_train.rendering import Renderer
from toolace_train.run_settings import MonitorSettings
from toolace_train.settings import DataSettings


@pytest.fixture(scope="module")
def renderer():
    return Renderer(load_tokenizer(str(prepare())))


def rows_in(training):
    """Token ids of every row, shared prompts included."""
    found = []
    for tree in training.trees:
        start = tree.prefix
        if not tree.branches:
            found.append(tuple(tree.input_ids))
        for length in tree.branches:
            found.append((*tree.input_ids[: tree.prefix], *tree.input_ids[start : start + length]))
            start += length
    return found


@pytest.mark.parametrize("share", [True, False])
def test_rows_set_aside_are_asked_and_not_trained_on(tmp_path, renderer, share):
    data = DataSettings([str(write_training_rows(tmp_path / "train.jsonl", 11, turns=2))], 800, share_prefix=share)
    data = dataclasses.replace(data, max_length=800, rendering="toolace")
    training = load_training_set(data, renderer)
    held = hold_out(training, MonitorSettings(held_out=3), data, renderer, seed=5)
    assert held.rows == 3 and held.training.kept == 8
    whole, left = rows_in(training), rows_in(held.training)
    assert len(left) == 8 and set(left) < set(whole)
    assert held.training.tokens == sum(map(len, left))
    assert held.training.trained < training.trained
    assert sum(len(tree.sources) for tree in held.training.trees) == 8
    # Two calls and one answer in words between them, in each row.
    assert len(held.turns) == 9 and sum(bool(turn.calls) for turn in held.turns) == 6
    assert all(tuple(turn.prompt) not in {ids[: len(turn.prompt)] for ids in left} for turn in held.turns[:0])
    names = {turn.source for turn in held.turns}
    assert not names & {source for tree in held.training.trees for source in tree.sources}
    again = hold_out(training, MonitorSettings(held_out=3), data, renderer, seed=5)
    assert again.turns == held.turns


def test_a_prompt_ends_where_the_answer_begins(tmp_path, renderer):
    data = DataSettings([str(write_training_rows(tmp_path / "train.jsonl", 4))], share_prefix=True)
    held = hold_out(load_training_set(data, renderer), MonitorSettings(held_out=1), data, renderer, seed=1)
    [turn] = held.turns
    text = renderer.tokenizer.decode(turn.prompt)
    assert text.endswith("<|im_start|>assistant\n") and text.count("<|im_start|>system") == 1
    assert [call.name for call in turn.calls] == ["weather", "weather"]


def test_rows_of_a_file_are_held_out_of_the_training_rows_too(tmp_path, renderer):
    train = write_training_rows(tmp_path / "train.jsonl", 6)
    other = tmp_path / "held.jsonl"
    write_rows(other, [row(2), row(100)])
    data = DataSettings([str(train)], share_prefix=True)
    training = load_training_set(data, renderer)
    held = hold_out(training, MonitorSettings(held_out=str(other)), data, renderer, seed=1)
    assert held.rows == 2 and held.training.kept == 5
    assert "train-3" not in " ".join(source for tree in held.training.trees for source in tree.sources)


def qwen3():
    """A template that shows the last turn with empty thoughts and earlier ones without: a sequence a turn."""
    template = Path(find_spec("trl").origin).parent / "chat_templates" / "qwen3.jinja"
    return Renderer(load_tokenizer(str(prepare())), template.read_text(encoding="utf-8"))


@pytest.mark.parametrize("share", [True, False])
def test_a_row_of_several_sequences_is_held_out_as_a_whole(tmp_path, share):
    data = DataSettings([str(write_training_rows(tmp_path / "train.jsonl", 9, turns=3))], share_prefix=share)
    training = load_training_set(data, qwen3())
    sequences = [source for tree in training.trees for source in tree.sources]
    assert training.kept == 9 and len(sequences) > 18
    held = hold_out(training, MonitorSettings(held_out=2), data, qwen3(), seed=4)
    asked = {turn.source for turn in held.turns}
    assert held.rows == 2 and len(asked) == 2 and held.training.kept == 7
    left = [source for tree in held.training.trees for source in tree.sources]
    assert not asked & set(left) and len(set(left)) == 7
    assert len(left) == sum(source not in asked for source in sequences)
    assert held.training.tokens == sum(map(len, rows_in(held.training)))
    # What was answered in a held-out row stands in no context that is left.
    assert len(held.turns) == len(sequences) - len(left)
    with pytest.raises(InputError, match="9 rows cannot be set aside from 9"):
        hold_out(training, MonitorSettings(held_out=9), data, qwen3(), seed=4)


def test_a_row_that_begins_as_a_held_out_one_goes_with_all_its_turns(tmp_path):
    file, other = tmp_path / "train.jsonl", tmp_path / "held.jsonl"
    write_rows(file, [row(1, turns=3), row(5, turns=2)])
    write_rows(other, [row(1)])  # the first turn of the first row, and nothing else
    data = DataSettings([str(file)])
    training = load_training_set(data, qwen3())
    held = hold_out(training, MonitorSettings(held_out=str(other)), data, qwen3(), seed=1)
    assert held.rows == 1 and held.training.kept == 1
    assert {source for tree in held.training.trees for source in tree.sources} == {f"{file} (train-2)"}


def test_the_rows_of_a_run_that_was_tokenised_before_are_held_out_alike(tmp_path):
    data = DataSettings([str(write_training_rows(tmp_path / "train.jsonl", 6, turns=2))])
    made, read = (load_training_set(data, qwen3(), folder=tmp_path / "run") for _ in range(2))
    assert read.reused and not made.reused and read.trees == made.trees
    first, second = (hold_out(rows, MonitorSettings(held_out=2), data, qwen3(), seed=1) for rows in (made, read))
    assert first.turns == second.turns and first.training.trees == second.training.trees


def test_the_same_words_twice_are_held_out_twice(tmp_path, renderer):
    file = tmp_path / "train.jsonl"
    write_rows(file, [row(1), row(1), row(1), row(2)])
    other = tmp_path / "held.jsonl"
    write_rows(other, [row(1)])
    data = DataSettings([str(file)])
    held = hold_out(load_training_set(data, renderer), MonitorSettings(held_out=str(other)), data, renderer, seed=1)
    assert held.training.kept == 1 and held.training.trees[0].sources[0].endswith("(train-4)")


def test_holding_everything_out_is_an_error(tmp_path, renderer):
    data = DataSettings([str(write_training_rows(tmp_path / "train.jsonl", 3))])
    training = load_training_set(data, renderer)
    with pytest.raises(InputError, match="3 rows cannot be set aside from 3"):
        hold_out(training, MonitorSettings(held_out=3), data, renderer, seed=1)
    with pytest.raises(InputError, match="every training row is held out"):
        hold_out(training, MonitorSettings(held_out=data.files[0]), data, renderer, seed=1)
    with pytest.raises(InputError, match="every_steps is 0"):
        MonitorSettings(every_steps=0).check("recipe")


def test_an_answer_is_right_when_its_calls_are(tmp_path, renderer):
    data = DataSettings([str(write_training_rows(tmp_path / "train.jsonl", 2, turns=2))])
    held = hold_out(load_training_set(data, renderer), MonitorSettings(held_out=1), data, renderer, seed=1)
    call, words, again = held.turns
    city, days = call.calls[0].arguments["city"], call.calls[0].arguments["days"]
    swapped = f'[weather(city="{city}"), weather(days={days}.0, city="{city}")]'
    assert score([call, words, again], [swapped, "Anything said.", "[weather()]"], "toolace") == [2, 1, 1, 1]
    assert score([call, words, again], [swapped + " Done.", '[weather(city="Oslo")]', ""], "toolace") == [2, 0, 1, 0]


def test_native_answers_are_read_as_a_server_reads_them():
    said = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call><|im_end|>'
    assert calls_in(said, "native") == (Call("f", {"a": 1}),)
    assert calls_in('{"name": "f", "parameters": {}}<|eot_id|>', "native") == (Call("f", {}),)
    assert calls_in("No tool fits.<|im_end|>", "native") == ()


@pytest.mark.parametrize("in_step", [False, True])
def test_greedy_answers_in_batches_are_those_of_transformers_one_by_one(tmp_path, in_step):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(make_tiny_llama(tmp_path), dtype=torch.float32).eval()
    torch.manual_seed(1)
    prompts = [torch.randint(3, 49000, (length,)).tolist() for length in (9, 30, 3, 17, 30)]
    wanted = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        output = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, pad_token_id=0
        )
        wanted.append(output[0, len(prompt) :].tolist())
    # A token of the middle of an answer as the ending: the answer is cut there, the others go on.
    end = wanted[1][5]
    expected = [answer[: answer.index(end)] if end in answer else answer for answer in wanted]
    busy = []

    def going_on(has_work: bool) -> bool:
        busy.append(has_work)
        return has_work

    found = answers(model, prompts, {end}, 12, 2, "cpu", going_on if in_step else None)
    assert found == expected
    assert bool(busy) is in_step
