"""Curves between minima: a quadratic, whose barrier is known, and a ring-shaped valley, whose best curves are."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import minimize
from torch import nn
from torch.nn import functional

from landscope.landscape import barrier, barriers_along, connect
from landscope.landscape.curves import Curve, curve_of
from landscope.objective import Objective


class Weights(nn.Module):
    """A model whose output is its weights."""

    def __init__(self, values):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, inputs):
        return self.weight.unsqueeze(0) + 0 * inputs


def objective_of(loss, values=(0.3, 0.1)):
    zeros = torch.zeros(1, 1, dtype=torch.float64)
    return Objective(Weights(list(values)), lambda output, target: loss(output[0]), (zeros, zeros))


@pytest.fixture
def ring():
    """L = (|theta|^2 - 1)^2: zero on the unit circle."""
    return objective_of(lambda theta: (theta.square().sum() - 1).square())


LEFT, RIGHT = (torch.tensor([side, 0.0], dtype=torch.float64) for side in (-1.0, 1.0))


# Straight lines


def test_the_barrier_of_a_concave_quadratic_is_known():
    """L = x^2 / 2 - 4 y^2 / 2 falls below the chord by curvature / 8 along x, and rises above it along y."""
    saddle = objective_of(lambda theta: theta[0] ** 2 / 2 - 2 * theta[1] ** 2)
    origin = torch.zeros(2).double()
    for end, expected in (([2.0, 0.0], 0.0), ([0.0, 2.0], 4 * 2**2 / 8)):
        found = barrier(saddle, origin, torch.tensor(end).double(), points=5)
        assert found.barrier == pytest.approx(expected)
    assert found.loss == pytest.approx(-8 * np.linspace(0, 1, 5) ** 2)
    assert found.height == 0  # it falls all the way
    assert found.instability == pytest.approx(4)  # the maximum, 0, above the mean of the ends, -4
    assert found.arc == pytest.approx(np.linspace(0, 2, 5))
    assert (found.curve, found.length, found.distance) == ("line", pytest.approx(2), 2)
    assert found.straight == {}


def test_heights_above_the_chord_and_above_the_higher_end_differ_where_the_ends_do():
    hill = objective_of(lambda theta: theta[0] - 8 * theta[0] * (theta[0] - 1) + 0 * theta[1])
    found = barrier(hill, torch.zeros(2).double(), torch.tensor([1.0, 0]).double(), points=101)
    top = 9**2 / 32  # of 9 x - 8 x^2
    assert found.barrier == pytest.approx(2)
    assert found.height == pytest.approx(top - 1, abs=1e-3)
    assert found.instability == pytest.approx(top - 0.5, abs=1e-3)


def test_the_straight_line_across_the_ring_has_barrier_one(ring):
    found = barrier(ring, LEFT, RIGHT)
    assert found.barrier == 1
    assert found.t[np.argmax(found.loss)] == 0.5
    assert found.scalars() == {"barrier": 1.0, "height": 1.0}


def test_accuracy_and_other_objectives_come_along():
    torch.manual_seed(0)
    model = nn.Linear(1, 2, bias=False).double()
    x = torch.tensor([[1.0], [-1.0], [2.0], [3.0]]).double()
    train = Objective(model, functional.cross_entropy, (x, torch.tensor([0, 1, 0, 0])), split="train")
    test = Objective(model, functional.cross_entropy, (x, torch.tensor([1, 0, 0, 0])))
    first, second = torch.tensor([1.0, -1.0]).double(), torch.tensor([-1.0, 1.0]).double()
    found = barrier(train, first, second, points=4, also={"test": test})
    assert found.accuracy == pytest.approx([1, 1, 0, 0])
    assert found.metrics["test/accuracy"] == pytest.approx([0.5, 0.5, 0.5, 0.5])
    margin = 2 * (1 - 2 * found.t)[:, None] * np.array([1, 1, 2, 3])
    assert found.loss == pytest.approx(np.log1p(np.exp(-margin)).mean(axis=1))
    assert set(found.metrics) == {"test/loss", "test/accuracy"}
    curve = connect(train, first, second, steps=2, points=4, also={"test": test})
    assert curve.straight["test/loss"] == pytest.approx(found.metrics["test/loss"])
    assert curve.straight["accuracy"] == pytest.approx(found.accuracy)
    assert curve.straight_barrier == pytest.approx(found.barrier)


def test_losses_that_are_not_finite_are_kept():
    cliff = objective_of(lambda theta: theta[0].log() + 0 * theta[1], (1.0, 0.0))
    found = barrier(cliff, torch.tensor([-1.0, 0]).double(), RIGHT, points=3)
    assert math.isnan(found.loss[0])
    assert found.loss[1] == -math.inf
    assert math.isnan(found.barrier)
    assert found.span() == (0.0, 0.0)


# Runs that part


def test_the_barrier_along_training_says_when_two_runs_part(ring):
    """On the ring at angles +-a the straight line passes at cos(a): barrier (cos(a)^2 - 1)^2 = sin(a)^4."""
    angles = torch.tensor([0.0, 0.2, 0.6, 1.2, math.pi / 2]).double()
    paths = [torch.stack([angles.cos(), sign * angles.sin()], dim=1) for sign in (1, -1)]
    found = barriers_along(ring, *paths, steps=[0, 10, 20, 30, 40], points=5)
    assert found.barrier == pytest.approx(angles.sin().numpy() ** 4)
    assert found.height == pytest.approx(angles.sin().numpy() ** 4)
    assert found.distance == pytest.approx(2 * angles.sin().numpy())
    assert found.loss.shape == (5, 5)
    assert found.parting(0.05) == 20
    assert found.parting(2.0) is None
    assert found.parting(-1.0) == 0
    assert found.scalars() == {"barrier": pytest.approx(1), "distance": pytest.approx(2)}


def test_the_error_barrier_is_the_rise_above_the_mean_of_the_ends():
    model = nn.Linear(1, 2, bias=False).double()
    x = torch.tensor([[1.0], [2.0]]).double()
    objective = Objective(model, functional.cross_entropy, (x, torch.tensor([0, 0])))
    path = torch.tensor([[1.0, -1.0], [1.0, -1.0]]).double()
    found = barriers_along(objective, path, -path, points=3)
    assert found.error_barrier == pytest.approx([0.5, 0.5])
    assert found.steps.tolist() == [0, 1]


# Curves


@pytest.mark.parametrize("kind", ["bezier", "polygon"])
def test_curves_pass_through_their_ends_exactly_and_weights_sum_to_one(kind):
    torch.manual_seed(1)
    curve = Curve(kind, torch.randn(5, 7))
    t = torch.rand(9).double()
    assert torch.equal(curve.at(torch.tensor([0.0, 1.0])), curve.points[[0, -1]])
    assert curve.weights(t).sum(dim=1) == pytest.approx(np.ones(9))
    assert (curve.weights(t) >= 0).all()


def test_a_bezier_curve_is_de_casteljaus():
    points = torch.randn(4, 3, dtype=torch.float64)
    t, rows = 0.3, points
    while len(rows) > 1:
        rows = (1 - t) * rows[:-1] + t * rows[1:]
    assert Curve("bezier", points).at(torch.tensor([t]).double())[0] == pytest.approx(rows[0].numpy())


def test_a_polygon_passes_through_its_bends_at_even_steps_of_t():
    points = torch.randn(4, 3, dtype=torch.float64)
    curve = Curve("polygon", points)
    assert curve.at(torch.arange(4).double() / 3) == pytest.approx(points.numpy())
    assert curve.at(torch.tensor([1 / 6]).double())[0] == pytest.approx(points[:2].mean(dim=0).numpy())


def test_lengths_of_curves():
    corner = Curve("polygon", torch.tensor([[0.0, 0], [3, 0], [3, 4]]))
    assert corner.arc(torch.tensor([0, 0.25, 0.5, 1.0])).tolist() == pytest.approx([0, 1.5, 3, 7])
    parabola = Curve("bezier", torch.tensor([[0.0, 0], [1, 2], [2, 0]], dtype=torch.float64))
    expected = [quad(lambda t: math.hypot(2, 4 - 8 * t), 0, end)[0] for end in (0.1, 1)]
    assert parabola.arc(torch.tensor([0.1, 1.0]).double()).tolist() == pytest.approx(expected, rel=1e-6)


@pytest.fixture(scope="module")
def ring_curve():
    return connect(objective_of(lambda theta: (theta.square().sum() - 1).square()), LEFT, RIGHT, steps=400)


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


def test_paths_that_do_not_fit_are_refused(ring):
    path = torch.stack([LEFT, RIGHT])
    with pytest.raises(ValueError, match=r"same shape \(T, P\), got \(2, 2\) and \(1, 2\)"):
        barriers_along(ring, path, path[:1])
    with pytest.raises(ValueError, match="each of the 2 moments, got 3"):
        barriers_along(ring, path, path, steps=[1, 2, 3])
    with pytest.raises(ValueError, match="same shape"):
        barriers_along(ring, path[:0], path[:0])


def test_a_curve_read_from_a_run_has_no_points(ring_curve):
    stored = type(ring_curve).from_bytes(ring_curve.to_bytes())
    with pytest.raises(ValueError, match=r"take the curve from the result of connect\(\)"):
        curve_of(stored)
