"""Thresholds against the optimisers themselves: each is run on quadratics just below and just above."""

from collections.abc import Callable

import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, RAdam, RMSprop, Rprop

from landscope.curvature import sharpness, stability_rule
from landscope.objective import Objective
from landscope.optimizers import Optimizers, as_optimizers
from landscope.parameters import ParameterLayout

STEPS = 400
FROZEN = 1 - 1e-12  # decay rate of second moments that leaves them as they are set


def curvature_of(size: int) -> Tensor:
    torch.manual_seed(1)
    root = torch.randn(size, size).double()
    return root @ root.T / size


def seen(rule, hessian: Tensor) -> float:
    """Largest eigenvalue of the operator that the rule speaks of, by dense algebra."""
    scaling = torch.ones(len(hessian)).double() if rule.scaling is None else rule.scaling
    decay = torch.zeros(len(hessian)).double() if rule.decay is None else rule.decay
    whole = rule.sign * hessian + torch.diag(decay)
    return torch.linalg.eigvalsh(scaling[:, None] * whole * scaling).max().item()


def frozen_moments(optimizers: Optimizers) -> None:
    """Second moments of different sizes, so far along that bias correction is over."""
    adaptive = [one for one in as_optimizers(optimizers) if not isinstance(one, SGD)]
    for optimizer, group in ((one, group) for one in adaptive for group in one.param_groups):
        for parameter in group["params"]:
            size = torch.linspace(0.5, 4.0, parameter.numel(), dtype=parameter.dtype).view_as(parameter) ** 2
            state = optimizer.state[parameter]
            state["step"] = torch.tensor(1e15)
            if isinstance(optimizer, RMSprop):
                state |= {"square_avg": size, "momentum_buffer": torch.zeros_like(size)}
                if group["centered"]:
                    state |= {"grad_avg": torch.zeros_like(size)}
            elif isinstance(optimizer, Adagrad):
                state |= {"step": torch.tensor(1.0), "sum": size * 1e16}
            elif isinstance(optimizer, Adamax):
                state |= {"exp_avg": torch.zeros_like(size), "exp_inf": size * 1e8}
            else:
                state |= {"exp_avg": torch.zeros_like(size), "exp_avg_sq": size.clone()}
                if isinstance(optimizer, NAdam):
                    state["mu_product"] = torch.tensor(0.0)
                if group.get("amsgrad"):
                    state["exp_avg_sq"] = size / 3
                    state["max_exp_avg_sq"] = size


def grows(hessian: Tensor, parts: list[nn.Parameter], optimizer: Optimizers) -> bool:
    """Whether the optimiser diverges on 1/2 w^T H w, minimising or maximising as it is set to."""
    with torch.no_grad():
        for part in parts:
            part.copy_(1e-6 * torch.randn(part.shape, generator=torch.Generator().manual_seed(0)))
    frozen_moments(optimizer)
    sizes = [part.numel() for part in parts]
    start = torch.cat([part.detach() for part in parts])
    for _ in range(STEPS):
        w = torch.cat([part.detach() for part in parts])
        for part, slope in zip(parts, (hessian @ w).split(sizes), strict=True):
            part.grad = slope
        for one in as_optimizers(optimizer):
            one.step()
        if w.norm() > 1e4 * start.norm():  # further growth would reach the second moments
            return True
    moved = w != start
    return not w[moved].norm() < start[moved].norm()


Build = Callable[[list[nn.Parameter]], Optimizers]

