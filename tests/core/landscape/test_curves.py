"""Curves: their points, ends and lengths."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from landscope.landscape.curves import Curve, curve_of
from landscope.measurements import Connection, Provenance


@pytest.mark.parametrize("kind", ["bezier", "polygon"])
def test_curves_pass_through_their_ends_exactly_and_weights_sum_to_one(kind):
    torch.manual_seed(1)
    curve = Curve(kind, torch.randn(5, 7))
    t = torch.rand(9).double()
    assert torch.equal(curve.at(torch.tensor([0.0, 1.0])), curve.points[[0, -1]])
    assert curve.weights(t).sum(dim=1) == pytest.approx(np.ones(9))
    assert (curve.weights(t) >= 0).all()


def test_a_bezier_curve_is_de_casteljaus():
    points = torch.randn(4, 3, dtype=torch.float64)
    t, rows = 0.3, points
    while len(rows) > 1:
        rows = (1 - t) * rows[:-1] + t * rows[1:]
    assert Curve("bezier", points).at(torch.tensor([t]).double())[0] == pytest.approx(rows[0].numpy())


def test_a_polygon_passes_through_its_bends_at_even_steps_of_t():
    points = torch.randn(4, 3, dtype=torch.float64)
    curve = Curve("polygon", points)
    assert curve.at(torch.arange(4).double() / 3) == pytest.approx(points.numpy())
    assert curve.at(torch.tensor([1 / 6]).double())[0] == pytest.approx(points[:2].mean(dim=0).numpy())


def test_lengths_of_curves():
    corner = Curve("polygon", torch.tensor([[0.0, 0], [3, 0], [3, 4]]))
    assert corner.arc(torch.tensor([0, 0.25, 0.5, 1.0])).tolist() == pytest.approx([0, 1.5, 3, 7])
    parabola = Curve("bezier", torch.tensor([[0.0, 0], [1, 2], [2, 0]], dtype=torch.float64))
    expected = [quad(lambda t: math.hypot(2, 4 - 8 * t), 0, end)[0] for end in (0.1, 1)]
    assert parabola.arc(torch.tensor([0.1, 1.0]).double()).tolist() == pytest.approx(expected, rel=1e-6)


def test_a_curve_read_from_a_run_has_no_points():
    measured = Connection(
        provenance=Provenance(method="test"), curve="bezier", t=np.zeros(2), loss=np.zeros(2), arc=np.zeros(2),
        distance=1.0, points=np.eye(3),
    )  # fmt: skip
    assert torch.equal(curve_of(measured).points, torch.eye(3).double())
    with pytest.raises(ValueError, match=r"take the curve from the result of connect\(\)"):
        curve_of(Connection.from_bytes(measured.to_bytes()))
