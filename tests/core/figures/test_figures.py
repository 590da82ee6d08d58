from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from landscope.figures import CONFIG, figure, series_figure, theme
from landscope.measurements import (
    NTK,
    Collapse,
    Contrast,
    CurvatureMap,
    Dimension,
    Eigenvalues,
    Geometry,
    Measurement,
    Projection,
    Provenance,
    Sharpness,
    Similarity,
    Slice1D,
    Slice2D,
    Slice3D,
    Snapshot,
    SpectralDensity,
    Trace,
)

SOURCE = Provenance(method="made for a test", step=3, examples=8, parameters=5)


def plane(loss: np.ndarray | None = None, **changes: Any) -> Slice2D:
    alpha, beta = np.linspace(-1, 1, 5), np.linspace(-2, 2, 7)
    bowl = 0.01 + alpha[:, None] ** 2 + 10 * beta[None, :] ** 2
    fields: dict[str, Any] = {
        "provenance": SOURCE,
        "alpha": alpha,
        "beta": beta,
        "loss": bowl if loss is None else loss,
        "centre_loss": 0.01,
        "plane": "random",
        "normalisation": "filter",
        "axes": ("first", "second"),
    }
    return Slice2D(**(fields | changes))


def line(loss: np.ndarray, **changes: Any) -> Slice1D:
    fields: dict[str, Any] = {
        "provenance": SOURCE,
        "alpha": np.linspace(-1, 1, len(loss)),
        "loss": loss,
        "centre_loss": 1.0,
        "plane": "random",
        "normalisation": "filter",
        "axes": ("first",),
    }
    return Slice1D(**(fields | changes))


def box() -> Slice3D:
    axis = np.linspace(-1, 1, 5)
    a, b, c = np.meshgrid(axis, 2 * axis, 3 * axis, indexing="ij")
    return Slice3D(
        provenance=SOURCE,
        alpha=axis,
        beta=2 * axis,
        gamma=3 * axis,
        loss=np.exp(a + b**2 - c),
        centre_loss=1.0,
        plane="given",
        normalisation="none",
        axes=("first", "second", "third"),
    )


def curvature() -> CurvatureMap:
    largest = np.array([[2.0, 4.0], [1.0, np.nan]])
    return CurvatureMap(
        provenance=SOURCE,
        alpha=np.array([0.0, 1.0]),
        beta=np.array([0.0, 1.0]),
        largest=largest,
        smallest=np.array([[-1.0, -1.0], [0.0, 1.0]]),
        residuals=np.full((2, 2), 0.01),
        axes=("first", "second"),
    )


def density() -> SpectralDensity:
    grid = np.sinh(np.linspace(-2, 5, 40))
    height = np.full(40, 1 / 7)
    return SpectralDensity(
        provenance=SOURCE,
        nodes=np.zeros((2, 3)),
        weights=np.full((2, 3), 1 / 3),
        spikes=np.array([50.0, 20.0]),
        spike_residuals=np.array([0.1, 0.2]),
        grid=grid,
        density=height,
        low=height / 2,
        high=height * 2,
        scale=1.0,
        trace=70.0,
        trace_stderr=1.0,
        operator="hessian",
        hvps=12,
        threshold=40.0,
    )


def projection(classes: int, dimensions: int = 2) -> Projection:
    labels = np.arange(3 * classes) % classes
    points = np.stack([np.cos(labels), np.sin(labels), labels], axis=1)[:, :dimensions].astype(float)
    return Projection(
        provenance=SOURCE,
        points=points,
        labels=labels,
        classes=classes,
        layer="fc",
        features=9,
        method="pca",
        trustworthiness=0.9,
        neighbours=5,
    )


