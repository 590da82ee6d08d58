"""The loss as a function of inputs, layers and latents: against closed forms and plain autograd."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscope import Objective
from landscope.landscape import random_directions, slice2d
from landscope.landscape.inputs import adversarial_direction, adversarial_plane, of_inputs, of_layer, of_tensor


@pytest.fixture
def linear():
    """A regression by y = W x + b, of 6 examples with 3 inputs and 2 outputs, and what it is made of."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2).double()
    x, y = torch.randn(6, 3).double(), torch.randn(6, 2).double()
    return Objective(model, F.mse_loss, (x, y), split="train", batch_size=4), model, x, y


class Tokens(nn.Module):
    """Embeds tokens, averages them, classifies."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 5)
        self.hidden = nn.Linear(5, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, tokens):
        return self.head(torch.tanh(self.hidden(self.embedding(tokens).mean(1))))


@pytest.fixture
def tokens():
    torch.manual_seed(1)
    return Objective(Tokens().double(), F.cross_entropy, (torch.randint(11, (5, 4)), torch.randint(3, (5,))))


def test_the_loss_over_an_input_is_the_quadratic_that_it_is(linear):
    objective, model, x, y = linear
    derived = of_inputs(objective, [1, 4])
    W = model.weight.detach()
    residual = x[[1, 4]] @ W.T + model.bias.detach() - y[[1, 4]]
    # L = (1/2) (1/2) sum |W x_i + b - y_i|^2: two examples, two outputs
    assert derived.theta().tolist() == x[[1, 4]].flatten().tolist()
    assert derived.value() == pytest.approx(float(residual.square().mean()), rel=1e-12)
    torch.testing.assert_close(derived.gradient(), (residual @ W / 2).flatten())
    expected = torch.block_diag(W.T @ W / 2, W.T @ W / 2)
    torch.testing.assert_close(derived.hessian()(torch.eye(6).double()), expected)
    torch.testing.assert_close(derived.ggn()(torch.eye(6).double()), expected)


def test_a_slice_over_inputs_is_that_quadratic_at_every_point(linear):
    objective, model, x, y = linear
    derived = of_inputs(objective, [3])
    directions = torch.tensor([[1.0, 0.5, 0.0], [0.0, -1.0, 2.0]]).double()
    flat = slice2d(derived, directions, points=(5, 4), radius=2.0)
    with torch.no_grad():
        for i, a in enumerate(flat.alpha):
            for j, b in enumerate(flat.beta):
                loss = F.mse_loss(model(x[3] + a * directions[0] + b * directions[1]), y[3])
                assert flat.loss[i, j] == pytest.approx(float(loss), rel=1e-10)
    assert flat.provenance.split == "train (inputs moved)"
    assert flat.provenance.parameters == 3


def test_all_examples_of_several_batches_move_at_once(linear):
    objective, model, _, y = linear
    derived = of_inputs(objective)
    moved = torch.randn(6, 3).double()
    with torch.no_grad():
        assert derived.value(moved.flatten()) == pytest.approx(float(F.mse_loss(model(moved), y)), rel=1e-12)
    assert derived.value() == pytest.approx(objective.value(), rel=1e-12)
    torch.testing.assert_close(derived.losses(), objective.losses())


def test_adversarial_directions_of_a_linear_classifier(linear):
    _, model, x, _ = linear
    # log(1 + exp(-m)) of the margin m = (w_0 - w_1) . x + b_0 - b_1: its gradient is a negative multiple of w_0 - w_1
    objective = of_inputs(Objective(model, F.cross_entropy, (x, torch.zeros(6, dtype=torch.long))), [2])
    away = model.weight.detach()[1] - model.weight.detach()[0]
    torch.testing.assert_close(adversarial_direction(objective), away / away.norm())
    torch.testing.assert_close(adversarial_direction(objective, norm="linf"), away.sign())
    along = objective.values(x[2] + torch.linspace(0, 3, 7).double()[:, None] * adversarial_direction(objective))
    margin = float(-away @ x[2] + model.bias.detach()[0] - model.bias.detach()[1])
    expected = [math.log1p(math.exp(float(away.norm()) * step - margin)) for step in torch.linspace(0, 3, 7).double()]
    assert along.tolist() == pytest.approx(expected, rel=1e-9)


def test_an_adversarial_plane_has_a_random_direction_beside(linear):
    objective = of_inputs(linear[0], [0])
    plane = adversarial_plane(objective, seed=3)
    torch.testing.assert_close(plane @ plane.T, torch.eye(2).double(), atol=1e-12, rtol=0)
    assert torch.equal(plane, adversarial_plane(objective, seed=3))
    assert not torch.equal(plane[1], adversarial_plane(objective, seed=4)[1])
    assert adversarial_plane(objective, norm="linf").abs().unique().tolist() == [1.0]
    flat = slice2d(objective, plane, radius=1e-4, points=3)
    assert flat.loss[2, 1] - flat.loss[0, 1] == pytest.approx(2e-4 * float(objective.gradient().norm()), rel=1e-5)
    assert flat.loss[2, 1] - flat.loss[0, 1] > abs(flat.loss[1, 2] - flat.loss[1, 0])


def test_a_convolutional_networks_input_gradient_is_autograds():
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 3)
    ).double()
    model(torch.randn(20, 2, 6, 6).double())  # running statistics that are not the defaults
    x, y = torch.randn(7, 2, 6, 6).double(), torch.randint(3, (7,))
    before = copy.deepcopy(model.state_dict())
    model.train()
    derived = of_inputs(Objective(model, F.cross_entropy, (x, y), batch_size=3), torch.arange(7) > 4)
    assert derived.layout.size == 2 * 72
    found = derived.gradient()
    assert model.training
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    inputs = x[5:].clone().requires_grad_()
    F.cross_entropy(copy.deepcopy(model).eval()(inputs), y[5:]).backward()
    torch.testing.assert_close(found, inputs.grad.flatten())


def test_batch_statistics_are_those_of_the_moved_batch():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    x, y = torch.randn(8, 3).double(), torch.randint(2, (8,))
    derived = of_inputs(Objective(model, F.cross_entropy, (x, y), batch_norm="batch"))
    moved = torch.randn(8, 3).double()
    expected = float(F.cross_entropy(copy.deepcopy(model).train()(moved), y).detach())
    assert derived.value(moved.flatten()) == pytest.approx(expected, rel=1e-12)
    running = copy.deepcopy(model).train()
    running[1].momentum = 1.0
    running(moved)
    expected = float(F.cross_entropy(running.eval()(moved), y).detach())
    recomputed = of_inputs(Objective(model, F.cross_entropy, (x, y), batch_norm="recompute"))
    assert recomputed.value(moved.flatten()) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="use batch_norm='eval' or 'batch'"):
        of_layer(Objective(model, F.cross_entropy, (x, y), batch_norm="recompute"), "0")


def test_weights_are_the_models_at_the_moment(linear):
    objective, model, x, y = linear
    derived = of_inputs(objective)
    with torch.no_grad():
        model.weight.mul_(2.0)
        assert derived.value() == pytest.approx(float(F.mse_loss(model(x), y)), rel=1e-12)


def test_filters_are_the_rows_of_inputs(linear):
    directions = random_directions(of_inputs(linear[0]), 2, normalisation="filter").reshape(2, 6, 3)
    torch.testing.assert_close(directions.norm(dim=2), linear[2].norm(dim=1).expand(2, 6))


def test_a_latent_vector_is_one_filter():
    z = torch.tensor([3.0, 4.0]).double()
    directions = random_directions(of_tensor(lambda z: z.square().sum(), z), 2, normalisation="filter")
    torch.testing.assert_close(directions.norm(dim=1), torch.tensor([5.0, 5.0]).double())


def test_a_function_of_a_tensor_has_its_own_derivatives():
    A = torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()
    objective = of_tensor(lambda z: 0.5 * (z * (z @ A)).sum(), torch.ones(3, 2).double(), split="a quadratic")
    assert objective.value() == pytest.approx(3 * 2.0)
    torch.testing.assert_close(objective.gradient(), (torch.ones(3, 2).double() @ A).flatten())
    torch.testing.assert_close(objective.hessian()(torch.eye(6).double()), torch.block_diag(A, A, A))
    assert slice2d(objective, torch.eye(6).double()[:2], points=3).provenance.split == "a quadratic"
    np.testing.assert_allclose(
        slice2d(objective, torch.eye(6).double()[:2], points=3).loss[2, 0], 2 * 2.0 + 0.5 * 2 * 4
    )


def test_a_scalar_can_be_moved():
    objective = of_tensor(lambda z: (z - 3.0) ** 2, torch.tensor(1.0).double())
    assert objective.gradient().tolist() == [-4.0]
    with pytest.raises(ValueError, match="at least two numbers"):
        adversarial_plane(objective)


def test_a_latent_goes_through_a_decoder_in_evaluation_mode():
    torch.manual_seed(4)
    decoder = nn.Sequential(nn.Linear(2, 5), nn.Dropout(0.5), nn.Linear(5, 1)).double()
    objective = of_tensor(decoder, torch.randn(2).double())
    assert decoder.training
    expected = copy.deepcopy(decoder).eval()(objective.theta()).detach()
    assert objective.value() == pytest.approx(float(expected), rel=1e-12)


def test_embeddings_move_where_tokens_cannot(tokens):
    with pytest.raises(ValueError, match=r"torch\.int64.*of_layer\(objective, 'embedding'\)"):
        of_inputs(tokens)
    derived = of_layer(tokens, "embedding")
    (tensor, target), model = tokens.batches.items[0], tokens.model
    assert derived.layout.size == 5 * 4 * 5
    assert derived.value() == pytest.approx(tokens.value(), rel=1e-12)
    embedded = model.embedding(tensor).detach().requires_grad_()
    F.cross_entropy(model.head(torch.tanh(model.hidden(embedded.mean(1)))), target).backward()
    torch.testing.assert_close(derived.gradient(), embedded.grad.flatten())
    assert derived.metrics(derived.theta()[None])["accuracy"] == tokens.metrics(tokens.theta()[None])["accuracy"]


def test_a_layers_output_is_put_in_its_place(tokens):
    derived = of_layer(tokens, "hidden")
    patched = torch.randn(5, 4).double()
    with torch.no_grad():
        expected = F.cross_entropy(tokens.model.head(torch.tanh(patched)), tokens.batches.items[0][1])
    several = derived.values(torch.stack([patched.flatten(), derived.theta()]))
    assert several.tolist() == pytest.approx([float(expected), tokens.value()], rel=1e-12)
    assert not tokens.model.hidden._forward_hooks
    assert derived.split == "(output of hidden moved)"


def test_a_layers_output_is_taken_before_what_follows_writes_to_it():
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)).double()
    x = torch.randn(6, 3).double()
    derived = of_layer(Objective(model, F.cross_entropy, (x, torch.randint(2, (6,)))), "0")
    torch.testing.assert_close(derived.theta(), model[0](x).detach().flatten())


def test_batches_of_other_forms_have_one_input_too():
    torch.manual_seed(6)
    model = nn.Linear(3, 3).double()
    x = torch.randn(4, 3).double()
    forward = lambda model, batch: model(batch["image"])  # noqa: E731
    labelled = {"image": x, "labels": torch.randint(3, (4,))}
    assert of_inputs(Objective(model, F.cross_entropy, labelled, forward=forward)).layout.size == 12
    # an autoencoder's target is the data, and stays where it was
    autoencoder = of_inputs(Objective(model, F.mse_loss, x, forward=lambda model, x: model(x)))
    moved = torch.randn(4, 3).double()
    with torch.no_grad():
        assert autoencoder.value(moved.flatten()) == pytest.approx(float(F.mse_loss(model(moved), x)), rel=1e-12)
    both = Objective(model, F.mse_loss, (x, x, x), forward=lambda model, batch: model(batch[0] + batch[1]))
    with pytest.raises(ValueError, match="one floating-point input, got 2; use of_tensor"):
        of_inputs(both)


def test_what_cannot_be_moved_is_refused(linear, tokens):
    objective = linear[0]
    with pytest.raises(TypeError, match=r"floating-point tensor, got torch\.int64"):
        of_tensor(lambda z: z.sum(), torch.zeros(2, dtype=torch.long))
    with pytest.raises(TypeError, match="got ndarray"):
        of_tensor(lambda z: z.sum(), np.zeros(2))
    with pytest.raises(ValueError, match=r"one number, got shape \(2,\)"):
        of_tensor(lambda z: z, torch.zeros(2))
    with pytest.raises(TypeError, match="must return a tensor, got float"):
        of_tensor(lambda z: z.sum().item(), torch.zeros(2))
    with pytest.raises(ValueError, match="changed by"):
        of_tensor(lambda z: (z * torch.randn(2)).sum(), torch.ones(2))
    with pytest.raises(ValueError, match=r"0\.\.5, got 6\.\.6"):
        of_inputs(objective, [6])
    with pytest.raises(ValueError, match="no layer 'embed'; its layers are embedding, hidden, head"):
        of_layer(tokens, "embed")
    with pytest.raises(ValueError, match="norm must be one of l2, linf, got 'l1'"):
        adversarial_direction(of_inputs(objective), norm="l1")
    with pytest.raises(ValueError, match=r"norm 0\.0 here"):
        adversarial_direction(of_tensor(lambda z: z.square().sum() + 1.0, torch.zeros(2)))


class Awkward(nn.Module):
    """A layer that runs twice, one that never runs, one whose output is a tuple, one without rows."""

    def __init__(self):
        super().__init__()
        self.twice, self.never = nn.Linear(3, 3), nn.Linear(3, 3)
        self.recurrent, self.sum = nn.GRU(3, 3, batch_first=True), Sum()

    def forward(self, x):
        x = self.twice(self.twice(x))
        return self.recurrent(x[:, None])[0][:, 0] + self.sum(x)


class Sum(nn.Module):
    def forward(self, x):
        return x.sum(0)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ("twice", "it ran 2 times"),
        ("never", "it ran 0 times"),
        ("recurrent", "got tuple"),
        ("sum", r"got .* of \(3,\)"),
    ],
)
def test_layers_that_have_no_single_output_are_refused(layer, why):
    torch.manual_seed(7)
    objective = Objective(Awkward(), F.cross_entropy, (torch.randn(4, 3), torch.randint(3, (4,))))
    with pytest.raises(ValueError, match=why):
        of_layer(objective, layer)
    assert not any(module._forward_hooks for module in objective.model.modules())
