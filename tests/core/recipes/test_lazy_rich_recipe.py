"""Quadratic networks beside autograd, the engines' kernels and Monte Carlo; and the recipe on them."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.kernel import kernel_regression, ntk
from landscope.objective import Objective
from landscope.recipes.charts import lines
from landscope.recipes.lazy_rich import Config, judge, train
from landscope.recipes.quadratic_networks import Networks, Problem, error_parts, lazy_limit
from landscope.recipes.studies import Study
from landscope.runs import open_run

D, N, EPSILON = 4, 3, 0.6
ALPHA = torch.tensor([0.5, 3.0], dtype=torch.float64)


class Explicit(nn.Module):
    """The network itself, unit by unit."""

    def __init__(self, alpha, weights):
        super().__init__()
        self.alpha, self.weights = alpha, nn.Parameter(weights.clone())
        self.register_buffer("start", weights.clone())

    def forward(self, x):
        now, then = x @ self.weights.T, x @ self.start.T
        difference = now + EPSILON / 2 * now**2 - then - EPSILON / 2 * then**2
        return self.alpha * difference.mean(dim=1, keepdim=True)


@pytest.fixture
def problem():
    return Problem.draw(D, 9, 30, torch.Generator().manual_seed(0))


@pytest.fixture
def weights():
    return torch.randn(N, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def trained(model, problem, lr, steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr * N)
    for _ in range(steps):
        optimizer.zero_grad()
        ((model(problem.inputs)[:, 0] - problem.targets).square().mean() / model.alpha**2).backward()
        optimizer.step()
    return model


def test_the_problem_is_as_stated(problem):
    assert problem.beta.norm() == pytest.approx(D**0.5)
    torch.testing.assert_close(problem.targets, (problem.inputs @ problem.beta) ** 2 / 2)
    many = Problem.draw(D, 4000, 0, torch.Generator().manual_seed(0)).inputs
    torch.testing.assert_close(many.T @ many / 4000, torch.eye(D).double() / D, atol=0.03, rtol=0)


def test_statistics_descend_as_the_network_does(problem, weights):
    networks = Networks.draw(ALPHA, EPSILON, weights)
    assert float(networks.outputs(problem.inputs).abs().max()) == 0
    for _ in range(20):
        networks = networks.descended(problem, 0.3)
    for alpha, outputs in zip(ALPHA, networks.outputs(problem.inputs), strict=True):
        explicit = trained(Explicit(float(alpha), weights), problem, 0.3, 20)
        torch.testing.assert_close(outputs, explicit(problem.inputs)[:, 0].detach(), rtol=1e-10, atol=1e-12)
        assert float((outputs - problem.targets).square().mean()) < 0.9 * float(problem.targets.square().mean())


def test_kernels_are_the_engines(problem, weights):
    networks = Networks.draw(ALPHA, EPSILON, weights)
    for _ in range(5):
        networks = networks.descended(problem, 0.3)
    for alpha, gram in zip(ALPHA.tolist(), networks.kernels(problem.inputs), strict=True):
        explicit = trained(Explicit(alpha, weights), problem, 0.3, 5)
        objective = Objective(explicit, nn.MSELoss(), (problem.inputs, problem.targets[:, None]))
        np.testing.assert_allclose(gram * alpha**2 / N, ntk(objective, kind="output").gram, rtol=1e-9)


def test_the_lazy_limit_is_regression_with_the_first_kernel(problem, weights):
    model = Explicit(1.0, weights)
    model.start.zero_()  # the kernel is the same, and the engine needs outputs to tell examples from batches
    held, targets = problem.held_out
    objectives = [
        Objective(model, nn.MSELoss(), (x, y[:, None])) for x, y in ((problem.inputs, problem.targets), (held, targets))
    ]
    expected = kernel_regression(*objectives, kind="output", ridge=0.0)
    linear, quadratic = lazy_limit(Networks.draw(ALPHA, EPSILON, weights), problem)
    found = held @ linear + ((held @ quadratic) * held).sum(dim=1) / 2
    np.testing.assert_allclose(found, expected.predictions[:, 0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_test_error_is_a_plus_b_plus_c(seed):
    generator = torch.Generator().manual_seed(seed)
    problem = Problem.draw(5, 1, 100_000, generator)
    linear = torch.randn(5, generator=generator, dtype=torch.float64)
    half = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    quadratic = half + half.T
    x, y = problem.held_out
    squares = (x @ linear + ((x @ quadratic) * x).sum(dim=1) / 2 - y).square()
    error = float(squares.std()) / 100_000**0.5
    assert float(error_parts(linear, quadratic, problem.beta).sum()) == pytest.approx(
        float(squares.mean()), abs=4 * error
    )
    perfect = error_parts(torch.zeros(5).double(), torch.outer(problem.beta, problem.beta), problem.beta)
    assert perfect.tolist() == [0, 0, 0]
    # At the start, f = 0, the target's own second moment is |beta|^4 (1/4 + 1/2) / D^2.
    assert error_parts(0 * linear, 0 * quadratic, problem.beta).tolist() == pytest.approx([0.25, 0.5, 0])


def test_a_small_run_shows_the_delay(tmp_path):
    run = open_run(train(Config(dimensions=12, examples=60, width=40, steps=1000, alpha=8.0), tmp_path))
    exhibits = [event.data["name"] for event in run.events("exhibit")]
    assert exhibits == ["losses", "formula", "parts", "alignment", "movement", "delay"]
    formula, late, _, _ = judge(run)
    assert formula.outcome == "reproduced"
    assert late.outcome == "reproduced", late
    losses = run.measurement("exhibit/losses")
    assert losses.y["test, α = 8"][0] == pytest.approx(0.75, rel=0.05)


def test_the_judge_says_no_where_nothing_of_it_is_there(tmp_path):
    steps, names = np.array([1, 10]), ["α = 1", "α = 2"]
    flat = {name: (steps, [1.0, 1.0]) for name in names}
    exact = {f"A + B + C, {name}": (steps, [2.0, 2.0]) for name in names}
    bands = {name: ([0.9, 0.9], [1.1, 1.1]) for name in names}
    with Study("lazy-rich", Config(), tmp_path, total=1) as study:
        axes = ("steps", "")
        study.exhibit(
            "losses", lines("", "", axes, {}, expected={"floor of the initial kernel": ([1, 10], [0.5, 0.5])})
        )
        study.exhibit("formula", lines("", "", axes, flat, expected=exact, bands=bands))
        study.exhibit("alignment", lines("", "", axes, flat))
        halved = {"training": ([1.0, 2.0], [5.0, 5.0]), "test": ([1.0, 2.0], [4.0, 3.0])}
        study.exhibit("delay", lines("", "", axes, halved))
        study.advance()
    assert [one.outcome for one in judge(open_run(study.path))] == ["not here"] * 4
