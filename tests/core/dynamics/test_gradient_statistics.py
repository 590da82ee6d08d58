"""Statistics of gradients against single examples' gradients by autograd, and against closed forms."""

import itertools

import numpy as np
import pytest
import torch
from dynamics_cases import problem
from explicit import flat_gradient, parameters_of
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from landscope.dynamics import (
    by_group,
    example_grams,
    gap_change,
    gradient_conflict,
    gradient_statistics,
    two_batch_estimates,
    update_path,
)
from landscope.objective import Objective


@pytest.fixture(scope="module")
def classifier():
    return problem()


@pytest.fixture(scope="module")
def statistics(classifier):
    return gradient_statistics(classifier.objective)


LAYERS = {"all": slice(0, 51), "0": slice(0, 30), "2": slice(30, 51)}


def of_means(means):
    """An objective whose example i has the gradient w - means[i]."""
    means = torch.as_tensor(means).double()
    model = nn.Linear(1, means.shape[1], bias=False).double()
    nn.init.zeros_(model.weight)
    return Objective(model, squared_distance, (torch.ones(len(means), 1).double(), means))


def squared_distance(output, target):
    return (output - target).square().sum(1).mean() / 2


def test_inner_products_are_those_of_single_examples_gradients(classifier):
    grams = example_grams(classifier.objective)
    assert list(grams) == list(LAYERS)
    for layer, where in LAYERS.items():
        rows = classifier.gradients[:, where]
        torch.testing.assert_close(grams[layer], rows @ rows.T, rtol=1e-10, atol=1e-14)


def test_estimates_are_sums_over_pairs_of_different_examples(classifier, statistics):
    assert statistics.groups == ("all", "0", "1", "2")
    assert statistics.layers == tuple(LAYERS)
    assert statistics.counts.tolist() == [30, 10, 10, 10]
    members = [torch.ones(30, dtype=bool), *(classifier.y == label for label in range(3))]
    for (k, mask), (layer, where) in itertools.product(enumerate(members), enumerate(LAYERS.values())):
        rows = classifier.gradients[mask][:, where].numpy()
        pairs = [rows[i] @ rows[j] for i, j in itertools.permutations(range(len(rows)), 2)]
        trace = np.trace(np.cov(rows.T))
        assert statistics.squared_norms[k, layer] == pytest.approx(np.mean(pairs), rel=1e-9, abs=1e-14)
        assert statistics.traces[k, layer] == pytest.approx(trace, rel=1e-9)
        assert statistics.norms[k, layer] == pytest.approx(np.linalg.norm(rows.mean(0)), rel=1e-9)
        expected = trace / np.mean(pairs) if np.mean(pairs) > 0 else np.inf
        assert statistics.noise_scales[k, layer] == pytest.approx(expected, rel=1e-8)
    np.testing.assert_allclose(statistics.traces[:, 1:].sum(1), statistics.traces[:, 0])


def test_errors_are_the_jackknifes_of_the_objective_without_each_example(classifier):
    few = classifier.objective.subset(torch.arange(8))
    whole = gradient_statistics(few, groups={})
    left = [gradient_statistics(few.subset([j for j in range(8) if j != i]), groups={}) for i in range(8)]
    for name, error in (("squared_norms", "squared_norm_errors"), ("traces", "trace_errors")):
        values = np.stack([getattr(one, name) for one in left])
        expected = np.sqrt(7 / 8 * ((values - values.mean(0)) ** 2).sum(0))
        np.testing.assert_allclose(getattr(whole, error), expected, rtol=1e-8)


def test_estimates_scatter_about_the_truth_by_their_errors():
    rng = np.random.default_rng(0)
    centre = np.array([1.0, -2.0, 0.5])
    found = [
        gradient_statistics(of_means(-centre + rng.normal(size=(40, 3)) * [1.0, 2.0, 3.0]), groups={})
        for _ in range(40)
    ]
    for name, truth in (("squared_norms", centre @ centre), ("traces", 14.0)):
        values = np.array([getattr(one, name)[0, 0] for one in found])
        errors = np.array([getattr(one, name[:-1] + "_errors")[0, 0] for one in found])
        assert abs(values.mean() - truth) < 3 * values.std() / len(found) ** 0.5
        assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.25)


def test_two_batch_sizes_tell_norm_and_noise_apart():
    assert two_batch_estimates(9.0 + 4.0 / 2, 9.0 + 4.0 / 8, 2, 8) == pytest.approx((9.0, 4.0))
    with pytest.raises(ValueError, match="0 < small < big, got 8 and 8"):
        two_batch_estimates(1.0, 1.0, 8, 8)


