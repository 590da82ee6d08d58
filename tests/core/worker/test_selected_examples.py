"""Jobs of a finished run that are of one class, or of examples that were selected on the page."""

import json
import sys
from functools import partial

import numpy as np
import pytest
import torch

from landscope import curvature, embedding, landscape
from landscope.runs import Run, RunAppender, RunWriter
from landscope.runs.commands import send_command
from landscope.worker.command import main
from landscope.worker.jobs import JobQueue
from landscope.worker.origins import of_file
from landscope.worker.requests import MeasureRequest
from tests.core.worker.conftest import snapshot

PROGRAM = """
import torch
from torch import nn
import landscope


def experiment():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    x, y = torch.randn(60, 4), torch.arange(60) % 3
    return landscope.Experiment(model, nn.functional.cross_entropy, (x[:48], y[:48]), (x[48:], y[48:]))
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "classes.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def run(tmp_path, program, monkeypatch):
    """A finished run with the weights of steps 0 and 5, and a picture of 10 of the 16 examples that were measured."""
    monkeypatch.setattr(sys, "argv", [str(program)])
    model = of_file(program).model
    with RunWriter.create(tmp_path / "runs", name="own") as writer:
        for step in (0, 5):
            writer.measurement(step, "snapshot", snapshot(model).at(step))
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter *= 1.5
        focus = of_file(program).objective("train").sample(16)
        writer.measurement(5, "embedding", embedding.project(focus, examples=10).at(5))
    return Run(writer.path)


def worked(run, program, what, **params):
    """The result of a job, and the data of its last event."""
    job = send_command(run.path, "measure", {"what": what, **params})
    with RunAppender(run.path) as appender:
        queue = JobQueue(run, appender, partial(of_file, program))
        while queue.waiting:
            queue.carry_out(queue.waiting[0])
    end = run.events("job")[-1]
    return (run.measurement(f"lab/{job}/{what}") if end.data["state"] == "done" else end.text), end.data


def theta_of(run, step):
    return torch.from_numpy(run.measurement("snapshot", step=step).theta)


def chosen_in(run, *indices):
    """Selected examples of the picture, as a command names them, and where they are in the training data."""
    (frame,) = run.frames("embedding")
    positions = run.measurement("embedding").positions[list(indices)].tolist()
    return {"frame": frame.seq, "positions": positions}, positions


def test_a_class_and_selected_examples_at_a_kept_step(run, program):
    objective, theta = of_file(program).objective("train"), theta_of(run, 0)
    found, end = worked(run, program, "sharpness", step=0, **{"class": 1})
    expected = curvature.sharpness(objective.of_class(1), theta=theta)
    assert found.lambda_max == pytest.approx(expected.lambda_max, rel=1e-4)
    assert (found.provenance.split, found.provenance.examples) == ("class-1 train", 16)
    assert end["examples"] == "class 1 of the training data, 16 examples"

    chosen, positions = chosen_in(run, 0, 4, 7)
    found, end = worked(run, program, "sharpness", step=0, chosen=chosen)
    expected = curvature.sharpness(objective.sample(16).subset(positions), theta=theta)
    assert found.lambda_max == pytest.approx(expected.lambda_max, rel=1e-4)
    assert (found.provenance.split, found.provenance.examples) == ("selected train", 3)
    assert end["examples"] == "3 selected training examples"
    assert {event.data["examples"] for event in run.events("job")[-2:]} == {"3 selected training examples"}


def test_held_out_classes_and_no_more_examples_than_were_asked_for(run, program):
    found, end = worked(run, program, "trace", objective="test", examples=3, parameters={"budget": 8}, **{"class": 2})
    expected = curvature.trace(
        of_file(program).objective("test").of_class(2).sample(3), budget=8, theta=theta_of(run, 5)
    )
    assert found.value == pytest.approx(expected.value, rel=1e-4)
    assert end["examples"] == "class 2 of the held-out data, 3 examples"


def test_at_a_place_on_a_plane(run, program):
    objective, theta = of_file(program).objective("train"), theta_of(run, 5)
    measured = landscape.slice2d(objective, theta=theta, points=9, seed=4)
    with RunAppender(run.path) as appender:
        appender.measurement(5, "slice/random", measured.at(5))
    at = {"frame": run.frames("slice/random")[-1].seq, "alpha": 0.5, "beta": -0.25}
    found, end = worked(run, program, "slice1d", at=at, parameters={"points": 5}, **{"class": 0})
    first, second = landscape.random_directions(objective, 2, seed=4, theta=theta)
    there = theta + 0.5 * first - 0.25 * second
    assert found.centre_loss == pytest.approx(objective.of_class(0).value(there), rel=1e-5)
    assert end["remark"].startswith(
        "at alpha 0.5, beta -0.25 of the random plane of step 5: the plane shows another loss"
    )
    assert end["examples"] == "class 0 of the training data, 16 examples"


def test_results_are_not_confused(run, program):
    chosen, _ = chosen_in(run, 1, 2)
    requests = [
        {},
        {"class": 0},
        {"class": 1},
        {"chosen": chosen},
        {"chosen": {**chosen, "positions": [chosen["positions"][0]]}},
    ]
    read = [MeasureRequest.read(1, {"what": "trace", **one}) for one in requests]
    assert len({request.key for request in read}) == len(read)
    assert [MeasureRequest.read(1, request.params) for request in read] == read
    assert "class" not in read[0].params
    values = [worked(run, program, "trace", parameters={"budget": 8}, **one)[0].value for one in requests]
    assert len(np.unique(values)) == len(values)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"class": 9}, "no example has class 9; classes are [0, 1, 2]"),
        ({"class": 0, "chosen": {"frame": 3, "positions": [0]}}, "class and chosen were both given"),
        ({"chosen": {"frame": 99, "positions": [0]}}, "frame 99 is not in the run any more"),
        ({"chosen": {"frame": 1, "positions": [0]}}, "frame 1 does not show examples by their positions"),
    ],
)
def test_what_cannot_be_measured_fails_with_its_reason(run, program, params, reason):
    text, end = worked(run, program, "trace", **params)
    assert end["state"] == "failed"
    assert reason in text


def test_data_that_are_others_by_now_are_not_measured(run, program):
    chosen, _ = chosen_in(run, 1)
    program.write_text(PROGRAM.replace("torch.randn(60, 4)", "1.001 * torch.randn(60, 4)"))
    text, end = worked(run, program, "trace", chosen=chosen)
    assert end["state"] == "failed"
    assert "the examples that the frame shows are not found again" in text


def test_the_command_line_measures_a_class(run, program, capsys):
    arguments = [str(program), "--run", str(run.path), "--trace", "budget=8", "--class", "1"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("step 5: trace of class 1 of the training data, 16 examples: ")
    assert main([*arguments, "--json"]) == 0  # not measured again
    assert json.loads(capsys.readouterr().out)["class"] == 1
    assert len(run.frames("lab/1/trace")) == 1
    assert not run.frames("lab/2/trace")
