"""Maps of trainability: right at every point where the answer is known, nested, zoomable, the same each time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from landscope.landscape import Axis, trainability_map, trainability_maps, trainability_zoom
from landscope.landscape.trainability import INPUT_RATE, OUTPUT_RATE, convergence_scores
from landscope.measurements import Measurement
from landscope.population import Settings, Training, mean_field

SMALL = mean_field(width=4, steps=30)


class Parabola(nn.Module):
    """w as a function of its weight alone."""

    def __init__(self, curvatures: tuple[float, ...]) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.ones(1, dtype=torch.float64)) for _ in range(2))
        self.curvatures = curvatures

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.curvatures[0] ** 0.5 * self.first, self.curvatures[1] ** 0.5 * self.second], dim=1)


def test_gradient_descent_on_a_quadratic_converges_below_two_over_the_curvature_at_every_point():
    """L = (a u^2 + b v^2) / 2: each coordinate grows if its learning rate is above 2 / a or 2 / b, and only then."""
    one = torch.zeros(1, 1, dtype=torch.float64)
    training = Training(
        lambda: Parabola((4.0, 0.5)), lambda output, target: 0.5 * (output - target).square().sum(), (one, one), 400
    )
    axes = (Axis("learning_rate", -2, 2, "first"), Axis("learning_rate", -1, 3, "second"))
    found = trainability_map(training, axes, points=(17, 33))
    x, y = np.meshgrid(found.x, found.y, indexing="ij")
    np.testing.assert_array_equal(found.converged, (10**x < 2 / 4.0) & (10**y < 2 / 0.5))
    a, b = ((1 - c * 10**u) ** 2 for c, u in ((4.0, x), (0.5, y)))
    steps = np.arange(400)[:, None, None]
    with np.errstate(over="ignore"):
        ratio = np.minimum((4 * a**steps + 0.5 * b**steps) / 4.5, 1e6)
    with np.errstate(divide="ignore", over="ignore"):
        score = np.where(found.converged, -ratio.sum(axis=0), (1 / ratio).sum(axis=0))
    np.testing.assert_allclose(found.score, score, rtol=1e-8)
    np.testing.assert_allclose(found.loss_ratio, ratio[-20:].mean(axis=0), rtol=1e-6, atol=1e-300)


def test_momentum_moves_the_edge_to_two_times_one_plus_momentum_over_the_curvature():
    """Heavy ball on L = a u^2 / 2 is stable for lr < 2 (1 + momentum) / a (Polyak 1964)."""
    one = torch.ones(1, 1, dtype=torch.float64)

    def build():
        model = nn.Linear(1, 1, bias=False).double()
        nn.init.ones_(model.weight)
        return model

    training = Training(build, lambda output, target: 1.5 * (output - target).square().sum(), (one, 0 * one), 600)
    axes = (Axis("learning_rate", -1, 1), Axis("momentum", 0.0, 0.9, scale="linear"))
    found = trainability_map(training, axes, points=(17, 9))
    edge = 2 * (1 + found.y) / 3.0
    np.testing.assert_array_equal(found.converged, 10 ** found.x[:, None] < edge[None, :])


def test_scores_are_as_defined():
    falling, rising, broken = np.full(40, 0.5), np.full(40, 4.0), np.full(40, np.nan)
    for losses in (falling, rising, broken):
        losses[0] = 1.0
    wild = np.concatenate([[2.0], np.full(19, 1e300), np.zeros(20)])
    score, converged, last = convergence_scores(np.stack([3 * falling, 5 * rising, broken, wild]))
    assert converged.tolist() == [True, False, False, True]
    np.testing.assert_allclose(score, [-(1 + 39 / 2), 1 + 39 / 4, 1 + 39e-6, -(1 + 19e6)])
    np.testing.assert_allclose(last, [0.5, 4, 1e6, 0])


def test_grids_are_nested_and_points_computed_once():
    computed = []
    stages = list(trainability_maps(SMALL, points=9, progress=lambda done, total: computed.append((done, total))))
    assert [stage.score.shape for stage in stages] == [(5, 5), (9, 9)]
    assert [(stage.stage, stage.stages) for stage in stages] == [(1, 2), (2, 2)]
    assert computed[-1] == (81, 81)
    assert sorted(computed) == computed
    np.testing.assert_array_equal(stages[0].score, stages[1].score[::2, ::2])
    np.testing.assert_array_equal(stages[0].x, stages[1].x[::2])
    assert stages[1].provenance.gradients == 81 * 30
    assert stages[1].converged.any()
    assert not stages[1].converged.all()


def test_the_same_point_has_the_same_number_in_every_zoom_and_every_time():
    axes = (INPUT_RATE.around(1.0, 4.0), OUTPUT_RATE.around(1.0, 4.0))
    wide = trainability_map(SMALL, axes, points=9)
    close = trainability_map(SMALL, (INPUT_RATE.around(1.0, 2.0), OUTPUT_RATE.around(0.5, 1.0)), points=9)
    shared_x, shared_y = (
        np.isin(close_axis, wide_axis) for close_axis, wide_axis in ((close.x, wide.x), (close.y, wide.y))
    )
    assert (shared_x.sum(), shared_y.sum()) == (5, 3)
    within = np.ix_(np.isin(wide.x, close.x), np.isin(wide.y, close.y))
    np.testing.assert_array_equal(close.score[np.ix_(shared_x, shared_y)], wide.score[within])
    again = trainability_map(SMALL, axes, points=9)
    np.testing.assert_array_equal(again.score, wide.score)
    other = trainability_map(SMALL, axes, points=9, settings=Settings(seed=1))
    assert (other.score != wide.score).all()


def test_a_map_is_what_each_of_its_trainings_gives_alone():
    found = trainability_map(SMALL, (Axis("offset", -1, 1, "input", "linear"), Axis("learning_rate", -1, 2)), points=3)
    x, y = SMALL.data
    for i, offset in enumerate(found.x):
        for j, rate in enumerate(found.y):
            torch.manual_seed(0)
            w, v = (torch.randn(*shape, dtype=torch.float64) for shape in ((4, 4), (1, 4)))
            w = (w + offset).requires_grad_()
            v.requires_grad_()
            losses = []
            for _ in range(30):
                output = torch.tanh(2**0.5 * x @ w.T / 2) @ v.T / 4
                loss = (output - y).square().mean()
                losses.append(float(loss.detach()))
                gradients = torch.autograd.grad(loss, (w, v))
                w, v = ((p - 10**rate * g).detach().requires_grad_() for p, g in zip((w, v), gradients, strict=True))
            score, converged, _ = convergence_scores(np.array([losses]))
            assert found.score[i, j] == pytest.approx(score[0], rel=1e-8)
            assert found.converged[i, j] == converged[0]


def test_zooming_follows_the_boundary_down():
    """Of a u^2 / 2 the boundary is the line lr = 2 / a at every depth, until float64 ends the zoom."""
    one = torch.zeros(1, 1, dtype=torch.float64)
    training = Training(
        lambda: Parabola((3.0, 0.0)), lambda output, target: 0.5 * (output - target).square().sum(), (one, one), 25
    )
    axes = (Axis("learning_rate", -1, 1, "first"), Axis("learning_rate", -3, -2, "second"))
    maps = list(trainability_zoom(training, axes, zooms=20, factor=8.0, points=9))
    assert 12 <= len(maps) < 20
    assert [m.exhausted for m in maps[:-1]] == [False] * (len(maps) - 1)
    assert maps[-1].exhausted
    widths = np.array([m.x[-1] - m.x[0] for m in maps[:8]])
    np.testing.assert_allclose(widths, 2 / 8.0 ** np.arange(8), rtol=1e-6)
    for shown in maps[:-1]:
        np.testing.assert_array_equal(shown.converged, np.broadcast_to(10 ** shown.x[:, None] < 2 / 3, (9, 9)))
        assert shown.box_counts.tolist() == [8, 4]
        assert shown.dimension == pytest.approx(1.0, abs=1e-12)


def test_separation_counts_float64_numbers_between_neighbours():
    eps = 2.0**-52
    axes = (Axis("scale", 1.0, 1.0 + 8 * eps, "input", "linear"), Axis("learning_rate", -1, 1))
    found = trainability_map(SMALL, axes, points=(5, 3))
    assert found.separation == 2.0
    assert found.exhausted
    assert not trainability_map(SMALL, points=3).exhausted


def test_what_is_written_is_read_back():
    found = trainability_map(SMALL, points=9)
    read = Measurement.from_bytes(found.to_bytes())
    np.testing.assert_array_equal(read.boundary, found.boundary)
    assert read.scalars() == found.scalars()
    assert read.scalars()["converged"] == found.converged.mean()
    assert read.axes == ("log₁₀ learning rate of input", "log₁₀ learning rate of output")
    assert read.span() == (found.score.min(), found.score.max())


def test_cancelling_ends_it_at_once():
    def cancel(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        trainability_map(SMALL, points=9, progress=cancel)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ((INPUT_RATE, INPUT_RATE), "two hyperparameters, got twice the log₁₀ learning rate of input"),
        ((INPUT_RATE, Axis("scale", 0, 1, "middle")), "scale: no parameter matches 'middle'"),
    ],
)
def test_axes_that_make_no_sense_are_refused(axes, message):
    with pytest.raises(ValueError, match=message):
        trainability_map(SMALL, axes, points=3)


def test_ranges_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="low < high, got 2 and 1"):
        Axis("learning_rate", 2, 1)
    with pytest.raises(ValueError, match=r"setting must be one of learning_rate, .*got 'width'"):
        Axis("width", 1, 2)
    with pytest.raises(ValueError, match='scale must be "log" or "linear"'):
        Axis("scale", 1, 2, scale="log2")
    with pytest.raises(ValueError, match=r"factor must be above 1 and at most 8, the squares along a side, got 9.0"):
        trainability_zoom(SMALL, factor=9.0, points=9)
    with pytest.raises(ValueError, match="zooms must be at least 1, got 0"):
        trainability_zoom(SMALL, zooms=0)
