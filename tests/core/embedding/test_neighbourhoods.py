"""Trustworthiness against scikit-learn's, and against what it must be."""

import numpy as np
import pytest
from sklearn import manifold

from landscope.embedding.neighbourhoods import trustworthiness


@pytest.mark.parametrize("k", [1, 5, 12])
@pytest.mark.parametrize("seed", range(3))
def test_equals_scikit_learn_s(k, seed):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(80, 7)) * generator.uniform(0.1, 3, size=7)
    for points in (features[:, :2], generator.normal(size=(80, 2)), features[:, :3]):
        expected = manifold.trustworthiness(features, points, n_neighbors=k)
        assert trustworthiness(features, points, k) == pytest.approx(expected, abs=1e-12)


def test_a_rotated_copy_is_trusted_and_noise_is_not():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(300, 2))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert trustworthiness(features, 3 * features @ turn + 5, 10) == 1
    assert trustworthiness(features, generator.normal(size=(300, 2)), 10) == pytest.approx(0.5, abs=0.05)


def test_equal_points_do_not_count_against_the_picture():
    features = np.repeat(np.random.default_rng(0).normal(size=(20, 4)), 3, axis=0)
    assert trustworthiness(features, features[:, :2].copy(), 2) == 1


@pytest.mark.parametrize("k", [0, 5])
def test_k_must_fit(k):
    with pytest.raises(ValueError, match="less than half of 10 points"):
        trustworthiness(np.zeros((10, 3)), np.zeros((10, 2)), k)