CASES: dict[str, Build] = {
    "gradient descent": lambda p: SGD(p, lr=0.1),
    "heavy ball": lambda p: SGD(p, lr=0.1, momentum=0.8),
    "dampened": lambda p: SGD(p, lr=0.1, momentum=0.8, dampening=0.3),
    "dampening without momentum": lambda p: SGD(p, lr=0.1, dampening=0.3),
    "nesterov": lambda p: SGD(p, lr=0.1, momentum=0.8, nesterov=True),
    "weight decay": lambda p: SGD(p, lr=0.1, momentum=0.8, weight_decay=5.0),
    "maximised": lambda p: SGD(p, lr=0.1, momentum=0.5, maximize=True),
    "rmsprop": lambda p: RMSprop(p, lr=0.1, alpha=FROZEN, eps=0.1),
    "rmsprop momentum": lambda p: RMSprop(p, lr=0.1, alpha=FROZEN, momentum=0.7, weight_decay=1.0),
    "adam": lambda p: Adam(p, lr=0.1, betas=(0.8, FROZEN), eps=0.1),
    "adam weight decay": lambda p: Adam(p, lr=0.1, betas=(0.8, FROZEN), weight_decay=20.0),
    "amsgrad": lambda p: Adam(p, lr=0.1, betas=(0.8, FROZEN), amsgrad=True),
    "adamw": lambda p: AdamW(p, lr=0.1, betas=(0.8, FROZEN), weight_decay=2.0),
    "adagrad": lambda p: Adagrad(p, lr=1e7, weight_decay=0.5),
    "adamax": lambda p: Adamax(p, lr=1e7, betas=(0.8, FROZEN), weight_decay=0.5),
    "nadam": lambda p: NAdam(p, lr=0.1, betas=(0.8, FROZEN), weight_decay=2.0, decoupled_weight_decay=True),
    "radam": lambda p: RAdam(p, lr=0.1, betas=(0.8, FROZEN), weight_decay=20.0),
    "adam maximised": lambda p: Adam(p, lr=0.1, betas=(0.8, FROZEN), maximize=True),
}

GROUPED: dict[str, Build] = {
    "learning rates": lambda p: SGD([{"params": p[:1]}, {"params": p[1:], "lr": 0.4}], lr=0.1),
    "all different": lambda p: SGD(
        [
            {"params": p[:1], "momentum": 0.9, "weight_decay": 1.0},
            {"params": p[1:2], "lr": 0.3, "momentum": 0.5, "nesterov": True},
            {"params": p[2:], "lr": 0.05},
        ],
        lr=0.1,
    ),
    "weight decays": lambda p: SGD(
        [{"params": p[:1], "weight_decay": 0.0}, {"params": p[1:]}], lr=0.1, weight_decay=8.0
    ),
    "one at rest": lambda p: SGD([{"params": p[:1], "lr": 0.0}, {"params": p[1:]}], lr=0.1),
    "one unlisted": lambda p: SGD(p[1:], lr=0.1, momentum=0.9),
    "adamw": lambda p: AdamW(
        [{"params": p[:1], "weight_decay": 0.0}, {"params": p[1:], "lr": 0.02}], lr=0.1, betas=(0.9, FROZEN)
    ),
    "two optimisers": lambda p: [SGD(p[:1], lr=0.1, momentum=0.9), SGD(p[1:], lr=0.3, weight_decay=0.5)],
    "descent and adam": lambda p: [SGD(p[:1], lr=0.05), Adam(p[1:], lr=0.1, betas=(0.9, FROZEN))],
    "rmsprop": lambda p: RMSprop(
        [{"params": p[:2], "momentum": 0.5}, {"params": p[2:], "lr": 0.3}], lr=0.1, alpha=FROZEN
    ),
}


def check(build: Build, sizes: tuple[int, ...], objective_of) -> None:
    shape = curvature_of(sum(sizes))
    objective = objective_of(shape, sizes)
    parts = list(objective.model.parts)
    optimizer = build(parts)
    frozen_moments(optimizer)
    rule = stability_rule(optimizer, objective.layout, objective.model)
    assert rule.threshold is not None
    critical = brentq(lambda size: seen(rule, size * rule.sign * shape) - rule.threshold, 1e-3, 1e5, xtol=1e-9)
    moving = {
        id(part)
        for one in as_optimizers(optimizer)
        for group in one.param_groups
        if group["lr"] > 0
        for part in group["params"]
    }
    mask = torch.cat([torch.full((part.numel(),), float(id(part) in moving)) for part in parts]).double()
    for factor, expected in ((0.97, False), (1.03, True)):
        hessian = factor * critical * rule.sign * shape
        # what does not move stays where it is: only its pull on the others is taken away
        assert grows(mask[:, None] * hessian * mask, parts, optimizer) is expected


@pytest.mark.parametrize("name", CASES)
def test_one_dimension(name: str, objective_of):
    check(CASES[name], (1,), objective_of)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith(("ada", "rms", "ams", "nadam", "radam"))])
def test_preconditioned_in_several_dimensions(name: str, objective_of):
    check(CASES[name], (3, 2), objective_of)


@pytest.mark.parametrize("name", GROUPED)
def test_parameter_groups(name: str, objective_of):
    check(GROUPED[name], (2, 2, 1), objective_of)


