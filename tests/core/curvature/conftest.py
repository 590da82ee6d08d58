"""Small networks in float64 with their explicit Hessians, and objectives whose Hessian is any matrix."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from landscope.objective import Objective


@dataclass(frozen=True)
class Problem:
    """An objective beside its Hessian (P, P) and that matrix's eigenvalues (P,), descending, by dense algebra."""

    objective: Objective
    hessian: Tensor
    eigenvalues: Tensor


class TiedNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


class ConvNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.AvgPool2d(2))
        self.head = nn.Linear(12, 4)
        self.body[1].running_mean.uniform_(-0.5, 0.5)
        self.body[1].running_var.uniform_(0.5, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).flatten(1))


def explicit_hessian(model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """By torch's own double backward, over all examples at once."""
    model.eval()
    named = dict(model.named_parameters())

    def of_vector(vector: Tensor) -> Tensor:
        pieces = vector.split([p.numel() for p in named.values()])
        tensors = {name: piece.view_as(named[name]) for name, piece in zip(named, pieces, strict=True)}
        return loss(functional_call(model, tensors, (x,), tie_weights=True), y)

    hessian = torch.autograd.functional.hessian(of_vector, torch.cat([p.detach().reshape(-1) for p in named.values()]))
    return (hessian + hessian.T) / 2


def build(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(3)
    if name == "mlp":
        model: nn.Module = nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 5))
        x, classes = torch.randn(200, 6), 5
    elif name == "tied":
        model, x, classes = TiedNet(), torch.randn(200, 6), 6
    else:
        model, x, classes = ConvNet(), torch.randn(120, 1, 6, 6), 4
    return model.double(), x.double(), torch.randint(classes, (len(x),))


@pytest.fixture(scope="session", params=["mlp", "cnn", "tied"])
def problem(request: pytest.FixtureRequest) -> Problem:
    model, x, y = build(request.param)
    hessian = explicit_hessian(model, cross_entropy, x, y)
    return Problem(Objective(model, cross_entropy, (x, y)), hessian, torch.linalg.eigvalsh(hessian).flip(0))


@pytest.fixture(scope="session")
def mlp() -> Problem:
    model, x, y = build("mlp")
    hessian = explicit_hessian(model, cross_entropy, x, y)
    return Problem(Objective(model, cross_entropy, (x, y)), hessian, torch.linalg.eigvalsh(hessian).flip(0))


@pytest.fixture(scope="session")
def trained() -> Problem:
    """10-16-12-3 with tanh, 419 parameters, 60 steps of gradient descent: outliers over a bulk near zero."""
    torch.manual_seed(0)
    x = torch.randn(300, 10).double()
    y = (x @ torch.randn(10, 3).double() + 0.5 * torch.randn(300, 3).double()).argmax(1)
    layers = nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 3)
    model = nn.Sequential(*layers).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    hessian = explicit_hessian(model, cross_entropy, x, y)
    return Problem(Objective(model, cross_entropy, (x, y)), hessian, torch.linalg.eigvalsh(hessian).flip(0))


class Quadratic(nn.Module):
    """1/2 w^T H w of all its parameters w together, one parameter for each of the given sizes."""

    def __init__(self, hessian: Tensor, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("hessian", hessian)
        self.parts = nn.ParameterList(nn.Parameter(torch.randn(size, dtype=hessian.dtype)) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        w = torch.cat(list(self.parts))
        return (0.5 * w @ self.hessian @ w).expand(len(x))


def mean_output(output: Tensor, target: Tensor) -> Tensor:
    return output.mean()


def quadratic(hessian: Tensor, sizes: tuple[int, ...] | None = None) -> Objective:
    """An objective whose Hessian is `hessian` everywhere."""
    data = torch.zeros(1, 1, dtype=hessian.dtype), torch.zeros(1, dtype=hessian.dtype)
    return Objective(Quadratic(hessian, sizes or (len(hessian),)), mean_output, data)


@pytest.fixture(scope="session")
def objective_of() -> Callable[..., Objective]:
    return quadratic
