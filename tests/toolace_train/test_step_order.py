import pytest
import torch

from toolace_train.step_order import RowCollator, Sequences, StepOrder

LENGTHS = [(number * 37) % 101 + 5 for number in range(29)]


def steps_of(order, per_device, processes, accumulation):
    """The pass as accelerate deals it: batch i goes to process i modulo processes; [step][process] -> numbers."""
    numbers = list(order)
    batches = [numbers[i : i + per_device] for i in range(0, len(numbers), per_device)]
    own = [batches[rank::processes] for rank in range(processes)]
    return [
        [[n for batch in mine[at : at + accumulation] for n in batch] for mine in own]
        for at in range(0, len(own[0]), accumulation)
    ]


@pytest.mark.parametrize(("per_device", "processes"), [(1, 1), (1, 2), (1, 4), (2, 2), (4, 2), (8, 1), (2, 1)])
def test_a_step_sees_the_same_sequences_on_any_number_of_devices(per_device, processes):
    accumulation = 8 // (per_device * processes)
    wanted = [sorted(step) for step in StepOrder(LENGTHS, 1, 8, 1, seed=3).steps()]
    order = StepOrder(LENGTHS, per_device, accumulation, processes, seed=3)
    found = steps_of(order, per_device, processes, accumulation)
    real = [sorted(n for mine in step for n in mine if n < len(LENGTHS)) for step in found]
    assert real == wanted
    assert sorted(n for step in real for n in step) == list(range(len(LENGTHS)))
    # Every process has as many batches, so none waits for one that never comes.
    assert all(len({len(mine) for mine in step}) == 1 for step in found)
    assert len(order) == sum(len(mine) for step in found for mine in step)


def test_passes_differ_and_each_is_always_the_same():
    order = StepOrder(LENGTHS, 1, 4, 1, seed=3)
    first = list(order)
    torch.rand(100)  # what else draws random numbers changes nothing
    assert list(order) == first
    order.set_epoch(1)
    assert list(order) != first
    order.set_epoch(0)
    assert list(order) == first
    assert list(StepOrder(LENGTHS, 1, 4, 1, seed=4)) != first


def test_devices_compute_sequences_of_similar_length_at_the_same_time():
    lengths = [10, 1000] * 16
    order = StepOrder(lengths, 1, 8, 2, seed=0)
    numbers = list(order)
    waits = sum(abs(lengths[a] - lengths[b]) for a, b in zip(numbers[::2], numbers[1::2], strict=True))
    assert waits <= 990 * 2  # at most one uneven pair a step


def test_micro_batches_of_several_sequences_hold_about_as_many_tokens():
    order = StepOrder(LENGTHS[:24], 4, 6, 1, seed=0)
    numbers = list(order)
    sizes = [sum(LENGTHS[n] for n in numbers[i : i + 4]) for i in range(0, 24, 4)]
    assert max(sizes) < 1.35 * min(sizes)


def test_the_filler_trains_nothing_and_batches_say_which_rows_they_hold():
    rows = [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7], "prefix": 3, "branches": []}]
    sequences = Sequences(rows)
    batch = RowCollator(always_trees=True)([sequences[0], sequences[1]])
    assert batch["rows"].tolist() == [0]
    assert batch["labels"].tolist() == [[-100, 6, 7, -100, -100]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert batch["trees"] == [(0, 3, []), (3, 2, [])]
    assert "trees" not in RowCollator(always_trees=False)([sequences[0]])
