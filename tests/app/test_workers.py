"""The workers of a dashboard: real processes, really killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from landscope.runs.commands import send_command
from landscope_app.workers import Workers
from tests.core.worker.conftest import PROGRAM, recorded

_DASHBOARD = """
import sys
from pathlib import Path
from landscope_app.workers import Workers
workers = Workers(Path(sys.argv[1]), [Path(sys.argv[2])])
for line in sys.stdin:
    command, run = line.split()
    if command == "wake":
        workers.wake(run)
    print(workers.state(run), flush=True)
"""


def until(true, seconds=200.0):
    """What a condition gives once it is true; fails when that does not come."""
    limit = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < limit, "condition did not come true"
        time.sleep(0.02)
    return found


def children(pid):
    """Of all its threads."""
    return [int(child) for found in Path(f"/proc/{pid}/task").glob("*/children") for child in found.read_text().split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class Dashboard:
    """A process that has workers, as a server has, with one finished run of a user's program."""

    def __init__(self, folder):
        program = folder / "train.py"
        program.write_text(PROGRAM)
        self.run = recorded(folder / "runs", program)
        self.mood = program.with_name("mood").write_text
        command = [sys.executable, "-c", _DASHBOARD, str(folder / "runs"), str(program)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, command):
        self.process.stdin.write(f"{command} {self.run.id}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def ask(self, what, **parameters):
        job = send_command(self.run.path, "measure", {"what": what, "parameters": parameters})
        self.say("wake")
        return job

    def cancel(self, job):
        send_command(self.run.path, "cancel", {"job": job})
        self.say("wake")

    def state(self, job):
        found = [event.data["state"] for event in self.run.events("job") if event.data["job"] == job]
        return found[-1] if found else None

    def worker(self):
        """The worker's process number, once it is there."""
        return until(lambda: children(self.process.pid))[0]


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory):
    made = Dashboard(tmp_path_factory.mktemp("dashboard"))
    with made.process:
        yield made
        made.process.kill()


def test_a_finished_run_is_measured_cancelled_and_measured_again(dashboard):
    first = dashboard.ask("sharpness")
    until(lambda: dashboard.state(first) == "done")
    assert dashboard.say("state") == "working"
    assert dashboard.run.measurement(f"lab/{first}/sharpness", step=10).lambda_max > 0
    assert dashboard.run.head().status == "finished"

    worker = dashboard.worker()
    dashboard.mood("slow")
    slow = dashboard.ask("slice2d", points=65)
    until(lambda: dashboard.state(slow) == "running" and len(dashboard.run.events("job")) > 6)
    began = time.monotonic()
    dashboard.cancel(slow)
    until(lambda: dashboard.state(slow) == "cancelled")
    assert time.monotonic() - began < 3  # one second, on a machine that has nothing else to do
    assert dashboard.worker() == worker  # it obeyed by itself

    dashboard.mood("stuck")  # a single operation that takes a minute
    stuck = dashboard.ask("trace", budget=8)
    until(lambda: dashboard.state(stuck) == "running")
    dashboard.cancel(stuck)
    until(lambda: dashboard.state(stuck) == "cancelled", 5)
    dashboard.mood("")
    after = dashboard.ask("trace", budget=8)
    until(lambda: dashboard.state(after) == "done")
    assert dashboard.worker() != worker


def test_a_killed_worker_is_followed_by_another_which_goes_on(dashboard):
    dashboard.mood("deadly")
    job = dashboard.ask("trace", budget=10)
    first = dashboard.worker()
    until(lambda: not alive(first))
    dashboard.mood("")
    until(lambda: dashboard.state(job) == "done")
    begun = [event.data.get("attempt") for event in dashboard.run.events("job") if event.data["job"] == job]
    assert [attempt for attempt in begun if attempt] == [1, 2]


def test_a_worker_ends_with_its_dashboard(dashboard):
    worker = dashboard.worker()
    os.kill(dashboard.process.pid, signal.SIGKILL)
    until(lambda: not alive(worker), 10)


def fake(body):
    """Workers whose processes run that instead."""

    class Fake(Workers):
        def _command(self, run_id):
            return [sys.executable, "-S", "-c", body, str(self._root / run_id)]

    return Fake


def test_workers_that_cannot_begin_are_given_up_with_their_last_words(tmp_path):
    (tmp_path / "old").mkdir()
    body = "import sys; open(sys.argv[1] + '/starts', 'a').write('x'); sys.exit('landscope worker: has store schema 0')"
    workers = fake(body)(tmp_path)
    assert workers.state("old") == ""
    workers.wake("old")
    until(lambda: workers.state("old") == "failed: has store schema 0", 60)
    assert (tmp_path / "old" / "starts").read_text() == "xxxx"
    workers.close()


def test_a_run_that_was_deleted_has_no_worker_again(tmp_path):
    (tmp_path / "gone").mkdir()
    body = "import os, sys; os.rmdir(sys.argv[1]); sys.exit('landscope worker: was deleted')"
    workers = fake(body)(tmp_path)
    workers.wake("gone")
    until(lambda: workers.state("gone") == "failed: was deleted", 60)
    workers.close()


def test_closing_ends_workers_and_starts_no_more(tmp_path):
    (tmp_path / "one").mkdir()
    workers = fake("import sys; print('ready', file=sys.stderr, flush=True); sys.stdin.read()")(tmp_path)
    workers.wake("one")
    until(lambda: workers.state("one") == "working", 60)
    workers.close()
    until(lambda: workers.state("one") == "", 60)
    workers.wake("one")
    assert workers.state("one") == ""
