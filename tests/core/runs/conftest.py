import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from landscope.measurements import Provenance, Slice2D
from landscope.runs import RunWriter


def wait_until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits for a condition that the writer's thread brings about; fails when it does not."""
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "condition did not come true"
        time.sleep(0.01)


@pytest.fixture
def wait() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def plane() -> Callable[..., Slice2D]:
    """Makes slices of `points` by `points` known numbers: lowest `low`, highest `low` + 1."""

    def make(low: float = 0.0, points: int = 5, step: int | None = None) -> Slice2D:
        axis = np.linspace(-1.0, 1.0, points)
        return Slice2D(
            provenance=Provenance(method="test", step=step),
            alpha=axis,
            beta=axis,
            loss=np.linspace(low, low + 1.0, points * points).reshape(points, points),
            centre_loss=low,
            plane="random",
            normalisation="filter",
            axes=("one", "two"),
        )

    return make


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RunWriter]:
    with RunWriter.create(tmp_path / "runs", name="test") as made:
        yield made
