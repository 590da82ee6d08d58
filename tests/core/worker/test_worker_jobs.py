"""Jobs of a finished run: measured at the weights that were kept, once, with a reason where that cannot be."""

import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from landscope import curvature, lab, landscape
from landscope.runs import Run, RunAppender, RunWriter
from landscope.runs.commands import send_command
from landscope.worker.jobs import JobQueue
from landscope.worker.origins import of_file, of_run
from landscope.worker.requests import MeasureRequest
from tests.core.worker.conftest import snapshot


def ask(run, what, **params):
    return send_command(run.path, "measure", {"what": what, **params})


def work(run, build, **options):
    """Carries out all that waits; the queue."""
    with RunAppender(run.path) as appender:
        queue = JobQueue(run, appender, build, **options)
        while queue.waiting:
            queue.carry_out(queue.waiting[0])
    return queue


def states(run, job):
    return [event.data["state"] for event in run.events("job") if event.data["job"] == job]


def last_text(run):
    return run.events("job")[-1].text


def test_a_job_measures_the_kept_weights_with_the_optimiser_s_limit(run, program):
    job = ask(run, "sharpness", step=5)
    newest = ask(run, "trace", parameters={"budget": 8})
    experiment = of_file(program)
    experiment = replace(experiment, optimizer=torch.optim.SGD(experiment.model.parameters(), lr=0.1))
    work(run, lambda: experiment)
    assert states(run, job)[0] == "running"
    assert states(run, job)[-1] == "done"
    found = run.measurement(f"lab/{job}/sharpness")
    objective = experiment.objective()
    theta = torch.from_numpy(run.measurement("snapshot", step=5).theta)
    expected = curvature.sharpness(objective, experiment.optimizer, theta=theta)
    assert found.lambda_max == pytest.approx(expected.lambda_max, rel=1e-5)
    assert found.threshold == pytest.approx(20.0)
    assert found.provenance.step == 5
    end = run.events("job")[-1]
    assert (end.step, end.data["job"], end.data["done"], end.data["frame"]) == (10, newest, 1.0, f"lab/{newest}/trace")


def test_slices_show_the_path_and_the_held_out_data(run, program):
    job = ask(run, "slice2d", step=5, parameters={"plane": "trajectory", "points": 5})
    work(run, partial(of_file, program))
    found = run.measurement(f"lab/{job}/slice2d")
    assert found.path_steps.tolist() == [0, 5]
    assert "test/loss" in found.metrics
    assert not (run.path / "unfinished").exists()


def test_what_was_measured_is_not_measured_again(run, program):
    first = ask(run, "trace", steps=[0, 5], parameters={"budget": "8"})
    work(run, partial(of_file, program))
    second = ask(run, "trace", steps=[0, 5, 10], parameters={"budget": 8, "seed": 0})
    other = ask(run, "trace", steps=[0], parameters={"budget": 8}, objective="test")
    work(run, partial(of_file, program))
    steps = {job: [frame.step for frame in run.frames(f"lab/{job}/trace")] for job in (first, second, other)}
    assert steps == {first: [0, 5], second: [10], other: [0]}
    assert run.measurement(f"lab/{other}/trace").provenance.split == "test"
    assert states(run, second)[-1] == "done"


def test_progress_is_of_the_whole_job(run, program):
    ask(run, "trace", steps=[0, 5, 10], parameters={"budget": 8})
    shown = []
    work(run, partial(of_file, program), show=lambda request, step, progress: shown.append((step, progress.done)))
    known = [done for _, done in shown if done is not None]
    assert known == sorted(known)
    assert {step for step, _ in shown} == {0, 5, 10}
    assert [done for step, done in shown if step == 5][-1] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"what": "slice4d"}, "there is no measurement 'slice4d'"),
        ({"what": "trace", "parameters": {"budget": 1}}, "budget must be an integer from 4 to 10000, got 1"),
        ({"what": "trace", "objective": "dev"}, "objective must be one of train, test, got 'dev'"),
        ({"what": "trace", "step": "last"}, "step must be a number of steps, got 'last'"),
        ({"what": "trace", "step": 7}, "has no weights of step 7; it has those of 0, 5, 10"),
        ({"what": "project", "parameters": {"layer": "nowhere"}}, "nowhere"),
    ],
)
def test_what_cannot_be_measured_fails_with_its_reason(run, program, params, reason):
    job = send_command(run.path, "measure", params)
    work(run, partial(of_file, program))
    assert states(run, job)[-1] == "failed"
    assert reason in last_text(run)


