"""Pictures of sharpness: what is drawn is what was measured, in both themes, finite or not."""

import json
import math

import numpy as np
import pytest

from landscope.figures import figure, theme
from landscope.measurements import EigenvectorReadout, Provenance, QuadraticModel, SGDStability, SharpnessMeasures

SOURCE = Provenance(method="made for a test", step=3, examples=8, parameters=5)


def quadratic(**changes):
    distances = np.stack([np.linspace(-1, 1, 5), np.linspace(-2, 2, 5), np.linspace(-3, 3, 5)])
    fields = {
        "names": ("sharpest eigenvector", "gradient", "random"),
        "distances": distances,
        "losses": 1 + distances**2 + distances**4,
        "predictions": 1 + distances**2,
        "slopes": np.zeros(3),
        "curvatures": np.full(3, 2.0),
        "radii": np.array([0.5, 1.0, np.inf]),
        "tolerance": 0.1,
    }
    return QuadraticModel(provenance=SOURCE, **(fields | changes))


def measures(**changes):
    fields = {
        "names": ("largest eigenvalue", "least eigenvalue", "SAM"),
        "symbols": ("lambda_max(H)", "lambda_min(H)", "max"),
        "values": np.array([40.0, -0.5, 0.02]),
        "errors": np.array([0.1, 0.01, np.nan]),
        "settings": ("", "", "rho = 0.05"),
        "rho": np.array([0.01, 0.05, 0.2]),
        "sam_one_step": np.array([1e-3, 1e-2, 0.1]),
        "sam_multi_step": np.array([2e-3, 2e-2, 0.3]),
    }
    return SharpnessMeasures(provenance=SOURCE, **(fields | changes))


def stability(**changes):
    fields = {
        "lambda_max": 2.0,
        "coherence": 1.5,
        "lr": 0.1,
        "batch_size": 2,
        "examples": 8,
        "diverges_below": 0.5,
        "critical": 1.0,
        "stable": True,
        "verdict": "stays bounded with batches of 2",
        "similarities": np.array([[4.0, 1.0], [1.0, 1.0]]),
    }
    return SGDStability(provenance=SOURCE, **(fields | changes))


def readout(**changes):
    fields = {
        "values": np.array([9.0, 4.0]),
        "errors": np.array([0.1, 0.1]),
        "layers": ("body", "head"),
        "mass": np.array([[0.2, 0.8], [0.7, 0.3]]),
        "gradient_overlap": np.array([0.5, 0.25]),
        "update_overlap": np.array([0.1, 0.2]),
        "chance": 0.01,
        "angles": np.array([np.pi / 6, 0.1]),
    }
    return EigenvectorReadout(provenance=SOURCE, **(fields | changes))


def axis_names(drawn):
    layout = drawn.to_plotly_json()["layout"]
    return [axis["title"]["text"] for key, axis in layout.items() if key.startswith(("xaxis", "yaxis"))]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("measured", [quadratic(), measures(), stability(), readout()], ids=lambda one: one.kind)
def test_axes_are_named_and_the_theme_is_kept(measured, dark):
    drawn = figure(measured, dark=dark)
    names = axis_names(drawn)
    assert len(names) >= 2
    assert all(names)
    assert drawn.layout.template.layout.paper_bgcolor == theme(dark).surface
    assert json.loads(drawn.to_json())["data"]


def test_each_direction_has_the_loss_the_model_and_its_radius():
    drawn = quadratic().figure()
    traces = {trace.name: trace for trace in drawn.data}
    np.testing.assert_allclose(traces["loss, gradient"].y, [21, 3, 1, 3, 21])
    np.testing.assert_allclose(traces["quadratic model, gradient"].y, [5, 2, 1, 2, 5])
    assert traces["quadratic model, gradient"].line.dash == "dash"
    assert [(shape.xref, shape.x0, shape.x1) for shape in drawn.layout.shapes] == [("x", -0.5, 0.5), ("x2", -1, 1)]
    assert drawn.layout.xaxis2.title.text == "distance, gradient<br>right to 10 % up to 1"
    assert drawn.layout.xaxis3.title.text.endswith("right to 10 % all along")
    domains = [(tuple(drawn.layout[f"xaxis{i}"].domain), tuple(drawn.layout[f"yaxis{i}"].domain)) for i in ("", 2, 3)]
    assert len(set(domains)) == 3


