"""Slices coarse to fine: their stages, what they cost, and the model in between."""

import dataclasses
import itertools
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscope.landscape import cut, refine, slice1d, slice2d, slice3d
from landscope.landscape.slices import fitting_radius
from landscope.measurements.interpolation import interpolated
from landscope.objective import Objective
from tests.core.landscape.known import objective_of


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def classifier(examples=40, **options):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(), nn.Linear(6, 3)).double()
    labels = torch.randint(0, 3, (examples,), generator=torch.Generator().manual_seed(1))
    return Objective(model, nn.CrossEntropyLoss(), (numbers(examples, 4), labels), batch_size=16, **options)


def state(model):
    """Everything that a measurement could leave behind."""
    return [
        {name: tensor.tolist() for name, tensor in model.state_dict().items()},
        [(module.training, sorted(vars(module))) for module in model.modules()],
        [(p.requires_grad, p.grad is None) for p in model.parameters()],
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        random.getstate(),
        (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    ]


FIELDS = ("loss", "accuracy", "error", "contrast_error")


def test_each_stage_is_the_slice_on_its_grid():
    objective = classifier()
    stages = list(refine(objective, points=(9, 17), first_picture=1e9, radius=0.5, per_class=True))
    assert [(s.loss.shape, s.stage, s.stages) for s in stages] == [((5, 9), 1, 2), ((9, 17), 2, 2)]
    for stage in stages:
        whole = slice2d(objective, points=stage.loss.shape, radius=0.5, per_class=True)
        for name in FIELDS:
            np.testing.assert_allclose(getattr(stage, name), getattr(whole, name), rtol=1e-12, atol=1e-14)
        for name, values in whole.metrics.items():
            np.testing.assert_allclose(stage.metrics[name], values, rtol=1e-12)
        np.testing.assert_array_equal(stage.alpha, whole.alpha)
        np.testing.assert_array_equal(stage.directions, whole.directions)


@pytest.mark.parametrize("slot", [None, 1e-6])
def test_every_point_is_evaluated_once(slot):
    objective = classifier()
    steps = list(cut(objective, points=9).steps(slot=slot))
    pictures = [step.picture for step in steps if step.picture is not None]
    assert [len(picture.alpha) for picture in pictures] == [5, 9]
    # The centre is evaluated for the evaluator, as a point and by the objective; the corner as a point and so too.
    assert [picture.provenance.forwards for picture in pictures] == [25 + 5, 81 + 5]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total == 81
    assert steps[-1].seconds_left == 0
    assert (slot is None) == (len(steps) == 2)


def test_a_slice_within_a_tolerance_ends_with_a_coarser_grid():
    objective = classifier()
    whole = slice2d(objective, points=17, radius=0.5)
    *_, last = cut(objective, points=17, radius=0.5).steps(tolerance=0.05)
    assert (last.picture.loss.shape, last.picture.stage, last.picture.stages) == ((9, 9), 2, 2)
    assert (last.done, last.total, last.seconds_left) == (81, 81, 0.0)
    np.testing.assert_allclose(last.picture.loss, whole.loss[::2, ::2], rtol=1e-12)
    drawn = interpolated(last.picture, 17).slice.loss
    assert np.percentile(np.abs(drawn / whole.loss - 1), 95) < 0.05

    *_, strict = cut(objective, points=17, radius=0.5).steps(tolerance=1e-9)
    assert (strict.picture.loss.shape, strict.picture.stages) == ((17, 17), 3)
    *_, small = cut(objective, points=5, radius=0.5).steps(tolerance=0.05)
    assert small.picture.loss.shape == (5, 5)


def test_the_first_picture_of_few_examples_comes_when_all_would_take_too_long():
    objective = classifier(examples=90)
    first, *rest = refine(objective, points=9, first_picture=0.0, radius=0.5)
    assert first.provenance.examples == 32
    assert (first.stage, first.stages) == (1, 2)
    sample = objective.sample(32)
    np.testing.assert_allclose(first.loss, slice2d(sample, points=5, radius=0.5).loss, rtol=1e-12)
    assert [picture.provenance.examples for picture in rest] == [90, 90]


def test_batches_that_cannot_be_divided_have_their_first_picture_whole():
    class Graph:
        def __init__(self, nodes):
            self.nodes = nodes

    batches = [(Graph(numbers(5, 4, seed=i)), numbers(25, 1, seed=i)) for i in range(2)]
    model = nn.Linear(4, 1).double()
    objective = Objective(model, nn.MSELoss(), batches, forward=lambda model, batch: model(batch[0].nodes).repeat(5, 1))
    first, *_ = refine(objective, points=5, first_picture=0.0)
    assert first.provenance.examples == 50


def test_the_model_is_the_users_between_steps_and_after_iteration_is_abandoned():
    objective = classifier()
    model = objective.model.train()
    model[1].eval()
    before = state(model)
    steps = cut(objective, points=17).steps(slot=1e-6)
    for _ in range(4):
        next(steps)
        assert state(model) == before
    steps.close()
    assert state(model) == before
    del steps
    list(refine(objective, points=9, gradient=True))
    assert state(model) == before


def test_the_model_is_the_users_after_an_exception(tmp_path):
    class Fragile(nn.Linear):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
            self.kept = x
            if type(self).calls == 20:
                raise KeyError("something of the user's")
            return super().forward(x)

    model = nn.Sequential(Fragile(4, 3), nn.Dropout()).double().train()
    objective = Objective(model, nn.MSELoss(), (numbers(6, 4), numbers(6, 3)))
    before = state(model)
    with pytest.raises(KeyError, match="something of the user's"):
        slice2d(objective, points=9, store=tmp_path)
    assert state(model) == before


@pytest.mark.parametrize("policy", ["eval", "batch"])
def test_a_pinned_slice_does_not_see_the_training_between_its_steps(policy):
    def setting():
        objective = classifier(batch_norm=policy)
        objective.model[4].weight.requires_grad_(False)
        model = objective.model
        return Objective(model, nn.CrossEntropyLoss(), list(objective.batches.items), batch_norm=policy)

    options = {"points": 5, "radius": 0.5, "gradient": True}
    *_, still = cut(setting(), **options).steps()
    objective = setting()
    model = objective.model.train()
    found = None
    for step in cut(objective.pinned(), **options).steps(slot=1e-6):
        F.cross_entropy(model(numbers(8, 4, seed=step.done)), torch.zeros(8).long()).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3)
        found = step.picture or found
    for name in (*FIELDS, "gradient"):
        np.testing.assert_allclose(getattr(found, name), getattr(still.picture, name), rtol=1e-12, atol=1e-14)


