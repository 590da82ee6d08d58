"""The dashboard's server: a Dash application behind waitress. It holds no state and never imports torch."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import dash
import flask
import waitress
from flask import request
from waitress import wasyncore

from landscope_app.addresses import FOR_EVER, READ_ONLY, RECIPES, ROOT, WORKERS
from landscope_app.api import api
from landscope_app.compression import compress
from landscope_app.defaults import DEFAULT_HOST, DEFAULT_PORT
from landscope_app.page import build_page
from landscope_app.security import HEALTH, MAX_BODY_BYTES, is_loopback, secure
from landscope_app.starting import Recipes
from landscope_app.workers import Workers

__all__ = ["Server", "assets_folder", "bind", "create_server", "serve"]

logger = logging.getLogger(__name__)

_PORTS_TRIED = 50
_THREADS = 8
_CLOSE_LIMIT_S = 6.0


def assets_folder() -> Path:
    """Where the page's css and scripts are: in the installed package, or at the top of the repository."""
    packaged = Path(__file__).parent / "assets"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "assets"


def create_server(
    root: Path,
    *,
    host: str = DEFAULT_HOST,
    token: str | None = None,
    read_only: bool = False,
    embedded: bool = False,
    trust: Sequence[Path] = (),
    page: Callable[[dash.Dash], None] = build_page,
) -> dash.Dash:
    """The application that shows the runs in `root`; its Flask server is `.server`.

    Args:
        root: The folder of runs; it need not exist yet.
        host: The address it will listen on, which decides who may talk to it.
        token: What clients must present; None for no token, on loopback addresses only.
        read_only: Refuse commands to trainers.
        embedded: Let other pages of this machine, such as notebooks, show it in a frame.
        trust: Users' programs that may be run to measure the finished runs that they made.
        page: Sets the layout and callbacks.

    Raises:
        ValueError: if others can reach `host` and there is no token.
    """
    app = dash.Dash(
        "landscope_app",
        assets_folder=str(assets_folder()),
        serve_locally=True,
        update_title=None,  # type: ignore[arg-type]
        title="Landscope",
        health_endpoint=HEALTH.lstrip("/"),
        add_log_handler=False,
        enable_mcp=False,
    )
    app.server.config[ROOT] = Path(root).absolute()
    app.server.config[READ_ONLY] = read_only
    app.server.config[RECIPES] = Recipes(Path(root).absolute())
    app.server.config[WORKERS] = None if read_only else Workers(Path(root).absolute(), trust)
    _keep_dated(app.server)
    compress(app.server)
    secure(app, host=host, token=token, embedded=embedded)
    app.server.register_blueprint(api)
    page(app)
    return app


def _keep_dated(server: flask.Flask) -> None:
    """Let browsers keep the scripts and styles whose address says of when they are."""

    @server.after_request
    def keep(response: flask.Response) -> flask.Response:
        if request.path.startswith("/assets/") and "m" in request.args and response.status_code == 200:
            response.headers["Cache-Control"] = FOR_EVER
        return response


class Server:
    """A server that holds its port and waits to be run.

    Attributes:
        url: Where it is, with the token if there is one: open this in a browser.
        port: Its port.
    """

    def __init__(self, app: dash.Dash, listener: socket.socket, *, host: str, token: str | None) -> None:
        self.port = int(listener.getsockname()[1])
        self.url = _url(host, self.port, token)
        self._connections: dict[int, Any] = {}
        self._workers: Workers | None = app.server.config[WORKERS]
        self._recipes: Recipes = app.server.config[RECIPES]
        self._waitress = waitress.create_server(
            app.server,
            map=self._connections,
            sockets=[listener],
            threads=_THREADS,
            max_request_body_size=MAX_BODY_BYTES,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
        self._running = False
        self._ended = threading.Event()

    def run(self) -> None:
        """Answer requests until `close` is called from another thread or the process is interrupted."""
        self._running = True
        try:
            self._waitress.run()
        finally:
            self._running = False
            self._waitress.task_dispatcher.shutdown()
            self._close_all()
            self._ended.set()

    def close(self) -> None:
        """Stop answering, give the port back and end the workers; from any thread, and as often as one likes."""
        if self._workers is not None:
            self._workers.close()
        self._recipes.close()
        if not self._running:
            self._close_all()
            return
        # Connections belong to the thread that runs them; the trigger wakes it up to close them itself.
        self._waitress.trigger.pull_trigger(self._close_all)
        self._ended.wait(_CLOSE_LIMIT_S)

    def _close_all(self) -> None:
        wasyncore.close_all(self._connections, ignore_all=True)


def bind(
    root: Path,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    token: str | None = None,
    read_only: bool = False,
    embedded: bool = False,
    trust: Sequence[Path] = (),
) -> Server:
    """Take a port for the dashboard of `root`: `port`, or the next that is free; any free one when it is 0.

    On an address that other machines can reach a token is made up when none is given.

    Raises:
        OSError: if no port is free, or the address is none of this machine's.
    """
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(32)
    app = create_server(root, host=host, token=token, read_only=read_only, embedded=embedded, trust=trust)
    server = Server(app, _listen(host, port), host=host, token=token)
    if port not in (0, server.port):
        logger.warning("port %d is in use: the dashboard is on port %d", port, server.port)
    return server


def serve(root: Path, *, embedded: bool = False, **options: Any) -> None:
    """Show the runs in `root` until interrupted; prints the address first. Options as for `bind`.

    An embedded server ends with its standard input too, which is closed when the process that holds it ends.
    """
    server = bind(root, embedded=embedded, **options)
    print(f"Landscope shows {Path(root).absolute()} on {server.url}", flush=True)
    if embedded:
        threading.Thread(target=_close_with, args=(server, sys.stdin), name="landscope-stdin", daemon=True).start()
    try:
        server.run()
    finally:
        server.close()


def _close_with(server: Server, stream: TextIO) -> None:
    stream.read()
    server.close()


def _listen(host: str, port: int) -> socket.socket:
    """A socket bound to the first free port from `port` on."""
    family, _, _, _, (address, *_) = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    for candidate in range(port, min(port + _PORTS_TRIED, 65536)) if port else (0,):
        listener = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere this would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, candidate))
            listener.listen()
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return listener
    raise OSError(
        errno.EADDRINUSE, f"port {port} on {host} and the next {_PORTS_TRIED - 1} are all in use; name another"
    )


def _url(host: str, port: int, token: str | None) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
