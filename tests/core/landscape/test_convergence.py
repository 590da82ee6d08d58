"""Convergence with the number of examples, against closed forms and networks whose examples' losses are at hand."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from landscope.landscape import sample_convergence
from landscope.landscape.convergence import settling
from landscope.objective import Objective


def settled(losses, centre=None, **options):
    centre = losses[0] if centre is None else centre
    return settling(losses, centre, **{"sizes": None, "orders": 8, "tolerance": 0.01, "seed": 0, **options})


def gaussian(points=40, examples=4000, deviation=0.5, seed=0):
    """Independent at every point, around means that range over a unit and have either sign: no logarithm is taken."""
    generator = np.random.default_rng(seed)
    return np.linspace(-0.5, 0.5, points)[:, None] + deviation * generator.standard_normal((points, examples))


def test_changes_of_normal_losses_are_as_the_formula_has_them():
    found = settled(gaussian(deviation=0.7), sizes=[2, 3, 10, 50, 400])
    k = found["sizes"]
    np.testing.assert_allclose(found["changes"], 0.7 * np.sqrt(2 / np.pi) / np.sqrt(k * (k + 1)), rtol=0.03)
    assert not found["logarithmic"]


def test_the_slope_is_minus_one():
    found = settled(gaussian(), sizes=[10, 20, 50, 100, 200, 500, 1000, 2000])
    assert found["slope"] == pytest.approx(-1, abs=0.02)
    assert 0 < found["slope_error"] < 0.02


def test_one_step_is_the_mean_over_orders_of_the_change_that_was_made():
    """Against means recomputed from scratch, every next example in turn."""
    losses = np.random.default_rng(3).random((3, 6))
    found = settled(losses, sizes=[2, 4], orders=2, seed=5)
    generator = np.random.default_rng(5)
    expected = []
    for _ in range(2):
        order = generator.permutation(6)
        expected.append(
            [
                np.mean(
                    [
                        abs(losses[p, [*order[:k], j]].mean() - losses[p, order[:k]].mean())
                        for p in range(3)
                        for j in order[k:]
                    ]
                )
                for k in (2, 4)
            ]
        )
    np.testing.assert_allclose(found["changes"], np.mean(expected, axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["changes_scatter"], np.std(expected, axis=0, ddof=1), rtol=1e-12)


def test_examples_needed_are_those_of_the_standard_error():
    """All points have the same scatter s: k = (s / (tolerance * range))^2, and twice that for contrasts."""
    losses = gaussian(points=20, examples=20000, deviation=0.5)
    centre = 0.5 * np.random.default_rng(9).standard_normal(20000)
    found = settled(losses, centre, tolerance=0.05)
    expected = (0.5 / (0.05 * np.ptp(losses.mean(1)))) ** 2
    assert found["needed"] == pytest.approx(expected, rel=0.05)
    assert found["contrasts_needed"] == pytest.approx(2 * expected, rel=0.05)


def test_the_picture_is_as_far_from_that_of_all_examples_as_the_needed_number_says():
    losses = gaussian(points=60, examples=20000, deviation=0.5, seed=2)
    found = settled(losses, sizes=[100, 400, 1600], orders=20)
    k = found["sizes"]
    error = 0.5 / np.sqrt(k) * np.sqrt(1 - k / 20000) / np.ptp(losses.mean(1))
    # 1.96 standard errors hold 95 of 100 normal deviates.
    np.testing.assert_allclose(found["distances"], 1.96 * error, rtol=0.15)


def test_what_all_points_share_cancels_in_contrasts():
    generator = np.random.default_rng(0)
    hardness = generator.exponential(size=(1, 500))
    losses = 1 + hardness + np.linspace(0, 1, 10)[:, None] + 0.01 * generator.random((10, 500))
    linear = settled(losses - 10, hardness[0] - 9)
    assert not linear["logarithmic"]
    assert linear["contrasts_needed"] < linear["needed"] / 100
    assert (linear["contrast_distances"] < linear["distances"] / 10).all()


def test_heights_are_logarithms_where_losses_are_positive():
    """Losses that are the same up to a factor: their logarithms' contrasts know nothing of which examples there are."""
    examples = np.random.default_rng(0).exponential(size=800)
    losses = np.array([1.0, 2.0, 50.0])[:, None] * examples
    found = settled(losses, examples)
    assert found["logarithmic"]
    assert found["contrasts_needed"] == 1
    np.testing.assert_allclose(found["contrast_distances"], 0, atol=1e-12)
    scatter = examples.std(ddof=1) / examples.mean()
    assert found["needed"] == np.ceil((scatter / (0.01 * np.log(50))) ** 2)


def test_points_that_are_not_finite_and_examples_that_are_none_are_left_out():
    losses = gaussian(points=5, examples=50)
    marred = np.insert(np.insert(losses, 2, np.inf, axis=0), 7, np.nan, axis=1)
    found, expected = settled(marred, marred[0]), settled(losses)
    assert found["points"] == 5
    np.testing.assert_allclose(found["changes"], expected["changes"])
    assert found["needed"] == expected["needed"]


def test_a_network_s_convergence_is_that_of_its_examples_losses():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    inputs, labels = torch.randn(120, 4).double(), torch.randint(3, (120,))
    objective = Objective(model, functional.cross_entropy, (inputs, labels), batch_size=50)
    directions = torch.randn(2, objective.layout.size).double()
    found = sample_convergence(objective, directions, points=(2, 3), radius=0.2, seed=4, orders=3)
    theta = nn.utils.parameters_to_vector(model.parameters()).detach()
    losses = []
    for alpha in (-0.2, 0.2):
        for beta in (-0.2, 0.0, 0.2):
            nn.utils.vector_to_parameters(theta + alpha * directions[0] + beta * directions[1], model.parameters())
            losses.append(functional.cross_entropy(model(inputs), labels, reduction="none").detach().numpy())
    nn.utils.vector_to_parameters(theta, model.parameters())
    centre = functional.cross_entropy(model(inputs), labels, reduction="none").detach().numpy()
    expected = settled(np.array(losses), centre, orders=3, seed=4)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-9, err_msg=name)
    assert found.slope == pytest.approx(-1, abs=0.15)
    assert found.provenance.forwards == 7
    assert set(found.scalars()) == {"slope", "needed", "contrasts_needed"}


def test_examples_that_are_all_alike_are_settled_at_once():
    found = settled(np.array([[1.0], [2.0]]) * np.ones((2, 10)))
    assert (found["changes"] == 0).all()
    assert np.isnan(found["slope"])
    assert (found["needed"], found["contrasts_needed"]) == (1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": np.full((3, 9), np.inf)}, "no point of the slice has a finite loss"),
        ({"losses": np.ones((3, 2))}, "at least 3 examples, got 2"),
        ({"sizes": [0, 3]}, r"from 1 to less than the 9 examples, got \[0, 3\]"),
        ({"sizes": [3, 9]}, "less than the 9 examples"),
        ({"sizes": [3]}, "two or more"),
        ({"orders": 1}, "orders must be at least 2"),
        ({"tolerance": 0.0}, "tolerance must be positive"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        settled(**{"losses": np.ones((3, 9)), **change})
