"""Scores of examples against their definitions, records against the whole matrix, mixtures of known components."""

import numpy as np
import pytest
import torch
from dynamics_cases import problem
from scipy.stats import beta, norm, spearmanr
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot, softmax

from landscope.dynamics import ExampleRecord, example_scores, label_noise, learning_order
from landscope.measurements import ExampleScores, Provenance
from landscope.measurements.examples import log_density
from landscope.objective import Objective


@pytest.fixture(scope="module")
def classifier():
    return problem()


def scores(step, margins, confidences=None, labels=None, losses=None):
    """Scores of examples with given margins, right where they are positive."""
    margins = np.asarray(margins, float)
    labels = np.zeros(len(margins), int) if labels is None else labels
    return ExampleScores(
        provenance=Provenance(method="test", step=step),
        labels=labels,
        predictions=np.where(margins > 0, labels, labels + 1),
        losses=-margins if losses is None else np.asarray(losses, float),
        margins=margins,
        confidences=1 / (1 + np.exp(-margins)) if confidences is None else np.asarray(confidences, float),
        el2n=np.zeros(len(margins)),
        logit_norms=np.zeros(len(margins)),
    )


def test_scores_are_what_their_definitions_say(classifier):
    found = example_scores(classifier.objective, gradients=True)
    logits = classifier.model(classifier.x).detach()
    p, y = softmax(logits, dim=1), classifier.y
    rows = torch.arange(30)
    others = torch.stack([logits[i, [c for c in range(3) if c != y[i]]].max() for i in range(30)])
    np.testing.assert_allclose(found.losses, cross_entropy(logits, y, reduction="none"))
    np.testing.assert_allclose(found.margins, logits[rows, y] - others)
    np.testing.assert_allclose(found.confidences, p[rows, y])
    np.testing.assert_allclose(found.el2n, (p - one_hot(y, 3)).norm(dim=1))
    np.testing.assert_allclose(found.grand, classifier.gradients.norm(dim=1))
    np.testing.assert_allclose(found.logit_norms, (logits - logits.mean(1, keepdim=True)).norm(dim=1))
    assert (found.correct == (logits.argmax(1) == y).numpy()).all()
    assert found.provenance.forwards == 1
    by_class = found.by_class()["losses"]
    np.testing.assert_allclose(by_class, [found.losses[y == label].mean() for label in range(3)])
    assert found.scalars()["loss_between_classes"] == by_class.max() - by_class.min()
    assert example_scores(classifier.objective).grand is None


