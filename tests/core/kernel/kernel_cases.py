"""Small networks, one for each way in which a parameter may enter."""

import torch
from torch import nn
from torch.nn import functional


class Recurrent(nn.Module):
    """One linear layer used at every step."""

    def __init__(self):
        super().__init__()
        self.cell, self.read = nn.Linear(7, 4), nn.Linear(4, 2)

    def forward(self, x):
        state = x.new_zeros(len(x), 4)
        for step in range(x.shape[1]):
            state = torch.tanh(self.cell(torch.cat([x[:, step], state], dim=1)))
        return self.read(state)


class Gated(nn.Module):
    """A recurrent layer of torch's own."""

    def __init__(self):
        super().__init__()
        self.cell, self.read = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.read(self.cell(x)[0][:, -1])


class SharedWeight(nn.Module):
    """One weight in two linear layers with biases of their own."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.read = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.read(torch.tanh(self.second(torch.tanh(self.first(x)))))


class TiedEmbedding(nn.Module):
    """A language model's table, read at the input and again at the output."""

    def __init__(self):
        super().__init__()
        self.table, self.mix, self.read = nn.Embedding(6, 4), nn.Linear(4, 4), nn.Linear(4, 6, bias=False)
        self.read.weight = self.table.weight

    def forward(self, x):
        return self.read(torch.tanh(self.mix(self.table(x).sum(1))))


class BareParameters(nn.Module):
    """Parameters of a module with children: multiplied, indexed, added, scaled."""

    def __init__(self):
        super().__init__()
        self.table, self.weight = nn.Parameter(torch.randn(5, 4)), nn.Parameter(torch.randn(4, 4))
        self.shift, self.scale = nn.Parameter(torch.randn(4)), nn.Parameter(torch.tensor(1.5))
        self.read = nn.Linear(4, 3)

    def forward(self, x):
        hidden = (self.table[x[:, 0]] + self.table[x[:, -1]]) @ self.weight + self.shift
        return self.read(torch.sin(hidden)) * self.scale


class Attention(nn.Module):
    """An encoder block over tokens, examples first."""

    def __init__(self):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
        self.read = nn.Linear(4, 2)

    def forward(self, x):
        return self.read(self.block(x).mean(1))


class CrossAttention(nn.Module):
    """Tokens first and as many as examples, with separate projections of keys and values."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, kdim=3, vdim=4)
        self.read = nn.Linear(4, 2)

    def forward(self, x):
        tokens = x.transpose(0, 1)
        attended, _ = self.attention(tokens, tokens[..., :3], tokens)
        return self.read(torch.tanh(attended).mean(0))


class OwnAttention(nn.Module):
    """A causal language model written by hand: learned positions, tied read-out, an output for every token."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(6, 4), nn.Embedding(7, 4)
        self.norm, self.qkv, self.mix = nn.LayerNorm(4), nn.Linear(4, 12, bias=False), nn.Linear(4, 4)
        self.start = nn.Parameter(torch.randn(1, 1, 4))
        self.read = nn.Linear(4, 6, bias=False)
        self.read.weight = self.tokens.weight

    def forward(self, x):
        b, t = x.shape
        stream = self.tokens(x) + self.positions(torch.arange(t, device=x.device)) + self.start
        heads = self.qkv(self.norm(stream)).view(b, t, 3, 2, 2).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*heads.unbind(), is_causal=True)
        return self.read(stream + self.mix(attended.transpose(1, 2).reshape(b, t, 4)))


class Autoencoder(nn.Module):
    """A weight and its transpose."""

    def __init__(self):
        super().__init__()
        self.code = nn.Linear(4, 3)

    def forward(self, x):
        return functional.linear(torch.tanh(self.code(x)), self.code.weight.t())


class Chunks(nn.Module):
    """A weight that is read in parts."""

    def __init__(self):
        super().__init__()
        self.weight, self.read = nn.Parameter(torch.randn(6, 3)), nn.Linear(3, 2)

    def forward(self, x):
        first, second = self.weight.chunk(2)
        return self.read(torch.tanh(functional.linear(x, first)) * functional.linear(x, second))


class Overlapping(Chunks):
    """A weight that is read in parts with rows in common."""

    def forward(self, x):
        first, second = self.weight[:3], self.weight[2:5]
        return self.read(torch.tanh(functional.linear(x, first)) * functional.linear(x, second))


class TokensFirst(nn.Module):
    """A layer whose first dimension runs over tokens, as many as there are examples."""

    def __init__(self):
        super().__init__()
        self.layer, self.read = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.read(torch.tanh(self.layer(x.transpose(0, 1))).mean(0))


