"""A scope in a notebook: shown inline, and ended where its cell is run again."""

import os
import subprocess
import sys
import time
import urllib.request
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from landscope.live import notebook, watch
from landscope.runs import open_run

DATA = torch.randn(8, 3), torch.randn(8, 2)


class Model(nn.Linear):
    """A class with a name."""


@pytest.fixture
def execution(monkeypatch):
    """As in a notebook, the number of the cell's execution in `count`."""
    shell = SimpleNamespace(execution_count=1)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return shell


def attached(tmp_path, model=None, **options):
    return watch(model or Model(3, 2), nn.MSELoss(), DATA, probes=[], runs=tmp_path, **options)


def status(scope):
    return open_run(scope.path).head().status


def test_a_cell_run_again_ends_the_run_it_began(tmp_path, execution):
    first = attached(tmp_path)
    assert open_run(first.path).manifest.name == "Model"
    first.step(1.0)
    execution.execution_count += 1
    second = attached(tmp_path)
    assert status(first) == "stopped"
    assert open_run(first.path).scalars("step/loss")[0].tolist() == [1]
    first.step(1.0)  # a loop that still has it goes on
    second.step(1.0)
    second.close()
    assert status(second) == "finished"


def test_two_in_one_cell_and_other_names_in_others_are_both_kept(tmp_path, execution):
    scopes = [attached(tmp_path), attached(tmp_path)]
    execution.execution_count += 1
    scopes.append(attached(tmp_path, name="another"))
    model = Model(3, 2)
    scopes.append(attached(tmp_path, model, name="third"))
    assert [status(scope) for scope in scopes] == ["running"] * 4
    execution.execution_count += 1
    again = attached(tmp_path, model, name="fourth")
    assert [status(scope) for scope in scopes] == ["running"] * 3 + ["stopped"]
    for scope in [*scopes, again]:
        scope.close()


def test_programs_may_watch_as_often_as_they_like(tmp_path):
    model = Model(3, 2)
    with attached(tmp_path, model, name="same") as first, attached(tmp_path, model, name="same"):
        assert notebook.cell() is None
        assert status(first) == "running"


def test_the_page_is_shown_inline_and_ends_with_the_process(tmp_path):
    code = (
        "import sys, torch; from torch import nn; from landscope.live import watch\n"
        "scope = watch(nn.Linear(3, 2), nn.MSELoss(), (torch.ones(4, 3), torch.ones(4, 2)), probes=[])\n"
        "inline = scope.show(height=500); assert scope._repr_html_().count(inline.url) == 3\n"
        "assert 'height=\"500\"' in inline._repr_html_(); print(inline.url, flush=True); sys.stdin.readline()\n"
        "import os; os._exit(1)"
    )
    environment = {**os.environ, "LANDSCOPE_RUNS": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        url = process.stdout.readline().strip()
        assert url.rpartition("/")[2] == next(tmp_path.glob("2*")).name
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert b"Landscope" in answer.read()
            assert "frame-ancestors 'self' http://localhost:*" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Frame-Options"] is None
        process.communicate("\n", timeout=60)  # it dies without a word
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=60).close()
        except OSError:
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the server outlived its process")


def test_a_server_that_does_not_start_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "_ARGUMENTS", ("-c", "print('no such thing')"))
    with attached(tmp_path) as scope, pytest.raises(RuntimeError, match="no such thing"):
        scope.show()
