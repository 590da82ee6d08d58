"""kill -9 at any instant: what was committed is there, and what is there is whole."""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from landscope.runs import open_run

# One process imports once and forks a trainer per trial, so that fifteen trials take seconds. Each trainer says in a
# file of its own what was committed, at once and unbuffered; its parent kills it after a random time.
_NURSERY = """
import json, os, random, signal, sys, time
import numpy as np
from landscope.measurements import Provenance, Slice2D
from landscope.runs import RunWriter
import landscope.runs.writer as module

root, trials, journal = sys.argv[1], int(sys.argv[2]), sys.argv[3]
module.journal_mode = lambda path: journal
random.seed(7)

def plane(points, step):
    axis = np.linspace(-1, 1, points)
    return Slice2D(provenance=Provenance(method="t", step=step), alpha=axis, beta=axis, plane="random",
                   loss=np.full((points, points), float(step)), centre_loss=0.0, normalisation="none", axes=("a", "b"))

def train(acknowledged):
    writer = RunWriter.create(root, name="kill")
    step = 0
    while True:
        writer.scalars(step, {"step": step, "half": step / 2})
        if step % 20 == 0:
            writer.measurement(step, "slice/random", plane(21, step))
        if step % 200 == 0:
            writer.measurement(step, "slice/large", plane(370, step))
            writer.event(step, "message", str(step))
        os.pwrite(acknowledged, json.dumps([writer.id, writer.committed]).ljust(80).encode(), 0)
        step += 1
        time.sleep(0.0005)

def committed(acknowledged):
    said = os.pread(acknowledged, 80, 0)
    return said and json.loads(said)[1] > 0

for trial in range(trials):
    acknowledged = os.open(f"{root}/../acknowledged-{trial}", os.O_CREAT | os.O_RDWR)
    child = os.fork()
    if child == 0:
        train(acknowledged)
    while trial % 2 and not committed(acknowledged):  # so that some have, however slow the machine is
        time.sleep(0.01)
    time.sleep(random.uniform(0.05, 0.9))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize(("journal", "trials"), [("WAL", 15), ("TRUNCATE", 6)])
def test_a_killed_trainer_leaves_all_it_committed(tmp_path, journal, trials):
    (tmp_path / "runs").mkdir()
    program = [sys.executable, "-c", _NURSERY, str(tmp_path / "runs"), str(trials), journal]
    subprocess.run(program, check=True, timeout=120)
    committed = []
    for file in tmp_path.glob("acknowledged-*"):
        text = file.read_text()
        if text:  # else it was killed before it had a run
            committed.append(_check(tmp_path / "runs", *json.loads(text)))
    assert sum(seq > 0 for seq in committed) >= 3  # else nothing was tested


def _check(root, run_id, acknowledged):
    run = open_run(run_id, root=root)
    database = root / run_id / "run.sqlite"
    before = hashlib.sha256(database.read_bytes()).hexdigest()

    head = run.head()
    assert head.status == "crashed"
    assert head.seq >= acknowledged
    increment = run.since(0, limit=10**9)
    assert (increment.seq, increment.more) == (head.seq, False)
    if head.seq:
        steps = increment.scalars["step"][1]
        np.testing.assert_array_equal(steps, np.arange(len(steps)))
        np.testing.assert_array_equal(increment.scalars["half"][1], np.arange(len(increment.scalars["half"][1])) / 2)
    for frame in run.frames():
        measurement = run.measurement(frame.name, frame.step)
        assert (measurement.loss == frame.step).all()
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before  # reading changed nothing

    # Judged by SQLite itself, on a copy that may be recovered.
    shutil.copytree(root / run_id, root.parent / "copy" / run_id)
    with closing(sqlite3.connect(root.parent / "copy" / run_id / "run.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        seqs = connection.execute(
            "SELECT seq FROM scalar UNION ALL SELECT seq FROM frame UNION ALL SELECT seq FROM event"
        )
        assert sorted(seq for (seq,) in seqs) == list(range(1, head.seq + 1))
        shas = {sha for (sha,) in connection.execute("SELECT sha FROM frame WHERE sha IS NOT NULL")}
    for sha in shas:
        assert hashlib.sha256((root / run_id / "blobs" / f"{sha}.safetensors").read_bytes()).hexdigest() == sha
    return head.seq
