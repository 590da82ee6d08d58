"""Ranges that hold still over the frames of a picture."""

import numpy as np
import plotly.graph_objects as go
import pytest

from landscope.reports import hold_still


def ranges(one, *names):
    return [one.layout[name].range for name in names]


def test_axes_hold_the_data_of_every_frame():
    frames = [go.Figure(go.Scatter(x=[0, 1], y=[0, 10])), go.Figure(go.Scatter(x=[1, 2], y=[-10, 5]))]
    other = [go.Figure(one) for one in frames]
    hold_still(frames, other)
    for one in (*frames, *other):
        (x, y) = ranges(one, "xaxis", "yaxis")
        assert -0.2 < x[0] < 0
        assert 2 < x[1] < 2.2
        assert -11.5 < y[0] < -10
        assert 10 < y[1] < 11.5
        assert one.layout.xaxis.autorange is False


def test_logarithmic_axes_are_in_decades_and_leave_out_what_they_cannot_show():
    lines = ([1e-4, 1.0], [0.0, 1e-1, 1e2])
    frames = [go.Figure(go.Scatter(y=line)).update_yaxes(type="log") for line in lines]
    hold_still(frames)
    low, high = frames[0].layout.yaxis.range
    assert -4.3 < low < -4
    assert 2 < high < 2.3


def test_bars_stand_on_zero_and_cells_are_whole():
    bars = [go.Figure(go.Bar(x=[1, 2, 3], y=[top, 1, 1])) for top in (4.0, 2.0)]
    hold_still(bars)
    low, high = bars[1].layout.yaxis.range
    assert low <= 0 < 4 < high
    assert bars[1].layout.xaxis.range[0] < 0.5
    cells = [go.Figure(go.Heatmap(x=[0, 1], y=[0, 2], z=[[0, 1], [2, top]])) for top in (3, 9)]
    hold_still(cells)
    assert cells[0].layout.xaxis.range == (-0.5, 1.5)
    assert cells[0].layout.yaxis.range == (-1, 3)
    assert (cells[0].data[0].zmin, cells[0].data[0].zmax) == (0, 9)


def test_lines_that_grow_do_so_in_the_room_they_come_to_need():
    frames = [go.Figure(go.Scatter(x=np.arange(count), y=np.ones(count))) for count in (1, 2, 100)]
    hold_still(frames)
    assert frames[0].layout.xaxis.range == frames[2].layout.xaxis.range
    assert 99 < frames[0].layout.xaxis.range[1] < 104


def test_several_axes_and_given_ranges():
    frames = []
    for top in (1.0, 2.0):
        frame = go.Figure([go.Scatter(x=[0, 1], y=[0, 1]), go.Scatter(x=[0, 1], y=[5, 5 + top], yaxis="y2")])
        frames.append(frame.update_layout(yaxis={"range": [0, top]}, yaxis2={"overlaying": "y"}))
    hold_still(frames)
    assert frames[0].layout.yaxis.range == frames[1].layout.yaxis.range == (0, 2)
    low, high = frames[0].layout.yaxis2.range
    assert 4 < low < 5
    assert 7 < high < 8


@pytest.mark.parametrize(
    "frames",
    [
        [go.Figure(go.Bar(x=["a", "b"], y=["c", "d"])) for _ in range(2)],
        [go.Figure(go.Histogram(x=[1, 2, 3])) for _ in range(2)],
        [go.Figure(go.Heatmap(x=[-end, end], y=[0, 1], z=np.eye(2))) for end in (1.0, 100.0)],
        [go.Figure(go.Scatter(x=[0, end], y=[0, end])) for end in (100.0, 1.0)],
        [go.Figure(go.Scatter(x=[None], y=[None])) for _ in range(2)],
    ],
    ids=["names", "distribution", "plane that grows", "lines that shrink", "nothing"],
)
def test_what_cannot_be_told_or_would_not_be_seen_keeps_its_own_range(frames):
    hold_still(frames)
    assert ranges(frames[0], "xaxis") == [None]


def test_colours_that_were_given_are_those_of_the_widest():
    z = np.arange(4.0).reshape(2, 2)
    frames = [go.Figure(go.Contour(z=z, zmin=low, zmax=4)) for low in (-1, 0)]
    hold_still(frames)
    assert [one.data[0].zmin for one in frames] == [-1, -1]
