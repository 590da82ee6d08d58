"""Built-in experiments: one file each, run by `python -m landscope.recipes NAME`.

The catalogue is known without numpy, so that the command can say what is missing where hardly anything is there.
"""

import importlib
from typing import TYPE_CHECKING, Any

from landscope.recipes.catalogue import CATALOGUE, FLAGSHIP, Entry

if TYPE_CHECKING:
    from landscope.recipes.references import reference

__all__ = ["CATALOGUE", "FLAGSHIP", "Entry", "reference"]


def __getattr__(name: str) -> Any:
    if name != "reference":
        raise AttributeError(f"module 'landscope.recipes' has no attribute {name!r}")
    return importlib.import_module("landscope.recipes.references").reference
