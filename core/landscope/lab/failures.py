"""Why a measurement failed, in a sentence with a remedy."""

from __future__ import annotations

import torch

__all__ = ["reason"]


def reason(failure: BaseException) -> str:
    """What a person can do about a failure, after what it was."""
    text = str(failure).strip() or type(failure).__name__
    if isinstance(failure, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
        return f"out of memory: ask for fewer points, eigenvalues or examples ({text.splitlines()[0]})"
    if isinstance(failure, FloatingPointError | ValueError):
        return text
    return f"{type(failure).__name__}: {text}"
