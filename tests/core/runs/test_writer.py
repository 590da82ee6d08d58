import hashlib
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

from landscope.measurements import Measurement
from landscope.runs import RunStatus, RunWriter, open_run
from landscope.runs.backlog import PendingScalars
from landscope.runs.blobs import write_blob


def test_everything_said_is_read_back_in_order(writer, plane, wait):
    for step in range(50):
        writer.scalars(step, {"train/loss": 1.0 / (step + 1), "norm/weights": 2.0 * step})
    writer.measurement(49, "slice/random", plane(low=0.25))
    writer.event(49, "finding", "The loss falls.", {"kind": "progress", "share": np.float32(0.5)})
    writer.progress(49, 100)
    wait(lambda: writer.committed == 52)
    run = open_run(writer.path)

    steps, values = run.scalars("train/loss")
    np.testing.assert_array_equal(steps, np.arange(50))
    np.testing.assert_array_equal(values, 1.0 / (np.arange(50) + 1))
    assert run.scalar_names() == ["norm/weights", "train/loss"]
    stored = run.measurement("slice/random")
    np.testing.assert_array_equal(stored.loss, plane(low=0.25).loss)
    (finding,) = run.findings()
    assert (finding.step, finding.text, finding.data) == (49, "The loss falls.", {"kind": "progress", "share": 0.5})
    head = run.head()
    assert (head.seq, head.step, head.total, head.status, head.dropped) == (52, 49, 100, "running", 0)
    assert head.heartbeat_age_s < 60


def test_non_finite_scalars_survive(writer):
    values = [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7976931348623157e308]
    for step, value in enumerate(values):
        writer.scalars(step, {"x": value})
    writer.close()
    read = open_run(writer.path).scalars("x")[1]
    assert np.array_equal(read, values, equal_nan=True)
    assert np.signbit(read[3])
    increment = open_run(writer.path).since(0)
    assert np.array_equal(increment.scalars["x"][1], values, equal_nan=True)


def test_scalars_must_be_numbers(writer):
    with pytest.raises(TypeError):
        writer.scalars(0, {"x": None})
    with pytest.raises(ValueError, match="could not convert"):
        writer.scalars(0, {"x": "high"})
    writer.scalars(0, {})
    writer.close()
    assert open_run(writer.path).head().seq == 0


def test_a_name_may_come_in_any_company(writer):
    """Each call may name others: the curve of a name has them all, in the order they came."""
    for step in range(30):
        writer.scalars(step, [{"a": step}, {"b": -step, "a": step}, {"a": step, "b": -step}][step % 3])
    writer.close()
    run = open_run(writer.path)
    for steps, values in (run.scalars("a"), run.since(0).scalars["a"]):
        np.testing.assert_array_equal(steps, np.arange(30))
        np.testing.assert_array_equal(values, np.arange(30))
    np.testing.assert_array_equal(run.scalars("b")[1], [-step for step in range(30) if step % 3])


def test_frames_beyond_a_mebibyte_become_blobs(writer, plane):
    small, large = plane(points=5), plane(points=400)  # 400 x 400 float64 are 1.28 MB
    writer.measurement(1, "slice/random", small)
    writer.measurement(2, "slice/random", large)
    writer.close()
    run = open_run(writer.path)
    first, second = (run.frame_bytes(frame.seq) for frame in run.frames())
    (blob,) = (writer.path / "blobs").iterdir()
    assert blob.name == f"{hashlib.sha256(second).hexdigest()}.safetensors"
    assert blob.read_bytes() == second
    assert len(first) < 2**20 < len(second)
    np.testing.assert_array_equal(Measurement.from_bytes(first).loss, small.loss)
    np.testing.assert_array_equal(Measurement.from_bytes(second).loss, large.loss)


def test_equal_blobs_are_stored_once(tmp_path):
    shas = [write_blob(tmp_path, data) for data in (b"a", b"b", b"a")]
    assert shas == [hashlib.sha256(data).hexdigest() for data in (b"a", b"b", b"a")]
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(set(shas))


def test_arrays_may_change_after_they_were_handed_over(writer, plane):
    frame = plane()
    expected = frame.loss.copy()
    writer.measurement(0, "slice/random", frame)
    frame.loss[:] = 7.0
    writer.close()
    np.testing.assert_array_equal(open_run(writer.path).measurement("slice/random").loss, expected)


