"""Curvature on few examples where the budget is tight, and how far that may be off."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from landscope import curvature
from landscope.live import Probe, default_probes, watch
from landscope.live.preparation import tight_examples
from landscope.live.probes import Watched
from landscope.live.trajectory import Trajectory
from landscope.objective import Objective


def test_examples_are_halved_until_the_sharpness_is_earned_in_ten_seconds():
    # A share of 12 % of a tenth of the time earns 0.12 s in ten seconds: ten gradients of 12 ms.
    assert tight_examples(1024, 0.011, 0.1 * 0.12) == 1024
    assert tight_examples(1024, 0.040, 0.1 * 0.12) == 256
    assert tight_examples(32, 2.0, 0.1 * 0.12) == 8
    assert tight_examples(8, 60.0, 0.1 * 0.12) == 8
    assert tight_examples(256, 0.040, 2.0) == 256


@pytest.fixture
def watched():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    whole = Objective(model, functional.cross_entropy, (torch.randn(64, 4), torch.randint(3, (64,))))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tight = whole.sample(8)
    trajectory = Trajectory(whole.layout.size, 4)
    return Watched(whole, None, whole, whole.sample(32), None, optimizer, trajectory, tight=tight)


@pytest.mark.parametrize("name", ["sharpness", "sharpness/measures", "quadratic", "density"])
def test_what_is_measured_on_few_examples_says_how_far_they_may_be_off(watched, name):
    (probe,) = (probe for probe in default_probes() if probe.name == name)
    assert probe.curved
    found = probe.measure(watched)
    losses = watched.tight.losses().double()
    assert found.provenance.examples == 8
    said = f"as few examples as the budget allows, whose mean loss is {losses.mean():.3g} ± {losses.std() / 8**0.5:.2g}"
    assert found.provenance.method.endswith(said)
    if name == "sharpness":
        assert found.lambda_max == curvature.sharpness(watched.tight, watched.optimizer).lambda_max
        assert found.stderr > 0


def test_nothing_is_said_where_the_budget_allows_what_there_is(watched):
    watched.tight = None
    assert watched.curvature is watched.focus
    (probe,) = (probe for probe in default_probes() if probe.name == "density")
    assert "as few examples" not in probe.measure(watched).provenance.method


def test_losses_that_are_of_no_single_example_leave_the_error_out(watched):
    def pairwise(output, target):
        return (output.unsqueeze(0) - output.unsqueeze(1)).square().mean() + functional.cross_entropy(output, target)

    watched.tight = watched.tight.with_loss(pairwise)
    (probe,) = (probe for probe in default_probes() if probe.name == "sharpness")
    assert "as few examples as the budget allows" in probe.measure(watched).provenance.method


@pytest.mark.parametrize(("examples", "expected"), [(None, 8), (64, 64)])
def test_watching_a_slow_model_measures_curvature_on_fewer_examples_unless_asked(
    tmp_path, monkeypatch, examples, expected
):
    monkeypatch.setattr("landscope.live.attachment.gradient_seconds", lambda objective: 3.0)
    seen = []

    def look(watched):
        seen.append((watched.focus.examples, watched.curvature.examples))

    model, data = nn.Linear(3, 2), (torch.randn(64, 3), torch.randn(64, 2))
    probes = [Probe("sharpness", look, every=1, gradients=0.1)]
    with watch(model, nn.MSELoss(), data, probes=probes, runs=tmp_path, examples=examples) as scope:
        scope.measure()
    assert seen[-1] == (64, expected)
