"""Parameter vectors: layout, patterns, ties, and filters."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from landscope.parameters import ParameterLayout, filter_rules, tied_names


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.linear = nn.Linear(3, 2)


def test_flatten_and_unflatten_are_inverse_and_follow_named_parameters():
    model = Scaled()
    layout = ParameterLayout.of(model)
    vector = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
    assert layout.size == 9
    assert layout.names == ("scale", "linear.weight", "linear.bias")
    assert torch.equal(layout.flatten(dict(model.named_parameters())), vector)
    named = layout.unflatten(vector)
    assert named["scale"].shape == ()
    assert all(torch.equal(named[name], parameter) for name, parameter in model.named_parameters())
    assert torch.equal(vector[layout.slices["linear.bias"]], model.linear.bias)


def test_a_block_of_vectors_keeps_its_leading_dimension():
    layout = ParameterLayout.of(Scaled())
    block = torch.arange(18.0).reshape(2, 9)
    named = layout.unflatten(block)
    assert named["scale"].tolist() == [0.0, 9.0]
    assert named["linear.weight"].shape == (2, 2, 3)
    assert torch.equal(torch.func.vmap(layout.flatten)(named), block)


def test_frozen_parameters_are_left_out():
    model = Scaled()
    model.linear.weight.requires_grad_(False)
    assert ParameterLayout.of(model).names == ("scale", "linear.bias")


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["linear.*"], ("linear.weight", "linear.bias")),
        (["*.bias", "scale"], ("scale", "linear.bias")),
        ("linear.bias", ("linear.bias",)),
    ],
)
def test_patterns_choose_parameters_in_the_models_order(patterns, names):
    assert ParameterLayout.of(Scaled(), patterns).names == names


def test_a_pattern_that_matches_nothing_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"no trainable parameter matches 'liner\.\*'.*scale, linear\.weight"):
        ParameterLayout.of(Scaled(), ["linear.*", "liner.*"])


def test_a_model_without_trainable_parameters_is_refused():
    with pytest.raises(ValueError, match=r"no trainable parameter.*requires_grad=True"):
        ParameterLayout.of(nn.ReLU())
    with pytest.raises(ValueError, match="no trainable parameter"):
        ParameterLayout.of(nn.Linear(2, 2).requires_grad_(False))


def test_parameters_without_values_and_complex_ones_are_refused_by_name():
    with pytest.raises(ValueError, match="parameter weight has no shape yet; call the model on a batch once"):
        ParameterLayout.of(nn.LazyLinear(2))
    with pytest.raises(ValueError, match="parameter weight is on the meta device"):
        ParameterLayout.of(nn.Linear(2, 2, device="meta"))
    with pytest.raises(ValueError, match=r"parameter weight must be real, got torch\.complex64"):
        ParameterLayout.of(nn.Linear(2, 2, dtype=torch.complex64))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.body = nn.Linear(3, 3)
        self.readout = nn.Linear(3, 5, bias=False)
        self.readout.weight = self.embedding.weight
        self.again = self.body


def test_a_tied_parameter_is_counted_once_and_found_by_any_of_its_names():
    layout = ParameterLayout.of(Tied())
    assert layout.names == ("embedding.weight", "body.weight", "body.bias")
    assert layout.size == 15 + 9 + 3
    assert ParameterLayout.of(Tied(), ["readout.*"]).names == ("embedding.weight",)
    assert ParameterLayout.of(Tied(), ["again.bias"]).names == ("body.bias",)


def test_tied_names_name_every_place_once():
    names = tied_names(Tied())
    assert names["embedding.weight"] == ("embedding.weight", "readout.weight")
    assert names["body.weight"] == ("body.weight",)  # one module under two names is one place


def test_mixed_types_promote_in_the_vector_and_come_back_in_their_own():
    model = nn.ModuleDict({"short": nn.Linear(1, 1, dtype=torch.bfloat16), "long": nn.Linear(1, 1).double()})
    layout = ParameterLayout.of(model)
    assert layout.dtype == torch.float64
    named = layout.unflatten(torch.ones(4, dtype=torch.float64))
    assert [tensor.dtype for tensor in named.values()] == [torch.bfloat16] * 2 + [torch.float64] * 2


@pytest.mark.parametrize("shape", [(), (8,), (10,), (2, 8)])
def test_a_vector_of_the_wrong_length_is_refused(shape):
    with pytest.raises(ValueError, match="must have length 9"):
        ParameterLayout.of(Scaled()).unflatten(torch.zeros(shape))


def norms_of(model, name):
    layout = ParameterLayout.of(model)
    rule = filter_rules(model, layout)[name]
    return rule.norms(dict(model.named_parameters())[name].detach()).float()


def test_filters_of_linear_convolution_and_embedding_are_their_rows():
    linear, convolution, embedding = nn.Linear(4, 3), nn.Conv2d(2, 5, 3), nn.Embedding(6, 4)
    for module, rows in ((linear, 3), (convolution, 5), (embedding, 6)):
        expected = torch.stack([row.norm() for row in module.weight.detach()])
        assert len(expected) == rows
        assert torch.allclose(norms_of(module, "weight"), expected)


def test_filters_of_a_transposed_convolution_are_its_output_channels_group_by_group():
    module = nn.ConvTranspose2d(
        4, 6, 3, groups=2
    )  # weight (4, 3, 3, 3): inputs 0-1 give outputs 0-2, inputs 2-3 the rest
    weight = module.weight.detach()
    expected = torch.stack(
        [weight[2 * group : 2 * group + 2, channel].norm() for group in (0, 1) for channel in range(3)]
    )
    assert torch.allclose(norms_of(module, "weight"), expected)


def test_biases_normalisation_and_scalars_have_no_filters():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.0))
            self.norm = nn.LayerNorm([3, 4])
            self.batch = nn.BatchNorm1d(3)
            self.attention = nn.MultiheadAttention(4, 2, add_bias_kv=True)

    rules = filter_rules(Odd(), ParameterLayout.of(Odd()))
    with_filters = {name for name, rule in rules.items() if rule is not None}
    assert with_filters == {"attention.in_proj_weight", "attention.out_proj.weight"}


def expected_norms(filters):
    return torch.stack([weights.norm() for weights in filters])


@pytest.mark.parametrize(
    ("module", "name", "filters"),
    [
        (nn.Conv1d(4, 6, 3, groups=2), "weight", lambda w: [w[c] for c in range(6)]),
        (nn.Conv2d(4, 8, 3, groups=4), "weight", lambda w: [w[c] for c in range(8)]),  # depthwise, two of each
        (nn.Conv3d(2, 3, 2), "weight", lambda w: [w[c] for c in range(3)]),
        (nn.ConvTranspose1d(3, 2, 4), "weight", lambda w: [w[:, c] for c in range(2)]),
        (nn.ConvTranspose3d(2, 4, 2, groups=2), "weight", lambda w: [w[g, c] for g in range(2) for c in range(2)]),
        (nn.ConvTranspose2d(3, 3, 2, groups=3), "weight", lambda w: [w[g, 0] for g in range(3)]),
        (nn.Bilinear(2, 3, 4), "weight", lambda w: [w[c] for c in range(4)]),
        (nn.EmbeddingBag(5, 3), "weight", lambda w: [w[token] for token in range(5)]),
        (nn.LSTM(3, 4, proj_size=2), "weight_ih_l0", lambda w: [w[row] for row in range(16)]),
        (nn.LSTM(3, 4, proj_size=2), "weight_hr_l0", lambda w: [w[row] for row in range(2)]),
        (nn.GRU(3, 4, bidirectional=True), "weight_hh_l0_reverse", lambda w: [w[row] for row in range(12)]),
        (nn.RNNCell(3, 4), "weight_ih", lambda w: [w[row] for row in range(4)]),
        (nn.MultiheadAttention(4, 2), "in_proj_weight", lambda w: [w[row] for row in range(12)]),
        (nn.MultiheadAttention(4, 2, kdim=3, vdim=5), "k_proj_weight", lambda w: [w[row] for row in range(4)]),
        (nn.Linear(1, 3), "weight", lambda w: [w[row] for row in range(3)]),
        (nn.Linear(3, 1), "weight", lambda w: [w[0]]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_filters_are_the_weights_of_one_output(module, name, filters):
    weight = dict(module.named_parameters())[name].detach()
    torch.testing.assert_close(norms_of(module, name), expected_norms(filters(weight)))


@pytest.mark.parametrize(
    "module",
    [nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.BatchNorm3d(4), nn.RMSNorm([3, 4]), nn.PReLU(3)],
    ids=lambda module: type(module).__name__,
)
def test_normalisation_and_activation_parameters_have_no_filters(module):
    assert set(filter_rules(module, ParameterLayout.of(module)).values()) == {None}


def test_filters_split_and_merge_are_inverse():
    module = nn.ConvTranspose2d(4, 6, 3, groups=2)
    rule = filter_rules(module, ParameterLayout.of(module))["weight"]
    elements = torch.arange(2.0 * module.weight.numel()).reshape(2, -1)
    filters = rule.split(elements)
    assert filters.shape == (2, 6, 2 * 3 * 3)
    assert torch.equal(filters[1, 4], elements[1].reshape(4, 3, 3, 3)[2:, 1].flatten())
    assert torch.equal(rule.merge(filters), elements)


class Patches(nn.Module):
    """Parameters of its own, as vision transformers have them."""

    def __init__(self):
        super().__init__()
        self.positions = nn.Parameter(torch.randn(1, 5, 3))
        self.token = nn.Parameter(torch.randn(1, 1, 3))
        self.scale = nn.Parameter(torch.randn(4, 1, 1))
        self.kernel = nn.Parameter(torch.randn(1, 2, 3, 3))
        self.matrix = nn.Parameter(torch.randn(3, 2))


def test_parameters_of_other_modules_have_rows():
    model = Patches()
    rules = filter_rules(model, ParameterLayout.of(model))
    assert rules["token"] is None
    assert rules["scale"] is None
    torch.testing.assert_close(norms_of(model, "positions"), model.positions.detach().norm(dim=2)[0])
    torch.testing.assert_close(norms_of(model, "kernel"), model.kernel.detach().norm().reshape(1))
    torch.testing.assert_close(norms_of(model, "matrix"), model.matrix.detach().norm(dim=1))


def test_parametrised_weights_have_the_filters_of_their_layer():
    normed = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4)))
    rules = filter_rules(normed, ParameterLayout.of(normed))
    direction = "0.parametrizations.weight.original1"
    assert {name for name, rule in rules.items() if rule is not None} == {direction}
    torch.testing.assert_close(
        norms_of(normed, direction), normed[0].parametrizations.weight.original1.detach().norm(dim=1)
    )
    transposed = parametrizations.spectral_norm(nn.ConvTranspose1d(3, 2, 4))
    original = "parametrizations.weight.original"
    weight = transposed.parametrizations.weight.original.detach()
    torch.testing.assert_close(norms_of(transposed, original), expected_norms([weight[:, c] for c in range(2)]))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_the_older_weight_norm_has_filters_too():
    model = nn.utils.weight_norm(nn.LSTM(3, 4), name="weight_hh_l0")
    rules = filter_rules(model, ParameterLayout.of(model))
    assert {name for name, rule in rules.items() if rule is not None} == {"weight_ih_l0", "weight_hh_l0_v"}


def test_the_vector_of_a_model_is_a_copy_and_a_changed_model_is_refused():
    model = nn.Linear(3, 2, bias=False)
    layout = ParameterLayout.of(model)
    vector = layout.vector_of(model)
    assert torch.equal(vector, model.weight.detach().reshape(-1))
    assert vector.data_ptr() != model.weight.data_ptr()
    with pytest.raises(ValueError, match=r"parameter weight was .*float32.* and is .*float64.*build a new one"):
        layout.vector_of(model.double())
    with pytest.raises(ValueError, match="and is gone"):
        layout.vector_of(nn.Sequential(model))
