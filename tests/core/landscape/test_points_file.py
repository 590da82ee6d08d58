"""Finished points on disk: taken over after any end, and never by another slice."""

import os
import random
import signal
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscope.landscape import cut, refine, slice2d
from landscope.landscape.points_file import PointsFile
from landscope.objective import Objective

NAMES = ("loss", "error")
ABOUT = {"centre/loss": 1.5}


def opened(folder, key="key", names=NAMES, about=ABOUT):
    return PointsFile(folder, key, names, about)


def write(folder, numbers, **options):
    kept = opened(folder, **options)
    kept.add(numbers, {"loss": np.array(numbers) / 3, "error": np.array([np.nan, *numbers[1:]])})
    kept.close()
    return kept.path


def test_points_come_back_as_they_were(tmp_path):
    write(tmp_path / "new" / "folder", [4, 7])
    write(tmp_path / "new" / "folder", [1])
    kept = opened(tmp_path / "new" / "folder")
    kept.close()
    assert list(kept.finished) == [4, 7, 1]
    assert kept.finished[7] == (7 / 3, 7.0)
    assert np.isnan(kept.finished[4][1])


def test_a_torn_end_is_cut_away_and_written_over(tmp_path):
    path = write(tmp_path, [0, 1, 2])
    whole = path.read_bytes()
    record = 8 + 2 * 8 + 4
    for torn in range(1, record):
        path.write_bytes(whole[:-torn])
        kept = opened(tmp_path)
        kept.close()
        assert list(kept.finished) == [0, 1]
        assert path.read_bytes() == whole[:-record]
    assert write(tmp_path, [2]).read_bytes()[:-record] == whole[:-record]


def test_a_damaged_record_ends_what_is_taken(tmp_path):
    path = write(tmp_path, [0, 1, 2])
    damaged = bytearray(path.read_bytes())
    damaged[-40] ^= 1  # in the second record
    path.write_bytes(damaged)
    kept = opened(tmp_path)
    kept.close()
    assert list(kept.finished) == [0]


@pytest.mark.parametrize("content", [b"", b"land", b"something else\nand more\n", b"landscope points 1\n{broken\n"])
def test_what_is_no_such_file_is_begun_anew(tmp_path, content):
    (tmp_path / "key.points").write_bytes(content)
    kept = opened(tmp_path)
    kept.close()
    assert kept.finished == {}
    write(tmp_path, [3])
    again = opened(tmp_path)
    again.close()
    assert list(again.finished) == [3]


@pytest.mark.parametrize(
    "options",
    [
        {"names": ("loss", "accuracy")},
        {"names": ("error", "loss")},
        {"about": {"centre/loss": 1.501}},
        {"about": {"centre/loss": np.nan}},
        {"about": {}},
        {"about": {**ABOUT, "corner/loss": 1.0}},
    ],
)
def test_other_values_are_not_taken(tmp_path, options):
    write(tmp_path, [0, 1])
    kept = opened(tmp_path, **options)
    kept.close()
    assert kept.finished == {}


def test_numbers_that_agree_but_for_rounding_are_the_same(tmp_path):
    write(tmp_path, [0, 1], about={"loss": 1.5, "class/0": np.nan, "tiny": 1e-17, "far": np.inf})
    kept = opened(tmp_path, about={"loss": 1.5 + 1e-7, "class/0": np.nan, "tiny": 0.0, "far": np.inf})
    kept.close()
    assert list(kept.finished) == [0, 1]


# Slices


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def setting(loss=F.cross_entropy, seed=1, data=2, activation=nn.Tanh, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), activation(), nn.Linear(5, 3)).double()
    labels = torch.randint(0, 3, (20,), generator=torch.Generator().manual_seed(data))
    return Objective(model, loss, (numbers(20, 4, seed=data), labels), batch_size=8, **options)


def spent(objective, **options):
    """A slice, and how many points were evaluated for it beside what every slice takes."""
    found = slice2d(objective, **{"points": 7, "radius": 0.5, **options})
    return found, int(found.provenance.forwards) - 5


FIELDS = ("loss", "accuracy", "error", "contrast_error", "gradient")


