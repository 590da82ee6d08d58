"""Calibration against definitions and simulated classifiers, divergences against torch and the Fisher matrix."""

import numpy as np
import pytest
import torch
from dynamics_cases import problem
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax, mse_loss, one_hot, softmax

from landscope.curvature import curvature_operator
from landscope.dynamics import calibration, output_change, prediction_flips
from landscope.objective import Objective


@pytest.fixture(scope="module")
def classifier():
    return problem()


def of_logits(logits, labels):
    """An objective whose outputs are the logits that it is given."""
    model = nn.Linear(logits.shape[1], logits.shape[1], bias=False).double()
    nn.init.eye_(model.weight)
    return Objective(model, cross_entropy, (torch.as_tensor(logits).double(), torch.as_tensor(labels)))


def drawn(count, *, sharpening=1.0, seed=0):
    """Logits, and labels drawn from their softmax at temperature `sharpening`: calibrated if that is 1."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, 4, generator=generator).double()
    labels = torch.multinomial(softmax(logits, dim=1), 1, generator=generator)[:, 0]
    return of_logits(sharpening * logits, labels)


def test_bins_errors_and_scores_are_what_their_definitions_say(classifier):
    found = calibration(classifier.objective, bins=5)
    logits = classifier.model(classifier.x).detach()
    p, labels = softmax(logits, dim=1), classifier.y
    top, guess = p.max(1)
    right = (guess == labels).double().numpy()
    np.testing.assert_allclose(found.probabilities, top)
    assert found.nll == pytest.approx(float(cross_entropy(logits, labels)))
    squares = (p - one_hot(labels, 3)).square().sum(1)
    assert found.brier == pytest.approx(float(squares.mean()))
    assert found.brier_error == pytest.approx(float(squares.std() / 30**0.5))
    which = np.minimum((top.numpy() * 5).astype(int), 4)
    diagram, expected = found.reliability(), 0.0
    for bin in range(5):
        inside = which == bin
        assert diagram.counts[bin] == inside.sum()
        if inside.any():
            assert diagram.confidences[bin] == pytest.approx(top.numpy()[inside].mean())
            assert diagram.accuracies[bin] == pytest.approx(right[inside].mean())
            expected += abs(top.numpy()[inside].mean() - right[inside].mean()) * inside.mean()
    assert found.ece() == pytest.approx(expected)
    assert found.ece(1) == pytest.approx(abs(float(top.mean()) - right.mean()))
    assert np.isnan(found.ece_error)  # too few examples
    assert found.scalars()["overconfidence"] == pytest.approx(float(top.mean()) - right.mean())


def test_adaptive_bins_hold_equally_many(classifier):
    found = calibration(classifier.objective).reliability(7, adaptive=True)
    assert found.counts.sum() == 30
    assert np.ptp(found.counts) <= 1
    assert (np.diff(found.edges) >= 0).all()
    many = calibration(classifier.objective).reliability(50, adaptive=True)
    assert many.counts.sum() == 30
    assert calibration(classifier.objective).ece(50, adaptive=True) > 0


def test_a_calibrated_classifier_errs_by_chance_and_an_overconfident_one_by_more():
    errors = [calibration(drawn(1500, seed=seed)).ece() for seed in range(12)]
    fair = calibration(drawn(1500))
    assert np.mean(errors) == pytest.approx(fair.chance_ece(), rel=0.25)
    assert fair.ece_error == pytest.approx(np.std(errors), rel=1.0)
    sharp = calibration(drawn(1500, sharpening=3.0))
    assert sharp.ece() > 5 * sharp.chance_ece()
    assert sharp.scalars()["overconfidence"] > 0.1
    assert sharp.nll > fair.nll
    cooled = calibration(drawn(1500, sharpening=3.0), temperature=3.0)
    assert cooled.ece() == pytest.approx(fair.ece())
    assert cooled.nll == pytest.approx(fair.nll)


def test_divergence_is_torchs_and_flips_are_counted(classifier):
    objective = classifier.objective
    then = objective.outputs() + torch.randn(30, 3, generator=torch.Generator().manual_seed(0)).double()
    for temperature in (1.0, 5.0):
        found = output_change(objective, then, temperature=temperature)
        old, new = (log_softmax(z / temperature, dim=1) for z in (then, objective.outputs()))
        expected = torch.nn.functional.kl_div(new, old, log_target=True, reduction="none").sum(1)
        np.testing.assert_allclose(found.kl, expected, rtol=1e-9)
    before, now, labels = then.argmax(1), objective.outputs().argmax(1), classifier.y
    shares = found.scalars()
    assert shares["flipped"] == pytest.approx(float((before != now).double().mean()))
    assert shares["gained"] == pytest.approx(float(((before != labels) & (now == labels)).double().mean()))
    assert shares["lost"] == pytest.approx(float(((before == labels) & (now != labels)).double().mean()))
    assert shares["flipped"] > 0
    centred = then - then.mean(1, keepdim=True)
    np.testing.assert_allclose(found.norms_before, centred.norm(dim=1))
    still = output_change(objective, objective.outputs())
    assert still.scalars()["kl"] == pytest.approx(0, abs=1e-14)
    assert not still.flipped.any()


def test_divergence_of_a_small_step_is_the_fisher_matrixs_quadratic_form(classifier):
    objective = classifier.objective
    theta = objective.theta()
    step = 1e-3 * torch.randn(51, generator=torch.Generator().manual_seed(1)).double()
    found = output_change(objective, objective.outputs(), theta=theta + step)
    quadratic = float(step @ curvature_operator(objective, "ggn", theta)(step)) / 2
    assert found.scalars()["kl"] == pytest.approx(quadratic, rel=5e-3)


def test_flips_between_runs():
    labels = np.array([0, 0, 1, 1])
    predictions = {"a": [0, 0, 1, 1], "b": [0, 1, 1, 0], "c": [1, 0, 1, 0]}
    changes = {
        name: output_change(of_logits(np.eye(3)[guess], labels), np.zeros((4, 3)))
        for name, guess in predictions.items()
    }
    found = prediction_flips(changes)
    assert found.accuracies.tolist() == [1, 0.5, 0.5]
    assert found.flips.tolist() == [[0, 0.5, 0.5], [0, 0, 0.25], [0, 0.25, 0]]
    assert found.differences.tolist() == [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    assert found.independent[1, 2] == 0.25
    assert found.scalars() == {"flips": pytest.approx(0.25), "differences": pytest.approx(0.5)}
    assert found.span() == (0.0, 0.5)


def test_what_makes_no_sense_is_refused(classifier):
    objective = classifier.objective
    with pytest.raises(ValueError, match="bins must be positive, got 0"):
        calibration(objective, bins=0)
    with pytest.raises(ValueError, match="bins must be positive, got -1"):
        calibration(objective).ece(-1)
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        calibration(objective, temperature=0)
    with pytest.raises(ValueError, match="temperature must be positive, got -2"):
        output_change(objective, torch.zeros(30, 3), temperature=-2)
    with pytest.raises(ValueError, match=r"outputs of shape \(30, 3\), got \(3, 3\)"):
        output_change(objective, torch.zeros(3, 3))
    change = output_change(objective, objective.outputs())
    with pytest.raises(ValueError, match="at least two runs, got 1"):
        prediction_flips({"a": change})
    with pytest.raises(ValueError, match="labels differ"):
        prediction_flips({"a": change, "b": change.replaced(labels=change.labels + 1)})
    with pytest.raises(ValueError, match="one integer class per example"):
        calibration(Objective(classifier.model, mse_loss, (classifier.x, torch.zeros(30, 3).double())))
    ignored = classifier.y.index_fill(0, torch.tensor(3), -100)
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.2, got -100\.\.2"):
        calibration(Objective(classifier.model, cross_entropy, (classifier.x, ignored)))
