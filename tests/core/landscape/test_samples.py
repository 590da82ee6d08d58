"""Sampling errors against numpy's one-pass-free formulas, closed forms and repeated sampling."""

import numpy as np
import pytest
import torch

from landscope.landscape.samples import Moments, SamplingErrors, contrast_error, standard_error


@pytest.fixture
def losses():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(7, 300, generator=generator, dtype=torch.float64).square() + torch.arange(7.0).unsqueeze(1)


def test_equal_weights_give_the_textbook_formula(losses):
    expected = losses.numpy().std(axis=1, ddof=1) / np.sqrt(300)
    np.testing.assert_allclose(standard_error(losses).numpy(), expected, rtol=1e-13)
    contrast = (losses - losses[0]).numpy().std(axis=1, ddof=1) / np.sqrt(300)
    np.testing.assert_allclose(contrast_error(losses, losses[0]).numpy(), contrast, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_of_examples_and_of_points_give_what_all_at_once_gives(losses, weighted):
    weights = torch.rand(300, generator=torch.Generator().manual_seed(1)).double() if weighted else None
    whole, pieces = (SamplingErrors.empty(7, losses) for _ in range(2))
    whole.add(losses, losses[3], weights)
    for block in torch.arange(300).split(41):
        for points in (slice(0, 2), slice(2, 7)):
            part = None if weights is None else weights[block]
            pieces.add(losses[points][:, block], losses[3, block], part, points)
    for found, expected in ((pieces.losses, whole.losses), (pieces.contrasts, whole.contrasts)):
        torch.testing.assert_close(found.mean, expected.mean, rtol=1e-13, atol=1e-14)
        torch.testing.assert_close(found.standard_error(), expected.standard_error(), rtol=1e-12, atol=1e-14)


def test_weights_give_the_linearised_error_of_a_ratio(losses):
    weights = torch.rand(300, generator=torch.Generator().manual_seed(1)).double()
    moments = Moments.empty(7, losses)
    moments.add(losses[:, :100], weights[:100])
    moments.add(losses[:, 100:], weights[100:])
    w, x = weights.numpy(), losses.numpy()
    mean = x @ w / w.sum()
    np.testing.assert_allclose(moments.mean.numpy(), mean, rtol=1e-13)
    expected = np.sqrt(300 / 299 * (w**2 * (x - mean[:, None]) ** 2).sum(1)) / w.sum()
    np.testing.assert_allclose(moments.standard_error().numpy(), expected, rtol=1e-12)


def test_what_has_no_weight_is_not_looked_at(losses):
    marred = torch.cat([losses, torch.full((7, 5), torch.nan)], dim=1)
    weights = torch.cat([torch.ones(300), torch.zeros(5)])
    torch.testing.assert_close(standard_error(marred, weights), standard_error(losses))
    moments = Moments.empty(7, losses)
    moments.add(marred[:, 300:], weights[300:])
    moments.add(losses)
    torch.testing.assert_close(moments.standard_error(), standard_error(losses))


def test_scatter_survives_a_large_mean_in_float32_blocks():
    small = torch.randn(2, 4096, generator=torch.Generator().manual_seed(2))
    moments = Moments.empty(2, small)
    for block in (small.double() + 1e8).split(64, dim=1):
        moments.add(block)
    expected = (small.double() + 1e8).std(dim=1) / 64
    torch.testing.assert_close(moments.standard_error(), expected, rtol=1e-6, atol=0)


def test_the_error_is_the_scatter_of_repeated_samples():
    """Drawn without replacement from 400: the finite population makes the error smaller."""
    generator = torch.Generator().manual_seed(3)
    population = torch.randn(400, generator=generator, dtype=torch.float64).exp()
    draws = torch.stack([population[torch.randperm(400, generator=generator)[:100]] for _ in range(4000)])
    scatter = float(draws.mean(1).std())
    stated = float(standard_error(draws, population=400).square().mean().sqrt())
    assert stated == pytest.approx(scatter, rel=0.05)
    assert float(standard_error(draws).square().mean().sqrt()) > 1.1 * scatter
    assert float(standard_error(population.unsqueeze(0), population=400)) == 0


def test_common_examples_make_contrasts_better_known_than_values():
    generator = torch.Generator().manual_seed(4)
    hardness = 10 * torch.rand(1, 500, generator=generator)
    losses = hardness + 0.1 * torch.rand(3, 500, generator=generator)
    assert (contrast_error(losses, losses[0])[1:] < 0.05 * standard_error(losses)[1:]).all()


def test_losses_that_are_not_finite_keep_their_mean_and_have_no_error():
    losses = torch.ones(4, 6)
    losses[1, 0], losses[2, 4], losses[3, 1] = torch.inf, torch.nan, -torch.inf
    moments = Moments.empty(4, losses)
    for block in losses.split(2, dim=1):
        moments.add(block)
    assert moments.mean.tolist()[:2] == [1.0, float("inf")]
    assert moments.mean[2].isnan()
    assert moments.mean[3] == -torch.inf
    assert moments.standard_error()[0] == 0
    assert moments.standard_error()[1:].isnan().all()


def test_too_few_examples_and_too_small_populations():
    assert standard_error(torch.ones(3, 1)).isnan().all()
    assert Moments.empty(2, torch.ones(1)).mean.isnan().all()
    with pytest.raises(ValueError, match="at least the 5 examples of the sample, got 4"):
        standard_error(torch.ones(3, 5), population=4)
