"""What the probes of features keep from frame to frame."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from landscope.embedding import features, layerwise, similarity
from landscope.live.feature_probes import StepSimilarity, layer_similarity, pictured, pictured_by_umap
from landscope.live.trajectory import Trajectory
from landscope.live.watched import Watched
from landscope.objective import Objective


def watched(loss=cross_entropy, outputs=3):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs))
    targets = torch.randint(3, (40,)) if loss is cross_entropy else torch.randn(40, outputs)
    focus = Objective(model, loss, (torch.randn(40, 6), targets))
    return Watched(focus, None, focus, focus.sample(16), None, None, Trajectory(focus.layout.size, 4))


def test_both_pictures_know_since_when_examples_are_right():
    seen, history = watched(), []
    for step, (name, probe) in enumerate(
        [("embedding", pictured), ("embedding/umap", pictured_by_umap), ("embedding", pictured)] * 2
    ):
        with torch.no_grad():
            seen.focus.model[2].weight.normal_()
        seen.step = 10 * step
        seen.latest[name] = probe(seen).at(seen.step)
        history.append(seen.latest[name].correct)
        learned = seen.latest[name].learned
        np.testing.assert_array_equal(learned >= 0, history[-1])
        for example in np.flatnonzero(learned >= 0):
            first = learned[example] // 10
            assert all(frame[example] for frame in history[first:])
            assert first == 0 or not history[first - 1][example]
    assert len(set(learned)) > 3


def test_without_classes_nothing_is_learned():
    assert pictured(watched(mse_loss, outputs=1)).learned is None


def test_steps_are_compared_with_all_that_are_kept_of_those_before():
    seen, probe, then = watched(), StepSimilarity(), {}
    for step in [0, 3, 7, 7]:
        with torch.no_grad():
            seen.focus.model[0].weight.add_(torch.randn(8, 6))
        seen.step = step
        then[str(step)] = features(seen.focus).values
        found = probe(seen)
    expected = similarity(then)
    assert found.rows == found.columns == expected.rows == ("0", "3", "7")
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)
    assert found.provenance.method == "linear CKA, unbiased, layer 2"


def test_steps_that_are_kept_are_evenly_spaced_on_a_logarithmic_axis():
    seen, probe = watched(), StepSimilarity()
    for step in range(0, 1000, 10):
        seen.step = step
        found = probe(seen)
    steps = np.array(found.rows, dtype=int)
    assert len(steps) == 30
    assert (steps[0], steps[1], steps[-1]) == (0, 10, 990)
    assert found.values == pytest.approx(np.ones((30, 30)), abs=1e-5)  # nothing moved
    gaps = np.diff(np.log1p(steps[1:]))
    assert gaps[8:].max() < 3 * np.median(gaps)


@pytest.mark.parametrize("probe", [layer_similarity, StepSimilarity()])
def test_as_many_examples_are_said_as_are_compared(monkeypatch, probe):
    monkeypatch.setattr("landscope.live.feature_probes._COMPARED", 20)
    found = probe(watched())
    assert found.provenance.examples == 20
    assert found.provenance.forwards == 1


def test_layers_are_compared_with_one_another():
    seen = watched()
    found = layer_similarity(seen)
    assert found.rows == found.columns == ("0", "1", "2")
    np.testing.assert_array_equal(found.values, similarity(layerwise(seen.focus)).values)


def test_a_single_layer_has_none_to_be_compared_with():
    seen = watched()
    seen.focus = Objective(nn.Linear(3, 2), mse_loss, (torch.randn(8, 3), torch.randn(8, 2)))
    assert layer_similarity(seen) is None


def test_of_many_layers_some_are_compared():
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(60)))
    seen = watched()
    seen.focus = Objective(model, cross_entropy, (torch.randn(8, 3), torch.arange(8) % 3))
    found = layer_similarity(seen)
    assert len(found.rows) == 24
    assert (found.rows[0], found.rows[-1]) == ("0", "59")
    assert set(np.diff([int(name) for name in found.rows])) == {2, 3}
