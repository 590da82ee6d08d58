import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from landscope.runs import RunStatus
from landscope.runs.status import HEARTBEAT_LIMIT_S, Process, observed_status, this_process

LATE, FRESH = HEARTBEAT_LIMIT_S + 0.1, HEARTBEAT_LIMIT_S - 0.1
ELSEWHERE = Process("another-host", os.getpid(), 1)


@pytest.mark.parametrize("status", ["finished", "stopped", "failed"])
def test_a_run_that_ended_did_not_crash(status):
    assert observed_status(RunStatus(status), 1e6, ELSEWHERE) == status


@pytest.mark.parametrize("status", ["running", "paused"])
def test_elsewhere_the_heartbeat_decides(status):
    assert observed_status(RunStatus(status), FRESH, ELSEWHERE) == status
    assert observed_status(RunStatus(status), LATE, ELSEWHERE) == "crashed"


def test_here_a_living_process_is_running_however_late_its_heartbeat():
    assert observed_status(RunStatus.RUNNING, 1e6, this_process()) == "running"


def test_here_a_process_that_ended_has_crashed_at_once():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    trainer = dataclasses.replace(this_process(), pid=ended.pid)
    assert observed_status(RunStatus.RUNNING, 0.0, trainer) == "crashed"


def test_a_zombie_has_crashed():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        started = int(Path(f"/proc/{child.pid}/stat").read_text().split()[21])  # proc(5), for a name without blanks
        trainer = dataclasses.replace(this_process(), pid=child.pid, started=started)
        assert observed_status(RunStatus.RUNNING, 0.0, trainer) == "running"
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and nobody has collected it
        assert observed_status(RunStatus.RUNNING, 0.0, trainer) == "crashed"


def test_another_process_with_the_same_number_is_not_the_trainer():
    reused = dataclasses.replace(this_process(), started=this_process().started - 1)
    assert observed_status(RunStatus.RUNNING, 0.0, reused) == "crashed"


def test_without_start_times_both_must_hold():
    trainer = dataclasses.replace(this_process(), started=None)
    assert observed_status(RunStatus.RUNNING, FRESH, trainer) == "running"
    assert observed_status(RunStatus.RUNNING, LATE, trainer) == "crashed"
