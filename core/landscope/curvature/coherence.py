"""Stability of stochastic gradient descent: how coherent single examples are, and the critical batch size."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscope.curvature.lanczos import leading_eigenpairs
from landscope.curvature.probes import private_generator
from landscope.derivatives import accumulator, derivative
from landscope.measurements import SGDStability
from landscope.objective import Objective

__all__ = ["sgd_stability"]

_MOST_FACTORS = 4096  # rows that make up all curvatures; their Gram matrix is dense
_ZERO = 1e-10  # share of the largest eigenvalue below which one counts as zero
_TOLERANCE = 1e-6
_MAX_PRODUCTS = 500


def sgd_stability(
    objective: Objective,
    lr: float,
    batch_size: int,
    *,
    n: int = 64,
    theta: Tensor | None = None,
    seed: int = 0,
) -> SGDStability:
    """Whether plain SGD, with batches of this size, stays near a minimum where each example's loss is stationary.

    Linearised there, w -> J w with J = 1 - lr/B sum_i x_i H_i, where x_i is 1 with probability B/N and else 0. Over the
    draws,

        E[J M J] = (1 - lr H) M (1 - lr H) + lr^2 (1/B - 1/N) mean_i H_i M H_i,

    and E|w|^2 stays bounded if and only if no M grows. If lr lambda_max(H) < 2, that is so above a critical batch size,
    1/B = 1/N + 1/(lr^2 mu), with mu the largest eigenvalue of W^-1/2 D W^-1/2, D M = mean_i H_i M H_i and
    W M = M - (1 - lr H) M (1 - lr H), found by Lanczos in the span of the H_i (compare Mulayoff and Michaeli 2024,
    arXiv:2306.07850). Dexter et al. 2024 (arXiv:2401.12332, theorem 1) bound it by how coherent the examples are: with
    S_ij = |H_i^1/2 H_j^1/2|_F and sigma = lambda_max(S) / max_i lambda_max(H_i), the steps diverge if
    lambda_max(H) >= 2 / lr or lambda_max(H) >= sigma / lr (N/B - 1)^-1/2.

    The H_i are Gauss-Newton matrices, which are the Hessians where the examples are fitted. Those of a sample of n
    examples stand for all N of the objective: mu and the bound's lambda_max^2 n / sigma^2 are estimates then.

    Args:
        objective: The training data, all N of them.
        lr: Learning rate.
        batch_size: B.
        n: Examples whose curvatures are computed; n P numbers for each output are kept.
        theta: Where, (P,); the model's weights at this moment if left out.
        seed: Chooses the sample.

    Raises:
        ValueError: if a number makes no sense, batches depend on each other, the loss is not convex in the outputs, or
            n times the outputs of one example is more than 4,096.
        TypeError: if the model's output is not a tensor.
        FloatingPointError: if a derivative is not finite.
    """
    total = objective.examples
    if not lr > 0:
        raise ValueError(f"lr must be positive, got {lr}")
    if not 1 <= batch_size <= total:
        raise ValueError(f"batch_size must be from 1 to the {total} examples of the objective, got {batch_size}")
    if n < 1:
        raise ValueError(f"n must be positive, got {n}")
    if objective.batch_norm != "eval":
        raise ValueError(
            f"curvatures of single examples need batch_norm='eval', got {objective.batch_norm!r}, with which each "
            "depends on the others"
        )
    with objective.measuring() as meter:
        chosen = torch.randperm(total, generator=private_generator(seed))[:n].sort().values
        blocks = [_factors(objective.subset([index]), theta, len(chosen)) for index in chosen.tolist()]
        objective.work.gradients += sum(len(block) for block in blocks) / total
        gram, owner = _gram(blocks)
        if not bool(torch.isfinite(gram).all()):
            raise FloatingPointError("a derivative of the outputs is not finite at theta; go back to an earlier step")
        similarities = _block_norms(gram, owner, len(blocks))
        own = [gram[owner == index][:, owner == index] for index in owner.unique()]
        largest = max((float(torch.linalg.eigvalsh(block)[-1]) for block in own), default=0.0)
        spectrum, vectors = torch.linalg.eigh(gram)
        lead = float(spectrum[-1]) / len(blocks) if len(spectrum) else 0.0
        coherence = float(np.linalg.eigvalsh(similarities)[-1]) / largest if largest > 0 else float("nan")
        bound = critical = 0.0
        if lr * lead >= 2:
            bound = critical = float("inf")
        elif lead > 0:
            bound = 1 / (1 / total + coherence**2 / (len(blocks) * (lr * lead) ** 2))
            kept = spectrum > _ZERO * spectrum[-1]
            rows = vectors[:, kept] * spectrum[kept].sqrt()
            critical = 1 / (1 / total + 1 / (lr**2 * _spread(rows, owner, spectrum[kept] / len(blocks), lr, seed)))
        stable = batch_size > critical
        return SGDStability(
            provenance=meter.provenance(f"Gauss-Newton matrices of {len(blocks)} examples", seed=seed),
            lambda_max=lead,
            coherence=coherence,
            lr=lr,
            batch_size=batch_size,
            examples=total,
            diverges_below=bound,
            critical=critical,
            stable=stable,
            verdict=_verdict(lead, lr, batch_size, critical, stable),
            similarities=similarities,
        )


def _factors(single: Objective, theta: Tensor | None, count: int) -> Tensor:
    """F (r, P) with F^T F the Gauss-Newton matrix of an objective of one example."""
    with single._differentiating():
        leaf = single._point(theta).requires_grad_()
        ((batch, _),) = single.batches_on_device()
        output = single.function(single.layout.unflatten(leaf), batch)
        if not isinstance(output, Tensor):
            raise TypeError(
                f"the Gauss-Newton matrix needs a tensor as the model's output, got {type(output).__name__}; "
                "pass forward=lambda model, batch: ... that returns one"
            )
        size = output.numel()
        if count * size > _MOST_FACTORS:
            raise ValueError(
                f"n times the outputs of an example must be at most {_MOST_FACTORS}, got {count} x {size}; "
                f"choose n up to {_MOST_FACTORS // size}"
            )
        target = single.target(batch)
        cut = output.detach().to(torch.promote_types(output.dtype, torch.float32))
        curvature = torch.autograd.functional.hessian(lambda output: single.loss(output, target), cut)
        if not bool(torch.isfinite(curvature).all()):
            raise FloatingPointError("the loss of an example is not finite at theta; go back to an earlier step")
        values, vectors = torch.linalg.eigh(curvature.reshape(size, size).to(accumulator(cut)))
        if values[0] < -1e-5 * values.abs().max():
            raise ValueError("the stability of SGD needs a loss that is convex in the outputs, and this one is not")
        roots = (vectors * values.clamp_min(0).sqrt()).T[values > _ZERO * values[-1]]
        rows = [derivative(output, leaf, root.to(output.dtype).view_as(output), retain_graph=True) for root in roots]
        return torch.stack(rows) if rows else leaf.new_zeros(0, len(leaf)).detach()


def _gram(blocks: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The inner products of all rows, (R, R) in float64 on the CPU, and the example of each row, (R,)."""
    rows = torch.cat(blocks)
    kind = accumulator(rows)
    gram = sum((part.to(kind) @ part.to(kind).T for part in rows.split(2**16, dim=1)), rows.new_zeros((), dtype=kind))
    owner = torch.repeat_interleave(torch.tensor([len(block) for block in blocks]))
    return gram.cpu().double(), owner


