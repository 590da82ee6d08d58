"""Tokens' Fourier structure at embeddings whose frequencies are known, and against numpy's discrete transform."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from landscope.embedding import token_spectrum
from landscope.embedding.fourier import circles, fourier_basis, frequency_norms, gini, key_frequencies
from landscope.measurements import Measurement
from landscope.objective import Objective

P, WIDTH = 13, 8


def frame(columns, seed=0):
    """(columns, WIDTH) orthonormal rows."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)))[0][:columns]


def waves(frequencies, p=P, radius=2.0, seed=0):
    """(p, WIDTH) tokens on a circle for each frequency, each in a plane of its own."""
    angles = 2 * np.pi * np.outer(np.arange(p), frequencies) / p
    return radius * np.concatenate([np.cos(angles), np.sin(angles)], axis=1) @ frame(2 * len(frequencies), seed)


class Table(nn.Module):
    """Logits of two tokens that are read from an embedding."""

    def __init__(self, values):
        super().__init__()
        self.embed = nn.Embedding(*values.shape).double()
        self.head = nn.Linear(values.shape[1], P, bias=False).double()
        with torch.no_grad():
            self.embed.weight.copy_(torch.as_tensor(values))

    def forward(self, pairs):
        return self.head(self.embed(pairs).sum(dim=1))


def embedded(values):
    pairs = torch.tensor([[0, 1], [2, 3]])
    return Objective(Table(values), nn.CrossEntropyLoss(), (pairs, pairs.sum(dim=1)))


@pytest.mark.parametrize("p", [3, 4, 13, 16])
def test_basis_is_orthonormal_and_complete(p):
    cosines, sines = fourier_basis(p)
    rows = np.concatenate([np.full((1, p), p**-0.5), cosines, sines if p % 2 else sines[:-1]])
    np.testing.assert_allclose(rows @ rows.T, np.eye(p), atol=1e-14)
    assert not sines[-1].any() or p % 2


@pytest.mark.parametrize("p", [12, 13])
def test_norms_are_those_of_the_discrete_transform_and_keep_the_length(p):
    values = np.random.default_rng(0).normal(size=(p, 5)) + 3
    power = (np.abs(np.fft.fft(values, axis=0, norm="ortho")) ** 2).sum(axis=1)
    expected = [power[k] if 2 * k == p else power[k] + power[p - k] for k in range(1, p // 2 + 1)]
    np.testing.assert_allclose(frequency_norms(values) ** 2, expected, rtol=1e-12)
    assert (frequency_norms(values) ** 2).sum() == pytest.approx(((values - values.mean(axis=0)) ** 2).sum(), rel=1e-12)
    np.testing.assert_allclose(frequency_norms(np.roll(values, 5, axis=0)), frequency_norms(values), rtol=1e-12)


def test_gini_is_its_definition():
    values = np.random.default_rng(0).random(9)
    assert gini(values) == pytest.approx(np.abs(np.subtract.outer(values, values)).sum() / (2 * 9 * values.sum()))
    assert gini(np.full(6, 0.3)) == pytest.approx(0, abs=1e-15)
    assert gini(np.array([0.0, 0, 5, 0])) == pytest.approx(1 - 1 / 4)
    assert gini(np.zeros(4)) == 0


def test_key_frequencies_are_those_above_twice_the_mean_power():
    assert key_frequencies(np.sqrt([1.0, 5.0, 0.0, 6.0, 0.0, 0.0])).tolist() == [4, 2]
    assert key_frequencies(np.sqrt([1.0, 4.0, 1.0, 2.0, 2.0, 2.0])).tolist() == []  # exactly twice is not more
    assert key_frequencies(np.zeros(3)).tolist() == []


def test_pure_waves_are_found_with_their_circles():
    found = token_spectrum(embedded(waves([2, 5]) + 7))
    np.testing.assert_array_equal(found.frequencies, np.arange(1, 7))
    np.testing.assert_allclose(found.norms, [0, 2 * math.sqrt(P), 0, 0, 2 * math.sqrt(P), 0], atol=1e-12)
    assert sorted(found.key.tolist()) == [2, 5]
    assert found.share == pytest.approx(1)
    assert found.gini == pytest.approx(1 - 2 / 6)
    for k, plane in zip(found.key, found.circles, strict=True):
        angles = 2 * np.pi * k * np.arange(P) / P
        np.testing.assert_allclose(plane, 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1), atol=1e-12)
    assert found.scalars() == {"gini": found.gini, "keys": 2.0, "share": found.share}


def test_circles_do_not_turn_with_the_embedding():
    values = np.random.default_rng(3).normal(size=(P, WIDTH))
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(WIDTH, WIDTH)))[0]
    key = np.array([1, 6])
    np.testing.assert_allclose(circles(values @ turn + 2, key), circles(values, key), atol=1e-12)
    first, second = (np.linalg.norm(found) for found in circles(values, key))
    assert 0 < first < np.linalg.norm(values)
    assert first != pytest.approx(second)


