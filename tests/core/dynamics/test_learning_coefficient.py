import math

import numpy as np
import pytest
import torch
from torch import nn

from landscope import Objective
from landscope.dynamics import calibrate_learning_coefficient, local_learning_coefficient
from landscope.figures import figure

CURVATURES = torch.tensor([1.0, 1.0, 1.0, 1e-9])


class Bowl(nn.Module):
    """Loss 0.5 sum_i h_i w_i^2, whatever the input."""

    def __init__(self, start=0.0):
        super().__init__()
        self.w = nn.Parameter(torch.full((4,), start, dtype=torch.float64))

    def forward(self, x):
        return (0.5 * (CURVATURES * self.w**2).sum()).expand(len(x))


def bowl(start=0.0):
    data = (torch.zeros(20, 1, dtype=torch.float64), torch.zeros(20))
    return Objective(Bowl(start), lambda output, _: output.mean(), data)


def expected(step, pull, examples):
    """In closed form, with the variance that a step of that size has."""
    nbeta = examples / math.log(examples)
    total = 0.0
    for h in CURVATURES.tolist():
        stiffness = nbeta * h + pull * nbeta
        epsilon = step / (nbeta + pull * nbeta)
        total += nbeta * h / (2 * stiffness * (1 - epsilon * stiffness / 4))
    return total


def test_a_quadratic_has_half_its_stiff_directions():
    made = local_learning_coefficient(bowl(), examples=100, chains=3, burn_in=10, draws=300, step=1.0, pull=0.1)
    assert made.value == pytest.approx(expected(1.0, 0.1, 100), abs=0.25)  # 1.8, of three directions out of four
    assert made.stderr < 0.2
    assert made.mixing < 1.05
    assert made.reliable
    assert made.losses.shape == (3, 310)


def test_burn_in_does_not_count():
    made = local_learning_coefficient(bowl(), chains=2, burn_in=50, draws=10)
    kept = made.nbeta * (made.losses[:, 50:] - made.start)
    assert made.value == pytest.approx(kept.mean())


def test_away_from_a_minimum_it_is_not_believed():
    made = local_learning_coefficient(bowl(start=5.0), chains=2, burn_in=100, draws=50, pull=0.01)
    assert made.value < 0
    assert not made.reliable


def test_the_model_and_the_generator_are_left_as_they_were():
    objective, before = bowl(), torch.get_rng_state()
    local_learning_coefficient(objective, chains=2, burn_in=0, draws=3)
    assert not objective.theta().any()
    assert torch.equal(torch.get_rng_state(), before)


def test_too_large_a_step_diverges_and_says_so():
    with pytest.raises(FloatingPointError, match="lower step"):
        local_learning_coefficient(bowl(), chains=2, burn_in=0, draws=2000, step=50.0)


def test_calibration_shows_what_diverged_and_what_depends_on_the_pull():
    made = calibrate_learning_coefficient(
        bowl(), steps=(1.0, 50.0), pulls=(0.1, 1.0), examples=100, burn_in=10, draws=150, chains=2
    )
    assert np.isnan(made.values[1]).all()
    assert not made.believable[1].any()
    assert made.values[0, 0] == pytest.approx(expected(1.0, 0.1, 100), abs=0.4)
    assert made.values[0, 1] == pytest.approx(expected(1.0, 1.0, 100), abs=0.25)
    texts = figure(made).data[0].text
    assert texts[1][0] == "diverged"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"chains": 1}, "chains"), ({"draws": 1}, "draws"), ({"step": 0.0}, "positive"), ({"examples": 2}, "examples")],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        local_learning_coefficient(bowl(), **options)


def test_chains_have_a_picture():
    made = local_learning_coefficient(bowl(), chains=2, burn_in=5, draws=5)
    assert len(figure(made).data) == 4
    assert len(figure(made, dark=True).layout.shapes) == 2
