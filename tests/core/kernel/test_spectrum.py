"""Effective rank and centred alignment against closed forms."""

import numpy as np
import pytest

from landscope.kernel import alignment, effective_rank
from landscope.kernel.spectrum import label_gram


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
