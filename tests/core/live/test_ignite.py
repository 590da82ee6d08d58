"""The handler for Ignite, with Ignite itself."""

import runpy
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from landscope.live import default_probes
from landscope.runs import list_runs, open_run

PROBES = [probe for probe in default_probes() if probe.name in ("evaluate", "sharpness", "embedding")]
X = torch.randn(48, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()
BATCHES = list(zip(X.split(8), Y.split(8), strict=True))


@pytest.fixture(scope="module")
def engine():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ignite.engine
    return ignite.engine


def trainer_of(engine, tmp_path, **options):
    from landscope.live.ignite import LandscopeHandler

    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = engine.create_supervised_trainer(model, optimizer, cross_entropy, **options)
    handler = LandscopeHandler(model, cross_entropy, (X, Y), optimizer=optimizer, probes=PROBES, runs=tmp_path)
    handler.attach(trainer)
    return trainer, handler


def test_steps_and_losses(engine, tmp_path):
    trainer, handler = trainer_of(engine, tmp_path, gradient_accumulation_steps=2)
    outputs = []
    trainer.add_event_handler(engine.Events.ITERATION_COMPLETED, lambda trainer: outputs.append(trainer.state.output))
    trainer.run(BATCHES, max_epochs=2)
    run = open_run(handler.scope.path)
    assert run.head().status == "finished"
    steps, losses = run.scalars("step/loss")
    assert steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert losses.tolist() == pytest.approx(outputs[1::2])


def test_the_page_stops_an_engine_and_an_exception_fails_it(engine, tmp_path):
    trainer, handler = trainer_of(engine, tmp_path)

    @trainer.on(engine.Events.ITERATION_COMPLETED(once=3))
    def stops():
        handler.scope._control.stopped = True

    trainer.run(BATCHES, max_epochs=2)
    assert open_run(handler.scope.path).head().status == "stopped"
    assert handler.scope.step_number == 4

    trainer, handler = trainer_of(engine, tmp_path)

    @trainer.on(engine.Events.ITERATION_COMPLETED(once=3))
    def fails():
        raise RuntimeError("a user's mistake")

    with pytest.raises(RuntimeError, match="mistake"):
        trainer.run(BATCHES, max_epochs=2)
    assert open_run(handler.scope.path).head().status == "failed"


def test_example(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("landscope.live.attachment.default_probes", lambda: PROBES)
    monkeypatch.setenv("LANDSCOPE_RUNS", str(tmp_path))
    runpy.run_path(str(Path(__file__).parents[3] / "examples/with_ignite.py"))
    (run,) = list_runs(tmp_path)
    assert run.status == "finished"
    losses = open_run(tmp_path / run.id).scalars("step/loss")[1]
    assert len(losses) == 29
    assert losses[-5:].mean() < losses[:5].mean()
