"""Slices made of given losses."""

import numpy as np

from landscope.measurements import Provenance, Slice1D, Slice2D, Slice3D

KINDS = {1: Slice1D, 2: Slice2D, 3: Slice3D}


def slice_of(loss, axes=None, precision="float64", **fields):
    loss = np.asarray(loss, dtype=np.float64)
    axes = [np.linspace(-1, 1, count) for count in loss.shape] if axes is None else axes
    return KINDS[loss.ndim](
        provenance=Provenance(method="test", precision=precision),
        loss=loss,
        centre_loss=0.0,
        plane="given",
        normalisation="none",
        axes=("first", "second", "third")[: loss.ndim],
        **dict(zip(("alpha", "beta", "gamma"), axes, strict=False)),
        **fields,
    )
