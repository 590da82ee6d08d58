"""The picture of a trainability map: its colours, its boundary, and what it says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from landscope.figures import figure
from landscope.measurements import Provenance, TrainabilityMap


def chart(points: int = 9, **changes: Any) -> TrainabilityMap:
    """Converged where x + y < 0."""
    axis = np.linspace(-1.0, 1.0, points)
    slack = np.add.outer(axis, axis)
    fields: dict[str, Any] = {
        "provenance": Provenance(method="made for a test"),
        "x": axis,
        "y": axis + 2,
        "axes": ("log₁₀ learning rate of input", "scale"),
        "scales": ("log", "linear"),
        "score": np.where(slack < 0, -1.0, 1.0) / (1 + np.abs(slack) + 1e-3 * np.add.outer(axis, 0 * axis)),
        "converged": slack < 0,
        "loss_ratio": np.exp(slack),
        "box_sizes": np.array([1, 2, 4]),
        "box_counts": np.array([8, 4, 2]),
        "dimension": 1.0,
        "dimension_error": 0.0,
        "separation": 1e9,
        "training": "a network",
        "steps": 30,
    }
    return TrainabilityMap(**(fields | changes))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("style", ["map", "dimension"])
def test_it_is_drawn_in_both_themes(dark: bool, style: str) -> None:
    json.loads(figure(chart(), dark=dark, style=style).to_json())


def test_colours_are_ranks_on_two_sides_of_a_gap() -> None:
    shown = chart()
    drawn = figure(shown).data[0]
    height = drawn.z.T
    assert (height[shown.converged] < 0).all()
    assert (height[~shown.converged] > 0).all()
    assert (height.min(), height.max(), np.abs(height).min()) == pytest.approx((-1.0, 1.0, 0.2))
    scale = figure(shown.replaced(score=1000 * shown.score**3)).data[0]
    np.testing.assert_array_equal(scale.z, drawn.z)
    assert abs(height[0, 8]) < abs(height[0, 0])


def test_the_boundary_runs_along_the_sides_of_cells() -> None:
    converged = np.zeros((9, 9), dtype=bool)
    converged[4, 2] = True
    drawn = figure(chart(converged=converged)).data[1]
    x, y = (np.asarray(values).reshape(-1, 3) for values in (drawn.x, drawn.y))
    assert np.isnan(x[:, 2]).all()
    segments = {tuple(np.round([*a, *b], 9)) for a, b in zip(x[:, :2], y[:, :2], strict=True)}
    low, high, under, over = -0.125, 0.125, 1.375, 1.625
    assert segments == {
        (low, low, under, over),
        (high, high, under, over),
        (low, high, under, under),
        (low, high, over, over),
    }


def test_a_boundary_too_dense_for_lines_is_left_to_the_colours() -> None:
    shown = figure(chart(33, converged=np.indices((33, 33)).sum(axis=0) % 2 == 0))
    assert [trace.name for trace in shown.data] == ["score"]


def test_the_caption_says_how_rough_it_is_and_when_float64_ends() -> None:
    assert figure(chart()).layout.title.text == (
        "a network, 30 steps<br>44 % converge; boundary of dimension 1.00 ± 0.00"
    )
    exhausted = figure(chart(separation=3.0)).layout.title.text
    assert exhausted.endswith("float64 is exhausted: neighbouring points are 3 numbers apart, 16 are needed")
    nothing = chart(converged=np.zeros((9, 9), dtype=bool), box_counts=np.zeros(3, dtype=int), dimension=np.nan)
    assert figure(nothing).layout.title.text.endswith("0 % converge; no boundary here")
    with pytest.raises(ValueError, match="no boundary"):
        figure(nothing, style="dimension")


def test_deep_zooms_are_labelled_from_their_middle() -> None:
    axis = 2.5 + 1e-9 * np.linspace(-1, 1.01, 9)
    shown = figure(chart(x=axis))
    assert shown.layout.xaxis.title.text == "log₁₀ learning rate of input: 2.5 + 10⁻⁹ ×"
    np.testing.assert_allclose(shown.data[0].x, np.linspace(-1, 1.01, 9), atol=1e-6)
    assert shown.layout.yaxis.range == (0.875, 3.125)


def test_the_line_goes_through_the_counts() -> None:
    drawn = {trace.name: trace for trace in figure(chart(), style="dimension").data}
    np.testing.assert_allclose(drawn["fit"].y, drawn["boxes"].y)
    with pytest.raises(ValueError, match='style must be "map" or "dimension", got \'surface\''):
        figure(chart(), style="surface")
