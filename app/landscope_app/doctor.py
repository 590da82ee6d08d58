"""`landscope doctor`: what works here, what would not, and what to do about it.

It imports nothing but the standard library before it has looked, so that it can say what is missing. No program of the
user's is run.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from landscope_app.defaults import DEFAULT_HOST, DEFAULT_PORT, has_display

__all__ = ["Finding", "examine"]

State = Literal["ok", "note", "broken"]

_PATIENCE = 120.0  # seconds; importing torch from a network disk takes its time
_ROOM = 2**30  # bytes on the disk below which a long run may not fit
_SPARE = ("umap-learn", "pyhessian")  # required, but only a view and a cross-check are lost without them
OPTIONAL = {
    "frameworks": ("accelerate", "lightning", "pytorch-ignite", "transformers"),
    "formats": ("h5py", "trimesh", "xarray"),
    "topology": ("gudhi",),
}
"""The packages that come with `pip install 'landscope[...]'`, by what is in the brackets."""
IMAGES = "kaleido"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: "ok", "note" for what something else makes up for, or "broken" for what Landscope cannot do without.
        text: What was found.
        remedy: What to do about it; empty where there is nothing to do.
    """

    state: State
    text: str
    remedy: str = ""


def examine(runs: Path) -> int:
    """Looks at everything, prints each finding as it comes, and returns 1 if something is broken, else 0.

    Args:
        runs: The folder of runs.
    """
    broken = 0
    for finding in _findings(runs):
        broken += finding.state == "broken"
        print(f"{finding.state:<8}{finding.text}", flush=True)
        if finding.remedy:
            print(f"{'':<8}-> {finding.remedy}", flush=True)
    print(f"\n{'Everything that is needed works.' if not broken else f'{broken} broken: see above.'}")
    return 1 if broken else 0


def _findings(runs: Path) -> Iterator[Finding]:
    yield from packages()
    yield from torch()
    yield store(runs)
    yield port(DEFAULT_PORT)
    yield browser()
    yield optional()


def packages() -> Iterator[Finding]:
    """Python and the required packages, against what the installed Landscope says that it needs."""
    try:
        ours = importlib.metadata.metadata("landscope")
    except importlib.metadata.PackageNotFoundError:
        yield Finding("note", "Landscope is not installed, so versions cannot be compared", "pip install -e .")
        return
    try:
        from packaging.requirements import Requirement
        from packaging.specifiers import SpecifierSet
    except ImportError:
        yield Finding("broken", "packaging is missing, which plotly needs", "pip install packaging")
        return
    wanted = SpecifierSet(ours["Requires-Python"])
    if platform.python_version() in wanted:
        yield Finding("ok", f"Python {platform.python_version()}")
    else:
        yield Finding("broken", f"Python {platform.python_version()}, but {wanted} is needed", "use another Python")
    fine = []
    for text in ours.get_all("Requires-Dist") or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name, needed = requirement.name, str(requirement.specifier)
        state: State = "note" if name in _SPARE else "broken"
        version = _version(name)
        if version is None:
            yield Finding(state, f"{name} is missing", f"pip install '{name}{needed}'")
        elif not requirement.specifier.contains(version, prereleases=True):
            yield Finding(state, f"{name} is {version}, but {needed} is needed", f"pip install '{name}{needed}'")
        else:
            fine.append(f"{name} {version}")
    yield Finding("ok", f"packages: {', '.join(sorted(fine))}")


