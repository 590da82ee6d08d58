from __future__ import annotations

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from landscope.figures import figure, theme
from landscope.measurements import Barriers, Connection, MergeTree, Provenance, Slice2D
from landscope.measurements.sublevels import loops, merge_tree

SOURCE = Provenance(method="made for a test", split="train")
T = np.linspace(0, 1, 5)


def connection(**changes: Any) -> Connection:
    fields: dict[str, Any] = {
        "provenance": SOURCE,
        "curve": "bezier",
        "t": T,
        "loss": np.array([0.01, 0.02, 0.03, 0.02, 0.01]),
        "accuracy": np.array([1, 0.9, 0.9, 0.9, 1]),
        "metrics": {"test/loss": np.full(5, 0.1), "test/accuracy": np.full(5, 0.8)},
        "straight": {
            "loss": np.array([0.01, 1, 2, 1, 0.01]), "accuracy": np.array([1, 0.5, 0.2, 0.5, 1]),
            "test/loss": np.full(5, 3.0), "test/accuracy": np.full(5, 0.3),
        },
        "arc": 3 * T,
        "distance": 2.0,
    }  # fmt: skip
    return Connection(**(fields | changes))


def barriers(**changes: Any) -> Barriers:
    loss = np.array([[1, 1, 1.0], [1, 2, 3], [0, 2, 0]])
    return Barriers(
        **{"provenance": SOURCE, "steps": np.array([0, 5, 9]), "t": np.linspace(0, 1, 3), "loss": loss,
           "distance": np.array([0, 1, 2.0])} | changes,
    )  # fmt: skip


def cut() -> Slice2D:
    x, y = np.linspace(-1, 1, 21), np.linspace(-2, 2, 31)
    loss = 0.5 + (x[:, None] ** 2 - 0.25) ** 2 + y**2 / 4 + x[:, None] / 20
    return Slice2D(
        provenance=SOURCE, loss=loss, alpha=x, beta=y, centre_loss=float(loss[10, 15]), plane="given",
        normalisation="none", axes=("a", "b"), contrast_error=np.full(loss.shape, 0.001),
    )  # fmt: skip


def traces(drawn: go.Figure) -> dict[str, Any]:
    return {trace.name: trace for trace in drawn.data if trace.showlegend is not False}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    "measurement", [connection(), connection(straight={}, curve="line"), barriers(), merge_tree(cut())]
)
def test_axes_are_named_and_the_figure_can_be_written(measurement: Any, dark: bool) -> None:
    drawn = figure(measurement, dark=dark)
    layout = json.loads(drawn.to_json())["layout"]
    axes = [axis for name, axis in layout.items() if name.startswith(("xaxis", "yaxis"))]
    assert all(axis["title"]["text"] for axis in axes)
    assert drawn.layout.template.layout.paper_bgcolor == theme(dark).surface


def test_the_straight_line_is_beside_the_curve_in_the_colour_of_its_data() -> None:
    drawn = figure(connection())
    shown = traces(drawn)
    assert set(shown) == {"train, bezier", "train, straight line", "test, bezier", "test, straight line"}
    assert list(shown["train, straight line"].y) == [0.01, 1, 2, 1, 0.01]
    assert shown["train, straight line"].line.color == shown["train, bezier"].line.color
    assert len({(trace.line.color, trace.line.dash, trace.line.width) for trace in shown.values()}) == 4
    assert "1.50 times as long" in drawn.layout.xaxis.title.text
    accuracies = [trace for trace in drawn.data if trace.yaxis == "y2"]
    assert next(list(trace.y) for trace in accuracies) == [1, 0.9, 0.9, 0.9, 1]
    assert len(accuracies) == 4


def test_losses_over_decades_are_drawn_on_a_logarithmic_axis_and_others_are_not() -> None:
    assert figure(connection()).layout.yaxis.type == "log"
    near = connection(straight={}, metrics={}, curve="line")
    assert figure(near).layout.yaxis.type == "linear"
    below = connection(straight={}, metrics={}, loss=np.array([1, -1, 1, 50, np.inf]))
    assert figure(below).layout.yaxis.type == "linear"


def test_a_line_without_classes_is_one_curve() -> None:
    drawn = figure(connection(curve="line", straight={}, metrics={}, accuracy=None))
    assert [trace.name for trace in drawn.data] == ["train"]