def test_equal_examples_have_no_noise_and_opposite_ones_nothing_else():
    same = gradient_statistics(of_means(np.ones((6, 2))), groups={})
    assert same.critical_batch_size == 0
    assert same.progress(1) == 1
    np.testing.assert_allclose(same.batch_cosines, 1)
    np.testing.assert_allclose(same.direction_variances, 0, atol=1e-12)
    assert same.signal_to_noise[0, 0] == np.inf
    orthogonal = gradient_statistics(of_means(3 * np.eye(16)), groups={})
    assert orthogonal.squared_norms[0, 0] == pytest.approx(0, abs=1e-12)
    assert orthogonal.traces[0, 0] == pytest.approx(9)
    np.testing.assert_allclose(orthogonal.direction_variances, 0.5)
    np.testing.assert_allclose(orthogonal.batch_cosines, np.sqrt(orthogonal.batch_sizes / 16))
    opposite = gradient_statistics(of_means([[1.0], [-1.0], [1.0], [-1.0]]), groups={})
    assert opposite.critical_batch_size == np.inf
    assert opposite.progress(8) == 0
    assert opposite.scalars()["noise_scale"] == np.inf


def test_half_the_noise_scale_makes_a_third_of_the_progress():
    one = gradient_statistics(of_means([[1.0], [2.0], [3.0], [2.0]]), groups={})
    assert one.progress(one.critical_batch_size / 2) == pytest.approx(1 / 3)


def test_a_sample_and_groups_of_ones_own(classifier):
    found = gradient_statistics(classifier.objective, 12, groups={"first": range(15), "last": classifier.y > 1}, seed=3)
    chosen = classifier.objective.sampled(12, seed=3)
    assert found.groups == ("all", "first", "last")
    assert found.counts.tolist() == [12, int((chosen < 15).sum()), int((classifier.y[chosen] > 1).sum())]
    assert found.provenance.examples == 12
    assert found.norms[0, 0] == pytest.approx(float(classifier.gradients[chosen].mean(0).norm()))
    alone = gradient_statistics(classifier.objective, groups={"one": [4], "two": [4, 5]})
    assert np.isnan(alone.traces[1]).all()
    assert np.isnan(alone.trace_errors[2]).all()
    assert np.isfinite(alone.traces[2]).all()


def test_conflicts_of_classes_and_of_loss_terms(classifier):
    found = gradient_conflict(by_group(classifier.objective))
    means = torch.stack([classifier.gradients[classifier.y == label].mean(0) for label in range(3)])
    assert found.parts == ("0", "1", "2")
    assert found.provenance.gradients == pytest.approx(1 + 2)  # one of the first class, two of as many
    for layer, where in enumerate(LAYERS.values()):
        cosines = torch.nn.functional.cosine_similarity(means[:, None, where], means[None, :, where], dim=2)
        np.testing.assert_allclose(found.cosines[layer], cosines, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.norms[layer], means[:, where].norm(dim=1))
    pairs = found.pairs[0]
    assert found.scalars() == {"mean": pairs.mean(), "least": pairs.min(), "conflicts": (pairs < 0).mean()}
    negated = classifier.objective.with_loss(lambda *pair: -2 * cross_entropy(*pair))
    terms = gradient_conflict({"loss": classifier.objective, "against": negated})
    np.testing.assert_allclose(terms.cosines[0], [[1, -1], [-1, 1]])
    assert terms.norms[0, 1] == pytest.approx(2 * terms.norms[0, 0])


def test_updates_that_go_straight_turn_and_stand_still(classifier):
    e = torch.zeros(5, 51).double()
    e[1:, 0] = 1
    e[2:, 1] = 1
    e[3:, 0] = 0
    path = update_path(classifier.objective, e, [0, 10, 20, 30, 40])
    np.testing.assert_allclose(path.lengths[:, 0], [1, 1, 1, 0])
    np.testing.assert_allclose(path.cosines[:2, 0], [0, 0])
    assert np.isnan(path.cosines[2, 0])
    assert path.directness[0] == pytest.approx(1 / 3)
    assert np.isnan(path.directness[2])
    assert path.scalars() == {"length": 0.0, "directness": pytest.approx(1 / 3)}
    there_and_back = update_path(classifier.objective, [e[0], e[1], e[0]])
    np.testing.assert_allclose(there_and_back.cosines[0, :2], -1)
    assert there_and_back.directness[0] == 0


def test_the_gap_widens_as_the_covariance_says_where_weights_know_nothing_of_the_data():
    """Example losses |w - x|^2 / 2 at w = 0: G = -mean x, so that both predictions and the change are known."""
    rng = np.random.default_rng(0)
    first, exact = [], []
    for _ in range(50):
        train, test = rng.normal(1.0, 2.0, (10, 3)), rng.normal(1.0, 2.0, (10, 3))
        own = of_means(train)
        held_out = Objective(own.model, squared_distance, (torch.ones(10, 1).double(), torch.tensor(test)))
        found = gap_change(own, held_out, 0.1)
        means = train.mean(0), test.mean(0)
        assert found.covariance == pytest.approx(0.1 * np.trace(np.cov(train.T)) / 10)
        assert found.first_order == pytest.approx(0.1 * means[0] @ (means[0] - means[1]))
        assert found.measured == pytest.approx(found.first_order)  # both losses have the same Hessian
        first.append(found.first_order)
        exact.append(found.covariance)
    assert abs(np.mean(first) - 0.1 * 12 / 10) < 3 * np.std(first) / 50**0.5
    assert abs(np.mean(exact) - 0.1 * 12 / 10) < 3 * np.std(exact) / 50**0.5


