"""The empirical tangent kernel beside the usual ways of computing it with torch.func.

The peers are the two published recipes of torch.func's tutorial on tangent kernels, written anew: contracting
per-example Jacobians, and products of the kernel with unit vectors. `error` is the relative distance of the matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, jvp, vjp, vmap
from torch.nn.functional import cross_entropy, relu

import landscope as ls
from benchmarks.cases import Transformer
from benchmarks.timing import interleaved, timed
from landscope.kernel.empirical import Kind, grams

__all__ = ["large", "small"]

_CLASSES = 10
_LONG = 15.0  # seconds


def small(device: str, points: int) -> Iterator[dict[str, Any]]:
    """An MLP of 269,322 parameters and a CNN of 6,218, 256 images each. `points` is not used."""
    torch.manual_seed(0)
    mlp, cnn = _mlp().to(device), _cnn().to(device)
    flat, images = torch.randn(256, 784, device=device), torch.randn(256, 1, 28, 28, device=device)
    trace: Kind = "trace"
    jacobians, products = "vmap(jacrev)", "kernel-vector products, vmap(jvp of vjp), 16 images"
    yield _row("MLP", mlp, flat, trace, lambda: _contracted(mlp, flat, "iap,jap->ij") / _CLASSES, jacobians)
    yield _row("MLP", mlp, flat, "full", lambda: _contracted(mlp, flat, "iap,jbp->iajb"), jacobians)
    yield _row("CNN", cnn, images, trace, lambda: _contracted(cnn, images, "iap,jap->ij") / _CLASSES, jacobians)
    yield _row("CNN", cnn, images, "full", lambda: _contracted(cnn, images, "iap,jbp->iajb"), jacobians)
    for name, model, x in (("MLP", mlp, flat[:16]), ("CNN", cnn, images[:16])):
        yield _row(name, model, x, "full", lambda model=model, x=x: _products(model, x), products)
    many = torch.randn(1024, 784, device=device)
    yield _row("MLP, 1,024 images", mlp, many, trace, None, "goal of 1 s", goal=1.0)


def large(device: str, points: int) -> Iterator[dict[str, Any]]:
    """The trace kernel of 128 examples, once: an 18-layer residual network, and a causal transformer's next token."""
    torch.manual_seed(0)
    residual = residual_network().to(device)
    yield _row("18-layer ResNet", residual, torch.randn(128, 3, 32, 32, device=device), "trace", None, "none")
    transformer = Transformer(vocabulary=65, width=128, layers=4, context=64).to(device)
    tokens = torch.randint(65, (128, 64), device=device)
    yield _row("transformer", _NextToken(transformer), tokens, "trace", None, "none")


def residual_network(width: int = 64) -> nn.Module:
    """ResNet-18 for images of 32 x 32 (He et al. 2016): 11,173,962 parameters at width 64."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    fan_in = width
    for stage in range(4):
        for block in range(2):
            layers.append(_Residual(fan_in, width << stage, 2 if block == 0 and stage > 0 else 1))
            fan_in = width << stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(fan_in, _CLASSES))


class _Residual(nn.Module):
    """Two convolutions with batch normalisation, added to their input or a projection of it."""

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(fan_in, fan_out, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(fan_out, fan_out, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(fan_out), nn.BatchNorm2d(fan_out)])
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or fan_in != fan_out:
            projection = nn.Conv2d(fan_in, fan_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(fan_out))

    def forward(self, x: Tensor) -> Tensor:
        """The block's features."""
        z = self.norms[1](self.second(relu(self.norms[0](self.first(x)))))
        return relu(z + self.shortcut(x))


class _NextToken(nn.Module):
    """A language model's logits at the last position."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, vocabulary)."""
        logits: Tensor = self.model(tokens)[:, -1]
        return logits


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, _CLASSES))


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, _CLASSES),
    )  # fmt: skip


def _row(
    network: str, model: nn.Module, x: Tensor, kind: Kind, peer: Callable[[], Tensor] | None, title: str,
    goal: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Ours and the peer by turns, three times, with the memory of a first call of each; long calls are not repeated."""
    labels = torch.zeros(len(x), dtype=torch.long, device=x.device)
    objective = ls.Objective(model, cross_entropy, (x, labels), batch_size=32).sample(len(x))

    def ours() -> Tensor:
        return grams([objective], kind=kind).whole

    (found, ours_mb), first = timed(lambda: _peak(ours))
    calls, times, error, peer_mb = {"ours": ours}, {"ours": first.on(x.device.type)}, None, None
    if peer is not None:
        (expected, peer_mb), first = timed(lambda: _peak(peer))
        calls["peer"], times["peer"] = peer, first.on(x.device.type)
        error = float((found - expected.reshape(found.shape)).norm() / expected.norm())
    short = {name: call for name, call in calls.items() if times[name] < _LONG}
    _, seconds, rounds = interleaved(short, budget=_LONG)
    times |= {name: of_call.on(x.device.type) for name, of_call in seconds.items()}
    ours_s, peer_s = times["ours"], times.get("peer", goal)
    return {
        "network": network,
        "kind": kind,
        "ours_s": ours_s,
        "peer_s": peer_s,
        "ratio": None if peer_s is None else peer_s / ours_s,
        "error": error,
        "peer": f"{title} ({network}, {kind})",
        "ours_mb": ours_mb,
        "peer_mb": peer_mb,
        "examples": len(x),
        "parameters": objective.layout.size,
        "repeats": rounds if short else 1,
    }


def _contracted(model: nn.Module, x: Tensor, contraction: str) -> Tensor:
    """Per-example Jacobians of all outputs, contracted parameter by parameter."""
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def outputs(some: dict[str, Tensor], one: Tensor) -> Tensor:
        return functional_call(model, some, (one[None],))[0]

    jacobians = vmap(jacrev(outputs), (None, 0))(parameters, x)
    pieces = (torch.einsum(contraction, rows.flatten(2), rows.flatten(2)) for rows in jacobians.values())
    return sum(pieces, torch.zeros((), device=x.device))


def _products(model: nn.Module, x: Tensor) -> Tensor:
    """J_i J_j^T e_b for every pair of examples and unit vector e_b: (n, C, n, C)."""
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def outputs(some: dict[str, Tensor], one: Tensor) -> Tensor:
        return functional_call(model, some, (one[None],))[0]

    def of_pair(one: Tensor, other: Tensor) -> Tensor:
        def product(unit: Tensor) -> Tensor:
            pulled = vjp(lambda some: outputs(some, other), parameters)[1](unit)[0]
            return jvp(lambda some: outputs(some, one), (parameters,), (pulled,))[1]

        return vmap(product, out_dims=1)(torch.eye(_CLASSES, device=x.device))

    return vmap(lambda one: vmap(lambda other: of_pair(one, other))(x))(x).permute(0, 2, 1, 3)


def _peak(call: Callable[[], Tensor]) -> tuple[Tensor, float | None]:
    """What a call returns, and its peak of memory (MB) above that before; None where that is not known."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = call()
        return result, (torch.cuda.max_memory_allocated() - before) / 2**20
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not clear.exists():
        return call(), None
    clear.write_text("5")  # Linux then counts the peak anew
    before = _resident(status)
    result = call()
    return result, _resident(status) - before


def _resident(status: Path) -> float:
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return float(line.split()[1]) / 1024