def everything() -> Iterator[Measurement]:
    yield plane()
    yield plane(path=np.array([[0.9, 1.0], [0.5, 0.2]]), path_steps=np.array([0, 3]), explained=0.8, plane="trajectory")
    yield line(np.array([3.0, 1.0, 2.0]))
    yield box()
    yield curvature()
    yield density()
    yield Eigenvalues(
        provenance=SOURCE,
        values=np.array([3.0, 1.0]),
        residuals=np.array([0.1, 0.2]),
        converged=np.array([True, False]),
        operator="hessian",
        hvps=9,
    )
    yield Sharpness(
        provenance=SOURCE,
        lambda_max=9.0,
        residual=0.1,
        threshold=10.0,
        optimizer="SGD",
        rule="2 / lr",
        preconditioned=False,
        hvps=5,
    )
    yield Trace(provenance=SOURCE, value=5.0, stderr=0.2, probes=8, operator="ggn")
    yield NTK(
        provenance=SOURCE,
        eigenvalues=np.array([4.0, 1.0, 0.0]),
        gram_kind="trace",
        outputs=3,
        effective_rank=1.5,
        alignment=0.4,
    )
    yield projection(4)
    yield projection(4, dimensions=3)
    yield geometry()
    yield part(Dimension)
    yield part(Contrast)
    yield Similarity(provenance=SOURCE, values=np.array([[1.0, 0.2]]), rows=("a",), columns=("a", "b"), metric="cka")
    yield Collapse(
        provenance=SOURCE, nc1=0.5, nc2_norms=0.1, nc2_angles=0.2, nc3=None, nc4=0.03, layer="features", classes=4
    )


def geometry(**changes: Any) -> Geometry:
    fields: dict[str, Any] = {
        "provenance": SOURCE,
        "eigenvalues": np.array([4.0, 1.0, 0.0]),
        "effective_rank": 2.5,
        "participation_ratio": 1.5,
        "intrinsic": 1.8,
        "intrinsic_low": 1.5,
        "intrinsic_high": 2.2,
        "distinct": 30,
        "layer": "fc",
        "features": 3,
        "collapsed": False,
        "alignment": 0.4,
        "uniformity": -2.0,
        "tolerance": 0.8,
        "edges": np.linspace(-1, 1, 5),
        "positive": np.array([0.0, 0.0, 0.5, 1.5]),
        "negative": np.array([0.5, 0.5, 0.5, 0.5]),
        "separation": 0.3,
        "knn_accuracy": 0.9,
        "probe_accuracy": 0.95,
        "cosines": np.array([[1.0, -0.5], [-0.5, 1.0]]),
        "target": "simplex",
    }
    return Geometry(**(fields | changes))


def part(cls: type[Measurement]) -> Measurement:
    """Only the fields of one of the kinds that a geometry consists of."""
    return cls(**{field.name: getattr(geometry(), field.name) for field in dataclasses.fields(cls)})


def names_of_axes(drawn: go.Figure) -> list[str | None]:
    layout = drawn.to_plotly_json()["layout"]
    holders = [layout["scene"]] if "scene" in layout else [layout]
    return [
        axis.get("title", {}).get("text")
        for holder in holders
        for key, axis in holder.items()
        if key.startswith(("xaxis", "yaxis", "zaxis"))
    ]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("measurement", list(everything()), ids=lambda one: one.kind)
def test_every_measurement_has_a_figure_whose_axes_are_named(measurement: Measurement, dark: bool) -> None:
    drawn = figure(measurement, dark=dark)
    names = names_of_axes(drawn)
    assert len(names) >= 2
    assert all(names)
    assert drawn.layout.template.layout.paper_bgcolor == theme(dark).surface
    assert json.loads(drawn.to_json())["data"]


def test_measurement_draws_itself() -> None:
    assert plane().figure(style="surface").data[0].type == "surface"


def test_what_has_no_picture_says_so() -> None:
    snapshot = Snapshot(provenance=SOURCE, theta=np.zeros(2), names=("w",), sizes=(2,))
    with pytest.raises(TypeError, match="no figure for a Snapshot; those with one are Slice2D"):
        figure(snapshot)
    flat = NTK(provenance=SOURCE, eigenvalues=np.zeros(3), gram_kind="trace", outputs=1, effective_rank=np.nan)
    with pytest.raises(ValueError, match="none of the kernel's 3 eigenvalues is positive"):
        figure(flat)
    with pytest.raises(ValueError, match='style must be "contour" or "surface", got \'wire\''):
        figure(plane(), style="wire")


