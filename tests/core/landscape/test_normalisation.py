"""Normalisation and orthogonality of directions, block by block, against the definitions written out."""

import pytest
import torch
from torch import nn

from landscope.landscape import normalised, random_directions
from landscope.objective import Objective


def objective_of(model, inputs):
    with torch.no_grad():
        outputs = model(inputs)
    return Objective(model, nn.MSELoss(), (inputs, torch.zeros_like(outputs)))


def convolutions():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, groups=2),
        nn.BatchNorm2d(4),
        nn.Tanh(),
        nn.Conv2d(4, 8, 2, groups=4),
        nn.Flatten(),
        nn.Linear(32, 3),
    )
    return objective_of(model.double().eval(), torch.randn(5, 2, 5, 5).double())


def cosines(directions):
    gram = directions.double() @ directions.double().T
    lengths = gram.diagonal().sqrt()
    return gram / torch.outer(lengths, lengths)


def filters_of(tensor):
    """Rows of matrices and kernels, one after the other; whole vectors."""
    return list(tensor.flatten(1)) if tensor.ndim > 1 else [tensor]


def test_biases_on_request_are_scaled_as_one_filter_each():
    objective = convolutions()
    direction = objective.layout.unflatten(random_directions(objective, 1, biases=True)[0])
    weights = objective.layout.unflatten(objective.theta())
    for name, piece in direction.items():
        for part, filtered in zip(filters_of(piece), filters_of(weights[name]), strict=True):
            torch.testing.assert_close(part.norm(), filtered.norm(), msg=name)


@pytest.mark.parametrize("biases", [False, True])
def test_tensor_normalisation_scales_each_parameter_alone(biases):
    objective = convolutions()
    drawn = objective.layout.unflatten(random_directions(objective, 1, normalisation="none")[0])
    direction = objective.layout.unflatten(random_directions(objective, 1, normalisation="tensor", biases=biases)[0])
    for name, weight in objective.layout.unflatten(objective.theta()).items():
        moves = biases or weight.ndim > 1
        expected = drawn[name] * weight.norm() / drawn[name].norm() if moves else torch.zeros_like(weight)
        torch.testing.assert_close(direction[name], expected)


@pytest.mark.parametrize("biases", [False, True])
def test_layer_normalisation_scales_the_weights_of_a_module_together(biases):
    model = nn.LSTM(3, 4, num_layers=2).double()
    objective = Objective(
        model,
        nn.MSELoss(),
        (torch.randn(2, 5, 3).double(), torch.zeros(2, 5, 4).double()),
        forward=lambda model, batch: model(batch[0])[0],
    )
    drawn = objective.layout.unflatten(random_directions(objective, 1, normalisation="none")[0])
    direction = objective.layout.unflatten(random_directions(objective, 1, normalisation="layer", biases=biases)[0])
    weights = objective.layout.unflatten(objective.theta())
    moving = [name for name in weights if biases or "weight" in name]
    scale = sum(weights[n].square().sum() for n in moving).sqrt() / sum(drawn[n].square().sum() for n in moving).sqrt()
    for name in weights:
        torch.testing.assert_close(direction[name], scale * drawn[name] * (name in moving))


@pytest.mark.parametrize("normalisation", ["filter", "layer", "tensor", "model", "none"])
@pytest.mark.parametrize("count", [2, 3])
def test_orthogonal_directions_keep_every_norm(normalisation, count):
    objective = convolutions()
    plain = random_directions(objective, count, normalisation=normalisation, biases=True)
    directions = random_directions(objective, count, normalisation=normalisation, biases=True, orthogonal=True)
    torch.testing.assert_close(cosines(directions), torch.eye(count).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(directions.norm(dim=1), plain.norm(dim=1))
    if normalisation == "filter":
        for direction, other in zip(directions, plain, strict=True):
            named, expected = objective.layout.unflatten(direction), objective.layout.unflatten(other)
            for name, piece in named.items():
                for part, like in zip(filters_of(piece), filters_of(expected[name]), strict=True):
                    torch.testing.assert_close(part.norm(), like.norm(), msg=name)


def test_filters_of_one_weight_are_made_up_for_by_the_others():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 20)).double()
    objective = objective_of(model, torch.randn(4, 1).double())
    first, second = random_directions(objective, orthogonal=True)
    theta, where = objective.theta(), objective.layout.slices
    singles, rows = where["0.weight"], where["2.weight"]
    torch.testing.assert_close(first[singles].abs(), theta[singles].abs())
    assert abs(float(first[singles] @ second[singles])) > 1e-3  # which cannot be orthogonal by themselves
    torch.testing.assert_close(second[rows].reshape(20, 20).norm(dim=1), theta[rows].reshape(20, 20).norm(dim=1))
    assert abs(float(first @ second)) < 1e-14


