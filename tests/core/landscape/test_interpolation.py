"""Pictures drawn finer than they were computed: exact for cubics, honest about the rest, silent about holes."""

import itertools

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator
from torch import nn
from torch.nn import functional

from landscope.landscape.grids import spaced
from landscope.measurements import Provenance, Slice1D, Slice2D, Slice3D
from landscope.measurements.interpolation import drawn_at, held_out_error, interpolated
from landscope.objective import Objective

KINDS = {1: Slice1D, 2: Slice2D, 3: Slice3D}


def cut(loss, *coordinates, precision="float64", **fields):
    names = dict(zip(("alpha", "beta", "gamma"), coordinates, strict=False))
    return KINDS[loss.ndim](
        loss=loss, **names, centre_loss=1.0, plane="random", normalisation="filter", axes=("",) * loss.ndim,
        provenance=Provenance(method="test", precision=precision), **fields,
    )  # fmt: skip


def cubic_of(*coordinates):
    """A polynomial of degree three in each coordinate, without symmetry."""
    grids = np.meshgrid(*coordinates, indexing="ij")
    return sum((k + 1) * g**3 - g**2 + 0.5 * g for k, g in enumerate(grids)) / 4 + np.prod(grids, axis=0) ** 3 / 8


UNEVEN = np.array([-1.0, -0.7, -0.1, 0.3, 0.4, 1.2])


@pytest.mark.parametrize(
    ("coordinates", "points"),
    [
        ([np.linspace(-1, 1, 5)], (33,)),
        ([np.linspace(1, -1, 5)], (9,)),
        ([UNEVEN], (16,)),
        ([np.linspace(-1, 2, 5), np.linspace(0, 1, 4)], (17, 13)),
        ([np.linspace(-1, 1, 4), UNEVEN, np.linspace(0, 1, 5)], (7, 11, 9)),
    ],
)
@pytest.mark.parametrize("logarithmic", [True, False])
def test_cubic_polynomials_are_drawn_exactly(coordinates, points, logarithmic):
    def height(*at):
        return np.exp(cubic_of(*at)) if logarithmic else cubic_of(*at) - 3

    drawn = interpolated(cut(height(*coordinates), *coordinates), points)
    finer = drawn.slice.coordinates()
    assert drawn.slice.loss.shape == points
    assert drawn.logarithmic is logarithmic
    assert [(axis[0], axis[-1]) for axis in finer] == [(axis[0], axis[-1]) for axis in coordinates]
    np.testing.assert_allclose(drawn.slice.loss, height(*finer), rtol=1e-12, atol=1e-13)
    computed = drawn.slice.loss[drawn.computed].reshape(height(*coordinates).shape)
    np.testing.assert_allclose(computed, height(*coordinates), rtol=1e-14)
    assert (drawn.error[drawn.computed] == 0).all()


