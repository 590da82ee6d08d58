"""umap-learn without the compilation of what no test needs compiled: for a minute, where nothing is cached yet."""

import importlib
import warnings

import numba
import pytest
from numba.core.registry import CPUDispatcher


@pytest.fixture(scope="session", autouse=True)
def umap_soon_there():
    """Imports umap-learn; the neighbours' index that comes with it compiles itself when imported, and is not used."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patched:
        warnings.simplefilter("ignore", ImportWarning)
        patched.setattr(numba.config, "DISABLE_JIT", True)
        importlib.import_module("pynndescent")
        patched.undo()
        importlib.import_module("umap")


@pytest.fixture
def umap_interpreted(monkeypatch):
    """What umap-learn does once for a picture is interpreted; the descent, which takes the time, is compiled."""
    for name in ("umap.umap_", "umap.aligned_umap"):
        module = importlib.import_module(name)
        for called, function in vars(module).copy().items():
            if isinstance(function, CPUDispatcher):
                monkeypatch.setattr(module, called, function.py_func)
