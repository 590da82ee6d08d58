"""Views of lines as pages that stand alone: every line that the run has, on the axes of the view."""

import html as escaping
import re

import numpy as np
import pytest

from landscope.formats.packing import unpacked
from landscope.reports.curves import curve_frames
from landscope.runs import RunWriter, open_run
from landscope_app.line_pages import line_groups, line_page, line_views
from landscope_app.panels import PANELS
from landscope_app.server import create_server

STEPS = np.array([0, 10, 100])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with all scalars of all views: rising from 1 to 3, but for a few."""
    names = {line.name for view in line_views().values() for line in view.series}
    names |= {line.error for view in line_views().values() for line in view.series if line.error}
    values = {name: [1.0, 2.0, 3.0] for name in sorted(names) if not name.endswith("*")}
    values |= {f"{name[:-1]}{number}": [3.0 / number] * 3 for name in names if name.endswith("*") for number in (10, 2)}
    values |= {"test/loss": [1e-3, 0.0, 10.0], "train/accuracy": [0.001, 0.5, 1.0]}
    with RunWriter.create(tmp_path_factory.mktemp("runs"), name="<b>all", recipe=None, config={}) as writer:
        for index, step in enumerate(STEPS.tolist()):
            writer.scalars(step, {name: series[index] for name, series in values.items()})
    return open_run(writer.path)


def pictures(page):
    """The figures on a light ground by their heading."""
    found = re.findall(r'<section class="picture.*?<h3>(.*?)</h3>.*?class="frames">(.*?)</script>', page, re.DOTALL)
    return {escaping.unescape(title): unpacked(told)[0]["light"] for title, told in found}


@pytest.mark.parametrize("name", line_views())
def test_every_view_of_lines_has_all_that_the_run_has_of_it(run, name):
    view = line_views()[name]
    drawn = {group.axis: frame.light for group, frame in curve_frames(run, line_groups(view, run.scalar_names()))}
    assert list(drawn) == [axis for axis, _ in view.rows]
    for row, (axis, _) in enumerate(view.rows, start=1):
        lines = [line for line in view.series if line.row == row]
        labels = {trace["name"] for trace in drawn[axis]["data"]}
        assert {line.label for line in lines if not line.name.endswith("*")} <= labels
        assert {"eigenvalue 2", "eigenvalue 10"} <= labels or not any(line.name.endswith("*") for line in lines)
        assert sum(trace.get("fill") == "toself" for trace in drawn[axis]["data"]) == sum(bool(o.error) for o in lines)


def test_axes_are_those_of_the_view(run):
    page = "".join(line_page(run, "curves/history"))
    assert "default-src 'none'" in page
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?!data:)', page)
    losses, accuracies = pictures(page).values()
    assert losses["layout"]["yaxis"]["type"] == "log"
    assert accuracies["layout"]["yaxis"]["type"] == "linear"
    assert losses["layout"]["xaxis"]["type"] == "linear"
    (losses,) = list(pictures("".join(line_page(run, "curves/history", only={"train/loss"}, log_steps=True))).values())
    assert losses["layout"]["xaxis"]["type"] == "log"
    assert [trace["name"] for trace in losses["data"]] == ["train"]


def test_pages_are_handed_on_by_the_server(run):
    client = create_server(run.path.parent, read_only=True).server.test_client()
    address = f"/api/v1/runs/{run.id}/lines"
    response = client.get(f"{address}/curves/history.html?x=log&line=train/loss&line=train/accuracy")
    assert response.status_code == 200
    assert f'filename="{run.id}-curves-history.html"' in response.headers["Content-Disposition"]
    drawn = pictures(response.get_data(as_text=True))
    assert [len(one["data"]) for one in drawn.values()] == [1, 1]
    for wrong, words in (
        ("curves/nothing", "there are no lines"),
        ("landscape/plane", "views of lines are"),
        ("curves/history", "has no lines"),
    ):
        refused = client.get(f"{address}/{wrong}.html?line=no/such")
        assert refused.status_code == 404
        assert words in refused.get_json()["error"]


def test_lines_are_what_is_drawn_without_a_drawer():
    assert set(line_views()) == {
        f"{panel.name}/{view.name}" for panel in PANELS for view in panel.views if not view.drawer
    }
