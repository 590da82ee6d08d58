import json
import math
import re

import numpy as np
import pytest
from dash import html

from landscope.measurements import Measurement, Provenance, SeedBands, Slice2D
from landscope.measurements.precision import in_single_precision
from landscope.runs import RunWriter, open_run
from landscope_app.addresses import WORKERS
from landscope_app.server import create_server


def blank(app):
    app.layout = html.Div()


@pytest.fixture
def writer(tmp_path):
    """A running run: "loss" is 0, 1, nan, inf at steps 0 to 3, then a slice at step 3 and a finding."""
    axis = np.linspace(-1.0, 1.0, 3)
    plane = Slice2D(
        provenance=Provenance(method="test", step=3),
        alpha=axis,
        beta=axis,
        loss=np.arange(9.0).reshape(3, 3),
        centre_loss=4.0,
        plane="random",
        normalisation="filter",
        axes=("one", "two"),
    )
    with RunWriter.create(tmp_path / "runs", name="<b>digits</b>", recipe="digits", config={"lr": 0.1}) as made:
        for step, value in enumerate([0.0, 1.0, math.nan, math.inf]):
            made.scalars(step, {"loss": value})
        made.measurement(3, "slice/random", plane)
        made.event(3, "finding", "The loss diverges.", {"kind": "divergence"})
        made.progress(3, 10)
        yield made


