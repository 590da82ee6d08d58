"""Libraries that a plain installation does without."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["imported"]


def imported(name: str, purpose: str) -> Any:
    """The module `name`.

    Raises:
        ModuleNotFoundError: if it is not installed; the message says what would install it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name != name:
            raise
        raise ModuleNotFoundError(
            f"{purpose} needs {name}, which is not installed; pip install 'landscope[formats]'", name=name
        ) from missing
