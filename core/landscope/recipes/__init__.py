"""Built-in experiments: one file each, run by `python -m landscope.recipes NAME`."""

from landscope.recipes.catalogue import CATALOGUE, FLAGSHIP, Entry
from landscope.recipes.references import reference

__all__ = ["CATALOGUE", "FLAGSHIP", "Entry", "reference"]
