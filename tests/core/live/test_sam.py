"""Sharpness-aware minimisation, against its closed form on a quadratic."""

import logging

import pytest
import torch

from landscope.live import SAM

CURVATURE = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)


def quadratic(rho, **options):
    """Half of w^T A w over two groups of one coordinate each, with its optimiser and closure."""
    start = torch.tensor([2.0, -1.0], dtype=torch.float64)
    first, second = (torch.nn.Parameter(value.reshape(1).clone()) for value in start)
    optimizer = SAM([{"params": [first]}, {"params": [second]}], lr=0.1, rho=rho, **options)

    def closure():
        optimizer.zero_grad()
        w = torch.cat([first, second])
        loss = 0.5 * w @ CURVATURE @ w
        loss.backward()
        return loss

    return start, lambda: torch.cat([first, second]).detach(), optimizer, closure


def test_a_step_descends_by_the_gradient_at_the_top_of_the_ascent():
    start, weights, optimizer, closure = quadratic(rho=0.3)
    loss = optimizer.step(closure)
    gradient = CURVATURE @ start
    above = start + 0.3 * gradient / gradient.norm()
    torch.testing.assert_close(weights(), start - 0.1 * CURVATURE @ above, rtol=1e-14, atol=0)
    assert float(loss.detach()) == pytest.approx(float(0.5 * start @ CURVATURE @ start), rel=1e-14)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "weight_decay": 0.1}, {"momentum": 0.5, "nesterov": True}])
def test_without_a_radius_it_is_sgd(options):
    _, weights, optimizer, closure = quadratic(rho=0.0, **options)
    start, _, _, _ = quadratic(0.0)
    plain = torch.nn.Parameter(start.clone())
    descent = torch.optim.SGD([plain], lr=0.1, **options)
    for _ in range(5):
        optimizer.step(closure)
        descent.zero_grad()
        (0.5 * plain @ CURVATURE @ plain).backward()
        descent.step()
    torch.testing.assert_close(weights(), plain.detach(), rtol=1e-14, atol=0)


def test_it_begins_every_step_at_exactly_the_weights_it_was_at():
    start, weights, optimizer, closure = quadratic(rho=0.3)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    optimizer.step(closure)
    assert torch.equal(weights(), start)


def test_at_a_minimum_it_stays():
    _, weights, optimizer, closure = quadratic(rho=0.3)
    for group in optimizer.param_groups:
        group["params"][0].data.zero_()
    optimizer.step(closure)
    assert torch.equal(weights(), torch.zeros(2, dtype=torch.float64))


def test_without_a_closure_it_is_sgd_and_says_so_once(caplog):
    start, weights, optimizer, closure = quadratic(rho=0.3)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            closure()
            optimizer.step()
    after = start - 0.1 * CURVATURE @ start
    torch.testing.assert_close(weights(), after - 0.1 * CURVATURE @ after, rtol=1e-14, atol=0)
    assert caplog.text.count("without a closure") == 1


def test_a_negative_radius_is_refused():
    with pytest.raises(ValueError, match="rho must be at least 0, got -1"):
        quadratic(rho=-1.0)
