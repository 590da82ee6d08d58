"""CKA by its definition with explicit kernels, its invariances, and the Procrustes distance as a minimum."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.embedding import cka, layerwise, procrustes, similarity, similarity_between
from landscope.kernel.spectrum import alignment
from landscope.measurements import Provenance, Snapshot
from landscope.objective import Objective


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, 6))
    return x, x @ generator.normal(size=(6, 9)) + generator.normal(size=(40, 9))


def explicit(x, y):
    """HSIC as Song et al. write it, with kernels that have no diagonal."""
    n, one = len(x), np.ones(len(x))
    K, L = x @ x.T, y @ y.T
    np.fill_diagonal(K, 0)
    np.fill_diagonal(L, 0)
    sums = (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
    return (np.trace(K @ L) + sums - 2 / (n - 2) * one @ K @ L @ one) / (n * (n - 3))


@pytest.mark.parametrize("wide", [False, True])
def test_cka_is_the_definition(pair, wide):
    x, y = pair
    if wide:  # more features than examples
        x, y = x[:8], np.random.default_rng(1).normal(size=(8, 30))
    expected = explicit(x, y) / np.sqrt(explicit(x, x) * explicit(y, y))
    assert cka(x, y) == pytest.approx(expected, rel=1e-9)
    batches = [slice(0, 8), slice(8, 16), slice(16, 24), slice(24, 32), slice(32, 40)][: len(x) // 8]
    terms = [np.mean([explicit(a[b], c[b]) for b in batches]) for a, c in ((x, y), (x, x), (y, y))]
    assert cka(x, y, batch=8) == pytest.approx(terms[0] / np.sqrt(terms[1] * terms[2]), rel=1e-9)


def test_cka_is_that_of_a_peer():
    """Values of ckatorch 1.0.3, `cka_base(x, y, unbiased=True)` and `cka_batch` with four batches of 50."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 30))
    y = np.tanh(x @ generator.normal(size=(30, 12))) + 0.3 * generator.normal(size=(200, 12))
    assert cka(x, y) == pytest.approx(0.3888988336502544, rel=1e-9)
    assert cka(x, y, batch=50) == pytest.approx(0.38159374879435076, rel=1e-9)


def test_cka_with_itself_is_one_and_sees_neither_rotation_scale_nor_place(pair):
    x, y = pair
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
    assert cka(x, x) == pytest.approx(1, abs=1e-12)
    assert cka(torch.as_tensor(3 * x @ turn - 7), y) == pytest.approx(cka(x, y), rel=1e-9)
    assert cka(x, np.ones((40, 2))) != cka(x, np.ones((40, 2)))  # NaN: nothing varies


def test_cka_of_unrelated_features_is_about_zero_where_the_biased_one_is_not():
    generator = np.random.default_rng(3)
    unbiased, biased = [], []
    for _ in range(20):
        x, y = generator.normal(size=(30, 50)), generator.normal(size=(30, 50))
        unbiased.append(cka(x, y))
        biased.append(alignment(x @ x.T, y @ y.T))
    assert abs(np.mean(unbiased)) < 0.02
    assert np.mean(biased) > 0.5


def test_cka_of_many_examples_is_the_kernels_alignment():
    generator = np.random.default_rng(4)
    x = generator.normal(size=(1500, 3))
    y = x @ generator.normal(size=(3, 4)) + generator.normal(size=(1500, 4))
    assert cka(x, y) == pytest.approx(alignment(x @ x.T, y @ y.T), abs=5e-3)


def test_procrustes_is_the_least_distance(pair):
    x, _ = pair
    y = np.random.default_rng(5).normal(size=(40, 2))
    x = x[:, :2]
    assert procrustes(x, 5 * x @ [[0.6, -0.8], [0.8, 0.6]] + 3) == pytest.approx(0, abs=1e-9)
    a, b = ((v - v.mean(axis=0)) / np.linalg.norm(v - v.mean(axis=0)) for v in (x, y))
    least = min(
        np.linalg.norm(a - b @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) @ np.diag([1, s])) ** 2
        for t in np.linspace(0, 2 * np.pi, 4000)
        for s in (1, -1)
    )
    assert procrustes(x, y) == pytest.approx(least, abs=1e-5)


