"""Densities through a training, each on its own axis, against one distribution of eigenvalues in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from landscope.figures import theme, waterfall_figure
from landscope.measurements import Provenance, SpectralDensity

PARAMETERS = 1000


def normal(values: np.ndarray, width: float) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * (values / width) ** 2) / (width * np.sqrt(2 * np.pi)))


def density(step: int | None, width: float, scale: float, **changes: object) -> SpectralDensity:
    """Eigenvalues from a normal distribution of that width, on an axis that is linear below `scale`."""
    grid = scale * np.sinh(np.linspace(-np.arcsinh(5 * width / scale), np.arcsinh(5 * width / scale), 1601))
    height = normal(grid, width) * np.hypot(grid, scale)  # dλ/du
    made = SpectralDensity(
        provenance=Provenance(method="made for a test", step=step, examples=8, parameters=PARAMETERS),
        nodes=np.zeros((2, 3)),
        weights=np.full((2, 3), 1 / 3),
        spikes=np.array([4 * width, width]),
        spike_residuals=np.array([0.1, 0.2]),
        grid=grid,
        density=height,
        low=height,
        high=height,
        scale=scale,
        trace=0.0,
        trace_stderr=1.0,
        operator="hessian",
        hvps=12,
        threshold=40.0,
    )
    return made.replaced(**changes)


def test_columns_are_densities_on_one_axis() -> None:
    widths, scales = (2.0, 1.0, 0.5), (0.3, 0.1, 0.05)
    frames = [density(10 * i, width, scale) for i, (width, scale) in enumerate(zip(widths, scales, strict=True))]
    heat, largest, limit = waterfall_figure(frames, theme(dark=False)).data
    assert list(heat.x) == [0, 10, 20]
    values = min(scales) * np.sinh(heat.y)
    assert values[[0, -1]] == pytest.approx([-10, 10])
    floor = 0.1 / PARAMETERS
    for column, width in zip(heat.z.T, widths, strict=True):
        truth = normal(values, width) * np.hypot(values, min(scales))
        assert 10**column == pytest.approx(np.maximum(truth, floor), rel=2e-3)
        assert np.trapezoid(10**column - floor, heat.y) == pytest.approx(1, abs=3e-3)
    assert min(scales) * np.sinh(largest.y) == pytest.approx([8, 4, 2])
    assert min(scales) * np.sinh(limit.y) == pytest.approx([40, 40, 40])
    assert limit.line.dash == "dash"


def test_what_is_not_known_is_not_drawn() -> None:
    frames = [
        density(step, 1.0, 0.1, spikes=np.empty(0), spike_residuals=np.empty(0), threshold=None) for step in (1, 2)
    ]
    figure = waterfall_figure(frames, theme(dark=True))
    assert [trace.type for trace in figure.data] == ["heatmap"]
    assert figure.layout.xaxis.title.text == "training (steps)"
    assert "λ" in figure.layout.yaxis.title.text


def test_a_step_is_needed() -> None:
    with pytest.raises(ValueError, match=r"each with its step; got steps \[3, None\]"):
        waterfall_figure([density(3, 1.0, 0.1), density(None, 1.0, 0.1)], theme(dark=False))
    with pytest.raises(ValueError, match="at least one density"):
        waterfall_figure([], theme(dark=False))
