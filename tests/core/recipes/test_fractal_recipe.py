"""The boundary of trainability: windows and zooms where they should be, and the verdict of the numbers recorded."""

import numpy as np
import pytest

from landscope.landscape import Axis, around_boundary, trainability_map
from landscope.population import mean_field
from landscope.recipes.charts import lines
from landscope.recipes.fractal import Config, axes, judge, train
from landscope.recipes.studies import Study
from landscope.runs import open_run


def test_a_window_is_the_range_of_both_axes():
    first, second = axes(Config(x_low=1.5, x_high=1.75, y_low=-1.0, y_high=2.0))
    assert (first.low, first.high, first.parameters) == (1.5, 1.75, "input")
    assert (second.low, second.high, second.setting) == (-1.0, 2.0, "learning_rate")
    assert axes(Config(plane="learning rate and scale"))[1].setting == "scale"
    with pytest.raises(ValueError, match=r"y_low must be below y_high, got 5\.0 and 4\.0"):
        Config(y_low=5.0)


def test_a_narrower_window_has_the_boundary_in_its_middle():
    plane = (Axis("learning_rate", 0.0, 6.0, "input"), Axis("learning_rate", -2.0, 4.0, "output"))
    shown = trainability_map(mean_field(width=4, steps=20), plane, points=9)
    narrow = around_boundary(shown, plane, 8.0)
    centres = [(axis.low + axis.high) / 2 for axis in narrow]
    i, j = (int(np.searchsorted(line, centre)) for line, centre in zip((shown.x, shown.y), centres, strict=True))
    assert shown.boundary[i - 1, j - 1]
    assert [axis.high - axis.low for axis in narrow] == pytest.approx([0.75, 0.75])
    converged = shown.replaced(converged=np.ones_like(shown.converged))
    with pytest.raises(ValueError, match="no boundary"):
        around_boundary(converged, plane, 8.0)


def test_a_small_study_shows_all_of_it_and_can_be_judged(tmp_path):
    run = open_run(train(Config(halvings=3, zooms=1, width=4, steps=20), tmp_path))
    names = [event.data["name"] for event in run.events("exhibit")]
    assert names == ["map", "boxes", "dimension", "zoom-1"]
    assert run.head().step == run.head().total == 2 * 81
    assert [len(run.measurement("exhibit/map", step=frame.step).x) for frame in run.frames("exhibit/map")] == [5, 9]
    zoom = run.measurement("exhibit/zoom-1")
    assert zoom.x[-1] - zoom.x[0] == pytest.approx(6 / 8)
    assert len(judge(run)) == 3


def test_where_all_converge_there_is_nothing_to_magnify(tmp_path):
    run = open_run(train(Config(halvings=3, zooms=1, width=4, steps=20, x_low=-3, x_high=-2, y_low=-3), tmp_path))
    assert run.measurement("exhibit/map").converged.any()
    corner = Config(halvings=3, zooms=1, width=4, steps=20, x_low=-9, x_high=-8, y_low=-9, y_high=-8)
    run = open_run(train(corner, tmp_path))
    assert run.measurement("exhibit/map").converged.all()
    assert run.head().step == run.head().total
    assert {one.outcome for one in judge(run)} == {"not here"}


@pytest.mark.parametrize(
    ("dimension", "outcomes"),
    [
        ([1.3, 1.4, 1.5], ["reproduced"] * 3),
        ([1.03, 1.02, 0.96], ["not here", "reproduced", "not here"]),
        ([1.3, 1.95, 1.99], ["reproduced", "partly", "reproduced"]),
    ],
)
def test_the_verdict_is_that_of_the_numbers(tmp_path, dimension, outcomes):
    dimension = np.array(dimension)
    x = 8.0 ** np.arange(len(dimension))
    with Study("fractal", Config(), tmp_path, total=1) as study:
        bands = {"boundary": (dimension - 0.05, dimension + 0.05)}
        study.exhibit("dimension", lines("", "", ("", ""), {"boundary": (x, dimension)}, bands=bands))
        study.advance()
    assert [one.outcome for one in judge(open_run(study.path))] == outcomes
