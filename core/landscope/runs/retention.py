"""What is kept of a long run, so that its folder stops growing: its first and newest steps, and samples in between."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable

import numpy as np

__all__ = ["MOST_BYTES", "MOST_FRAMES", "MOST_ROWS", "Retention", "spread"]

MOST_ROWS = 32_768
"""Rows of each series of scalars; on reaching it, half are kept."""
MOST_FRAMES = 256
"""Frames of each name; on reaching it, half are kept."""
MOST_BYTES = 128 * 2**20
"""Bytes of the frames of each name, of which two stay however large they are."""


def spread(steps: np.ndarray, most: int) -> np.ndarray:
    """Positions of at most `most` of some steps (n,) ascending: first and last, and what lies between.

    Half of them are even in the step and half in its logarithm, since a training changes fastest at its beginning.

    Raises:
        ValueError: if `most` is less than two.
    """
    if most < 2:
        raise ValueError(f"most must be at least 2, got {most}: the first and the last step stay")
    first, last, each = float(steps[0]), float(steps[-1]), most // 2
    wanted = np.concatenate([np.linspace(first, last, each), first - 1 + np.geomspace(1, last - first + 1, each)])
    found = np.searchsorted(steps, wanted - 0.5)  # whatever the logarithm's rounding
    kept: np.ndarray = np.unique(np.concatenate([[0, len(steps) - 1], found.clip(0, len(steps) - 1)]))
    return kept if len(kept) <= most else np.delete(kept, len(kept) // 2)


class Retention:
    """Deletes what is more than a run keeps, within the transaction of its writer."""

    def __init__(self) -> None:
        self._rows: Counter[int] = Counter()

    def thin_scalars(self, connection: sqlite3.Connection, series: Iterable[int]) -> None:
        """Notes a new row of each series given, and thins those that have too many."""
        self._rows.update(series)
        for number in [number for number, rows in self._rows.items() if rows > MOST_ROWS]:
            query = "SELECT step, seq FROM scalar WHERE series = ? ORDER BY step, seq"
            rows = np.array(connection.execute(query, (number,)).fetchall())
            kept = spread(rows[:, 0], MOST_ROWS // 2)
            gone = np.delete(rows[:, 1], kept)
            connection.executemany("DELETE FROM scalar WHERE seq = ?", [(int(seq),) for seq in gone])
            self._rows[number] = len(kept)

    def thin_frames(self, connection: sqlite3.Connection, names: Iterable[str]) -> set[str]:
        """Thins the frames of the names given that have too many or too large ones.

        Returns:
            The blobs that no frame refers to any more, to be removed once the transaction is committed.
        """
        removed: set[str] = set()
        for name in names:
            query = "SELECT step, seq, nbytes, sha FROM frame WHERE name = ? ORDER BY step, seq"
            frames = connection.execute(query, (name,)).fetchall()
            steps, total = np.array([step for step, *_ in frames]), sum(nbytes for _, _, nbytes, _ in frames)
            if len(frames) <= MOST_FRAMES and (total <= MOST_BYTES or len(frames) <= 2):
                continue
            most = min(len(frames) / 2, MOST_FRAMES / 2, len(frames) * MOST_BYTES / 2 / total)
            kept = set(spread(steps, max(2, int(most))).tolist())
            gone = [frame for position, frame in enumerate(frames) if position not in kept]
            connection.executemany("DELETE FROM frame WHERE seq = ?", [(seq,) for _, seq, _, _ in gone])
            removed |= {sha for *_, sha in gone if sha is not None}
        used = "SELECT 1 FROM frame WHERE sha = ? LIMIT 1"
        return {sha for sha in removed if connection.execute(used, (sha,)).fetchone() is None}
