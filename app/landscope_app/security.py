"""Who may talk to the server, and what its pages may do.

A page on any web site can make the visitor's browser send requests to a server on their own machine. Hence: the Host
header must be a name of ours (a hostile name that resolves to 127.0.0.1 is not), what changes something must come
from our own pages, and it must be JSON, which a form on another site cannot send. On an address that others can
reach a token is needed besides.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import dash
from flask import Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

__all__ = ["MAX_BODY_BYTES", "is_loopback", "secure"]

MAX_BODY_BYTES = 1024 * 1024
# Where notebooks come from: a server on this machine, or an editor.
_LOCAL_PAGES = "http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:* vscode-webview:"
TOKEN_PARAMETER = "token"
HEALTH = "/health"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    """Whether a bind address is reachable from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def secure(app: dash.Dash, *, host: str, token: str | None, embedded: bool = False) -> None:
    """Put the checks in front of every request to `app`, and the browser's restrictions on every answer.

    Args:
        app: The Dash application, with its Flask server.
        host: The address the server listens on.
        token: What clients must present; None for no token, on loopback addresses only.
        embedded: Whether other pages of this machine, such as notebooks, may show the app in a frame.

    Raises:
        ValueError: if others can reach `host` and there is no token.
    """
    if not token and not is_loopback(host):
        raise ValueError(f"a server on {host} can be reached from other machines, so it needs a token, got none")
    # Once, as asking for the full name may ask a name server.
    names = frozenset() if is_loopback(host) else frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})
    server = app.server
    server.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    @server.before_request
    def check() -> AnyResponse | None:
        _check_host(host, names)
        _check_origin()
        _check_body()
        return _check_token(token) if token and request.path != HEALTH else None

    policy: list[str] = []

    @server.after_request
    def restrict(response: Response) -> Response:
        if not policy:  # at the first request, when all callbacks are there
            policy.append(_content_policy(app.csp_hashes(), _LOCAL_PAGES if embedded else ""))
        response.headers["Content-Security-Policy"] = policy[0]
        if not embedded:  # it knows no other pages than all or our own
            response.headers["X-Frame-Options"] = "SAMEORIGIN"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response


def _content_policy(script_hashes: Sequence[str], framed_by: str = "") -> str:
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {' '.join(script_hashes)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            f"frame-ancestors 'self' {framed_by}".rstrip(),
        )
    )


def _check_host(bound: str, names: frozenset[str]) -> None:
    """A numeric address cannot be a rebound name, so any will do where others may come; names must be ours."""
    try:
        name = (urlsplit(f"//{request.host}").hostname or "").lower().rstrip(".")
    except ValueError:
        abort(400, description=f"malformed Host header: {request.host!r}")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        known = name == "localhost" or name.endswith(".localhost") or name == bound.lower() or name in names
    else:
        known = address.is_loopback or not is_loopback(bound)
    if not known:
        abort(403, description=f"this server does not answer to the name {name!r}: open it by its address")


def _check_origin() -> None:
    if request.method in _SAFE_METHODS:
        return
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2].lower() != request.host.lower():
        abort(403, description=f"requests from pages of {origin!r} are refused")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(403, description="requests from pages of other sites are refused")


def _check_body() -> None:
    if (request.content_length or 0) > MAX_BODY_BYTES:
        abort(413, description=f"the request must be at most {MAX_BODY_BYTES} bytes long, got {request.content_length}")
    if request.method not in _SAFE_METHODS and not request.is_json:
        abort(415, description=f"content type must be application/json, got {request.mimetype!r}")


def _check_token(token: str) -> AnyResponse | None:
    """Let in who has the token; who brings it in the address gets it as a cookie and an address without it."""
    cookie = _cookie_name(token)
    given = request.args.get(TOKEN_PARAMETER)
    if given is not None and request.method in _SAFE_METHODS and _same(given, token):
        rest = [(key, value) for key, value in request.args.items(multi=True) if key != TOKEN_PARAMETER]
        # A single leading slash: "//name" would be another site's address.
        path = "/" + request.path.lstrip("/\\")
        response = redirect(f"{path}?{urlencode(rest)}" if rest else path)
        response.set_cookie(cookie, token, httponly=True, samesite="Strict", secure=request.is_secure)
        response.cache_control.no_store = True
        return response
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    known = _same(request.cookies.get(cookie, ""), token)
    if not known and not (scheme.lower() == "bearer" and _same(bearer.strip(), token)):
        abort(401, description="this server needs its token: open the address it printed when it started")
    return None


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _cookie_name(token: str) -> str:
    """Cookies do not distinguish ports: servers side by side on one machine need names of their own."""
    return f"landscope-{hashlib.sha256(token.encode()).hexdigest()[:8]}"