def test_signed_logarithmic_axes_are_drawn_where_the_finer_grid_would_have_its_points():
    coarse, fine = (spaced(-0.5, 2.0, count, "log") for count in (9, 33))

    def loss(at):
        return np.exp(np.arcsinh(at / 2 / 1e-3) ** 3 / 500)

    drawn = interpolated(cut(loss(coarse), coarse, scale="log"), 33)
    np.testing.assert_allclose(drawn.slice.alpha, fine, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(drawn.slice.loss, loss(fine), rtol=1e-10)


def test_points_that_do_not_nest_are_drawn_between():
    alpha = np.linspace(0, 3, 7)
    drawn = interpolated(cut(np.exp(cubic_of(alpha)), alpha), 10)
    np.testing.assert_allclose(drawn.slice.alpha, np.linspace(0, 3, 10))
    np.testing.assert_allclose(drawn.slice.loss, np.exp(cubic_of(drawn.slice.alpha)), rtol=1e-12)
    assert drawn.computed.tolist() == [index % 3 == 0 for index in range(10)]


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_holes_are_kept_and_nothing_is_drawn_beside_them(hole):
    axis = np.linspace(-1, 1, 9)
    loss = np.exp(cubic_of(axis, axis))
    loss[4, 4] = hole
    loss[0, 0] = hole
    drawn = interpolated(cut(loss, axis, axis), 33)
    finer = drawn.slice.loss
    np.testing.assert_allclose(finer[::4, ::4], loss, rtol=1e-14)
    expected = np.zeros((33, 33), bool)
    for i, j in ((4, 4), (0, 0)):
        expected[max(0, 4 * i - 3) : 4 * i + 4, max(0, 4 * j - 3) : 4 * j + 4] = True
    np.testing.assert_array_equal(~np.isfinite(finer), expected)
    assert np.isinf(finer).sum() == (2 if np.isinf(hole) else 0)
    truth = np.exp(cubic_of(*drawn.slice.coordinates()))
    missed = np.abs(finer - truth)[~expected] / truth[~expected]
    assert missed.max() < 1e-12  # there are four points in a row on every side
    assert np.isnan(drawn.error[expected]).all()
    assert np.isfinite(drawn.error[~expected]).all()


def test_a_spline_that_overshoots_invents_no_infinity():
    loss = np.array([1.0, 1.0, 1.0, 1e300, 1e308, 1e308, 1e-300, 1.0])
    drawn = interpolated(cut(loss, np.arange(8.0)), 29)
    assert not np.isinf(drawn.slice.loss).any()
    np.testing.assert_allclose(drawn.slice.loss[::4], loss)


def test_every_array_of_a_slice_is_drawn_in_its_own_way():
    axis = np.linspace(-1, 1, 5)
    rise = np.broadcast_to((axis[:, None] > 0.2).astype(float), (5, 5))
    whole = cut(
        np.exp(cubic_of(axis, axis)), axis, axis, accuracy=rise, error=rise + 1, contrast_error=rise,
        metrics={"test/loss": np.exp(-cubic_of(axis, axis)), "test/accuracy": rise},
        gradient=np.stack([cubic_of(axis, axis), -cubic_of(axis, axis)], axis=-1), stage=1, stages=3,
    )  # fmt: skip
    drawn = interpolated(whole, 17).slice
    truth = cubic_of(*drawn.coordinates())
    np.testing.assert_allclose(drawn.metrics["test/loss"], np.exp(-truth), rtol=1e-12)
    np.testing.assert_allclose(drawn.gradient, np.stack([truth, -truth], axis=-1), rtol=1e-10, atol=1e-13)
    line = np.interp(drawn.alpha, axis, rise[:, 0])[:, None] + np.zeros((1, 17))
    for found in (drawn.accuracy, drawn.contrast_error, drawn.metrics["test/accuracy"], drawn.error - 1):
        np.testing.assert_allclose(found, line, atol=1e-14)
    assert (drawn.stage, drawn.stages, drawn.provenance) == (1, 3, whole.provenance)


def test_the_stated_error_falls_as_the_true_one_does_and_covers_it():
    """A smooth function: a factor of sixteen at each halving, until rounding."""
    stated = []
    for points in (9, 17, 33, 65, 129):
        axis = np.linspace(-1, 1, points)
        drawn = interpolated(cut(2 + np.sin(3 * axis[:, None] + 2 * axis), axis, axis), 2 * points - 1)
        a, b = drawn.slice.coordinates()
        truth = 2 + np.sin(3 * a[:, None] + 2 * b)
        missed = np.abs(drawn.slice.loss - truth) / truth
        assert (missed <= drawn.error + 1e-15).mean() > 0.95
        assert drawn.typical_error < 15 * np.percentile(missed, 95)
        stated.append(drawn.typical_error)
    assert np.all(np.divide(stated[:-1], stated[1:])[1:] > 12)


def test_a_kink_between_points_is_known_by_those_around_it():
    axis = np.linspace(-1, 1, 17)
    for at in np.linspace(0.01, 0.11, 6):
        drawn = interpolated(cut(1 + np.abs(axis - at), axis), 129)
        missed = np.abs(drawn.slice.loss - (1 + np.abs(drawn.slice.alpha - at)))
        assert (missed <= drawn.error).mean() > 0.95


def test_errors_are_shares_of_the_range_where_losses_are_not_positive():
    axis = np.linspace(-1, 1, 17)
    small, large = (interpolated(cut(scale * np.sin(4 * axis), axis), 33) for scale in (1, 1000))
    np.testing.assert_allclose(small.error, large.error, rtol=1e-10)
    assert np.isfinite(interpolated(cut(np.zeros(9), axis[:9]), 17).error).all()


def test_rounding_of_the_precision_is_the_least_error_between_points():
    axis = np.linspace(-1, 1, 9)
    flat = np.ones((9, 9))
    for precision, least in (("float64", 2**-51), ("float32", 2**-22), ("bfloat16", 2**-22)):
        error = interpolated(cut(flat, axis, axis, precision=precision), 17).error
        assert error.max() == pytest.approx(least)


def test_where_nothing_can_be_told_nothing_is_claimed():
    drawn = interpolated(cut(np.array([1.0, 2.0]), np.arange(2.0)), 5)
    np.testing.assert_allclose(drawn.slice.loss, 2.0 ** np.linspace(0, 1, 5))
    assert np.isnan(drawn.error[1:-1]).all()
    lost = interpolated(cut(np.full((5, 5), np.nan), np.arange(5.0), np.arange(5.0)), 9)
    assert np.isnan(lost.slice.loss).all()
    assert np.isnan(lost.typical_error)


ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def network(name):
    act = ACTIVATIONS[name.split()[-1]]
    if name.startswith("perceptron"):
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 12), act(), nn.Linear(12, 12), act(), nn.Linear(12, 4))
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), act(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 8), act(), nn.Linear(8, 4)
    )


