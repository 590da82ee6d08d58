"""HDF5 files from anywhere: what they say is checked before it is believed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landscope.formats.optional import imported

__all__ = ["ForeignFile", "opened"]

_Array = NDArray[np.float64]

_EXPANSION = 64  # times a file's length that its arrays may take in memory: a small file cannot fill it
_NAMES = 20  # named in an error


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[ForeignFile]:
    """An HDF5 file to read from.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: for whatever HDF5 finds wrong with it.
        ModuleNotFoundError: if h5py is not installed.
    """
    library = imported("h5py", "an .h5 file")
    length = Path(path).stat().st_size
    try:
        with library.File(path, "r", locking=False) as file:
            yield ForeignFile(library, file, str(path), length)
    except (OSError, RuntimeError, KeyError, TypeError, UnicodeError) as failure:
        raise ValueError(f"{path} cannot be read as HDF5: {failure}") from failure


class ForeignFile:
    """What can be asked of a file: numbers and short texts that are in it, no more than its length allows for.

    Nothing outside the file is read: external links, external storage and virtual datasets are refused.

    Attributes:
        path: Where it is.
    """

    def __init__(self, library: Any, file: Any, path: str, length: int) -> None:
        self.path = path
        self._library, self._file, self._length = library, file, length
        self._left = max(_EXPANSION * length, 2**20)

    def __contains__(self, name: str) -> bool:
        return name in self._file

    def vector(self, name: str) -> _Array:
        """A dataset of finite numbers in one dimension.

        Raises:
            ValueError: if it is not there, or something else.
        """
        if name not in self:
            there = ", ".join(list(self._file)[:_NAMES]) or "nothing"
            raise ValueError(f"{self.path} has no {name}; it has {there}")
        found = self._numbers(self._file, name)
        if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
            raise ValueError(f"{self.path}: {name} must be finite numbers in one dimension, got shape {found.shape}")
        return found

    def arrays(self, points: int) -> dict[str, _Array]:
        """The datasets that have `points` numbers, flat, by name."""
        found = {}
        for name in self._file:
            dataset = self._dataset(self._file, name)
            if dataset is not None and dataset.dtype.kind in "fiu" and dataset.size == points:
                found[name] = self._numbers(self._file, name).ravel()
        return found

    def text(self, name: str) -> str:
        """A short text; empty where there is none."""
        dataset = self._dataset(self._file, name) if name in self else None
        if dataset is None or dataset.shape != () or self._library.check_string_dtype(dataset.dtype) is None:
            return ""
        self._afford(dataset.dtype.itemsize, name)
        return str(dataset.asstr(errors="replace")[()])

    def tensors(self, name: str) -> list[_Array]:
        """The datasets "0", "1", ... of a group, in that order.

        Raises:
            ValueError: if there is no such group, or something else is in it.
        """
        self._confine(self._file, name)
        group = self._file.get(name)
        if not isinstance(group, self._library.Group) or not len(group):
            raise ValueError(f"{self.path} must have a group {name} of tensors")
        indices = [str(index) for index in range(len(group))]
        for index in indices:
            if index not in group:
                raise ValueError(f"{self.path}: {name} must have the tensors 0 to {indices[-1]}, {index} is not there")
        return [self._numbers(group, index) for index in indices]

    def _numbers(self, group: Any, name: str) -> _Array:
        dataset = self._dataset(group, name)
        if dataset is None or dataset.dtype.kind not in "fiu" or dataset.size is None:
            raise ValueError(f"{self.path}: {name} must be a dataset of real numbers")
        self._afford(8 * dataset.size, name)
        return np.asarray(dataset[()], dtype=np.float64)

    def _dataset(self, group: Any, name: str) -> Any:
        """The dataset of that name in this very file; None where it is something else."""
        self._confine(group, name)
        found = group.get(name)
        if not isinstance(found, self._library.Dataset):
            return None
        if found.external or found.is_virtual:
            raise ValueError(f"{self.path}: {name} is kept in another file, which is not read; copy it into this one")
        return found

    def _confine(self, group: Any, name: str) -> None:
        if isinstance(group.get(name, getlink=True), self._library.ExternalLink):
            raise ValueError(f"{self.path}: {name} is a link to another file, which is not read; copy it into this one")

    def _afford(self, nbytes: int, name: str) -> None:
        self._left -= nbytes
        if self._left < 0:
            raise ValueError(
                f"{self.path}: with {name} its arrays would take more than {_EXPANSION} times the file's "
                f"{self._length} bytes; arrays of the original code are not compressed"
            )
