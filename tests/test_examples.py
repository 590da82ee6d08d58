"""Every example runs as it is, and its runs are whole; those with a framework run beside its callback's tests."""

import functools
import runpy
from pathlib import Path

import pytest
import torch

from landscope.live import Scope, default_probes
from landscope.runs import list_runs, open_run

EXAMPLES = Path(__file__).parents[1] / "examples"
STEPS = {
    "plain": [120],
    "mixed_precision": [42],
    "lbfgs": [20],
    "several_optimizers": [30, 30, 30],
    "compiled": [28, 28],
    "resume": [40, 80],
    "nano_gpt": [60],
    "notebook": [29],
}
FRAMEWORKS = {"with_accelerate", "with_ignite", "with_lightning", "with_transformers"}


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Few measurements, and a compiler that does nothing."""
    few = [probe for probe in default_probes() if probe.name in ("evaluate", "sharpness", "slice/random")]
    monkeypatch.setattr("landscope.live.attachment.default_probes", lambda: few)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANDSCOPE_RUNS", str(tmp_path))


@pytest.mark.parametrize("name", STEPS)
def test_example(name, quick, tmp_path):
    torch.manual_seed(0)
    names = runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    for scope in names.values():
        if isinstance(scope, Scope):
            scope.measure("evaluate")
            scope.close()
    runs = [open_run(tmp_path / run.id) for run in sorted(list_runs(tmp_path), key=lambda run: run.created)]
    assert [run.head().step for run in runs] == STEPS[name]
    for run in runs:
        assert not run.events("probe-off")
        assert run.head().status == "finished" or name == "several_optimizers"
    if name not in ("several_optimizers", "resume", "notebook"):
        losses = runs[0].scalars("train/loss")[1]
        assert losses[-1] < losses[0]


def test_every_example_is_run():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*STEPS, *FRAMEWORKS}
