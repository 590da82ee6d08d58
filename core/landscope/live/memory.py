"""Want of memory: telling it from other failures, and giving back what can be given."""

from __future__ import annotations

import gc

import torch

__all__ = ["give_back", "is_out_of_memory"]

# What torch's and CUDA's allocators say where they raise nothing more telling than RuntimeError.
_WORDS = ("not enough memory", "out of memory", "can't allocate memory", "cannot allocate memory", "alloc_failed")


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether it was raised for want of memory, on the CPU or on an accelerator."""
    if isinstance(failure, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(failure, RuntimeError | OSError) and any(word in str(failure).lower() for word in _WORDS)


def give_back() -> None:
    """Collects what nobody refers to any more, and returns what torch holds in reserve to the device."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
