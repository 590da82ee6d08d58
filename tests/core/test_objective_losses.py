"""Which losses an objective takes, what it refuses, and the losses of single examples."""

import functools
import logging
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscope.objective import Objective

N = 30


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Linear(3, 4).double()


@pytest.fixture
def xy():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N, 3, generator=generator, dtype=torch.float64), torch.randint(4, (N,), generator=generator)


def smoothed(output, target):
    return F.cross_entropy(output, target, label_smoothing=0.1)


def branching(output, target):
    loss = F.cross_entropy(output, target)
    return loss if loss > 1.0 else 2.0 * loss


@pytest.mark.parametrize(
    "loss",
    [
        F.cross_entropy,
        nn.CrossEntropyLoss(),
        smoothed,
        functools.partial(F.cross_entropy, label_smoothing=0.2),
        lambda output, target: F.nll_loss(output.log_softmax(1), target),
        nn.MultiMarginLoss(),
    ],
)
def test_losses_of_examples_are_those_of_batches_of_one(model, xy, loss):
    x, y = xy
    objective = Objective(model, loss, xy, batch_size=7)
    expected = torch.stack([loss(model(x[i : i + 1]), y[i : i + 1]) for i in range(N)]).detach()
    assert torch.allclose(objective.losses(), expected, rtol=1e-12)
    assert objective.value() == pytest.approx(float(expected.mean()), rel=1e-12)


def test_a_loss_that_branches_on_its_value_is_taken_one_by_one_and_that_is_logged(model, xy, caplog):
    x, y = xy
    objective = Objective(model, branching, xy)
    with caplog.at_level(logging.INFO, logger="landscope"):
        found = objective.losses()
    assert "one by one: vmap refused the loss" in caplog.text
    each = F.cross_entropy(model(x), y, reduction="none").detach()
    assert torch.allclose(found, torch.where(each > 1.0, each, 2 * each), rtol=1e-12)


def test_losses_at_another_point_and_of_outputs_that_are_no_tensors(xy):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 4).double()

        def forward(self, x):
            return {"logits": self.linear(x), "cache": None}, x.sum(1)

    def loss(output, target):
        return F.cross_entropy(output[0]["logits"], target) + output[1].mean()

    x, _ = xy
    objective = Objective(Two(), loss, xy, batch_size=8)
    theta = torch.zeros(objective.layout.size, dtype=torch.float64)
    expected = torch.log(torch.tensor(4.0)) + x.sum(1)
    assert torch.allclose(objective.losses(theta), expected, rtol=1e-6)
    assert objective.value(theta) == pytest.approx(float(expected.mean()), rel=1e-6)


def test_class_weights_cancel_in_the_losses_of_examples(model, xy):
    x, y = xy
    weights = torch.tensor([1.0, 2.0, 3.0, 0.5], dtype=torch.float64)
    objective = Objective(model, nn.CrossEntropyLoss(weight=weights), xy)
    assert torch.allclose(objective.losses(), F.cross_entropy(model(x), y, reduction="none").detach())
    assert objective.value() == pytest.approx(float(F.cross_entropy(model(x), y, weight=weights).detach()), rel=1e-12)


def test_an_ignored_example_has_no_loss_of_its_own(model, xy):
    x, y = xy[0], xy[1].clone()
    y[4] = -100
    objective = Objective(model, F.cross_entropy, (x, y))
    found = objective.losses()
    assert found.isnan().nonzero().tolist() == [[4]]
    assert objective.value() == pytest.approx(float(found.nanmean()), rel=1e-12)


