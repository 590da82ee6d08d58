"""Weights against dense algebra and closed forms, units made dead by hand, and probes against torch's own Adam."""

import copy

import numpy as np
import pytest
import torch
from dynamics_cases import problem
from explicit import hessian
from torch import nn
from torch.nn.functional import cross_entropy, gelu, mse_loss

from landscope.dynamics import plasticity, unit_activity, weight_statistics
from landscope.objective import Objective


@pytest.fixture(scope="module")
def classifier():
    return problem()


def of_model(model, width, outputs=1):
    torch.manual_seed(0)
    return Objective(model, mse_loss, (torch.randn(12, width), torch.zeros(12, outputs)))


def test_singular_values_are_those_of_each_matrix_of_filters():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 5, 3), nn.Flatten(), nn.Linear(20, 3)).double()
    data = torch.randn(4, 2, 4, 4).double(), torch.zeros(4, 3).double()
    found = weight_statistics(Objective(model, mse_loss, data))
    assert list(found.singular_values) == ["0.weight", "2.weight"]
    for index, weight in ((0, model[0].weight.detach().reshape(5, 18)), (2, model[2].weight.detach())):
        values = torch.linalg.svdvals(weight)
        np.testing.assert_allclose(found.singular_values[found.names[index]], values)
        assert found.largest[index] == pytest.approx(float(values[0]))
        assert found.smallest[index] == pytest.approx(float(values[-1]))
        assert found.stable_ranks[index] == pytest.approx(float(values.square().sum() / values[0] ** 2))
    assert np.isnan(found.largest[[1, 3]]).all()
    whole = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert found.scalars()["norm"] == pytest.approx(float(whole.norm()))
    assert "largest/0.bias" not in found.scalars()


def test_stable_rank_of_known_matrices():
    model = nn.Linear(4, 4, bias=False)
    for weight, rank in ((torch.eye(4), 4), (torch.ones(4, 4), 1), (torch.diag(torch.tensor([2.0, 1, 1, 0])), 1.5)):
        model.weight.data = weight
        assert weight_statistics(of_model(model, 4, 4)).stable_ranks[0] == pytest.approx(rank)
    model.weight.data = torch.zeros(4, 4)
    assert np.isnan(weight_statistics(of_model(model, 4, 4)).stable_ranks[0])


def test_distances_from_the_start(classifier):
    objective = classifier.objective
    start = objective.theta()
    step = torch.randn(51, generator=torch.Generator().manual_seed(0)).double()
    found = weight_statistics(objective, theta=start + step, start=start, before=start + 0.9 * step)
    for index, where in enumerate(objective.layout.slices.values()):
        now, then = (start + step)[where].numpy(), start[where].numpy()
        assert found.distances[index] == pytest.approx(np.linalg.norm(now - then))
        assert found.update_ratios[index] == pytest.approx(0.1 * np.linalg.norm(now - then) / np.linalg.norm(now))
        assert found.start_norms[index] == pytest.approx(np.linalg.norm(then))
        best = np.sqrt(np.mean((np.sort(now) - np.sort(then)) ** 2))
        assert found.wassersteins[index] == pytest.approx(best)
        assert found.wassersteins[index] <= found.distances[index] / len(now) ** 0.5
    shifted = weight_statistics(objective, theta=start + 0.5, start=start)
    np.testing.assert_allclose(shifted.wassersteins, 0.5)
    order = torch.cat([torch.arange(24).flip(0), torch.arange(24, 51)])
    permuted = weight_statistics(objective, theta=start[order], start=start)
    np.testing.assert_allclose(permuted.wassersteins, 0)
    assert permuted.distances[0] > 0


def test_units_that_are_dead_dormant_and_saturated():
    model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))
    with torch.no_grad():
        model[0].bias[:2] = -100  # never on
        model[0].weight[2] *= 1e-4
        model[0].bias[2] = 1e-4  # on, and next to nothing
        model[2].bias[0] = 100
        model[2].bias[1:] = 0
        model[2].weight[1:] *= 0.1
    found = unit_activity(of_model(model, 3))
    assert found.layers == ("1", "3")
    assert found.functions == ("relu", "tanh")
    assert found.units.tolist() == [6, 4]
    np.testing.assert_allclose(found.dead, [2 / 6, 1 / 4])  # tanh(100) is 1 for every example
    assert found.dormant[0] >= 3 / 6
    assert np.isnan(found.saturated[0])
    assert found.saturated[1] == 1 / 4
    assert found.scalars() == {
        "dead": pytest.approx(0.3),
        "dormant": pytest.approx((found.dormant * [6, 4]).sum() / 10),
        "saturated": 0.25,
    }
    np.testing.assert_allclose(found.scores["1"].mean(), 1)


def test_scores_are_mean_magnitudes_over_several_batches(classifier):
    found = unit_activity(classifier.objective)
    hidden = torch.tanh(classifier.model[0](classifier.x)).detach().abs().mean(0)
    np.testing.assert_allclose(found.scores["1"], hidden / hidden.mean())
    assert found.provenance.forwards == 1