def test_rows_of_the_slice_run_along_alpha() -> None:
    drawn = figure(plane()).data[0]
    z = np.array(drawn.z, dtype=float)
    assert z.shape == (len(drawn.y), len(drawn.x)) == (67, 65)
    i, j = 48, 11  # computed: alpha 0.5, beta -4/3
    assert (drawn.x[i], drawn.y[j]) == pytest.approx((0.5, -4 / 3))
    expected = 0.01 + drawn.x[i] ** 2 + 10 * drawn.y[j] ** 2
    assert 10 ** z[j, i] == pytest.approx(expected, rel=1e-12)
    assert drawn.text[j, i].endswith("computed")
    assert "interpolated" in drawn.text[j, i + 1]


def test_logarithms_are_drawn_between_computed_points() -> None:
    # exp of a cubic is what splines of the logarithm are exact for; of the loss they are not.
    alpha, beta = np.linspace(-1, 1, 9), np.linspace(-2, 2, 9)

    def loss(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.exp(3 * a[:, None] ** 3 - a[:, None] * b[None, :] + b[None, :] ** 2)

    drawn = figure(plane(loss(alpha, beta), alpha=alpha, beta=beta)).data[0]
    z = np.array(drawn.z, dtype=float)
    drawn_loss = 10**z.T
    assert drawn_loss == pytest.approx(loss(np.array(drawn.x), np.array(drawn.y)), rel=1e-9)


def test_losses_within_two_errors_of_the_centre_are_shaded() -> None:
    # On a bowl r^2 with an error of r / 10 the loss is not told apart up to r = 0.2.
    alpha = np.linspace(-1, 1, 65)
    radius = np.hypot(alpha[:, None], alpha[None, :])
    measured = plane(1 + radius**2, alpha=alpha, beta=alpha, contrast_error=radius / 10, centre_loss=1.0)
    drawn = figure(measured)
    shaded = next(trace for trace in drawn.data if trace.name == "not told apart from the centre")
    np.testing.assert_array_equal(np.array(shaded.z).T < 1, radius < 0.2)
    assert "not told apart" in drawn.data[0].text[32, 32]
    assert "not told apart" not in drawn.data[0].text[32, 40]


def test_other_quantities_are_drawn_by_their_names() -> None:
    share = np.linspace(0, 1, 35).reshape(5, 7)
    measured = plane(accuracy=share, metrics={"test/loss": share + 1, "<b>": share})
    drawn = figure(measured, show="accuracy").data[0]
    assert (drawn.zmin, drawn.zmax) == (0, 1)
    assert np.array(drawn.z).T[::16, ::11] == pytest.approx(share)
    assert figure(measured, show="test/loss").data[0].colorbar.title.text == "test loss (log scale)"
    assert figure(measured, show="<b>").data[0].colorbar.title.text == "&lt;b&gt;"
    with pytest.raises(ValueError, match="show must be one of 'loss', 'test/loss', '<b>', 'accuracy', got 'nothing'"):
        figure(measured, show="nothing")


def test_path_is_paler_away_from_the_plane_and_tells_its_own_losses() -> None:
    path = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 0.0]])
    measured = plane(
        path=path,
        path_steps=np.array([0, 5, 9]),
        path_distances=np.array([0.0, 1.5, 0.0]),
        path_losses=np.array([3.0, 2.0, 1.0]),
        gram=np.array([[4.0, 0.0], [0.0, 1.0]]),
    )
    drawn = next(trace for trace in figure(measured).data if trace.name == "path")
    # In weight space the first point is 2 from the centre, the second sqrt(1 + 1/4 + 9/4).
    assert drawn.marker.opacity == pytest.approx([1.0, 1 - 0.85 * 1.5 / 2.0, 1.0])
    assert drawn.text[1] == "path, step 5<br>its own loss 2<br>1.5 away from the plane"


