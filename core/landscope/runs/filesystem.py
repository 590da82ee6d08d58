"""Which SQLite journal a folder can have: write-ahead logs need memory shared by all readers, so a local disk."""

from __future__ import annotations

import logging
import re
from pathlib import Path, PurePosixPath

__all__ = ["filesystem_type", "is_network", "journal_mode"]

logger = logging.getLogger(__name__)

_MOUNTS = Path("/proc/mounts")
# fmt: off
_NETWORK = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "fakeowner", "fhgfs", "gfs2", "glusterfs", "gpfs", "lustre",
    "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs", "pvfs2", "smb", "smb3", "smbfs", "vboxsf",
    "virtiofs", "vmhgfs", "wekafs",
})
# fmt: on


def filesystem_type(path: Path, mounts: str) -> str:
    """The type of the file system that holds `path`, from the text of /proc/mounts; empty when no mount holds it.

    The longest mount point that is an ancestor counts, and of equal ones the last, which lies on top.
    """
    target = PurePosixPath(path.resolve())
    best, found = -1, ""
    for line in mounts.splitlines():
        parts = line.split()
        if len(parts) < 3:
            continue
        point = PurePosixPath(_unescape(parts[1]))
        if target.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), parts[2]
    return found


def is_network(kind: str) -> bool:
    """Whether a file system type is shared between machines, or may be: anything in user space counts."""
    return kind in _NETWORK or kind.startswith("fuse.")


def journal_mode(path: Path, mounts: str | None = None, *, warn: bool = True) -> str:
    """The journal mode for a run in `path`: "WAL", or "TRUNCATE" with a warning on a network file system.

    Args:
        path: The run's folder, or the one it will be in.
        mounts: Text of /proc/mounts; read from the system when None.
        warn: Whether to warn; not where somebody has asked, and is told otherwise.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(errors="surrogateescape")
        except OSError:  # no such file outside Linux: a laptop's own disk is by far the likeliest
            return "WAL"
    kind = filesystem_type(path, mounts)
    if not is_network(kind):
        return "WAL"
    if warn:
        logger.warning(
            "%s is on a network file system (%s): recording without a write-ahead log, so pages may lag behind; "
            "put runs on a local disk to avoid this",
            path,
            kind,
        )
    return "TRUNCATE"


def _unescape(point: str) -> str:
    """A mount point as a path: blanks and the like are written there in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)
