import gzip
import json
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from dash import html

from landscope.runs import RunWriter
from landscope_app import server as module
from landscope_app.compression import _compressed
from landscope_app.server import assets_folder, bind, create_server, serve


def blank(app):
    app.layout = html.Div("x" * 5000)


@pytest.fixture
def client(tmp_path):
    return create_server(tmp_path, page=blank).server.test_client()


@contextmanager
def running(root, **options):
    server = bind(root, **options)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(10)
        assert not thread.is_alive()


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as response:
        return response.status, response.headers, response.read()


def test_the_index(client):
    response = client.get("/")
    assert response.status_code == 200
    assert "<title>Landscope</title>" in response.text
    assert client.get("/health").status_code == 200


def test_the_page_loads_nothing_from_elsewhere(client):
    assert "http://" not in client.get("/").text
    assert "https://" not in client.get("/").text


def test_assets_are_those_of_the_repository():
    assert assets_folder().is_dir()


def test_long_text_is_compressed_for_those_who_accept_it(client):
    plain = client.get("/_dash-layout")
    assert "Content-Encoding" not in plain.headers
    small = client.get("/_dash-layout", headers={"Accept-Encoding": "gzip, br"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.data) == plain.data
    assert int(small.headers["Content-Length"]) == len(small.data) < len(plain.data) / 5
    for response in (plain, small):
        assert "Accept-Encoding" in response.headers["Vary"]
    assert "Content-Encoding" not in client.get("/_dash-layout", headers={"Accept-Encoding": "gzip;q=0"}).headers
    assert "Content-Encoding" not in client.get("/health", headers={"Accept-Encoding": "gzip"}).headers


def test_compressed_scripts_are_whole_and_are_not_sent_twice(client):
    path = next(
        part.split('"')[0] for part in client.get("/").text.split('src="') if part.startswith("/_dash-component-suites")
    )
    plain = client.get(path)
    small = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(small.data) == plain.data
    tag = small.headers.get("ETag")
    if tag:
        again = client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
        assert (again.status_code, again.data) == (304, b"")
    else:
        assert "max-age" in small.headers["Cache-Control"]


def test_every_script_is_compressed_once_and_kept_by_browsers(tmp_path):
    client = create_server(tmp_path).server.test_client()
    scripts = [part.split('"')[0] for part in client.get("/").text.split('src="')[1:]]

    def misses():
        for path in scripts:
            client.get(path, headers={"Accept-Encoding": "gzip"}).close()
        return _compressed.cache_info().misses

    assert misses() == misses()
    dated = [path for path in scripts if "?m=" in path]
    assert len(dated) > 60
    with client.get(dated[0]) as response:
        assert "immutable" in response.headers["Cache-Control"]


def test_waitress_serves_a_live_run(tmp_path, monkeypatch):
    with RunWriter.create(tmp_path, name="x") as writer, running(tmp_path, port=0) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/"
        status, headers, page = get(server.url)
        assert (status, b"Landscope" in page) == (200, True)
        assert "Server" not in headers
        writer.scalars(3, {"x": 1.0})
        step = 0
        while step != 3:
            step = json.loads(get(f"{server.url}api/v1/runs/latest/head")[2])["step"]
        request = urllib.request.Request(
            f"{server.url}api/v1/runs/{writer.id}/commands",
            data=b'{"kind": "pause"}',
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            assert json.loads(response.read()) == {"seq": 1}
        request.data = b"x" * 3_000_000
        with pytest.raises((urllib.error.HTTPError, urllib.error.URLError, ConnectionError)) as refused:
            urllib.request.urlopen(request, timeout=20)
        if isinstance(refused.value, urllib.error.HTTPError):
            assert refused.value.code == 413
            refused.value.close()
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(server.url, Host="evil.example")
        assert refused.value.code == 403
        refused.value.close()


def test_closing_ends_open_connections_and_gives_the_port_back(tmp_path):
    with running(tmp_path, port=0) as server:
        idle = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200")
    with idle:
        while idle.recv(1000):
            pass  # the rest of the answer, and then the end
    server.close()
    again = bind(tmp_path, port=server.port)
    assert again.port == server.port
    again.close()


def test_a_busy_port_gives_the_next(tmp_path, monkeypatch, caplog):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        server = bind(tmp_path, port=port)
        try:
            assert port < server.port < port + 50
            assert f"port {port} is in use" in caplog.text
        finally:
            server.close()


def test_no_free_port_is_an_error_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PORTS_TRIED", 1)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(OSError, match="are all in use"):
            bind(tmp_path, port=holder.getsockname()[1])


def test_a_public_server_makes_up_a_token_and_says_it(tmp_path, monkeypatch):
    servers = [bind(tmp_path, host="0.0.0.0", port=0) for _ in range(2)]
    try:
        tokens = {server.url.partition("?token=")[2] for server in servers}
        assert len(tokens) == 2
        assert all(len(token) >= 43 for token in tokens)  # 32 random bytes
        assert servers[0].url.startswith(f"http://127.0.0.1:{servers[0].port}/?token=")
    finally:
        for server in servers:
            server.close()


def test_serving_prints_the_address(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module.Server, "run", lambda self: None)
    serve(tmp_path, port=0)
    assert f"Landscope shows {tmp_path} on http://127.0.0.1:" in capsys.readouterr().out


_WITHOUT_TORCH = """
import sys, time
from pathlib import Path
import numpy as np
from landscope.measurements import Provenance, Slice2D
from landscope.runs import RunWriter
from landscope_app.server import create_server
axis = np.linspace(-1, 1, 3)
plane = Slice2D(provenance=Provenance(method="t"), alpha=axis, beta=axis, loss=np.eye(3), centre_loss=0.0,
                plane="random", normalisation="none", axes=("a", "b"))
with RunWriter.create(sys.argv[1], name="x") as writer:
    writer.scalars(0, {"x": 1.0})
    writer.measurement(0, "slice/random", plane)
client = create_server(Path(sys.argv[1])).server.test_client()
paths = ["", "_dash-layout", "_dash-dependencies", "health"]
paths += ["api/v1/runs"] + [f"api/v1/runs/latest/{rest}" for rest in ("head", "manifest", "since/0", "frames/2.bin")]
for path in paths:
    response = client.get("/" + path)
    assert response.status_code == 200, (path, response.status_code, response.text)
assert not {"torch", "scipy", "umap", "sklearn"} & set(sys.modules), "the server needs none of these"
"""


def test_serving_everything_needs_no_torch(tmp_path):
    done = subprocess.run([sys.executable, "-c", _WITHOUT_TORCH, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
