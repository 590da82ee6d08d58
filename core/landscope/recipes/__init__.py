"""Built-in experiments: one file each, run by `python -m landscope.recipes NAME`."""

from landscope.recipes.catalogue import CATALOGUE, FLAGSHIP, Entry

__all__ = ["CATALOGUE", "FLAGSHIP", "Entry"]