def test_derivatives_are_those_of_autograd_and_evaluated_once():
    objective = classifier()
    *_, picture = refine(objective, points=(5, 9), gradient=True, radius=0.5)
    directions = torch.from_numpy(picture.directions)
    assert picture.gradient.shape == (5, 9, 2)
    assert picture.provenance.gradients == 45
    for i, j in ((0, 0), (2, 4), (4, 3)):
        theta = objective.theta() + picture.alpha[i] * directions[0] + picture.beta[j] * directions[1]
        np.testing.assert_allclose(picture.gradient[i, j], directions @ objective.gradient(theta), rtol=1e-9)
    assert "slope/alpha" not in picture.metrics


# Quadratics

CURVATURES = torch.tensor([1.0, 4.0, 9.0, 0.25], dtype=torch.float64)


def quadratic(theta):
    return 0.5 * (CURVATURES * theta.square()).sum() + 2.0


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_slices_of_a_quadratic_in_every_dimension(dimensions, scale):
    start = [0.1, -0.2, 0.3, 0.4]
    directions = numbers(dimensions, 4)
    extent = [(-1, 2), (-0.5, 0.7), (0, 3)][:dimensions]
    shape = (5, 4, 3)[:dimensions]
    slice_of = (slice1d, slice2d, slice3d)[dimensions - 1]
    found = slice_of(objective_of(quadratic, start), directions, extent=extent, points=shape, scale=scale)
    axes = [getattr(found, name) for name in ("alpha", "beta", "gamma")[:dimensions]]
    assert found.loss.shape == shape
    assert found.scale == scale
    for at in itertools.product(*map(range, shape)):
        c = torch.tensor([axis[i] for axis, i in zip(axes, at, strict=True)])
        theta = torch.tensor(start) + c @ directions
        assert found.loss[at] == pytest.approx(float(quadratic(theta)), rel=1e-7)