def test_failed_checks_and_cautions_are_on_the_picture() -> None:
    checks = (("centre", "fail", "0.1 and 0.2 <b>"), ("batch norm", "note", "2 layers"), ("angle", "pass", "0"))
    (remark,) = figure(plane(checks=checks)).layout.annotations
    assert remark.text.startswith("check failed: centre: 0.1 and 0.2 &lt;b&gt;<br>batch norm: on a random plane")
    assert not figure(plane(checks=checks[1:], plane="hessian")).layout.annotations


def test_line_has_its_computed_points_and_two_standard_errors_either_way() -> None:
    loss = np.array([4.0, 2.0, 1.0, 2.0, np.nan])
    drawn = {trace.name: trace for trace in figure(line(loss, error=0.1 * loss)).data}
    assert drawn["computed"].y[:4] == pytest.approx(loss[:4])
    upper, lower = drawn["± 2 standard errors"], drawn["lower"]
    assert upper.y[0] == pytest.approx(4.8)
    assert lower.y[0] == pytest.approx(3.2)
    assert (drawn["these weights"].x[0], drawn["these weights"].y[0]) == (0, 1)
    assert list(drawn["1 of 5 not finite"].x) == [1.0]


def test_surfaces_in_a_box_are_where_the_losses_are() -> None:
    drawn = figure(box()).data[0]
    x, y, z, value = (np.array(column) for column in (drawn.x, drawn.y, drawn.z, drawn.value))
    assert len(value) == 25**3
    assert value == pytest.approx((x + y**2 - z) / np.log(10), abs=1e-9)
    levels = np.linspace(drawn.isomin, drawn.isomax, drawn.surface.count)
    assert levels == pytest.approx(np.linspace(-4, 8, 7)[1:-1] / np.log(10))


def test_curvature_map_is_a_ratio_from_zero_to_one() -> None:
    drawn = figure(curvature())
    heat = drawn.data[0]
    assert (heat.zmin, heat.zmax) == (0, 1)
    np.testing.assert_array_equal(np.array(heat.z, dtype=float), [[0.5, 0.0], [0.25, np.nan]])
    assert drawn.data[1].name == "1 of 4 not finite"


def test_path_lies_on_the_surface_and_breaks_off_outside() -> None:
    # A plane through the grid's points is its own bilinear interpolant.
    alpha, beta = np.linspace(-1, 1, 5), np.linspace(-2, 2, 7)
    loss = -3 + alpha[:, None] + 2 * beta[None, :]
    path = np.array([[0.3, -1.1], [1.0, 2.0], [1.2, 0.0]])
    drawn = figure(plane(loss, path=path, path_steps=np.arange(3)), style="surface")
    z = np.array(next(trace for trace in drawn.data if trace.name == "path").z)
    lift = z[1] - 2.0
    assert z[:2] - lift == pytest.approx([-3 + 0.3 - 2.2, 2.0])
    assert 0 < lift < 0.2
    assert np.isnan(z[2])


def test_height_of_a_surface_reads_as_losses() -> None:
    axis = figure(plane(), style="surface").layout.scene.zaxis
    assert [10**place for place in axis.tickvals] == pytest.approx([float(text) for text in axis.ticktext])


def test_colour_bar_reads_as_losses() -> None:
    bar = figure(plane(), span=(0.01, 100.0)).data[0].colorbar
    assert "log" in bar.title.text
    read = {float(text): 10**value for text, value in zip(bar.ticktext, bar.tickvals, strict=True)}
    assert {0.01, 1.0, 100.0} <= set(read)
    for shown, meant in read.items():
        assert meant == pytest.approx(shown)


def test_loss_that_is_not_positive_is_drawn_as_it_is() -> None:
    drawn = figure(plane(np.linspace(-1, 1, 35).reshape(5, 7))).data[0]
    assert drawn.zmin == -1
    assert drawn.zmax == 1