@pytest.fixture
def root(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def client(root):
    return create_server(root, page=blank).server.test_client()


@pytest.fixture
def ended(writer):
    writer.close()
    return writer.id


def body(response, status=200):
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.mimetype == "application/json"
    return json.loads(response.data, parse_constant=lambda constant: pytest.fail(f"not JSON: {constant}"))


def test_runs(client, ended, root):
    (root / "broken").mkdir()
    runs = {run["id"]: run for run in body(client.get("/api/v1/runs"))["runs"]}
    assert set(runs) == {ended, "broken"}
    assert runs[ended] == {
        "id": ended,
        "name": "<b>digits</b>",
        "recipe": "digits",
        "status": "finished",
        "step": 3,
        "total": 10,
        "created": open_run(ended, root).manifest.created,
        "finding": "The loss diverges.",
        "error": None,
        "parent": None,
    }
    assert "run.json is missing" in runs["broken"]["error"]


def test_no_runs_yet(client):
    assert body(client.get("/api/v1/runs")) == {"runs": []}
    assert "no runs in" in body(client.get("/api/v1/runs/latest/head"), 404)["error"]


def test_head(client, ended):
    head = body(client.get(f"/api/v1/runs/{ended}/head"))
    assert head.pop("age") >= 0
    assert head == {"id": ended, "seq": 6, "step": 3, "total": 10, "status": "finished", "dropped": 0, "worker": ""}


def test_an_unchanged_head_is_not_sent_again(client, writer, root):
    while open_run(writer.id, root).head().seq < 6:
        pass
    first = client.get("/api/v1/runs/latest/head")
    tag = first.headers["ETag"]
    again = client.get("/api/v1/runs/latest/head", headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    writer.close()
    news = client.get("/api/v1/runs/latest/head", headers={"If-None-Match": tag})
    assert body(news)["status"] == "finished"


def test_since(client, ended):
    answer = body(client.get(f"/api/v1/runs/{ended}/since/0"))
    assert (answer["seq"], answer["more"]) == (6, False)
    assert answer["scalars"] == {"loss": {"step": [0, 1, 2, 3], "value": [0.0, 1.0, None, None]}}
    assert answer["frames"] == {"slice/random": {"seq": [5], "step": [3], "lo": [0.0], "hi": [8.0]}}
    assert answer["events"] == [
        {"seq": 6, "step": 3, "kind": "finding", "text": "The loss diverges.", "data": {"kind": "divergence"}}
    ]


def test_since_goes_on_where_it_ended(client, ended):
    first = body(client.get(f"/api/v1/runs/{ended}/since/0?limit=3"))
    assert (first["seq"], first["more"], first["scalars"]["loss"]["step"]) == (3, True, [0, 1, 2])
    rest = body(client.get(f"/api/v1/runs/{ended}/since/{first['seq']}"))
    assert (rest["seq"], rest["more"], rest["scalars"]["loss"]["step"]) == (6, False, [3])
    assert body(client.get(f"/api/v1/runs/{ended}/since/6"))["scalars"] == {}
    assert body(client.get(f"/api/v1/runs/{ended}/since/0?limit=-5"))["seq"] == 1


def test_a_frame_is_what_was_measured_for_ever_in_single_precision(client, ended, root):
    response = client.get(f"/api/v1/runs/{ended}/frames/5.bin")
    assert response.status_code == 200
    assert response.mimetype == "application/octet-stream"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    sent, kept = Measurement.from_bytes(response.data), open_run(ended, root).measurement("slice/random")
    np.testing.assert_array_equal(sent.loss, np.arange(9.0).reshape(3, 3))
    assert sent.loss.dtype == np.float32
    assert (sent.axes, sent.provenance) == (kept.axes, kept.provenance)


def test_a_number_beyond_single_precision_stays_a_number():
    def sent(*losses):
        drawn = SeedBands(
            provenance=Provenance(method="test"), quantity="loss", steps=np.arange(2), values=np.array([losses])
        )
        return Measurement.from_bytes(in_single_precision(drawn.to_bytes())).values[0]

    np.testing.assert_array_equal(sent(1e300, 1.0), [1e300, 1.0])
    np.testing.assert_array_equal(sent(np.inf, np.nan), np.array([np.inf, np.nan], dtype=np.float32))
    assert sent(1.0, np.nan).dtype == np.float32


def test_a_live_landscape_is_sent_in_twelve_kilobytes(tmp_path):
    """With all that a training records of it, digits that no compression shortens, and the longest path."""
    random = np.random.default_rng(0)
    grid, path = (17, 17), random.random((64, 2))
    shares = random.integers(0, 257, (2, *grid)) / 256
    plane = Slice2D(
        provenance=Provenance(method="17 x 17 points, random plane", step=3, split="train", examples=256),
        alpha=np.linspace(-1.0, 1.0, 17),
        beta=np.linspace(-1.0, 1.0, 17),
        loss=random.random(grid),
        accuracy=shares[0],
        error=random.random(grid),
        contrast_error=random.random(grid),
        metrics={"test/loss": random.random(grid), "test/accuracy": shares[1]},
        path=path,
        path_steps=np.arange(64),
        path_losses=path[:, 0],
        path_distances=path[:, 1],
        centre_loss=4.0,
        plane="random",
        normalisation="filter",
        axes=("first random direction, filter norms (seed 0)", "second random direction, filter norms"),
        checks=tuple((name, "pass", "the model's own loss and that of the slice agree to 1e-8") for name in "abcdefgh"),
    )
    with RunWriter.create(tmp_path / "runs", name="one") as made:
        made.measurement(3, "slice/random", plane)
    seq = open_run(made.id, tmp_path / "runs").frames("slice/random")[0].seq
    sent = create_server(tmp_path / "runs", page=blank).server.test_client()
    response = sent.get(f"/api/v1/runs/{made.id}/frames/{seq}.bin", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert 4096 < len(response.data) <= 12 * 1024


def test_a_frame_that_is_no_longer_kept_is_nothing_and_no_error(client, ended):
    response = client.get(f"/api/v1/runs/{ended}/frames/1.bin")  # a scalar's number
    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["Cache-Control"] == "no-store"


def test_a_frame_of_the_latest_run_is_not_cached(client, ended):
    """Tomorrow another run is the latest, and has another frame 5."""
    response = client.get("/api/v1/runs/latest/frames/5.bin")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"


def test_latest_is_the_newest_run(client, ended, root):
    with RunWriter.create(root, name="newer") as writer:
        pass
    assert body(client.get("/api/v1/runs/latest/manifest"))["id"] == writer.id


def test_manifest(client, ended):
    manifest = body(client.get(f"/api/v1/runs/{ended}/manifest"))
    assert (manifest["id"], manifest["name"], manifest["config"]) == (ended, "<b>digits</b>", {"lr": 0.1})


@pytest.mark.parametrize(
    ("kind", "params"),
    [("pause", {}), ("stop", {}), ("set", {"name": "lr", "value": 0.1, "group": None}), ("rewind", {"step": 3})],
)
def test_a_command_reaches_the_trainer(client, writer, kind, params):
    sent = {"kind": kind, "params": params}
    assert body(client.post(f"/api/v1/runs/{writer.id}/commands", json=sent)) == {"seq": 1}
    commands = []
    while not commands:
        commands = writer.commands()
    assert [(command.kind, command.params) for command in commands] == [(kind, params)]


@pytest.mark.parametrize("sent", [{"kind": "explode"}, {}, [], "pause", 3, {"kind": ["pause"]}, {"kind": None}])
def test_other_commands_are_refused(client, writer, root, sent):
    assert (
        "kind must be one of pause, resume, stop"
        in body(client.post(f"/api/v1/runs/{writer.id}/commands", json=sent), 400)["error"]
    )
    assert not (root / writer.id / "control.sqlite").exists()


def test_what_can_be_measured_and_what_it_costs(client):
    measurements = {one["name"]: one for one in body(client.get("/api/v1/lab"))["measurements"]}
    assert "points" in [one["name"] for one in measurements["slice2d"]["parameters"]]
    few, many = (
        body(client.get("/api/v1/lab/slice2d/cost", query_string={"parameters": json.dumps({"points": points})}))
        for points in (9, 33)
    )
    assert many["gradients"] / few["gradients"] == pytest.approx((33 / 9) ** 2)


@pytest.mark.parametrize(
    ("what", "parameters", "said"),
    [
        ("nothing", {}, "there is no measurement 'nothing'"),
        ("slice2d", {"points": 2}, "points must be an integer from 5"),
        ("slice2d", {"colour": 2}, "there is no parameter 'colour'"),
        ("slice2d", [3], ""),
        ("slice2d", "x", ""),
        (["slice2d"], {}, ""),
    ],
)
def test_what_cannot_be_measured_is_refused_before_it_is_asked(client, writer, root, what, parameters, said):
    sent = {"kind": "measure", "params": {"what": what, "parameters": parameters}}
    assert said in body(client.post(f"/api/v1/runs/{writer.id}/commands", json=sent), 400)["error"]
    assert not (root / writer.id / "control.sqlite").exists()
    if isinstance(what, str):
        query = {"parameters": json.dumps(parameters)}
        answer = body(client.get(f"/api/v1/lab/{what}/cost", query_string=query))
        assert answer["gradients"] is None
        assert said in answer["wrong"]


class Workers:
    """Stands for the programs that measure finished runs."""

    def __init__(self):
        self.woken = []

    def wake(self, run_id):
        self.woken.append(run_id)

    def state(self, run_id):
        return "starting" if run_id in self.woken else ""


def test_a_finished_run_is_measured_by_a_worker(ended, root):
    app = create_server(root, page=blank)
    workers = app.server.config[WORKERS] = Workers()
    client = app.server.test_client()
    first = client.get(f"/api/v1/runs/{ended}/head")
    assert body(first)["worker"] == ""
    sent = {"kind": "measure", "params": {"what": "trace", "objective": "train", "step": None, "parameters": {}}}
    assert body(client.post(f"/api/v1/runs/{ended}/commands", json=sent)) == {"seq": 1}
    assert workers.woken == [ended]
    news = client.get(f"/api/v1/runs/{ended}/head", headers={"If-None-Match": first.headers["ETag"]})
    assert body(news)["worker"] == "starting"
    assert (
        "nobody is there" in body(client.post(f"/api/v1/runs/{ended}/commands", json={"kind": "pause"}), 409)["error"]
    )


def test_a_figure_with_the_python_that_makes_it(client, ended):
    drawn = body(client.get(f"/api/v1/runs/{ended}/frames/5/figure?theme=dark"))
    assert drawn["figure"]["data"][0]["type"] in ("contour", "heatmap")
    assert drawn["config"]["showSendToCloud"] is False
    assert drawn["code"].endswith('.measurement("slice/random").figure()')
    assert body(client.get(f"/api/v1/runs/{ended}/frames/1/figure"), 404)["error"]


@pytest.mark.parametrize("params", [{"force": True}, [], "lr", None])
def test_other_parameters_are_refused(client, writer, params):
    sent = {"kind": "set", "params": params}
    error = body(client.post(f"/api/v1/runs/{writer.id}/commands", json=sent), 400)["error"]
    assert "params of set must be an object with group, name, value" in error


def test_broken_json_is_refused(client, writer):
    response = client.post(f"/api/v1/runs/{writer.id}/commands", data="{", headers={"Content-Type": "application/json"})
    assert body(response, 400)["error"]


def test_a_run_that_ended_takes_no_commands(client, ended):
    answer = body(client.post(f"/api/v1/runs/{ended}/commands", json={"kind": "stop"}), 409)
    assert "nobody is there" in answer["error"]


def test_a_read_only_server_takes_no_commands(writer, root):
    client = create_server(root, read_only=True, page=blank).server.test_client()
    assert "--read-only" in body(client.post(f"/api/v1/runs/{writer.id}/commands", json={"kind": "stop"}), 403)["error"]
    assert not (root / writer.id / "control.sqlite").exists()
    assert client.get(f"/api/v1/runs/{writer.id}/head").status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("runs/nope/head", 404),
        ("runs/nope/since/0", 404),
        ("runs/nope/manifest", 404),
        ("runs/ID/frames/99.bin", 404),
        ("runs/ID/frames/-1.bin", 404),
        ("runs/ID/frames/x.bin", 404),
        ("runs/ID/frames/99999999999999999999.bin", 404),
        ("runs/ID/since/99999999999999999999", 404),
        ("runs/ID/since/x", 404),
        ("runs/ID/nope", 404),
        ("nope", 404),
        ("", 404),
    ],
)
def test_what_is_not_there_is_said_in_json(client, ended, path, status):
    assert body(client.get(f"/api/v1/{path.replace('ID', ended)}"), status)["error"]


@pytest.mark.parametrize(
    "run_id", ["..", "../runs", "%2e%2e", "..%2f..%2fetc", "%2fetc", "a%00b", "a%5cb", ".hidden", "a%20b", "a" * 999]
)
@pytest.mark.parametrize("what", ["head", "manifest", "since/0", "frames/1.bin"])
def test_nothing_outside_the_root_is_read(client, ended, run_id, what):
    response = client.get(f"/api/v1/runs/{run_id}/{what}")
    assert response.status_code in (400, 404)
    assert response.mimetype == "application/json"


def test_a_run_that_cannot_be_read_is_an_error_of_its_own(client, ended, root, caplog):
    (root / ended / "run.sqlite").write_text("not a database" * 1000)
    told = body(client.get(f"/api/v1/runs/{ended}/head"), 500)["error"]
    assert "not a database" in told
    assert re.search(r"error \w{8}", told).group() in caplog.text


def test_a_mistake_of_the_server_has_a_number_that_its_log_explains(client, ended, caplog, monkeypatch):
    def broken(*_):
        raise KeyError("secret")

    monkeypatch.setattr("landscope_app.api.details", broken)
    told = body(client.get("/api/v1/runs/details"), 500)["error"]
    assert "secret" not in told
    assert re.search(r"error \w{8}", told).group() in caplog.text
    assert "KeyError: 'secret'" in caplog.text
