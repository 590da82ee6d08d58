"""Training seen in function space: a fixed kernel's prediction of the residual, and the linearised network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from landscope.kernel.empirical import Kind, grams, rows_of
from landscope.kernel.gauss_newton import output_curvature
from landscope.kernel.operators import jacobian_products, leading_eigenvalues
from landscope.measurements import Eigenmodes, KernelRegression, Linearisation, Provenance
from landscope.objective import Objective

__all__ = ["ResidualModes", "eigenmodes", "kernel_regression", "linearised"]


class ResidualModes:
    """The residual f - y of a squared loss along the eigenvectors of the full kernel at one place, (m,) of them.

    Args:
        objective: The training objective; it must be the one descended upon, with all its examples.
        theta: (P,) where the kernel is taken: the beginning.
        leading: Follow so many leading modes alone, found by products with the kernel, which is never formed; all of
            them, from the whole matrix, by default.

    Attributes:
        eigenvalues: (m,) of the kernel there, descending.
        rate: The constant c of L = (c/2) |f - y|^2.

    Raises:
        ValueError: if the loss is not squared.
    """

    def __init__(self, objective: Objective, theta: Tensor, *, leading: int | None = None) -> None:
        self._objective = objective
        with objective.measuring():
            self.rate, target = _squared_loss(objective, theta)
            self._target = target.ravel()
            if leading is None:
                values, vectors = torch.linalg.eigh(grams([objective], theta=theta, kind="full").whole)
                self.eigenvalues, self._vectors = values.flip(0).cpu().numpy(), vectors.flip(1).cpu().numpy()
            else:
                found = leading_eigenvalues(objective, leading, theta=theta)
                assert found.vectors is not None
                self.eigenvalues, self._vectors = found.values, found.vectors.T

    def residual(self, theta: Tensor) -> np.ndarray:
        """u_k . (f - y) at theta, (m,)."""
        along: np.ndarray = (_outputs(self._objective, theta).ravel() - self._target) @ self._vectors
        return along

    def beside_prediction(self, provenance: Provenance, times: Sequence[float], residuals: np.ndarray) -> Eigenmodes:
        """Residuals (S, m) at S times, those at the beginning first, beside r_k(0) exp(-c lambda_k t)."""
        moments = np.asarray(times, dtype=np.float64)
        return Eigenmodes(
            provenance=provenance,
            eigenvalues=self.eigenvalues,
            rate=self.rate,
            times=moments,
            residuals=residuals,
            predicted=residuals[0] * np.exp(-self.rate * np.outer(moments - moments[0], self.eigenvalues)),
        )


def eigenmodes(
    objective: Objective, thetas: Tensor | Sequence[Tensor], times: Sequence[float], *, leading: int | None = None
) -> Eigenmodes:
    """The residual of a squared loss along the initial kernel's eigenvectors, beside r_k(0) exp(-c lambda_k t).

    Gradient flow of L = (c/2) |f - y|^2 moves the outputs by df/dt = -c Theta (f - y), so that with a kernel Theta that
    stays what it was, each eigenvector's part of the residual decays at its own rate (Jacot et al. 2018). The constant
    c is the loss's second derivative by the outputs. Gradient descent follows as long as its learning rate is small.

    Args:
        objective: The training objective; it must be the one descended upon, with all its examples.
        thetas: (S, P) the weights along the training, those at the beginning first.
        times: (S,) learning rate times number of steps.
        leading: So many leading modes alone, for kernels too large to be formed; all by default.

    Raises:
        ValueError: if the loss is not squared, or the lengths differ.
    """
    if len(thetas) != len(times) or len(thetas) < 2:
        raise ValueError(f"eigenmodes needs two moments at least and a time for each, got {len(thetas)}, {len(times)}")
    with objective.measuring() as meter:
        modes = ResidualModes(objective, thetas[0], leading=leading)
        residuals = np.stack([modes.residual(theta) for theta in thetas])
        return modes.beside_prediction(
            meter.provenance("residuals along the initial kernel's eigenvectors"), times, residuals
        )


def linearised(objective: Objective, start: Tensor, *, theta: Tensor | None = None) -> Linearisation:
    """The outputs beside those of the network that is linear in its weights, f_0 + J_0 (theta - theta_0).

    Args:
        objective: Whose network, and whose examples.
        start: (P,) theta_0, where the linearisation touches.
        theta: Where both are evaluated; the model's weights by default.

    Raises:
        ValueError: if the vectors have another length.
        TypeError: if the network's output is not a tensor.
    """
    with objective.measuring() as meter:
        begin, end = objective._point(start).detach().clone(), objective._point(theta).detach().clone()
        initial, actual = _outputs(objective, begin), _outputs(objective, end)
        pieces, losses = [], []
        with objective._differentiating():
            for batch, share in objective._shares():
                shape: list[torch.Size] = []

                def outputs(leaf: Tensor, batch: object = batch, shape: list[torch.Size] = shape) -> Tensor:
                    output = objective.function(objective.layout.unflatten(leaf), batch)
                    shape.append(output.shape)
                    return rows_of(output)

                output, _, push = jacobian_products(outputs, begin)
                moved = output.detach() + push(end - begin).view(output.shape)
                losses.append(share * float(objective.loss(moved.view(shape[0]), objective.target(batch))))
                pieces.append(moved.double().cpu().numpy())
        labels = objective.labels()
        return Linearisation(
            provenance=meter.provenance("linearisation in the weights"),
            initial=initial,
            actual=actual,
            linearised=np.concatenate(pieces),
            loss=objective.value(end),
            linearised_loss=sum(losses),
            distance=float((end.double() - begin.double()).norm()),
            labels=None if labels is None else labels.numpy(),
        )


def kernel_regression(
    train: Objective,
    test: Objective,
    *,
    theta: Tensor | None = None,
    kind: Kind = "trace",
    ridge: float = 1e-6,
    n: int = 1024,
    seed: int = 0,
) -> KernelRegression:
    """Regression on the training examples with the network's kernel at theta, scored on the held-out ones.

    f(x) = K(x, X) (K(X, X) + r I)^-1 Y for Y the targets, or one-hot classes less 1/C. At the weights of the beginning
    it is where lazy training would end ("the K_0 floor", Kumar et al. 2024, up to the initial outputs); at later
    weights it says what the present kernel has learnt.

    Args:
        train: The training objective.
        test: The held-out objective, with the same model.
        theta: Where; the model's weights by default.
        kind: Which kernel of one row per example: "trace", "output" or "pseudo".
        ridge: r, as a share of the mean of the kernel's diagonal.
        n: At most so many training and so many held-out examples.
        seed: Chooses them.

    Raises:
        ValueError: if the kind pairs outputs, the ridge is negative, or targets are neither classes nor values.
    """
    if kind not in ("trace", "output", "pseudo"):
        raise ValueError(f"kind must be trace, output or pseudo, which have one row per example, got {kind!r}")
    if ridge < 0:
        raise ValueError(f"ridge must not be negative, got {ridge}")
    few, held_out = train.sample(n, seed=seed), test.sample(n, seed=seed)
    with few.measuring() as meter:
        found = grams([few, held_out], theta=theta, kind=kind)
        gram, count = found.whole.cpu().numpy(), few.examples
        known, unknown = _targets(few, found.outputs), _targets(held_out, found.outputs)
        regularised = gram[:count, :count] + ridge * np.trace(gram[:count, :count]) / count * np.eye(count)
        weights = np.linalg.lstsq(regularised, known, rcond=None)[0]
        fitted, predictions = gram[:count, :count] @ weights, gram[count:, :count] @ weights
        classes = held_out.labels()
        hits = None if classes is None else predictions.argmax(1) == classes.numpy()
        return KernelRegression(
            provenance=meter.provenance(f"regression with the {kind} kernel", seed=seed),
            predictions=predictions,
            targets=unknown,
            train_error=float(((fitted - known) ** 2).mean()),
            test_error=float(((predictions - unknown) ** 2).mean()),
            accuracy=None if hits is None else float(hits.mean()),
            ridge=ridge,
            gram_kind=kind,
        )


def _outputs(objective: Objective, theta: Tensor) -> np.ndarray:
    """The outputs (n, C) in float64."""
    outputs: np.ndarray = rows_of(objective.outputs(theta)).double().cpu().numpy()
    return outputs


def _squared_loss(objective: Objective, theta: Tensor) -> tuple[float, np.ndarray]:
    """The c of L = (c/2) |f - y|^2, and y (n, C), from the loss's derivatives by the outputs.

    Raises:
        ValueError: if the loss does not have that form.
    """
    curvature = output_curvature(objective, theta)
    rate = float(curvature[0, 0, 0])
    identity = torch.eye(curvature.shape[1]).to(curvature)
    rounding = 100 * torch.finfo(objective.layout.dtype).eps
    slopes, outputs = [], []
    with objective._differentiating():
        for batch, share in objective._shares():
            output = objective.function(objective.layout.unflatten(objective._point(theta)), batch)
            cut = output.detach().requires_grad_()
            (slope,) = torch.autograd.grad(objective.loss(cut, objective.target(batch)), cut)
            slopes.append(share * rows_of(slope.double()))
            outputs.append(rows_of(output.detach().double()))
    if not rate > 0 or bool(((curvature - rate * identity).abs() > rounding * rate).any()):
        raise ValueError(
            "the kernel predicts the residual of a squared loss alone, and this loss has another curvature by the "
            "outputs; use objective.with_loss(torch.nn.MSELoss())"
        )
    target = torch.cat(outputs) - torch.cat(slopes) / rate
    found: np.ndarray = target.cpu().numpy()
    return rate, found


def _targets(objective: Objective, outputs: int) -> np.ndarray:
    """What is to be learnt, (n, C): one-hot classes less 1/C, or the values."""
    labels = objective.labels()
    if labels is not None:
        classes = max(outputs, int(labels.max()) + 1)
        one_hot: np.ndarray = np.eye(classes)[labels.numpy()] - 1 / classes
        return one_hot
    pieces = [objective.target(batch) for batch, _ in objective.batches_on_device()]
    if not all(isinstance(piece, Tensor) and piece.is_floating_point() for piece in pieces):
        raise ValueError("regression needs targets that are one class or floating-point values for each example")
    values: np.ndarray = torch.cat([rows_of(piece).double() for piece in pieces]).cpu().numpy()
    return values
