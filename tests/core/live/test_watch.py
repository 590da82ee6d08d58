"""Watching changes nothing, survives its probes, and records what happened."""

import logging
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import landscope
from landscope.live import Probe, watch
from landscope.measurements import Provenance, Slice1D, Slice2D
from landscope.runs import open_run


class SmallNet(nn.Module):
    """Convolution, batch normalisation and dropout: everything that measuring might disturb."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.3)
        self.readout = nn.Linear(4 * 16, 3)

    def forward(self, images):
        return self.readout(self.drop(torch.relu(self.norm(self.conv(images)))).flatten(1))


def data(seed, count=60):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 1, 6, 6, generator=generator)
    return images, torch.randint(3, (count,), generator=generator)


def trained(steps=12, **watching):
    """A small training with shuffled minibatches, momentum and clipping; watched if there are arguments for that."""
    torch.manual_seed(0)
    model = SmallNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    images, classes = data(1)
    scope = (
        watch(model, functional.cross_entropy, (images, classes), data(2), optimizer, **watching) if watching else None
    )
    losses = []
    for _ in range(steps):
        batch = torch.randperm(len(images))[:20]
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images[batch]), classes[batch])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if scope:
            scope.step(loss)
    if scope:
        scope.measure()
        scope.close()
    return model, optimizer, losses, scope


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    return trained(runs=tmp_path_factory.mktemp("runs"), overhead=50.0, name="small net")


def test_weights_are_bit_identical_with_and_without_watching(watched):
    model, optimizer, losses, _ = watched
    alone, alone_optimizer, alone_losses, _ = trained()
    assert losses == alone_losses
    for name, tensor in alone.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    for state, other in zip(optimizer.state.values(), alone_optimizer.state.values(), strict=True):
        assert torch.equal(state["momentum_buffer"], other["momentum_buffer"])


def test_everything_promised_is_recorded(watched):
    run = open_run(watched[3].path)
    assert run.head().status == "finished"
    assert {frame.name for frame in run.frames()} >= {
        "slice/random", "slice/trajectory", "density", "ntk", "embedding", "sharpness", "snapshot",
        "sharpness/measures", "quadratic", "embedding/umap", "geometry", "examples",
        "similarity/layers", "similarity/steps", "gradients", "gradients/conflict", "weights", "units", "plasticity",
        "examples/history", "examples/mixture", "outputs/calibration", "outputs/change",
    }  # fmt: skip
    assert set(run.scalar_names()) >= {
        "train/loss", "test/loss", "train/accuracy", "test/accuracy", "step/loss", "norm/gradient", "norm/weights",
        "sharpness/lambda_max", "sharpness/threshold", "ntk/eigenvalue.1", "density/trace", "overhead/share",
        "ntk/drift", "ntk/velocity", "ntk/weights", "ntk/features", "ntk/test_alignment", "ntk/label_energy",
        "sharpness/stderr", "sharpness/measures/sam", "sharpness/measures/trace",
        "sharpness/measures/share_of_the_stability_limit", "quadratic/radius.gradient",
        "embedding/umap/displacement", "geometry/nc1", "geometry/effective_rank", "geometry/uniformity",
        "step/gradient_norm", "step/update_ratio", "step/update_cosine", "gradients/trace", "plasticity/loss",
    }  # fmt: skip
    assert not run.events("probe-off")
    assert run.manifest.config["optimizer"]["momentum"] == 0.9


def test_recorded_numbers_are_the_training_s(watched):
    model, _, losses, scope = watched
    run = open_run(scope.path)
    steps, values = run.scalars("step/loss")
    assert steps.tolist() == list(range(1, 13))
    np.testing.assert_allclose(values, losses, rtol=1e-6)
    images, classes = data(1)
    with torch.no_grad():
        outputs = model.eval()(images)
    steps, values = run.scalars("train/loss")
    assert steps[-1] == 12
    assert values[-1] == pytest.approx(float(functional.cross_entropy(outputs, classes)), rel=1e-5)
    _, values = run.scalars("train/accuracy")
    assert values[-1] == pytest.approx(float((outputs.argmax(1) == classes).double().mean()))


def test_first_and_last_snapshot_are_the_weights(watched):
    model, _, _, scope = watched
    run = open_run(scope.path)
    torch.manual_seed(0)
    initial = torch.cat([p.detach().flatten() for p in SmallNet().parameters()])
    final = torch.cat([p.detach().flatten() for p in model.parameters()])
    np.testing.assert_array_equal(run.measurement("snapshot", step=0).theta, initial.numpy())
    np.testing.assert_array_equal(run.measurement("snapshot").theta, final.numpy())


def test_slices_carry_the_step_and_the_path(watched):
    plane = open_run(watched[3].path).measurement("slice/trajectory")
    assert isinstance(plane, Slice2D)
    assert plane.provenance.step == 12
    assert plane.path_steps.tolist() == list(range(13))
    np.testing.assert_allclose(plane.path[-1], 0, atol=1e-5)  # the path ends where the plane is centred
    assert plane.loss[8, 8] > 0


def test_a_failing_probe_is_switched_off_with_its_reason_and_training_goes_on(tmp_path, caplog):
    def breaks(watched):
        if watched.step == 2:
            raise RuntimeError("out of memory: tried to allocate 80 GiB")
        return {"fine": 1.0}

    probes = [Probe("fragile", breaks), Probe("sturdy", lambda watched: {"sturdy": float(watched.step)})]
    model = nn.Linear(3, 2)
    with caplog.at_level(logging.WARNING):
        scope = watch(
            model, nn.MSELoss(), (torch.randn(8, 3), torch.randn(8, 2)), probes=probes, runs=tmp_path, overhead=1e9
        )
        for _ in range(4):
            scope.step(1.0)
            scope.measure()
        scope.close()
    run = open_run(scope.path)
    (event,) = run.events("probe-off")
    assert event.step == 2
    assert "out of memory: tried to allocate 80 GiB" in event.text
    assert event.data["probe"] == "fragile"
    assert run.scalars("sturdy")[0][-1] == 4
    assert run.scalars("fine")[0][-1] < 2
    assert caplog.text.count("fragile") == 1


def test_divergence_is_said_and_does_not_switch_probes_off(tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e20)
    inputs, targets = torch.randn(8, 3), torch.randn(8, 2)
    scope = watch(model, nn.MSELoss(), (inputs, targets), optimizer=optimizer, runs=tmp_path, overhead=1e9)
    for _ in range(4):
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(inputs), targets)
        loss.backward()
        optimizer.step()
        scope.step(loss)
        scope.measure()
    scope.close()
    run = open_run(scope.path)
    assert not np.isfinite(run.scalars("train/loss")[1][-1])
    assert "iverged" in run.findings()[-1].text
    assert not run.events("probe-off")


def test_pause_resume_and_stop_from_the_page(tmp_path):
    model = nn.Linear(3, 2)
    scope = watch(model, nn.MSELoss(), (torch.randn(8, 3), torch.randn(8, 2)), probes=[], runs=tmp_path)
    run = open_run(scope.path)
    run.send("pause")
    time.sleep(0.5)
    watcher = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; time.sleep(0.5); from landscope.runs import open_run; "
         "open_run(sys.argv[1]).send('resume')", str(scope.path)]
    )  # fmt: skip
    began = time.monotonic()
    scope.step(0.0)
    assert time.monotonic() - began > 0.4
    watcher.wait(20)
    assert not scope.stopped
    run.send("stop")
    for _ in range(100):
        scope.step(0.0)
        if scope.stopped:
            break
        time.sleep(0.05)
    assert scope.stopped
    scope.close("stopped")
    assert run.head().status == "stopped"
    assert [event.text for event in run.events("command")] == ["pause", "resume", "stop"]


def test_everything_is_measured_without_what_takes_seconds_to_import(tmp_path):
    code = (
        "import sys, torch, landscope as ls; m = torch.nn.Linear(3, 2); "
        "s = ls.watch(m, torch.nn.CrossEntropyLoss(), (torch.randn(16, 3), torch.arange(16) % 2)); s.measure(); "
        "slow = {'sklearn', 'umap', 'numba', 'pandas', 'scipy.stats', 'plotly', 'torch._dynamo'} & set(sys.modules); "
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


PROGRAM = textwrap.dedent(
    """
    import sys, torch, landscope
    from torch import nn
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.randn(8, 3), torch.randn(8, 2)
    scope = landscope.watch(model, nn.MSELoss(), train=(x, y), optimizer=optimizer, probes=[])
    step = 0
    while step < 20 or sys.argv[1] == "forever":
        step += 1
        loss = nn.MSELoss()(model(x), y)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        scope.step(loss)
        if step == 5: print("going", flush=True)
        if step == 10 and sys.argv[1] == "raise": raise RuntimeError("a user's mistake")
    """
)


# One process imports once and forks a program for each ending, so that three take hardly longer than one. Each runs as
# __main__, and is ended by Python as any program is.
_NURSERY = """
import os, runpy, signal, sys
import torch, landscope
landscope.watch, torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # these import most

