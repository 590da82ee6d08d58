"""`landscope export` as one types it."""

import csv

import numpy as np
import pytest

from landscope.formats import read_npz
from landscope.measurements import Matrix, Provenance
from landscope.runs import RunWriter
from landscope_app.cli import main


def matrix(value):
    return Matrix(
        provenance=Provenance(method="by hand"), title="", summary="", row_name="r", column_name="c", value_name="v",
        rows=("p",), columns=("s",), values=np.full((1, 1), value),
    )  # fmt: skip


@pytest.fixture
def runs(tmp_path):
    root = tmp_path / "runs"
    with RunWriter.create(root, name="small", recipe=None, config={}) as writer:
        for step in (0, 5):
            writer.scalars(step, {"train/loss": 1.0 / (1 + step)})
            writer.measurement(step, "exhibit/table", matrix(step))
    return root


def test_each_kind_of_file(runs, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    files = [
        "--report",
        "run.html",
        "--data",
        "all.npz",
        "--csv",
        "scalars.csv",
        "--figure",
        "exhibit/table",
        "one.json",
    ]
    files = [str(out / name) if "." in name else name for name in files]
    assert main(["export", "latest", "--runs", str(runs), *files]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["all.npz", "one.json", "run.html", "scalars.csv"]
    assert str(out / "run.html") in capsys.readouterr().out
    with np.load(out / "all.npz") as archive:
        assert archive["exhibit/table:values"].tolist() == [[5.0]]
    rows = list(csv.reader((out / "scalars.csv").read_text().splitlines()))
    assert rows == [["name", "step", "value"], ["train/loss", "0", "1.0"], ["train/loss", "5", repr(1 / 6)]]


def test_a_step_before_the_newest(runs, tmp_path):
    (run,) = runs.iterdir()
    assert main(["export", str(run), "--step", "4", "--figure", "exhibit/table", str(tmp_path / "one.npz")]) == 0
    assert read_npz(tmp_path / "one.npz").values.tolist() == [[0.0]]


def test_lines_by_their_panel_and_view(runs, tmp_path):
    page = tmp_path / "loss.html"
    assert main(["export", "latest", "--runs", str(runs), "--figure", "curves/history", str(page)]) == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert "Loss and accuracy" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["latest", "--figure", "curves/history", "a.png"], "lines curves/history can be written to .html, got a.png"),
        (["latest", "--figure", "kernel/laziness", "a.html"], "has no lines of 'Lazy or rich'"),
        (["latest"], "nothing was asked for; add one or more of --report, --figure, --data, --csv"),
        (["nope", "--csv", "a.csv"], "no run 'nope'"),
        (["latest", "--figure", "nope", "a.html"], "has no measurement 'nope'; it has: exhibit/table"),
        (["latest", "--figure", "exhibit/table", "a.stl"], "cannot be written to a.stl: only slices"),
        (["latest", "--figure", "exhibit/table", "a.doc"], "has suffix '.doc', expected one of .npz"),
    ],
)
def test_mistakes_are_named(runs, arguments, message, capsys):
    assert main(["export", "--runs", str(runs), *arguments]) == 1
    assert message in capsys.readouterr().err
