"""Where an experiment comes from: a recipe, a user's file, or what a run says of itself."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from landscope.experiments import Experiment
from landscope.recipes.catalogue import CATALOGUE, module_of
from landscope.runs import Manifest

__all__ = ["of_file", "of_recipe", "of_run"]

_EXAMPLE = "def experiment(): return landscope.Experiment(model, loss_fn, train, test)"


def of_recipe(name: str, settings: Mapping[str, Any]) -> Experiment:
    """A recipe's experiment at its initialisation.

    Args:
        name: One of the catalogue.
        settings: Of its Config; other entries are passed over.

    Raises:
        ValueError: if it trains many models, of which none is the run's.
    """
    module = module_of(name)
    if not hasattr(module, "build"):
        raise ValueError(f"recipe {name} trains many models and keeps none of them, so that there is none to measure")
    known = {setting.name for setting in dataclasses.fields(module.Config)}
    experiment = module.build(module.Config(**{key: value for key, value in settings.items() if key in known}))
    assert isinstance(experiment, Experiment)
    return experiment


def of_file(path: Path) -> Experiment:
    """What `experiment()` in a user's program returns. The file is run as a module, not as `__main__`.

    Raises:
        ValueError: if there is no such file or function, or it returns something else.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"_landscope_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python program: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where dataclasses and pickle look for what it defines
    sys.path.insert(0, str(path.absolute().parent))
    spec.loader.exec_module(module)
    if not callable(getattr(module, "experiment", None)):
        raise ValueError(
            f"{path} has no function experiment() that gives back what it trains; add one: {_EXAMPLE}, and keep the "
            'training under `if __name__ == "__main__":`'
        )
    experiment = module.experiment()
    if not isinstance(experiment, Experiment):
        raise ValueError(f"experiment() in {path} must return a landscope.Experiment, got {type(experiment).__name__}")
    return experiment


def of_run(manifest: Manifest, trusted: Collection[Path] = ()) -> Experiment:
    """The experiment that a run is of.

    Args:
        manifest: The run's.
        trusted: Programs that the user has named, and that may be run.

    Raises:
        ValueError: if it was no recipe, and its program is unknown or was not named.
    """
    if manifest.recipe in CATALOGUE:
        return of_recipe(manifest.recipe, manifest.config)
    if not manifest.program:
        raise ValueError(
            f"run {manifest.id} does not say which program trained it, so that its model cannot be built again; put a "
            f"function experiment() into a file: landscope measure FILE.py --run {manifest.id}"
        )
    program = Path(manifest.program)
    if program.resolve() not in {path.resolve() for path in trusted}:
        raise ValueError(
            f"run {manifest.id} was made by {program}, which runs again only if you say so: "
            f"landscope ui --trust {program}, or landscope measure {program} --run {manifest.id}"
        )
    return of_file(program)
