"""Gzip for text and frames that are long enough to gain by it."""

from __future__ import annotations

import gzip
from functools import lru_cache

from flask import Flask, Response, request

__all__ = ["compress"]

_MIN_BYTES = 1024
_TYPES = frozenset(
    {
        "application/json",
        "application/javascript",
        "application/octet-stream",
        "text/javascript",
        "text/css",
        "text/html",
        "image/svg+xml",
    }
)


def compress(server: Flask) -> None:
    """Compress answers of `server` for clients that accept it; those of static files once and for all."""

    @server.after_request
    def shorten(response: Response) -> Response:
        if (
            response.status_code != 200
            or response.mimetype not in _TYPES
            or "Content-Encoding" in response.headers
            or "Content-Disposition" in response.headers  # files to keep, which are large, and handed on in pieces
            or request.method == "HEAD"
        ):
            return response
        response.vary.add("Accept-Encoding")
        if not request.accept_encodings["gzip"]:
            return response
        response.direct_passthrough = False
        body = response.get_data()
        if len(body) < _MIN_BYTES:
            return response
        made = response.mimetype in ("application/json", "application/octet-stream")
        static = not made and request.method == "GET"
        response.set_data(_compressed(body) if static else gzip.compress(body, compresslevel=1, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        tag, _ = response.get_etag()
        if tag:
            response.set_etag(tag, weak=True)  # another representation of the same thing
        return response


@lru_cache(maxsize=512)  # more than there are files: one too few, and each would push out the next to be asked for
def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=6, mtime=0)