def test_barriers_of_all_data_are_drawn() -> None:
    drawn = figure(barriers(metrics={"test/loss": np.array([[0, 5, 0], [0, 0, 0], [0, 1, 0.0]])}))
    rows = {(trace.yaxis, trace.name): list(trace.y) for trace in drawn.data}
    assert rows[("y", "train")] == [0, 0, 2]
    assert rows[("y", "test")] == [5, 0, 1]
    assert rows[("y2", "distance")] == [0, 1, 2]
    certain = figure(barriers(barrier_errors=np.array([0.1, 0.2, 0.3])))
    assert list(certain.data[0].error_y.array) == pytest.approx([0.2, 0.4, 0.6])
    with_classes = figure(barriers(accuracy=np.array([[1, 1, 1], [1, 0.5, 0.8], [1, 0.9, 1]])))
    assert next(trace.y for trace in with_classes.data if trace.yaxis == "y2") == pytest.approx([0, 0.4, 0.1])


# Topology


def test_minima_are_points_above_the_diagonal_and_the_deepest_is_on_the_line_of_no_merger() -> None:
    tree = merge_tree(cut())
    drawn = figure(tree.replaced(loops=np.array([[0.9, 1.0], [0.8, np.inf]])))
    minima, rings = traces(drawn)["minima"], traces(drawn)["loops around hills"]
    assert list(minima.x) == list(tree.losses)
    assert minima.y[1] == tree.saddle_losses[1]
    never = drawn.data[1].y[0]
    assert minima.y[0] == never > tree.saddle_losses[1]
    assert list(rings.y) == [1.0, never]
    assert minima.error_y.array[1] == pytest.approx(2 * 0.002)


def test_insignificant_minima_are_hollow() -> None:
    noisy = cut().replaced(contrast_error=np.full((21, 31), 0.5))
    assert list(traces(figure(merge_tree(noisy)))["minima"].marker.symbol) == ["circle", "circle-open"]
    unknown = cut().replaced(contrast_error=None)
    assert set(traces(figure(merge_tree(unknown)))["minima"].marker.symbol) == {"circle"}


def test_a_landscape_with_one_minimum_has_a_diagram() -> None:
    flat = merge_tree(cut().replaced(loss=np.ones((21, 31))))
    drawn = figure(flat)
    assert drawn.data[-1].x == (1.0,)
    low, high = drawn.layout.xaxis.range
    assert low < 1 < high


def test_minima_and_saddles_are_marked_on_the_map() -> None:
    whole = cut()
    tree = merge_tree(whole)
    drawn = traces(figure(tree, cut=whole))
    assert list(drawn["minima"].text) == ["1", "2"]
    assert list(zip(drawn["minima"].x, drawn["minima"].y, strict=True)) == [tuple(point) for point in tree.minima]
    assert (drawn["saddles"].x[0], drawn["saddles"].y[0]) == tuple(tree.saddles[1])
    assert whole.loss[tuple(tree.saddle_cells[1])] == tree.saddle_losses[1]
    way = np.stack([drawn["merges"].x, drawn["merges"].y], axis=1)
    assert way[:3] == pytest.approx(np.stack([tree.minima[1], tree.saddles[1], tree.minima[0]]))


def test_a_map_of_another_grid_is_refused() -> None:
    tree = merge_tree(cut())
    other = cut().replaced(loss=np.ones((3, 3)), alpha=np.arange(3.0), beta=np.arange(3.0))
    with pytest.raises(ValueError, match=r"grid of shape \(21, 31\), got a slice of shape \(3, 3\)"):
        figure(tree, cut=other)
    line = MergeTree.from_bytes(tree.replaced(shape=(21,)).to_bytes())
    with pytest.raises(ValueError, match="two dimensions, got a tree of a grid of shape"):
        figure(line, cut=cut().replaced(loss=np.ones(21)))


def test_loops_of_a_slice_are_drawn_as_they_were_found() -> None:
    hill = np.ones((5, 5))
    hill[2, 2] = 3.0
    axis = np.linspace(-1, 1, 5)
    whole = cut().replaced(loss=hill, alpha=axis, beta=axis, contrast_error=None)
    tree = merge_tree(whole).replaced(loops=loops(whole))
    rings = traces(figure(tree))["loops around hills"]
    assert (list(rings.x), list(rings.y)) == ([1.0], [3.0])
