"""Slices of known functions."""

import numpy as np
import pytest

from landscope.measurements import CurvatureMap, Provenance, Slice1D, Slice2D, Slice3D

ALPHA, BETA, GAMMA = np.linspace(-1, 1, 7), np.linspace(-0.5, 0.75, 5), np.linspace(0, 1, 3)
PROVENANCE = Provenance(
    method="9 points, random plane", split="train", examples=100, parameters=2**40, seed=None, step=7
)
SHARED = {"centre_loss": 1.03, "plane": "random", "normalisation": "filter", "provenance": PROVENANCE}


def bowl(a, b):
    return 1.0 + a**2 + 3.0 * (b - 0.1) ** 2


@pytest.fixture
def plane():
    """A slice whose every field is filled, of a grid that is neither square nor symmetric."""
    loss = bowl(ALPHA[:, None], BETA)
    return Slice2D(
        alpha=ALPHA,
        beta=BETA,
        loss=loss,
        accuracy=(loss.max() - loss) / loss.max(),
        metrics={"test/loss": loss + 1.0, "class 3": loss.astype(np.float32)},
        error=loss / 100,
        contrast_error=loss / 200,
        gradient=np.stack(np.broadcast_arrays(2 * ALPHA[:, None], 6 * (BETA - 0.1)), axis=-1),
        axes=("first direction, θ", "second direction"),
        gram=np.array([[4.0, 0.1], [0.1, 2.0]]),
        checks=(("centre", "pass", "equal"),),
        path=np.array([[0.5, 0.5], [0.25, 0.0], [0.0, 0.0]]),
        path_steps=np.array([0, 5, 7]),
        path_distances=np.array([0.3, 0.1, 0.0]),
        path_losses=np.array([2.0, 1.5, 1.03]),
        explained=0.9,
        directions=np.arange(8.0).reshape(2, 4),
        **SHARED,
    )


@pytest.fixture
def line():
    return Slice1D(alpha=ALPHA, loss=bowl(ALPHA, 0.1), axes=("along",), **SHARED)


@pytest.fixture
def volume():
    loss = bowl(ALPHA[:, None, None], BETA[:, None]) + GAMMA**3
    return Slice3D(alpha=ALPHA, beta=BETA, gamma=GAMMA, loss=loss, axes=("a", "b", "c"), **SHARED)


@pytest.fixture
def curvature():
    largest = bowl(ALPHA[:, None], BETA)
    return CurvatureMap(
        alpha=ALPHA, beta=BETA, largest=largest, smallest=-largest / 4, residuals=largest / 1e6, axes=("a", "b"),
        provenance=PROVENANCE,
    )  # fmt: skip


@pytest.fixture
def cliff(plane):
    """The plane with one corner NaN and the opposite one infinite."""
    loss = plane.loss.copy()
    loss[0, 0], loss[-1, -1] = np.nan, np.inf
    return plane.replaced(loss=loss)