@pytest.mark.parametrize("length", [1e-3, 1.0, 50.0])
def test_the_fitting_radius_is_where_the_loss_has_risen_tenfold(length):
    """From the minimum, L(r d) / L(0) = 1 + r^2 h / (2 L(0)) is 10 at r = sqrt(18 L(0) / h), exactly."""
    base = torch.tensor([3.0, -1.0, 2.0, 1.0], dtype=torch.float64)
    objective = objective_of(lambda theta: quadratic(theta - base), base.tolist())
    directions = length * torch.eye(4, dtype=torch.float64)
    radii = fitting_radius(objective, objective.theta(), directions)
    expected = (18 * 2 / CURVATURES).sqrt() / length
    longest = 4 * float(base.norm()) / length
    assert radii == pytest.approx(expected.clamp(max=longest).tolist(), rel=1e-9)
    found = slice1d(objective, directions[:1], radius="auto", points=3)
    assert found.loss[[0, 2]] == pytest.approx(20)


def test_the_fitting_radius_of_what_is_no_bowl():
    direction = torch.ones(1, 2, dtype=torch.float64)
    negative = objective_of(lambda theta: quadratic(torch.cat([theta, theta])) - 6, [0.0, 1e-9])
    (radius,) = fitting_radius(negative, negative.theta(), direction)
    assert np.isfinite(radius)
    assert radius > 0
    flat = objective_of(lambda theta: 1 + 0 * theta.sum(), [3.0, 4.0])
    assert fitting_radius(flat, flat.theta(), direction) == pytest.approx([4 * 5 / 2**0.5])
    zero = objective_of(lambda theta: theta.square().sum(), [0.0, 0.0])
    assert fitting_radius(zero, zero.theta(), direction)[0] > 0
    cliff = objective_of(lambda theta: 1 + torch.where(theta[0] > 0.1, torch.inf, 0 * theta[0]), [0.0, 1.0])
    (radius,) = fitting_radius(cliff, cliff.theta(), torch.tensor([[1.0, 0.0]]).double())
    assert 0.03 < radius < 0.3
    diverged = objective_of(lambda theta: theta.log().sum(), [1.0, 2.0])
    (radius,) = fitting_radius(diverged, torch.tensor([-1.0, -1.0]).double(), direction)
    assert np.isfinite(radius)


# Bad input


def test_losses_that_are_not_finite_are_kept_and_counted():
    objective = objective_of(lambda theta: theta[0].log() + theta[1].square(), [0.5, 0.1])
    found = slice2d(objective, torch.eye(2).double(), radius=1.0, points=5)
    theta = 0.5 + found.alpha
    np.testing.assert_array_equal(np.isnan(found.loss).all(1), theta < 0)
    np.testing.assert_array_equal(np.isneginf(found.loss).all(1), theta == 0)
    assert dict((name, text) for name, _, text in found.checks)["finite"].startswith("10 of 25 points")
    _, grid = refine(objective, torch.eye(2).double(), radius=1.0, points=9, first_picture=1e9)
    assert np.isnan(grid.loss).any()