def test_a_record_counts_every_frame_and_keeps_some():
    rng = np.random.default_rng(0)
    margins = rng.normal(size=(37, 9))
    confidences = rng.random((37, 9))
    record = ExampleRecord(capacity=8)
    for frame in range(37):
        record.add(scores(10 * frame, margins[frame], confidences[frame]))
        assert len(record.history().steps) <= 8
    found, right = record.history(), margins > 0
    assert found.frames == 37
    np.testing.assert_allclose(found.aum, margins.mean(0))
    np.testing.assert_array_equal(found.forgotten, (right[:-1] & ~right[1:]).sum(0))
    np.testing.assert_array_equal(found.first, 10 * right.argmax(0))
    since = [10 * (np.flatnonzero(~column)[-1] + 1) if column[-1] else -1 for column in right.T]
    np.testing.assert_array_equal(found.learned, since)
    np.testing.assert_allclose(found.confidences, confidences.mean(0))
    np.testing.assert_allclose(found.variability, confidences.std(0))
    assert found.steps.tolist() == [0, 80, 160, 240, 320, 360]
    np.testing.assert_allclose(found.margins, margins[found.steps // 10].T, rtol=1e-6)
    np.testing.assert_allclose(found.losses, -found.margins, rtol=1e-6)


def test_all_frames_are_kept_while_there_is_room():
    record = ExampleRecord(capacity=8)
    for frame in range(7):
        record.add(scores(frame + 1, [1.0, -1.0, (-1.0) ** frame]))
    found = record.history()
    assert found.steps.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert found.first.tolist() == [1, -1, 1]
    assert found.forgotten.tolist() == [0, 0, 3]
    assert found.learned.tolist() == [1, -1, 7]
    assert found.hardest(2).tolist() == [1, 2]
    assert found.most_forgotten(1).tolist() == [2]
    assert found.order().tolist() == [0, 2, 1]
    assert found.scalars() == {"learned": 2 / 3, "forgotten": 1 / 3, "never": 1 / 3, "aum": pytest.approx(1 / 21)}
    assert found.span() == (-1.0, 1.0)


def test_what_is_handed_out_does_not_change_with_later_frames():
    record = ExampleRecord()
    record.add(scores(0, [1.0, 1.0]))
    early = record.history()
    record.add(scores(1, [-1.0, 1.0]).replaced(el2n=np.array([1.3, 0.2])))
    assert early.forgotten.tolist() == [0, 0]
    assert early.learned.tolist() == [0, 0]
    assert record.history().forgotten.tolist() == [1, 0]
    assert record.history().el2n == pytest.approx([1.3, 0.2])
    assert early.el2n is not record.history().el2n


@pytest.mark.parametrize("family", ["beta", "gaussian"])
def test_wrong_labels_are_found_where_losses_have_two_groups(family):
    rng = np.random.default_rng(0)
    wrong = rng.random(2000) < 0.3
    draws = {
        "beta": (rng.beta(2, 12, 2000), rng.beta(10, 3, 2000)),
        "gaussian": rng.normal([[0.2], [0.75]], 0.08, (2, 2000)),
    }
    losses = 1 + 5 * np.where(wrong, draws[family][1], draws[family][0])
    found = label_noise(scores(3, np.zeros(2000), losses=losses), family=family)
    assert abs(found.shares[1] - wrong.mean()) < 0.02
    assert 0.008 < found.share_error < 0.02  # (0.3 0.7 / 2000)^1/2 is 0.010
    np.testing.assert_allclose(found.means, [losses[~wrong].mean(), losses[wrong].mean()], rtol=0.05)
    assert ((found.noisy > 0.5) == wrong).mean() > 0.97
    assert found.separation > 0.9
    assert found.gain > 0.2
    assert found.shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.shift + found.scale * found.values, losses, atol=1e-3)


def test_densities_are_scipys():
    values = np.linspace(0.01, 0.99, 7)
    np.testing.assert_allclose(log_density("beta", np.array([0.7, 3.0]), values), beta.logpdf(values, 0.7, 3.0))
    np.testing.assert_allclose(log_density("gaussian", np.array([0.3, 0.2]), values), norm.logpdf(values, 0.3, 0.2))


def test_a_single_group_gains_next_to_nothing():
    rng = np.random.default_rng(0)
    found = label_noise(scores(3, np.zeros(2000), losses=rng.normal(2.0, 0.3, 2000)), family="gaussian")
    assert found.gain < 0.02
    assert found.separation < 0.7


def test_memorising_wrong_labels_is_seen_while_it_happens():
    """A small network on clusters with a fifth of the labels wrong: the mixture and the areas tell which."""
    torch.manual_seed(0)
    truth = torch.arange(150) % 3
    x = 3 * torch.randn(3, 6)[truth] + torch.randn(150, 6)
    wrong = torch.rand(150) < 0.2
    y = torch.where(wrong, (truth + 1) % 3, truth)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    objective = Objective(model, cross_entropy, (x, y))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    record = ExampleRecord()
    for step in range(40):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
        if step % 4 == 3:
            frame = example_scores(objective).at(step)
            record.add(frame)
    found = label_noise(frame)
    assert ((found.noisy > 0.5) == wrong.numpy()).mean() > 0.9
    hardest = record.history().hardest(int(wrong.sum()))
    assert wrong[hardest].float().mean() > 0.8


def history(steps_right, labels=None):
    """A history in which example i is right from step steps_right[i] on; -1 for never."""
    record = ExampleRecord()
    when = np.where(np.asarray(steps_right) < 0, 99, steps_right)
    for step in range(10):
        record.add(scores(step, np.where(when <= step, 1.0, -1.0) + 1e-3 * (9 - when), labels=labels))
    return record.history()


def test_orders_of_learning_are_compared_by_rank():
    first, second = [0, 3, 5, 5, 9, -1], [1, 2, 9, -1, 3, 4]
    found = learning_order({"a": history(first), "b": history(second), "c": history(first)})
    expected = spearmanr([0, 3, 5, 5, 9, 99], [1, 2, 9, 99, 3, 4]).statistic
    np.testing.assert_allclose(found.learned, [[1, expected, 1], [expected, 1, expected], [1, expected, 1]])
    np.testing.assert_allclose(found.aum[0, 2], 1)
    assert found.chance == pytest.approx(5**-0.5)
    assert found.scalars()["learned"] == pytest.approx((1 + 2 * expected) / 3)
    at_once = learning_order({"a": history([2, 2, 2]), "b": history([1, 2, 3])})
    assert np.isnan(at_once.learned[0, 1])
    assert "learned" not in at_once.scalars()


def test_what_makes_no_sense_is_refused(classifier):
    record = ExampleRecord()
    with pytest.raises(ValueError, match="no frame yet"):
        record.history()
    with pytest.raises(ValueError, match="scores have no step"):
        record.add(scores(None, [1.0]))
    record.add(scores(5, [1.0]))
    with pytest.raises(ValueError, match="later than 5, that of the frame before, got 5"):
        record.add(scores(5, [1.0]))
    with pytest.raises(ValueError, match="same examples"):
        record.add(scores(6, [1.0, 1.0]))
    with pytest.raises(ValueError, match="capacity must be at least 2"):
        ExampleRecord(1)
    with pytest.raises(ValueError, match="family must be one of beta, gaussian"):
        label_noise(scores(0, np.arange(5.0)), family="gamma")
    with pytest.raises(ValueError, match="not all equal"):
        label_noise(scores(0, np.ones(5)))
    with pytest.raises(ValueError, match="at least two runs"):
        learning_order({"a": history([1, 2])})
    with pytest.raises(ValueError, match="labels differ"):
        learning_order({"a": history([1, 2]), "b": history([1, 2], labels=np.array([1, 0]))})
    with pytest.raises(ValueError, match="one integer class per example"):
        example_scores(Objective(classifier.model, mse_loss, (classifier.x, torch.zeros(30, 3).double())))


def test_the_share_that_is_kept_has_the_largest_scores():
    found = scores(0, [1.0] * 5).replaced(el2n=np.array([0.1, 0.9, 0.5, 0.9, 0.2]))
    assert found.kept(0.4, "el2n").tolist() == [1, 3]
    assert found.kept(0.4, "el2n", smallest=True).tolist() == [0, 4]
    assert found.kept(1.0).tolist() == [0, 1, 2, 3, 4]
    assert found.kept(1e-9).tolist() == [1]
    with pytest.raises(ValueError, match=r"by must be one of losses, .*got .grand."):
        found.kept(0.5, "grand")
    with pytest.raises(ValueError, match="share must be above 0 and up to 1, got 0"):
        found.kept(0)
