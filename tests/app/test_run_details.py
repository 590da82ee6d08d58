import json

import numpy as np
import pytest
from dash import html

from landscope.runs import RunWriter, open_run
from landscope_app.run_details import POINTS, details, sparkline
from landscope_app.server import create_server


@pytest.fixture
def root(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def ended(root):
    with RunWriter.create(root, name="one", config={"lr": 0.1, "optimizer": {"lr": 0.1, "name": "SGD"}}) as made:
        for step in range(64):
            made.scalars(step, {"train/loss": float(step)})
    return made.id


def client(root, **options):
    def blank(app):
        app.layout = html.Div()

    return create_server(root, page=blank, **options).server.test_client()


def body(response, status=200):
    assert response.status_code == status, response.get_data(as_text=True)
    return json.loads(response.data, parse_constant=lambda constant: pytest.fail(f"not JSON: {constant}"))


def test_details_have_settings_the_loss_and_what_was_said(root, ended):
    found = body(client(root).get("/api/v1/runs/details"))
    assert found[ended]["settings"] == {"lr": "0.1", "optimizer.name": "SGD"}
    assert found[ended]["tags"] == []
    losses = found[ended]["losses"]
    assert len(losses) == POINTS
    bins = np.minimum(np.arange(64) * POINTS // 63, POINTS - 1)
    np.testing.assert_allclose(losses, [np.arange(64)[bins == one].mean() for one in range(POINTS)], rtol=1e-3)


def test_the_newest_verdict_is_told_in_numbers(root, ended):
    assert details(root)[ended]["verdict"] is None
    with RunWriter.create(root, name="judged") as made:
        for outcomes in (["not here"], ["reproduced", "not here", "reproduced"]):
            claims = [{"text": "a", "measured": "b", "outcome": outcome} for outcome in outcomes]
            made.event(9, "verdict", "partly", {"outcome": "partly", "claims": claims})
    with RunWriter.create(root, name="stopped") as stopped:
        stopped.event(9, "verdict", "too early", {"outcome": "", "claims": []})
    found = details(root)
    assert found[made.id]["verdict"] == {"outcome": "partly", "reproduced": 2, "claims": 3}
    assert found[stopped.id]["verdict"] is None


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("step/loss", [(0, 2.0), (32, np.nan)], [2.0, *[None] * 31]),
        ("loss", [(5, 3.0)], [None]),
        ("other", [(0, 1.0)], []),
    ],
)
def test_losses_that_are_few_or_not_finite(root, name, values, expected):
    with RunWriter.create(root, name="odd") as made:
        for step, value in values:
            made.scalars(step, {name: value})
    assert sparkline(open_run(made.id, root)) == expected


def test_they_are_read_anew_only_when_something_changed(root, ended, monkeypatch):
    first = details(root)
    monkeypatch.setattr("landscope_app.run_details.sparkline", lambda run: pytest.fail("read twice"))
    assert details(root) == first


def test_tags_and_note_are_kept_and_checked(root, ended):
    page = client(root)
    said = {"tags": ["good"], "note": "look here"}
    assert body(page.post(f"/api/v1/runs/{ended}/annotation", json=said)) == said
    found = body(page.get("/api/v1/runs/details"))[ended]
    assert (found["tags"], found["note"]) == (["good"], "look here")
    for wrong in ({"tags": ["a,b"], "note": ""}, {"tags": 3, "note": ""}, {"note": ""}, []):
        assert "annotation must have" in body(page.post(f"/api/v1/runs/{ended}/annotation", json=wrong), 400)["error"]
    body(page.post("/api/v1/runs/nobody/annotation", json=said), 404)


def test_a_damaged_annotation_hides_details_and_not_the_run(root, ended, caplog):
    (root / ended / "annotation.json").write_text("nonsense")
    assert body(client(root).get("/api/v1/runs/details"))[ended]["tags"] == []
    assert "is not an annotation" in caplog.text
    assert [run["id"] for run in body(client(root).get("/api/v1/runs"))["runs"]] == [ended]


def test_discarding_and_restoring(root, ended):
    page = client(root)
    assert body(page.post(f"/api/v1/runs/{ended}/discard", json={})) == {"id": ended}
    assert body(page.get("/api/v1/runs"))["runs"] == []
    assert body(page.get(f"/api/v1/runs/{ended}/head"), 404)
    body(page.post(f"/api/v1/runs/{ended}/restore", json={}))
    assert [run["id"] for run in body(page.get("/api/v1/runs"))["runs"]] == [ended]
    body(page.post("/api/v1/runs/.trash/discard", json={}), 404)
    body(page.post(f"/api/v1/runs/{ended}/restore", json={}), 404)


def test_a_live_run_is_not_discarded(root):
    with RunWriter.create(root, name="live") as made:
        assert "stop it" in body(client(root).post(f"/api/v1/runs/{made.id}/discard", json={}), 409)["error"]


def test_what_is_in_the_trash_is_told_and_deleted_for_good(root, ended):
    page = client(root)
    body(page.post(f"/api/v1/runs/{ended}/erase", json={}), 404)  # only from the trash
    body(page.post(f"/api/v1/runs/{ended}/discard", json={}))
    answer = page.get("/api/v1/runs/trash")
    assert [run["id"] for run in body(answer)["runs"]] == [ended]
    again = page.get("/api/v1/runs/trash", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert body(page.post(f"/api/v1/runs/{ended}/erase", json={})) == {"id": ended}
    assert body(page.get("/api/v1/runs/trash"))["runs"] == []
    assert list((root / ".trash").iterdir()) == []
    body(page.post(f"/api/v1/runs/{ended}/restore", json={}), 404)


@pytest.mark.parametrize("what", ["annotation", "discard", "restore", "erase"])
def test_a_read_only_server_changes_nothing(root, ended, what):
    given = {"tags": ["x"], "note": ""}
    assert (
        "read-only" in body(client(root, read_only=True).post(f"/api/v1/runs/{ended}/{what}", json=given), 403)["error"]
    )
    assert sorted(path.name for path in root.iterdir()) == [ended]
    assert not (root / ended / "annotation.json").exists()