def test_the_change_of_the_gap_is_that_of_the_losses(classifier):
    train, test = classifier.objective.subset(torch.arange(20)), classifier.objective.subset(torch.arange(20, 30))
    found = gap_change(train, test, 0.05)
    theta = train.theta()
    after = theta - 0.05 * train.gradient()
    assert found.train_losses.tolist() == [train.value(theta), train.value(after)]
    assert found.test_losses.tolist() == [test.value(theta), test.value(after)]
    assert found.measured == pytest.approx(np.diff(found.test_losses)[0] - np.diff(found.train_losses)[0])
    changes = [(part.losses(after) - part.losses(theta)).numpy() for part in (train, test)]
    assert found.measured_error == pytest.approx(sum(c.var(ddof=1) / len(c) for c in changes) ** 0.5)
    small = gap_change(train, test, 1e-5)
    assert small.measured == pytest.approx(small.first_order, rel=1e-3)


def test_what_makes_no_sense_is_refused(classifier):
    objective = classifier.objective
    with pytest.raises(ValueError, match="at least 3 examples, got 2"):
        gradient_statistics(objective, 2)
    with pytest.raises(ValueError, match="group 'none' is empty"):
        gradient_statistics(objective, groups={"none": []})
    with pytest.raises(ValueError, match=r"group 'far' must lie in 0\.\.29, got 30\.\.30"):
        gradient_statistics(objective, groups={"far": [30]})
    with pytest.raises(ValueError, match="at least two objectives, got 1"):
        gradient_conflict({"alone": objective})
    with pytest.raises(ValueError, match="share their parameters"):
        gradient_conflict({"all": objective, "head": objective.with_parameters(["2.*"])})
    with pytest.raises(ValueError, match="lr must be positive, got 0"):
        gap_change(objective, objective, 0)
    with pytest.raises(ValueError, match="at least two moments"):
        update_path(objective, objective.theta()[None])
    with pytest.raises(ValueError, match="2 ascending numbers"):
        update_path(objective, torch.zeros(2, 51), [3, 3])
    with pytest.raises(ValueError, match="no groups"):
        by_group(Objective(classifier.model, mse_loss, (classifier.x, torch.zeros(30, 3).double())))
    ignored = Objective(
        classifier.model, cross_entropy, (classifier.x, classifier.y.index_fill(0, torch.tensor(3), -100))
    )
    with pytest.raises(ValueError, match="loss of an example is not finite"):
        gradient_statistics(ignored)


def test_the_model_is_left_alone(classifier):
    before = [parameter.clone() for parameter in classifier.model.parameters()]
    state = torch.get_rng_state()
    gradient_statistics(classifier.objective)
    gap_change(classifier.objective, classifier.objective, 0.1)
    assert all(p.grad is None for p in classifier.model.parameters())
    assert all(map(torch.equal, before, classifier.model.parameters()))
    assert torch.equal(state, torch.get_rng_state())
    assert classifier.model.training


class Words(nn.Module):
    """Tokens through a table that is read again at the output: (n, t) to logits (n, words, t)."""

    def __init__(self):
        super().__init__()
        self.table, self.mix = nn.Embedding(6, 4), nn.LayerNorm(4)

    def forward(self, x):
        return (self.mix(self.table(x)) @ self.table.weight.T).transpose(1, 2)


def convolutions():
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 1))


@pytest.mark.parametrize(
    ("network", "inputs", "targets", "loss"),
    [
        (Words, lambda: torch.randint(6, (7, 5)), lambda: torch.randint(6, (7, 5)), cross_entropy),
        (convolutions, lambda: torch.randn(7, 1, 4, 4).double(), lambda: torch.randn(7, 1).double(), mse_loss),
    ],
    ids=["tokens", "images"],
)
def test_networks_of_other_layers_and_losses(network, inputs, targets, loss):
    torch.manual_seed(0)
    model, x, y = network().double(), inputs(), targets()
    rows = [flat_gradient(loss(model(x[i : i + 1]), y[i : i + 1]), parameters_of(model)) for i in range(len(x))]
    grams = example_grams(Objective(model, loss, (x, y), batch_size=4))
    torch.testing.assert_close(grams["all"], torch.stack(rows) @ torch.stack(rows).T, rtol=1e-9, atol=1e-14)