def test_a_slice_begun_again_takes_its_points_from_where_it_stopped(tmp_path):
    options = {"points": 7, "radius": 0.5, "gradient": True, "per_class": True}
    whole = slice2d(setting(), **options)
    for stop in (1, 3, 4):
        steps = cut(setting(), store=tmp_path, **options).steps(slot=1e-9)
        for _ in range(stop):
            next(steps)
        steps.close()
    (path,) = tmp_path.iterdir()
    kept = (path.stat().st_size, path.read_bytes())
    found, evaluated = spent(setting(), store=tmp_path, gradient=True, per_class=True)
    done = 49 - evaluated
    assert done >= 8
    assert path.read_bytes().startswith(kept[1])
    assert found.provenance.gradients == evaluated
    for name in FIELDS:
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-12, atol=1e-14)
    for name in whole.metrics:
        np.testing.assert_allclose(found.metrics[name], whole.metrics[name], rtol=1e-12)
    assert spent(setting(), store=tmp_path, gradient=True, per_class=True)[1] == 0
    *_, last = refine(setting(), store=tmp_path, first_picture=1e9, **options)
    np.testing.assert_array_equal(last.loss, found.loss)
    assert last.provenance.forwards == 5


class Doubled(nn.CrossEntropyLoss):
    """The same at the centre, where the output's mean is what it was, but not elsewhere."""

    def __init__(self, mean):
        super().__init__()
        self.mean = mean

    def forward(self, output, target):
        return super().forward(output, target) + 10 * (output.mean() - self.mean).square()


def test_another_slice_never_takes_points(tmp_path):
    spent(setting(), store=tmp_path)
    mean = float(setting().outputs().mean())
    others = {
        "weights": setting(seed=2),
        "data": setting(data=3),
        "loss": setting(smoothed),
        "loss elsewhere": setting(Doubled(mean)),
        "activation": setting(activation=nn.ReLU),
        "batch norm": setting(batch_norm="batch"),
        "frozen": setting(),
    }
    with torch.no_grad():
        others["frozen"].model[1].running_mean += 0.1
    for name, objective in others.items():
        found, evaluated = spent(objective, store=tmp_path)
        assert evaluated == 49, name
        np.testing.assert_allclose(found.loss, spent(objective)[0].loss, rtol=1e-12)


def smoothed(output, target):
    return F.cross_entropy(output, target, label_smoothing=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1},
        {"radius": 0.50001},
        {"points": 9},
        {"scale": "log"},
        {"theta": torch.zeros(1)},
        {"metrics": {"square": lambda out, t: out.square().mean()}},
        {"per_class": True},
        {"errors": False},
        {"gradient": True},
    ],
)
def test_different_slices_share_a_folder(tmp_path, options):
    if "theta" in options:
        options = {"theta": setting().theta() + 1e-9}
    spent(setting(), store=tmp_path)
    found, evaluated = spent(setting(), store=tmp_path, **options)
    assert evaluated == found.loss.size
    assert len(list(tmp_path.iterdir())) == 2
    assert spent(setting(), store=tmp_path)[1] == spent(setting(), store=tmp_path, **options)[1] == 0


def slowly(folder):
    """In a process of its own, a slice that takes some seconds."""
    child = os.fork()
    if child:
        return child
    try:
        objective = setting()
        # A number is read, so that points are evaluated one after the other.
        objective.model[3].register_forward_pre_hook(
            lambda module, inputs: time.sleep(0.003 + 0 * inputs[0].sum().item())
        )
        spent(objective, points=17, store=folder)
    finally:
        os._exit(0)


def size(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="forks a process that has torch in it")
def test_a_slice_that_is_killed_goes_on(tmp_path):
    rng, sizes = random.Random(0), [0]
    for _ in range(4):
        child, give_up = slowly(tmp_path), time.monotonic() + 20
        while size(tmp_path) < sizes[-1] + 300 and time.monotonic() < give_up:
            time.sleep(0.005)
        time.sleep(0.3 * rng.random())
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        sizes.append(size(tmp_path))
    assert sizes == sorted(set(sizes))
    (path,) = tmp_path.iterdir()
    record = 8 + 4 * 8 + 4  # number; loss, error, contrast error, accuracy; checksum
    header = path.read_bytes().index(b"\n", path.read_bytes().index(b"\n") + 1) + 1
    done = (sizes[-1] - header) // record
    assert 32 <= done < 289
    found, evaluated = spent(setting(), points=17, store=tmp_path)
    assert evaluated == 289 - done
    whole, _ = spent(setting(), points=17)
    for name in FIELDS[:-1]:
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-12, atol=1e-14)
