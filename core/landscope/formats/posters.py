"""Maps as images that are a poster's size: a colour for each point, without axes, written by nothing but zlib."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from landscope.figures.trainability import trainability_colours
from landscope.measurements import TrainabilityMap

__all__ = ["encode_png", "to_poster"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def to_poster(measured: TrainabilityMap, *, pixels: int = 4096) -> bytes:
    """A trainability map as a square PNG, each point a rectangle of one colour: blue converges, orange diverges.

    Args:
        measured: The map.
        pixels: Side of the image.

    Raises:
        ValueError: if pixels is not positive.
    """
    if pixels < 1:
        raise ValueError(f"pixels must be at least 1, got {pixels}")
    colours = trainability_colours(measured)
    rows, columns = (np.arange(pixels) * side // pixels for side in colours.shape[:2])
    return encode_png(colours[rows[:, None], columns])


def encode_png(colours: NDArray[np.uint8]) -> bytes:
    """An image of (H, W, 3) red, green and blue as PNG (ISO/IEC 15948): rows without a filter, deflated.

    Raises:
        ValueError: if it is of another shape or type.
    """
    if colours.dtype != np.uint8 or colours.ndim != 3 or colours.shape[2] != 3:
        raise ValueError(f"colours must be (H, W, 3) bytes, got {colours.shape} of {colours.dtype}")
    height, width, _ = colours.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), colours.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
