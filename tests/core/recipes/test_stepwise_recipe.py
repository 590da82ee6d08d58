"""Joint embeddings beside autograd, the differential equation and explicit losses; and the recipe on them."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from landscope.recipes.charts import lines
from landscope.recipes.joint_embeddings import (
    Encoders,
    augmented,
    contrastive_losses,
    cross_moment,
    half_times,
    linear_twins,
    logistic,
    starting_sizes,
)
from landscope.recipes.stepwise import Config, judge, train
from landscope.recipes.studies import Study
from landscope.runs import open_run


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_views_are_moved_by_at_most_a_pixel_and_noised():
    images = torch.randn(50, 1, 4, 5, generator=generator())
    assert torch.equal(augmented(images, generator(), shift=0, noise=0.0), images.flatten(1))
    moved = augmented(images, generator(), shift=1, noise=0.0).view(50, 4, 5)
    padded = nn.functional.pad(images[:, 0], (1, 1, 1, 1), value=float(images.min()))
    windows = torch.stack([padded[:, r : r + 4, c : c + 5] for r in range(3) for c in range(3)], dim=1)
    places = (moved[:, None] == windows).flatten(2).all(dim=2)
    assert places.sum(dim=1).tolist() == [1] * 50
    assert places.any(dim=0).all()
    noisy = augmented(images, generator(), shift=0, noise=0.5) - images.flatten(1)
    assert float(noisy.std()) == pytest.approx(0.5, rel=0.1)


def test_cross_moment_by_its_sum():
    first, second = np.random.default_rng(0).normal(size=(2, 7, 3))
    mean = np.concatenate([first, second]).mean(axis=0)
    expected = sum(
        np.outer(a - mean, b - mean) + np.outer(b - mean, a - mean) for a, b in zip(first, second, strict=True)
    )
    np.testing.assert_allclose(cross_moment(first, second), expected / 14)


def test_linear_twins_descend_their_loss():
    draws = np.random.default_rng(1)
    weights, half = draws.normal(size=(2, 4)), draws.normal(size=(4, 4))
    gamma = half @ half.T
    leaf = torch.tensor(weights, requires_grad=True)
    loss = (leaf @ torch.tensor(gamma) @ leaf.T - torch.eye(2)).square().sum()
    loss.backward()
    eigenvalues, losses, after = linear_twins(weights, gamma, 1e-3, [0, 1])
    np.testing.assert_allclose(after, (leaf - 1e-3 * leaf.grad).detach().numpy())
    assert losses[0] == pytest.approx(loss.item())
    np.testing.assert_allclose(eigenvalues[0], np.linalg.eigvalsh(weights @ gamma @ weights.T)[::-1])


def test_the_closed_form_solves_its_equation():
    gamma, sizes = np.array([1.0, 0.5, 0.25]), np.array([1e-3, 2e-3, 1e-3])
    np.testing.assert_allclose(logistic(gamma, sizes, np.zeros(1))[0], gamma * sizes**2)
    assert half_times(gamma, np.full(3, 1e-3)) == pytest.approx([1.727, 3.627, 7.601], abs=1e-3)
    np.testing.assert_allclose(logistic(gamma, sizes, half_times(gamma, sizes)).diagonal(), 0.5)
    times = np.linspace(0, 8, 4001)
    grown = logistic(gamma, sizes, times)
    slopes = np.gradient(grown, times, axis=0)[1:-1]
    np.testing.assert_allclose(slopes, (8 * gamma * grown * (1 - grown))[1:-1], atol=2e-4)


@pytest.mark.parametrize("start", ["aligned", "random"])
def test_descent_follows_the_closed_form(start):
    gamma, turn = np.array([1.0, 0.5, 0.2]), np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    matrix = turn @ np.diag([*gamma, 0.01]) @ turn.T
    modes = turn[:, :3]
    weights = 1e-5 * (modes.T if start == "aligned" else np.random.default_rng(3).normal(size=(3, 4)))
    sizes = starting_sizes(weights, modes)
    if start == "aligned":
        np.testing.assert_allclose(sizes, 1e-5)
    times = half_times(gamma, sizes)
    moments = np.round(times[:, None] * np.linspace(0.95, 1.05, 3) / 0.01).astype(int)
    assert (np.diff(moments.ravel()) > 0).all()
    eigenvalues, losses, last = linear_twins(weights, matrix, 0.01, [*moments.ravel(), int(1.5 * times[-1] / 0.01)])
    for mode in range(3):
        before, _, after = eigenvalues[3 * mode : 3 * mode + 3, mode]
        assert before < 0.5 < after
        assert (eigenvalues[3 * mode + 2, :mode] > 0.9).all()
    space = np.linalg.qr(last.T)[0]
    assert np.square(modes.T @ space).sum() == pytest.approx(3, abs=1e-4)
    assert losses[-1] < 1e-4


def test_contrastive_losses_are_cross_entropies_with_the_partner():
    units = nn.functional.normalize(torch.randn(2, 6, 3, generator=generator(), dtype=torch.float64), dim=2)
    found = contrastive_losses(units, torch.tensor([0.5, 2.0], dtype=torch.float64))
    for vectors, temperature, loss in zip(units.numpy(), (0.5, 2.0), found, strict=True):
        terms = []
        for i in range(6):
            exponentials = {j: math.exp(vectors[i] @ vectors[j] / temperature) for j in range(6) if j != i}
            terms.append(-math.log(exponentials[(i + 3) % 6] / sum(exponentials.values())))
        assert float(loss) == pytest.approx(sum(terms) / 6)
    one_point = torch.ones(1, 8, 1)
    assert float(contrastive_losses(one_point, torch.tensor([0.1]))) == pytest.approx(math.log(7), rel=1e-5)


def test_encoders_are_their_formula_and_begin_at_a_point():
    encoders = Encoders(2, 5, 6, 3, 1e-3, generator())
    examples = torch.randn(4, 5, generator=generator(1))
    units = encoders(examples).detach()
    assert torch.equal(units[0], units[1])
    torch.testing.assert_close(units.norm(dim=2), torch.ones(2, 4))
    assert float((units - encoders.direction).norm(dim=2).max()) < 0.01
    with torch.no_grad():
        encoders.biases[1][1] += 0.3
        encoders.last[1] *= 500
        hidden = torch.relu(torch.relu(examples @ encoders.first[1]) @ encoders.second[1] + 0.3)
        point = encoders.direction + hidden @ encoders.last[1] / 6**0.5
        torch.testing.assert_close(encoders(examples)[1], point / point.norm(dim=1, keepdim=True))


def test_a_small_run_has_its_exhibits_and_linear_steps(tmp_path):
    config = Config(examples=100, dimensions=3, scale=1e-3, width=8, batch=16, steps=20)
    run = open_run(train(config, tmp_path))
    exhibits = [event.data["name"] for event in run.events("exhibit")]
    assert exhibits == ["aligned", "random", "loss", "contrastive", "rank", "temperature"]
    logistic_curves, random, *_ = judge(run)
    assert logistic_curves.outcome == "reproduced", logistic_curves
    assert random.outcome == "reproduced", random
    assert run.measurement("exhibit/loss").y["measured"][0] == pytest.approx(3, abs=0.1)


def test_the_judge_says_no_where_nothing_of_it_is_there(tmp_path):
    times, axes = np.array([1.0, 2.0, 3.0]), ("time", "")
    steady, late = [0.1, 0.2, 0.3], [0.0, 0.6, 1.0]
    foretold = {"foretold": ([1.0, 2.0, 3.0, 3.0], [*late, np.nan])}
    with Study("stepwise", Config(), tmp_path, total=1) as study:
        for name in ("aligned", "random"):
            study.exhibit(name, lines("", "", axes, {"mode 1": (times, steady)}, expected=foretold))
        study.exhibit("contrastive", lines("", "", axes, {f"eigenvalue {k}": (times, steady) for k in (1, 2, 3)}))
        opposite = {"uniformity": (times, [-1.0, -2.0, -3.0]), "tolerance": (times, [0.3, 0.2, 0.1])}
        study.exhibit("temperature", lines("", "", axes, opposite))
        study.advance()
    assert [one.outcome for one in judge(open_run(study.path))] == ["not here"] * 4
