"""Contrast where every number is known: one point, simplexes, points evenly on a circle, random ones on spheres."""

import math

import numpy as np
import pytest
import torch
from scipy.special import gammaln, i0, ive
from torch import nn

from landscope.embedding import contrast
from landscope.objective import Objective


def contrast_of(values, labels):
    """Of features that are the data."""
    layer = nn.Linear(values.shape[1], int(max(labels)) + 1, dtype=torch.float64)
    data = torch.as_tensor(values, dtype=torch.float64), torch.as_tensor(labels)
    return contrast(Objective(layer, nn.CrossEntropyLoss(), data))


def shares(densities, edges):
    return densities * np.diff(edges)


def test_features_that_are_all_equal():
    found = contrast_of(np.full((12, 5), 0.3), np.arange(12) % 3)
    assert (found.alignment, found.uniformity, found.separation) == pytest.approx((0, 0, 0), abs=1e-12)
    assert found.tolerance == pytest.approx(1)
    assert shares(found.positive, found.edges)[-1] == pytest.approx(1)
    assert shares(found.negative, found.edges)[-1] == pytest.approx(1)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("of_each", [4, 12])
def test_simplex(classes, of_each):
    labels = np.arange(of_each * classes) % classes
    found = contrast_of(7 * (np.eye(classes, 9) - np.eye(classes, 9).mean(axis=0))[labels], labels)
    count = len(labels)
    same = (of_each - 1) / (count - 1)
    assert found.uniformity == pytest.approx(math.log(same + (1 - same) * math.exp(-4 - 4 / (classes - 1))))
    assert (found.alignment, found.tolerance) == pytest.approx((0, 1), abs=1e-12)
    assert found.separation == pytest.approx(1, abs=1e-7)
    assert found.probe_accuracy == 1
    if of_each > 10:  # with fewer, not all ten voters can be of the own class
        assert found.knn_accuracy == 1
    middles = (found.edges[1:] + found.edges[:-1]) / 2
    width = found.edges[1] - found.edges[0]
    assert shares(found.negative, found.edges).max() == pytest.approx(1)
    assert abs(middles[found.negative.argmax()] + 1 / (classes - 1)) <= width / 2 + 1e-9


def test_points_evenly_on_a_circle():
    count = 64
    angles = 2 * np.pi * np.arange(count) / count
    found = contrast_of(5 * np.stack([np.cos(angles), np.sin(angles)], axis=1), np.arange(count) % 2)
    # The mean of exp(4 cos) over evenly many angles is the Bessel function I_0(4), far below rounding from count = 64.
    assert found.uniformity == pytest.approx(math.log((count * i0(4) - math.exp(4)) / (count - 1)) - 4, abs=1e-10)
    assert found.tolerance == pytest.approx(-1 / (count / 2 - 1))  # cosines with the 31 others of a class sum to -1
    assert found.alignment == pytest.approx(2 + 2 / (count / 2 - 1))
    other, own = (2 * math.sin(steps * math.pi / count) for steps in (1, 2))
    assert found.separation == pytest.approx((other - own) / own)
    assert sum(shares(found.positive, found.edges)) == pytest.approx(1)


@pytest.mark.parametrize("dimensions", [3, 10])
def test_points_at_random_on_a_sphere(dimensions):
    generator = np.random.default_rng(0)
    found = contrast_of(generator.normal(size=(800, dimensions)), generator.integers(0, 2, 800))
    order = dimensions / 2 - 1
    # E exp(4 cos) = Gamma(d/2) (2/4)^(d/2 - 1) I_(d/2 - 1)(4), the normaliser of von Mises and Fisher.
    assert found.uniformity == pytest.approx(
        gammaln(dimensions / 2) + order * math.log(1 / 2) + math.log(ive(order, 4)), abs=0.02
    )
    assert found.tolerance == pytest.approx(0, abs=0.02)
    assert found.alignment == pytest.approx(2, abs=0.04)
    assert found.separation == pytest.approx(0, abs=0.05)
    assert 0.4 < found.knn_accuracy < 0.6
    assert 0.4 < found.probe_accuracy < 0.6
