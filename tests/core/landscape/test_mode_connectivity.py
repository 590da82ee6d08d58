"""Trained curves: round a ring-shaped valley, where the best ones are known."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import minimize
from torch import nn
from torch.nn import functional

from landscope.landscape import barrier, barriers_along, connect
from landscope.landscape.curves import curve_of
from landscope.objective import Objective
from tests.core.landscape import known
from tests.core.landscape.known import LEFT, RIGHT, Weights, objective_of


@pytest.fixture
def ring():
    return known.ring()


@pytest.fixture(scope="module")
def ring_curve():
    return connect(known.ring(), LEFT, RIGHT, steps=400)


def test_a_bezier_curve_round_the_ring_is_the_best_one(ring_curve):
    """With its bend at (0, c), |theta|^2 - 1 = s (k s - 1), where s = 4 t (1 - t) and k = c^2 / 4.

    The mean of s^2 (k s - 1)^2 is least at k = E[s^3] / E[s^4], with E[s^n] = 4^n n!^2 / (2 n + 1)!.
    """

    def moment(n):
        return 4**n * math.factorial(n) ** 2 / math.factorial(2 * n + 1)

    k = moment(3) / moment(4)
    x, y = ring_curve.points[1]
    assert abs(y) == pytest.approx(2 * math.sqrt(k), rel=0.03)
    assert x == pytest.approx(0, abs=0.05)
    assert ring_curve.straight_barrier == 1
    s = np.linspace(0, 1, 1001)
    assert ring_curve.barrier == pytest.approx((s**2 * (k * s - 1) ** 2).max(), rel=0.2)
    assert 3.0 < ring_curve.length < 3.3


def test_the_curves_losses_are_those_at_its_points(ring_curve):
    assert np.array_equal(ring_curve.points[[0, -1]], torch.stack([LEFT, RIGHT]).numpy())
    theta = curve_of(ring_curve).at(torch.from_numpy(ring_curve.t)).numpy()
    assert ring_curve.loss == pytest.approx(((theta**2).sum(axis=1) - 1) ** 2, abs=1e-12)
    assert len(ring_curve.training) == ring_curve.planned == 400
    assert ring_curve.provenance.gradients == 400
    assert ring_curve.scalars()["detour"] == pytest.approx(ring_curve.length / 2)


def test_a_polygon_finds_the_best_corner(ring):
    def mean_loss(corner):
        piece, _ = quad(
            lambda t: (((np.array([1.0, 0]) * (1 - t) + t * corner) ** 2).sum() - 1) ** 2
            + (((np.array([-1.0, 0]) * (1 - t) + t * corner) ** 2).sum() - 1) ** 2,
            0, 1,
        )  # fmt: skip
        return piece

    best = minimize(mean_loss, np.array([0.1, 1.0])).x
    found = connect(ring, LEFT, RIGHT, kind="polygon", steps=400, seed=2)
    assert np.abs(found.points[1]) == pytest.approx(np.abs(best), abs=0.08)


def test_more_bends_lie_closer_to_the_valley(ring, ring_curve):
    assert connect(ring, LEFT, RIGHT, bends=3, steps=200).barrier < ring_curve.barrier / 10


def test_the_same_seed_gives_the_same_curve(ring):
    first, again, other = (connect(ring, LEFT, RIGHT, steps=5, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.points, again.points)
    assert not np.array_equal(first.points, other.points)


def test_learning_rate_is_in_units_of_the_distance():
    """The same valley in other units gives the same curve in those units."""
    large = objective_of(lambda theta: (theta.square().sum() / 1e6 - 1).square(), (100.0, 3.0))
    small = objective_of(lambda theta: (theta.square().sum() - 1).square())
    far, near = (
        connect(objective, scale * LEFT, scale * RIGHT, steps=50).points
        for objective, scale in ((large, 1e3), (small, 1.0))
    )
    assert far / 1e3 == pytest.approx(near, rel=1e-3)  # Adam's epsilon is not in those units


def test_training_on_batches_finds_the_curve_too_and_is_counted():
    """Each of four examples has a ring of its own radius; their mean is a ring again."""
    radii = torch.tensor([0.8, 0.9, 1.1, 1.2]).double().unsqueeze(1)
    model = Weights([0.3, 0.1])

    def loss(output, target):
        return (output.square().sum(dim=1, keepdim=True) - target).square().mean()

    objective = Objective(model, loss, (radii, radii))
    found = connect(objective, LEFT, RIGHT, steps=300, batch=1)
    assert found.provenance.gradients == pytest.approx(300 / 4)
    assert found.barrier < 0.25 * found.straight_barrier
    assert "300 Adam steps on batches of 1" in found.provenance.method


def test_progress_is_told_of_every_step_and_stops_the_training(ring):
    seen = []

    def progress(step, steps, loss):
        seen.append((step, steps, loss))
        return step < 3

    found = connect(ring, LEFT, RIGHT, steps=50, progress=progress)
    assert [step for step, _, _ in seen] == [1, 2, 3]
    assert found.training.tolist() == [loss for _, _, loss in seen]
    assert (found.planned, len(found.loss)) == (50, 25)


def test_steps_without_a_finite_gradient_are_left_out():
    """Infinite inside a disc, which the curve begins in and cannot learn from."""

    def loss(theta):
        radius = theta.square().sum()
        return torch.where(radius < 0.25, radius / 0 * 0, (radius - 1).square())

    found = connect(objective_of(loss, (1.0, 0.1)), LEFT, RIGHT, steps=100)
    assert np.isfinite(found.points).all()
    assert np.isnan(found.straight["loss"]).any()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_curves_can_be_trained_where_gradients_are_off(ring, mode):
    with mode():
        found = connect(ring, LEFT.clone(), RIGHT.clone(), steps=5)
    assert np.array_equal(found.points, connect(ring, LEFT, RIGHT, steps=5).points)


def test_the_model_is_left_as_it_was(ring):
    before = ring.theta()
    state = torch.get_rng_state()
    connect(ring, LEFT, RIGHT, steps=3)
    assert torch.equal(ring.theta(), before)
    assert ring.model.weight.grad is None
    assert torch.equal(torch.get_rng_state(), state)


def test_half_precision_is_trained_in_single():
    torch.manual_seed(0)
    model = nn.Linear(3, 2).to(torch.bfloat16)
    x, y = torch.randn(8, 3).to(torch.bfloat16), torch.randint(2, (8,))
    objective = Objective(model, functional.cross_entropy, (x, y))
    theta = objective.theta()
    found = connect(objective, theta, -theta, steps=3, points=3)
    assert found.points.dtype == np.float32
    assert found.points[0] == pytest.approx(theta.float().numpy())
    assert curve_of(found).at(torch.tensor([1.0]))[0] == pytest.approx(-theta.float().numpy())


# Batch normalisation


def normalising(policy):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).double()
    x, y = torch.randn(20, 3).double(), torch.randint(2, (20,))
    objective = Objective(model, functional.cross_entropy, (x, y), batch_norm=policy)
    return objective, model, objective.theta()


def test_recomputed_statistics_are_trained_on_the_batchs_own():
    objective, model, theta = normalising("recompute")
    before = [buffer.clone() for buffer in model.buffers()]
    second = theta + torch.randn_like(theta)
    found = connect(objective, theta, second, steps=4, points=3)
    assert [check[:2] for check in found.checks] == [("batch norm", "note")]
    assert found.provenance.batch_norm == "recompute"
    assert found.loss[-1] == pytest.approx(objective.value(second))
    trained = connect(normalising("batch")[0], theta, second, steps=4, points=3)
    assert found.points == pytest.approx(trained.points)
    assert all(torch.equal(*pair) for pair in zip(before, model.buffers(), strict=True))


def test_running_statistics_off_the_models_weights_are_a_failed_check():
    objective, _, theta = normalising("eval")
    for found in (
        barrier(objective, theta, -theta, points=2),
        connect(objective, theta, -theta, steps=1, points=2),
        barriers_along(objective, theta.unsqueeze(0), -theta.unsqueeze(0), points=2),
    ):
        ((name, verdict, text),) = found.checks
        assert (name, verdict) == ("batch norm", "fail")
        assert 'batch_norm="recompute"' in text


# Refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "spline"}, "kind must be one of bezier, polygon, got 'spline'"),
        ({"bends": 0}, "bends must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
        ({"points": 1}, "points must be at least 2"),
        ({"second": LEFT}, "finite and differ, got a distance of 0"),
        ({"second": LEFT * math.nan}, "finite and differ, got a distance of nan"),
        ({"second": torch.zeros(3)}, "second"),
    ],
)
def test_what_cannot_be_connected_is_refused(ring, options, message):
    with pytest.raises(ValueError, match=message):
        connect(ring, **({"first": LEFT, "second": RIGHT} | options))
