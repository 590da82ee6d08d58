"""Data in every form an objective takes, as batches in memory."""

import logging
from collections import UserDict

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, TensorDataset

from landscope.batches import Batches, batch_size_of, collect, to_device

N = 10
X, Y = torch.arange(20.0).reshape(N, 2), torch.arange(N)


def seen(batches: Batches) -> torch.Tensor:
    return torch.cat([item[1] for item in batches.items])


def test_a_tuple_of_tensors_is_cut_into_batches_with_a_short_last_one():
    batches = collect((X, Y), batch_size=4)
    assert batches.sizes == (4, 4, 2)
    assert batches.examples == N
    assert torch.equal(seen(batches), Y)
    assert batches.items[0][0].data_ptr() == X.data_ptr()  # views, not copies


def test_a_mapping_a_tensor_and_several_inputs():
    (batch,) = collect({"x": X, "y": Y}, batch_size=100).items
    assert set(batch) == {"x", "y"}
    assert collect(X, batch_size=4).sizes == (4, 4, 2)
    assert [len(item) for item in collect((X, X + 1, Y), batch_size=5).items] == [3, 3]


def test_a_dataset_is_read_in_its_order():
    batches = collect(TensorDataset(X, Y), batch_size=4)
    assert batches.sizes == (4, 4, 2)
    assert torch.equal(seen(batches), Y)


def test_a_shuffled_loader_is_read_once_and_its_generator_left_where_it_was():
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True, generator=generator)
    before = generator.get_state()
    batches = collect(loader, batch_size=1)
    assert torch.equal(generator.get_state(), before)
    assert batches.sizes == (4, 4, 2)
    order = seen(batches)
    assert sorted(order.tolist()) == Y.tolist()
    list(loader)  # the loader's next epoch has another order
    assert torch.equal(seen(batches), order)


def test_the_generators_of_samplers_are_left_where_they_were_even_if_reading_stops_early():
    generator = torch.Generator().manual_seed(3)
    sampler = RandomSampler(TensorDataset(X, Y), generator=generator)
    batch_sampler = torch.utils.data.BatchSampler(sampler, 4, drop_last=False)
    before = generator.get_state()
    for loader in (
        DataLoader(TensorDataset(X, Y), batch_size=4, sampler=sampler),
        DataLoader(TensorDataset(X, Y), batch_sampler=batch_sampler),
    ):
        collect(loader, batch_size=1, examples=3)
        assert torch.equal(generator.get_state(), before)


def test_a_dataset_without_length_is_read_up_to_the_limit():
    class Stream(IterableDataset):
        def __iter__(self):
            return ((X[i % N], Y[i % N]) for i in range(1_000_000))

    assert collect(Stream(), batch_size=4, examples=7).sizes == (4, 3)


def test_lists_and_generators_of_batches():
    pairs = [(X[:4], Y[:4]), (X[4:], Y[4:])]
    assert collect(pairs, batch_size=1).sizes == (4, 6)
    assert collect((pair for pair in pairs), batch_size=1).sizes == (4, 6)
    assert collect([{"x": X, "y": Y}], batch_size=1).sizes == (N,)
    assert collect([(X[:0], Y[:0]), *pairs], batch_size=1).sizes == (4, 6)  # an empty batch is no batch


def test_mappings_that_pytrees_do_not_know_become_dictionaries_at_any_depth():
    (item,) = collect([(UserDict({"ids": X, "inner": UserDict({"mask": X})}), Y)], batch_size=1).items
    assert type(item[0]) is dict
    assert type(item[0]["inner"]) is dict
    assert collect(UserDict({"x": X, "y": Y}), batch_size=4).sizes == (4, 4, 2)


class Graph:
    def __init__(self, nodes, y):
        self.nodes, self.y, self.moves = nodes, y, 0

    def to(self, device):
        moved = Graph(self.nodes.to(device), self.y.to(device))
        moved.moves = self.moves + 1
        return moved


def test_opaque_batches_count_as_many_examples_as_their_target_has_rows():
    graphs = [Graph(X, Y[:3]), Graph(X, Y[:5])]
    assert collect(graphs, batch_size=1, target=lambda graph: graph.y).sizes == (3, 5)
    assert collect(graphs, batch_size=1).sizes == (1, 1)
    assert to_device(graphs[0], torch.device("cpu")).moves == 1


