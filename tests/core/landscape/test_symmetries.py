"""Groups of axes read from graphs: renumbering the units at random must leave every network's function as it is."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscope.landscape import Matching, permutable_axes


class Residual(nn.Module):
    """Residual sums, batch, group and layer normalisation, depthwise channels, and a learned scale of channels."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.inner, self.inner_norm = nn.Conv2d(6, 5, 3, padding=1, bias=False), nn.GroupNorm(1, 5)
        self.back = nn.Conv2d(5, 6, 3, padding=1)
        self.scale = nn.Parameter(torch.rand(6, 1, 1))
        self.depthwise, self.point = nn.Conv2d(6, 12, 3, groups=6), nn.Conv2d(12, 8, 1)
        self.hidden, self.layer_norm, self.readout = nn.Linear(32, 7), nn.LayerNorm(7), nn.Linear(7, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x)))
        x = x + self.scale * self.back(F.relu(self.inner_norm(self.inner(x))))
        x = F.max_pool2d(torch.tanh(self.point(self.depthwise(x))), 3)
        x = self.hidden(x.view(x.size(0), -1))
        return F.log_softmax(self.readout(F.gelu(self.layer_norm(x))), dim=1)


class Reused(nn.Module):
    """One layer used twice, whose units therefore are those of its inputs."""

    def __init__(self):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = self.first(x).relu()
        return self.last(self.middle(self.middle(x).tanh()).tanh())


class InputAdded(nn.Module):
    """A sum with the input, which fixes the order of the units."""

    def __init__(self):
        super().__init__()
        self.wide, self.back, self.last = nn.Linear(4, 9), nn.Linear(9, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(x + self.back(self.wide(x).relu()))


class Tokens(nn.Module):
    """Tied embedding and readout, with learned positions."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 6)
        self.positions = nn.Parameter(torch.randn(1, 5, 6))
        self.wide, self.back, self.norm = nn.Linear(6, 11), nn.Linear(11, 6), nn.RMSNorm(6)
        self.readout = nn.Linear(6, 7, bias=False)
        self.readout.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions
        return self.readout(self.norm(x + self.back(F.silu(self.wide(x)))))


def pooled(*layers):
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))


IMAGES, VECTORS = (4, 2, 6, 6), (5, 4)
NETWORKS = {
    "perceptron": (nn.Sequential(nn.Linear(4, 8), nn.PReLU(8), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 2)),
                   VECTORS, 2),
    "residual": (Residual(), (4, 1, 8, 8), 4),
    "reused layer": (Reused(), (5, 3), 1),
    "input added": (InputAdded(), VECTORS, 1),
    "tokens": (Tokens(), None, 2),
    "transposed": (pooled(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.ConvTranspose2d(5, 6, 2)), IMAGES, 2),
    "instance norm": (pooled(nn.Conv2d(2, 6, 3), nn.InstanceNorm2d(6, affine=True), nn.GELU()), IMAGES, 1),
    "channels normalised with the image": (pooled(nn.Conv2d(2, 6, 3), nn.LayerNorm([6, 4, 4])), IMAGES, 1),
    "one unit": (nn.Sequential(nn.Linear(4, 1), nn.Tanh(), nn.Linear(1, 2)), VECTORS, 0),
}  # fmt: skip


def shuffled(model, seed=0):
    """A copy of the state with all units renumbered at random, and the permutations."""
    axes, state = permutable_axes(model), model.state_dict()
    generator = torch.Generator().manual_seed(seed)
    permutations = {
        name: torch.randperm(min(state[tensor].shape[axis] for tensor, axis in group), generator=generator)
        for name, group in axes.items()
    }
    return Matching(permutations, axes).applied(state)


@pytest.mark.parametrize("name", NETWORKS)
def test_renumbered_units_compute_the_same_function(name):
    model, shape, groups = NETWORKS[name]
    torch.manual_seed(0)
    model = model.double()
    inputs = torch.randint(7, (4, 5)) if shape is None else torch.randn(shape).double()
    with torch.no_grad():
        model.train()(inputs)  # running statistics that differ from channel to channel
        model.eval()
        before, state = model(inputs), {key: value.clone() for key, value in model.state_dict().items()}
        assert len(permutable_axes(model)) == groups
        moved = shuffled(model)
        if name == "tokens":  # the tied weight is known by its first name
            moved["readout.weight"] = moved["embedding.weight"]
        model.load_state_dict(moved)
        after = model(inputs)
        changed = any(not torch.equal(value, state[key]) for key, value in model.state_dict().items())
        model.load_state_dict(state)
    assert changed == (groups > 0)
    torch.testing.assert_close(after, before, atol=1e-12, rtol=1e-12)


def test_tracing_leaves_the_model_as_it_was():
    model = Residual().train()
    attributes = {name: dict(vars(module)) for name, module in model.named_modules()}
    permutable_axes(model)
    assert {name: dict(vars(module)) for name, module in model.named_modules()} == attributes


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(3, 4), nn.GLU()), r"through 1: the symmetry of GLU is not known; give permutations="),
        (nn.Sequential(nn.Conv1d(1, 6, 1), nn.GroupNorm(3, 6)), r"through 1: its 3 groups of channels cannot be"),
        (nn.Sequential(nn.Conv1d(1, 6, 1), nn.Conv1d(6, 6, 1, groups=2)), r"through 1: its 2 groups of channels"),
        (nn.Sequential(nn.Conv1d(1, 6, 1), nn.Linear(6, 2)), r"through 1: its input has channels first; flatten"),
        (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))), r"0: its weight is computed from"),
    ],
)
def test_what_is_not_known_is_refused_by_name(model, message):
    with pytest.raises(ValueError, match=message):
        permutable_axes(model)


def test_control_flow_cannot_be_traced():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match=r"could not be read from Branches: torch\.fx cannot trace it"):
        permutable_axes(Branches())
