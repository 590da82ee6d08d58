"""Effective rank and centred alignment against closed forms."""

import numpy as np
import pytest

from landscope.kernel import alignment, effective_rank
from landscope.kernel.spectrum import block_cosines, class_borders, label_gram


@pytest.fixture
def grams():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 20, 4)) + 1
    return first @ first.T, second @ second.T


def one_sided(gram, other):
    """The common mistake: centring rows or columns, not both, and not in the norm."""
    first, second = gram - gram.mean(axis=0), other - other.mean(axis=0)
    return (first * second).sum() / (np.linalg.norm(first) * np.linalg.norm(other - other.mean()))


def test_kernel_is_aligned_with_itself(grams):
    assert alignment(grams[0], grams[0]) == pytest.approx(1, abs=1e-14)
    assert one_sided(grams[0], grams[0]) < 0.99


def test_scale_and_constants_do_not_matter(grams):
    gram, other = grams
    shift = np.arange(20.0)
    moved = 3 * gram + shift[:, None] + shift[None, :] + 7
    assert alignment(moved, other) == pytest.approx(alignment(gram, other), rel=1e-10)
    assert one_sided(moved, other) != pytest.approx(one_sided(gram, other), rel=0.01)


def test_is_the_definition_with_explicit_centring(grams):
    centring = np.eye(20) - 1 / 20
    first, second = (centring @ gram @ centring for gram in grams)
    expected = np.trace(first @ second) / np.sqrt(np.trace(first @ first) * np.trace(second @ second))
    assert alignment(*grams) == pytest.approx(expected, rel=1e-12)


def test_one_dimensional_labels():
    """With K = x x^T and L = y y^T the alignment is the squared correlation of x and y."""
    x, y = np.random.default_rng(1).normal(size=(2, 30))
    expected = np.corrcoef(x, y)[0, 1] ** 2
    assert alignment(np.outer(x, x), np.outer(y, y)) == pytest.approx(expected, rel=1e-10)


def test_nothing_to_align_with_a_constant(grams):
    assert alignment(grams[0], label_gram(np.zeros(20, dtype=int))) is None
    assert alignment(np.full((20, 20), 0.1), grams[0]) is None


def test_shapes_must_agree(grams):
    with pytest.raises(ValueError, match="two square matrices of one shape"):
        alignment(grams[0], np.eye(3))


def test_effective_rank():
    assert effective_rank(np.array([2.0, 2.0, 2.0, 0.0])) == pytest.approx(3)
    assert effective_rank(np.array([5.0, 0.0])) == pytest.approx(1)
    assert effective_rank(np.array([3.0, 1.0])) == pytest.approx(16 / 10)
    assert effective_rank(np.zeros(4)) == 0


def test_cosines_are_those_of_the_gradients_block_by_block():
    gradients = np.random.default_rng(1).normal(size=(12, 5))
    gradients[[3, 7]] = 0
    labels = np.array([2, 0, 1, 1, 0, 2, 2, 0, 1, 0, 0, 2])
    kept = [i for label in range(3) for i in range(12) if labels[i] == label and i not in (3, 7)]
    unit = gradients[kept] / np.linalg.norm(gradients[kept], axis=1, keepdims=True)
    gram = gradients @ gradients.T
    np.testing.assert_allclose(block_cosines(gram, labels), unit @ unit.T, atol=1e-6)
    assert class_borders(gram, labels) == (4, 6)
    # Blocks of two: means of four cosines each.
    means = (unit @ unit.T).reshape(5, 2, 5, 2).mean((1, 3))
    np.testing.assert_allclose(block_cosines(gram, labels, blocks=5), means, atol=1e-6)
    assert class_borders(gram, labels, blocks=5) == (2, 3)
    np.testing.assert_allclose(block_cosines(1e-30 * gram, labels), unit @ unit.T, atol=1e-6)
    assert block_cosines(gram, None).shape == (10, 10)
    assert class_borders(gram, None) == ()
    assert block_cosines(np.zeros((4, 4)), None) is None
