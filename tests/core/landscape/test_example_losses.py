"""Losses of single examples, read off a user's loss, and labels counted right without a search for the largest."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscope.classes import Classification
from landscope.landscape.example_losses import NotAMeanError, element_losses, in_order


def logits(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("classes", [2, 10, 15, 16, 40])
@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.2, ignore_index=1)])
def test_cross_entropy_of_few_and_many_classes(classes, loss):
    output, target = logits(30, classes), torch.arange(30) % classes
    expected = [loss(one.unsqueeze(0), t.unsqueeze(0)) for one, t in zip(output, target, strict=True)]
    found = element_losses(loss, output, target, 30)
    torch.testing.assert_close(found, torch.stack(expected).nan_to_num(0.0), rtol=1e-6, atol=1e-6)


def test_elements_of_an_example_are_averaged():
    output, target = logits(4, 3, 2), torch.zeros(4, 3, 2)
    found = element_losses(lambda out, t: F.mse_loss(out.flatten(0, 1), t.flatten(0, 1)), output, target, 4)
    torch.testing.assert_close(found, output.square().mean((1, 2)))


@pytest.mark.parametrize(
    "loss",
    [
        lambda out, t: 2 * F.cross_entropy(out, t),
        lambda out, t: F.cross_entropy(out, t, reduction="sum") / len(t),
        lambda out, t: F.cross_entropy(out, t) + out.square().mean(),
        lambda out, t: out.square().mean(),
    ],
)
def test_other_losses_are_refused(loss):
    with pytest.raises(NotAMeanError, match="not the mean of the elements"):
        element_losses(loss, logits(5, 3), torch.zeros(5, dtype=torch.long), 5)


def test_elements_in_another_order_are_noticed():
    output, target = logits(6, 3), logits(6, 3, seed=1)

    def plain(out, t):
        return F.mse_loss(out, t)

    def turned(out, t):
        return F.mse_loss(out.T, t.T)

    for loss, right in ((plain, True), (turned, False)):
        assert in_order(loss, output, target, element_losses(loss, output, target, 6), 1e-4) == right


@pytest.mark.parametrize("spoil", ["nothing", "ties", "all equal", "nan", "infinite"])
@pytest.mark.parametrize("dim", [1, 2])
def test_right_labels_at_several_points_are_those_of_the_largest_output(spoil, dim):
    outputs = logits(3, 8, 5, 4)
    target = torch.arange(8 * 20).reshape(8, 5, 4)[:, 0] if dim == 1 else torch.arange(8 * 5).reshape(8, 5)
    target = target % outputs.shape[dim + 1]
    target[0, 0], target[1, 1], target[2, 2] = -100, 2, 9
    if spoil == "ties":
        outputs = outputs.round()
    elif spoil == "all equal":
        outputs = torch.zeros_like(outputs)
    elif spoil == "nan":
        outputs = outputs.where(logits(3, 8, 5, 4, seed=2) < 1, torch.nan)
    elif spoil == "infinite":
        outputs = outputs.where(logits(3, 8, 5, 4, seed=2).abs() < 1, -torch.inf)
    classes = Classification(dim, one_hot=False, ignored=2)
    right, counted = classes.right_at_points(outputs, target)
    expected = [classes.right(output, target) for output in outputs]
    assert right.tolist() == [int(one) for one, _ in expected]
    assert {int(counted)} == {int(count) for _, count in expected}
