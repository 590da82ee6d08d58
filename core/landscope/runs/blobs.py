"""Large frames, one file each, named by the SHA-256 of what is in it."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

__all__ = ["BLOB_THRESHOLD", "read_blob", "remove_blob", "write_blob"]

BLOB_THRESHOLD = 1024 * 1024  # bytes; SQLite serves smaller values faster than a file system does
_SHA = re.compile(r"[0-9a-f]{64}")


def write_blob(folder: Path, data: bytes) -> str:
    """Store `data` under `folder`, whole or not at all, and return its SHA-256.

    The file is complete on the disk before it has its name, so a name in a run always leads to its bytes.

    Raises:
        OSError: if it cannot be written.
    """
    sha = hashlib.sha256(data).hexdigest()
    path = folder / f"{sha}.safetensors"
    if path.exists():
        return sha
    temporary = folder / f".{sha}.{os.getpid()}"
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return sha


def read_blob(folder: Path, sha: str) -> bytes:
    """The bytes stored under `sha`.

    Raises:
        FileNotFoundError: if they are not there.
        ValueError: if `sha` is no SHA-256, or the file's content has another one.
    """
    if not _SHA.fullmatch(sha):
        raise ValueError(f"blob must be named by a SHA-256 in hexadecimal, got {sha!r}")
    path = folder / f"{sha}.safetensors"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"blob {sha} is missing from the run: its folder was copied incompletely") from None
    if hashlib.sha256(data).hexdigest() != sha:
        raise ValueError(f"blob {sha} is damaged: its content has another SHA-256")
    return data


def remove_blob(folder: Path, sha: str) -> None:
    """Removes the file of a blob that no frame refers to any more; one that is gone already is no matter."""
    (folder / f"{sha}.safetensors").unlink(missing_ok=True)
