"""Charts and matrices as pictures: what is given is what is drawn."""

import numpy as np
import pytest

from landscope.figures import figure
from landscope.measurements import Chart, Matrix, Measurement, Provenance

PROVENANCE = Provenance(method="by hand")
STEPS = np.array([1.0, 10.0, 100.0])
CHART = Chart(
    provenance=PROVENANCE,
    title="Sharpness",
    summary="It ends at the limit.",
    x_name="training (steps)",
    y_name="λ max (loss / parameter²)",
    labels=("SGD", "2/lr"),
    x={"SGD": STEPS, "2/lr": STEPS[[0, 2]]},
    y={"SGD": np.array([1.0, np.nan, 3.0]), "2/lr": np.array([2.0, 2.0])},
    low={"SGD": np.array([0.5, np.nan, 2.0])},
    high={"SGD": np.array([1.5, np.nan, 4.0])},
    expected=("2/lr",),
    x_log=True,
)
MATRIX = Matrix(
    provenance=PROVENANCE,
    title="Cosines",
    summary="Of class means.",
    row_name="class",
    column_name="class",
    value_name="cosine",
    rows=("a", "b"),
    columns=("a", "b", "c"),
    values=np.array([[1.0, -0.5, 0.0], [-0.5, 1.0, np.nan]]),
    signed=True,
)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_chart_has_its_lines_bands_and_names(dark):
    drawn = figure(CHART, dark=dark)
    band, line, limit = drawn.data
    assert list(band.y) == [1.5, 4.0, 2.0, 0.5]
    assert line.name == "SGD"
    assert line.line.dash == "solid"
    assert limit.name == "2/lr"
    assert limit.line.dash == "dash"
    assert drawn.layout.xaxis.type == "log"
    assert list(drawn.layout.xaxis.ticktext) == ["1", "2", "5", "10", "20", "50", "100"]
    assert drawn.layout.yaxis.type is None
    assert drawn.layout.yaxis.title.text == "λ max (loss / parameter²)"


def test_no_band_hides_a_line():
    lines = {"a": np.array([1.0, 2.0]), "b": np.array([1.5, 2.5])}
    low, high = ({label: values + edge for label, values in lines.items()} for edge in (-1, 1))
    both = CHART.replaced(labels=("a", "b"), x=lines, y=lines, expected=(), low=low, high=high)
    assert [trace.fill for trace in figure(both).data] == ["toself", "toself", None, None]


def test_logarithmic_axes_hold_what_is_positive_and_bands():
    across = figure(CHART.replaced(y_log=True)).layout.yaxis
    assert across.range[0] < np.log10(0.5)
    assert across.range[1] > np.log10(4.0)
    zeros = dict.fromkeys(CHART.labels, np.zeros(3))
    nothing = CHART.replaced(x=zeros, y=zeros, low={}, high={}, y_log=True)
    assert figure(nothing).layout.yaxis.type == "log"


def test_a_matrix_makes_room_for_the_names_of_its_rows():
    assert figure(MATRIX).layout.yaxis.automargin


def test_a_signed_matrix_has_zero_in_the_middle():
    drawn = figure(MATRIX)
    (cells,) = drawn.data
    assert drawn.layout.yaxis.automargin
    assert (cells.zmin, cells.zmax) == (-1, 1)
    assert list(cells.x) == ["a", "b", "c"]
    assert MATRIX.span() == (-0.5, 1.0)
    assert list(cells.text[1][1:]) == ["1", ""]
    assert figure(MATRIX.replaced(values=1295.0 * np.ones((2, 3)))).data[0].text[0][0] == "1300"


@pytest.mark.parametrize("measurement", [CHART, MATRIX], ids=["chart", "matrix"])
def test_they_survive_a_file(measurement):
    again = Measurement.from_bytes(measurement.to_bytes())
    assert figure(again).to_json() == figure(measurement).to_json()


def test_lines_without_data_and_cells_without_names_are_refused():
    with pytest.raises(ValueError, match="line 'SAM' needs x and y"):
        CHART.replaced(labels=("SAM",))
    with pytest.raises(ValueError, match="must have one shape"):
        CHART.replaced(x={"SGD": STEPS[:2], "2/lr": STEPS[:2]})
    with pytest.raises(ValueError, match="bands need both edges"):
        CHART.replaced(low={})
    with pytest.raises(ValueError, match=r"values must be \(2, 3\)"):
        MATRIX.replaced(values=np.zeros((3, 2)))
