"""When examples were learned, from the frames of a training."""

from __future__ import annotations

import numpy as np

__all__ = ["steps_learned"]


def steps_learned(correct: np.ndarray, step: int, before: np.ndarray | None = None) -> np.ndarray:
    """(n,) the step since which each example has been right without interruption, -1 while it is wrong.

    The steps are those of frames: an example is taken to be learned at the first frame that finds it right, and what
    happens between two frames is not seen.

    Args:
        correct: (n,) whether the network is right now.
        step: The present step.
        before: (n,) this function's result at the frame before; None at the first one.

    Raises:
        ValueError: if `before` is of another number of examples.
    """
    if before is not None and before.shape != correct.shape:
        raise ValueError(f"before must be of the same {len(correct)} examples, got {len(before)}")
    since = np.full(len(correct), step) if before is None else np.where(before >= 0, before, step)
    return np.where(correct, since, -1).astype(np.int32)
