"""Figures of convergence and ensembles show the numbers they are given, whatever those are."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from landscope.figures import figure
from landscope.measurements import Ensemble, MeanCurvature, Provenance, SampleConvergence

SOURCE = Provenance(method="made for a test", examples=1000)
SIZES = np.array([2, 10, 100, 999])


def convergence(**changes: Any) -> SampleConvergence:
    fields: dict[str, Any] = {
        "provenance": SOURCE,
        "sizes": SIZES,
        "changes": 3.0 / np.sqrt(SIZES * (SIZES + 1.0)),
        "changes_scatter": np.full(4, 1e-4),
        "slope": -1.0,
        "slope_error": 0.01,
        "distances": np.array([np.inf, 0.4, 0.1, 0.0]),
        "contrast_distances": np.array([0.3, 0.2, 0.1, 0.001]),
        "tolerance": 0.01,
        "needed": 1820.0,
        "contrasts_needed": 320.0,
        "points": 81,
        "orders": 8,
        "logarithmic": True,
    }
    return SampleConvergence(**(fields | changes))


def lines(loss: np.ndarray, centre: float = 1.0) -> Ensemble:
    return Ensemble(
        provenance=SOURCE, radius=np.linspace(-1, 1, loss.shape[1]), loss=loss, centre_loss=centre,
        normalisation="filter", axis="random direction, filter norms",
    )  # fmt: skip


def named(drawing: Any, name: str) -> Any:
    return next(trace for trace in drawing.data if trace.name == name)


@pytest.mark.parametrize("dark", [False, True])
def test_the_fitted_law_goes_through_the_changes(dark: bool) -> None:
    measured = convergence()
    drawing = figure(measured, dark=dark)
    law = named(drawing, "∝ k<sup>−1.00</sup>")
    np.testing.assert_allclose(law.y, measured.changes, rtol=1e-12)
    np.testing.assert_array_equal(named(drawing, "loss").y, [np.nan, 0.4, 0.1, np.nan])
    assert "1820 examples" in drawing.layout.annotations[0].text
    assert "above the centre 320" in drawing.layout.annotations[0].text
    json.loads(drawing.to_json(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "changes",
    [
        {"changes": np.zeros(4), "slope": float("nan"), "distances": np.zeros(4), "contrast_distances": np.zeros(4)},
        {"needed": float("inf"), "distances": np.full(4, np.inf)},
    ],
)
def test_pictures_that_are_settled_or_never_will_be(changes: dict[str, Any]) -> None:
    json.loads(figure(convergence(**changes)).to_json(), parse_constant=pytest.fail)


def test_the_band_holds_the_lines_and_the_mean_is_that_of_logarithms() -> None:
    loss = np.exp(np.arange(11.0))[:, None] * np.ones((1, 3))
    drawing = figure(lines(loss))
    low, high = named(drawing, "low"), named(drawing, "middle 80 % of lines")
    np.testing.assert_allclose(low.y, np.exp(1))
    np.testing.assert_allclose(high.y, np.exp(9))
    np.testing.assert_allclose(named(drawing, "mean").y, np.exp(5))
    assert drawing.layout.yaxis.type == "log"
    assert sum(trace.name == "11 lines" for trace in drawing.data) == 11


@pytest.mark.parametrize("loss", [np.full((3, 4), np.nan), np.array([[-1.0, 0.5, np.inf], [2.0, np.nan, 1.0]])])
def test_lines_that_are_lost_or_negative(loss: np.ndarray) -> None:
    drawing = figure(lines(loss, centre=float("nan")), dark=True)
    assert drawing.layout.yaxis.type != "log"
    assert not any(trace.name == "these weights" for trace in drawing.data)
    json.loads(drawing.to_json(), parse_constant=pytest.fail)


def test_curvatures_are_in_order_with_their_mean() -> None:
    measured = MeanCurvature(
        provenance=SOURCE, curvatures=np.array([3.0, -1.0, 2.0]), value=4 / 3, stderr=0.5, truncation=0.0, step=0.1,
        size=7,
    )  # fmt: skip
    drawing = figure(measured)
    np.testing.assert_array_equal(named(drawing, "3 directions").y, [-1, 2, 3])
    np.testing.assert_allclose(named(drawing, "two standard errors").y, 4 / 3 + 1)
    assert measured.scalars() == pytest.approx({"curvature": 4 / 3, "trace": 28 / 3})