def test_out_of_memory_fails_the_job_and_the_next_has_its_turn(run, program, mood):
    first = ask(run, "sharpness")
    experiment = of_file(program)
    experiment.objective()
    build = lambda: (mood("greedy"), experiment)[1]  # noqa: E731
    work(run, build)
    assert states(run, first)[-1] == "failed"
    assert "out of memory: ask for fewer points" in last_text(run)
    mood("")
    second = ask(run, "sharpness")
    work(run, partial(of_file, program))
    assert states(run, second)[-1] == "done"


def test_weights_that_are_not_finite_are_said(run, program, tmp_path):
    model = of_file(program).model
    with torch.no_grad():
        model[0].weight[0, 0] = np.nan
    with RunAppender(run.path) as appender:
        appender.measurement(20, "snapshot", snapshot(model).at(20))
    ask(run, "slice1d")
    work(run, partial(of_file, program))
    assert "the weights are not finite" in last_text(run)


def test_weights_of_another_model_are_said(run, program):
    with RunAppender(run.path) as appender:
        appender.measurement(20, "snapshot", snapshot(torch.nn.Linear(3, 3)).at(20))
    ask(run, "trace")
    work(run, partial(of_file, program))
    assert "the weights are those of another model: 0.bias is missing" in last_text(run)


def test_a_user_s_program_runs_only_when_it_was_named(run, program):
    ask(run, "trace")
    work(run, partial(of_run, run.manifest, []))
    assert f"runs again only if you say so: landscope ui --trust {program}" in last_text(run)
    ask(run, "trace", parameters={"budget": 8})
    work(run, partial(of_run, run.manifest, [program]))
    assert last_text(run) == "trace is done"


def test_a_run_without_a_program_says_so(tmp_path, program):
    with RunWriter.create(tmp_path / "other", name="notebook") as writer:
        writer.measurement(0, "snapshot", snapshot(of_file(program).model).at(0))
    with pytest.raises(ValueError, match="does not say which program trained it"):
        of_run(replace(writer.manifest, program=""))


def test_a_waiting_job_is_cancelled_before_it_begins(run, program):
    ask(run, "trace", parameters={"budget": 8})
    waiting = ask(run, "density")
    send_command(run.path, "cancel", {"job": waiting})
    work(run, partial(of_file, program))
    assert states(run, waiting) == ["queued", "cancelled"]
    assert not run.frames(f"lab/{waiting}/density")


def test_a_job_that_ended_its_process_twice_is_given_up(run, program):
    job = ask(run, "trace", parameters={"budget": 8})
    with RunAppender(run.path) as appender:
        for attempt in (1, 2):
            data = {"job": job, "what": "trace", "state": "running", "done": 0.0, "attempt": attempt}
            appender.event(10, "job", "trace is measured", data)
    following = ask(run, "trace", parameters={"budget": 8})
    work(run, partial(of_file, program))
    given_up, *_ = [event.text for event in run.events("job") if event.data["state"] == "failed"]
    assert "ended the process that measured it 2 times" in given_up
    assert states(run, job)[-1] == "failed"
    assert states(run, following)[-1] == "done"


def test_a_folder_deleted_meanwhile_ends_it(run, program):
    ask(run, "trace", steps=[0, 5], parameters={"budget": 8})
    with RunAppender(run.path) as appender:
        queue = JobQueue(run, appender, partial(of_file, program))
        shutil.rmtree(run.path)
        with pytest.raises(FileNotFoundError, match="deleted or replaced"):
            queue.carry_out(queue.waiting[0])


def test_statistics_of_batch_norm_that_were_not_kept_are_the_batches_own(tmp_path, caplog):
    path = tmp_path / "normed.py"
    path.write_text(
        "import torch\nfrom torch import nn\nimport landscope\n"
        "def experiment():\n"
        "    torch.manual_seed(0)\n"
        "    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))\n"
        "    x = torch.randn(16, 4)\n"
        "    return landscope.Experiment(model, nn.MSELoss(), (x, x[:, :2]))\n"
    )
    model = of_file(path).model
    with RunWriter.create(tmp_path / "runs", name="normed") as writer:
        writer.measurement(3, "snapshot", snapshot(model).at(3))
    run = Run(writer.path)
    job = ask(run, "slice1d", parameters={"points": 5})
    work(run, partial(of_file, path))
    assert run.measurement(f"lab/{job}/slice1d").provenance.batch_norm == "batch"
    assert "normalised by their own" in caplog.text


def test_a_request_is_the_same_whatever_its_steps():
    one = MeasureRequest.read(1, {"what": "trace", "steps": [1], "parameters": {"budget": "60"}})
    two = MeasureRequest.read(2, {"what": "trace", "steps": [2]})
    assert one.key == two.key != MeasureRequest.read(3, {"what": "trace", "examples": 8}).key
    assert one.key != MeasureRequest.read(4, {"what": "sharpness"}).key
    assert lab.chosen("trace", one.params["parameters"])[1].budget == 60


