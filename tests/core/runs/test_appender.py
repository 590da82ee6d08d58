"""What is measured after a training is added to its run by one process at a time, and nothing else changes."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from landscope.runs import RunAppender, RunWriter, open_run

_HOLDER = """
import sys, time
from pathlib import Path
from landscope.runs import RunAppender
appender = RunAppender(Path(sys.argv[1]))
step = 0
while True:
    appender.event(step, "message", str(step))
    if step == 20:
        print("there", flush=True)
    step += 1
"""


@pytest.fixture
def ended(tmp_path, plane):
    with RunWriter.create(tmp_path / "runs", name="ended") as writer:
        writer.scalars(3, {"train/loss": 0.5})
        writer.measurement(3, "slice/random", plane())
        writer.progress(7, 9)
    return open_run(writer.path)


def test_what_is_added_has_the_next_numbers_and_the_head_stays(ended, plane):
    before = ended.head()
    with RunAppender(ended.path) as appender:
        appender.measurement(3, "lab/1/slice2d", plane(2.0))
        assert ended.head().seq == before.seq + 1  # on the disk at once
        appender.event(3, "job", "It is done.", {"job": 1})
    after = ended.head()
    assert (after.seq, after.step, after.total, after.status) == (before.seq + 2, 7, 9, "finished")
    assert after.heartbeat_age_s >= before.heartbeat_age_s
    news = ended.since(before.seq)
    assert news.frames["lab/1/slice2d"][0].tolist() == [before.seq + 1]
    assert [event.text for event in news.events] == ["It is done."]
    assert ended.measurement("lab/1/slice2d").loss.min() == 2.0
    assert ended.scalars("train/loss")[1].tolist() == [0.5]


def test_a_run_is_added_to_by_one_at_a_time_and_by_the_next_once_that_is_killed(ended):
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(ended.path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "there\n"
        with pytest.raises(BlockingIOError, match="is being measured by another process"):
            RunAppender(ended.path)
        holder.kill()
    texts = [event.text for event in ended.events("message")]
    assert texts == [str(step) for step in range(len(texts))]
    with RunAppender(ended.path) as appender:
        appender.event(0, "message", "next")
    assert [event.text for event in ended.events("message")] == [*texts, "next"]
    assert ended.head().status == "finished"


def test_a_run_that_is_trained_is_left_to_its_trainer(writer):
    with pytest.raises(RuntimeError, match="is running: its trainer measures it"):
        RunAppender(writer.path)


def test_a_run_whose_trainer_was_killed_stays_crashed(ended):
    with closing(sqlite3.connect(ended.path / "run.sqlite")) as connection, connection:
        connection.execute("UPDATE head SET status = 'running', pid = 1, started = 0")
    assert ended.head().status == "crashed"
    with RunAppender(ended.path) as appender:
        appender.event(0, "message", "still")
    assert ended.head().status == "crashed"


def test_a_folder_that_is_deleted_meanwhile_is_said(ended, plane):
    with RunAppender(ended.path) as appender:
        shutil.rmtree(ended.path)
        with pytest.raises(FileNotFoundError, match="was deleted or replaced"):
            appender.measurement(0, "lab/1/slice2d", plane())
    assert not ended.path.exists()


def test_a_store_of_another_version_is_refused(ended):
    with closing(sqlite3.connect(ended.path / "run.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 0")
    with pytest.raises(ValueError, match="has store schema 0, expected 1; read it with the version that wrote it"):
        RunAppender(ended.path)


def test_readers_are_no_obstacle(ended):
    with closing(sqlite3.connect(f"{(ended.path / 'run.sqlite').as_uri()}?mode=ro", uri=True)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM head").fetchone()
        with RunAppender(ended.path) as appender:
            reader.execute("COMMIT")
            appender.event(0, "message", "beside a reader")
    assert ended.events("message")[-1].text == "beside a reader"


def test_a_program_is_known_by_its_file(tmp_path):
    program = tmp_path / "train.py"
    program.write_text(
        "from landscope.runs import RunWriter\nRunWriter.create('runs', name='own').close()\n"
        "RunWriter.create('recipes', name='own', recipe='digits').close()\n"
    )
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, check=True)
    (own,), (recipe,) = ([*(tmp_path / folder).iterdir()] for folder in ("runs", "recipes"))
    assert open_run(own).manifest.program == str(program)
    assert open_run(recipe).manifest.program == ""
