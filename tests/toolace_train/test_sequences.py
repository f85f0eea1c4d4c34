import pytest
import torch
from tiny_llama import make_tiny_llama, row
from transformers import AutoModelForCausalLM

from toolace.embedded import prepare
from toolace.errors import InputError
from toolace_train.attention import NAME, attention_for
from toolace_train.model import load_tokenizer
from toolace_train.rendering import IGNORED, Renderer
from toolace_train.sequences import TreeCollator, make_trees, positions_of


@pytest.fixture(scope="module")
def renderer():
    return Renderer(load_tokenizer(str(prepare())))


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return make_tiny_llama(tmp_path_factory.mktemp("model"))


def rows_of(renderer):
    other = "Other functions.\n[]"
    examples = [row(0), row(1, turns=2), row(2), row(3, system=other), row(4), row(5, system=other, turns=3)]
    return [renderer.render(example, f"row {i}") for i, example in enumerate(examples)]


def batch_of(trees):
    columns = ("input_ids", "labels", "prefix", "branches")
    return TreeCollator()([{name: getattr(tree, name) for name in columns} for tree in trees])


def loss_and_gradients(model, batches):
    """Summed loss of the trained tokens, and the gradients of all weights."""
    model.zero_grad()
    total = 0.0
    for batch in batches:
        labels = batch.pop("labels")
        trained = (labels[0] != IGNORED).nonzero().flatten()
        logits = model(**batch, use_cache=False, logits_to_keep=trained - 1).logits[0]
        loss = torch.nn.functional.cross_entropy(logits, labels[0, trained], reduction="sum")
        loss.backward()
        total += loss.item()
    return total, [p.grad.clone() for p in model.parameters()]


def test_shared_prompts_give_the_loss_and_gradients_of_separate_rows(renderer, model_folder):
    rows = rows_of(renderer)
    plain = AutoModelForCausalLM.from_pretrained(model_folder, attn_implementation="eager", dtype=torch.float32)
    alone = [{"input_ids": torch.tensor([r.input_ids]), "labels": torch.tensor([r.labels])} for r in rows]
    wanted, wanted_gradients = loss_and_gradients(plain, alone)

    trees = make_trees(rows, 2048, share_prefix=True)
    assert [len(tree.branches) for tree in trees] == [4, 2]
    shared = AutoModelForCausalLM.from_pretrained(
        model_folder, attn_implementation=attention_for("auto", True), dtype=torch.float32
    )
    found, gradients = loss_and_gradients(shared, [batch_of(trees)])
    assert found == pytest.approx(wanted, rel=1e-5)
    for a, b in zip(wanted_gradients, gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_rows_laid_one_after_another_do_not_see_each_other(renderer, model_folder):
    rows = rows_of(renderer)
    model = AutoModelForCausalLM.from_pretrained(model_folder, attn_implementation="sdpa", dtype=torch.float32)
    alone, _ = loss_and_gradients(model, [batch_of([tree]) for tree in make_trees(rows, 2048, False)])
    together, _ = loss_and_gradients(model, [batch_of(make_trees(rows, 2048, False))])
    assert together == pytest.approx(alone, rel=1e-5)


def test_every_trained_token_stands_in_the_trees_once(renderer):
    rows = rows_of(renderer)
    trees = make_trees(rows, 400, share_prefix=True)
    assert sorted(s for tree in trees for s in tree.sources) == sorted(r.source for r in rows)
    trained = [label for tree in trees for label in tree.labels if label != IGNORED]
    assert sorted(trained) == sorted(label for r in rows for label in r.labels if label != IGNORED)
    assert sum(len(t.input_ids) for t in trees) < sum(len(r.input_ids) for r in rows)
    assert all(len(tree.input_ids) <= 400 for tree in trees)


def test_a_branch_owns_the_token_that_predicts_its_first_label(renderer):
    same_question = [renderer.render(row(0), "a"), renderer.render(row(0), "b")]
    [tree] = make_trees(same_question, 2048, share_prefix=True)
    start = tree.prefix
    for length in tree.branches:
        assert tree.labels[start] == IGNORED
        start += length


def test_positions_go_on_where_the_prefix_ends():
    assert positions_of(3, [2, 1]) == [0, 1, 2, 3, 4, 3]


def test_other_attention_with_shared_prefixes_is_refused():
    with pytest.raises(InputError, match="'sdpa' cannot share prefixes"):
        attention_for("sdpa", True)
    assert attention_for("auto", True) == NAME
    assert attention_for("eager", False) == "eager"
