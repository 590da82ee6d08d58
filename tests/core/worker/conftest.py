"""A run of a user's program that trained a small network, recorded without training it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from landscope.measurements import Provenance, Snapshot
from landscope.runs import Run, RunWriter

# What the loss does is decided by a file beside the program, so that tests can make a measurement slow or fatal.
PROGRAM = '''
"""A user's program."""
import os, signal, time
from pathlib import Path
import torch
from torch import nn
import landscope

MOOD = Path(__file__).with_name("mood")


def loss(output, target):
    mood = MOOD.read_text() if MOOD.exists() else ""
    if mood == "slow":
        time.sleep(0.02)
    elif mood == "stuck":
        time.sleep(60)
    elif mood == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    elif mood == "greedy":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
    return nn.functional.mse_loss(output, target)


def experiment():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    x, y = torch.randn(24, 4), torch.randn(24, 2)
    return landscope.Experiment(model, loss, (x[:16], y[:16]), (x[16:], y[16:]))


if __name__ == "__main__":
    raise SystemExit("this would train")
'''


def snapshot(model: nn.Module) -> Snapshot:
    """The weights of a model as a run keeps them."""
    named = dict(model.named_parameters())
    theta = torch.cat([parameter.detach().reshape(-1) for parameter in named.values()])
    sizes = tuple(parameter.numel() for parameter in named.values())
    return Snapshot(provenance=Provenance(method="test"), theta=theta.numpy(), names=tuple(named), sizes=sizes)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def mood(program: Path):
    """Says what the loss does from now on."""
    return program.with_name("mood").write_text


def recorded(root: Path, program: Path) -> Run:
    """A finished run of the program, with the weights of steps 0, 5 and 10."""
    torch.manual_seed(1)
    before, sys.argv = sys.argv, [str(program)]
    try:
        writer = RunWriter.create(root, name="own")
    finally:
        sys.argv = before
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    for step in (0, 5, 10):
        writer.measurement(step, "snapshot", snapshot(model).at(step))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * torch.from_numpy(np.random.default_rng(step).normal(size=parameter.shape)).float()
    writer.close()
    return Run(writer.path)


@pytest.fixture
def run(tmp_path: Path, program: Path) -> Run:
    return recorded(tmp_path / "runs", program)
