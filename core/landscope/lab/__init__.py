"""Measurements on request: what can be asked for, with typed parameters, and how it is carried out step by step.

What can be asked for is known without torch, so that the page's server can offer it; `begin` and what goes with it are
imported when they are first used.
"""

import importlib
from typing import Any

from landscope.lab.entries import ENTRIES, Entry, chosen, description

_LAZY = {
    "Cancelled": "landscope.lab.progress",
    "Progress": "landscope.lab.progress",
    "Selection": "landscope.lab.selections",
    "Subject": "landscope.lab.subjects",
    "begin": "landscope.lab.steps",
    "reason": "landscope.lab.failures",
}

__all__ = [
    "ENTRIES",
    "Cancelled",
    "Entry",
    "Progress",
    "Selection",
    "Subject",
    "begin",
    "chosen",
    "description",
    "reason",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'landscope.lab' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