def test_layers_steps_and_runs_are_compared_alike():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    objective = Objective(model, nn.CrossEntropyLoss(), (torch.randn(50, 4), torch.arange(50) % 3), batch_size=20)
    layers = layerwise(objective)
    assert list(layers) == ["0", "1", "2", "3", "4"]
    found = similarity(layers)
    assert (found.rows, found.columns) == (tuple(layers), tuple(layers))
    np.testing.assert_allclose(np.diag(found.values), 1)
    np.testing.assert_allclose(found.values, found.values.T)
    assert found.values[1, 3] == pytest.approx(cka(layers["1"], layers["3"]))
    other = layerwise(objective, ["2"], theta=torch.randn_like(objective.theta()))
    across = similarity(layers, other, metric="procrustes")
    assert across.values.shape == (5, 1)
    assert across.values[2, 0] == pytest.approx(procrustes(layers["2"], other["2"]))
    torch.testing.assert_close(layers["1"], torch.tanh(model[0](objective.batches.together().items[0][0])).detach())


def test_networks_of_two_runs_and_two_models_are_compared():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    data = torch.randn(50, 4), torch.arange(50) % 3
    objective = Objective(model, nn.CrossEntropyLoss(), data)
    theta = torch.randn_like(objective.theta())
    layout = objective.layout
    run = Snapshot(provenance=Provenance(method=""), theta=theta.numpy(), names=layout.names, sizes=layout.sizes)
    found = similarity_between(objective, objective.theta(), run, examples=30)
    sides = layerwise(objective, examples=30), layerwise(objective, theta=theta, examples=30)
    np.testing.assert_array_equal(found.values, similarity(*sides).values)
    assert (found.rows, found.columns) == (("0", "1", "2"), ("0", "1", "2"))
    assert found.values[1, 1] == pytest.approx(cka(sides[0]["1"], sides[1]["1"]))

    # The same function with its units in another order is the same network, whatever its weights.
    other = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    order = torch.randperm(8)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    other.load_state_dict(
        {name: value[order] if name.startswith("0") else value for name, value in state.items()}
        | {"2.weight": state["2.weight"][:, order]}
    )
    rival = Objective(other, nn.CrossEntropyLoss(), data)
    twins = similarity_between(objective, objective, rival, ["1"], metric="procrustes")
    assert twins.values == pytest.approx(np.zeros((1, 1)), abs=1e-6)

    narrow = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3))
    with pytest.raises(ValueError, match="snapshot is of a network with 67 parameters in 4 tensors"):
        similarity_between(Objective(narrow, nn.CrossEntropyLoss(), data), run, run)
    with pytest.raises(ValueError, match="compared on the same examples, got 30 and 50"):
        similarity_between(objective, objective, rival.subset(range(30)))


def test_layers_without_a_row_for_each_example_are_passed_over_or_refused():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.idle, self.body = nn.Linear(1, 1), nn.Linear(2, 2), nn.Linear(4, 3)

        def forward(self, x):
            return self.body(x) * self.scale(torch.ones(1))

    objective = Objective(Scaled(), nn.CrossEntropyLoss(), (torch.randn(9, 4), torch.arange(9) % 3))
    assert list(layerwise(objective)) == ["body"]
    with pytest.raises(ValueError, match="'scale' has features of shape"):
        layerwise(objective, ["scale"])
    with pytest.raises(ValueError, match="'idle' did not run"):
        layerwise(objective, ["idle"])
    with pytest.raises(ValueError, match="no layer 'bodi'; did you mean 'body'"):
        layerwise(objective, ["bodi"])


def test_refusals(pair):
    x, y = pair
    for call, message in [
        (lambda: cka(x, y[:-1]), "same examples, at least 4, got 40 and 39"),
        (lambda: cka(x[:3], y[:3]), "at least 4, got 3 and 3"),
        (lambda: cka(x, y * np.nan), "not all finite"),
        (lambda: cka(x[0], y), r"must have shape \(n, d\)"),
        (lambda: cka(x, y, batch=3), "batch must be from 4 to the 40 examples, got 3"),
        (lambda: similarity({}), "at least one set"),
        (lambda: similarity({"x": x, "y": y[:-1]}), "same examples, at least 4, got 40 and 39"),
        (lambda: similarity({"x": x}, {"y": y}, batch=41), "batch must be from 4 to the 40 examples, got 41"),
        (lambda: similarity({"x": x}, metric="cosine"), "metric must be one of cka, procrustes, got 'cosine'"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
