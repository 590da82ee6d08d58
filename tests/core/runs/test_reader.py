import sqlite3
import threading

import numpy as np
import pytest

from landscope.measurements import Measurement, Provenance, Trace
from landscope.runs import Run, RunWriter, open_run


@pytest.fixture
def finished(tmp_path, plane):
    """Steps 0..9: scalars "a" and "b"; a slice at steps 0, 4 and 8 with spans (step, step + 1); three events."""
    with RunWriter.create(tmp_path / "runs", name="test", config={"lr": 0.1}) as writer:
        for step in range(10):
            writer.scalars(step, {"a": step, "b": -step})
            if step % 4 == 0:
                writer.measurement(step, "slice/random", plane(low=step, step=step))
        writer.event(0, "message", "begun")
        writer.event(3, "finding", "first", {"kind": "k"})
        writer.event(9, "finding", "second")
    return open_run(writer.path)


def test_since_gives_columns(finished):
    increment = finished.since(0)
    assert (increment.seq, increment.more) == (16, False)
    np.testing.assert_array_equal(increment.scalars["a"][0], np.arange(10))
    np.testing.assert_array_equal(increment.scalars["b"][1], -np.arange(10))
    seqs, steps, lo, hi = increment.frames["slice/random"]
    np.testing.assert_array_equal(steps, [0, 4, 8])
    np.testing.assert_array_equal(lo, [0.0, 4.0, 8.0])
    np.testing.assert_array_equal(hi, [1.0, 5.0, 9.0])
    stored = [Measurement.from_bytes(finished.frame_bytes(int(seq))) for seq in seqs]
    assert [frame.provenance.step for frame in stored] == [0, 4, 8]
    assert [event.text for event in increment.events] == ["begun", "first", "second"]


def test_since_the_end_is_empty(finished):
    increment = finished.since(16)
    assert (increment.seq, increment.scalars, increment.frames, increment.events) == (16, {}, {}, [])
    assert not increment.more
    assert finished.since(1000).seq == 1000


@pytest.mark.parametrize("limit", [1, 2, 7, 16, 100])
def test_increments_add_up_to_the_whole(finished, limit):
    seq, gathered, frames, events, calls = 0, {"a": [], "b": []}, [], [], 0
    while True:
        increment = finished.since(seq, limit=limit)
        calls += 1
        records = len(increment.scalars["a"][0] if increment.scalars else []) + len(increment.events)
        records += sum(len(columns[0]) for columns in increment.frames.values())
        assert records == increment.seq - seq <= limit
        for name, (steps, _) in increment.scalars.items():
            gathered[name] += steps.tolist()
        frames += [int(seq) for columns in increment.frames.values() for seq in columns[0]]
        events += increment.events
        seq = increment.seq
        if not increment.more:
            break
    assert calls == -(-16 // limit)
    assert gathered == {"a": list(range(10)), "b": list(range(10))}
    assert frames == [frame.seq for frame in finished.frames()]
    assert events == finished.events()


def test_since_needs_a_limit(finished):
    with pytest.raises(ValueError, match="limit must be positive, got 0"):
        finished.since(0, limit=0)


def test_a_measurement_is_the_newest_at_or_before_the_step(finished):
    steps = {step: finished.measurement("slice/random", step).provenance.step for step in (0, 3, 4, 7, 8, 100)}
    assert steps == {0: 0, 3: 0, 4: 4, 7: 4, 8: 8, 100: 8}
    assert finished.measurement("slice/random").provenance.step == 8
    with pytest.raises(KeyError, match="no measurement 'slice/random' at or before step -1"):
        finished.measurement("slice/random", -1)


def test_what_is_not_there_is_named(finished):
    with pytest.raises(KeyError, match="no scalar 'c'; it has: a, b"):
        finished.scalars("c")
    with pytest.raises(KeyError, match="no measurement 'ntk'; it has: slice/random"):
        finished.measurement("ntk")
    with pytest.raises(KeyError, match="no frame 1"):
        finished.frame_bytes(1)  # a scalar's number


def test_frames_and_events_by_name(finished):
    assert [(frame.step, frame.name, frame.kind) for frame in finished.frames("slice/random")] == [
        (step, "slice/random", "slice2d") for step in (0, 4, 8)
    ]
    assert all(frame.nbytes == len(finished.frame_bytes(frame.seq)) for frame in finished.frames())
    assert finished.frames("ntk") == []
    assert [event.text for event in finished.events("message")] == ["begun"]
    assert [(event.text, event.data) for event in finished.findings()] == [("first", {"kind": "k"}), ("second", None)]


def test_a_frame_without_height_has_no_span(tmp_path):
    with RunWriter.create(tmp_path, name="x") as writer:
        trace = Trace(provenance=Provenance(method="m"), value=1.0, stderr=0.1, probes=3, operator="hessian")
        writer.measurement(0, "trace", trace)
    _, _, lo, hi = open_run(writer.path).since(0).frames["trace"]
    assert np.isnan([lo[0], hi[0]]).all()


def test_readers_miss_nothing_and_see_nothing_twice_while_it_is_written(writer, plane):
    run, failures = open_run(writer.path), []
    done = threading.Event()

    def follow() -> None:
        seq, seen = 0, []
        while True:
            ended = done.is_set()
            increment = run.since(seq, limit=500)
            seen += increment.scalars["x"][1].tolist() if "x" in increment.scalars else []
            seq = increment.seq
            if ended and not increment.more:
                break
        if seen != list(range(20_000)):
            failures.append(len(seen))

    readers = [threading.Thread(target=follow) for _ in range(3)]
    for reader in readers:
        reader.start()
    for step in range(20_000):
        writer.scalars(step, {"x": step})
        if step % 500 == 0:
            writer.measurement(step, "slice/random", plane())
    writer.close()
    done.set()
    for reader in readers:
        reader.join()
    assert not failures


def test_another_schema_is_refused_by_name(finished):
    with sqlite3.connect(finished.path / "run.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ValueError, match=r"has store schema 99, expected \d+; upgrade landscope"):
        finished.head()
    with sqlite3.connect(finished.path / "run.sqlite") as connection:
        connection.execute("PRAGMA user_version = 0")
    connection.close()
    with pytest.raises(ValueError, match=r"has store schema 0, expected \d+; read it with the version that wrote it"):
        Run(finished.path).since(0)


def test_a_damaged_blob_is_noticed(tmp_path, plane):
    with RunWriter.create(tmp_path, name="x") as writer:
        writer.measurement(0, "slice/random", plane(points=400))
    (blob,) = (writer.path / "blobs").iterdir()
    run = open_run(writer.path)
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="is damaged"):
        run.measurement("slice/random")
    blob.unlink()
    with pytest.raises(FileNotFoundError, match="is missing"):
        run.measurement("slice/random")


def test_a_blob_named_by_a_path_is_not_followed(tmp_path, plane):
    with RunWriter.create(tmp_path, name="x") as writer:
        writer.measurement(0, "slice/random", plane())
    (tmp_path / "secret.safetensors").write_text("secret")
    with sqlite3.connect(writer.path / "run.sqlite") as connection:
        connection.execute("UPDATE frame SET data = NULL, sha = '../../secret'")
    connection.close()
    run = open_run(writer.path)
    with pytest.raises(ValueError, match="must be named by a SHA-256"):
        run.frame_bytes(run.frames()[0].seq)