def test_cells_that_are_not_finite_are_marked_and_counted() -> None:
    loss = np.ones((5, 7))
    loss[0, 0], loss[2, 3], loss[4, 6] = np.nan, np.inf, 2.0
    drawn = figure(plane(loss))
    marks = next(trace for trace in drawn.data if "not finite" in (trace.name or ""))
    assert marks.name == "2 of 35 not finite"
    assert sorted(zip(marks.x, marks.y, strict=True)) == [(-1.0, -2.0), (0.0, 0.0)]
    # Nothing is drawn between such a point and those beside it: in one cell at the corner, in four inside.
    empty = np.isnan(np.array(drawn.data[0].z, dtype=float)).T
    cells = np.zeros((65, 67), bool)
    cells[:16, :11] = True
    cells[17:48, 23:44] = True
    np.testing.assert_array_equal(empty, cells)


def test_slice_without_any_finite_loss_still_draws() -> None:
    assert len(figure(plane(np.full((5, 7), np.nan))).data) >= 2


def test_density_keeps_its_mass_over_the_drawn_axis() -> None:
    drawn = next(trace for trace in figure(density()).data if trace.name == "density")
    u, height = np.array(drawn.x), np.array(drawn.y)
    mass = float(np.sum(np.diff(u) * (height[1:] + height[:-1]) / 2))
    assert mass == pytest.approx(1.0, abs=1e-9)


def test_density_ticks_stand_where_their_eigenvalues_are() -> None:
    drawn = figure(density())
    limit = drawn.layout.shapes[0].x0
    assert limit == pytest.approx(math.asinh(40.0))
    for text, place in zip(drawn.layout.xaxis.ticktext, drawn.layout.xaxis.tickvals, strict=True):
        assert math.sinh(place) == pytest.approx(float(text.replace("−", "-")), abs=1e-9)


def test_few_classes_are_named_in_the_picture_and_many_are_not() -> None:
    named = {note.text for note in figure(projection(4)).layout.annotations}
    assert named == {f"<b>{label}</b>" for label in range(4)}
    assert not figure(projection(97)).layout.annotations


def test_points_can_be_coloured_by_what_the_network_makes_of_them() -> None:
    seen = projection(4).replaced(
        predictions=np.arange(12) % 3,
        losses=np.linspace(0, 2, 12),
        margins=np.linspace(-1, 2, 12),
        continuity=0.8,
        displacement=0.25,
        feature_displacement=0.5,
    )
    assert [trace.name for trace in figure(seen, colour="prediction").data] == [f"predicted {c}" for c in range(3)]
    right, wrong = figure(seen, colour="correct").data
    assert (right.name, len(right.x)) == ("right", int(seen.correct.sum()))
    assert len(right.x) + len(wrong.x) == 12
    loss = figure(seen, colour="loss").data[0]
    assert 10 ** np.array(loss.marker.color)[1:] == pytest.approx(seen.losses[1:])
    margin = figure(seen, colour="margin").data[0].marker
    assert margin.cmin == -margin.cmax
    title = figure(seen).layout.title.text
    assert "trustworthiness 0.90, continuity 0.80 (5 neighbours)" in title
    assert "moved 0.25 radii since the frame before, the features 0.5" in title
    with pytest.raises(ValueError, match="this projection has no loss of each example"):
        figure(projection(4), colour="loss")
    names = "class, prediction, correct, loss, margin, learned"
    with pytest.raises(ValueError, match=f"colour must be one of {names}, got 'age'"):
        figure(seen, colour="age")


def test_points_are_coloured_by_the_step_since_which_they_are_right() -> None:
    steps = np.array([0, -1, 99, 999, -1, 9, 0, 0, 0, 0, 0, 0])
    seen = projection(4).replaced(learned=steps, provenance=dataclasses.replace(SOURCE, step=9999))
    right, wrong = figure(seen, colour="learned").data
    assert np.expm1(right.marker.color) == pytest.approx(steps[steps >= 0])
    assert np.expm1(right.marker.cmax) == pytest.approx(9999)
    assert np.expm1(right.marker.colorbar.tickvals)[:3] == pytest.approx([0, 1, 10])
    assert right.marker.colorbar.ticktext[-1] == "1000"
    assert wrong.marker.symbol == "x"
    np.testing.assert_array_equal(wrong.x, seen.points[steps < 0, 0])
    with pytest.raises(ValueError, match="this projection has no learned of each example"):
        figure(projection(4), colour="learned")


