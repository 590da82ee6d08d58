"""Hessian products, the largest eigenvalues and the sharpness of every step: ours beside the peers'.

curvlinops cannot be installed beside torch's CPU build, so that its product is written anew from its description:
forward over reverse, `vmap(jvp(jacrev(loss)))`, all vectors at once.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import jacrev, jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

import landscope as ls
from benchmarks.cases import CASES, Case, descent
from benchmarks.timing import interleaved

__all__ = ["eigenvalues", "exact", "followed", "ghosts", "in_double", "ours", "products", "tracking"]

_BLOCK = 8  # vectors that go through a vmapped product at once
_WINDOW = 35  # consecutive steps of a descent


def products(name: str, device: str, points: int) -> Iterator[dict[str, Any]]:
    """One product with the Hessian of one network, by every way, in units of a gradient."""
    case = CASES[name](device)
    objective, weights = case.objective, list(case.model.parameters())
    generator = torch.Generator().manual_seed(0)
    block = torch.randn(_BLOCK, objective.layout.size, generator=generator).to(objective.layout.device)
    ways = ("retained", "linearized", "forward-over-reverse", "reverse-over-forward", "differences")
    with ExitStack() as stack:
        stack.enter_context(objective.measuring())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        operators = {way: objective.hessian(backend=way) for way in ways}  # type: ignore[arg-type]
        chosen = _chosen(objective, block)
        calls: dict[str, tuple[Callable[[], Any], int]] = {
            "gradient": (lambda: torch.autograd.grad(case.loss(case.model(case.x), case.y), weights), 1)
        }
        for way, operator in operators.items():
            given = block if "-over-" in way else block[:1]
            calls[f"{way} (ours)"] = (lambda operator=operator, given=given: operator(given), len(given))
        for title, product in _peers(case):
            given = block if title.startswith("curvlinops") else block[:1]
            calls[title] = (lambda product=product, given=given: product(given), len(given))
        calls = {title: call for title, call in calls.items() if _works(title, call[0])}
        results, seconds, rounds = interleaved({title: call for title, (call, _) in calls.items()}, budget=90.0)
    each = {title: seconds[title].on(device) / count for title, (_, count) in calls.items()}
    truth = in_double(case).hessian(backend="retained")(block[:1].double())[0]
    gradients = {title: value / each["gradient"] for title, value in each.items()}
    best = f"{chosen} (ours)"
    for title in calls:
        if title.endswith("(ours)") or title == "gradient":
            continue
        yield {
            "ours_s": each[best],
            "peer_s": each[title],
            "ratio": each[title] / each[best],
            "error": _relative(results[best][0], truth),
            "peer_error": _relative(results[title][0], truth),
            "peer": title,
            "chosen": chosen,
            "gradients": gradients,
            "examples": len(case.x),
            "parameters": objective.layout.size,
            "repeats": rounds,
        }


def _chosen(objective: ls.Objective, block: Tensor) -> str:
    """The way that is found to be the fastest where one vector comes after the other."""
    operator = objective.hessian()
    for _ in range(400):
        operator(block[:1])
        if objective._chosen.name is not None:
            break
    return objective._chosen.name or "retained"


def _peers(case: Case) -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    """Products of blocks (1, P) or (K, P) by the peers' own functions, as (K, P)."""
    model = deepcopy(case.model)
    weights = list(model.parameters())
    layout = case.objective.layout

    def pieces(vector: Tensor) -> list[Tensor]:
        return list(layout.unflatten(vector).values())

    def flat(parts: Any) -> Tensor:
        return torch.cat([part.reshape(-1) for part in parts])[None]

    from pyhessian.utils import hessian_vector_product

    slope = torch.autograd.grad(case.loss(model(case.x), case.y), weights, create_graph=True)
    yield "PyHessian 0.1", lambda block: flat(hessian_vector_product(slope, weights, pieces(block[0])))
    if importlib.util.find_spec("hessian_eigenthings"):
        import hessian_eigenthings

        operator = _eigenthings(hessian_eigenthings, deepcopy(case.model), case.loss, case.x, case.y)
        yield "hessian-eigenthings 1.0.0a5", lambda block: operator.matvec(block[0])[None]

    def loss(theta: Tensor) -> Tensor:
        return case.loss(torch.func.functional_call(model, layout.unflatten(theta), (case.x,)), case.y)

    theta = case.objective.theta()
    yield (
        "curvlinops (as published), vmap of 8",
        lambda block: vmap(lambda vector: jvp(jacrev(loss), (theta,), (vector,))[1])(block),
    )


