"""By how much a gradient step widens the gap between held-out and training loss."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from landscope.dynamics.gradient_noise import gradient_statistics
from landscope.measurements import GapChange
from landscope.objective import Objective

__all__ = ["gap_change"]


def gap_change(
    train: Objective, test: Objective, lr: float, *, theta: Tensor | None = None, n: int = 256, seed: int = 0
) -> GapChange:
    """The change of L_test - L_train by one step theta - lr G, with G the gradient of L_train: predicted and measured.

    To first order in lr it is -lr G . (G_test - G). Where the weights do not depend on which N examples were drawn for
    training, its expectation over them is lr tr(Sigma) / N, with Sigma the covariance of a single example's gradient:
    a step fits the noise of its own examples (Roberts 2021, "SGD Implicitly Regularizes Generalization Error", arXiv
    2104.04874). Training makes weights depend on the examples, so that the two predictions part; steps with random
    batches have the same first order in expectation, and differ from this one from lr^2 on.

    Args:
        train: The training data, all N of them: the step descends on their loss.
        test: Held-out data, of the same model.
        lr: Learning rate.
        theta: Where, (P,); the model's weights at this moment if left out.
        n: Training examples from which the covariance is estimated.
        seed: Chooses them.

    Raises:
        ValueError: if the learning rate is not positive, the objectives are functions of different parameters, or the
            gradients of single examples are not defined.
        TypeError: if the model's output is not a tensor.
    """
    if not lr > 0:
        raise ValueError(f"lr must be positive, got {lr}")
    if train.layout != test.layout:
        raise ValueError("train and test must be objectives of the same model and parameters")
    with train.measuring() as meter, test.measuring():
        start = train.theta() if theta is None else theta
        own, other = train.gradient(start), test.gradient(start)
        step = lr * own
        sides = [(objective.losses(start), objective.losses(start - step)) for objective in (train, test)]
        changes = [(after - before).double() for before, after in sides]
        error = sum(float(change.var() / len(change)) for change in changes) ** 0.5
        losses = [[objective.value(start), objective.value(start - step)] for objective in (train, test)]
        noise = gradient_statistics(train, n, theta=start, groups={}, seed=seed)
        train.work.forwards += noise.provenance.forwards * noise.provenance.examples / train.examples
        train.work.gradients += noise.provenance.gradients * noise.provenance.examples / train.examples
        return GapChange(
            provenance=meter.provenance("one gradient step", seed=seed),
            lr=lr,
            covariance=lr * float(noise.traces[0, 0]) / train.examples,
            covariance_error=lr * float(noise.trace_errors[0, 0]) / train.examples,
            first_order=-float(step.double() @ (other - own).double()),
            measured=(losses[1][1] - losses[1][0]) - (losses[0][1] - losses[0][0]),
            measured_error=error,
            train_losses=np.array(losses[0]),
            test_losses=np.array(losses[1]),
        )
