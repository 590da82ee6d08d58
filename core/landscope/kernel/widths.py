"""What goes with a power of the width: the movement of features, the distance from the infinitely wide kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from landscope.embedding import features
from landscope.kernel.parametrisations import PARAMETRISATIONS, parametrised
from landscope.kernel.power_laws import exponent
from landscope.measurements import Provenance, WidthScaling
from landscope.objective import Objective

__all__ = ["feature_movement", "feature_scaling", "width_scaling"]


def width_scaling(
    measure: Callable[[int, int], float],
    widths: Sequence[int],
    *,
    repeats: int = 3,
    quantity: str = "quantity",
    label: str = "network",
    expected: float | None = None,
) -> WidthScaling:
    """The power of the width by which a quantity goes: slope of the geometric means over `repeats` networks.

    Args:
        measure: A width and a seed -> the quantity, positive.
        widths: At least two.
        repeats: Networks of each width, with seeds 0, 1 ...
        quantity: Its name, with its unit.
        label: Whose it is.
        expected: The exponent in theory.

    Raises:
        ValueError: if there are too few widths, or a value is not positive and finite.
    """
    if len(set(widths)) < 2:
        raise ValueError(f"a slope needs two widths at least, got {list(widths)}")
    ordered = np.array(sorted(widths))
    values = np.array([[measure(int(width), seed) for seed in range(repeats)] for width in ordered])
    if not ((values > 0) & np.isfinite(values)).all():
        raise ValueError(f"{quantity} must be positive and finite at every width, got {values.tolist()}")
    slope, error = exponent(ordered.astype(float), np.exp(np.log(values).mean(1)), np.ones(len(ordered)))
    return WidthScaling(
        provenance=Provenance(method=f"{repeats} networks of each of {len(ordered)} widths"),
        widths=ordered,
        values=values,
        quantity=quantity,
        label=label,
        slope=slope,
        slope_error=error,
        expected=expected,
    )


def feature_movement(objective: Objective, rate: float, steps: int) -> float:
    """|H - H_0| / |H_0| of the features before the last linear layer, after full-batch gradient descent.

    The model itself is not trained; descent happens in a copy of its weights.

    Raises:
        FloatingPointError: if the descent diverges.
    """
    theta = objective.theta()
    before = features(objective).values.double()
    for _ in range(steps):
        theta = theta - rate * objective.gradient(theta)
    if not bool(theta.isfinite().all()):
        raise FloatingPointError(f"gradient descent diverged at learning rate {rate:g}; choose a smaller one")
    return float((features(objective, theta=theta).values.double() - before).norm() / before.norm())


def feature_scaling(
    network: Callable[[int], nn.Module],
    widths: Sequence[int],
    loss: Callable[[object, object], torch.Tensor],
    data: tuple[torch.Tensor, torch.Tensor],
    *,
    parametrisation: str,
    rate: float = 0.1,
    steps: int = 5,
    repeats: int = 3,
    gain: float = 1.0,
) -> WidthScaling:
    """How the movement of features goes with the width in a parametrisation: slope 0 is feature learning.

    In the NTK parametrisation it goes by n^-1/2, so that wide networks are lazy; in the maximal-update one it does not
    depend on the width (Yang and Hu 2021).

    Args:
        network: A width -> a network whose hidden layers have it.
        widths: At least two.
        loss: As for `Objective`.
        data: (x, y).
        parametrisation: One of `PARAMETRISATIONS`.
        rate: Learning rate at width 1, which goes with the width as the parametrisation says.
        steps: Steps of full-batch gradient descent.
        repeats: Networks of each width.
        gain: As for `parametrised`.

    Raises:
        ValueError: as `parametrised` and `width_scaling` do.
        FloatingPointError: if the descent diverges.
    """

    def measure(width: int, seed: int) -> float:
        model = parametrised(network(width), parametrisation, gain=gain, seed=seed)
        return feature_movement(Objective(model, loss, data), kind.learning_rate(rate, width), steps)

    example = parametrised(network(min(widths)), parametrisation)  # refuses an unknown name
    kind = PARAMETRISATIONS[parametrisation]
    layers = sum(isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d) for module in example.modules())
    return width_scaling(
        measure,
        widths,
        repeats=repeats,
        quantity=f"feature movement after {steps} steps (no unit)",
        label=f"{parametrisation} parametrisation",
        expected=-kind.feature_exponent(layers - 1),
    )
