"""Slices of several models: what is put side by side is on the same axes, and drawn in one scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from landscope.figures import figure
from landscope.landscape import side_by_side
from landscope.measurements import Measurement, Provenance, Slice2D

AXIS = np.linspace(-1, 1, 5)
BOWL = AXIS[:, None] ** 2 + 2 * AXIS[None, :] ** 2


def plane(loss: np.ndarray, **changes: Any) -> Slice2D:
    fields: dict[str, Any] = {
        "provenance": Provenance(method="made for a test", seconds=1.5, forwards=25),
        "alpha": AXIS,
        "beta": AXIS,
        "loss": loss,
        "centre_loss": float(loss[2, 2]),
        "plane": "random",
        "normalisation": "filter",
        "axes": ("first <direction>", "second"),
    }
    return Slice2D(**(fields | changes))


PAIR = side_by_side({"plain": plane(0.1 + 10 * BOWL), "<skip>": plane(0.01 + BOWL)})


def test_slices_side_by_side_are_the_slices() -> None:
    assert PAIR.names == ("plain", "<skip>")
    assert PAIR.span() == (0.01, 30.1)
    assert list(PAIR.centre_losses) == [0.1, 0.01]
    assert (PAIR.provenance.seconds, PAIR.provenance.forwards) == (3.0, 50)
    again = PAIR.slices()["<skip>"]
    np.testing.assert_array_equal(again.loss, 0.01 + BOWL)
    assert (again.centre_loss, again.normalisation, again.plane) == (0.01, "filter", "random")


def test_they_survive_a_file() -> None:
    again = Measurement.from_bytes(PAIR.to_bytes())
    assert figure(again).to_json() == figure(PAIR).to_json()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_are_drawn_in_one_scale_and_the_same_axes(dark: bool) -> None:
    drawn = figure(PAIR, dark=dark)
    maps = [trace for trace in drawn.data if trace.type == "contour"]
    assert [one.name for one in maps] == ["plain", "&lt;skip&gt;"]
    assert {one.coloraxis for one in maps} == {"coloraxis"}
    assert (drawn.layout.coloraxis.cmin, drawn.layout.coloraxis.cmax) == pytest.approx((-2.0, np.log10(30.1)))
    assert drawn.layout.coloraxis.colorbar.title.text == "loss (log scale)"
    for one, loss in zip(maps, PAIR.loss, strict=True):
        np.testing.assert_allclose(10 ** np.array(one.z, dtype=float)[::8, ::8].T, loss)
    assert drawn.layout.xaxis.range == drawn.layout.xaxis2.range == (-1, 1)
    assert drawn.layout.xaxis.domain[1] < drawn.layout.xaxis2.domain[0]
    assert [one.text for one in drawn.layout.annotations] == ["plain: 0.1", "&lt;skip&gt;: 0.01"]
    assert drawn.layout.title.text == "α: first &lt;direction&gt;; β: second"


def test_one_loss_that_is_not_positive_makes_all_heights_linear() -> None:
    drawn = figure(side_by_side({"a": plane(BOWL + 1), "b": plane(BOWL - 1)}))
    assert (drawn.layout.coloraxis.cmin, drawn.layout.coloraxis.cmax) == (-1, 4)
    np.testing.assert_allclose(np.array(drawn.data[0].z, dtype=float)[::8, ::8].T, BOWL + 1)


def test_a_scale_can_be_kept_and_what_is_not_finite_is_marked() -> None:
    loss = BOWL + 1
    loss[0, 0] = np.nan
    drawn = figure(side_by_side({"a": plane(loss)}), span=(1.0, 100.0))
    assert (drawn.layout.coloraxis.cmin, drawn.layout.coloraxis.cmax) == (0, 2)
    assert "1 of 25 not finite" in [trace.name for trace in drawn.data]


def test_more_than_a_row_goes_below() -> None:
    layout = figure(side_by_side({str(index): plane(BOWL + 1) for index in range(5)})).layout
    assert layout.yaxis5.domain[1] < layout.yaxis.domain[0]
    assert layout.xaxis5.domain == layout.xaxis.domain


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a slice, got none"):
        side_by_side({})
    with pytest.raises(ValueError, match="beta of 'b' is not that of 'a'"):
        side_by_side({"a": plane(BOWL), "b": plane(BOWL, beta=2 * AXIS)})
    with pytest.raises(ValueError, match="normalisation of 'b' is 'none', of 'a' 'filter'"):
        side_by_side({"a": plane(BOWL), "b": plane(BOWL, normalisation="none")})
    with pytest.raises(ValueError, match=r"loss must be \(2, 5, 5\)"):
        PAIR.replaced(loss=PAIR.loss[:1])
    with pytest.raises(ValueError, match=r"centre_losses must be \(2,\)"):
        PAIR.replaced(centre_losses=np.zeros(3))
