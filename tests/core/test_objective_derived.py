"""Objectives made from objectives: classes, subsets, other losses, other parameters."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from landscope.objective import Objective

N = 24


def made(batch_size=10, seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x, y = torch.randn(N, 3).double(), torch.randint(3, (N,))
    return Objective(model, F.cross_entropy, (x, y), batch_size=batch_size), x, y


def mean_loss(objective, x, y):
    return float(F.cross_entropy(objective.model(x), y).detach())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), batch_size=st.integers(1, N), scale=st.floats(0.0, 3.0))
def test_classes_weighted_by_their_counts_make_up_the_whole(seed, batch_size, scale):
    objective, _, y = made(batch_size, seed)
    theta = scale * objective.theta()
    classes = [objective.of_class(int(label)) for label in y.unique()]
    assert sum(part.examples for part in classes) == N
    assert all(part.labels().unique().numel() == 1 for part in classes)
    value = sum(part.examples / N * part.value(theta) for part in classes)
    gradient = sum(part.examples / N * part.gradient(theta) for part in classes)
    product = sum(part.examples / N * part.hessian(theta)(theta) for part in classes)
    assert value == pytest.approx(objective.value(theta), rel=1e-12)
    assert torch.allclose(gradient, objective.gradient(theta), rtol=1e-10, atol=1e-13)
    assert torch.allclose(product, objective.hessian(theta)(theta), rtol=1e-9, atol=1e-12)


def test_subsets_by_position_and_by_mask():
    objective, x, y = made()
    positions = torch.tensor([20, 3, 11, 3])
    part = objective.subset(positions)
    assert part.examples == 3
    assert part.value() == pytest.approx(mean_loss(objective, x[[3, 11, 20]], y[[3, 11, 20]]), rel=1e-12)
    assert torch.equal(part.labels(), y[[3, 11, 20]])
    mask = y != 1
    assert objective.subset(mask).value() == pytest.approx(mean_loss(objective, x[mask], y[mask]), rel=1e-12)
    assert objective.subset([5]).value() == pytest.approx(mean_loss(objective, x[5:6], y[5:6]), rel=1e-12)
    assert objective.subset(mask).subset([0]).examples == 1
    assert objective.examples == N  # the whole is as it was


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([], "subset is empty"),
        (torch.zeros(N, dtype=torch.bool), "subset is empty"),
        (torch.ones(N - 1, dtype=torch.bool), rf"mask must have shape \({N},\), got \({N - 1},\)"),
        ([0, N], rf"positions must lie in 0\.\.{N - 1}, got 0\.\.{N}"),
        ([-1, 2], r"got -1\.\.2"),
        ([0.5], r"positions must be integers \(n,\), got torch\.float32"),
        (torch.zeros(2, 2, dtype=torch.long), r"got torch\.int64 of shape \(2, 2\)"),
    ],
)
def test_subsets_that_cannot_be_are_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        made()[0].subset(chosen)


def test_a_class_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"no example has class 7; classes are \[0, 1, 2\]"):
        made()[0].of_class(7)


def test_another_loss_over_the_same_data():
    objective, x, y = made()
    terms = (
        lambda output, target: F.cross_entropy(output, target),
        lambda output, target: 0.1 * output.pow(2).mean(),
    )
    whole = objective.with_loss(lambda output, target: sum(term(output, target) for term in terms))
    parts = [objective.with_loss(term) for term in terms]
    assert sum(part.value() for part in parts) == pytest.approx(whole.value(), rel=1e-12)
    assert torch.allclose(sum(part.gradient() for part in parts), whole.gradient(), rtol=1e-11)
    assert objective.value() == pytest.approx(mean_loss(objective, x, y), rel=1e-12)
    assert objective.loss is F.cross_entropy


def test_other_parameters_of_the_same_model():
    objective, _, _ = made()
    part = objective.with_parameters(["0.*"])
    assert part.layout.names == ("0.weight", "0.bias")
    assert part.value() == objective.value()
    start = objective.layout.slices["0.bias"].stop
    assert torch.allclose(part.gradient(), objective.gradient()[:start], rtol=1e-12)
    thetas = torch.zeros(3, part.layout.size, dtype=torch.float64)
    assert part.values(thetas).tolist() == pytest.approx([part.value(thetas[0])] * 3, rel=1e-12)


def test_derived_objectives_count_their_own_work_and_keep_their_provenance():
    objective, _, _ = made()
    objective.split = "train"
    objective.value()
    part = objective.of_class(1)
    assert (part.work.forwards, part.work.gradients) == (0, 0)
    part.gradient()
    assert objective.work.gradients == 0
    with part.measuring() as meter:
        part.value()
    provenance = meter.provenance("value")
    assert (provenance.split, provenance.examples) == ("train", part.examples)


def test_a_sample_is_random_fixed_and_in_one_batch():
    objective, x, y = made(batch_size=5)
    before = torch.random.get_rng_state()
    sample, again, other = objective.sample(9), objective.sample(9), objective.sample(9, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert sample.batches.sizes == (9,)
    chosen, _ = sample.batches.items[0]
    assert torch.equal(chosen, again.batches.items[0][0])
    assert not torch.equal(chosen, other.batches.items[0][0])
    positions = [int((x == row).all(dim=1).nonzero()) for row in chosen]
    assert len(set(positions)) == 9
    assert sample.value() == pytest.approx(mean_loss(objective, x[positions], y[positions]), rel=1e-12)


def test_a_sample_as_large_as_the_data_is_the_data_in_one_batch():
    objective, _, _ = made(batch_size=5)
    whole = objective.sample(1000)
    assert whole.batches.sizes == (N,)
    assert whole.value() == pytest.approx(objective.value(), rel=1e-12)
    assert torch.allclose(whole.gradient(), objective.gradient(), rtol=1e-12)
    with pytest.raises(ValueError, match="must be positive, got 0"):
        objective.sample(0)


def test_a_sample_keeps_its_batches_where_they_normalise_or_do_not_fit_together():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    x, y = torch.randn(N, 3).double(), torch.randint(3, (N,))
    objective = Objective(model, F.cross_entropy, (x, y), batch_size=8, batch_norm="batch")
    assert objective.sample(N).batches.sizes == (8, 8, 8)
    ragged = [(torch.randn(4, length, 3).double(), torch.randint(3, (4,))) for length in (2, 5)]
    pooled = Objective(
        nn.Linear(3, 3).double(), F.cross_entropy, ragged, forward=lambda model, batch: model(batch[0].mean(dim=1))
    )
    assert pooled.sample(8).batches.sizes == (4, 4)
