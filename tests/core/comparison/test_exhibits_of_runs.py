import numpy as np
import pytest

import landscope as ls
from landscope.figures import figure
from landscope.figures.cells import beside, one_scale
from landscope.figures.theme import LIGHT
from landscope.measurements import Chart, Matrix, Provenance
from landscope.runs import RunWriter

SOURCE = Provenance(method="test")
X = np.array([1.0, 10.0, 100.0])


def chart(lines, *, expected=(), **more):
    words = {"title": "t", "summary": "", "x_name": "steps", "y_name": "loss"}
    labels = tuple(lines)
    given = {"x": dict.fromkeys(labels, X), "y": {label: np.asarray(y) for label, y in lines.items()}}
    return Chart(provenance=SOURCE, labels=labels, expected=expected, **words, **given, **more)


def matrix(values, **more):
    names = {"row_name": "r", "column_name": "c", "value_name": "v", "rows": ("p", "q"), "columns": ("a", "b")}
    return Matrix(provenance=SOURCE, title="t", summary="", values=np.asarray(values, dtype=float), **names, **more)


def record(root, name, shown):
    with RunWriter.create(root, name=name, recipe="width") as run:
        for exhibit, measurement in shown.items():
            run.event(0, "exhibit", f"What {exhibit} is", {"name": exhibit})
            run.measurement(5, f"exhibit/{exhibit}", measurement)
        run.progress(5, 5)
    return run.path


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    few = chart({"train": X, "test": 2 * X, "theory": X}, expected=("theory",), x_log=True)
    other = chart({"train": 3 * X, "test": 4 * X, "theory": 3 * X}, expected=("theory",), x_log=True)
    many = {f"width {width}": width * X for width in range(6)}
    one = {"few": few, "many": chart(many), "table": matrix([[0, 1], [2, 3]]), "alone": few}
    two = {"table": matrix([[4, 5], [6, 9]]), "many": chart(dict(list(many.items())[1:])), "few": other}
    return ls.compare(record(root, "one", one), record(root, "two", two))


def test_exhibits_in_common_are_told_in_the_order_of_the_first_run(compared):
    assert compared.exhibits() == {name: f"What {name} is" for name in ("few", "many", "table")}
    assert "alone was not measured" in compared.exhibit("alone").missing["two"]


def test_few_lines_are_laid_over_each_other_in_the_colours_of_runs(compared):
    drawn = compared.exhibit("few").figure()
    lines = {
        (trace.legendgroup, trace.hovertemplate.split("<")[0]): trace for trace in drawn.data if trace.hovertemplate
    }
    assert set(lines) == {(run, label) for run in ("one", "two") for label in ("train", "test", "theory")}
    np.testing.assert_array_equal(lines["two", "test"].y, 4 * X)
    for number, run in enumerate(("one", "two")):
        assert {trace.line.color for (group, _), trace in lines.items() if group == run} == {LIGHT.palette[number]}
    dashes = {label: {lines[run, label].line.dash for run in ("one", "two")} for label in ("train", "test", "theory")}
    assert dashes == {"train": {"solid"}, "test": {"dash"}, "theory": {"dot"}}
    assert lines["one", "theory"].line.width < lines["one", "train"].line.width
    assert [trace.name for trace in drawn.data if trace.showlegend is not False] == ["one", "two", "train", "test"]
    assert drawn.layout.xaxis.type == "log"


def test_many_lines_stand_side_by_side_in_the_same_axes_and_colours(compared):
    drawn = compared.exhibit("many").figure()
    first, second = ([trace for trace in drawn.data if (trace.xaxis or "x") == axis] for axis in ("x", "x2"))
    assert (len(first), len(second)) == (6, 5)
    hues = {trace.name: trace.line.color for trace in first}
    assert all(trace.line.color == hues[trace.name] for trace in second)
    assert drawn.layout.yaxis.range == drawn.layout.yaxis2.range
    assert drawn.layout.yaxis.range[0] <= 0
    assert drawn.layout.yaxis.range[1] >= 500
    assert (drawn.layout.yaxis.title.text, drawn.layout.yaxis2.title.text) == ("loss", None)
    assert (drawn.layout.yaxis.showticklabels, drawn.layout.yaxis2.showticklabels) == (None, False)
    assert [trace.name for trace in drawn.data if trace.showlegend] == [f"width {width}" for width in range(6)]


def test_tables_have_one_scale_and_one_bar(compared):
    left, right = compared.exhibit("table").figure().data
    assert (left.zmin, left.zmax, right.zmin, right.zmax) == (0, 9, 0, 9)
    assert (left.showscale, right.showscale) == (False, None)


def test_figures_of_several_axes_keep_them_in_their_cells():
    steps, share = np.array([0, 1, 2]), np.linspace(0, 1, 3)
    figures = [figure(matrix(np.ones((2, 2)))), figure(chart({"a": X}))]
    figures[0].update_layout(yaxis2={"overlaying": "y", "domain": [0.5, 1.0]}).add_scatter(x=steps, y=share, yaxis="y2")
    drawn = beside(figures, ["left", "right"], LIGHT)
    assert [(trace.xaxis, trace.yaxis) for trace in drawn.data] == [("x", "y"), ("x", "y2"), ("x3", "y3")]
    assert (drawn.layout.yaxis2.overlaying, drawn.layout.yaxis3.anchor) == ("y", "x3")
    assert drawn.layout.yaxis2.domain == (0.5, 1.0)
    assert drawn.layout.xaxis.domain[1] < drawn.layout.xaxis3.domain[0]
    assert [note.text for note in drawn.layout.annotations] == ["left", "right"]


def test_signed_tables_stay_even_about_zero():
    tables = [figure(matrix([[-1, 0], [0, 1]], signed=True)), figure(matrix([[-3, 0], [0, 2]], signed=True))]
    assert {(trace.zmin, trace.zmax) for trace in one_scale(tables, ["", ""], LIGHT).data} == {(-3, 3)}
