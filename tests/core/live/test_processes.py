"""Children of a watched process: they neither write to its run nor end it."""

import os
import subprocess
import sys
import textwrap

import pytest

from landscope.runs import list_runs, open_run

PROGRAM = textwrap.dedent(
    """
    import os, sys, torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    def main(method, workers):
        import landscope.live  # not in a spawned child, for which it takes time

        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        data = TensorDataset(torch.randn(32, 3), torch.randn(32, 2))
        scope = landscope.live.watch(model, nn.MSELoss(), train=data, optimizer=optimizer, probes=[], progress=True)
        for x, y in DataLoader(data, batch_size=8, num_workers=workers, multiprocessing_context=method):
            loss = nn.MSELoss()(model(x), y)
            optimizer.zero_grad(); loss.backward(); optimizer.step()
            scope.step(loss)
        if method == "fork":
            child = os.fork()
            if child == 0:  # a child that goes on as if it were its parent, and ends as programs do
                scope.step(torch.tensor(9.0))
                scope.measure()
                scope.close("failed")
                sys.exit(3)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        optimizer.zero_grad(); nn.MSELoss()(model(x), y).backward(); optimizer.step()
        scope.step(1.0)

    if __name__ == "__main__":
        main(sys.argv[1], int(sys.argv[2]))
    """
)


@pytest.mark.parametrize(("method", "workers"), [("fork", "2"), ("spawn", "1")])
def test_children_leave_the_run_alone(method, workers, tmp_path):
    program = tmp_path / "train.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "LANDSCOPE_RUNS": str(tmp_path / "runs")}
    done = subprocess.run(
        [sys.executable, str(program), method, workers], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    (run,) = list_runs(tmp_path / "runs")
    assert run.status == "finished"
    steps, losses = open_run(tmp_path / "runs" / run.id).scalars("step/loss")
    assert steps.tolist() == [1, 2, 3, 4, 5]
    assert losses[-1] == 1.0
