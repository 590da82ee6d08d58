"""PyHessian's numbers beside ours, asked for while a network trains."""

import copy
import time

import pytest
import torch
from torch import nn

from landscope.live import watch
from landscope.runs import open_run
from tests.core.explicit import hessian


def trained(tmp_path, loss, target, **options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    x = torch.randn(24, 3)
    scope = watch(model, loss, (x, target), probes=[], runs=tmp_path, **options)
    run = open_run(scope.path)
    run.send("cross-check")
    before = copy.deepcopy(model.state_dict())
    for _ in range(100):
        scope.step()
        if run.events("cross-check"):
            break
        time.sleep(0.05)
    scope.close()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    (event,) = run.events("cross-check")
    return model, x, event


def test_both_find_the_eigenvalue_and_the_trace_of_the_explicit_hessian(tmp_path):
    target = torch.randn(24, 2)
    model, x, event = trained(tmp_path, nn.MSELoss(), target)
    matrix = hessian(model.double(), lambda net: nn.functional.mse_loss(net(x.double()), target.double()))
    largest, whole = float(torch.linalg.eigvalsh(matrix)[-1]), float(matrix.trace())
    found = event.data
    assert found["eigenvalue"] == pytest.approx(largest, rel=1e-3)
    assert found["pyhessian_eigenvalue"] == pytest.approx(largest, rel=0.02)
    assert abs(found["trace"] - whole) < max(4 * found["trace_error"], 1e-3 * whole)
    assert abs(found["pyhessian_trace"] - whole) < 4 * found["pyhessian_trace_error"]
    assert f"by PyHessian, which ranks by magnitude, {found['pyhessian_eigenvalue']:.4g} ±" in event.text


def test_what_pyhessian_does_not_take_is_said(tmp_path):
    _, _, event = trained(tmp_path, nn.MSELoss(), torch.randn(24, 2), forward=lambda model, batch: model(batch[0]))
    assert event.text.startswith("PyHessian could not check this: ")
    assert "a forward of its own" in event.text
