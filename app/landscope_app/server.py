"""The dashboard's server: a Dash application behind waitress. It holds no state and never imports torch."""

from __future__ import annotations

import errno
import importlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dash
import waitress

from landscope_app.api import READ_ONLY, ROOT, api
from landscope_app.compression import compress
from landscope_app.security import HEALTH, MAX_BODY_BYTES, is_loopback, secure

__all__ = ["Server", "assets_folder", "bind", "create_server", "serve"]

logger = logging.getLogger(__name__)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8050
_PORTS_TRIED = 50
_THREADS = 8


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
    build_page: Callable[[dash.Dash], None] | None = None,
) -> dash.Dash:
    """The application that shows the runs in `root`; its Flask server is `.server`.

    Args:
        root: The folder of runs; it need not exist yet.
        host: The address it will listen on, which decides who may talk to it.
        token: What clients must present; None for no token, on loopback addresses only.
        read_only: Refuse commands to trainers.
        build_page: Sets the layout and callbacks; the dashboard's page when None.

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
    compress(app.server)
    secure(app, host=host, token=token)
    app.server.register_blueprint(api)
    (build_page or importlib.import_module("landscope_app.page").build_page)(app)
    return app


@dataclass(frozen=True)
class Server:
    """A server that holds its port and waits to be run.

    Attributes:
        url: Where it is, with the token if there is one: open this in a browser.
        port: Its port.
    """

    url: str
    port: int
    _waitress: Any

    def run(self) -> None:
        """Answer requests until `close` is called from another thread or the process is interrupted."""
        self._waitress.run()

    def close(self) -> None:
        """Stop answering and give the port back."""
        self._waitress.close()


def bind(
    root: Path, *, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT, token: str | None = None, read_only: bool = False
) -> Server:
    """Take a port for the dashboard of `root`: `port`, or the next that is free; any free one when it is 0.

    On an address that other machines can reach a token is made up when none is given.

    Raises:
        OSError: if no port is free, or the address is none of this machine's.
    """
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(32)
    app = create_server(root, host=host, token=token, read_only=read_only)
    found = _listen(app, host, port)
    number = int(found.effective_listen[0][1] if hasattr(found, "effective_listen") else found.effective_port)
    if port not in (0, number):
        logger.warning("port %d is in use: the dashboard is on port %d", port, number)
    return Server(_url(host, number, token), number, found)


def serve(
    root: Path, *, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT, token: str | None = None, read_only: bool = False
) -> None:
    """Show the runs in `root` until interrupted; prints the address first. Arguments as for `bind`."""
    server = bind(root, host=host, port=port, token=token, read_only=read_only)
    if port not in (0, server.port):
        print(f"Port {port} is in use, taking {server.port}.", flush=True)
    print(f"Landscope shows {Path(root).absolute()} on {server.url}", flush=True)
    try:
        server.run()
    finally:
        server.close()


def _listen(app: dash.Dash, host: str, port: int) -> Any:
    for candidate in range(port, min(port + _PORTS_TRIED, 65536)) if port else (0,):
        try:
            return waitress.create_server(
                app.server,
                host=host,
                port=candidate,
                threads=_THREADS,
                max_request_body_size=MAX_BODY_BYTES,
                ident=None,
                clear_untrusted_proxy_headers=True,
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(
        errno.EADDRINUSE, f"port {port} on {host} and the next {_PORTS_TRIED - 1} are all in use; name another"
    )


def _url(host: str, port: int, token: str | None) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
