"""Recorded references: a run of each recipe, which any other run of it can be held against.

A reference is the folder of a run like any other, `checked/references/NAME/`, so that whatever reads runs
reads it. Of the run only that is kept by which runs are compared.
"""

from __future__ import annotations

from landscope.recipes.catalogue import CATALOGUE
from landscope.recipes.records import CHECKED
from landscope.runs import Run
from landscope.runs.manifest import MANIFEST

__all__ = ["REFERENCES", "reference", "referenced"]

REFERENCES = CHECKED / "references"
"""The folder of the references."""


def referenced() -> tuple[str, ...]:
    """The names of the recipes that have a reference."""
    return tuple(name for name in CATALOGUE if (REFERENCES / name / MANIFEST).is_file())


def reference(name: str) -> Run:
    """The recorded reference of a recipe: a run that nobody writes to.

    Args:
        name: The recipe's.

    Raises:
        FileNotFoundError: if there is none.
    """
    known = referenced()
    if name not in known:
        raise FileNotFoundError(f"no reference of {name!r} was recorded; there are those of {', '.join(known)}")
    return Run(REFERENCES / name)
