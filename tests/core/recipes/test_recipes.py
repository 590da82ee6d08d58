"""The recipes' data and models by their definitions, and the claims they are there to show."""

import dataclasses
import runpy
import sys

import numpy as np
import pytest
import torch

from landscope.embedding import progress_measures
from landscope.objective import Objective
from landscope.recipes import CATALOGUE, FLAGSHIP
from landscope.recipes.catalogue import module_of
from landscope.recipes.digits import Config as DigitsConfig
from landscope.recipes.digits import digits, small_cnn, squared_error
from landscope.recipes.digits import judge as judge_digits
from landscope.recipes.digits import train as train_digits
from landscope.recipes.grokking import Config as GrokkingConfig
from landscope.recipes.grokking import ModularAddition, split_pairs
from landscope.recipes.grokking import judge as judge_grokking
from landscope.recipes.grokking import train as train_grokking
from landscope.recipes.settings import described
from landscope.runs import RunWriter, list_runs, open_run


def only_run(root):
    (summary,) = list_runs(root)
    return open_run(root / summary.id)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_recipe_of_the_catalogue_has_a_config_and_trains(name):
    module = module_of(name)
    assert dataclasses.is_dataclass(module.Config)
    assert callable(module.train)
    assert callable(module.judge)
    assert isinstance(module.FULL, module.Config)
    settings = described(module.Config, module.FULL)
    assert all(len(setting["words"]) > 5 and ("low" in setting or "options" in setting) for setting in settings)
    assert "seed" in {setting["name"] for setting in settings}
    assert FLAGSHIP in CATALOGUE
    if not hasattr(module, "build"):  # it trains many models
        return
    experiment = module.build(module.Config())
    assert experiment.objective("train", examples=32).examples == 32
    assert experiment.objective("test", examples=32).split == "test"
    assert torch.equal(experiment.objective().theta(), module.build(module.Config()).objective().theta())


def test_no_pair_is_held_out_whose_mirror_image_is_trained_on():
    (train, sums), (test, _) = split_pairs(97, 0.4, seed=1)
    trained = {frozenset(pair) for pair in train.tolist()}
    held_out = {frozenset(pair) for pair in test.tolist()}
    assert not trained & held_out
    assert len(trained) + len(held_out) == 97 * 98 // 2
    assert len(trained) == round(0.4 * 97 * 98 / 2)
    assert torch.equal(sums, train.sum(dim=1) % 97)


def test_modular_addition_is_its_formula_and_symmetric():
    torch.manual_seed(0)
    model = ModularAddition(11, 5, 7)
    pairs = torch.tensor([[2, 9], [9, 2], [4, 4]])
    E, W1, W2 = (parameter.detach() for parameter in model.parameters())
    expected = torch.relu((E[pairs[:, 0]] + E[pairs[:, 1]]) @ W1.T) @ W2.T
    torch.testing.assert_close(model(pairs).detach(), expected)
    torch.testing.assert_close(model(pairs)[0], model(pairs)[1])


def test_digits_are_all_there_standardised_and_split_without_overlap():
    (images, classes), (others, _) = digits(1000, seed=0)
    assert images.shape == (1000, 1, 8, 8)
    assert len(others) == 797
    whole = torch.cat([images, others])
    assert abs(float(whole.mean())) < 1e-5
    assert float(whole.std()) == pytest.approx(1, abs=1e-5)
    assert set(classes.tolist()) == set(range(10))


def test_squared_error_on_one_example_by_hand():
    outputs = torch.tensor([[1.0, 2.0, 3.0]])
    assert squared_error(outputs, torch.tensor([1])).item() == pytest.approx(0.5 * (1 + 1 + 9))


def test_small_cnn_has_the_size_it_says():
    assert sum(parameter.numel() for parameter in small_cnn().parameters()) == 1898


def test_grokking_memorises_first_and_generalises_much_later(tmp_path):
    train_grokking(GrokkingConfig(steps=3600, overhead=1.0), tmp_path)
    run = only_run(tmp_path)
    accuracies = {split: dict(zip(*run.scalars(f"{split}/accuracy"), strict=True)) for split in ("train", "test")}
    memorised = first_memorised(run)
    generalised = min(step for step, value in accuracies["test"].items() if value >= 0.95)
    assert memorised <= 400
    assert max(value for step, value in accuracies["test"].items() if step <= memorised) <= 0.05
    assert generalised >= 4 * memorised
    assert accuracies["test"][3600] >= 0.99
    assert run.findings()[-1].data["kind"] == "grokked"
    assert not run.events("probe-off")
    tokens = run.measurement("tokens")
    assert tokens.gini > 0.3 > 0.1 > run.scalars("tokens/gini")[1][0]
    assert tokens.scalars()["restricted.test"] < 0.1
    assert tokens.scalars()["excluded.train"] > 0.5
    assert [one.outcome for one in judge_grokking(run)][:2] == ["reproduced"] * 2
    waves_first(run)