@pytest.mark.parametrize(
    ("build", "threshold"),
    [
        (lambda p: SGD(p, lr=0.1), 20.0),
        (lambda p: SGD(p, lr=0.1, momentum=0.9), 38.0),
        (lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True), 38.0 / 2.8),
        (lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.5), 37.5),
        (lambda p: SGD(p, lr=torch.tensor(0.1)), 20.0),
    ],
)
def test_closed_forms(build: Build, threshold: float):
    model = nn.Linear(2, 2)
    rule = stability_rule(build(list(model.parameters())), ParameterLayout.of(model), model)
    assert rule.threshold == pytest.approx(threshold, rel=1e-6)
    assert rule.scaling is None
    assert rule.decay is None


@pytest.mark.parametrize(
    "build",
    [
        lambda p: Adam(p, lr=0.01, betas=(0.7, 0.9), eps=1e-3),
        lambda p: AdamW(p, lr=0.01, betas=(0.7, 0.9), weight_decay=0.0, amsgrad=True),
        lambda p: RMSprop(p, lr=0.01, eps=1e-3, centered=True, momentum=0.5),
        lambda p: Adamax(p, lr=0.01, betas=(0.7, 0.9)),
        lambda p: RAdam(p, lr=0.01, betas=(0.7, 0.9)),
    ],
)
def test_preconditioner_is_what_the_step_was_divided_by(build: Build):
    torch.manual_seed(0)
    model = nn.Linear(4, 3).double()
    optimizer = build(list(model.parameters()))
    layout = ParameterLayout.of(model)
    for _ in range(3):  # early enough for bias correction to matter
        before = layout.flatten(dict(model.named_parameters())).detach().clone()
        optimizer.zero_grad()
        model(torch.randn(5, 4).double()).square().mean().backward()
        buffers = {
            n: optimizer.state[p].get("momentum_buffer", torch.zeros(())).clone() for n, p in model.named_parameters()
        }
        optimizer.step()
    after = layout.flatten(dict(model.named_parameters())).detach()
    scaling = stability_rule(optimizer, layout, model).scaling
    state = {name: optimizer.state[parameter] for name, parameter in model.named_parameters()}
    if isinstance(optimizer, RMSprop):
        gradient = layout.flatten({n: p.grad for n, p in model.named_parameters()})
        moment = gradient * scaling**2 + 0.5 * layout.flatten(buffers)
        torch.testing.assert_close(after - before, -0.01 * moment)
    else:
        moment = layout.flatten({name: one["exp_avg"] for name, one in state.items()})
        torch.testing.assert_close(after - before, -0.01 * moment * scaling**2)


def test_adagrad_slows_down():
    model = nn.Linear(2, 1, bias=False).double()
    optimizer = Adagrad(model.parameters(), lr=0.1, lr_decay=0.5, eps=1e-3)
    slopes = torch.tensor([[3.0, 4.0], [4.0, 3.0], [0.0, 12.0]]).double()
    for slope in slopes:
        model.weight.grad = slope[None]
        before = model.weight.detach().clone()
        optimizer.step()
    rule = stability_rule(optimizer, ParameterLayout.of(model), model)
    assert rule.threshold == pytest.approx(20.0)
    torch.testing.assert_close((model.weight.detach() - before)[0], -0.1 * slopes[2] * rule.scaling**2)
    torch.testing.assert_close(rule.scaling**-2, 2 * (torch.tensor([5.0, 13.0]).double() + 1e-3))


@pytest.mark.parametrize("steps", [1, 4, 40])
def test_rectified_adam_before_and_after_it_adapts(steps: int):
    model = nn.Linear(1, 1, bias=False).double()
    optimizer = RAdam(model.parameters(), lr=0.01)
    for _ in range(steps):
        model.weight.grad = torch.full((1, 1), 2.0).double()
        before = model.weight.item()
        optimizer.step()
    scaling = stability_rule(optimizer, ParameterLayout.of(model), model).scaling
    moment = optimizer.state[model.weight]["exp_avg"].item()
    assert model.weight.item() - before == pytest.approx(-0.01 * moment * scaling.item() ** 2)


