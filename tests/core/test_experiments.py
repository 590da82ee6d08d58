"""What can be measured again: an experiment's objectives."""

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from landscope import Experiment


def test_objectives_are_those_of_its_data_and_options():
    model, x, y = nn.Linear(3, 2), torch.randn(300, 3), torch.randn(300, 2)
    doubled = Experiment(model, mse_loss, {"x": x, "y": y}, forward=lambda model, batch: 2 * model(batch["x"]))
    objective = doubled.objective(examples=400)
    assert (objective.examples, objective.split) == (300, "train")
    assert objective.value() == pytest.approx(mse_loss(2 * model(x), y).item(), rel=1e-6)


def test_missing_data_are_said():
    experiment = Experiment(nn.Linear(3, 2), mse_loss, (torch.randn(4, 3), torch.randn(4, 2)))
    with pytest.raises(ValueError, match="has no 'test' data; measure 'train'"):
        experiment.objective("test")
