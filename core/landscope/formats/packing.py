"""Figures as compressed text: the frames of one picture differ in a few numbers, and the rest is written once."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = ["REFERENCE", "packed", "unpacked"]

REFERENCE = "$"
"""The key of what stands for an entry of the pool: {"$": its place}."""

_SHORT = 48  # characters of JSON up to which something is written where it stands
_LARGE = 512  # numbers above which an array is drawn, not read: single precision is enough


def packed(frames: Iterable[Mapping[str, Any]]) -> str:
    """Frames as base64 of gzip of JSON, which no name or text inside can end early.

    Every part of more than a few characters is put into a pool once and referred to from then on. Large arrays of
    numbers are rounded to single precision.

    Args:
        frames: Whatever JSON can hold, with arrays as plotly writes them ({"dtype": "f8", "bdata": base64}).
    """
    pool: dict[str, int] = {}
    kept = [{key: _put(value, pool) for key, value in frame.items()} for frame in frames]
    told = json.dumps(kept, separators=(",", ":"))
    text = f'{{"frames":{told},"pool":[{",".join(pool)}]}}'
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def unpacked(text: str) -> list[Any]:
    """The frames that `packed` wrote."""
    found = json.loads(gzip.decompress(base64.b64decode(text)))
    frames: list[Any] = _whole(found["frames"], found["pool"])
    return frames


def _put(node: Any, pool: dict[str, int]) -> Any:
    """What stands for a node: itself where it is short, else a reference to its place in the pool."""
    if isinstance(node, Mapping):
        kept: Any = {key: _put(value, pool) for key, value in _lean(node).items()}
    elif isinstance(node, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in node):
        kept = [_put(value, pool) for value in node]
    else:
        kept = node
    text = json.dumps(kept, separators=(",", ":"))
    if len(text) <= _SHORT:
        return kept
    return {REFERENCE: pool.setdefault(text, len(pool))}


def _lean(node: Mapping[str, Any]) -> Mapping[str, Any]:
    if node.get("dtype") != "f8" or not isinstance(node.get("bdata"), str):
        return node
    numbers = np.frombuffer(base64.b64decode(node["bdata"]), "<f8")
    if len(numbers) <= _LARGE:
        return node
    with np.errstate(over="ignore"):
        single = numbers.astype("<f4")
    if not np.array_equal(np.isfinite(single), np.isfinite(numbers)):  # beyond what single precision holds
        return node
    return {**node, "dtype": "f4", "bdata": base64.b64encode(single.tobytes()).decode()}


def _whole(node: Any, pool: list[Any]) -> Any:
    if isinstance(node, list):
        return [_whole(item, pool) for item in node]
    if not isinstance(node, dict):
        return node
    if REFERENCE in node:
        return _whole(pool[node[REFERENCE]], pool)
    return {key: _whole(value, pool) for key, value in node.items()}
