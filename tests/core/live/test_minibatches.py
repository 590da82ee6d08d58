"""Batches drawn from a private generator, of a size that may change."""

import pytest
import torch
from torch.utils.data import IterableDataset, TensorDataset

from landscope.live import Batches


def drawn(batches, count):
    return [next(batches) for _ in range(count)]


def batches_of(data, size, seed=0, over=lambda: False):
    return Batches(data, size, seed, over)


def test_each_pass_has_every_example_once_in_an_order_of_its_own():
    numbers = torch.arange(10)
    batches = batches_of((numbers, 2 * numbers), 4)
    passes = [torch.cat([x for x, _ in drawn(batches, 3)]) for _ in range(3)]
    assert batches.epoch == 3
    for order in passes:
        assert order.sort().values.tolist() == list(range(10))
    assert len({tuple(order.tolist()) for order in passes}) == 3
    x, y = next(batches)
    assert torch.equal(y, 2 * x)


def test_no_other_generator_is_touched_and_the_seed_decides():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again, other = (drawn(batches_of(torch.arange(50), 20, seed), 4) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])


def test_the_size_may_change_in_the_middle_of_a_pass():
    batches = batches_of(torch.arange(10), 4)
    found = [next(batches)]
    batches.batch_size = 2
    found += drawn(batches, 3)
    assert [len(batch) for batch in found] == [4, 2, 2, 2]
    assert torch.cat(found).sort().values.tolist() == list(range(10))
    batches.batch_size = 1000
    assert batches.batch_size == 10


def test_with_all_examples_the_data_come_as_they_are():
    data = (torch.arange(5), torch.arange(5))
    batches = batches_of(data, 5)
    assert next(batches) is data
    assert batches.epoch == 1


def test_it_goes_on_from_a_state():
    batches = batches_of({"x": torch.arange(30)}, 7)
    drawn(batches, 6)
    state = batches.state_dict()
    then = drawn(batches, 6)
    other = batches_of({"x": torch.arange(30)}, 3)
    other.load_state_dict(state)
    assert all(torch.equal(a["x"], b["x"]) for a, b in zip(then, drawn(other, 6), strict=True))


def test_a_dataset_is_collated():
    batches = batches_of(TensorDataset(torch.arange(6.0), torch.arange(6)), 6)
    x, y = next(batches)
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    batches.batch_size = 4
    x, y = next(batches)
    assert x.shape == (4,)
    assert torch.equal(x.long(), y)


def test_it_ends_when_the_training_is_over():
    steps = []
    for batch in batches_of(torch.arange(4), 2, over=lambda: len(steps) == 5):
        steps.append(batch)
    assert len(steps) == 5


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])


@pytest.mark.parametrize(
    ("data", "size", "error", "words"),
    [
        ((torch.ones(3), torch.ones(4)), 2, ValueError, r"as many in each tensor, got \[3, 4\]"),
        (torch.ones(0), 2, ValueError, "one or more examples"),
        (torch.ones(3), 0, ValueError, "batch_size must be positive, got 0"),
        ([1, 2, 3], 2, TypeError, "got list"),
        (torch.tensor(1.0), 2, TypeError, "an axis of examples"),
        (Stream(), 2, TypeError, "IterableDataset"),
    ],
)
def test_what_makes_no_sense_is_refused(data, size, error, words):
    with pytest.raises(error, match=words):
        batches_of(data, size)