def test_orthogonality_that_cannot_be_had_is_refused():
    one = objective_of(nn.Linear(1, 1, bias=False), torch.ones(2, 1))
    for normalisation in ("filter", "model", "none"):
        with pytest.raises(ValueError, match="2 directions cannot be orthogonal"):
            random_directions(one, normalisation=normalisation, orthogonal=True)
    narrow = objective_of(nn.Sequential(nn.Linear(1, 5, bias=False), nn.Linear(5, 1, bias=False)), torch.ones(2, 1))
    with torch.no_grad():
        narrow.model[0].weight.copy_(torch.tensor([[4.0], [0.1], [0.1], [0.1], [0.1]]))
    with pytest.raises(ValueError, match="fewer than 2 weights hold too much"):
        random_directions(narrow, orthogonal=True)


def test_any_vector_is_normalised_and_its_blocks_of_zeros_stay():
    objective = convolutions()
    vector = torch.zeros(objective.layout.size).double()
    where = objective.layout.slices["5.weight"]
    vector[where] = torch.arange(96.0).double()
    result = normalised(objective, vector.numpy())
    assert result.shape == vector.shape
    weight, row = objective.layout.unflatten(objective.theta())["5.weight"], result[where].reshape(3, 32)
    for index in range(3):
        given = vector[where].reshape(3, 32)[index]
        torch.testing.assert_close(row[index], given * weight[index].norm() / given.norm())
    result[where] = 0
    assert torch.count_nonzero(result) == 0
    assert torch.equal(normalised(objective, vector, "none"), vector)
    with pytest.raises(ValueError, match=r"directions must have shape \(\d+,\) or \(K, \d+\), got \(3,\)"):
        normalised(objective, torch.ones(3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_weights_have_directions_of_float32_with_exact_norms(dtype):
    torch.manual_seed(0)
    objective = objective_of(nn.Linear(4000, 3).to(dtype), torch.randn(2, 4000).to(dtype))
    directions = random_directions(objective, orthogonal=True)
    assert directions.dtype == torch.float32
    rows = directions[:, objective.layout.slices["weight"]].double().reshape(2, 3, 4000)
    weights = objective.model.weight.detach().double().norm(dim=1)
    torch.testing.assert_close(rows.norm(dim=2), weights.expand(2, 3), rtol=1e-6, atol=0)
    assert abs(float(cosines(directions)[0, 1])) < 1e-7


def test_weights_that_are_not_finite_are_named():
    objective = convolutions()
    theta = objective.theta()
    theta[objective.layout.slices["3.weight"]] = torch.nan
    with pytest.raises(ValueError, match=r"those of 3\.weight are not finite: the training has diverged"):
        random_directions(objective, theta=theta)
    assert torch.isfinite(random_directions(objective, theta=theta, normalisation="none")).all()


def test_a_tied_weight_moves_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(5, 3)
            self.readout = nn.Linear(3, 5, bias=False)
            self.readout.weight = self.embedding.weight

        def forward(self, tokens):
            return self.readout(self.embedding(tokens))

    objective = objective_of(Tied().double(), torch.arange(5))
    direction = random_directions(objective, 1)[0]
    assert direction.shape == (15,)
    torch.testing.assert_close(
        direction.reshape(5, 3).norm(dim=1), objective.model.embedding.weight.detach().norm(dim=1)
    )