def surface(name, steps, plane):
    """A 33 x 33 slice of a small network, in float64, evaluated point by point without the library's slices."""
    torch.manual_seed(0)
    model = network(name).double()
    labels = torch.randint(4, (150,))
    inputs = torch.randn(4, 1, 6, 6).double()[labels] + 0.8 * torch.randn(150, 1, 6, 6).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    path = []
    for _ in range(steps):
        path.append(nn.utils.parameters_to_vector(model.parameters()).detach())
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    objective = Objective(model, functional.cross_entropy, (inputs, labels))
    centre = objective.theta()
    if plane == "random":
        directions = torch.cat(
            [
                torch.cat([_filter_scaled(torch.randn_like(p), p.detach()).flatten() for p in model.parameters()])
                for _ in range(2)
            ]
        ).reshape(2, -1)
        ranges = [(-1.0, 1.0), (-1.0, 1.0)]
    else:
        rows = torch.stack(path) - centre
        directions = torch.linalg.svd(rows, full_matrices=False).Vh[:2]
        feet = torch.cat([rows @ directions.T, torch.zeros(1, 2)])
        low, high = feet.amin(0), feet.amax(0)
        margin = 0.3 * float((high - low).max())
        ranges = [(float(a) - margin, float(b) + margin) for a, b in zip(low, high, strict=True)]
    axes = [np.linspace(*limits, 33) for limits in ranges]
    coordinates = torch.tensor(list(itertools.product(*axes)))
    loss = objective.values(centre + coordinates @ directions).reshape(33, 33).numpy()
    return cut(loss, *axes)


def _filter_scaled(direction, weights):
    if weights.ndim < 2:
        return torch.zeros_like(weights)
    shape = (-1, *(1,) * (weights.ndim - 1))
    return direction * (weights.flatten(1).norm(dim=1) / direction.flatten(1).norm(dim=1)).reshape(shape)


@pytest.mark.parametrize(
    ("name", "steps", "plane"),
    [
        ("perceptron relu", 0, "random"),
        ("perceptron relu", 60, "random"),
        ("perceptron relu", 60, "trajectory"),
        ("perceptron tanh", 60, "trajectory"),
        ("convolutional relu", 60, "random"),
        ("convolutional tanh", 60, "trajectory"),
    ],
)
def test_the_stated_error_covers_on_trained_networks(name, steps, plane):
    full = surface(name, steps, plane)
    for every in (2, 4):
        found = held_out_error(full, every)
        assert found.covered >= 0.95
        assert found.stated95 >= found.percentile95
    found = held_out_error(full, 2)
    assert found.share == 289 / 1089
    assert found.stated95 < 40 * found.percentile95
    kept = tuple(axis[::2] for axis in full.coordinates())
    facets = RegularGridInterpolator(kept, np.log(full.loss[::2, ::2]))(tuple(np.meshgrid(*full.coordinates())))
    assert found.percentile95 < np.percentile(np.abs(np.expm1(facets.T - np.log(full.loss))), 95) / 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda whole: interpolated(whole, 4), r"at least the \(5, 5\) computed ones, got \(4, 4\)"),
        (lambda whole: interpolated(whole, (9, 9, 9)), "one number for each of 2 axes"),
        (lambda whole: held_out_error(whole, 3), "must divide"),
        (lambda whole: held_out_error(whole.replaced(loss=np.full((5, 5), np.nan))), "nothing to compare"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(cut(np.ones((5, 5)), np.arange(5.0), np.arange(5.0)))


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("shift", [0.0, -3.0])
def test_one_place_is_drawn_as_the_whole_picture_is(scale, shift):
    axes = [spaced(-1, 2, 7, scale), spaced(-1, 1, 9, scale)[::-1]]
    coarse = cut(np.exp(cubic_of(*axes) / 3) + 1 + shift, *axes, scale=scale)
    whole = interpolated(coarse, (25, 33))
    extent = 1.0 if shift == 0 else np.ptp(coarse.loss)
    for i, j in [(0, 0), (4, 8), (5, 9), (14, 31), (24, 32)]:
        drawn, error = drawn_at(coarse, (whole.slice.alpha[i], whole.slice.beta[j]))
        assert drawn == pytest.approx(whole.slice.loss[i, j], rel=1e-10)
        unit = extent if shift else drawn
        assert error == pytest.approx(whole.error[i, j] * unit, rel=1e-6, abs=1e-12)
        assert (error == 0) == whole.computed[i, j]


def test_a_place_beyond_the_slice_or_beside_a_hole_has_no_loss():
    axis = np.linspace(-1, 1, 5)
    loss = np.ones((5, 5))
    loss[1, 1] = np.inf
    coarse = cut(loss, axis, axis)
    with pytest.raises(ValueError, match="alpha must lie on the slice, from -1 to 1, got"):
        drawn_at(coarse, (1.5, 0))
    with pytest.raises(ValueError, match="2 coordinates, got 1"):
        drawn_at(coarse, (0.5,))
    assert np.isnan(drawn_at(coarse, (-0.6, -0.6))).all()
    assert drawn_at(coarse, (0.6, 0.6))[0] == pytest.approx(1.0)
