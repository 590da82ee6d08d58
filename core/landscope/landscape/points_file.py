"""Finished points of a slice on disk, so that an interrupted slice goes on where it was, even after kill -9."""

from __future__ import annotations

import json
import logging
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

__all__ = ["PointsFile"]

logger = logging.getLogger(__name__)

_MAGIC = b"landscope points 1\n"


class PointsFile:
    """A file of records (number of the point, its values), appended to as points are finished.

    The file's name is a digest of everything that the values depend on, so that no other slice's points are ever taken.
    Each record carries its checksum; what a kill tore off at the end is cut away when the file is opened again.

    Args:
        folder: Where; made if it is not there.
        key: Digest of what is evaluated and where.
        names: The values of a record, in order.
        about: Numbers that must agree with those the file was begun with, to a relative 1e-4: what the key cannot
            tell of user functions.
    """

    def __init__(self, folder: Path, key: str, names: Sequence[str], about: Mapping[str, float]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{key}.points"
        self.names = tuple(names)
        self._record = struct.Struct(f"<q{len(self.names)}d")
        header = json.dumps({"names": self.names, "about": dict(about)}).encode() + b"\n"
        self.finished = self._read(about)
        if self.finished is None:
            self.finished = {}
            self.path.write_bytes(_MAGIC + header)
        self._file: BinaryIO = self.path.open("ab")

    def add(self, numbers: Sequence[int], values: Mapping[str, np.ndarray]) -> None:
        """Writes finished points; they are in the operating system's hands when this returns."""
        rows = np.stack([np.asarray(values[name], dtype=np.float64) for name in self.names], axis=1)
        records = (self._record.pack(number, *row) for number, row in zip(numbers, rows.tolist(), strict=True))
        self._file.write(b"".join(record + struct.pack("<I", zlib.crc32(record)) for record in records))
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _read(self, about: Mapping[str, float]) -> dict[int, tuple[float, ...]] | None:
        """What is finished, the file cut back to it; None where it must be begun anew."""
        if not self.path.exists():
            return None
        data = self.path.read_bytes()
        end = data.find(b"\n", len(_MAGIC)) + 1
        try:
            header = json.loads(data[len(_MAGIC) : end]) if data.startswith(_MAGIC) and end else {}
        except ValueError:
            header = {}
        if header.get("names") != list(self.names) or not _agree(header.get("about", {}), about):
            logger.warning("%s was begun for other losses or metrics; its points are not taken", self.path)
            return None
        finished: dict[int, tuple[float, ...]] = {}
        size = self._record.size + 4
        while end + size <= len(data):
            record = data[end : end + self._record.size]
            if struct.unpack("<I", data[end + self._record.size : end + size])[0] != zlib.crc32(record):
                break
            number, *values = self._record.unpack(record)
            finished[number] = tuple(values)
            end += size
        if end < len(data):
            with self.path.open("r+b") as file:
                file.truncate(end)
        return finished


def _agree(kept: Mapping[str, float], now: Mapping[str, float]) -> bool:
    pairs = [(kept.get(name, np.nan), value) for name, value in now.items()]
    return kept.keys() == now.keys() and all(
        bool(np.isclose(a, b, rtol=1e-4, atol=1e-12, equal_nan=True)) for a, b in pairs
    )
