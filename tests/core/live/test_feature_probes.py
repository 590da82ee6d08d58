"""What the probes of features keep from frame to frame."""

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from landscope.live.feature_probes import pictured, pictured_by_umap
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
