"""The disk is full, the folder is gone, the folder cannot be written: training goes on, and readers read."""

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import numpy as np
import pytest

from landscope.runs import RunWriter, list_runs, open_run

# A limit on the size of files makes the operating system refuse writes, as a full disk does.
_LIMITED = """
import logging, resource, sys, time
from landscope.runs import RunWriter
logging.basicConfig(stream=sys.stdout, format="%(message)s")
writer = RunWriter.create(sys.argv[1], name="x")

def say(steps):
    for step in steps:
        writer.scalars(step, {"x": step, "y": step})
        time.sleep(0.0001)

def wait(true):
    limit = time.monotonic() + 30
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.01)

hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
say(range(500))
wait(lambda: writer.committed == 500)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
say(range(500, 6000))
wait(lambda: not writer.recording)
before = writer.committed
time.sleep(2.5)  # several attempts
assert not writer.recording and writer.committed == before < 6000
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
wait(lambda: writer.recording)
say(range(6000, 6100))
writer.close()
"""


def test_a_refused_write_pauses_recording_until_it_is_allowed(tmp_path):
    done = subprocess.run([sys.executable, "-c", _LIMITED, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    paused, resumed = done.stdout.splitlines()  # each once
    assert "is paused" in paused
    assert "training goes on" in paused
    assert "goes on" in resumed
    (folder,) = tmp_path.iterdir()
    run = open_run(folder)
    assert run.head().status == "finished"
    assert run.head().dropped == 0
    np.testing.assert_array_equal(run.scalars("x")[1], np.arange(6100))
    (message,) = run.events("message")
    assert message.text.startswith("recording was paused for")
    assert run.since(0, limit=10**6).seq == 6100 + 1


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of two mebibytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount; the same is tested with a limit on the size of files")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_pauses_recording_until_there_is_room(small_disk, caplog, wait, plane):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_200_000))
    with caplog.at_level(logging.WARNING), RunWriter.create(small_disk, name="x") as writer:
        writer.measurement(0, "slice/large", plane(points=400))  # a blob that does not fit
        for step in range(2000):
            writer.scalars(step, {"x": step})
        wait(lambda: not writer.recording)
        assert os.listdir(writer.path / "blobs") == []  # no half-written file takes the room that is left
        assert len(caplog.records) == 1
        ballast.unlink()
        wait(lambda: writer.recording)
    run = open_run(writer.path)
    np.testing.assert_array_equal(run.scalars("x")[1], np.arange(2000))
    assert run.measurement("slice/large").loss.shape == (400, 400)
    with closing(sqlite3.connect(run.path / "run.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_disk_too_full_to_start_says_so_and_leaves_nothing(small_disk):
    (small_disk / "ballast").write_bytes(bytes(2 * 2**20 - 8192))
    with pytest.raises((OSError, sqlite3.OperationalError)):
        RunWriter.create(small_disk, name="x")
    assert os.listdir(small_disk) == ["ballast"]


@pytest.mark.parametrize("journal", ["WAL", "TRUNCATE"])
def test_a_deleted_folder_stays_deleted_and_training_goes_on(tmp_path, caplog, wait, plane, monkeypatch, journal):
    monkeypatch.setattr("landscope.runs.writer.journal_mode", lambda path: journal)
    writer = RunWriter.create(tmp_path, name="x")
    for step in range(100):
        writer.scalars(step, {"x": step})
    wait(lambda: writer.committed == 100)
    while writer.path.exists():  # a journal or blob may come between listing and removing
        shutil.rmtree(writer.path, ignore_errors=True)
    for step in range(100, 200):
        writer.scalars(step, {"x": step})
        writer.measurement(step, "slice/large", plane(points=370))
    wait(lambda: not writer.recording)
    assert writer.commands() == []
    writer.scalars(200, {"x": 1.0})
    writer.close()
    assert list(tmp_path.iterdir()) == []
    (record,) = [record for record in caplog.records if record.name.startswith("landscope")]
    assert "was deleted or replaced; training goes on" in record.getMessage()


def test_a_folder_that_comes_back_is_written_again(tmp_path, wait):
    with RunWriter.create(tmp_path / "runs", name="x") as writer:
        writer.scalars(0, {"x": 0})
        wait(lambda: writer.committed == 1)
        writer.path.rename(tmp_path / "away")
        writer.scalars(1, {"x": 1})
        wait(lambda: not writer.recording)
        (tmp_path / "away").rename(writer.path)
        wait(lambda: writer.recording)
    np.testing.assert_array_equal(open_run(writer.path).scalars("x")[1], [0, 1])


_CRASH = """
import os, sys, time
from landscope.runs import RunWriter
writer = RunWriter.create(sys.argv[1], name="x")
for step in range(100): writer.scalars(step, {"x": step})
while writer.committed < 100: time.sleep(0.01)
os.kill(os.getpid(), 9)
"""


@contextmanager
def unwritable(folder, elsewhere):
    """The folder as one that this user cannot write: through its permissions, or for root a read-only mount."""
    if os.geteuid():
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    elsewhere.mkdir()
    mounted = subprocess.run(["mount", "--bind", folder, elsewhere], capture_output=True)
    if mounted.returncode:
        pytest.skip("root without the right to mount can write everywhere")
    subprocess.run(["mount", "-o", "remount,bind,ro", elsewhere], check=True)
    yield elsewhere
    subprocess.run(["umount", "-l", elsewhere], check=True)


@pytest.mark.parametrize("left", ["crashed", "crashed, no shared memory", "finished", "running"])
def test_a_run_in_a_folder_that_cannot_be_written_is_read(tmp_path, left, wait):
    root = tmp_path / "runs"
    writer = None
    if left.startswith("crashed"):
        subprocess.run([sys.executable, "-c", _CRASH, root], timeout=60)
        (folder,) = root.iterdir()
        assert (folder / "run.sqlite-wal").stat().st_size > 0
        if left != "crashed":
            (folder / "run.sqlite-shm").unlink()
    else:
        writer = RunWriter.create(root, name="x")
        for step in range(100):
            writer.scalars(step, {"x": step})
        wait(lambda: writer.committed == 100)
        if left == "finished":
            writer.close()
        folder = writer.path
    with unwritable(folder, tmp_path / "view") as view:
        run = open_run(view)
        assert run.head().status == left.partition(",")[0]
        np.testing.assert_array_equal(run.scalars("x")[1], np.arange(100))
        assert run.since(0).seq == 100
        if left == "running":
            writer.scalars(100, {"x": 100})
            wait(lambda: run.head().seq == 101)
    if writer:
        writer.close()


def test_a_transaction_cut_off_without_a_write_ahead_log_is_undone_for_readers(tmp_path):
    """A rollback journal that only a writer may play back: readers do so on a copy of their own."""
    with RunWriter.create(tmp_path, name="x") as writer:
        for step in range(100):
            writer.scalars(step, {"x": step})
    cut = (
        "import os, sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA journal_mode = TRUNCATE')\nc.execute('PRAGMA cache_size = 1')\nc.execute('BEGIN')\n"
        "c.execute('UPDATE scalar SET data = zeroblob(8)')\nc.execute('UPDATE head SET seq = 9999')\n"
        "rows = [(n, 'x' * 3000) for n in range(200, 400)]\n"
        "c.executemany('INSERT INTO event VALUES (?, 0, \"k\", ?, NULL, 0)', rows)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    database = writer.path / "run.sqlite"
    subprocess.run([sys.executable, "-c", cut, database], timeout=60)
    assert (writer.path / "run.sqlite-journal").stat().st_size > 0
    content = database.read_bytes()
    for _ in range(2):
        run = open_run(writer.path)
        assert run.head().seq == 100
        np.testing.assert_array_equal(run.scalars("x")[1], np.arange(100))
        assert run.events() == []
    assert [run.error for run in list_runs(tmp_path)] == [None]
    assert database.read_bytes() == content
