"""`python -m landscope.recipes NAME [--setting value ...]` trains one recipe, watched."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from landscope.recipes.catalogue import CATALOGUE


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a recipe; its settings are options named after the fields of its Config."""
    name = (list(arguments) if arguments is not None else sys.argv[1:])[:1]
    parser = argparse.ArgumentParser(prog="python -m landscope.recipes", description=__doc__)
    parser.add_argument("recipe", choices=sorted(CATALOGUE))
    parser.add_argument("--runs", type=Path, default=Path(os.environ.get("LANDSCOPE_RUNS", "runs")))
    if not name or name[0] not in CATALOGUE:
        parser.parse_args(arguments)  # prints the help asked for, or what is wrong
        return 2
    module = importlib.import_module(f"landscope.recipes.{name[0]}")
    settings = dataclasses.fields(module.Config)
    for setting in settings:
        kind = type(setting.default)
        parser.add_argument(
            f"--{setting.name.replace('_', '-')}", type=kind, default=setting.default, metavar=kind.__name__
        )
    chosen = vars(parser.parse_args(arguments))
    os.environ.setdefault("LANDSCOPE_PROGRESS", "1")
    module.train(module.Config(**{setting.name: chosen[setting.name] for setting in settings}), chosen["runs"])
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