def test_a_centre_that_has_diverged():
    with pytest.raises(ValueError, match="loss at the model's weights is nan"):
        objective_of(lambda theta: theta.sum() * torch.nan)
    objective = objective_of(lambda theta: theta.log().sum(), [1.0, 1.0])
    centre = torch.full((2,), -0.5).double()
    found = slice2d(objective, torch.eye(2).double(), theta=centre, points=3)
    assert np.isnan(found.centre_loss)
    np.testing.assert_array_equal(np.isfinite(found.loss), [[0, 0, 0], [0, 0, 0], [0, 0, 1]])
    assert {verdict for name, verdict, _ in found.checks if name == "centre"} == {"pass"}


def test_one_parameter():
    objective = objective_of(lambda theta: theta.square().sum(), [2.0])
    line = slice1d(objective, points=5, radius="auto", normalisation="none")
    np.testing.assert_allclose(line.loss, (2 + line.alpha * line.directions[0, 0]) ** 2)
    with pytest.raises(ValueError, match="parallel"):
        slice2d(objective, points=3, normalisation="none")


def test_filters_of_zero_norm_stay():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).double()
    with torch.no_grad():
        model[0].weight[1] = 0
    found = slice2d(Objective(model, nn.MSELoss(), (numbers(5, 4), numbers(5, 2))), points=3)
    assert (found.directions[:, 4:8] == 0).all()
    assert dict((name, verdict) for name, verdict, _ in found.checks)["filter normalisation"] == "pass"
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    for slice_of in (slice1d, slice2d):
        with pytest.raises(ValueError, match="zero"):
            slice_of(Objective(model, nn.MSELoss(), (numbers(5, 4), numbers(5, 2))), points=3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_coarse_types(dtype, tmp_path):
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).to(dtype)
    labels = torch.randint(0, 3, (9,))
    objective = Objective(model, nn.CrossEntropyLoss(), (numbers(9, 4).to(dtype), labels))
    path = torch.stack([objective.theta() * share for share in (0.2, 0.7)])
    found = slice2d(objective, points=5, store=tmp_path, gradient=True, path=path)
    assert np.isfinite(found.loss).all()
    assert [verdict for name, verdict, _ in found.checks if name in ("centre", "corner")] == ["pass", "pass"]
    directions = torch.from_numpy(found.directions).double()
    theta = (objective.theta().double() + found.alpha[1] * directions[0] + found.beta[3] * directions[1]).to(dtype)
    assert found.loss[1, 3] == pytest.approx(objective.value(theta), rel=torch.finfo(dtype).eps)


@pytest.mark.parametrize("name", ["loss", "error", "accuracy", "contrast_error", "class/0", "test/loss", "slope/alpha"])
def test_names_that_are_taken_are_refused(name):
    objective = classifier()
    with pytest.raises(ValueError, match=f"got '{name}'"):
        slice2d(objective, points=3, metrics={name: F.cross_entropy}, also={"test": classifier()})


@pytest.mark.parametrize("name", ["right", "counted", "held"])
def test_names_that_are_free_are_not(name):
    objective, held = classifier(), classifier(examples=20)
    found = slice2d(objective, points=3, metrics={name: lambda out, t: out.square().mean()}, also={"held": held})
    truth = slice2d(objective.with_loss(lambda out, t: out.square().mean()), points=3)
    np.testing.assert_allclose(found.metrics[name], truth.loss, rtol=1e-12)
    np.testing.assert_allclose(found.metrics["held/loss"], slice2d(held, points=3).loss, rtol=1e-12)
    np.testing.assert_allclose(found.metrics["held/accuracy"], slice2d(held, points=3).accuracy)


def test_directions_that_are_not_finite_are_refused():
    objective = objective_of(quadratic, [0.0] * 4)
    directions = torch.eye(4).double()[:2]
    directions[1, 3] = torch.nan
    with pytest.raises(ValueError, match="finite"):
        slice2d(objective, directions)


def test_a_cut_is_plain_data():
    whole = cut(classifier(), points=5)
    coarse = dataclasses.replace(whole, grid=whole.grid.every(2))
    assert coarse.grid.shape == (3, 3)