program, folder, *modes = sys.argv[1:]
for mode in modes:
    said, says = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(120)  # none goes on for ever
        os.dup2(says, 1)
        os.environ["LANDSCOPE_RUNS"] = f"{folder}/{mode}"
        sys.argv = [program, mode]
        runpy.run_path(program, run_name="__main__")
        break
    os.close(says)
    if mode == "forever" and os.read(said, 5) == b"going":
        os.kill(child, signal.SIGINT)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A folder with a folder of runs for each ending."""
    folder = tmp_path_factory.mktemp("ended")
    program = folder / "train.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-c", _NURSERY, program, folder, "end", "raise", "forever"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=180)
    return folder


@pytest.mark.parametrize(("mode", "status"), [("end", "finished"), ("raise", "failed"), ("forever", "stopped")])
def test_two_lines_alone_record_how_the_program_ended(ended, mode, status):
    (run,) = landscope.runs.list_runs(ended / mode)
    assert run.name == "train"
    assert run.status == status
    steps, _ = landscope.open(ended / mode / run.id).scalars("step/loss")
    assert steps.tolist() == list(range(1, len(steps) + 1))
    assert len(steps) >= {"end": 20, "raise": 9, "forever": 5}[mode]


class Counted(torch.utils.data.Dataset):
    """Examples of 4 KiB that count how often they are read."""

    def __init__(self):
        self.read = 0

    def __len__(self):
        return 5000

    def __getitem__(self, index):
        self.read += 1
        return torch.full((1024,), float(index % 7)), torch.tensor(float(index % 7)).reshape(1)


def test_no_more_of_a_large_data_set_is_read_than_fits_the_memory_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr("landscope.live.preparation._BYTES", 2**20)
    data = Counted()
    with watch(nn.Linear(1024, 1), nn.MSELoss(), data, probes=[], runs=tmp_path) as scope:
        scope.step(0.0)
    assert data.read <= 32 + 2**20 // 4096
    assert open_run(scope.path).manifest.config["train_examples"] <= 256


def test_data_that_can_be_read_once_only(tmp_path):
    batches = ((torch.randn(10, 3), torch.randn(10, 2)) for _ in range(20))
    with watch(nn.Linear(3, 2), nn.MSELoss(), batches, probes=[], runs=tmp_path) as scope:
        scope.step(0.0)
    assert 32 <= open_run(scope.path).manifest.config["train_examples"] <= 200


def test_objectives_that_cannot_be_measured_are_refused_before_training(tmp_path):
    with pytest.raises(ValueError, match="expected a mean over examples"):
        watch(nn.Linear(3, 2), nn.MSELoss(reduction="none"), (torch.ones(4, 3), torch.ones(4, 2)), runs=tmp_path)


def line(value):
    """A measurement that holds one number."""
    axis = np.zeros(1)
    return Slice1D(
        provenance=Provenance(method="made up"), alpha=axis, loss=axis + value, centre_loss=value, plane="given",
        normalisation="none", axes=("one",),
    )  # fmt: skip


def watched_with(probe, tmp_path):
    model = nn.Linear(3, 2)
    data = (torch.randn(8, 3), torch.randn(8, 2))
    return watch(model, nn.MSELoss(), data, probes=[probe], runs=tmp_path, overhead=1e9)


def test_a_long_measurement_goes_on_between_steps_and_belongs_to_the_step_it_was_begun_at(tmp_path, monkeypatch):
    monkeypatch.setattr("landscope.live.budget._SHORTEST_INTERVAL", 0.0)
    begun = []

    def sharpening(watched):
        begun.append(watched.step)
        yield line(0.0)
        yield None
        yield line(1.0)

    scope = watched_with(Probe("long", sharpening), tmp_path)  # shows its first result at once
    for _ in range(6):
        scope.step()
    scope.close()
    # Steps 1 and 2 bring the rest, step 3 finds nothing more, and step 4 begins anew.
    assert begun == [0, 4]
    frames = open_run(scope.path).frames("long")
    assert [frame.step for frame in frames] == [0, 0, 4, 4]
    assert float(open_run(scope.path).measurement("long", 3).loss[0]) == 1.0


def test_weights_of_now_are_worth_more_than_the_last_sharpness_of_old_ones(tmp_path, monkeypatch):
    monkeypatch.setattr("landscope.live.budget._SHORTEST_INTERVAL", 0.0)
    monkeypatch.setattr("landscope.live.runner._PATIENCE", 0.0)

    def never_done(watched):
        yield None
        while True:
            yield line(float(watched.step))

    scope = watched_with(Probe("endless", never_done), tmp_path)
    for _ in range(4):
        scope.step()
    scope.close()
    # What has shown nothing yet is kept; what has shown something gives way at the next step.
    assert [frame.step for frame in open_run(scope.path).frames("endless")] == [0, 1, 3]


def test_a_long_measurement_that_fails_is_switched_off(tmp_path):
    def breaks(watched):
        yield line(0.0)
        raise RuntimeError("no more")

    scope = watched_with(Probe("fragile", breaks), tmp_path)
    time.sleep(0.25)
    scope.step()
    scope.step()
    scope.close()
    (event,) = open_run(scope.path).events("probe-off")
    assert "no more" in event.text
