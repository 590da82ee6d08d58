"""Between two minima: averages and shifts by hand, and a verdict that is that of the numbers recorded."""

import numpy as np
import pytest
import torch

from landscope.measurements import Barriers, Chart, Provenance
from landscope.recipes.charts import lines
from landscope.recipes.modes import Config, averages, judge, shifted, train
from landscope.recipes.studies import Study
from landscope.runs import open_run

WAYS = ("straight line", "line to the renumbered", "trained curve")
T = np.linspace(0, 1, 5)
HILL = np.array([0.0, 0.7, 1.0, 0.7, 0.0])


def test_averages_are_those_of_the_first_ones():
    theta = torch.randn(4, 2, 3, dtype=torch.float64)
    found = averages({"weight": theta, "bias": theta[:, 0]})
    for count in range(1, 5):
        torch.testing.assert_close(found["weight"][count - 1], theta[:count].mean(dim=0))
        torch.testing.assert_close(found["bias"][count - 1], theta[:count, 0].mean(dim=0))


def test_a_shifted_image_has_its_columns_one_further():
    images = torch.arange(128.0).view(2, 64)
    moved = shifted(images).view(2, 8, 8)
    assert torch.equal(moved[:, :, 1:], images.view(2, 8, 8)[:, :, :-1])
    assert torch.equal(moved[:, :, 0], images.view(2, 8, 8)[:, :, -1])


def test_a_small_study_shows_all_of_it_and_can_be_judged(tmp_path):
    run = open_run(train(Config(width=4, epochs=5, curve_steps=3, soup=2), tmp_path))
    names = [event.data["name"] for event in run.events("exhibit")]
    assert names == ["training", "paths", "accuracies", "plane", "parting", "soup"]
    assert run.head().step == run.head().total == 2 * 100 + 3 + 20
    paths = run.measurement("exhibit/paths").y
    assert set(paths) == set(WAYS)
    # All three ways begin at one minimum, and end at one function.
    assert len({round(float(path[0]), 5) for path in paths.values()}) == 1
    assert len({round(float(path[-1]), 4) for path in paths.values()}) == 1
    assert list(run.measurement("exhibit/parting").steps) == [0, 1, 3, 10, 30]
    soup = run.measurement("exhibit/soup").y
    assert soup["average of weights"][0] == soup["mean accuracy of single ones"][0] == soup["best single one"][0]
    assert len(judge(run)) == 5


def record(root, *, dips, errors, soup):
    """A study with these falls of accuracy on the ways, rises of the error between copies, and gains of averages."""
    provenance = Provenance(method="by hand")
    with Study("modes", Config(), root, total=1) as study:
        for name, sign in (("paths", 1), ("accuracies", -1)):
            ways = {way: (T, 0.5 + sign * dip * HILL) for way, dip in zip(WAYS, dips, strict=True)}
            study.exhibit(name, lines(name, "", ("t", ""), ways))
        accuracy = 0.9 - np.array(errors)[:, None] * HILL
        steps = np.arange(len(errors))
        study.exhibit(
            "parting",
            Barriers(provenance=provenance, steps=steps, t=T, loss=1 - accuracy, accuracy=accuracy, distance=steps),
            "parting",
        )
        labels = ("average of weights", "mean accuracy of single ones", "weights of both minima")
        averaged = {
            label: ([8], [value]) for label, value in zip(labels, (0.9 + soup[0], 0.9, 0.9 + soup[1]), strict=True)
        }
        study.exhibit("soup", lines("soup", "", ("", ""), averaged))
        study.advance()
    return open_run(study.path)


@pytest.mark.parametrize(
    ("dips", "errors", "soup", "outcomes"),
    [
        ((0.2, 0.01, 0.0), (0.01, 0.0), (0.02, -0.1), ["reproduced"] * 5),
        ((0.01, 0.01, 0.005), (0.05, 0.03), (-0.01, 0.0), ["not here"] * 5),
        ((0.2, 0.05, 0.01), (0.05, 0.01), (0.02, 0.01), ["reproduced", "partly", "partly", "partly", "partly"]),
    ],
)
def test_the_verdict_is_that_of_the_numbers(tmp_path, dips, errors, soup, outcomes):
    run = record(tmp_path, dips=dips, errors=errors, soup=soup)
    assert isinstance(run.measurement("exhibit/paths"), Chart)
    assert [one.outcome for one in judge(run)] == outcomes
