"""The recipe of neural collapse: its data and losses by their definitions, and its verdict on made-up records."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from landscope.recipes.claims import overall
from landscope.recipes.collapse import ARMS, Config, judge, train
from landscope.recipes.collapsing_networks import class_counts, clusters, network, supervised_contrastive, whitened
from landscope.runs import open_run

TINY = Config(examples=24, classes=3, width=16, steps=3)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return open_run(train(TINY, tmp_path_factory.mktemp("runs")))


def test_counts_fall_by_one_factor_from_class_to_class():
    assert class_counts(120, 4, 1.0) == [30, 30, 30, 30]
    assert class_counts(150, 4, 8.0) == [80, 40, 20, 10]
    assert min(class_counts(24, 8, 30.0)) == 2


def test_whitened_inputs_have_unit_covariance_and_clusters_have_their_classes():
    inputs, labels = whitened([3, 2])
    assert torch.allclose(inputs @ inputs.T / 5, torch.eye(5))
    assert labels.tolist() == [0, 0, 0, 1, 1]
    points, classes = clusters([400, 200], seed=1)
    assert torch.bincount(classes).tolist() == [400, 200]
    for c in range(2):
        assert points[classes == c].std(dim=0).mean().item() == pytest.approx(1, abs=0.05)


def test_the_contrastive_loss_is_its_definition():
    generator = torch.Generator().manual_seed(0)
    units = torch.nn.functional.normalize(torch.randn(6, 3, generator=generator, dtype=torch.float64), dim=1)
    classes = [0, 0, 0, 1, 1, 0]
    cosines = (units @ units.T).tolist()
    total = 0.0
    for i in range(6):
        others = [k for k in range(6) if k != i]
        same = [j for j in others if classes[j] == classes[i]]
        denominator = sum(np.exp(cosines[i][k] / 0.2) for k in others)
        total -= sum(np.log(np.exp(cosines[i][j] / 0.2) / denominator) for j in same) / len(same) / 6
    assert supervised_contrastive(units, torch.tensor(classes)).item() == pytest.approx(total, rel=1e-12)


def test_networks_are_what_their_arms_say():
    for arm in ARMS:
        model = network(arm, inputs=20, classes=3, width=8, layers=2)
        outputs = model(torch.randn(5, 20))
        if arm.linear:
            shifted = model(torch.zeros(1, 20))
            torch.testing.assert_close(model(torch.ones(1, 20)) * 2 - shifted, model(2 * torch.ones(1, 20)))
        if arm.loss == "contrastive":
            torch.testing.assert_close(outputs.norm(dim=1), torch.ones(5))
            assert bool((outputs >= 0).all()) == arm.final
        else:
            assert outputs.shape == (5, 3)
            assert (model[-1].bias is not None) == arm.equal


def test_everything_is_shown_and_nothing_is_claimed_before_it_is_so(run):
    names = [event.data["name"] for event in run.events("exhibit")]
    assert names == ["nc1", "nc2_angles", "nc3", "lengths", "cosines"]
    assert len(run.measurement("exhibit/nc3").labels) == 6
    assert len(run.measurement("exhibit/nc1").labels) == len(ARMS)
    cosines = run.measurement("exhibit/cosines")
    assert cosines.values.shape == (4 * 3, 2 * 3)
    np.testing.assert_allclose(cosines.values[:3, 3:], [[1, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -0.5, 1]])
    np.testing.assert_allclose(np.diag(cosines.values[3:6, :3]), 1, atol=1e-6)
    assert overall(judge(run)) == "not here"


def test_the_verdict_follows_the_record(run):
    """Of a run that ended where theory says, each claim falls with what it is about."""
    charts = {name: run.measurement(f"exhibit/{name}") for name in ("nc1", "nc2_angles", "nc3", "lengths")}
    small = {
        name: replace(chart, y={label: y * 0 + 1e-6 for label, y in chart.y.items()}) for name, chart in charts.items()
    }
    lengths = charts["lengths"].y
    small["lengths"] = replace(
        charts["lengths"], y={label: lengths[f"theory, {label.removeprefix('theory, ')}"] for label in lengths}
    )
    small["nc2_angles"].y["contrastive, unequal"][-1] = 0.03

    class Record:
        def measurement(self, name):
            return small[name.removeprefix("exhibit/")]

    assert overall(judge(Record())) == "reproduced"
    small["nc1"].y["contrastive, equal"][-1] = 0.5
    small["nc3"].y["linear, squared error, equal"][-1] = 0.2
    small["lengths"].y["ReLU, squared error, unequal"] = 1.2 * lengths["theory, ReLU, squared error, unequal"]
    small["nc2_angles"].y["contrastive, unequal"][-1] = 1e-6
    assert [one.outcome for one in judge(Record())] == ["partly"] * 4
