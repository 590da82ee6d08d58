"""The code in the README and in docs/ runs as it is."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import landscope
from landscope.runs import list_runs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [code for page in PAGES for code in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)]


@pytest.fixture
def names():
    """What the snippets take for granted."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    x, y = torch.randn(40, 4), torch.randint(3, (40,))
    train_set, test_set = torch.utils.data.random_split(torch.utils.data.TensorDataset(x, y), [30, 10])
    return {
        "model": model,
        "loss_fn": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "train_set": train_set,
        "test_set": test_set,
        "loader": torch.utils.data.DataLoader(train_set, batch_size=10, shuffle=True),
        "objective": landscope.Objective(model, nn.CrossEntropyLoss(), (x, y)),
        "x": x,
        "y": y,
    }


@pytest.mark.parametrize("code", BLOCKS, ids=lambda code: code.splitlines()[-1][:30])
def test_code_runs(code, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LANDSCOPE_RUNS", raising=False)
    exec(compile(code, "documentation", "exec"), names)
    if "scope" in names:
        names["scope"].close()
        (run,) = list_runs(tmp_path / "runs")
        assert landscope.open(tmp_path / "runs" / run.id).scalars("step/loss")[0].tolist() == [1, 2, 3]


def test_there_is_code_and_its_picture_is_there():
    assert len(BLOCKS) >= 2
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).is_file(), target