def test_measures_read_as_their_values():
    drawn = measures().figure()
    points = drawn.data[0]
    scale = 0.02
    np.testing.assert_allclose(scale * np.sinh(points.x), [40.0, -0.5, 0.02])
    np.testing.assert_allclose(scale * np.sinh(points.x + np.array(points.error_x.array)), [40.1, -0.49, 0.02])
    for text, place in zip(drawn.layout.xaxis.ticktext, drawn.layout.xaxis.tickvals, strict=True):
        assert scale * math.sinh(place) == pytest.approx(float(text.replace("−", "-")), abs=1e-9)
    assert "± 0.1" in points.text[0]
    assert points.text[2] == "max<br>0.02<br>rho = 0.05"
    curves = {trace.name: trace for trace in drawn.data}
    np.testing.assert_allclose(curves["SAM, one step"].y, [1e-3, 1e-2, 0.1])
    assert curves["SAM, one step"].line.dash != curves["SAM, several steps"].line.dash
    assert drawn.layout.yaxis2.type == "log"


def test_what_is_not_finite_is_left_out_and_zero_is_drawn():
    drawn = measures(values=np.array([np.inf, np.nan, 0.0]), sam_one_step=np.array([0.0, 0.0, np.inf])).figure()
    np.testing.assert_array_equal(drawn.data[0].x, [np.nan, np.nan, 0.0])
    assert drawn.layout.yaxis2.type != "log"
    losses = quadratic().losses.copy()
    losses[0, 0] = np.inf
    assert np.isnan(quadratic(losses=losses).figure().data[0].y[0])


def test_scalars_are_what_is_finite():
    assert quadratic().scalars() == {"radius.sharpest_eigenvector": 0.5, "radius.gradient": 1.0}
    found = measures(values=np.array([40.0, np.inf, 0.02])).scalars()
    assert found == {"largest_eigenvalue": 40.0, "sam": 0.02}
    losses = np.where(quadratic().losses > 80, np.inf, quadratic().losses)
    assert quadratic(losses=losses).span() == (1.0, 21.0)


def test_agreement_of_curvatures_is_a_cosine():
    drawn = stability().figure()
    np.testing.assert_allclose(drawn.data[0].z, [[1.0, 0.5], [0.5, 1.0]])
    assert drawn.layout.title.text == "coherence 1.5<br>stays bounded with batches of 2"
    flat = stability(similarities=np.zeros((2, 2))).figure()
    assert np.isnan(flat.data[0].z).all()
    assert stability(critical=np.inf).scalars() == {"coherence": 1.5, "diverges_below": 0.5}


def test_eigenvectors_are_drawn_by_rank_and_layer():
    drawn = readout().figure()
    bars = {trace.name: trace for trace in drawn.data}
    np.testing.assert_allclose(bars["gradient"].y, [0.5, 0.25])
    np.testing.assert_allclose(bars["update"].y, [0.1, 0.2])
    assert bars["gradient"].marker.pattern.shape != bars["update"].marker.pattern.shape
    assert bars["mass"].z[1][0] == 0.8  # layer "head" of rank 1
    assert drawn.layout.yaxis2.type == "category"  # layers may be called 0 and 2
    assert "75 % of the squared gradient and 30 % of the update" in drawn.layout.title.text
    assert "turned by up to 30°" in drawn.layout.title.text
    nothing = readout(gradient_overlap=np.full(2, np.nan), update_overlap=None, angles=None).figure()
    assert nothing.layout.title.text == "no gradient in the subspace (by chance 1 %)"