def test_seq_is_dense_and_increasing_over_all_kinds_and_threads(writer, plane):
    def work(number: int) -> None:
        for step in range(200):
            writer.scalars(step, {f"s/{number}": step, "both": number})
            if step % 20 == 0:
                writer.measurement(step, "slice/random", plane(low=number))
                writer.event(step, "message", f"{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    run = open_run(writer.path)
    with sqlite3.connect(writer.path / "run.sqlite") as connection:
        seqs = [
            seq for table in ("scalar", "frame", "event") for (seq,) in connection.execute(f"SELECT seq FROM {table}")
        ]
    connection.close()
    assert sorted(seqs) == list(range(1, 4 * (200 + 20) + 1))
    for number in range(4):
        np.testing.assert_array_equal(run.scalars(f"s/{number}")[1], np.arange(200))


def test_status_events_set_the_head(writer, wait):
    run = open_run(writer.path)
    writer.event(3, "status", "paused")
    wait(lambda: run.head().status == RunStatus.PAUSED)
    writer.event(3, "status", "running")
    wait(lambda: run.head().status == RunStatus.RUNNING)
    with pytest.raises(ValueError, match="'running' or 'paused', got 'finished'"):
        writer.event(3, "status", "finished")


@pytest.mark.parametrize("status", ["finished", "stopped", "failed"])
def test_closing_flushes_and_says_how_it_ended(tmp_path, status):
    writer = RunWriter.create(tmp_path, name="x")
    writer.scalars(7, {"x": 1.0})
    writer.close(status)
    writer.close("failed" if status == "finished" else "finished")  # the second is too late
    head = open_run(writer.path).head()
    assert (head.status, head.seq, head.step) == (status, 1, 7)
    assert not writer.recording
    with pytest.raises(RuntimeError, match="is closed"):
        writer.scalars(8, {"x": 1.0})


def test_closing_needs_an_ending(writer):
    with pytest.raises(ValueError, match="'finished', 'stopped' or 'failed', got 'running'"):
        writer.close("running")


def test_a_finished_run_is_one_file(writer):
    writer.scalars(0, {"x": 1.0})
    writer.close()
    assert sorted(file.name for file in writer.path.iterdir()) == ["blobs", "run.json", "run.sqlite"]


def test_the_heart_beats_without_anything_to_write(writer, wait):
    run = open_run(writer.path)
    wait(lambda: run.head().step == 0 and writer._written is not None)
    with sqlite3.connect(writer.path / "run.sqlite") as connection:
        beat = lambda: connection.execute("SELECT heartbeat FROM head").fetchone()[0]  # noqa: E731
        first = beat()
        wait(lambda: beat() > first)
    connection.close()


def test_a_network_file_system_gets_no_write_ahead_log(tmp_path, monkeypatch, wait):
    monkeypatch.setattr("landscope.runs.writer.journal_mode", lambda path: "TRUNCATE")
    with RunWriter.create(tmp_path, name="x") as writer:
        writer.scalars(0, {"x": 1.0})
        wait(lambda: writer.committed == 1)
        assert open_run(writer.path).head().seq == 1
        assert not (writer.path / "run.sqlite-wal").exists()
        with sqlite3.connect(writer.path / "run.sqlite") as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() != ("wal",)
        connection.close()


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    writers = [RunWriter.create(tmp_path, name="same") for _ in range(3)]
    for writer in writers:
        writer.close()
    assert len({writer.id for writer in writers}) == 3
    assert {json.loads((writer.path / "run.json").read_text())["id"] for writer in writers} == {
        path.name for path in tmp_path.iterdir()
    }


_SAY = "for step in range(1000): writer.scalars(step, {'x': step})\n"
_ENDINGS = {
    "no more to do": (_SAY, "finished"),
    "an error": (_SAY + "raise ValueError('diverged')", "failed"),
    "control-c": (_SAY + "raise KeyboardInterrupt", "stopped"),
    "a forked child ends first": ("import os\nif os.fork() == 0: sys.exit(0)\nos.wait()\n" + _SAY, "finished"),
}


@pytest.mark.parametrize("ending", _ENDINGS)
def test_a_program_that_ends_without_closing_loses_nothing(tmp_path, ending):
    body, expected = _ENDINGS[ending]
    program = "import sys\nfrom landscope.runs import RunWriter\nwriter = RunWriter.create(sys.argv[1], name='x')\n"
    subprocess.run([sys.executable, "-c", program + body, tmp_path], timeout=60, stderr=subprocess.DEVNULL)
    (folder,) = tmp_path.iterdir()
    run = open_run(folder)
    assert run.head().status == expected
    np.testing.assert_array_equal(run.scalars("x")[1], np.arange(1000))


def test_a_signal_handler_may_close(tmp_path):
    program = (
        "import signal, sys\nfrom landscope.runs import RunWriter\n"
        "writer = RunWriter.create(sys.argv[1], name='x')\n"
        "def stop(*_):\n    writer.close('stopped')\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('go', flush=True)\nstep = 0\n"
        "while True:\n    writer.scalars(step, {'x': step})\n    step += 1\n"
    )
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as trainer:
            trainer.stdout.readline()
            os.kill(trainer.pid, signal.SIGTERM)
            assert trainer.wait(30) == 0
    for folder in tmp_path.iterdir():
        assert open_run(folder).head().status == "stopped"


def test_closing_while_a_method_of_the_same_thread_holds_the_lock(writer):
    """What a signal handler does that comes at the worst moment."""
    with writer._lock:
        writer._backlog.add_scalars(PendingScalars(5, 0.0, ("x",), bytes(8)))
        writer.close("stopped")
    head = open_run(writer.path).head()
    assert (head.status, head.seq) == ("stopped", 1)


def test_nothing_is_logged_when_nothing_is_wrong(tmp_path, caplog):
    with caplog.at_level(logging.INFO), RunWriter.create(tmp_path, name="x") as writer:
        writer.scalars(0, {"x": 1.0})
    assert not caplog.records
