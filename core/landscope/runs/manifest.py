"""The immutable description of a run: what was trained, where, with what."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import re
import sys
import unicodedata
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["MANIFEST", "Manifest", "Parent", "describe", "plain", "read_manifest", "slug", "write_manifest"]

MANIFEST = "run.json"
_LIMIT = 4 * 1024 * 1024  # bytes; a longer manifest is not one of ours
_PACKAGES = ("landscope", "numpy", "torch")


@dataclass(frozen=True)
class Parent:
    """Where a branch comes from.

    Attributes:
        run: Id of the run it goes on from, in the same folder of runs.
        step: From which step.
    """

    run: str
    step: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What `run.json` holds.

    Attributes:
        schema: Version of the store's layout.
        id: The folder's name.
        name: The name the user gave, as given.
        recipe: The built-in experiment it came from; None for a user's own loop.
        created: ISO 8601 time in UTC.
        config: Settings of the experiment.
        versions: Versions of Python and of the packages that matter.
        host: Name of the trainer's machine.
        pid: The trainer's process number.
        panels: What the page should show, for recipes that have a say in it.
        parent: Where it goes on from, if it is a branch of another run.
        program: The file of the user's program that trained it; empty where that is unknown, and for recipes.
        reference: Whether it is a recipe's recorded reference, whose `host` says in words on what it ran.
    """

    schema: int
    id: str
    name: str
    recipe: str | None
    created: str
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    host: str = ""
    pid: int = 0
    panels: dict[str, Any] = field(default_factory=dict)
    parent: Parent | None = None
    program: str = ""
    reference: bool = False


def describe(
    name: str,
    *,
    schema: int,
    recipe: str | None,
    config: dict[str, Any] | None,
    panels: dict[str, Any] | None,
    parent: Parent | None = None,
) -> Manifest:
    """The manifest of a run that starts now, in this process."""
    now = datetime.now(UTC)
    return Manifest(
        schema=schema,
        id=f"{now:%Y%m%d-%H%M%S}-{slug(name)}",
        name=name,
        recipe=recipe,
        created=now.isoformat(timespec="milliseconds"),
        config=plain(config or {}),
        versions=_versions(),
        host=platform.node(),
        pid=os.getpid(),
        panels=plain(panels or {}),
        parent=parent,
        program="" if recipe else _program(),
    )


def slug(name: str) -> str:
    """A name as part of a folder's name: lower case, of a-z, 0-9, dot, underscore and hyphen, at most 60 long."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"(?:[^a-z0-9._]|\.{2,})+", "-", ascii_name)[:60].strip("-._") or "run"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `run.json`, whole or not at all."""
    temporary = folder / f".{MANIFEST}"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, indent=2, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """Read `run.json`. The run's id is its folder's name, so that a copied or renamed folder is found by it.

    Raises:
        FileNotFoundError: if the folder holds no run.
        ValueError: if the file is not a manifest.
    """
    path = folder / MANIFEST
    try:
        with path.open("rb") as file:
            text = file.read(_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"no run in {folder}: {MANIFEST} is missing") from None
    if len(text) > _LIMIT:
        raise ValueError(f"{path} must be at most {_LIMIT} bytes long, got more: it is not a run's manifest")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(values).__name__}")
    known = {spec.name: values[spec.name] for spec in fields(Manifest) if spec.name in values}
    known["id"] = folder.name
    expected: dict[str, Any] = {
        "schema": int,
        "name": str,
        "recipe": str | None,
        "created": str,
        "pid": int,
        "host": str,
    }
    expected |= {
        "config": dict,
        "versions": dict,
        "panels": dict,
        "parent": dict | None,
        "program": str,
        "reference": bool,
    }
    for key, kind in expected.items():
        if key in known and not isinstance(known[key], kind):
            raise ValueError(f"{path}: {key!r} must be {kind}, got {type(known[key]).__name__}")
    missing = {"schema", "name", "recipe", "created"} - set(known)
    if missing:
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}")
    if known.get("parent") is not None:
        known["parent"] = _parent(path, known["parent"])
    return Manifest(**known)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: arrays as lists, non-finite numbers and unknown objects as their text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _parent(path: Path, values: dict[str, Any]) -> Parent:
    run, step = values.get("run"), values.get("step")
    if not isinstance(run, str) or not isinstance(step, int):
        raise ValueError(f"{path}: 'parent' must have a run's id and a step, got {values}")
    return Parent(run, step)


def _program() -> str:
    path = Path(sys.argv[0] if sys.argv else "").absolute()
    return str(path) if path.suffix == ".py" and path.is_file() else ""


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