@pytest.mark.parametrize("count", [1, 30, 3000])
def test_nadam_as_its_momentum_warms_up(count: int):
    """The recursion in (weight, first moment) with the coefficients of that step, by its own eigenvalues."""
    model = nn.Linear(1, 1, bias=False).double()
    optimizer = NAdam(model.parameters(), lr=0.1, betas=(0.8, 0.9), momentum_decay=0.1)
    for _ in range(count):
        model.weight.grad = torch.full((1, 1), 2.0).double()
        optimizer.step()
    rule = stability_rule(optimizer, ParameterLayout.of(model), model)
    product = float(optimizer.state[model.weight]["mu_product"])
    now, ahead = (0.8 * (1 - 0.5 * 0.96 ** (0.1 * step)) for step in (count, count + 1))
    p, q = 0.1 * (1 - now) / (1 - product) / 2, 0.1 * ahead / (1 - product * ahead) / 2  # root of the variance is 2

    def radius(h: float) -> float:
        moment = torch.tensor([0.2 * h, 0.8]).double()
        weight = torch.tensor([1 - p * h, 0.0]).double() - q * moment
        return float(torch.linalg.eigvals(torch.stack([weight, moment])).abs().max())

    limit = rule.threshold / rule.scaling.item() ** 2
    assert radius(0.99 * limit) < 1 < radius(1.01 * limit)


def test_share_of_the_threshold_that_weight_decay_takes():
    model = nn.Linear(2, 2)
    layout, parameters = ParameterLayout.of(model), list(model.parameters())

    def share(optimizer: Optimizer) -> float:
        return stability_rule(optimizer, layout, model).decay_share

    assert share(SGD(parameters, lr=0.1)) == 0
    assert share(SGD(parameters, lr=0.1, weight_decay=2.0)) == pytest.approx(0.1)  # of 20
    groups = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.4, "weight_decay": 1.0}]
    assert share(SGD(groups, lr=0.1)) == pytest.approx(0.2)  # of 5
    adamw = AdamW(parameters, lr=0.1, weight_decay=3.0)
    frozen_moments(adamw)
    assert share(adamw) == pytest.approx(0.15)  # 2 - lr decay of 2
    adam = Adam(parameters, lr=0.1, betas=(0.9, FROZEN), weight_decay=19.0, eps=0.0)
    frozen_moments(adam)
    assert share(adam) == pytest.approx(19.0 / (380 * 0.5), rel=1e-3)  # where the root of the variance is least


def test_where_there_is_no_threshold_the_rule_says_why():
    model = nn.Linear(3, 2)
    layout = ParameterLayout.of(model)
    reasons = {
        "no rule known for LBFGS": LBFGS(model.parameters()),
        "learning rate is 0": SGD(model.parameters(), lr=0.0),
        "Adam has no second moments before its first step": Adam(model.parameters()),
        "some parameter groups are maximised": SGD(
            [{"params": [model.weight]}, {"params": [model.bias], "maximize": True}], lr=0.1
        ),
        "RMSprop has no second moments": [SGD([model.weight], lr=0.1), RMSprop([model.bias])],
        "several optimisers hold the same parameter": [SGD(model.parameters(), lr=0.1), SGD([model.bias], lr=0.1)],
        "no rule known for Rprop": [SGD([model.weight], lr=0.1), Rprop([model.bias])],
    }
    for reason, optimizer in reasons.items():
        rule = stability_rule(optimizer, layout, model)
        assert rule.threshold is None
        assert reason in rule.text


def test_an_optimizer_of_another_model_is_refused():
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    with pytest.raises(ValueError, match="none of the objective's parameters"):
        stability_rule(SGD(other.parameters(), lr=0.1), ParameterLayout.of(model), model)


def test_an_optimizer_that_holds_none_takes_no_part_beside_one_that_does():
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    both = [SGD(other.parameters(), lr=0.5), SGD(model.parameters(), lr=0.1)]
    assert stability_rule(both, ParameterLayout.of(model), model).threshold == pytest.approx(20.0)
    assert sharpness(Objective(model, nn.MSELoss(), (torch.ones(4, 3), torch.ones(4, 2))), both).optimizer == "SGD"


def test_what_is_no_optimizer_is_refused():
    model = nn.Linear(3, 2)
    with pytest.raises(TypeError, match="sequence of them, got list"):
        stability_rule([list(model.parameters())], ParameterLayout.of(model), model)


@pytest.mark.parametrize("name", ["weight decays", "all different", "one unlisted", "adamw"])
def test_sharpness_is_of_the_operator_that_the_rule_speaks_of(name: str, objective_of):
    hessian = curvature_of(5)
    objective = objective_of(hessian, (2, 2, 1))
    optimizer = GROUPED[name](list(objective.model.parts))
    frozen_moments(optimizer)
    rule = stability_rule(optimizer, objective.layout, objective.model)
    measured = sharpness(objective, optimizer, tolerance=1e-10)
    assert measured.lambda_max == pytest.approx(seen(rule, hessian), rel=1e-9)
    assert measured.threshold == rule.threshold
