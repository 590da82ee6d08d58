"""Thumbnails and texts belong to the points that they are shown with."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.embedding import project, shown
from landscope.objective import Objective


def of_images(images, labels):
    model = nn.Sequential(nn.Flatten(), nn.Linear(images[0].numel(), 3))
    return Objective(model, nn.CrossEntropyLoss(), (images, labels), batch_size=7)


def test_thumbnails_are_the_images_of_the_points():
    labels = torch.arange(20) % 3
    images = torch.arange(20.0)[:, None, None, None] * torch.ones(1, 1, 4, 6)
    found = shown(of_images(images, labels), examples=9)
    points = project(of_images(images, labels), examples=9)
    np.testing.assert_array_equal(found.positions, points.positions)
    np.testing.assert_array_equal(found.labels, points.labels)
    assert found.thumbnails.shape == (9, 4, 6, 1)
    low, high = found.positions.min(), found.positions.max()
    expected = np.round(255 * (found.positions - low) / (high - low))
    np.testing.assert_array_equal(found.thumbnails[:, 2, 3, 0], expected)
    assert found.texts == ()


def test_large_images_are_averaged_and_colours_kept():
    images = torch.zeros(4, 3, 64, 32)
    images[:, 0, ::2] = 1.0  # every other line red
    found = shown(of_images(images, torch.arange(4) % 3), side=16)
    assert found.thumbnails.shape == (4, 16, 8, 3)
    assert (found.thumbnails[..., 0] == 255).all()  # the brightest there is
    assert not found.thumbnails[..., 1:].any()
    with pytest.raises(ValueError, match="side must be positive, got 0"):
        shown(of_images(images, torch.arange(4) % 3), side=0)


def test_tokens_are_texts():
    class Sums(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.read = nn.Embedding(5, 4), nn.Linear(4, 3)

        def forward(self, pairs):
            return self.read(self.embedding(pairs).sum(1))

    pairs = torch.tensor([[1, 2], [0, 4], [3, 3], [2, 0]])
    objective = Objective(Sums(), nn.CrossEntropyLoss(), (pairs, torch.arange(4) % 3))
    assert shown(objective).texts == ("1 2", "0 4", "3 3", "2 0")
    assert shown(objective, decode=lambda row: " + ".join(map(str, row))).texts[1] == "0 + 4"
    assert shown(objective).thumbnails is None


def test_other_inputs_have_neither():
    objective = Objective(nn.Linear(4, 2), nn.MSELoss(), (torch.randn(6, 4), torch.randn(6, 2)))
    found = shown(objective)
    assert (found.thumbnails, found.texts) == (None, ())
    assert set(found.labels) == {-1}