def test_outputs_with_more_rows_than_examples_have_no_losses_of_examples(xy):
    model = nn.Linear(3, 4).double()
    x, y = torch.randn(6, 5, 3).double(), torch.randint(4, (6, 5))
    objective = Objective(
        model,
        F.cross_entropy,
        (x, y),
        forward=lambda m, batch: m(batch[0]).reshape(-1, 4),
        target=lambda batch: batch[1].reshape(-1),
    )
    assert objective.value() == pytest.approx(float(F.cross_entropy(model(x).reshape(-1, 4), y.reshape(-1)).detach()))
    with pytest.raises(ValueError, match=r"with 6 rows, one for each example of a batch, got shape \(30, 4\)"):
        objective.losses()


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (
            lambda o, t: F.cross_entropy(o, t).item(),
            TypeError,
            r"must return a tensor, got float; .* not loss\.item\(\)",
        ),
        (lambda o, t: F.cross_entropy(o, t, reduction="none"), ValueError, r"must be a scalar, got shape \(30,\)"),
        (lambda o, t: (o.argmax(1) == t).sum(), ValueError, "dtype int64, which has no gradient"),
        (lambda o, t: F.cross_entropy(o, t).detach(), ValueError, r"does not depend on the parameters.*detach"),
        (lambda o, t: F.cross_entropy(o, t) * float("nan"), ValueError, "loss at the model's weights is nan"),
        (lambda o, t: F.cross_entropy(o, t) / 0.0, ValueError, "loss at the model's weights is inf"),
        (nn.CrossEntropyLoss(reduction="sum"), ValueError, "reduction='sum', expected a mean"),
        (nn.CrossEntropyLoss(reduction="none"), ValueError, "reduction='none', expected a mean"),
        (functools.partial(F.cross_entropy, reduction="sum"), ValueError, "reduction='sum', expected a mean"),
        (
            lambda o, t: F.cross_entropy(o, t, reduction="sum"),
            ValueError,
            "so it is a sum over them; return their mean",
        ),
    ],
)
def test_what_is_no_mean_loss_is_refused(model, xy, loss, error, message):
    with pytest.raises(error, match=message):
        Objective(model, loss, xy)
    with pytest.raises(error, match=message):
        Objective(model, F.cross_entropy, xy).with_loss(loss)


def test_a_loss_that_takes_only_these_examples_is_not_judged_a_sum(model, xy, caplog):
    weights = torch.rand(N, dtype=torch.float64)

    def weighted(output, target):
        return (F.cross_entropy(output, target, reduction="none") * weights).mean()

    with caplog.at_level(logging.INFO, logger="landscope"):
        objective = Objective(model, weighted, xy)
    assert "cannot tell whether the loss is a mean" in caplog.text
    assert objective.value() == pytest.approx(float(weighted(model(xy[0]), xy[1]).detach()), rel=1e-12)


def test_nan_away_from_the_centre_is_a_value_not_an_error(model, xy):
    objective = Objective(model, F.cross_entropy, xy)
    theta = torch.full((objective.layout.size,), float("nan"), dtype=torch.float64)
    assert objective.value(theta) != objective.value(theta)
    assert objective.values(torch.stack([theta, objective.theta()])).isnan().tolist() == [True, False]
    assert objective.gradient(theta).isnan().all()


def test_a_forward_pass_with_random_numbers_is_refused(xy):
    model = nn.Linear(3, 4).double()

    def noisy(model, batch):
        return model(F.dropout(batch[0], 0.5))

    with pytest.raises(ValueError, match=r"changed by .* between two calls on the same batch"):
        Objective(model, F.cross_entropy, xy, forward=noisy)


def test_a_forward_pass_with_state_is_refused(xy):
    class Drifting(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 4).double()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return self.linear(x) * self.calls

    model = Drifting()
    with pytest.raises(ValueError, match="between two calls"):
        Objective(model, F.cross_entropy, xy)
    assert model.calls == 0


def test_what_is_no_module_is_refused(xy):
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module, got function"):
        Objective(lambda x: x, F.cross_entropy, xy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.script(nn.Linear(3, 4).double())
    with pytest.raises(TypeError, match="TorchScript"):
        Objective(script, F.cross_entropy, xy)


def test_an_unknown_batch_norm_policy_is_refused(model, xy):
    with pytest.raises(ValueError, match="batch_norm must be one of eval, batch, recompute, got 'train'"):
        Objective(model, F.cross_entropy, xy, batch_norm="train")
