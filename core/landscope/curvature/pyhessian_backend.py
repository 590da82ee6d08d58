"""Eigenvalues and trace by PyHessian itself, as a cross-check, on a copy of the model."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from landscope.batches import to_device
from landscope.measurements import Eigenvalues, Trace
from landscope.objective import Objective

__all__ = ["pyhessian_eigenvalues", "pyhessian_trace"]


def pyhessian_eigenvalues(
    objective: Objective, k: int, *, theta: Tensor | None, operator: str, tolerance: float, seed: int
) -> Eigenvalues:
    """The k eigenvalues of largest magnitude that PyHessian finds in float32, sorted, with residuals of our own.

    Its constructor and its products switch the model to evaluation, write to its gradients and draw from the global
    generator, so it works on a deep copy, within the objective's isolation.

    Raises:
        ValueError: if PyHessian does not take the objective.
    """
    _check(objective, operator)
    point = objective.theta() if theta is None else theta
    with objective.measuring() as meter:
        values, vectors = _power_iteration(objective, point, min(k, objective.layout.size), tolerance, seed)
        order = np.argsort(-values, kind="stable")
        values, vectors = values[order], vectors[torch.as_tensor(order, device=vectors.device)]
        images = objective.hessian(point)(vectors)
        defects = images.double() - torch.as_tensor(values, device=vectors.device)[:, None] * vectors.double()
        residuals = torch.linalg.vector_norm(defects, dim=1).cpu().numpy()
        return Eigenvalues(
            provenance=meter.provenance("PyHessian 0.1, power iteration in float32", seed=seed),
            values=values,
            residuals=residuals,
            converged=residuals <= tolerance * np.abs(values),
            operator=operator,
            hvps=len(values),
            vectors=vectors.cpu().numpy(),
        )


def pyhessian_trace(objective: Objective, probes: int, *, theta: Tensor | None, operator: str, seed: int) -> Trace:
    """The mean of v^T H v over `probes` random signs v by PyHessian in float32, with the standard error it leaves out.

    Its own rule to stop is switched off: it fires when a running mean happens to stand still.

    Raises:
        ValueError: if PyHessian does not take the objective, or there are fewer than two probes.
    """
    _check(objective, operator)
    if probes < 2:
        raise ValueError(f"budget must be at least 2 products, so that they show their scatter, got {probes}")
    with objective.measuring() as meter:
        point = objective.theta() if theta is None else theta
        samples = np.array(_run(objective, point, seed, lambda engine: engine.trace(maxIter=probes, tol=-np.inf)))
        return Trace(
            provenance=meter.provenance("PyHessian 0.1, Hutchinson in float32", seed=seed),
            value=float(samples.mean()),
            stderr=float(samples.std(ddof=1) / np.sqrt(probes)),
            probes=probes,
            operator=operator,
        )


def _check(objective: Objective, operator: str) -> None:
    refusal = None
    if operator != "hessian":
        refusal = f"it has no operator {operator!r}, only the Hessian"
    elif objective.function.forward is not None:
        refusal = "it calls models as model(x), and this objective has a forward of its own"
    elif objective.batch_norm != "eval":
        refusal = f"it measures in evaluation mode, and this objective has batch_norm={objective.batch_norm!r}"
    elif objective.layout.device.type not in ("cpu", "cuda"):
        refusal = f"it runs on cpu and cuda, and the model is on {objective.layout.device}"
    elif not all(_is_pair(batch) for batch in objective.batches.items):
        refusal = "its batches are pairs (x, y) of tensors"
    if refusal is not None:
        raise ValueError(f"backend='pyhessian' does not take this objective: {refusal}; use backend='landscope'")


def _is_pair(batch: Any) -> bool:
    return isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)


def _power_iteration(
    objective: Objective, theta: Tensor, k: int, tolerance: float, seed: int
) -> tuple[np.ndarray, Tensor]:
    values, vectors = _run(objective, theta, seed, lambda engine: engine.eigenvalues(tol=tolerance, top_n=k))
    flat = torch.stack([torch.cat([part.detach().reshape(-1) for part in vector]) for vector in vectors])
    lengths = torch.linalg.vector_norm(flat, dim=1, keepdim=True)  # short of one, and zero where the Hessian is
    unit = torch.where(lengths > 0, flat / lengths, 0.0)
    return np.array(values, dtype=np.float64), unit.to(objective.layout.dtype)


def _run(objective: Objective, theta: Tensor, seed: int, method: Callable[[Any], Any]) -> Any:
    """What a method of PyHessian's class finds on a copy of the objective's model."""
    from pyhessian import hessian  # the class, which hides its module; imported here because few measure with it

    device = objective.layout.device
    copy = _copied(objective.model, objective, theta)
    batches = [
        tree_map(_single, (to_device(x, device), to_device(objective.target((x, y)), device)))
        for x, y in objective.batches.items
    ]
    data: dict[str, Any] = {"data": batches[0]} if len(batches) == 1 else {"dataloader": batches}
    torch.manual_seed(seed)
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.filterwarnings("ignore", message="Using backward\\(\\) with create_graph=True")
        try:
            return method(hessian(copy, objective.loss, cuda=device.type == "cuda", **data))
        finally:
            for parameter in copy.parameters():
                parameter.grad = None  # its graph refers to the parameter and would keep both alive


def _copied(model: nn.Module, objective: Objective, theta: Tensor) -> nn.Module:
    """A copy in float32, with theta as its weights, of whose parameters only the objective's are trainable."""
    copy = deepcopy(model)
    named = objective.layout.unflatten(theta.detach())
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            parameter.requires_grad_(name in named)
            parameter.grad = None
            if name in named:
                parameter.copy_(named[name])
    return copy.float()


def _single(part: Any) -> Any:
    return part.float() if isinstance(part, Tensor) and part.is_floating_point() else part