class HiddenUse(nn.Module):
    """A weight read openly by a linear layer, and once more where torch's overrides do not see it, as compiled code."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3, bias=False)

    def forward(self, x):
        hidden = torch.tanh(self.layer(x))
        with torch._C.DisableTorchFunction():
            return nn.functional.linear(hidden, self.layer.weight)


class Branching(nn.Module):
    """Control flow that depends on the data, which vmap refuses."""

    def __init__(self):
        super().__init__()
        self.shift, self.read = nn.Parameter(torch.randn(3)), nn.Linear(3, 2)

    def forward(self, x):
        hidden = torch.stack([torch.sin(row) if row.sum() > 0 else row**2 for row in x - self.shift])
        return self.read(hidden)


class Lambda(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def batch_normalised():
    """Convolution and batch normalisation with running statistics unlike those of any batch."""
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(27, 2))
    model[1].running_mean.normal_()
    model[1].running_var.uniform_(0.5, 2.0)
    return model


def frozen():
    """A network with a frozen weight, a frozen bias and a frozen layer."""
    model = nn.Sequential(*(nn.Linear(4, 4) if i % 2 == 0 else nn.Tanh() for i in range(7)))
    for parameter in (model[0].weight, model[2].bias, *model[4].parameters()):
        parameter.requires_grad_(False)
    return model


def images():
    return torch.randn(5, 2, 5, 5)


def vectors(width=4):
    return lambda: torch.randn(5, width)


def sequences(length=3, width=3):
    return lambda: torch.randn(5, length, width)


def tokens(words=6, length=3):
    return lambda: torch.randint(words, (5, length))


def mean(dim):
    return Lambda(lambda x: x.mean(dim))


# name -> (network, inputs, the parameters whose gradients must be contracted from factors; None: all of them)
CASES = {
    "linear": (lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), vectors(), None),
    "in-place": (lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 3)), vectors(), None),
    "one output": (lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1), nn.Flatten(0)), vectors(), None),
    "tokens": (lambda: nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2)), sequences(), None),
    "many tokens": (lambda: nn.Sequential(nn.Linear(2, 2), nn.Tanh(), mean(1)), sequences(40, 2), None),
    "flattened tokens": (
        lambda: nn.Sequential(
            nn.Flatten(0, 1), nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2), nn.Unflatten(0, (-1, 3)), mean(1)
        ),
        sequences(),
        None,
    ),
    "convolution 2d": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=1), nn.Tanh(), nn.Conv2d(3, 2, 2, dilation=2), nn.Flatten(1)
        ),
        images,
        None,
    ),
    "convolution 1d": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 2, stride=2, padding=1, dilation=2), nn.Tanh(), nn.Flatten(1)),
        sequences(3, 6),
        None,
    ),
    "circular": (
        lambda: nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), nn.Tanh(), mean((2, 3))),
        images,
        None,
    ),
    "grouped": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(36, 2)),
        images,
        None,
    ),
    "depthwise": (
        lambda: nn.Sequential(
            nn.Conv1d(3, 6, 2, groups=3, bias=False), nn.Tanh(), nn.Conv1d(6, 2, 2, groups=2), nn.Flatten()
        ),
        sequences(3, 6),
        None,
    ),
    "padding same": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3, padding="same"), nn.Tanh(), mean((2, 3)), nn.Linear(4, 2)),
        images,
        {"3.weight", "3.bias"},
    ),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.Tanh(), mean((2, 3)), nn.Linear(3, 2)),
        images,
        {"3.weight", "3.bias"},
    ),
    "embedding": (
        lambda: nn.Sequential(nn.Embedding(6, 3, padding_idx=2), mean(1), nn.Tanh(), nn.Linear(3, 2)),
        tokens(),
        None,
    ),
    "embedding bag": (lambda: nn.Sequential(nn.EmbeddingBag(6, 3), nn.Linear(3, 2)), tokens(), {"1.weight", "1.bias"}),
    "layer norm": (
        lambda: nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 2)),
        vectors(),
        None,
    ),
    "rms norm": (lambda: nn.Sequential(nn.Linear(4, 6), nn.RMSNorm(6), nn.Tanh(), nn.Linear(6, 2)), vectors(), None),
    "batch norm": (batch_normalised, images, None),
    "group norm": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Tanh(), nn.Flatten(), nn.Linear(36, 2)),
        images,
        None,
    ),
    "weight norm": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 2)),
        vectors(),
        {"0.bias", "2.weight", "2.bias"},
    ),
    "attention": (Attention, sequences(3, 4), None),
    "attention over tokens first": (CrossAttention, sequences(5, 4), None),
    "own attention": (OwnAttention, tokens(6, 5), None),
    "recurrent": (Recurrent, sequences(), None),
    "gated": (Gated, sequences(), {"read.weight", "read.bias"}),
    "shared weight": (SharedWeight, vectors(3), None),
    "tied embedding": (TiedEmbedding, tokens(), None),
    "tied transposed": (Autoencoder, vectors(), None),
    "chunks": (Chunks, vectors(3), None),
    "overlapping chunks": (Overlapping, vectors(3), {"read.weight", "read.bias"}),
    "bare parameters": (BareParameters, tokens(5, 2), None),
    "tokens first": (TokensFirst, sequences(5, 3), None),
    "hidden use": (HiddenUse, vectors(3), set()),
    "branching": (Branching, vectors(3), {"read.weight", "read.bias"}),
    "frozen": (frozen, vectors(), None),
    "unused": (lambda: nn.ModuleList([nn.Linear(4, 2), nn.Linear(4, 2)]), vectors(), None),
}


def forward(model, batch):
    """Calls the network; of a list of modules, only the first."""
    return (model[0] if isinstance(model, nn.ModuleList) else model)(batch[0])


def loss(output, target):
    return functional.mse_loss(output, torch.zeros_like(output))
