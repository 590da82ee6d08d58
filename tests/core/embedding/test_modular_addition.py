"""Progress measures against networks whose waves are known, and against projections on explicit directions."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from landscope.embedding import progress_measures
from landscope.objective import Objective
from landscope.recipes.grokking import ModularAddition

P = 11
PAIRS = torch.cartesian_prod(torch.arange(P), torch.arange(P))
SUMS = PAIRS.sum(dim=1) % P


class Waves(nn.Module):
    """scale * sum_k cos(w_k (a + b - c)), from an embedding that has these frequencies."""

    def __init__(self, frequencies, scale=3.0, p=P):
        super().__init__()
        self.p, self.frequencies = p, torch.tensor(frequencies)
        angles = 2 * math.pi * torch.outer(torch.arange(p), self.frequencies).double() / p
        self.embed = nn.Embedding.from_pretrained(torch.cat([angles.cos(), angles.sin()], dim=1), freeze=False)
        self.scale = nn.Parameter(torch.tensor(scale).double())

    def forward(self, pairs):
        cos, sin = self.embed(pairs).chunk(2, dim=-1)
        both = cos[:, 0] * cos[:, 1] - sin[:, 0] * sin[:, 1], sin[:, 0] * cos[:, 1] + cos[:, 0] * sin[:, 1]
        cos, sin = self.embed.weight[: self.p].chunk(2, dim=1)
        return self.scale * (both[0] @ cos.T + both[1] @ sin.T)


class Lookup(nn.Module):
    """Any logits (p, p, p), with an embedding that takes no part."""

    def __init__(self, logits, embedding):
        super().__init__()
        self.logits, self.embed = nn.Parameter(logits), nn.Embedding.from_pretrained(embedding)

    def forward(self, pairs):
        return self.logits[pairs[:, 0], pairs[:, 1]]


def objective_of(model, **options):
    return Objective(model, nn.CrossEntropyLoss(), (PAIRS[:9], SUMS[:9]), **options)


def lookup(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(P, P, P, generator=generator, dtype=torch.float64) + torch.randn(P, generator=generator)
    return Lookup(logits, torch.randn(P, 40, generator=generator))


def directions(frequencies):
    """(2k, p^2) the unit vectors cos(w (a + b)) and sin(w (a + b)) over pairs."""
    angles = 2 * np.pi * np.outer(frequencies, PAIRS.sum(dim=1).numpy()) / P
    return np.concatenate([np.cos(angles), np.sin(angles)]) * math.sqrt(2) / P


@pytest.mark.parametrize("p", [11, 12])
def test_a_network_that_adds_by_waves_alone(p):
    found = progress_measures(Objective(Waves([1, 4], p=p), nn.CrossEntropyLoss(), (PAIRS[:9], SUMS[:9])))
    assert sorted(found.key.tolist()) == [1, 4]
    assert found.splits == ("all",)
    np.testing.assert_allclose(found.excluded, math.log(p), rtol=1e-12)
    np.testing.assert_allclose(found.restricted, found.full, rtol=1e-12)
    by_hand = np.exp([3 * sum(math.cos(2 * math.pi * k * c / p) for k in (1, 4)) for c in range(p)])
    assert found.full[0] == pytest.approx(math.log(by_hand.sum() / by_hand[0]))


def test_losses_are_those_of_explicit_projections():
    model = lookup()
    some = PAIRS[torch.randperm(P * P, generator=torch.Generator().manual_seed(1))[:30]]
    found = progress_measures(objective_of(model), frequencies=[2, 3, 5], splits={"train": some})
    logits = model.logits.detach().reshape(P * P, P).numpy()
    rows = directions([2, 3, 5])
    np.testing.assert_allclose(rows @ rows.T, np.eye(6), atol=1e-14)
    part = rows.T @ (rows @ logits)
    expected = {"full": logits, "restricted": part + logits.mean(axis=0), "excluded": logits - part}
    positions = some[:, 0] * P + some[:, 1]
    for name, kept in expected.items():
        losses = cross_entropy(torch.as_tensor(kept), SUMS, reduction="none")
        np.testing.assert_allclose(
            getattr(found, name), [losses.mean(), losses[positions].mean()], rtol=1e-12, err_msg=name
        )
    assert found.splits == ("all", "train")
    scalars = found.scalars()
    assert scalars["restricted"] == found.restricted[0]
    assert scalars["excluded.train"] == found.excluded[1]
    assert scalars["keys"] == 3


def test_what_depends_on_more_than_the_sum_is_not_restricted():
    model, base = lookup(), Waves([3])
    difference = (PAIRS[:, 0] - PAIRS[:, 1]).reshape(P, P, 1)
    noise = 5 * torch.cos(2 * math.pi * (3 * difference + torch.arange(P)) / P)  # no direction of the sum has any of it
    with torch.no_grad():
        model.logits.copy_(base(PAIRS).reshape(P, P, P) + noise)
    found = progress_measures(objective_of(model), frequencies=[3])
    assert found.restricted[0] == pytest.approx(float(objective_of(base).value()), rel=1e-6)
    assert found.full[0] > found.restricted[0] + 1


def test_without_key_frequencies_nothing_is_excluded():
    found = progress_measures(objective_of(lookup()))
    assert not len(found.key)
    np.testing.assert_array_equal(found.excluded, found.full)
    means = lookup().logits.detach().reshape(-1, P).mean(dim=0)
    assert found.restricted[0] == pytest.approx(float(cross_entropy(means.expand(P * P, P), SUMS)))


def test_random_logits_hardly_use_any_frequency():
    found = progress_measures(objective_of(lookup()), frequencies=[2])
    assert found.excluded[0] == pytest.approx(found.full[0], rel=0.1)
    assert found.restricted[0] > 0.8 * math.log(P)


def test_inputs_are_built_from_pairs_and_rows_beyond_the_modulus_left_out():
    class Sequence(nn.Module):
        """Reads a, b and an equals sign; answers at every position."""

        def __init__(self):
            super().__init__()
            self.waves = Waves([2])
            padded = torch.cat([self.waves.embed.weight.detach(), torch.full((1, 2), 30.0)])
            self.waves.embed = nn.Embedding.from_pretrained(padded, freeze=False)

        def forward(self, tokens):
            assert bool((tokens[:, 2] == P).all())
            logits = self.waves(tokens[:, :2])
            return torch.stack([torch.zeros_like(logits), logits], dim=1)

    def with_equals(pairs):
        return torch.cat([pairs, torch.full((len(pairs), 1), P)], dim=1)

    data = with_equals(PAIRS[:9]), SUMS[:9]
    last = Objective(Sequence(), nn.CrossEntropyLoss(), data, forward=lambda model, batch: model(batch[0])[:, -1])
    found = progress_measures(last, inputs=with_equals, modulus=P)
    assert found.key.tolist() == [2]
    assert found.excluded[0] == pytest.approx(math.log(P))
    every = Objective(Sequence(), lambda out, y: cross_entropy(out[:, -1], y), data)
    with pytest.raises(ValueError, match=r"must be 11 logits for each of 121 pairs, got \(121, 2, 11\); pass forward="):
        progress_measures(every, inputs=with_equals, modulus=P)


def test_elsewhere_than_at_the_models_weights_and_leaves_the_model_alone():
    torch.manual_seed(0)
    first, second = ModularAddition(P, 16, 8), ModularAddition(P, 16, 8)
    state = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    there = progress_measures(objective_of(second), frequencies=[1, 2])
    found = progress_measures(objective_of(first), frequencies=[1, 2], theta=objective_of(second).theta())
    np.testing.assert_allclose(found.excluded, there.excluded, rtol=1e-6)
    np.testing.assert_allclose(found.norms, there.norms, rtol=1e-6)
    assert found.provenance.forwards == pytest.approx(P * P / 9)
    assert all(torch.equal(state[name], tensor) for name, tensor in first.state_dict().items())


def test_refusals():
    objective = objective_of(Waves([2]))
    for wrong in ([0], [6], [2, 2]):
        with pytest.raises(ValueError, match="frequencies must be different ones from 1 to 5"):
            progress_measures(objective, frequencies=wrong)
    for wrong in (torch.tensor([[0, 11]]), torch.tensor([1, 2]), torch.empty(0, 2, dtype=torch.long)):
        with pytest.raises(ValueError, match=r"split 'train' must be pairs \(n, 2\) of residues from 0 to 10"):
            progress_measures(objective, splits={"train": wrong})
    infinite = objective_of(lookup())
    with torch.no_grad():
        infinite.model.logits[4, 5, 6] = math.inf
    with pytest.raises(ValueError, match="logits are not all finite"):
        progress_measures(infinite)
