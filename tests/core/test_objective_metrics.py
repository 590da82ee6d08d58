"""Loss and accuracy at many points, one after the other or at once, against counting by hand."""

import functools
import logging

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscope.objective import Objective

N = 40


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).double()


@pytest.fixture
def xy():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N, 3, generator=generator, dtype=torch.float64), torch.randint(4, (N,), generator=generator)


def points(objective, k):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(k, objective.layout.size, generator=generator, dtype=torch.float64)


def explicit(model, thetas, x, y):
    """Loss and accuracy of copies of the model that really have these weights."""
    losses, accuracies = [], []
    with torch.no_grad():
        before = nn.utils.parameters_to_vector(model.parameters())
        for theta in thetas:
            nn.utils.vector_to_parameters(theta, model.parameters())
            output = model(x)
            losses.append(F.cross_entropy(output, y))
            accuracies.append(sum(int(row.argmax() == label) for row, label in zip(output, y, strict=True)) / len(y))
        nn.utils.vector_to_parameters(before, model.parameters())
    return torch.stack(losses), torch.tensor(accuracies, dtype=torch.float64)


@pytest.mark.parametrize("at_once", [True, False, None])
@pytest.mark.parametrize("k", [1, 2, 8, 19])
@pytest.mark.parametrize("batch_size", [N, 12])
def test_every_way_of_evaluating_gives_the_explicit_values(model, xy, at_once, k, batch_size):
    objective = Objective(model, F.cross_entropy, xy, batch_size=batch_size)
    objective._points.at_once = at_once
    thetas = points(objective, k)
    found = objective.metrics(thetas)
    losses, accuracies = explicit(model, thetas, *xy)
    assert {name: (value.shape, value.dtype) for name, value in found.items()} == {
        "loss": ((k,), torch.float64),
        "accuracy": ((k,), torch.float64),
    }
    assert torch.allclose(found["loss"], losses, rtol=1e-12)
    assert torch.allclose(found["accuracy"], accuracies, rtol=1e-12)
    assert torch.equal(objective.values(thetas), objective.metrics(thetas)["loss"])
    assert k == 1 or float(losses.std()) > 0.1


def test_a_model_that_branches_on_its_values_is_evaluated_one_by_one_and_that_is_logged_once(xy, caplog):
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 4).double()

        def forward(self, x):
            output = self.linear(x)
            return output if output.mean() > 0 else -output

    model = Branching()
    objective = Objective(model, F.cross_entropy, xy)
    thetas = points(objective, 9)
    with caplog.at_level(logging.INFO, logger="landscope"):
        found = objective.metrics(thetas)
        objective.metrics(thetas)
    assert len(caplog.records) == 1
    assert "one after the other: vmap refused the model or the loss" in caplog.text
    assert torch.allclose(found["loss"], explicit(model, thetas, *xy)[0], rtol=1e-12)


def test_a_model_that_writes_to_its_buffers_is_evaluated_all_the_same(xy):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 4).double()
            self.register_buffer("mean", torch.zeros(4, dtype=torch.float64), persistent=False)

        def forward(self, x):
            output = self.linear(x)
            self.mean.copy_(output.mean(0))
            return output - self.mean

    model = Counting()
    objective = Objective(model, F.cross_entropy, xy)
    thetas = points(objective, 9)
    found = objective.metrics(thetas)["loss"]
    assert torch.equal(model.mean, torch.zeros(4))
    assert torch.allclose(found, explicit(model, thetas, *xy)[0], rtol=1e-12)


