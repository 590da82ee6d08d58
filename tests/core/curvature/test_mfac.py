"""The inverse of a Fisher matrix known by gradients, against the dense inverse."""

import pytest
import torch

from landscope.curvature import GradientBuffer


def gradients(count, size, dtype=torch.float64, scale=1.0):
    return scale * torch.randn(count, size, generator=torch.Generator().manual_seed(0), dtype=dtype)


def dense(rows, damping):
    rows = rows.double()
    return damping * torch.eye(rows.shape[1]).double() + rows.T @ rows / len(rows)


@pytest.mark.parametrize("damping", [1e-6, 1e-2, 10.0])
@pytest.mark.parametrize("pushed", [1, 4, 7, 23])
def test_solves_are_those_of_the_last_gradients(pushed, damping):
    rows, vector = gradients(pushed, 12), gradients(30, 12)[-1]
    buffer = GradientBuffer(7, damping=damping)
    for row in rows:
        buffer.push(row)
    assert len(buffer) == min(pushed, 7)
    matrix = dense(rows[-7:], damping)
    torch.testing.assert_close(buffer.solve(vector), torch.linalg.solve(matrix, vector), rtol=1e-7, atol=0)
    torch.testing.assert_close(buffer.multiply(vector), matrix @ vector)
    torch.testing.assert_close(buffer.multiply(buffer.solve(vector)), vector, rtol=1e-6, atol=1e-8)


def test_more_gradients_than_parameters_and_a_single_parameter():
    for size in (3, 1):
        rows, vector = gradients(9, size), torch.ones(size).double()
        buffer = GradientBuffer(9, damping=1e-3)
        for row in rows:
            buffer.push(row)
        torch.testing.assert_close(buffer.solve(vector), torch.linalg.solve(dense(rows, 1e-3), vector))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_float32_at_any_scale_and_the_same_gradient_again_and_again(scale):
    rows = gradients(5, 40, torch.float32, scale)
    rows[2] = rows[1]  # G G^T is singular
    vector = gradients(6, 40, torch.float32)[-1]
    buffer = GradientBuffer(5, damping=1e-4 * scale**2)
    for row in rows:
        buffer.push(row)
    truth = torch.linalg.solve(dense(rows, 1e-4 * scale**2), vector.double())
    found = buffer.solve(vector)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), truth, rtol=1e-4, atol=1e-5 * float(truth.abs().max()))


def test_half_precision_gradients_are_kept_in_float32():
    rows = gradients(4, 8).half()
    buffer = GradientBuffer(4, damping=0.1)
    for row in rows:
        buffer.push(row)
    vector = torch.ones(8)
    truth = torch.linalg.solve(dense(rows, 0.1), vector.double()).float()
    torch.testing.assert_close(buffer.solve(vector), truth)


def test_nothing_pushed_and_zero_gradients():
    buffer = GradientBuffer(3, damping=0.5)
    torch.testing.assert_close(buffer.solve(torch.ones(4)), torch.full((4,), 2.0))
    torch.testing.assert_close(buffer.multiply(torch.ones(4)), torch.full((4,), 0.5))
    buffer.push(torch.zeros(4))
    torch.testing.assert_close(buffer.solve(torch.ones(4)), torch.full((4,), 2.0))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="capacity must be positive"):
        GradientBuffer(0, damping=1.0)
    with pytest.raises(ValueError, match="damping must be positive"):
        GradientBuffer(3, damping=0.0)
    buffer = GradientBuffer(3, damping=1.0)
    buffer.push(torch.ones(4))
    with pytest.raises(ValueError, match=r"gradient must have shape \(4,\), got \(5,\)"):
        buffer.push(torch.ones(5))
    with pytest.raises(ValueError, match=r"vector must have shape \(4,\), got \(2, 4\)"):
        buffer.solve(torch.ones(2, 4))
    with pytest.raises(ValueError, match="gradient must be finite"):
        buffer.push(torch.full((4,), float("nan")))
    with pytest.raises(ValueError, match="floating point"):
        buffer.push(torch.ones(4, dtype=torch.int64))