def torch() -> Iterator[Finding]:
    """Torch's build, the GPUs that it sees, and how quick it is, found out in a process of its own."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "landscope.checkup"], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
        found = json.loads(done.stdout) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError) as failure:
        yield Finding("broken", f"torch could not be tried: {failure}", "reinstall torch: https://pytorch.org")
        return
    if found is None:
        last = (done.stderr.strip().splitlines() or [f"its process ended with status {done.returncode}"])[-1]
        yield Finding("broken", f"torch does not compute: {last}", "reinstall torch: https://pytorch.org")
        return
    build = f"torch {found['torch']} is built for {found['built_for']}"
    if found["devices"]:
        yield Finding("ok", f"{build} and sees {', '.join(found['devices'])}")
    elif not _has_nvidia():
        yield Finding("ok", f"{build}; there is no NVIDIA driver here, so it computes on the CPU")
    elif found["built_for"] == "the CPU alone":
        yield Finding("note", f"{build}, but there is an NVIDIA driver", "install torch's CUDA build, or `make setup`")
    else:
        yield Finding("note", f"{build}, but sees no GPU", "compare nvidia-smi's CUDA version with torch's")
    gradient, product = (1000 * found[name] for name in ("gradient", "product"))
    where = f"{found['device']}, {found['threads']} threads" if found["device"] == "cpu" else found["device"]
    yield Finding("ok", f"a small gradient takes {gradient:.2g} ms, a Hessian product {product:.2g} ms ({where})")


def store(runs: Path) -> Finding:
    """Whether runs can be recorded in a folder, and by which journal; nothing is left there."""
    folder = runs.absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    named = f"the folder of runs, {folder}," + ("" if there == folder else f" will be made in {there}, which")
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".landscope-doctor-") as scratch:
            mode = _journal(Path(scratch))
    except ImportError as failure:
        return Finding("broken", f"{named} cannot be tried: {failure}", "install what is missing")
    except (OSError, sqlite3.Error) as failure:
        return Finding("broken", f"{named} cannot be written: {failure}", "name another: --runs, or $LANDSCOPE_RUNS")
    free = shutil.disk_usage(there).free
    if free < _ROOM:
        return Finding("note", f"{named} has {free / 2**20:.0f} MB left on its disk", "free some, or name another")
    if mode != "WAL":
        remedy = "put runs on a local disk: --runs, or $LANDSCOPE_RUNS"
        return Finding("note", f"{named} is on a network disk: recorded without a write-ahead log", remedy)
    return Finding("ok", f"{named} can be written, with a write-ahead log; {free / 2**30:.0f} GB are free")


def _journal(folder: Path) -> str:
    """The journal mode that runs in a folder get, tried out."""
    from landscope.runs.filesystem import journal_mode

    mode = journal_mode(folder, warn=False)
    with closing(sqlite3.connect(folder / "try.sqlite")) as database:
        got = database.execute(f"PRAGMA journal_mode={mode}").fetchone()[0]
        database.execute("CREATE TABLE tried (x)")
        database.commit()
    if got.upper() != mode:
        raise sqlite3.OperationalError(f"its journal is {got}, where {mode} was asked for")
    return mode


def port(wanted: int) -> Finding:
    """Whether the page's usual port is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((DEFAULT_HOST, wanted))
        except OSError as failure:
            return Finding(
                "note", f"port {wanted} is taken ({failure.strerror})", "the next free one is used, or --port"
            )
    return Finding("ok", f"port {wanted} is free")


def browser() -> Finding:
    """Whether the page can be opened here."""
    if has_display():
        return Finding("ok", "there is a display: the page is opened in its browser")
    remedy = f"open the printed address yourself; from another machine: ssh -L {DEFAULT_PORT}:localhost:{DEFAULT_PORT}"
    return Finding("note", "there is no display: the page is not opened by itself", remedy)


def optional() -> Finding:
    """The packages that some things need."""
    names = sorted([IMAGES, *(name for extra in OPTIONAL.values() for name in extra)])
    there = [f"{name} {version}" for name in names if (version := _version(name))]
    missing = [name for name in names if not _version(name)]
    text = f"optional packages: {', '.join(there) or 'none'}"
    if not missing:
        return Finding("ok", text)
    extras = [extra for extra, needed in OPTIONAL.items() if set(needed) & set(missing)]
    wanted = [*([f"'landscope[{','.join(extras)}]'"] if extras else []), *([IMAGES] if IMAGES in missing else [])]
    return Finding("note", f"{text}; not here: {', '.join(missing)}", f"if needed: pip install {' '.join(wanted)}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _has_nvidia() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
