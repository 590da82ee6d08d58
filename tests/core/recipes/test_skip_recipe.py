"""The networks with and without skip connections by their definition, and the recipe on them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from landscope.measurements import SliceSet
from landscope.recipes.settings import Configuration
from landscope.recipes.skip import PLAIN, SKIPS, Config, deep_network, judge, train
from landscope.recipes.studies import Study
from landscope.runs import open_run


def made(depth, *, skips):
    torch.manual_seed(3)
    return deep_network(depth, 4, skips=skips)


def test_depth_counts_layers_with_weights():
    for depth in (4, 20):
        layers = [layer for layer in made(depth, skips=True).modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
        assert len(layers) == depth


def test_a_connection_adds_the_input_and_nothing_else():
    with_them, without = made(6, skips=True), made(6, skips=False)
    assert with_them.state_dict().keys() == without.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(with_them.parameters(), without.parameters(), strict=True))
    block = with_them.eval()[4]
    x = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0)).relu()
    scale = (1 + block.first_norm.eps) ** -0.5  # running statistics are those of before the first batch: 0 and 1
    inner = functional.relu(scale * functional.conv2d(x, block.first.weight, padding=1))
    branch = scale * functional.conv2d(inner, block.second.weight, padding=1)
    torch.testing.assert_close(block(x), functional.relu(x + branch))
    torch.testing.assert_close(without.eval()[4](x), functional.relu(branch))


def test_both_are_trained_and_shown_in_shared_axes(tmp_path):
    config = Config(steps=1, depth=4, width=2, points=3)
    run = open_run(train(config, tmp_path))
    slices = run.measurement("exhibit/slices")
    assert isinstance(slices, SliceSet)
    assert slices.names == (PLAIN, SKIPS)
    assert slices.loss.shape == (2, 3, 3)
    assert list(slices.alpha) == [-1, 0, 1]
    np.testing.assert_allclose(slices.loss[:, 1, 1], slices.centre_losses, rtol=1e-5)
    assert slices.span()[0] > 0
    for name in ("losses", "accuracies", "convexity", "sharpness"):
        assert np.isfinite(list(run.measurement(f"exhibit/{name}").y.values())).all()
    assert len(judge(run)) == 5


def outcomes(tmp_path, plain, skips):
    """What is said of made-up ends: training loss, share of negative curvature, eigenvalue, basin, accuracy."""
    names = ("train/loss", "negative", "lambda_max", "basin", "test/accuracy")
    with Study("skip", Configuration(), tmp_path, total=1) as study:
        study.advance()
        for arm, values in ((PLAIN, plain), (SKIPS, skips)):
            study.scalars({f"{arm}/{name}": value for name, value in zip(names, values, strict=True)})
            study.scalars({f"{arm}/negative/error": 0.03})
    return [one.outcome for one in judge(open_run(study.path))]


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ((0.1, 0.1, 5.0, 0.3, 0.98), ["not here"] * 5),  # the same as with skips
        ((0.2, 0.2, 10.0, 0.19, 0.97), ["reproduced"] * 5),
        ((0.15, 0.19, 6.0, 0.25, 0.975), ["partly"] * 5),
        ((0.15, 0.18, 6.0, 0.25, 0.975), ["partly", "not here", "partly", "partly", "partly"]),  # within the errors
    ],
)
def test_the_judge_goes_by_the_numbers(tmp_path, plain, expected):
    assert outcomes(tmp_path, plain, (0.1, 0.1, 5.0, 0.3, 0.98)) == expected
