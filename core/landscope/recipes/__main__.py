"""`python -m landscope.recipes NAME [--setting value ...]` runs one recipe, recorded, and says what it showed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from landscope.recipes.catalogue import CATALOGUE, module_of
from landscope.recipes.claims import judged
from landscope.recipes.settings import described


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a recipe; its settings are options named after the fields of its Config."""
    given = list(arguments) if arguments is not None else sys.argv[1:]
    parser = argparse.ArgumentParser(prog="python -m landscope.recipes", description=__doc__)
    parser.add_argument("recipe", choices=sorted(CATALOGUE))
    parser.add_argument("--runs", type=Path, default=Path(os.environ.get("LANDSCOPE_RUNS", "runs")))
    parser.add_argument("--full", action="store_true", help="at its full size, for a GPU and patience")
    if not given or given[0] not in CATALOGUE:
        parser.parse_args(given)  # prints the help asked for, or what is wrong
        return 2
    module = module_of(given[0])
    settings = described(module.Config, module.FULL)
    for setting in settings:
        _add(parser, setting)
    chosen = vars(parser.parse_args(given))
    size = "full" if chosen["full"] else "default"
    values = {one["name"]: one[size] if chosen[one["name"]] is None else chosen[one["name"]] for one in settings}
    try:
        config = module.Config(**values)
    except ValueError as wrong:
        parser.error(str(wrong))
    os.environ.setdefault("LANDSCOPE_PROGRESS", "1")
    path = module.train(config, chosen["runs"])
    for one in judged(path, module.judge):
        print(f"{one.outcome}: {one.text}\n    {one.measured}", file=sys.stderr)
    return 0


def _add(parser: argparse.ArgumentParser, setting: dict[str, Any]) -> None:
    kind = {"int": int, "float": float, "str": str}[setting["kind"]]
    extent = " | ".join(setting["options"]) if "options" in setting else f"{setting['low']:g} to {setting['high']:g}"
    parser.add_argument(
        f"--{setting['name'].replace('_', '-')}",
        type=kind,
        choices=setting.get("options"),
        metavar=kind.__name__,
        help=f"{setting['words']} {extent}; {setting['default']}, at full size {setting['full']}".replace("%", "%%"),
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
