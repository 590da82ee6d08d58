"""The callback for Lightning, with Lightning itself."""

import functools
import runpy
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from landscope.live import default_probes
from landscope.runs import list_runs, open_run

PROBES = [probe for probe in default_probes() if probe.name in ("evaluate", "sharpness", "embedding")]
X = torch.randn(48, 4, generator=torch.Generator().manual_seed(0))
DATA = TensorDataset(X, (X[:, 0] > 0).long())


@pytest.fixture(scope="module")
def lightning():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lightning
    return lightning


@pytest.fixture
def fit(lightning, tmp_path, monkeypatch):
    """Fits a small module and returns it with the callback; watched or not."""
    from landscope.live.lightning import LandscopeCallback

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.Linear(8, 2))
            self.losses = []
            self.at = {}

        def forward(self, x):
            return self.layers(x)

        def training_step(self, batch, number):
            if self.global_step in self.at:
                self.at.pop(self.global_step)()
            loss = cross_entropy(self(batch[0]), batch[1])
            self.losses.append(loss.item())
            return loss

        def validation_step(self, batch, number):
            pass

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    def fit(watched=True, at=None, checkpoint=None, save=None, **options):
        torch.manual_seed(0)
        module, callback = Module(), LandscopeCallback(cross_entropy, probes=PROBES, runs=tmp_path, overhead=9.0)
        module.at = {step: functools.partial(act, callback) for step, act in (at or {}).items()}
        trainer = lightning.Trainer(
            callbacks=[callback] if watched else [], accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, accumulate_grad_batches=3, **options
        )  # fmt: skip
        loader = DataLoader(DATA, batch_size=8, shuffle=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.fit(module, loader, loader, ckpt_path=checkpoint)
            if save:
                trainer.save_checkpoint(save)
        return module, callback

    return fit


def test_steps_losses_and_bits(fit):
    module, callback = fit(max_epochs=3)
    alone, _ = fit(watched=False, max_epochs=3)
    for ours, theirs in zip(module.parameters(), alone.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    run = open_run(callback.scope.path)
    assert run.head().status == "finished"
    assert not run.events("probe-off")
    steps, losses = run.scalars("step/loss")
    assert steps.tolist() == [1, 2, 3, 4, 5, 6]
    expected = torch.tensor(module.losses[-18:]).view(6, 3).mean(1)
    torch.testing.assert_close(torch.tensor(losses), expected.double(), rtol=1e-5, atol=1e-6)
    assert run.manifest.config["test_examples"] == run.manifest.config["train_examples"] == len(DATA)
    assert run.manifest.config["optimizer"]["momentum"] == 0.9
    assert run.head().total == 6


def test_a_fit_goes_on_from_a_checkpoint(fit, tmp_path):
    _, first = fit(max_epochs=2, save=tmp_path / "fit.ckpt")
    _, second = fit(max_epochs=3, checkpoint=tmp_path / "fit.ckpt")
    run = open_run(second.scope.path)
    assert (run.manifest.parent.run, run.manifest.parent.step) == (first.scope.path.name, 4)
    assert run.scalars("step/loss")[0].tolist() == [5, 6]


def test_the_page_stops_a_fit_and_an_exception_fails_it(fit):
    def fails(_):
        raise RuntimeError("a user's mistake")

    with pytest.raises(RuntimeError, match="mistake"):
        fit(max_epochs=3, at={2: fails})

    def stops(callback):
        callback.scope._control.stopped = True

    _, callback = fit(max_epochs=3, at={1: stops})
    assert open_run(callback.scope.path).head().status == "stopped"
    assert callback.scope.step_number < 6
    assert {run.status for run in list_runs(callback.scope.path.parent)} == {"failed", "stopped"}


def test_example(lightning, tmp_path, monkeypatch):
    monkeypatch.setattr("landscope.live.attachment.default_probes", lambda: PROBES)
    monkeypatch.setenv("LANDSCOPE_RUNS", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runpy.run_path(str(Path(__file__).parents[3] / "examples/with_lightning.py"))
    (run,) = list_runs(tmp_path)
    assert run.status == "finished"
    losses = open_run(tmp_path / run.id).scalars("step/loss")[1]
    assert len(losses) == 58
    assert losses[-5:].mean() < losses[:5].mean()