def _block_norms(gram: Tensor, owner: Tensor, count: int) -> NDArray[np.float64]:
    """|F_i F_j^T|_F = |H_i^1/2 H_j^1/2|_F for every two examples, (m, m)."""
    member = torch.nn.functional.one_hot(owner, count).double()
    norms: NDArray[np.float64] = (member.T @ gram.square() @ member).sqrt().numpy()
    return norms


def _spread(rows: Tensor, owner: Tensor, curvatures: Tensor, lr: float, seed: int) -> float:
    """The largest eigenvalue mu of W^-1/2 D W^-1/2, in the eigenbasis of H, in which W is diagonal.

    Args:
        rows: (R, r) the rows of all F_i in that basis.
        owner: (R,) their examples.
        curvatures: (r,) the eigenvalues of H.
        lr: Learning rate, times the largest of which is below 2.
        seed: Of the solver.
    """
    kept = 1 - lr * curvatures
    root = (1 - kept[:, None] * kept).rsqrt()
    same = (owner[:, None] == owner).double() / (int(owner.max()) + 1)

    def product(vector: Tensor) -> Tensor:
        moments = rows @ (root * vector.view_as(root)) @ rows.T
        return (root * (rows.T @ (same * moments) @ rows)).flatten()

    start = torch.diag(root.diagonal()).flatten()  # of the cone in which the leading one lies
    pairs = leading_eigenpairs(
        product, start, 1, tolerance=_TOLERANCE, max_products=_MAX_PRODUCTS, generator=private_generator(seed)
    )
    return float(pairs.values[0])


def _verdict(lead: float, lr: float, batch_size: int, critical: float, stable: bool) -> str:
    if lead == 0:
        return "stays where it is: no example has any curvature here"
    if lr * lead >= 2:
        return f"diverges with batches of any size: the largest curvature {lead:.3g} is at least 2 / lr = {2 / lr:.3g}"
    relation = "stays bounded" if stable else "diverges"
    return f"{relation} in mean square with batches of {batch_size}; {critical:.3g} is critical"
