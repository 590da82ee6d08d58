"""Training that is interrupted, and goes on from a checkpoint: steps are counted on, in a run that knows its parent."""

import tempfile
from pathlib import Path

import torch
from torch import nn

import landscope as ls

x, y = torch.randn(400, 8), torch.randint(3, (400,))
loss_fn = nn.CrossEntropyLoss()


def train(checkpoint: Path, steps: int) -> None:
    """Trains for so many steps, from the checkpoint if there is one, and makes another."""
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    state = torch.load(checkpoint) if checkpoint.exists() else {}
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    with ls.watch(model, loss_fn, train=(x, y), optimizer=optimizer, resume=state.get("scope")) as scope:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            scope.step(loss)
        parts = {"model": model, "optimizer": optimizer, "scope": scope}
        torch.save({name: part.state_dict() for name, part in parts.items()}, checkpoint)


with tempfile.TemporaryDirectory() as folder:
    for _ in range(2):
        train(Path(folder) / "checkpoint.pt", steps=40)