def weights_of(run, step):
    return torch.from_numpy(run.measurement("snapshot", step=step).theta)


def kept_slice(run, measured, step):
    """The number of a slice's frame, as if the run's trainer had recorded it."""
    with RunAppender(run.path) as appender:
        appender.measurement(step, f"slice/{measured.plane}", measured.at(step))
    return run.frames(f"slice/{measured.plane}")[-1].seq


def test_a_place_on_a_random_plane_is_measured_beside_what_the_plane_says(run, program):
    objective, theta = of_file(program).objective("train"), weights_of(run, 5)
    measured = landscape.slice2d(objective, theta=theta, points=17, seed=4)
    frame = kept_slice(run, measured, 5)
    job = ask(run, "trace", at={"frame": frame, "alpha": 0.31, "beta": -0.2}, parameters={"budget": 8})
    work(run, partial(of_file, program))
    first, second = landscape.random_directions(objective, 2, seed=4, theta=theta).double()
    there = (theta.double() + 0.31 * first - 0.2 * second).float()
    found = run.measurement(f"lab/{job}/trace")
    assert found.value == pytest.approx(curvature.trace(objective, theta=there, budget=8).value, rel=1e-5)
    assert found.provenance.step == 5
    remark = run.events("job")[-1].data["remark"]
    assert found.provenance.method.endswith(remark)
    assert remark.startswith("at alpha 0.31, beta -0.2 of the random plane of step 5: the plane says ")
    assert remark.endswith(f", measured {objective.value(there):.4g}")


def test_a_place_on_the_trajectory_s_plane(run, program):
    objective, steps = of_file(program).objective("train"), (0, 5)
    path, theta = torch.stack([weights_of(run, step) for step in steps]), weights_of(run, 10)
    measured = landscape.trajectory_slice(objective, path, theta=theta, path_steps=steps, points=9)
    frame = kept_slice(run, measured, 10)
    alpha, beta = float(measured.alpha[2]), float(measured.beta[5])
    job = ask(run, "slice1d", at={"frame": frame, "alpha": alpha, "beta": beta}, parameters={"points": 5})
    work(run, partial(of_file, program))
    assert run.measurement(f"lab/{job}/slice1d").centre_loss == pytest.approx(measured.loss[2, 5], rel=1e-5)
    assert f"says {measured.loss[2, 5]:.4g}, measured" in last_remark(run)


def last_remark(run):
    return run.events("job")[-1].data["remark"]


def test_a_plane_that_says_something_else_is_said_to(run, program):
    objective = of_file(program).objective("train")
    measured = landscape.slice2d(objective, theta=weights_of(run, 5), points=9)
    frame = kept_slice(run, measured.replaced(loss=1.5 * measured.loss), 5)
    ask(run, "trace", at={"frame": frame, "alpha": 0.5, "beta": 0.5}, parameters={"budget": 8})
    work(run, partial(of_file, program))
    assert last_remark(run).endswith("further apart than that")


@pytest.mark.parametrize(
    ("at", "step", "reason"),
    [
        ({"alpha": 0.0, "beta": 0.0}, 7, "the weights of step 7, around which the plane lies, were not kept"),
        ({"alpha": 3.0, "beta": 0.0}, 5, "alpha must lie on the slice, from -1 to 1, got 3"),
        ({"alpha": 0.0, "beta": "x"}, 5, "beta must be a finite number"),
        ({"alpha": 0.0}, 5, "at must hold frame, alpha and beta"),
        ({"alpha": 0.0, "beta": 0.0, "frame": 1}, 5, "frame 1 is no slice"),
    ],
)
def test_a_place_that_cannot_be_found_again_is_refused_in_words(run, program, at, step, reason):
    objective = of_file(program).objective("train")
    frame = kept_slice(run, landscape.slice2d(objective, theta=weights_of(run, 5), points=3), step)
    ask(run, "trace", at={"frame": frame, **at})
    work(run, partial(of_file, program))
    assert run.events("job")[-1].data["state"] == "failed"
    assert reason in last_text(run)


def test_a_place_is_of_the_plane_s_own_step():
    at = {"frame": 3, "alpha": 0.0, "beta": 1}
    request = MeasureRequest.read(1, {"what": "trace", "at": at})
    assert MeasureRequest.read(1, request.params) == request
    assert request.key != MeasureRequest.read(1, {"what": "trace"}).key
    with pytest.raises(ValueError, match="either at or a step"):
        MeasureRequest.read(1, {"what": "trace", "at": at, "step": 5})
