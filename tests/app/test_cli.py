"""The `landscope` command as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

from landscope.recipes import CATALOGUE
from landscope.runs import list_runs
from landscope_app.cli import main

PROGRAM = """
import sys, torch, landscope
from torch import nn
model = nn.Linear(3, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.randn(8, 3), torch.randn(8, 2)
scope = landscope.watch(model, nn.MSELoss(), train=(x, y), optimizer=optimizer, name=sys.argv[1])
for _ in range(30):
    loss = nn.MSELoss()(model(x), y)
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    scope.step(loss)
if len(sys.argv) > 2:
    sys.exit(int(sys.argv[2]))
"""


@contextmanager
def started(*arguments, cwd):
    """The command in a process of its own, which is killed if a test leaves it running."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment.pop("LANDSCOPE_RUNS", None)
    command = [sys.executable, "-m", "landscope_app.cli", *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process, by=None):
    """The exit status, after a signal if one is given."""
    if by is not None:
        process.send_signal(by)
    process.communicate(timeout=60)
    return process.returncode


def read_until(process, text):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} was never printed:\n{''.join(lines)}")


def get(url):
    with urllib.request.urlopen(url, timeout=20) as response:
        return response.read()


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["run", "--help"], ["ui", "--help"]])
def test_help_ends_well_and_names_what_there_is(arguments, capsys):
    with pytest.raises(SystemExit) as ending:
        main(arguments)
    assert ending.value.code == 0
    text = capsys.readouterr().out
    assert "usage: landscope" in text
    if arguments == ["--help"]:
        assert all(command in text for command in ("demo", "run", "ui"))
    if arguments[0] == "demo":
        assert all(name in text for name in CATALOGUE)


def test_list_of_recipes(capsys):
    assert main(["demo", "--list"]) == 0
    text = capsys.readouterr().out
    assert all(name in text and entry.summary in text for name, entry in CATALOGUE.items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "grooking"], f"there is no recipe 'grooking'; recipes are {', '.join(sorted(CATALOGUE))}"),
        (["run", "no.py"], "no file"),
    ],
)
def test_mistakes_are_named(arguments, message, capsys):
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit) as ending:
        main(["ui", "--prot", "3"])
    assert ending.value.code == 2
    assert "--prot" in capsys.readouterr().err


def test_open_address_needs_a_token_and_says_which(tmp_path):
    with started("ui", tmp_path, "--host", "0.0.0.0", "--port", 0, cwd=tmp_path) as process:
        assert "?token=" in read_until(process, "http://")[-1]
        assert ended(process, signal.SIGINT) == 0


def test_run_shows_a_user_s_program_and_stays_until_interrupted(tmp_path):
    (tmp_path / "train.py").write_text(PROGRAM)
    with started("run", "--port", 0, "--no-open", "train.py", "my own net", cwd=tmp_path) as process:
        page = read_until(process, "Watching http://")[-1].split()[-1]
        assert "/run/" in page
        read_until(process, "Training has ended")
        base = page.split("/run/")[0]
        assert get(f"{base}/health")
        (run,) = json.loads(get(f"{base}/api/v1/runs"))["runs"]
        assert run["name"] == "my own net"
        assert run["step"] == 30
        assert run["status"] == "finished"
        assert (tmp_path / "runs" / run["id"]).is_dir()
        assert ended(process, signal.SIGINT) == 0


def test_interrupt_ends_the_program_too_and_its_run_is_complete(tmp_path):
    (tmp_path / "train.py").write_text(PROGRAM.replace("range(30)", "range(10**9)"))
    with started("run", "--port", 0, "--no-open", "train.py", "endless", cwd=tmp_path) as process:
        read_until(process, "Watching http://")
        time.sleep(1)
        assert ended(process, signal.SIGTERM) == 0
    (run,) = list_runs(tmp_path / "runs")
    assert run.status == "stopped"


def test_a_program_that_fails_at_once_passes_its_status_on(tmp_path):
    (tmp_path / "train.py").write_text("import sys; sys.exit(3)")
    with started("run", "--port", 0, "--no-open", "train.py", cwd=tmp_path) as process:
        assert ended(process) == 3
