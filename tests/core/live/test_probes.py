"""What the default probes take over from each other."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from landscope.live.probes import Watched, default_probes
from landscope.live.trajectory import Trajectory
from landscope.objective import Objective


@pytest.fixture
def watched():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 4))
    focus = Objective(model, cross_entropy, (torch.randn(128, 12), torch.randint(4, (128,))))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    trajectory = Trajectory(focus.layout.size, 4)
    return Watched(focus, None, focus, focus.sample(32), None, optimizer, trajectory)


def probe(name):
    return next(probe for probe in default_probes() if probe.name == name)


@pytest.mark.parametrize("name", ["sharpness/measures", "quadratic"])
def test_a_start_from_the_last_sharpness_saves_products(watched, name):
    watched.optimizer = torch.optim.SGD(watched.focus.model.parameters(), lr=0.1)
    cold = probe(name).measure(watched)
    watched.latest["sharpness"] = probe("sharpness").measure(watched)
    warm = probe(name).measure(watched)
    assert warm.provenance.products < cold.provenance.products
    assert warm.provenance.examples == 32
    for key, value in cold.scalars().items():
        if key in ("largest_eigenvalue", "sam", "radius.sharpest_eigenvector"):
            assert warm.scalars()[key] == pytest.approx(value, rel=0.05)


@pytest.mark.parametrize("name", ["sharpness/measures", "quadratic"])
def test_a_preconditioned_eigenvector_is_no_start_for_the_hessian_s(watched, name):
    assert probe("sharpness").measure(watched) is None  # Adam has no second moments yet
    cold = probe(name).measure(watched)
    x, y = watched.focus.batches.items[0]
    before = {key: value.clone() for key, value in watched.focus.model.state_dict().items()}
    cross_entropy(watched.focus.model(x), y).backward()
    watched.optimizer.step()
    watched.focus.model.load_state_dict(before)
    watched.latest["sharpness"] = probe("sharpness").measure(watched)
    assert watched.latest["sharpness"].preconditioned
    again = probe(name).measure(watched)
    shared = cold.scalars().keys() & again.scalars().keys()
    np.testing.assert_allclose(*([found.scalars()[key] for key in shared] for found in (cold, again)), rtol=1e-6)