def test_components_along_one_line_give_a_line():
    line = np.outer(np.cos(2 * np.pi * 3 * np.arange(12) / 12), frame(1)[0])
    (plane,) = circles(line, np.array([3]))
    np.testing.assert_allclose(plane, np.outer(np.cos(np.pi * np.arange(12) / 2), [1, 0]), atol=1e-12)
    alternating = np.outer((-1.0) ** np.arange(12), frame(1)[0])
    assert frequency_norms(alternating).argmax() == 5
    (plane,) = circles(alternating, np.array([6]))
    np.testing.assert_allclose(plane, np.outer((-1.0) ** np.arange(12), [1, 0]), atol=1e-12)


def test_random_tokens_have_no_key_frequency():
    for seed in range(5):
        norms = frequency_norms(np.random.default_rng(seed).normal(size=(97, 64)))
        assert not len(key_frequencies(norms))
        assert gini(norms) < 0.06


def test_equal_tokens_have_no_structure():
    found = token_spectrum(embedded(np.full((P, WIDTH), 0.1)))
    assert not found.norms.any()
    assert (found.gini, found.share, found.circles.shape) == (0, 0, (0, P, 2))


def test_weight_is_found_by_name_and_elsewhere_than_at_the_models_weights():
    objective = embedded(waves([2]))
    for name in ("embed", "embed.weight"):
        assert token_spectrum(objective, name).key.tolist() == [2]
    assert token_spectrum(objective, "head").weight == "head.weight"
    other = objective.layout.flatten(
        {"embed.weight": torch.as_tensor(waves([4])), "head.weight": torch.zeros(P, WIDTH)}
    )
    assert token_spectrum(objective, theta=other).key.tolist() == [4]
    alone = objective.with_parameters(["head.*"])
    assert token_spectrum(alone, theta=torch.zeros(P * WIDTH)).key.tolist() == [2]


def test_rows_beyond_the_modulus_are_no_residues():
    values = np.concatenate([waves([3]), np.full((1, WIDTH), 50.0)])
    assert token_spectrum(embedded(values), modulus=P).key.tolist() == [3]
    assert token_spectrum(embedded(values)).share < 0.9


def test_survives_a_file():
    found = token_spectrum(embedded(waves([2, 5])))
    back = Measurement.from_bytes(found.to_bytes())
    assert back.scalars() == found.scalars()
    assert back.span() == (0.0, found.norms.max())
    assert (back.restricted, back.splits) == (None, ())
    np.testing.assert_array_equal(back.circles, found.circles)


def test_refusals():
    objective = embedded(waves([2]))
    with pytest.raises(ValueError, match=r"no weight 'tokens'; its parameters are embed\.weight, head\.weight"):
        token_spectrum(objective, "tokens")
    with pytest.raises(ValueError, match="a row for each of the 99 residues, got shape"):
        token_spectrum(objective, modulus=99)
    with pytest.raises(ValueError, match="modulus must be at least 3, got 2"):
        token_spectrum(objective, modulus=2)
    linear = Objective(nn.Linear(3, 2), nn.CrossEntropyLoss(), (torch.randn(4, 3), torch.tensor([0, 1, 0, 1])))
    with pytest.raises(ValueError, match="the model has 0 embeddings: name the weight"):
        token_spectrum(linear)
    with pytest.raises(ValueError, match=r"must be a matrix .* got shape \(2,\)"):
        token_spectrum(linear, "bias")
    with torch.no_grad():
        objective.model.embed.weight[5, 0] = math.inf
    with pytest.raises(ValueError, match=r"embed\.weight is not finite"):
        token_spectrum(objective)