def test_a_model_with_an_operator_that_vmap_loops_over_gives_no_warning(xy):
    class Sorted(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(4, 2, 4, batch_first=True).double()
            self.into = nn.Linear(3, 4).double()

        def forward(self, x):
            return self.layer(self.into(x).unsqueeze(1))[:, 0]

    model = Sorted()
    objective = Objective(model, F.cross_entropy, xy)
    thetas = points(objective, 3) * 0.3
    found = objective.metrics(thetas)["loss"]
    expected = [objective.value(theta) for theta in thetas]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_no_points_give_no_values_but_the_same_names(model, xy):
    objective = Objective(model, F.cross_entropy, xy)
    found = objective.metrics(torch.empty(0, objective.layout.size))
    assert {name: value.shape for name, value in found.items()} == {"loss": (0,), "accuracy": (0,)}
    assert objective.values(torch.empty(0, objective.layout.size)).dtype == torch.float64


def test_wrong_shapes_are_refused(model, xy):
    objective = Objective(model, F.cross_entropy, xy)
    size = objective.layout.size
    for shape in ((size,), (2, size + 1), (1, 2, size), ()):
        with pytest.raises(ValueError, match=rf"thetas must have shape \(K, {size}\)"):
            objective.metrics(torch.zeros(shape))
    with pytest.raises(ValueError, match=rf"theta must have shape \({size},\)"):
        objective.value(torch.zeros(1, size))


def test_points_in_another_type_are_evaluated_in_the_models(model, xy):
    objective = Objective(model.float(), F.cross_entropy, (xy[0].float(), xy[1]))
    thetas = points(objective, 3)
    assert objective.values(thetas).tolist() == pytest.approx(objective.values(thetas.float()).tolist(), rel=1e-6)


def test_work_counts_passes_over_the_data(model, xy):
    objective = Objective(model, F.cross_entropy, xy)
    objective._points.at_once = False
    with objective.measuring() as meter:
        objective.values(points(objective, 5))
        objective.value()
        objective.gradient()
        objective.hessian()(points(objective, 3))
        objective.losses()
    provenance = meter.provenance("all", seed=4)
    assert (provenance.forwards, provenance.gradients, provenance.products) == (7, 1, 3)
    assert (provenance.examples, provenance.parameters, provenance.seed) == (N, 44, 4)
    assert (provenance.precision, provenance.device, provenance.batch_norm) == ("float64", "cpu", "eval")
    assert provenance.seconds > 0


class Tokens(nn.Module):
    """Logits of each token, (n, T, C), or as torch's losses want them, (n, C, T)."""

    def __init__(self, last):
        super().__init__()
        self.linear = nn.Linear(3, 4).double()
        self.last = last

    def forward(self, x):
        logits = self.linear(x)
        return logits if self.last else logits.transpose(1, 2)


def token_loss(output, target):
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


@pytest.mark.parametrize(("last", "loss"), [(True, token_loss), (False, F.cross_entropy)])
def test_classes_of_tokens_are_counted_and_padding_is_not(last, loss):
    torch.manual_seed(0)
    x, y = torch.randn(6, 5, 3).double(), torch.randint(4, (6, 5))
    y[2:, 3:] = -100
    model = Tokens(last)
    objective = Objective(model, loss, (x, y))
    logits = model.linear(x)
    right = sum(int(logits[i, t].argmax() == y[i, t]) for i in range(6) for t in range(5) if y[i, t] >= 0)
    assert objective.metrics(objective.theta()[None])["accuracy"].item() == pytest.approx(right / (30 - 8))
    assert objective.labels() is None  # no single class for each example


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(ignore_index=2), functools.partial(F.cross_entropy, ignore_index=2)]
)
def test_labels_that_the_loss_ignores_are_not_counted(model, xy, loss):
    x, y = xy
    counted = y != 2
    expected = (model(x).argmax(1) == y)[counted].double().mean()
    objective = Objective(model, loss, xy, batch_size=12)
    assert objective.metrics(points(objective, 1) * 0 + objective.theta())["accuracy"].item() == pytest.approx(
        float(expected), rel=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.bool])
def test_one_hot_targets_are_classes(model, xy, dtype):
    x, y = xy
    targets = F.one_hot(y, 4).to(dtype)
    objective = Objective(model, lambda output, target: F.cross_entropy(output, target.double()), (x, targets))
    accuracy = objective.metrics(objective.theta()[None])["accuracy"].item()
    assert accuracy == pytest.approx(float((model(x).argmax(1) == y).double().mean()), rel=1e-12)
    assert torch.equal(objective.labels(), y)


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (4, torch.rand(N, 4, dtype=torch.float64)),  # regression
        (1, torch.randint(3, (N, 1))),  # counts
        (1, torch.randint(3, (N,))),  # counts again, one output
        (4, torch.full((N, 4), 0.25, dtype=torch.float64)),  # soft labels
    ],
)
def test_what_is_no_classification_has_no_accuracy(xy, outputs, targets):
    model = nn.Linear(3, outputs).double()

    def loss(output, target):
        return (output - target.double().reshape(len(output), -1)).pow(2).mean()

    objective = Objective(model, loss, (xy[0], targets))
    assert set(objective.metrics(objective.theta()[None])) == {"loss"}
    assert objective.labels() is None
    with pytest.raises(ValueError, match="of_class needs one integer class per example"):
        objective.of_class(0)


def test_outputs_at_another_point_over_all_batches(model, xy):
    objective = Objective(model, F.cross_entropy, xy, batch_size=12)
    assert torch.allclose(objective.outputs(), model(xy[0]).detach())
    zero = torch.zeros(objective.layout.size, dtype=torch.float64)
    assert torch.equal(objective.outputs(zero), torch.zeros(N, 4, dtype=torch.float64))