def _eigenthings(module: Any, model: nn.Module, loss: Any, x: Tensor, y: Tensor) -> Any:
    return module.HessianOperator(model, [(x, y)], lambda model, batch: loss(model(batch[0]), batch[1]))


def _works(title: str, call: Callable[[], Any]) -> bool:
    """Warms the call; a way that refuses the network, or is wrong on it, is left out and named."""
    try:
        with sdpa_kernel(SDPBackend.MATH):
            call()
    except RuntimeError as reason:
        print(f"{title}: left out ({str(reason)[:90]})", file=sys.stderr)
        return False
    return True


def eigenvalues(device: str, points: int) -> Iterator[dict[str, Any]]:
    """The five largest eigenvalues of 784-25-10 (tanh, trained), in float32, against float64."""
    case = CASES["mlp25"](device)
    objective, truth = case.objective, exact(in_double(case))
    counter = _Counter()
    calls: dict[str, Callable[[], tuple[np.ndarray, int]]] = {"ours": lambda: ours(objective)}
    calls |= {title: lambda call=call: counter.of(call) for title, call in _solvers(case, counter)}
    for call in calls.values():
        call()
    results, seconds, rounds = interleaved(calls)
    found, products_spent = results["ours"]
    for title in calls:
        if title == "ours":
            continue
        values, spent = results[title]
        yield {
            "ours_s": seconds["ours"].on(device),
            "peer_s": seconds[title].on(device),
            "ratio": seconds[title].on(device) / seconds["ours"].on(device),
            "error": float(np.abs(found / truth - 1).max()),
            "peer_error": float(np.abs(values / truth - 1).max()),
            "peer": title,
            "hvps": products_spent,
            "peer_hvps": spent,
            "ghosts": ghosts(found, truth),
            "peer_ghosts": ghosts(values, truth),
            "parameters": objective.layout.size,
            "repeats": rounds,
        }


def ours(objective: ls.Objective) -> tuple[np.ndarray, int]:
    """The five largest eigenvalues within 40 products, and how many those were."""
    found = ls.curvature.eigenvalues(objective, 5, tolerance=1e-6, max_products=40)
    return found.values, found.hvps


