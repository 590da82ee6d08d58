"""The Python that the page shows runs, and draws what the page shows."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from dash.development.base_component import Component

from landscope.objective import Objective
from landscope.recipes.grokking import ModularAddition
from landscope.runs import Run, open_run
from landscope_app.page import open_drawer
from landscope_app.panels import PANELS
from landscope_app.server import create_server
from landscope_app.snippets import shown_path, snippet
from landscope_app.views import View
from tests.browser import synthetic

CASES = [
    pytest.param(view, frame, id=f"{panel.name}-{view.name}-{frame}")
    for panel in PANELS
    for view in panel.views
    for frame in (view.frames if len(view.live) > 1 else view.frames[:1] or ("",))
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("runs")
    synthetic.main([str(root), "--steps", "40", "--every", "20", "--name", '"quoted"'])
    (folder,) = root.iterdir()
    return open_run(folder)


@pytest.fixture(scope="module")
def mine() -> dict[str, Any]:
    """What the snippets take as a user's own."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3))
    x, y = torch.randn(24, 4), torch.arange(24) % 3
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    path = []
    for _ in range(3):
        path.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach())
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return {
        "model": model,
        "loss_fn": torch.nn.CrossEntropyLoss(),
        "x": x,
        "y": y,
        "optimizer": optimizer,
        "path": torch.stack(path),
    }


@pytest.fixture(scope="module")
def adder() -> dict[str, Any]:
    """A network that adds residues, of which the snippets measure tokens."""
    torch.manual_seed(0)
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(7))
    model = ModularAddition(prime=7, embedding=8, width=16)
    return {"model": model, "loss_fn": torch.nn.CrossEntropyLoss(), "x": pairs, "y": pairs.sum(1) % 7}


def shown(code: str, names: dict[str, Any]) -> list[Any]:
    """What a notebook would show of a cell's expressions."""
    values: list[Any] = []
    body = ast.parse(code).body
    cell = [f"show({ast.unparse(part.value)})" if isinstance(part, ast.Expr) else ast.unparse(part) for part in body]
    exec("\n".join(cell), names | {"show": values.append})
    return values


@pytest.mark.parametrize(("view", "frame"), CASES)
def test_snippets_run(view: View, frame: str, run: Run, mine: dict[str, Any], adder: dict[str, Any]) -> None:
    mine = adder if frame == "tokens" else mine
    if frame == "slice/gradient":  # not in the run, but anew it can be had
        code = (
            "import landscope as ls\n"
            + snippet(view, str(run.path), frame=frame).partition("# anew")[2].partition("\n")[2]
        )
        *figures, anew = [go.Figure(), *shown(code, dict(mine))]
    else:
        *figures, anew = shown(snippet(view, str(run.path), step=30, frame=frame), dict(mine))
        assert len(figures) == max(len(view.rows), 1)
        assert all(isinstance(figure, go.Figure) and figure.data for figure in figures)
    assert not isinstance(anew, go.Figure) or anew.data
    assert isinstance(anew, go.Figure) or anew


def test_what_is_shown_is_what_is_drawn(run: Run) -> None:
    views = {(panel.name, view.name): view for panel in PANELS for view in panel.views}
    folder = str(run.path)
    code = snippet(views["spectrum", "now"], folder, step=30)
    assert 'run.measurement("density", step=30)' in code
    assert ", step=" not in snippet(views["spectrum", "now"], folder)
    code = snippet(
        views["landscape", "plane"], folder, frame="slice/random", options={"style": "surface", "show": "test/loss"}
    )
    assert 'run.measurement("slice/random")\nmeasured.figure(style="surface", show="test/loss")' in code
    lines = shown(snippet(views["sharpness", "history"], folder).partition("# anew")[0], {})[0]
    eigenvalues = {f"density/eigenvalue.{rank}" for rank in range(1, 10)}
    band = "sharpness/lambda_max ± 2 standard errors"
    assert {line.name for line in lines.data} == {"sharpness/lambda_max", band, "sharpness/threshold"} | eigenvalues
    waterfall = shown(snippet(views["spectrum", "waterfall"], folder).partition("# anew")[0], {})[0]
    assert list(waterfall.data[0].x) == [0, 20, 40]


