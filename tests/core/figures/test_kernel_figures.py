"""Figures of the tangent kernel and of what it says: what is drawn, on axes with names, in both themes."""

import json

import numpy as np
import pytest

from landscope.figures import figure, kernel_history_figure, laziness_history_figure, theme
from landscope.measurements import (
    NTK,
    Eigenmodes,
    KernelRegression,
    Laziness,
    Linearisation,
    PowerLaws,
    Provenance,
    WidthScaling,
)

SOURCE = Provenance(method="test")


def kernel(step=None, scale=1.0, labels=(1, 0, 1), outputs=1):
    gram = scale * np.diag(np.arange(1.0, 3 * outputs + 1))
    return NTK(
        provenance=Provenance(method="test", step=step), eigenvalues=np.diag(gram)[::-1].copy(),
        gram_kind="full" if outputs > 1 else "trace", outputs=outputs, effective_rank=2.0, gram=gram,
        labels=None if labels is None else np.array(labels),
        layer_names=("0", "head"), layer_shares=np.array([0.3, 0.7]),
    )  # fmt: skip


def laziness(step=None, **changes):
    known = {"drift": 0.1, "relative_drift": 0.2, "weights": 0.05, "features": 0.3, "alignment": 0.4}
    return Laziness(provenance=Provenance(method="test", step=step), gram_kind="trace", **(known | changes))


def everything():
    yield kernel()
    yield laziness(label_energy=np.array([0.5, 1.0]), classes=2)
    yield PowerLaws(
        provenance=SOURCE, eigenvalues=np.arange(1.0, 21) ** -2, coefficients=np.arange(1.0, 21) ** -1.5,
        capacity=2.0, capacity_error=0.1, source=1.5, source_error=0.2, first=2, last=10, gram_kind="trace",
    )  # fmt: skip
    yield Eigenmodes(
        provenance=SOURCE, eigenvalues=np.array([2.0, 1.0, 0.0]), rate=0.5, times=np.array([0.0, 1.0]),
        residuals=np.array([[1.0, -2.0, 0.5], [0.5, -1.0, 0.5]]),
        predicted=np.array([[1.0, -2.0, 0.5], [0.4, -1.2, 0.5]]),
    )  # fmt: skip
    yield Linearisation(
        provenance=SOURCE, initial=np.zeros((4, 2)), actual=np.ones((4, 2)), linearised=np.full((4, 2), 0.9),
        loss=0.5, linearised_loss=0.6, distance=1.0,
    )  # fmt: skip
    yield KernelRegression(
        provenance=SOURCE, predictions=np.zeros((3, 2)), targets=np.ones((3, 2)), train_error=0.1, test_error=1.0,
        accuracy=0.5, ridge=0.0, gram_kind="trace",
    )  # fmt: skip
    yield WidthScaling(
        provenance=SOURCE, widths=np.array([16, 64, 256]), values=np.array([[1.0, 1.1], [0.5, 0.5], [0.25, 0.2]]),
        quantity="feature movement (no unit)", label="NTK parametrisation", slope=-0.5, slope_error=0.02, expected=-0.5,
    )  # fmt: skip


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("measurement", list(everything()), ids=lambda one: one.kind)
def test_axes_are_named_and_the_theme_is_the_pages(measurement, dark):
    drawn = figure(measurement, dark=dark)
    assert drawn.layout.xaxis.title.text
    assert drawn.layout.yaxis.title.text
    assert drawn.layout.template.layout.paper_bgcolor == theme(dark).surface
    assert json.loads(drawn.to_json())["data"]


def test_the_axis_names_the_kernel():
    assert "trace kernel (output² / parameter²)" in figure(kernel()).layout.yaxis.title.text
    assert "full kernel" in figure(kernel(outputs=2)).layout.yaxis.title.text


def test_matrix_is_ordered_by_class():
    drawn = figure(kernel(), style="matrix")
    np.testing.assert_array_equal(np.diag(np.array(drawn.data[0].z)), [2, 1, 3])  # class 0, then both of class 1
    assert len(drawn.layout.shapes) == 2
    paired = np.array(figure(kernel(outputs=2), style="matrix").data[0].z)
    np.testing.assert_array_equal(np.diag(paired), [3, 4, 1, 2, 5, 6])
    assert not figure(kernel(labels=None), style="matrix").layout.shapes


def test_layers():
    assert list(figure(kernel(), style="layers").data[0].y) == ["0", "head"]


def test_what_cannot_be_drawn_says_so():
    with pytest.raises(ValueError, match='style must be "spectrum", "matrix", "cosines" or "layers"'):
        figure(kernel(), style="tree")
    with pytest.raises(ValueError, match="no Gram matrix"):
        figure(kernel().replaced(gram=None), style="matrix")
    with pytest.raises(ValueError, match="by_layer=True"):
        figure(kernel().replaced(layer_shares=None), style="layers")
    with pytest.raises(ValueError, match=r"know their steps, got steps \[None\]"):
        kernel_history_figure([kernel()], theme(False))
    with pytest.raises(ValueError, match="no positive eigenvalue"):
        kernel_history_figure([kernel(1, scale=0.0)], theme(False))


def test_histories():
    drawn = kernel_history_figure([kernel(step, scale) for step, scale in ((0, 1.0), (10, 2.0))], theme(False))
    assert [line.name for line in drawn.data] == ["step 0", "step 10"]
    np.testing.assert_array_equal(drawn.data[1].y, [6, 4, 2])
    drawn = laziness_history_figure([laziness(0), laziness(5, drift=0.3)], theme(True))
    lines = {line.name: line for line in drawn.data}
    assert set(lines) == {"drift", "relative drift", "weights", "features", "alignment"}
    np.testing.assert_array_equal(lines["drift"].y, [0.1, 0.3])
    assert lines["alignment"].yaxis == "y2"


def test_the_fitted_line_goes_through_the_eigenvalues():
    laws = next(one for one in everything() if isinstance(one, PowerLaws))
    line = figure(laws).data[1]
    np.testing.assert_allclose(line.y, np.arange(2.0, 11) ** -2)
    assert "best training error" in figure(laws).layout.title.text


def test_cosines_are_drawn_on_one_scale_with_the_classes_parted():
    measured = kernel().replaced(cosines=np.array([[1, -0.5], [-0.5, 1]], np.float32), borders=(1.5,))
    drawn = figure(measured, style="cosines")
    np.testing.assert_array_equal(drawn.data[0].z, measured.cosines)
    assert (drawn.data[0].zmin, drawn.data[0].zmax) == (-1, 1)
    assert [shape.x0 for shape in drawn.layout.shapes if shape.x0 == shape.x1] == [1.0]
    with pytest.raises(ValueError, match="every gradient is zero"):
        figure(kernel(), style="cosines")