@dataclass
class _Counter:
    """How many products a peer's solver asks for."""

    products: int = field(default=0)

    def counting(self, product: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.products += 1
            return product(*arguments, **options)

        return counted

    def of(self, solve: Callable[[], np.ndarray]) -> tuple[np.ndarray, int]:
        self.products = 0
        return np.sort(solve())[::-1][:5], self.products


def _solvers(case: Case, counter: _Counter) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    for title, tolerance in (("PyHessian 0.1, as it is", 1e-3), ("PyHessian 0.1, tol 1e-6", 1e-6)):
        yield (
            title,
            lambda tolerance=tolerance: _pyhessian(case.model, case.loss, case.x, case.y, counter, 5, tolerance),
        )
    if importlib.util.find_spec("hessian_eigenthings"):
        import hessian_eigenthings

        operator = _eigenthings(hessian_eigenthings, deepcopy(case.model), case.loss, case.x, case.y)
        operator.matvec = counter.counting(operator.matvec)
        for steps in (40, 100):
            yield (
                f"hessian-eigenthings 1.0.0a5, {steps} steps",
                lambda steps=steps: hessian_eigenthings.lanczos(
                    operator, k=5, max_iter=steps, which="LA", seed=0
                ).eigenvalues.numpy(),
            )
    product = case.objective.hessian(backend="retained")
    yield "scipy eigsh, tol 1e-6", lambda: _eigsh(counter.counting(product), case.objective, 5, 1e-6)


def _pyhessian(
    model: nn.Module, loss: Any, x: Tensor, y: Tensor, counter: _Counter, k: int, tolerance: float
) -> np.ndarray:
    from pyhessian import hessian

    module = sys.modules["pyhessian.hessian"]
    original = module.hessian_vector_product
    module.hessian_vector_product = counter.counting(original)  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            engine = hessian(deepcopy(model), loss, data=(x, y), cuda=x.is_cuda)
            return np.array(engine.eigenvalues(top_n=k, tol=tolerance)[0])
    finally:
        module.hessian_vector_product = original  # type: ignore[attr-defined]


def _eigsh(product: Callable[[Tensor], Tensor], objective: ls.Objective, k: int, tolerance: float) -> np.ndarray:
    like = objective.theta()

    def matvec(vector: np.ndarray) -> np.ndarray:
        result: np.ndarray = product(torch.from_numpy(vector.reshape(-1).copy()).to(like)).cpu().numpy()
        return result

    dtype = np.float64 if like.dtype == torch.float64 else np.float32
    start = np.random.default_rng(0).standard_normal(len(like)).astype(dtype)
    with objective.measuring():
        operator = LinearOperator((len(like), len(like)), matvec=matvec, dtype=dtype)
        values: np.ndarray = eigsh(operator, k=k, which="LA", tol=tolerance, v0=start, return_eigenvectors=False)
    return np.sort(values)[::-1]


def tracking(device: str, points: int) -> Iterator[dict[str, Any]]:
    """Sharpness at 35 consecutive steps of full-batch descent, while it rises and at the edge of stability.

    100-100-80-10 with tanh, squared error, learning rate 0.2; ours starts from the step before, the peers anew.
    """
    for window, first in (("rising", 100), ("edge", 1100)):
        yield from _window(window, *descent(device, first, _WINDOW), device)


def _window(name: str, objective: ls.Objective, weights: list[Tensor], device: str) -> Iterator[dict[str, Any]]:
    (x, y), counter = objective.batches.items[0], _Counter()
    double = ls.Objective(deepcopy(objective.model).double(), objective.loss, (x.double(), y.double()))
    truth = np.array([_eigsh(double.hessian(w.double(), backend="retained"), double, 1, 1e-9)[0] for w in weights])

    def pyhessian(theta: Tensor) -> float:
        copy = deepcopy(objective.model)
        nn.utils.vector_to_parameters(theta, copy.parameters())
        return float(_pyhessian(copy, objective.loss, x, y, counter, 1, 1e-3)[0])

    def scipy(theta: Tensor) -> float:
        return float(_eigsh(counter.counting(objective.hessian(theta)), objective, 1, 1e-3)[0])

    calls: dict[str, Callable[[], tuple[np.ndarray, float]]] = {
        "ours": lambda: followed(objective, weights),
        "PyHessian 0.1, as it is": lambda: _anew(weights, counter, pyhessian),
        "scipy eigsh, tol 1e-3": lambda: _anew(weights, counter, scipy),
    }
    results, seconds, rounds = interleaved(calls, repeats=1)
    found, spent = results["ours"]
    for title in list(calls)[1:]:
        values, peer_spent = results[title]
        yield {
            "ours_s": seconds["ours"].on(device) / len(weights),
            "peer_s": seconds[title].on(device) / len(weights),
            "ratio": seconds[title].on(device) / seconds["ours"].on(device),
            "error": float(np.abs(found / truth - 1).max()),
            "peer_error": float(np.abs(values / truth - 1).max()),
            "peer": f"{title} ({name})",
            "window": [float(truth.min()), float(truth.max())],
            "hvps_per_step": spent,
            "peer_hvps_per_step": peer_spent,
            "median_error": float(np.median(np.abs(found / truth - 1))),
            "parameters": objective.layout.size,
            "repeats": rounds,
        }


def followed(objective: ls.Objective, weights: list[Tensor]) -> tuple[np.ndarray, float]:
    """Sharpness at each of the weights, and products a step after the first."""
    last = ls.curvature.sharpness(objective, theta=weights[0])
    values, products_spent = [last.lambda_max], []
    for theta in weights[1:]:
        last = ls.curvature.sharpness(objective, theta=theta, start=last.vector)
        values.append(last.lambda_max)
        products_spent.append(last.hvps)
    return np.array(values), float(np.mean(products_spent))


def _anew(weights: list[Tensor], counter: _Counter, largest: Callable[[Tensor], float]) -> tuple[np.ndarray, float]:
    counter.products = 0
    values = np.array([largest(theta) for theta in weights])
    return values, counter.products / len(weights)


def in_double(case: Case) -> ls.Objective:
    """The same objective in float64."""
    x = case.x.double() if case.x.is_floating_point() else case.x
    return ls.Objective(deepcopy(case.model).double(), case.loss, (x, case.y))


def exact(objective: ls.Objective) -> np.ndarray:
    """The five largest eigenvalues to eleven digits."""
    return ls.curvature.eigenvalues(objective, 5, tolerance=1e-11, max_products=600).values


def ghosts(values: np.ndarray, truth: np.ndarray) -> int:
    """Values that are copies of an eigenvalue found already."""
    nearest = np.abs(values[:, None] / truth - 1)
    return sum(max(0, int((column < 1e-4).sum()) - 1) for column in nearest.T)


def _relative(found: Tensor, truth: Tensor) -> float:
    return float((found.double() - truth).norm() / truth.norm())
