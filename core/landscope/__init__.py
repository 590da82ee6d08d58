"""Landscope: look at a PyTorch network while it trains.

The names below are imported when they are first used, so that reading runs and drawing figures needs no torch.

Example:
    >>> import landscope as ls
    >>> sorted(set(ls.__all__) & {"Objective", "watch", "open"})
    ['Objective', 'open', 'watch']
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# name -> (module, attribute); attribute None hands on the module itself
_LAZY: dict[str, tuple[str, str | None]] = {
    "Objective": ("landscope.objective", "Objective"),
    "Experiment": ("landscope.experiments", "Experiment"),
    "watch": ("landscope.live", "watch"),
    "Scope": ("landscope.live", "Scope"),
    "open": ("landscope.runs", "open_run"),
    "compare": ("landscope.comparison", "compare"),
    "report": ("landscope.reports", "report"),
    "Run": ("landscope.runs", "Run"),
    "Measurement": ("landscope.measurements", "Measurement"),
    "Provenance": ("landscope.measurements", "Provenance"),
    "landscape": ("landscope.landscape", None),
    "curvature": ("landscope.curvature", None),
    "kernel": ("landscope.kernel", None),
    "embedding": ("landscope.embedding", None),
    "dynamics": ("landscope.dynamics", None),
    "population": ("landscope.population", None),
    "lab": ("landscope.lab", None),
    "measurements": ("landscope.measurements", None),
    "figures": ("landscope.figures", None),
    "comparison": ("landscope.comparison", None),
    "formats": ("landscope.formats", None),
    "reports": ("landscope.reports", None),
    "runs": ("landscope.runs", None),
    "live": ("landscope.live", None),
    "recipes": ("landscope.recipes", None),
    "parameters": ("landscope.parameters", None),
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    try:
        module, attribute = _LAZY[name]
    except KeyError:
        raise AttributeError(f"module 'landscope' has no attribute {name!r}") from None
    found = importlib.import_module(module)
    return found if attribute is None else getattr(found, attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
