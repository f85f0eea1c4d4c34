import pytest
from tiny_llama import write_training_rows

from toolace.embedded import prepare
from toolace.errors import InputError
from toolace_train.data import load_training_set
from toolace_train.mixing import amounts, check_amounts, drawn
from toolace_train.model import load_tokenizer
from toolace_train.rendering import Renderer
from toolace_train.settings import DataSettings, DataSource


@pytest.mark.parametrize(
    ("weights", "available", "wanted"),
    [
        ((3, 1), (900, 1000), [900, 300]),
        ((0.7, 0.3), (1000, 1000), [1000, 428]),
        ((0.1, 0.2, 0.7), (10, 20, 70), [10, 20, 70]),
        ((1, None), (5, 8), [5, 8]),
        ((1, 1000), (1, 10), [0, 10]),
    ],
)
def test_weights_are_shares_and_no_row_is_taken_twice(weights, available, wanted):
    sources = [DataSource(f"{i}.jsonl", weight=weight) for i, weight in enumerate(weights)]
    assert amounts(sources, available) == wanted


def test_a_size_takes_that_many_and_does_not_disturb_the_weights():
    sources = [DataSource("a", rows=2), DataSource("b", weight=1), DataSource("c", weight=2), DataSource("d")]
    assert amounts(sources, (7, 10, 10, 4)) == [2, 5, 10, 4]


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_a_weight_that_is_no_share_is_refused(weight):
    with pytest.raises(InputError, match="Give a number above 0"):
        check_amounts([DataSource("a", weight=weight)])


def test_the_same_seed_draws_the_same_rows_and_another_seed_others():
    source = DataSource("a", rows=10)
    assert drawn(source, 0, 100, 10, 1) == drawn(source, 0, 100, 10, 1)
    assert drawn(source, 0, 100, 10, 1) != drawn(source, 0, 100, 10, 2)
    assert len(drawn(source, 0, 100, 10, 1)) == 10 and drawn(source, 0, 10, 10, 1) is None


def test_drawn_rows_stand_in_file_order_and_are_counted(tmp_path):
    renderer = Renderer(load_tokenizer(str(prepare())))
    a, b = write_training_rows(tmp_path / "a.jsonl", 9), write_training_rows(tmp_path / "b.jsonl", 12)
    data = DataSettings(files=(DataSource(str(a), weight=1), DataSource(str(b), weight=3)))
    first, same = (load_training_set(data, renderer, seed=3) for _ in range(2))
    other = load_training_set(data, renderer, seed=4)
    assert first.trees == same.trees and first.trees != other.trees
    assert [(source.read, source.drawn, source.kept) for source in first.sources] == [(9, 4, 4), (12, 12, 12)]
    lines = [int(tree.sources[0].rsplit("-", 1)[1][:-1]) for tree in first.trees]
    assert lines[:4] == sorted(lines[:4]) and lines[4:] == list(range(1, 13))
    assert f"{a}: 4 of 9 rows drawn, 4 used" in first.report()