def grokking_objectives():
    """The losses on what a network of the recipe is trained on, and on what is held out, with both data."""
    config = GrokkingConfig()
    model = ModularAddition(config.prime, config.embedding, config.width)
    data = split_pairs(config.prime, config.fraction, config.seed)
    return *(Objective(model, torch.nn.CrossEntropyLoss(), one) for one in data), *data


def snapshots(run, least, most):
    """The weights that were kept at steps from `least` to `most`: there are many, however busy the machine is."""
    steps = sorted({frame.step for frame in run.frames("snapshot") if least <= frame.step <= most})
    return [(step, torch.as_tensor(run.measurement("snapshot", step=step).theta)) for step in steps]


def first_memorised(run):
    trained, *_ = grokking_objectives()
    kept = snapshots(run, 0, 1000)
    return next(step for step, theta in kept if float(trained.metrics(theta[None])["accuracy"]) >= 0.99)


def waves_first(run):
    """Asserts, at the snapshots of the weights, that a network adds by waves before its held-out accuracy shows it."""
    _, held_out, train, test = grokking_objectives()
    found = []
    for _, theta in snapshots(run, 401, 1799):
        accuracy = float(held_out.metrics(theta[None])["accuracy"])
        measured = progress_measures(held_out, splits={"train": train[0], "test": test[0]}, theta=theta).scalars()
        found.append((accuracy, measured["restricted.test"], measured["excluded.train"], measured["gini"]))
    accuracies, restricted, excluded, gini = np.array(found).T
    assert (np.diff(gini) > 0).all()
    hidden = accuracies < 0.2
    assert 2 <= hidden.sum() < len(hidden)
    assert restricted[hidden].min() < 0.5 * restricted[0]
    assert excluded[hidden][-1] < 0.1 < 0.3 < excluded[-1]


def test_digits_reaches_the_edge_of_stability_and_hovers(tmp_path):
    train_digits(DigitsConfig(examples=500, steps=700, overhead=2.0), tmp_path)
    run = only_run(tmp_path)
    steps, sharpness = run.scalars("sharpness/lambda_max")
    assert sharpness[steps == 0][0] < 5
    late = sharpness[steps > 500]
    assert len(late) >= 2
    assert all(0.85 * 10 < value < 1.3 * 10 for value in late)  # 2/lr = 10
    rose, hovers, _ = judge_digits(run)  # the third is of a longer training
    assert (rose.outcome, hovers.outcome) == ("reproduced", "reproduced")
    assert not run.events("probe-off")


def test_a_loss_that_was_measured_once_at_the_edge_is_no_claim(tmp_path):
    with RunWriter.create(tmp_path, name="digits", config={"lr": 0.2}) as made:
        for step, sharpness in ((0, 3.0), (100, 10.5)):
            made.scalars(step, {"sharpness/lambda_max": sharpness, "train/loss": 0.5})
    rose, hovers, falls = judge_digits(open_run(made.path))
    assert (rose.outcome, hovers.outcome, falls.outcome) == ("reproduced", "reproduced", "not here")
    assert "too rarely" in falls.measured


def test_settings_are_options_of_the_command(tmp_path, monkeypatch, capsys):
    def typed(*arguments):
        monkeypatch.setattr(sys, "argv", ["landscope.recipes", "grokking", *arguments])
        with pytest.raises(SystemExit) as ending:
            runpy.run_module("landscope.recipes", run_name="__main__", alter_sys=True)
        assert ending.value.code == 0

    monkeypatch.setenv("LANDSCOPE_PROGRESS", "")  # which it would set for good
    typed("--help")
    assert "--lr float" in capsys.readouterr().out
    typed("--runs", str(tmp_path), "--steps", "3", "--prime", "11", "--weight-decay", "0.5", "--overhead", "0.01")
    config = only_run(tmp_path).manifest.config
    assert config["steps"] == 3
    assert config["weight_decay"] == 0.5
    assert config["lr"] == 3e-3
