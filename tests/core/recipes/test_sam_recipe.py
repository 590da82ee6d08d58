"""Networks trained at once beside each trained alone, SAF's loss by its formula, and the recipe on them."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from landscope.live import SAM
from landscope.measurements import Matrix, Provenance, SliceSet
from landscope.recipes.charts import lines
from landscope.recipes.flat_minima import (
    Networks,
    ascended,
    corrupted,
    cross_entropy,
    gradients,
    sharpness_aware_gradients,
    trajectory_loss,
)
from landscope.recipes.sam import OPTIMISERS, Config, judge, train
from landscope.recipes.settings import Configuration
from landscope.recipes.studies import Study
from landscope.runs import open_run

K, N, D, H, C = 3, 12, 5, 4, 3


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def networks():
    raw = Networks.drawn(range(K), D, H, C)
    return Networks(tuple(w.detach().double().requires_grad_() for w in raw.parameters))


X, Y = drawn(K, N, D), torch.arange(K * N).view(K, N) % C


def losses(networks):
    return cross_entropy(networks.outputs(X), Y)


def test_each_is_the_network_that_torch_draws_and_computes(networks):
    for k in range(K):
        torch.manual_seed(k)
        alone = torch.nn.Sequential(torch.nn.Linear(D, H), torch.nn.ReLU(), torch.nn.Linear(H, C)).double()
        torch.testing.assert_close(networks.network(k)(X[k]), alone(X[k]))
        torch.testing.assert_close(networks.outputs(X)[k], alone(X[k]))
        assert losses(networks)[k].item() == pytest.approx(functional.cross_entropy(alone(X[k]), Y[k]).item())
    torch.testing.assert_close(networks.outputs(X[0])[2], networks.network(2)(X[0]))


def test_ascent_goes_as_far_as_it_should_for_each(networks):
    moved = ascended(networks, gradients(networks, losses), 0.3)
    steps = torch.cat(
        [(b - a).flatten(1) for a, b in zip(networks.parameters, moved.parameters, strict=True)], dim=1
    ).detach()
    torch.testing.assert_close(steps.norm(dim=1), torch.full((K,), 0.3, dtype=torch.float64))
    assert bool((losses(moved) > losses(networks)).all())


def test_a_step_by_sharpness_aware_gradients_is_that_of_the_optimiser(networks):
    together = torch.optim.SGD(networks.parameters, lr=0.1, momentum=0.9, weight_decay=0.01)
    models = [networks.network(k) for k in range(K)]
    optimisers = [SAM(model.parameters(), lr=0.1, rho=0.3, momentum=0.9, weight_decay=0.01) for model in models]
    for _ in range(3):
        for parameter, found in zip(networks.parameters, sharpness_aware_gradients(networks, losses, 0.3), strict=True):
            parameter.grad = found
        together.step()
        for k, (model, optimiser) in enumerate(zip(models, optimisers, strict=True)):

            def evaluate(k=k, model=model):
                model.zero_grad()
                loss = functional.cross_entropy(model(X[k]), Y[k])
                loss.backward()
                return loss.detach()

            optimiser.step(evaluate)
    for k, model in enumerate(models):
        torch.testing.assert_close(networks.network(k).state_dict(), model.state_dict())


def test_the_trajectory_loss_is_its_formula():
    now, before = drawn(K, N, C, seed=1), drawn(K, N, C, seed=2)
    p, q = (before / 2).softmax(dim=2), (now / 2).softmax(dim=2)
    expected = (p * (p / q).log()).sum(dim=2).mean(dim=1)
    torch.testing.assert_close(trajectory_loss(now, before, 2.0), expected)
    assert float(trajectory_loss(now, now, 2.0).abs().max()) < 1e-12


def test_noise_is_as_much_as_was_asked_for_and_never_right():
    labels = torch.arange(200) % 10
    noisy = corrupted(labels, 0.4, 10, seed=0)
    assert int((noisy != labels).sum()) == 80
    assert set(noisy.tolist()) == set(range(10))
    assert torch.equal(corrupted(labels, 0.0, 10, seed=0), labels)
    assert not torch.equal(corrupted(labels, 0.4, 10, seed=1), noisy)


def test_all_are_trained_measured_and_compared(tmp_path):
    run = open_run(train(Config(examples=50, epochs=2, levels=2, seeds=2, width=4, batch_size=25, lag=1), tmp_path))
    slices, table = run.measurement("exhibit/slices"), run.measurement("exhibit/correlations")
    assert isinstance(slices, SliceSet)
    assert slices.names == OPTIMISERS
    assert table.columns == ("all", "0% noise", "60% noise", "one noise, one optimiser")
    assert np.nanmax(np.abs(table.values)) <= 1
    assert run.measurement("exhibit/measures").x["SAF"].shape == (4,)
    start = run.measurement("exhibit/accuracy", step=1)
    assert start.y["SGD"] == pytest.approx(start.y["SAF"])  # nothing to compare with in the first epoch
    assert list(run.measurement("exhibit/gain").y["SAF"]) != [0.0] * 2
    assert len(judge(run)) == 5


def outcomes(tmp_path, gain, flatness, correlations):
    noise, error = np.array([0.0, 0.3, 0.6]), 0.02
    with Study("sam", Configuration(), tmp_path, total=1) as study:
        study.advance()
        for name, labels, values in (
            ("gain", ("SAM", "SAF"), gain),
            ("flatness", ("λ max of SAM", "λ max of SAF", "rise of SAM", "rise of SAF"), flatness),
        ):
            measured = {label: (noise, np.asarray(values)) for label in labels}
            bands = {label: (line - error, line + error) for label, (_, line) in measured.items()}
            study.exhibit(name, lines(name, "", ("noise", name), measured, bands=bands))
        table = Matrix(
            provenance=Provenance(method="by hand"), title="", summary="", row_name="", column_name="", value_name="",
            rows=("SAM",), columns=("all", "a", "b", "c", "one"), values=np.array([correlations]), signed=True,
        )  # fmt: skip
        study.exhibit("correlations", table)
    return [one.outcome for one in judge(open_run(study.path))]


def test_the_judge_goes_by_the_numbers(tmp_path):
    assert outcomes(tmp_path / "a", [0, 0.05, 0.05], [-0.1] * 3, [0.8, 0, 0.5, 0.4, 0.3]) == ["reproduced"] * 5
    assert outcomes(tmp_path / "b", [0.05, 0.01, 0.01], [-0.01] * 3, [0.2, 0.9, 0.2, -0.1, 0.2]) == ["not here"] * 5
    mixed = outcomes(tmp_path / "c", [0, 0.05, 0.01], [-0.1, -0.1, 0.1], [0.4, 0, 0.1, 0.35, 0.3])
    assert mixed == ["partly"] * 5
