"""Data with rare classes and the regressions on them, by autograd and torch's optimisers; and the recipe."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from landscope.measurements import ClassSpectra, Matrix, Provenance
from landscope.recipes.charts import lines
from landscope.recipes.imbalance import ARMS, Config, halved, judge, train
from landscope.recipes.rare_classes import LongTailedDigits, Regressions, heavy_tail, long_tailed_split
from landscope.recipes.settings import Configuration
from landscope.recipes.studies import Study
from landscope.runs import open_run


def test_frequencies_fall_as_one_over_the_rank():
    labels, bins = heavy_tail(4)
    assert torch.bincount(labels).tolist() == [8, 4, 4, 2, 2, 2, 2, *[1] * 8]
    assert torch.bincount(bins).tolist() == [8] * 4
    assert {(int(c), int(b)) for c, b in zip(labels, bins, strict=True)} == {
        (c, int(np.log2(c + 1))) for c in range(15)
    }


@pytest.fixture
def problem():
    labels, _ = heavy_tail(3)
    return torch.randn(len(labels), 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64), labels


@pytest.mark.parametrize("optimiser", ["GD", "Adam", "sign"])
def test_steps_are_those_of_torch_for_each_rate(problem, optimiser):
    inputs, labels = problem
    rates = (0.1, 0.02)
    together = Regressions(inputs, labels, optimiser, rates)
    losses = torch.stack([together.step() for _ in range(4)])
    for r, rate in enumerate(rates):
        weights = torch.zeros(7, 5, dtype=torch.float64, requires_grad=True)
        alone = {"GD": torch.optim.SGD([weights], rate, momentum=0.9), "Adam": torch.optim.Adam([weights], rate)}.get(
            optimiser
        )
        for t in range(4):
            each = functional.cross_entropy(inputs @ weights.T, labels, reduction="none")
            torch.testing.assert_close(losses[t, r], each.detach())
            (weights.grad,) = torch.autograd.grad(each.mean(), weights)
            if alone is not None:
                alone.step()
            else:
                weights.data -= rate * weights.grad.sign()
        torch.testing.assert_close(together.weights[r], weights.detach())


def test_gradients_and_blocks_of_the_hessian_are_those_of_autograd(problem):
    inputs, labels = problem
    fit = Regressions(inputs, labels, "GD", (0.5,))
    fit.step()
    fit.step()

    def loss(weights):
        return functional.cross_entropy(inputs @ weights.T, labels)

    probabilities, weights = fit.probabilities(), fit.weights[0].clone().requires_grad_()
    hessian = torch.autograd.functional.hessian(loss, weights)
    traces = [hessian[c, :, c, :].trace() for c in range(7)]
    (slope,) = torch.autograd.grad(loss(weights), weights)
    torch.testing.assert_close(fit.gradients(probabilities)[0], slope)
    torch.testing.assert_close(fit.curvatures(probabilities)[0], torch.stack(traces))


def test_a_split_has_the_counts_and_holds_out_as_many_of_each():
    labels = torch.arange(3).repeat_interleave(torch.tensor([10, 6, 8]))
    train_at, test_at = long_tailed_split(labels, [7, 2, 1], seed=0)
    assert torch.bincount(labels[train_at]).tolist() == [7, 2, 1]
    assert torch.bincount(labels[test_at]).tolist() == [3, 3, 3]
    assert not set(train_at.tolist()) & set(test_at.tolist())
    with pytest.raises(ValueError, match="must leave an example of each class to hold out"):
        long_tailed_split(labels, [7, 6, 1], seed=0)


def test_weights_make_every_digit_count_as_much():
    data = LongTailedDigits.split(300, 50.0, seed=0)
    sums = torch.zeros(10).index_add(0, data.train[1], data.weights[data.train[1]])
    torch.testing.assert_close(sums, torch.full((10,), len(data.train[1]) / 10))
    assert data.counts[0] > 10 * data.counts[-1]
    model, chosen = data.model(4, seed=0), torch.arange(20)
    with torch.no_grad():
        losses = functional.cross_entropy(model(data.train[0][chosen]), data.train[1][chosen], reduction="none")
    expected = (losses * data.weights[data.train[1][chosen]]).mean()
    assert float(data.evaluation(model, chosen, weighted=True)()) == pytest.approx(float(expected))
    assert float(data.evaluation(model, chosen, weighted=False)()) == pytest.approx(float(losses.mean()))


def test_a_loss_is_halved_when_it_stays_so():
    losses = np.array([[4.0, 4.0, 4.0, 4.0], [1.0, 3.0, 2.0, 1.0], [1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(halved(losses), [1, 2, 1, np.nan])


def test_regressions_and_networks_are_trained_and_shown(tmp_path):
    config = Config(bins=3, regression_steps=4, steps=1, seeds=2, width=2, examples=40)
    run = open_run(train(config, tmp_path))
    assert len(run.measurement("exhibit/bins").x["GD, rarest"]) == 4
    assert run.measurement("exhibit/correlated").x["Adam"].shape == (7,)
    assert isinstance(run.measurement("exhibit/spectra"), ClassSpectra)
    table = run.measurement("exhibit/accuracy")
    assert table.rows == ARMS
    assert ((table.values >= 0) & (table.values <= 1)).all()
    assert len(judge(run)) == 5


def outcomes(path, *, times, totals, depth, ratio, sam, rank=1):
    ends, x = np.array([8.0, 1.0]), np.arange(4.0)
    rows = ("SGD, plain", "SGD, re-weighted")
    digits = np.arange(10, 0, -1)
    with Study("imbalance", Configuration(), path, total=1) as study:
        study.advance()
        charts = {
            "halved": {name: (ends, np.array(found)) for name, found in times.items()},
            "totals": {name: (ends, np.array([1.0, found])) for name, found in totals.items()},
            "correlated": {"GD": (x, rank * x)},
            "saddles": {row: (digits, np.r_[np.ones(7), np.full(3, depth)]) for row in rows},
        }
        for name, measured in charts.items():
            study.exhibit(name, lines(name, "", ("x", "y"), measured))
        table = Matrix(
            provenance=Provenance(method="by hand"), title="", summary="", row_name="", column_name="", value_name="",
            rows=rows, columns=("frequent", "between", "rare"), values=np.array([[0.1, 0.1, ratio]] * 2),
        )  # fmt: skip
        study.exhibit("ratios", table)
        for name, value in zip(("gained", "shallower"), sam, strict=True):
            study.scalars({f"sam/{name}": value, f"sam/{name}/error": 0.01})
    return [one.outcome for one in judge(open_run(study.path))]


def test_the_judge_goes_by_the_numbers(tmp_path):
    assert (
        outcomes(
            tmp_path / "a",
            times={"GD": [10.0, np.nan], "Adam": [10.0, 15.0]},
            totals={"GD": 0.5, "Adam": 0.2},
            depth=11.0,
            ratio=0.3,
            sam=(0.03, 0.03),
        )
        == ["reproduced"] * 5
    )
    assert (
        outcomes(
            tmp_path / "b",
            times={"GD": [10.0, 15.0], "Adam": [10.0, 5.0]},
            totals={"GD": 0.2, "Adam": 0.5},
            depth=9.0,
            ratio=0.3,
            sam=(0.01, -0.03),
            rank=-1,
        )
        == ["not here"] * 5
    )
    assert outcomes(
        tmp_path / "c",
        times={"GD": [10.0, 30.0], "Adam": [10.0, 20.0]},
        totals={"GD": 0.5, "Adam": 0.4},
        depth=11.0,
        ratio=0.15,
        sam=(0.03, 0.0),
    ) == ["partly", "partly", "reproduced", "partly", "partly"]
