"""`landscope measure`: what it records and prints, skips and takes up again, and how it says what is wrong."""

import json
import subprocess
import sys
import time

import pytest
import torch

from landscope.runs import RunAppender, list_runs, open_run
from landscope.worker.command import main
from landscope.worker.origins import of_file

COMMAND = [sys.executable, "-m", "landscope.worker.command"]


def measure(*arguments):
    return main([str(argument) for argument in arguments])


def test_numbers_are_printed_recorded_and_not_measured_twice(run, program, capsys):
    arguments = (program, "--run", run.path, "--trace", "budget=8", "--steps", "0,10", "--json")
    assert measure(*arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["step"], line["what"], line["frame"]) for line in lines] == [
        (0, "trace", "lab/1/trace"),
        (10, "trace", "lab/1/trace"),
    ]
    assert lines[0]["scalars"] == run.measurement("lab/1/trace", step=0).scalars()
    assert {event.data["state"] for event in run.events("job")} == {"running", "done"}
    frames = len(run.frames())
    assert measure(*arguments) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == lines
    assert len(run.frames()) == frames
    assert measure(program, "--run", run.path, "--trace", "budget=8") == 0  # the last step, measured before
    assert capsys.readouterr().out.startswith("step 10: trace: ")


def test_bare_checkpoints_get_a_run_of_their_own(tmp_path, program, capsys):
    model = of_file(program).model
    for step in (1, 2):
        torch.save(model.state_dict(), tmp_path / f"step-{step}.pt")
    runs = tmp_path / "mine"
    arguments = (program, "--checkpoint", tmp_path, "--runs", runs, "--sharpness", "--slice", "points=5,plane=random")
    assert measure(*arguments, "--steps", "all") == 0
    assert capsys.readouterr().out.count("sharpness") == 2
    (summary,) = list_runs(runs)
    found = open_run(summary.path)
    assert (summary.name, found.head().status, found.head().step) == ("train-checkpoints", "finished", 2)
    assert found.measurement("lab/1/sharpness", step=1).lambda_max > 0
    assert measure(*arguments, "--steps", "all") == 0
    assert len(list_runs(runs)) == 1


def test_a_killed_measuring_goes_on_where_it_was(run, program, mood):
    mood("slow")
    arguments = [str(program), "--run", str(run.path), "--slice1d", "points=65", "--steps", "all"]
    with subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE) as process:
        while not any((event.data or {}).get("measured") == 0 for event in run.events("job")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        while not list((run.path / "unfinished").glob("*.points")):
            time.sleep(0.02)
        time.sleep(1.0)
        process.kill()
    frames = run.frames("lab/1/slice1d")
    assert not any(frame.step == 10 for frame in frames)
    kept = max((run.path / "unfinished").glob("*.points"), key=lambda path: path.stat().st_mtime)
    mood("")
    assert kept.stat().st_size > 300
    assert measure(*arguments) == 0
    again = run.frames("lab/1/slice1d")
    assert [frame.seq for frame in again if frame.step == 0] == [frame.seq for frame in frames if frame.step == 0]
    assert {frame.step for frame in again} == {0, 5, 10}
    assert {event.data["job"] for event in run.events("job")} == {1}
    assert run.events("job")[-1].data["state"] == "done"


def test_an_interrupt_ends_it_cleanly(run, program, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("landscope.worker.command._Line.show", interrupted)
    assert measure(program, "--run", run.path, "--trace") == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert run.events("job")[-1].data["state"] == "cancelled"
    RunAppender(run.path).close()  # nobody holds it


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["PROGRAM", "--run", "RUN"], "nothing was asked for; add one or more of --slice"),
        (["PROGRAM", "--trace"], "name weights to measure: --run RUN"),
        (["nowhere.py", "--trace"], "there is no file nowhere.py"),
        (["nonsense", "--trace"], "nonsense is no recipe"),
        (["digits", "--trace"], "there is no run of digits in"),
        (
            ["PROGRAM", "--run", "RUN", "--trace", "--steps", "7"],
            "there are no weights of step 7; there are those of 0, 5",
        ),
        (["PROGRAM", "--run", "RUN", "--trace", "--steps", "few"], "steps must be 'last', 'all' or numbers"),
        (["RUN", "--trace"], "runs again only if you say so"),
        (["PROGRAM", "--checkpoint", "PROGRAM", "--trace"], "is no file of weights|unpickling"),
    ],
)
def test_mistakes_are_said_with_their_remedy(arguments, message, run, program, tmp_path, capsys):
    places = {"PROGRAM": str(program), "RUN": str(run.path)}
    filled = [places.get(argument, argument) for argument in arguments]
    assert measure(*filled, "--runs", tmp_path / "none") == 1
    captured = capsys.readouterr().err
    assert any(part in captured for part in message.split("|"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--slice", "points=3"], "slice2d: points must be an integer from 5 to 257, got '3'"),
        (["--slice", "digits"], "takes name=value pairs, like points=65, got 'digits'"),
        (["--spectrum", "nodes=3"], "density: there is no parameter 'nodes'"),
    ],
)
def test_parameters_are_checked_at_once(option, message, capsys):
    with pytest.raises(SystemExit):
        measure("digits", *option)
    assert message in capsys.readouterr().err