def test_the_limits_of_colours_leave_out_a_hundredth() -> None:
    losses = np.concatenate([[0.0, np.inf, np.nan], np.arange(1.0, 102.0)])
    seen = projection(4).replaced(losses=losses, margins=np.concatenate([[np.nan], np.arange(-100.0, 1.0)]))
    assert seen.loss_limits == (2.0, 100.0)
    assert seen.margin_reach == 99.0
    assert seen.scalars().items() >= {"loss.low": 2.0, "loss.high": 100.0, "margin.reach": 99.0}.items()
    assert projection(4).loss_limits is projection(4).margin_reach is None


def test_geometry_has_three_views() -> None:
    spectrum = figure(geometry(alarm="Too few."))
    assert list(spectrum.data[0].y) == [4.0, 1.0]  # zero has no place on a logarithmic axis
    assert (
        "RankMe 2.5, participation ratio 1.5 of 3, intrinsic dimension 1.8 (1.5 to 2.2)" in spectrum.layout.title.text
    )
    assert spectrum.layout.title.text.endswith("<br>Too few.")
    positive, negative = figure(geometry(), style="cosines").data
    assert list(positive.x) == list(negative.x) == [-0.75, -0.25, 0.25, 0.75]
    assert positive.line.dash != negative.line.dash
    means = figure(geometry(), style="means")
    assert (means.data[0].zmin, means.data[0].zmax) == (-1, 1)
    assert means.layout.title.text == "fc: cosines of class means, simplex target"
    with pytest.raises(ValueError, match="there are no class means"):
        figure(geometry(cosines=None), style="means")
    with pytest.raises(ValueError, match='style must be "spectrum", "cosines" or "means", got \'ring\''):
        figure(geometry(), style="ring")
    with pytest.raises(ValueError, match="features of layer 'fc' are all equal"):
        figure(geometry(eigenvalues=np.zeros(3)))


def test_rows_of_a_similarity_run_down() -> None:
    values = np.array([[1.0, 0.2], [0.3, 0.4], [0.5, 0.6]])
    measured = Similarity(
        provenance=SOURCE, values=values, rows=("a", "b", "c"), columns=("x", "y"), metric="procrustes"
    )
    drawn = figure(measured)
    np.testing.assert_array_equal(drawn.data[0].z, values)
    assert (list(drawn.data[0].y), list(drawn.data[0].x)) == (["a", "b", "c"], ["x", "y"])
    assert drawn.layout.yaxis.autorange == "reversed"
    assert (drawn.data[0].zmin, drawn.data[0].zmax) == (0, 2)


def test_second_series_differs_in_more_than_colour() -> None:
    drawn = series_figure({"train": ([0, 1], [1, 2]), "test": ([0, 1], [2, 3])}, "loss (nats)", theme(False))
    assert len({trace.line.dash for trace in drawn.data}) == 2
    assert len({trace.line.color for trace in drawn.data}) == 2


def test_series_with_errors_have_a_band_where_both_are_known() -> None:
    errors = {"train": ([1, 2, 5], [0.1, 0.2, 9.0])}
    drawn = series_figure({"train": ([0, 1, 2], [1, 2, 4]), "test": ([0], [1])}, "loss", theme(False), errors=errors)
    (band,) = (trace for trace in drawn.data if trace.fill == "toself")
    assert list(band.x) == [1, 2, 2, 1]
    assert list(band.y) == pytest.approx([2.2, 4.4, 3.6, 1.8])
    assert "2 standard errors" in band.name


def test_nothing_is_offered_for_upload() -> None:
    assert CONFIG["showSendToCloud"] is False
    assert CONFIG["displaylogo"] is False
    assert CONFIG["plotlyServerURL"] == ""


def test_drawing_needs_no_torch() -> None:
    code = "import landscope.figures, sys; sys.exit('torch' in sys.modules or 'dash' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