def test_planes_beside_each_other_are_drawn_on_one_scale(run: Run, mine: dict[str, Any]) -> None:
    view, names = PANELS[0].views[0], ["slice/trajectory", "slice/random", "slice/hessian"]
    code = snippet(
        view, str(run.path), step=30, frame=names[0], beside=[*names[1:], "nothing"], options={"show": "test/loss"}
    )
    figure, _ = shown(code, dict(mine))
    maps = [trace for trace in figure.data if trace.type == "contour" and trace.hoverinfo != "skip"]
    assert [trace.xaxis for trace in maps] == ["x", "x2", "x3"]
    assert [trace.showscale for trace in maps] == [None, False, False]
    values = [run.measurement(name, step=30).metrics["test/loss"] for name in names]
    assert {(trace.zmin, trace.zmax) for trace in maps} == {(maps[0].zmin, maps[0].zmax)}
    assert maps[0].zmin <= np.log10(min(value.min() for value in values))
    assert maps[0].zmax >= np.log10(max(value.max() for value in values))
    assert [note.text.partition("<br>")[0] for note in figure.layout.annotations] == [
        "<b>trajectory</b>", "<b>random</b>", "<b>hessian</b>"
    ]  # fmt: skip


def test_a_plane_that_was_asked_for_is_read_from_its_job(run: Run) -> None:
    code = snippet(PANELS[0].views[0], str(run.path), frame="lab/12/slice2d", like="slice/hessian")
    assert 'run.measurement("lab/12/slice2d")' in code
    assert 'slice2d(objective, "hessian", radius="auto")' in code
    assert "lab/12" not in snippet(PANELS[0].views[0], str(run.path), frame="lab/12/slice2d/../x")


def test_selected_examples_become_an_objective(run: Run, mine: dict[str, Any]) -> None:
    views = {(panel.name, view.name): view for panel in PANELS for view in panel.views}
    selection = {"available": 16, "positions": [2, 5, 11]}
    code = snippet(views["embedding", "points"], str(run.path), options={"colour": "loss"}, selection=selection)
    assert 'measured.figure(colour="loss")' in code
    figure, _, metrics, sharpness = shown(code, dict(mine))
    assert figure.data
    assert sharpness.data
    # The recorder measures `sample(16)` of the data, in which the projection's positions count.
    whole = Objective(mine["model"], mine["loss_fn"], (mine["x"], mine["y"]))
    few = whole.sampled(16)[[2, 5, 11]]
    losses = mine["loss_fn"](mine["model"](mine["x"][few]), mine["y"][few]).detach()
    assert float(metrics["loss"]) == pytest.approx(float(losses), rel=1e-5)


def test_nothing_given_gets_out_of_its_quotes(run: Run, tmp_path: Path) -> None:
    hostile = '"); raise SystemExit("'
    view = PANELS[0].views[0]
    code = snippet(view, str(tmp_path / hostile), frame=hostile, options={"show": hostile, "x=1); quit(": "y"})
    calls = [node.func for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    assert not any(isinstance(call, ast.Name) for call in calls)
    assert "quit" not in code
    assert str(tmp_path / hostile) in [
        node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)
    ]


def test_paths_are_as_one_types_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "runs" / "one") == str(Path("runs") / "one")
    assert shown_path(Path("runs/one")) == str(Path("runs") / "one")
    assert shown_path(tmp_path.parent / "other") == str(tmp_path.parent / "other")


def test_the_drawer_ends_with_the_code_of_what_is_shown(run: Run) -> None:
    app = create_server(run.path.parent)
    with app.server.test_request_context():
        opened, title, body = open_drawer({"subject": "spectrum", "view": "waterfall", "run": run.id, "step": None})
        assert (opened, title) == (True, "Hessian spectrum through training")
        assert isinstance(body[-1], Component)
        assert f'{run.id}")' in str(body[-1])
        assert "waterfall_figure" in str(body[-1])
        assert "snippet" not in str(open_drawer({"subject": "page", "view": None, "run": run.id, "step": None}))
