"""The recipe of lost plasticity: tasks, steps of many networks at once, and its verdict on made-up records."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from landscope.dynamics import spectral_penalty
from landscope.recipes.claims import overall
from landscope.recipes.plasticity import ARMS, Config, _Learners, judge, network, task, train
from landscope.runs import open_run

TINY = Config(tasks=2, steps=2, examples=32, width=8, networks=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return open_run(train(TINY, tmp_path_factory.mktemp("runs")))


def test_a_task_draws_labels_or_the_places_of_pixels():
    images, classes = torch.arange(12.0).view(3, 4), torch.tensor([1, 2, 3])
    same, labels = task("labels", images, classes, torch.Generator().manual_seed(0))
    assert torch.equal(same, images)
    assert not torch.equal(labels, classes)
    moved, kept = task("pixels", images, classes, torch.Generator().manual_seed(0))
    assert torch.equal(kept, classes)
    assert torch.equal(moved.sort(dim=1).values, images)
    assert torch.equal(moved[1] - moved[0], torch.full((4,), 4.0))  # the same places in every image


def test_networks_learn_together_what_each_would_learn_alone():
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(2, 32, 64, generator=generator), torch.randint(10, (2, 32), generator=generator)
    learners = _Learners(TINY, "spectral")
    learners.learn(x, y)
    for index in range(2):
        torch.manual_seed(TINY.seed + index)
        model = network(TINY.width, layer_norm=False)
        optimizer = torch.optim.Adam(model.parameters(), lr=TINY.lr)
        for _ in range(TINY.steps):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x[index]), y[index])
            (loss + TINY.pull * spectral_penalty(dict(model.named_parameters()))).backward()
            optimizer.step()
        for name, weight in model.named_parameters():
            torch.testing.assert_close(learners.parameters[name][index], weight, atol=1e-5, rtol=1e-4)
        reached = functional.cross_entropy(model(x[index]), y[index]).item()
        assert learners.seen[0].loss[index] == pytest.approx(reached, rel=1e-4)
    assert learners.seen[0].distance.tolist() == [0, 0]


def test_penalties_are_their_definitions():
    now, start = {"w": torch.tensor([[3.0, 4.0]])}, {"w": torch.tensor([[4.0, 1.0]])}
    config = Config(decay=0.1, pull=0.01)
    penalties = {name: float(penalty(config, now, start)) for name, penalty in ARMS.items()}
    expected = {"plain": 0, "layer norm": 0, "weight decay": 1.25, "Wasserstein": 0.02, "spectral": 5.76}
    assert penalties == pytest.approx(expected)


def test_only_one_kind_is_normalised():
    for wanted in (False, True):
        model = network(8, layer_norm=wanted)
        assert sum(isinstance(module, nn.LayerNorm) for module in model) == 2 * wanted
        assert model(torch.zeros(3, 64)).shape == (3, 10)


def test_everything_is_shown_and_little_is_lost_in_two_short_tasks(run):
    names = [event.data["name"] for event in run.events("exhibit")]
    assert names == ["loss", "dead", "curvature", "gradient", "distance", "rank"]
    loss = run.measurement("exhibit/loss")
    assert loss.labels == (*ARMS, "a fresh network")
    assert (loss.low["plain"] <= loss.y["plain"]).all()
    assert loss.x["plain"].tolist() == [1, 2]
    assert judge(run)[0].outcome == "not here"
    assert judge(run)[1].outcome == "not here"


def test_the_verdict_follows_the_record(run):
    charts = {name: run.measurement(f"exhibit/{name}") for name in ("loss", "dead", "curvature", "gradient")}
    number = np.arange(10.0)

    class Record:
        def __init__(self, **lines):
            self.charts = {
                name: replace(chart, y={arm: lines[name](arm) for arm in ARMS} | {"a fresh network": number}, x={
                    label: number for label in chart.labels}) for name, chart in charts.items()
            }  # fmt: skip

        def measurement(self, name):
            return self.charts[name.removeprefix("exhibit/")]

    lost = Record(
        loss=lambda arm: 0.5 + number * {"plain": 0.2, "weight decay": 0.18, "layer norm": 0.1}.get(arm, 0.01),
        dead=lambda arm: number * 0,
        curvature=lambda arm: np.exp(-number * (arm == "plain")),
        gradient=lambda arm: 1 - number / 20,
    )
    assert overall(judge(lost)) == "reproduced"
    kept = Record(
        loss=lambda arm: 0.5 + number * 0, dead=lambda arm: number * 0, curvature=lambda arm: 1 + number * 0,
        gradient=lambda arm: 1 + number,
    )  # fmt: skip
    assert [one.outcome for one in judge(kept)] == ["not here", "not here", "reproduced", "not here", "not here"]