class ByFunctions(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.read = nn.Conv2d(1, 3, 3), nn.Linear(3, 1)

    def forward(self, x):
        x = torch.relu_(self.conv(x))
        x = gelu(x).mean((2, 3))
        return self.read(nn.functional.hardtanh(x, -2, 2))


def test_activations_called_by_name_are_found_and_channels_are_their_units():
    torch.manual_seed(0)
    found = unit_activity(Objective(ByFunctions(), mse_loss, (torch.randn(5, 1, 6, 6), torch.zeros(5, 1))))
    assert found.layers == ("model", "model 2", "model 3")
    assert found.functions == ("relu", "gelu", "hardtanh")
    assert found.units.tolist() == [3, 3, 3]
    assert found.saturated[2] == 0


def by_torch(model, x, labels, steps, lr, loss=cross_entropy):
    model = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps + 1):
        optimizer.zero_grad()
        value = loss(model(x), labels)
        losses.append(value.item())
        value.backward()
        optimizer.step()
    return losses


def test_random_labels_are_learned_as_torchs_adam_learns_them(classifier):
    generator = torch.Generator().manual_seed(4)
    labels = torch.cat([torch.randint(3, (size,), generator=generator) for size in (30,)])
    start = torch.zeros(51).double().normal_(generator=torch.Generator().manual_seed(1))
    found = plasticity(classifier.objective.sample(30), steps=12, lr=0.05, start=start, seed=4)
    whole = Objective(classifier.model, cross_entropy, (classifier.x, classifier.y))
    again = plasticity(whole, steps=12, lr=0.05, start=start, seed=4)
    np.testing.assert_allclose(again.losses, by_torch(classifier.model, classifier.x, labels, 12, 0.05), rtol=1e-6)
    fresh = copy.deepcopy(classifier.model)
    torch.nn.utils.vector_to_parameters(start, fresh.parameters())
    np.testing.assert_allclose(again.fresh_losses, by_torch(fresh, classifier.x, labels, 12, 0.05), rtol=1e-6)
    explicit = hessian(classifier.model, lambda model: cross_entropy(model(classifier.x), classifier.y))
    assert again.lambda_max == pytest.approx(float(torch.linalg.eigvalsh(explicit)[-1]), rel=0.02)
    assert again.classes == 3
    assert again.accuracies[-1] > again.accuracies[0]
    assert found.losses.shape == again.losses.shape == (13,)
    assert again.scalars()["fresh_loss"] == again.fresh_losses[-1]


def test_other_targets_are_dealt_out_anew(classifier):
    targets = torch.arange(30).double()[:, None] / 30
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    found = plasticity(Objective(model, mse_loss, (classifier.x, targets)), steps=3, seed=2)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(2))
    np.testing.assert_allclose(
        found.losses, by_torch(model, classifier.x, targets[order], 3, 1e-2, mse_loss), rtol=1e-6
    )
    assert found.accuracies is None
    assert found.classes == 0


def test_a_network_whose_units_are_dead_does_not_learn():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    objective = Objective(model, cross_entropy, (torch.randn(60, 4), torch.randint(3, (60,))))
    start = objective.theta()
    with torch.no_grad():
        model[0].bias -= 100
    found = plasticity(objective, start=start, steps=60, lr=0.05)
    assert found.losses[-1] > 1.05  # log 3 = 1.0986, less what the classes' frequencies are worth
    assert found.fresh_losses[-1] < 0.97
    assert unit_activity(objective).dead[0] == 1


def test_probing_leaves_the_model_alone(classifier):
    before = classifier.objective.theta()
    state = torch.get_rng_state()
    hooks = [len(module._forward_hooks) for module in classifier.model.modules()]
    plasticity(classifier.objective, steps=2)
    unit_activity(classifier.objective)
    assert torch.equal(before, classifier.objective.theta())
    assert torch.equal(state, torch.get_rng_state())
    assert hooks == [len(module._forward_hooks) for module in classifier.model.modules()]
    assert all(parameter.grad is None for parameter in classifier.model.parameters())


def test_what_makes_no_sense_is_refused(classifier):
    objective = classifier.objective
    with pytest.raises(ValueError, match=r"start must have shape \(51,\), got \(3,\)"):
        weight_statistics(objective, start=torch.zeros(3))
    with pytest.raises(ValueError, match="steps must be positive, got 0"):
        plasticity(objective, steps=0)
    with pytest.raises(ValueError, match="lr must be positive, got -1"):
        plasticity(objective, lr=-1)
    with pytest.raises(ValueError, match="tolerance must not be negative, got -1"):
        unit_activity(objective, tolerance=-1)
    with pytest.raises(ValueError, match="calls none of the activation functions"):
        unit_activity(of_model(nn.Linear(3, 1), 3))
