"""The minimum over free features and a linear head, against descent on all of its matrices in float64."""

import numpy as np
import pytest
from scipy.optimize import minimize

from landscope.embedding import orthogonal_frame

COUNTS = (9, 5, 2)


TARGETS = np.repeat(np.eye(len(COUNTS)), COUNTS, axis=1)
DECAYS = {"weight_decay": 0.02, "feature_decay": 0.003}


def products(factors):
    """H, W_1 H, ... and the outputs."""
    found = [factors[0]]
    for layer in factors[1:]:
        found.append(layer @ found[-1])
    return found


def loss_and_gradients(factors):
    decays = [DECAYS["feature_decay"], *[DECAYS["weight_decay"]] * (len(factors) - 1)]
    passed = products(factors)
    back = (passed[-1] - TARGETS) / sum(COUNTS)
    loss = sum(COUNTS) / 2 * (back**2).sum() + sum(d / 2 * (f**2).sum() for d, f in zip(decays, factors, strict=True))
    gradients = []
    for layer, before in zip(factors[:0:-1], passed[-2::-1], strict=True):
        gradients.insert(0, back @ before.T)
        back = layer.T @ back
    return loss, [g + d * f for g, d, f in zip([back, *gradients], decays, factors, strict=True)]


def minimised(layers, seed):
    """The loss and the factors [H, W_1 ... W_M] at a minimum, from random ones."""
    width = len(COUNTS) + 1
    shapes = [(width, sum(COUNTS)), *[(width, width)] * (layers - 1), (len(COUNTS), width)]
    cuts = np.cumsum([a * b for a, b in shapes])

    def shaped(theta):
        return [piece.reshape(shape) for piece, shape in zip(np.split(theta, cuts[:-1]), shapes, strict=True)]

    def evaluate(theta):
        loss, gradients = loss_and_gradients(shaped(theta))
        return loss, np.concatenate([one.ravel() for one in gradients])

    start = np.random.default_rng(seed).normal(size=cuts[-1])
    end = minimize(evaluate, start, jac=True, method="L-BFGS-B", options={"maxiter": 3000, "ftol": 0, "gtol": 1e-9})
    return end.fun, shaped(end.x)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_is_where_descent_on_all_matrices_ends_and_no_start_gets_below(layers):
    frame = orthogonal_frame(COUNTS, **DECAYS, layers=layers)
    ends = [minimised(layers, seed) for seed in range(4)]
    loss, factors = min(ends, key=lambda end: end[0])
    depth, total = layers + 1, sum(COUNTS)
    product = DECAYS["weight_decay"] ** layers * DECAYS["feature_decay"]
    expected = sum(
        n / (2 * total) * (1 - p) ** 2 + depth / 2 * (product * n * p**2) ** (1 / depth)
        for n, p in zip(COUNTS, frame.outputs, strict=True)
    )
    assert loss == pytest.approx(expected, rel=1e-10)
    *_, read, outputs = products(factors)
    means = read.T[np.cumsum((0, *COUNTS[:-1]))]
    np.testing.assert_allclose(read, np.repeat(means, COUNTS, axis=0).T, atol=1e-6)
    np.testing.assert_allclose(means @ means.T, np.diag(frame.lengths**2), atol=1e-6)
    np.testing.assert_allclose(outputs, np.repeat(np.diag(frame.outputs), COUNTS, axis=1), atol=1e-6)


def test_one_layer_is_the_soft_threshold_of_the_targets_singular_values():
    frame = orthogonal_frame(COUNTS, weight_decay=0.04, feature_decay=0.05)
    shrunk = np.maximum(np.sqrt(COUNTS) - sum(COUNTS) * np.sqrt(0.04 * 0.05), 0)
    np.testing.assert_allclose(frame.outputs * np.sqrt(COUNTS), shrunk, atol=1e-14)
    assert frame.outputs[2] > 0
    small = orthogonal_frame(COUNTS, weight_decay=0.1, feature_decay=0.1)
    assert small.outputs[2] == small.lengths[2] == 0  # 16 * 0.1 > sqrt(2): minority collapse
    assert small.lengths[0] > small.lengths[1] > 0  # with much decay the frequent class is the longer


def test_equal_classes_have_equal_lengths_and_rare_ones_longer_under_little_decay():
    equal = orthogonal_frame((7, 7, 7), weight_decay=1e-3, feature_decay=1e-4, layers=2)
    assert np.ptp(equal.lengths) == 0
    lengths = orthogonal_frame((64, 16, 4), weight_decay=1e-6, feature_decay=1e-6).lengths
    np.testing.assert_allclose(lengths[1:] / lengths[:-1], np.sqrt(2), rtol=1e-3)  # n^(-1/4) without decay


def test_too_much_decay_puts_all_out():
    frame = orthogonal_frame(COUNTS, weight_decay=1.0, feature_decay=1.0, layers=3)
    assert not frame.outputs.any()
    assert not frame.lengths.any()


def test_refuses_what_is_not_positive():
    for wrong in ({"counts": (3, 0)}, {"counts": ()}, {"layers": 0}, {"weight_decay": 0.0}, {"feature_decay": -1.0}):
        given = {"counts": (3, 2), "weight_decay": 0.1, "feature_decay": 0.1} | wrong
        with pytest.raises(ValueError, match="must be positive"):
            orthogonal_frame(**given)
