"""Features are the layer's own values, for the examples they are said to be of, and nothing is left behind."""

import copy

import pytest
import torch
from torch import nn

from landscope.embedding import features, layerwise
from landscope.objective import Objective


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


@pytest.fixture
def objective(network):
    torch.manual_seed(1)
    return Objective(network, nn.CrossEntropyLoss(), (torch.randn(11, 4), torch.arange(11) % 3), batch_size=4)


def whole(objective):
    return torch.cat([x for (x, _), _ in objective.batches_on_device()])


def test_default_is_what_the_last_linear_layer_reads(objective, network):
    values, labels, layer = features(objective)
    torch.testing.assert_close(values, torch.tanh(network[0](whole(objective))).detach())
    assert labels.tolist() == [i % 3 for i in range(11)]
    assert layer == "2"


def test_last_means_last_to_run():
    class Crossed(nn.Module):
        def __init__(self):
            super().__init__()
            self.read, self.hidden = nn.Linear(4, 2), nn.Linear(4, 4)

        def forward(self, x):
            return self.read(torch.sin(self.hidden(x)))

    model = Crossed()
    objective = Objective(model, nn.CrossEntropyLoss(), (torch.randn(5, 4), torch.tensor([0, 1, 0, 1, 1])))
    found = features(objective)
    assert found.layer == "read"
    torch.testing.assert_close(found.values, torch.sin(model.hidden(whole(objective))).detach())


def test_named_layer_gives_its_output(objective, network):
    torch.testing.assert_close(features(objective, "0").values, network[0](whole(objective)).detach())


def test_elsewhere_than_at_the_models_weights(objective):
    theta = torch.randn_like(objective.theta())
    weight, bias = (objective.layout.unflatten(theta)[name] for name in ("0.weight", "0.bias"))
    torch.testing.assert_close(features(objective, "0", theta=theta).values, whole(objective) @ weight.T + bias)


def test_subset_keeps_labels_with_features(objective, network):
    some = features(objective, "0", examples=6)
    everything = features(objective, "0")
    assert some.values.shape == (6, 5)
    for value, label in zip(some.values, some.labels, strict=True):
        position = int((everything.values - value).norm(dim=1).argmin())
        assert everything.labels[position] == label
    torch.testing.assert_close(features(objective, "0", examples=6).values, some.values, rtol=0, atol=0)
    assert not torch.equal(features(objective, "0", examples=6, seed=1).labels, some.labels)


@pytest.mark.parametrize(
    ("layer", "shape", "dims"),
    [
        (lambda: nn.Conv2d(3, 5, 2), (6, 3, 4, 4), (2, 3)),
        (lambda: nn.Conv1d(3, 5, 2), (6, 3, 4), (2,)),
        (lambda: nn.Linear(4, 5), (6, 3, 4), (1,)),
        (lambda: nn.Linear(4, 5), (6, 2, 3, 4), (1, 2)),
        (lambda: nn.ReLU(), (6, 3, 4, 4), (2, 3)),
        (lambda: nn.ReLU(), (6, 3, 4), (1,)),
        (lambda: nn.GRU(4, 5, batch_first=True), (6, 3, 4), (1,)),
    ],
)
def test_space_and_tokens_are_averaged(layer, shape, dims):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.scale = layer(), nn.Parameter(torch.ones(()))

        def forward(self, x):
            output = self.layer(x)
            return (output[0] if isinstance(output, tuple) else output).flatten(1) * self.scale

    model = Model()
    objective = Objective(model, lambda output, _: (output**2).mean(), (torch.randn(shape), torch.zeros(6)))
    expected = model.layer(whole(objective))
    expected = (expected[0] if isinstance(expected, tuple) else expected).mean(dims).detach()
    found = features(objective, "layer")
    torch.testing.assert_close(found.values, expected)
    assert found.labels is None


def test_unknown_layer_lists_near_ones(objective):
    model = nn.Sequential()
    model.add_module("encoder", nn.Linear(4, 3))
    other = Objective(model, nn.CrossEntropyLoss(), (torch.randn(3, 4), torch.arange(3)))
    with pytest.raises(ValueError, match=r"no layer 'encodr'; did you mean 'encoder'\?"):
        features(other, "encodr")
    with pytest.raises(ValueError, match="no layer 'zzz'; did you mean '0' or '1' or '2'"):
        features(objective, "zzz")


def test_refusals(objective, network):
    network.add_module("idle", nn.Identity())
    idle = Objective(network, nn.CrossEntropyLoss(), (torch.randn(5, 4), torch.arange(5) % 3), forward=skip_last)
    with pytest.raises(ValueError, match="'idle' did not run"):
        features(idle, "idle")
    convolution = Objective(nn.Conv1d(2, 1, 1), lambda output, _: output.mean(), (torch.randn(3, 2, 4), torch.zeros(3)))
    with pytest.raises(ValueError, match="no linear layer ran"):
        features(convolution)
    with pytest.raises(ValueError, match="examples must be positive, got 0"):
        features(objective, examples=0)
    with pytest.raises(ValueError, match="one row for each of the batch's 6 examples"):
        features(tokens_first(), "0")


def skip_last(model, batch):
    return model[:3](batch[0])


def tokens_first():
    def forward(model, batch):
        return model(batch[0].transpose(0, 1)).mean(0)

    return Objective(
        nn.Sequential(nn.Linear(4, 2), nn.Tanh()),
        nn.CrossEntropyLoss(),
        (torch.randn(6, 3, 4), torch.arange(6) % 2),
        forward=forward,
    )


def test_hooks_and_modes_are_as_they_were(objective, network):
    network.train()
    calls = []
    network[0].register_forward_hook(lambda module, args, output: calls.append("after"))
    network[2].register_forward_pre_hook(lambda module, args: calls.append("before"))
    hooks = {name: (list(m._forward_hooks), list(m._forward_pre_hooks)) for name, m in network.named_modules()}
    broken = Objective(network, nn.CrossEntropyLoss(), (torch.randn(4, 4), torch.arange(4) % 3))
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    features(objective, "0")
    with pytest.raises(ValueError, match="shape"):
        features(objective, theta=torch.zeros(3))
    network[1].forward = lambda x: 1 / 0
    with pytest.raises(ZeroDivisionError):
        features(broken, "0")
    assert hooks == {name: (list(m._forward_hooks), list(m._forward_pre_hooks)) for name, m in network.named_modules()}
    assert set(calls) == {"after", "before"}
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(6, 4), (6, 3, 4)])
def test_what_follows_a_layer_may_change_its_output_in_place(shape):
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Flatten(), nn.LazyLinear(2))
    model(torch.zeros(shape))
    objective = Objective(model, nn.CrossEntropyLoss(), (torch.randn(shape), torch.arange(6) % 2))
    expected = model[0](whole(objective)).detach()
    expected = expected.mean(1) if expected.ndim > 2 else expected
    assert (expected < 0).any()
    torch.testing.assert_close(features(objective, "0").values, expected)
    torch.testing.assert_close(layerwise(objective)["0"], expected)
