"""Measurements with fewer digits than they were made with, for what is sent or shipped."""

from __future__ import annotations

import json
import struct

import numpy as np
from safetensors.numpy import load, save

__all__ = ["in_single_precision"]


def in_single_precision(data: bytes) -> bytes:
    """The same safetensors file with its double-precision arrays in single precision: half of the bytes.

    Arrays with a number beyond single precision's range stay as they are, since that number would become infinite.

    Args:
        data: A measurement's file, as a run keeps it.
    """
    (length,) = struct.unpack("<Q", data[:8])
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    return save({name: _single(array) for name, array in load(data).items()}, metadata=metadata)


def _single(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.float64:
        return array
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    return single if (np.isfinite(single) == np.isfinite(array)).all() else array