def test_a_batch_whose_tensors_have_no_common_rows_is_counted_by_its_target():
    batch = {"edges": torch.zeros(2, 7), "x": X, "y": Y}
    assert batch_size_of(batch, lambda b: b["y"]) == N
    with pytest.raises(ValueError, match=r"agree in their first dimension, got sizes \[2, 10\].*pass target="):
        batch_size_of(batch)


def test_tensors_given_directly_must_agree():
    with pytest.raises(ValueError, match=r"got sizes \[9, 10\]"):
        collect((X, Y[:9]), batch_size=4, target=lambda batch: batch[1])


def test_examples_is_a_fixed_random_subset_of_tensors_and_datasets():
    first = seen(collect((X, Y), batch_size=4, examples=6))
    torch.manual_seed(123)
    assert torch.equal(seen(collect((X, Y), batch_size=3, examples=6)), first)
    assert torch.equal(seen(collect(TensorDataset(X, Y), batch_size=4, examples=6)), first)
    assert first.tolist() == sorted(set(first.tolist()))
    assert len(first) == 6
    assert first.tolist() != Y[:6].tolist()


def test_examples_is_the_first_ones_of_a_loader():
    batches = collect(DataLoader(TensorDataset(X, Y), batch_size=4), batch_size=1, examples=6)
    assert batches.sizes == (4, 2)
    assert seen(batches).tolist() == [0, 1, 2, 3, 4, 5]


def test_more_examples_than_there_are_means_all():
    assert collect((X, Y), batch_size=100, examples=99).examples == N


@pytest.mark.parametrize(("settings", "message"), [({"batch_size": 0}, "batch_size"), ({"examples": 0}, "examples")])
def test_counts_must_be_positive(settings, message):
    with pytest.raises(ValueError, match=f"{message} must be positive, got 0"):
        collect((X, Y), **{"batch_size": 4, **settings})


@pytest.mark.parametrize("data", [(X[:0], Y[:0]), [], [(X[:0], Y[:0])]])
def test_no_data_is_refused(data):
    with pytest.raises(ValueError, match="data is empty"):
        collect(data, batch_size=4)


def test_other_forms_are_refused_with_what_is_expected():
    with pytest.raises(TypeError, match=r"must be a tuple or mapping of tensors.*got int"):
        collect(3, batch_size=4)
    with pytest.raises(ValueError, match="holds a ndarray, and only tensors"):
        collect((X.numpy(), Y.numpy()), batch_size=4)


def test_select_keeps_order_and_division():
    batches = collect((X, Y), batch_size=4).select(torch.tensor([9, 1, 0, 1]))
    assert batches.sizes == (2, 1)
    assert seen(batches).tolist() == [0, 1, 9]


def test_select_of_what_cannot_be_divided_is_refused():
    graphs = collect([Graph(X, Y)], batch_size=1, target=lambda graph: graph.y)
    with pytest.raises(ValueError, match="10 examples: it holds a Graph"):
        graphs.select(torch.tensor([1]))
    edges = collect([{"edges": torch.zeros(2, 7), "y": Y}], batch_size=1, target=lambda b: b["y"])
    with pytest.raises(ValueError, match="holds a tensor of 2 rows"):
        edges.select(torch.tensor([1]))


def test_data_on_another_accelerator_is_refused_with_the_remedy():
    batches = collect((X.to("meta"), Y.to("meta")), batch_size=4)
    with pytest.raises(ValueError, match=r"model's device cpu, got meta; move it with \.to\('cpu'\)"):
        batches.resident(torch.device("cpu"))


def test_inference_tensors_become_ordinary_ones():
    with torch.inference_mode():
        x = X + 0
    assert x.is_inference()
    assert not any(tensor.is_inference() for item in collect((x, Y), batch_size=4).items for tensor in item)


def test_reading_is_silent(caplog):
    with caplog.at_level(logging.DEBUG):
        collect((X, Y), batch_size=4).resident(torch.device("cpu"))
    assert not caplog.records


def test_a_default_device_does_not_matter_to_the_choice_of_examples():
    expected = seen(collect((X, Y), batch_size=4, examples=6))
    with torch.device("meta"):
        found = collect((X, Y), batch_size=4, examples=6)
    assert torch.equal(seen(found), expected)
