"""The recipe of width: its networks and sweeps by hand, and its verdict on made-up records."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from landscope.kernel import PARAMETRISATIONS, parametrised
from landscope.recipes.claims import overall
from landscope.recipes.digits import squared_error
from landscope.recipes.width import (
    Config,
    _from_the_limit,
    _rates,
    _swept,
    judge,
    network,
    slope,
    train,
    widths_of,
)
from landscope.runs import open_run

TINY = Config(narrowest=8, doublings=1, examples=32, steps=2, networks=1)
KINDS = {"standard": "standard", "NTK": "ntk", "mean-field": "mean-field", "muP": "mup"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return open_run(train(TINY, tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(32, 64, generator=generator), torch.arange(32) % 10


def test_a_slope_is_the_exponent():
    widths = np.array([8, 16, 64])
    assert slope(widths, 3 * widths**-0.5) == pytest.approx(-0.5)


def test_networks_have_their_widths_and_no_biases():
    assert widths_of(Config(narrowest=16, doublings=2)) == [16, 32, 64]
    assert [tuple(weight.shape) for weight in network(24).parameters()] == [(24, 64), (24, 24), (10, 24)]
    assert [tuple(weight.shape) for weight in network(24, 1).parameters()] == [(24, 64), (10, 24)]


def test_a_sweep_is_what_single_trainings_reach(data):
    config = replace(TINY, steps=3, networks=2, seed=5)
    found = _swept(config, "mup", 8, data)
    rates = _rates("mup")
    assert np.allclose(rates[1:] / rates[:-1], 2**0.5)
    reached = []
    for index in range(2):
        model = parametrised(network(8), "mup", gain=2**0.5, seed=5 + index)
        optimizer = torch.optim.SGD(model.parameters(), lr=rates[2])
        for _ in range(3):
            optimizer.zero_grad()
            loss = squared_error(model(data[0]), data[1])
            loss.backward()
            optimizer.step()
        reached.append(loss.item())  # before the last step
    assert found[2] == pytest.approx(np.sqrt(reached[0] * reached[1]), rel=1e-4)


def test_the_kernel_of_wide_networks_is_nearer_to_the_limit(data):
    near, far = (_from_the_limit(TINY, width, data) for width in (256, 16))
    assert near < 0.4 * far  # (16 / 256)^(1/2) = 1/4
    assert near < 0.25


def test_everything_is_shown(run):
    names = {event.data["name"] for event in run.events("exhibit")}
    assert names == {"sharpness-ntk", "sharpness-mup", "features", "limits", "rates-standard", "rates-mup", "optima"}
    sharpness = run.measurement("exhibit/sharpness-mup")
    assert sharpness.labels == ("width 8", "width 16", "edge of stability")
    assert sharpness.x["width 8"].tolist() == [1, 2, 3]
    assert run.measurement("exhibit/features").labels[:-1] == tuple(KINDS)
    assert len(judge(run)) == 5


class Record:
    """Charts of a run by powers of the width; curves of the sharpness by a number for each width."""

    def __init__(self, run, *, features, kernel, linear, sharpness, best):
        widths = np.array([8.0, 16.0, 32.0, 64.0])
        powers = {"features": features, "optima": best, "limits": {"kernel from its limit": kernel}}
        powers["limits"] |= {f"{name}, outputs from linear": power for name, power in linear.items()}
        self.charts = {}
        for name, power in powers.items():
            chart = run.measurement(f"exhibit/{name}")
            labels = [label for label in chart.labels if label in power]
            self.charts[name] = replace(
                chart, labels=tuple(labels), expected=(), x=dict.fromkeys(labels, widths),
                y={label: widths ** power[label] for label in labels},
            )  # fmt: skip
        for name, levels in sharpness.items():
            curves = {f"width {width:g}": np.full(4, level) for width, level in zip(widths, levels, strict=True)}
            chart = run.measurement(f"exhibit/sharpness-{name}")
            x = dict.fromkeys(curves, np.arange(4))
            self.charts[f"sharpness-{name}"] = replace(chart, labels=tuple(curves), expected=(), x=x, y=curves)

    def measurement(self, name):
        return self.charts[name.removeprefix("exhibit/")]


def test_the_verdict_follows_the_record(run):
    theory = Record(
        run,
        features={"standard": -1.5, "NTK": -0.5, "mean-field": 0.0, "muP": 0.0},
        kernel=-0.5,
        linear={"NTK": -0.5, "muP": 0.0},
        sharpness={"ntk": [0.4, 0.6, 0.8, 1.0], "mup": [2.0, 2.1, 2.0, 1.9]},
        best={"standard": -1.0, "NTK": 0.0, "muP": 0.0},
    )
    assert overall(judge(theory)) == "reproduced"
    opposite = Record(
        run,
        features={"standard": 0.0, "NTK": 0.0, "mean-field": -0.5, "muP": -0.5},
        kernel=0.0,
        linear={"NTK": 0.0, "muP": -0.5},
        sharpness={"mup": [0.4, 0.6, 0.8, 1.0], "ntk": [2.0, 2.1, 2.0, 1.9]},
        best={"standard": 0.0, "NTK": 0.0, "muP": -1.0},
    )
    assert overall(judge(opposite)) == "not here"


def test_the_exponents_that_are_asked_for_are_theorys():
    one_hidden = {label: -PARAMETRISATIONS[name].feature_exponent(1) for label, name in KINDS.items()}
    assert one_hidden == {"standard": -1.5, "NTK": -0.5, "mean-field": 0.0, "muP": 0.0}
