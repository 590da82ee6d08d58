"""A dashboard is killed, two look at one run, a run is deleted while it is watched: training goes on."""

import json
import shutil
import signal
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from landscope.runs import RunWriter, open_run
from tests.app.test_cli import get, read_until, started


def address(process):
    return next(word for word in read_until(process, "http://")[-1].split() if word.startswith("http://")).rstrip("/")


def ask(url, kind):
    request = urllib.request.Request(
        url, data=json.dumps({"kind": kind}).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.loads(response.read())["seq"]


def until(true, seconds=20.0):
    limit = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < limit, "condition did not come true"
        time.sleep(0.02)
    return found


def test_two_dashboards_on_one_run_of_which_one_is_killed_and_then_the_run_is_deleted(tmp_path, caplog):
    runs = tmp_path / "runs"
    writer = RunWriter.create(runs, name="x")
    options = ("ui", runs, "--port", 0)
    with started(*options, cwd=tmp_path) as first, started(*options, cwd=tmp_path) as second:
        urls = [f"{address(process)}/api/v1/runs/{writer.id}" for process in (first, second)]
        assert urls[0] != urls[1]
        for step in range(100):
            writer.scalars(step, {"x": step})
        until(lambda: writer.committed == 100)
        for url in urls:
            assert json.loads(get(f"{url}/head"))["step"] == 99
        # Both command the same training: each command has a number of its own, and is handed out once, in order.
        sent = [ask(f"{urls[turn % 2]}/commands", ("pause", "resume")[turn % 3 % 2]) for turn in range(12)]
        assert sent == list(range(1, 13))
        got = []
        until(lambda: got.extend(writer.commands()) or len(got) == 12)
        assert [command.seq for command in got] == sent

        first.send_signal(signal.SIGKILL)
        first.wait(20)
        for step in range(100, 200):
            writer.scalars(step, {"x": step})
        until(lambda: writer.committed == 200)
        assert json.loads(get(f"{urls[1]}/head"))["step"] == 199
        assert ask(f"{urls[1]}/commands", "stop") == 13
        assert [command.kind for command in until(writer.commands)] == ["stop"]
        np.testing.assert_array_equal(open_run(writer.path).scalars("x")[1], np.arange(200))

        shutil.rmtree(writer.path)
        writer.scalars(200, {"x": 200})
        until(lambda: not writer.recording)
        with pytest.raises(urllib.error.HTTPError) as gone:
            get(f"{urls[1]}/head")
        assert gone.value.code == 404
        assert "no run" in json.loads(gone.value.read())["error"]
        assert json.loads(get(f"{urls[1].rpartition('/')[0]}"))["runs"] == []
        for step in range(201, 300):
            writer.scalars(step, {"x": step})  # raises nothing
        writer.close()
    assert sum("training goes on" in record.getMessage() for record in caplog.records) == 1
