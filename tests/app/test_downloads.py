"""Files that the page hands on."""

import io

import numpy as np
import pytest
from dash import html

from landscope.formats import read_npz
from landscope.measurements import Provenance, Slice2D, Trace
from landscope.runs import RunWriter
from landscope_app import downloads
from landscope_app.server import create_server

AXIS = np.linspace(-1.0, 1.0, 3)


def blank(app):
    app.layout = html.Div()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A finished run: frame 1 is a plane, frame 2 a trace."""
    root = tmp_path_factory.mktemp("runs")
    plane = Slice2D(
        provenance=Provenance(method="by hand", step=3), alpha=AXIS, beta=AXIS, loss=np.arange(9.0).reshape(3, 3),
        centre_loss=4.0, plane="random", normalisation="filter", axes=("one", "two"),
    )  # fmt: skip
    trace = Trace(value=1.0, stderr=0.1, probes=3, operator="hessian", provenance=Provenance(method="by hand"))
    with RunWriter.create(root, name='"quoted" <b>', recipe=None, config={}) as writer:
        writer.measurement(3, "slice/random", plane)
        writer.measurement(3, 'hostile"\r\nX: y', trace)
    return root, writer.id


@pytest.fixture(params=[False, True], ids=["writable", "read-only"])
def client(recorded, request):
    return create_server(recorded[0], page=blank, read_only=request.param).server.test_client()


def name_of(response):
    return response.headers["Content-Disposition"].removeprefix('attachment; filename="').removesuffix('"')


def test_a_measurement_as_arrays_table_and_page(client, recorded, tmp_path):
    address = f"/api/v1/runs/{recorded[1]}/frames/1"
    archive = client.get(f"{address}.npz", headers={"Accept-Encoding": "gzip"})
    assert name_of(archive) == f"{recorded[1]}-slice-random-step-3.npz"
    (tmp_path / "a.npz").write_bytes(archive.data)
    assert read_npz(tmp_path / "a.npz").loss.tolist() == np.arange(9.0).reshape(3, 3).tolist()
    table = np.genfromtxt(io.BytesIO(client.get(f"{address}.csv").data), delimiter=",", names=True)
    assert table["loss"].tolist() == list(range(9))
    page = client.get(f"{address}.html")
    assert page.status_code == 200
    assert page.data.startswith(b"<!DOCTYPE html>")
    assert "attachment" in page.headers["Content-Disposition"]


def test_names_of_anybody_s_do_not_leave_the_header(client, recorded):
    response = client.get(f"/api/v1/runs/{recorded[1]}/frames/2.npz")
    assert name_of(response) == f"{recorded[1]}-hostile-x-y.npz"
    assert "X" not in response.headers


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("{run}/frames/2.csv", "only slices and curvature maps are grids of numbers, got Trace"),
        ("{run}/frames/99.npz", "has no frame 99"),
        ("{run}/frames/99999999999999999999.npz", "at most"),
        ("{run}/frames/1.exe", "there is no GET"),
        ("nope/frames/1.npz", "no run 'nope'"),
        ("%2e%2e/report.html", "no run"),
    ],
)
def test_what_is_not_there_is_said(client, recorded, address, words):
    response = client.get(f"/api/v1/runs/{address.format(run=recorded[1])}")
    assert response.status_code == 404
    assert words in response.get_json()["error"]


def test_the_report_is_handed_on_in_pieces_one_at_a_time(client, recorded):
    address = f"/api/v1/runs/{recorded[1]}/report.html"
    first = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert first.is_streamed
    assert name_of(first) == f"{recorded[1]}.html"
    refused = client.get(address)
    assert (refused.status_code, "already" in refused.get_json()["error"]) == (409, True)
    body = b"".join(first.iter_encoded())
    first.close()
    assert b"&quot;quoted&quot; &lt;b&gt;" in body
    assert body.endswith(b"</html>\n")
    abandoned = client.get(address)
    assert abandoned.status_code == 200
    abandoned.close()
    assert downloads._writing.acquire(blocking=False)
    downloads._writing.release()


def test_a_report_that_cannot_be_begun_does_not_stand_in_the_way_of_others(client, recorded, monkeypatch):
    def damaged(run):
        raise ValueError("run is damaged")

    address = f"/api/v1/runs/{recorded[1]}/report.html"
    with monkeypatch.context() as patched:
        patched.setattr(downloads, "pieces", damaged)
        assert client.get(address).status_code == 500
    again = client.get(address)
    assert again.status_code == 200
    again.close()
